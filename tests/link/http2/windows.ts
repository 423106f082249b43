/** How much a connection may send by HTTP/2's flow control, as the other side says (RFC 9113, 5.2). */

const WINDOW_UPDATE = 8;
const HEADER_BYTES = 9;
/** Of the connection and of each stream, where nobody says otherwise. */
const FIRST_WINDOW = 65_535;

/** Those of the connection and of stream 1, on which all is sent. */
export class Windows {
  readonly #left = [FIRST_WINDOW, FIRST_WINDOW];
  #bytes = new Uint8Array();
  #wake: () => void = () => {};

  /** Takes what came from the other side. */
  push(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const length = view.getUint32(at) >>> 8;
      if (at + HEADER_BYTES + length > bytes.length) break;
      if (bytes[at + 3] === WINDOW_UPDATE) {
        const stream = view.getUint32(at + 5);
        if (stream <= 1) this.#left[stream] += view.getUint32(at + HEADER_BYTES);
      }
      at += HEADER_BYTES + length;
    }
    this.#bytes = bytes.subarray(at);
    this.#wake();
  }

  /** Resolves when so many bytes may be sent, and counts them as sent. */
  async take(bytes: number): Promise<void> {
    while (Math.min(...this.#left) < bytes) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#left[0] -= bytes;
    this.#left[1] -= bytes;
  }
}
