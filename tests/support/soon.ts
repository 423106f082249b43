/** Waiting for a promise, with an end. */

import { deadline } from "./deadline.ts";

/** What a promise settles to, or an error that says what did not come. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  using limit = deadline(5_000);
  const settled = await limit.race(promise.then((value) => ({ value })));
  if (settled === undefined) throw new Error(`Waited 5 s for ${what} in vain.`);
  return settled.value;
}
