/** Bodies that are longer than those of other requests, and therefore read one at a time. */

import { NetworkError } from "../base/errors.ts";
import type { HttpRequest } from "./http/service.ts";

/** See the top of the file. */
export class LongBodies {
  readonly #maxBytes: number;
  #isInUse = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Reads a body and works with it; no other one is read meanwhile.
   *
   * @throws {NetworkError} `RESOURCE_EXHAUSTED` while there is another one; `INVALID_ARGUMENT` when it
   * is too long; what `work` throws.
   */
  async use<T>(
    request: Pick<HttpRequest, "body">,
    work: (body: Uint8Array) => Promise<T>,
  ): Promise<T> {
    if (this.#isInUse) {
      throw new NetworkError(
        "RESOURCE_EXHAUSTED",
        "Cannot read the request: another one as long is being worked on. Try again later.",
        { retryAfterMs: 1_000 },
      );
    }
    this.#isInUse = true;
    try {
      return await work(await this.#read(request));
    } finally {
      this.#isInUse = false;
    }
  }

  async #read(request: Pick<HttpRequest, "body">): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of request.body ?? []) {
      length += piece.length;
      if (length > this.#maxBytes) {
        throw new NetworkError(
          "INVALID_ARGUMENT",
          `Cannot read the request: its body is longer than ${this.#maxBytes} bytes.`,
        );
      }
      pieces.push(piece);
    }
    const body = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      body.set(piece, at);
      at += piece.length;
    }
    return body;
  }
}
