/** What a node answers over HTTP, as the commands take it. */

import { ERROR_CODES, NetworkError } from "../base/errors.ts";
import type { ErrorBody } from "../gateway/control_api.ts";

/** The lines of a body, as they come. */
export async function* lines(response: Response): AsyncGenerator<string> {
  // The pieces of a line are joined once: a line may be megabytes long.
  let pieces: string[] = [];
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = text.split("\n");
    pieces.push(parts[0]);
    for (const part of parts.slice(1)) {
      yield pieces.join("");
      pieces = [part];
    }
  }
  const rest = pieces.join("");
  if (rest !== "") yield rest;
}

/** What was thrown there, to be thrown here. */
export function toError({ error: { code, message, retryAfterMs } }: ErrorBody): NetworkError {
  return new NetworkError(ERROR_CODES.includes(code) ? code : "INTERNAL", message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
