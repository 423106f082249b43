/** The bodies of requests, read within bounds: of each, and of all that are read at a time. */

import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";

/** The longest body that is read. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** The most memory for bodies that have not wholly come. */
export const MAX_ALL_BODIES_BYTES = 4 * MAX_BODY_BYTES;

const INITIAL_BYTES = 16_384;

const decoder = new TextDecoder();

/** See the top of the file. */
export class JsonBodies {
  #held = 0;

  /**
   * Reads the JSON of a request, without trusting its `content-length`.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is too long, `RESOURCE_EXHAUSTED` when too
   * much is being read, `PROTOCOL` when it is no JSON.
   */
  read(request: Request): Promise<unknown> {
    return this.#use(request, (bytes) => parseBoundedJson(bytes, { maxBytes: MAX_BODY_BYTES }));
  }

  /**
   * The same, with the text that it was, for whom its bytes count.
   *
   * @param maxDepth Levels of nesting at most.
   */
  readText(request: Request, maxDepth: number): Promise<{ text: string; value: unknown }> {
    return this.#use(request, (bytes) => {
      const value = parseBoundedJson(bytes, { maxBytes: MAX_BODY_BYTES, maxDepth });
      return { text: decoder.decode(bytes), value };
    });
  }

  async #use<T>(request: Request, use: (bytes: Uint8Array) => T): Promise<T> {
    let held = 0;
    const grow = (buffer: Uint8Array, bytes: number): Uint8Array => {
      // Either is there until what was read is copied.
      if (this.#held + bytes > MAX_ALL_BODIES_BYTES) {
        throw new NetworkError(
          "RESOURCE_EXHAUSTED",
          "Cannot read the request: too many long ones come at the same time. Try again later.",
          { retryAfterMs: 1_000 },
        );
      }
      this.#held += bytes - buffer.length;
      held = bytes;
      const larger = new Uint8Array(bytes);
      larger.set(buffer);
      return larger;
    };
    try {
      let buffer = grow(new Uint8Array(), INITIAL_BYTES);
      let length = 0;
      for await (const piece of request.body ?? []) {
        const needed = length + piece.length;
        if (needed > MAX_BODY_BYTES) {
          throw new NetworkError(
            "INVALID_ARGUMENT",
            `Cannot read the request: its body is longer than ${MAX_BODY_BYTES} bytes.`,
          );
        }
        if (needed > buffer.length) {
          const bytes = Math.min(MAX_BODY_BYTES, Math.max(needed, 2 * buffer.length));
          buffer = grow(buffer, bytes);
        }
        buffer.set(piece, length);
        length = needed;
      }
      return use(buffer.subarray(0, length));
    } finally {
      this.#held -= held;
    }
  }
}
