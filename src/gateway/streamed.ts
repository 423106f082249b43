/** Answers that come piece by piece. */

import type { HttpAnswer } from "./http/service.ts";

/** An answer of what `pieces` yields, as fast as it is read. */
export function streamed(
  pieces: AsyncGenerator<string, void, void>,
  contentType: string,
): HttpAnswer {
  return { status: 200, headers: [["content-type", contentType]], body: pieces };
}
