/** The bodies of requests, read within bounds: of each, and of all that are read at a time. */

import { parseBoundedJson, readBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import type { HttpRequest } from "./http/service.ts";

/** The longest body that is read. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** The most memory for bodies that have not wholly come. */
export const MAX_ALL_BODIES_BYTES = 4 * MAX_BODY_BYTES;

/** See the top of the file. */
export class JsonBodies {
  #held = 0;

  /**
   * Reads the JSON of a request, without trusting its `content-length`.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is too long, `RESOURCE_EXHAUSTED` when too
   * much is being read, `PROTOCOL` when it is no JSON.
   */
  read(request: Pick<HttpRequest, "body">): Promise<unknown> {
    return this.#use(request, (bytes) => parseBoundedJson(bytes, { maxBytes: MAX_BODY_BYTES }));
  }

  /**
   * The same, with the text that it was, for whom its bytes count.
   *
   * @param maxDepth Levels of nesting at most.
   */
  readText(
    request: Pick<HttpRequest, "body">,
    maxDepth: number,
  ): Promise<{ text: string; value: unknown }> {
    const bounds = { maxBytes: MAX_BODY_BYTES, maxDepth };
    return this.#use(request, (bytes) => readBoundedJson(bytes, bounds));
  }

  async #use<T>(request: Pick<HttpRequest, "body">, use: (bytes: Uint8Array) => T): Promise<T> {
    let held = 0;
    const hold = (bytes: number) => {
      if (this.#held + bytes > MAX_ALL_BODIES_BYTES) {
        throw new NetworkError(
          "RESOURCE_EXHAUSTED",
          "Cannot read the request: too many long ones come at the same time. Try again later.",
          { retryAfterMs: 1_000 },
        );
      }
      this.#held += bytes;
      held += bytes;
    };
    try {
      let buffer: Uint8Array = new Uint8Array();
      let length = 0;
      for await (const piece of request.body ?? []) {
        const needed = length + piece.length;
        if (needed > MAX_BODY_BYTES) {
          throw new NetworkError(
            "INVALID_ARGUMENT",
            `Cannot read the request: its body is longer than ${MAX_BODY_BYTES} bytes.`,
          );
        }
        if (length === 0) {
          // Nearly all come in one piece, which needs no copy.
          hold(needed);
          buffer = piece;
        } else {
          if (needed > buffer.length) buffer = enlarged(buffer, needed, hold);
          buffer.set(piece, length);
        }
        length = needed;
      }
      return use(buffer.subarray(0, length));
    } finally {
      this.#held -= held;
    }
  }
}

function enlarged(
  buffer: Uint8Array,
  needed: number,
  hold: (bytes: number) => void,
): Uint8Array {
  const bytes = Math.min(MAX_BODY_BYTES, Math.max(needed, 2 * buffer.length));
  // Both are there until what was read is copied.
  hold(bytes);
  const larger = new Uint8Array(bytes);
  larger.set(buffer);
  hold(-buffer.length);
  return larger;
}
