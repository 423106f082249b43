/** The frames of an HTTP/2 connection as they come in, without what they carry (RFC 9113, 4.1). */

import { Buffer } from "node:buffer";

/** What a frame is for; those that are not listed here make no difference. */
export const FrameType = {
  Data: 0,
  Headers: 1,
  Reset: 3,
  Continuation: 9,
} as const;

/** What is told of a connection. */
export interface ScanHandler {
  /** A frame has begun. */
  onFrame(frame: ScannedFrame): void;
  /** The headers of a request, or its trailers, are complete. */
  onHeaders(block: Uint8Array): void;
}

/** One frame. */
export interface ScannedFrame {
  readonly type: number;
  readonly flags: number;
  /** Of what it carries. */
  readonly length: number;
}

/** A flag of DATA and HEADERS. */
export const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;

const PREFACE_BYTES = 24;
const HEADER_BYTES = 9;

/** See the top of the file. What breaks the rules is left to nghttp2, which reads it, too. */
export class FrameScanner {
  readonly #handler: ScanHandler;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerLength = 0;
  /** Of what is no frame's header. */
  #toSkip = PREFACE_BYTES;
  #frame: ScannedFrame | undefined;
  /** Of a block of headers whose end has not come. */
  readonly #fragments: Uint8Array[] = [];
  #fragmentBytes = 0;

  constructor(handler: ScanHandler) {
    this.#handler = handler;
  }

  /** Bytes of headers whose end has not come. */
  get headerBytes(): number {
    return this.#fragmentBytes;
  }

  /** Takes what came next. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#toSkip > 0) {
        const end = Math.min(chunk.length, at + this.#toSkip);
        if (isOfHeaders(this.#frame)) this.#keep(chunk.subarray(at, end));
        this.#toSkip -= end - at;
        at = end;
        if (this.#toSkip === 0) this.#endFrame();
        continue;
      }
      this.#header[this.#headerLength++] = chunk[at++];
      if (this.#headerLength === HEADER_BYTES) this.#beginFrame();
    }
  }

  #beginFrame(): void {
    this.#headerLength = 0;
    const [high, middle, low, type, flags] = this.#header;
    const length = high << 16 | middle << 8 | low;
    this.#frame = { type, flags, length };
    this.#toSkip = length;
    this.#handler.onFrame(this.#frame);
    if (length === 0) this.#endFrame();
  }

  #endFrame(): void {
    const frame = this.#frame;
    this.#frame = undefined;
    if (!isOfHeaders(frame)) return;
    if (frame.type === FrameType.Headers) this.#unwrap(frame.flags);
    if ((frame.flags & END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#fragments);
    this.#fragments.length = 0;
    this.#fragmentBytes = 0;
    this.#handler.onHeaders(block);
  }

  #keep(fragment: Uint8Array): void {
    // A copy: the chunk is another's, and may be large.
    this.#fragments.push(fragment.slice());
    this.#fragmentBytes += fragment.length;
  }

  /** Takes away what HEADERS has around its fragment. */
  #unwrap(flags: number): void {
    const payload = Buffer.concat(this.#fragments);
    const padding = (flags & PADDED) === 0 ? 0 : payload[0] ?? 0;
    const start = ((flags & PADDED) === 0 ? 0 : 1) + ((flags & PRIORITY) === 0 ? 0 : 5);
    const fragment = payload.subarray(start, Math.max(start, payload.length - padding));
    this.#fragments.splice(0, Infinity, fragment);
    this.#fragmentBytes = fragment.length;
  }
}

function isOfHeaders(frame: ScannedFrame | undefined): frame is ScannedFrame {
  return frame?.type === FrameType.Headers || frame?.type === FrameType.Continuation;
}
