/** Turns a model that calls back for each piece of its text into a generator of them. */

import type { ModelRequest } from "./model.ts";

/** What waits for the reader, in UTF-16 units, before the model has to. */
const MAX_WAITING_LENGTH = 16 * 1024;

/**
 * The pieces as they come; the answer is what it returns. Who leaves early must abort the signal
 * that he has given the model.
 *
 * @throws What `ask` rejects with, after the pieces that came before.
 */
export async function* tokensOf<Answer>(
  ask: (onToken: NonNullable<ModelRequest["onToken"]>) => Promise<Answer>,
): AsyncGenerator<string, Answer, void> {
  let waiting: string[] = [];
  let length = 0;
  let wake = () => {};
  /** What the model waits for while there is no room. */
  let room: PromiseWithResolvers<void> | undefined;
  let end: { answer: Answer } | { error: unknown } | undefined;
  ask((text) => {
    if (text === "") return;
    waiting.push(text);
    length += text.length;
    wake();
    if (length < MAX_WAITING_LENGTH) return;
    room ??= Promise.withResolvers();
    return room.promise;
  }).then((answer) => end = { answer }, (error) => end = { error }).finally(() => wake());
  try {
    for (;;) {
      const taken = waiting;
      waiting = [];
      length = 0;
      room?.resolve();
      room = undefined;
      yield* taken;
      if (waiting.length > 0) continue;
      if (end !== undefined) break;
      await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    room?.resolve();
  }
  if ("error" in end) throw end.error;
  return end.answer;
}
