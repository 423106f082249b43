/** HTTP/2 frames made by hand, for peers that send what no library would (RFC 9113). */

/** The highest stream id there is: "no stream is refused yet". */
export const ANY_STREAM = 0x7fffffff;

/** What a client sends first. */
export const PREFACE: Uint8Array = text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const END_STREAM = 1;
const END_HEADERS = 4;

/** One frame: 24 bits of length, type, flags, stream, payload. */
export function frame(
  type: number,
  flags = 0,
  stream = 0,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

export const settings = (): Uint8Array => frame(4);
export const settingsAck = (): Uint8Array => frame(4, 1);
export const ping = (): Uint8Array => frame(6, 0, 0, new Uint8Array(8));
export const reset = (stream: number, code: number): Uint8Array =>
  frame(3, 0, stream, integers(code));
export const windowUpdate = (stream: number, size: number): Uint8Array =>
  frame(8, 0, stream, integers(size));
export const goaway = (lastStream: number, code = 0, reason = ""): Uint8Array =>
  frame(7, 0, 0, join(integers(lastStream, code), text(reason)));

/** A gRPC message of three bytes. */
export const message = (stream: number, end = false): Uint8Array =>
  frame(0, end ? END_STREAM : 0, stream, join(new Uint8Array(1), integers(3), text("abc")));

/** The beginning of a gRPC call. */
export const request = (stream: number, path: string): Uint8Array =>
  frame(
    1,
    END_HEADERS,
    stream,
    join(
      header(":method", "POST"),
      header(":scheme", "http"),
      header(":path", path),
      header(":authority", "localhost"),
      header("content-type", "application/grpc"),
      header("te", "trailers"),
    ),
  );

/** The beginning of a gRPC answer. */
export const response = (stream: number): Uint8Array =>
  // 0x88 is `:status: 200` in HPACK's static table.
  frame(
    1,
    END_HEADERS,
    stream,
    join(new Uint8Array([0x88]), header("content-type", "application/grpc")),
  );

/** The end of a gRPC answer that went well. */
export const trailers = (stream: number): Uint8Array =>
  frame(1, END_HEADERS | END_STREAM, stream, header("grpc-status", "0"));

/** Frames in one piece, to be sent in one segment. */
export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Big-endian, 32 bits each. */
export function integers(...values: number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => view.setUint32(4 * index, value));
  return new Uint8Array(view.buffer);
}

/** A header as HPACK's literal without indexing, both strings shorter than 127 bytes. */
function header(name: string, value: string): Uint8Array {
  return join(
    new Uint8Array([0, name.length]),
    text(name),
    new Uint8Array([value.length]),
    text(value),
  );
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
