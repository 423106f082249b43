/** A response as the bytes that go out. */

import type { Clock } from "../../base/clock.ts";

/** Where bytes go; `Deno.Conn` is one. */
export interface ByteSink {
  /** Takes some of `bytes`; resolves to how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** What an answer depends on besides the response. */
export interface AnswerSetting {
  readonly sink: ByteSink;
  readonly clock: Clock;
  /** Headers of every answer that does not set them itself. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Of the request. */
  readonly method: string;
  readonly isHttp10: boolean;
  /** Whether the connection is closed behind it. */
  readonly closes: boolean;
  /** Resolves when nobody is there any more to read it. */
  readonly lost?: Promise<unknown>;
}

/** What is ready is sent together, up to this. */
const FLUSH_BYTES = 65_536;
/** Turns of the queue of promises after which a piece of a body is not ready yet. */
const READY_TURNS = 10;
/** This server's own affair, whatever a handler sets. */
const FRAMING = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);
const LAST_CHUNK = Uint8Array.from("0\r\n\r\n", (char) => char.charCodeAt(0));
const CRLF = LAST_CHUNK.subarray(-2);

const STATUS_TEXTS: Record<number, string> = {
  200: "OK",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** What a client that asks for leave to send its body is told. */
export const CONTINUE: Uint8Array = latin1("HTTP/1.1 100 Continue\r\n\r\n");

/**
 * Sends a response. A body that is there as a whole is sent with its length, one that is still
 * being made piece by piece, each as soon as it is there.
 *
 * @throws What the body fails with, or the connection. It is of no more use then.
 */
export async function writeAnswer(response: Response, setting: AnswerSetting): Promise<void> {
  const { sink, method, isHttp10, lost } = setting;
  const { status, body } = response;
  const isBodiless = status === 204 || status === 304;
  if (method === "HEAD" || isBodiless || body === null) {
    const length = method === "HEAD" || isBodiless ? "" : "content-length: 0\r\n";
    await writeAll(sink, latin1(headOf(response, setting, length)));
    await body?.cancel();
    return;
  }
  const pieces = new Pieces(body.getReader());
  lost?.then(() => pieces.cancel());
  await pieces.gather();
  if (pieces.isEnd) {
    const head = headOf(response, setting, `content-length: ${pieces.size}\r\n`);
    return await writeAll(sink, latin1(head), ...pieces.take());
  }
  const frame = isHttp10 ? (pieces: Uint8Array[]) => pieces : chunk;
  const framing = isHttp10 ? "" : "transfer-encoding: chunked\r\n";
  await writeAll(sink, latin1(headOf(response, setting, framing)), ...frame(pieces.take()));
  while (!pieces.isEnd) {
    await pieces.next();
    await pieces.gather();
    const last = pieces.isEnd && !isHttp10 ? [LAST_CHUNK] : [];
    await writeAll(sink, ...frame(pieces.take()), ...last);
  }
}

/** The pieces of a body that were read and not sent yet. */
class Pieces {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #pieces: Uint8Array[] = [];
  #pending: Promise<ReadableStreamReadResult<Uint8Array>>;
  size = 0;
  isEnd = false;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
    this.#pending = this.#read();
  }

  /** Waits for a piece, or the end. */
  async next(): Promise<void> {
    this.#add(await this.#pending);
  }

  /** Reads what is there without waiting for what is not. */
  async gather(): Promise<void> {
    while (!this.isEnd) {
      const read = await ifReady(this.#pending);
      // That it is the end is looked at in any case: then the length is known.
      if (read === undefined || (!read.done && this.size >= FLUSH_BYTES)) return;
      this.#add(read);
    }
  }

  take(): Uint8Array[] {
    const taken = this.#pieces;
    this.#pieces = [];
    this.size = 0;
    return taken;
  }

  cancel(): void {
    this.#reader.cancel().catch(() => {});
  }

  #add({ done, value }: ReadableStreamReadResult<Uint8Array>): void {
    this.isEnd = done;
    if (done) return;
    this.#pieces.push(value);
    this.size += value.length;
    this.#pending = this.#read();
  }

  #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    const read = this.#reader.read();
    // It may fail when nobody waits for it any more.
    read.catch(() => {});
    return read;
  }
}

/** What `promise` resolves to if that is known by now, or nearly. */
async function ifReady<T>(promise: Promise<T>): Promise<T | undefined> {
  let value: T | undefined;
  promise.then((resolved) => value = resolved, () => {});
  for (let turn = 0; value === undefined && turn < READY_TURNS; turn++) await undefined;
  return value;
}

function headOf(response: Response, setting: AnswerSetting, framing: string): string {
  const { status, headers } = response;
  let head = `HTTP/1.1 ${status} ${STATUS_TEXTS[status] ?? ""}\r\n`;
  for (const [name, value] of headers) {
    if (!FRAMING.has(name)) head += `${name}: ${value}\r\n`;
  }
  for (const [name, value] of setting.headers) {
    if (!headers.has(name)) head += `${name}: ${value}\r\n`;
  }
  if (setting.closes) head += "connection: close\r\n";
  return `${head}date: ${new Date(setting.clock.wallTime()).toUTCString()}\r\n${framing}\r\n`;
}

/** An empty chunk would be the last. */
function chunk(pieces: Uint8Array[]): Uint8Array[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return length === 0 ? [] : [latin1(`${length.toString(16)}\r\n`), ...pieces, CRLF];
}

async function writeAll(sink: ByteSink, ...pieces: Uint8Array[]): Promise<void> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  // One write costs more than to copy a little.
  for (const bytes of length <= FLUSH_BYTES ? [concat(pieces, length)] : pieces) {
    for (let sent = 0; sent < bytes.length;) sent += await sink.write(bytes.subarray(sent));
  }
}

function concat(pieces: Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function latin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
