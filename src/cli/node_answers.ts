/** What a node answers over HTTP, as the commands take it. */

import { ERROR_CODES, NetworkError } from "../base/errors.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { errorOfOpenAi } from "../dialects/openai/errors.ts";
import type { ErrorBody } from "../gateway/control_api.ts";

/** The lines of a body, as they come. */
export async function* lines(response: Response): AsyncGenerator<string, void, void> {
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

/**
 * What was thrown there, to be thrown here.
 *
 * @param status What it was answered with.
 */
export function toError({ error }: ErrorBody, status = 500): NetworkError {
  const { code, message, retryAfterMs } = error;
  // Of models errors are told as their clients know them.
  if ("type" in error) {
    const otherwise = status < 500 ? "INVALID_ARGUMENT" : "AGENT_FAILED";
    return errorOfOpenAi({ ...error } as unknown as JsonValue, message, otherwise);
  }
  return new NetworkError(ERROR_CODES.includes(code) ? code : "INTERNAL", message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
