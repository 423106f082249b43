/** The frames of an HTTP/2 connection as they come in, without what they carry (RFC 9113, 4.1). */

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
  /** So much more has come of the headers of a request, or of its trailers. The bytes are lent. */
  onHeaders(fragment: Uint8Array): void;
  /** They are complete. */
  onHeadersEnd(): void;
}

/** One frame. */
export interface ScannedFrame {
  readonly type: number;
  readonly flags: number;
  /** Zero: it is about the connection. */
  readonly stream: number;
  /** Of what it carries, without padding. */
  readonly length: number;
}

/** A flag of DATA and HEADERS. */
export const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;

const PREFACE_BYTES = 24;
const HEADER_BYTES = 9;
/** What a flag of HEADERS puts in front of them. */
const PRIORITY_BYTES = 5;

/** See the top of the file. What breaks the rules is left to nghttp2, which reads it, too. */
export class FrameScanner {
  readonly #handler: ScanHandler;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerLength = 0;
  #frame: ScannedFrame | undefined;
  /** Of what is no frame's header. */
  #toCome = PREFACE_BYTES;
  /** Bytes at the end of the frame; undefined as long as its first byte has not told. */
  #padding: number | undefined = 0;

  constructor(handler: ScanHandler) {
    this.#handler = handler;
  }

  /** Takes what came next. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#toCome === 0) {
        this.#header[this.#headerLength++] = chunk[at++];
        if (this.#headerLength === HEADER_BYTES) this.#beginFrame();
        continue;
      }
      const end = Math.min(chunk.length, at + this.#toCome);
      if (this.#frame !== undefined) this.#read(this.#frame, chunk, at, end);
      this.#toCome -= end - at;
      at = end;
      if (this.#toCome === 0) this.#endFrame();
    }
  }

  #beginFrame(): void {
    this.#headerLength = 0;
    const [high, middle, low, type, flags, ...id] = this.#header;
    const length = high << 16 | middle << 8 | low;
    const stream = (id[0] & 0x7f) << 24 | id[1] << 16 | id[2] << 8 | id[3];
    const frame = { type, flags, stream, length };
    this.#frame = frame;
    this.#toCome = length;
    this.#padding = isPadded(frame) && length > 0 ? undefined : 0;
    if (this.#padding !== undefined) this.#handler.onFrame(frame);
    if (length === 0) this.#endFrame();
  }

  /** Takes what is between two places of a chunk: a piece of what this frame carries. */
  #read(frame: ScannedFrame, chunk: Uint8Array, at: number, end: number): void {
    if (this.#padding === undefined) {
      const padding = this.#padding = chunk[at];
      this.#handler.onFrame({ ...frame, length: Math.max(0, frame.length - 1 - padding) });
    }
    if (!isOfHeaders(frame)) return;
    // Of HEADERS only what lies between this and the padding is one.
    const ahead = (isPadded(frame) ? 1 : 0) + (hasPriority(frame) ? PRIORITY_BYTES : 0);
    const start = at - (frame.length - this.#toCome);
    const from = Math.max(at, start + ahead);
    const to = Math.min(end, start + frame.length - this.#padding);
    if (from < to) this.#handler.onHeaders(chunk.subarray(from, to));
  }

  #endFrame(): void {
    const frame = this.#frame;
    this.#frame = undefined;
    if (frame !== undefined && isOfHeaders(frame) && (frame.flags & END_HEADERS) !== 0) {
      this.#handler.onHeadersEnd();
    }
  }
}

function isOfHeaders({ type }: ScannedFrame): boolean {
  return type === FrameType.Headers || type === FrameType.Continuation;
}

function isPadded({ type, flags }: ScannedFrame): boolean {
  return (type === FrameType.Data || type === FrameType.Headers) && (flags & PADDED) !== 0;
}

function hasPriority({ type, flags }: ScannedFrame): boolean {
  return type === FrameType.Headers && (flags & PRIORITY) !== 0;
}
