/**
 * Frames to bytes and back: protobuf by hand, because the generated codec's runtime costs 30 ms at
 * start and a fifth of the throughput (docs/decisions/0002-links.md).
 */

import { ERROR_CODES, type ErrorCode, NetworkError } from "../base/errors.ts";
import type { Frame, Message, OutgoingMessage, ReportedLoad } from "./frame.ts";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

// Field numbers and wire types in one byte each: (field << 3) | wire type.
const FRAME_MESSAGES = (1 << 3) | BYTES;
const FRAME_LOAD = (2 << 3) | BYTES;
const LOAD_RUNNING = (1 << 3) | VARINT;
const LOAD_QUEUED = (2 << 3) | VARINT;
const LOAD_SLOTS = (3 << 3) | VARINT;
const LOAD_CALLS_RECEIVED = (4 << 3) | VARINT;
const MESSAGE_KIND = (1 << 3) | VARINT;
const MESSAGE_CALL = (2 << 3) | VARINT;
const MESSAGE_METHOD = (3 << 3) | BYTES;
const MESSAGE_BODY = (4 << 3) | BYTES;
const MESSAGE_ERROR_CODE = (5 << 3) | VARINT;
const MESSAGE_RETRY_AFTER_MS = (6 << 3) | VARINT;
const MESSAGE_CREDIT = (7 << 3) | VARINT;

/**
 * Messages of one frame at most: of the shortest 22,000 fit into what is sent at once, and as many
 * as fit into the largest frame would take a gigabyte.
 */
const MAX_MESSAGES = 65_536;

const EMPTY = new Uint8Array(0);
const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();
const CODE_NUMBERS = new Map(ERROR_CODES.map((code, index) => [code, index + 1]));

/** Writes frames into one buffer that grows and is used again. */
export class FrameWriter {
  // Small: most links of a large network carry a ping now and then. It grows with what is written.
  #buffer = new Uint8Array(256);
  #length = 0;

  /** Bytes written since the last {@linkcode take}. */
  get length(): number {
    return this.#length;
  }

  /** Appends one message and returns how many bytes its body takes. */
  message(message: OutgoingMessage): number {
    const { body = EMPTY, method } = message;
    // A UTF-16 unit takes at most three bytes of UTF-8.
    const bodyBound = typeof body === "string" ? body.length * 3 : body.length;
    this.#reserve(bodyBound + (method === undefined ? 0 : method.length * 3) + 64);
    this.#buffer[this.#length++] = FRAME_MESSAGES;
    const start = this.#length;
    // The length is not known yet: write behind room for the longest it can be, then close up.
    const lengthBytes = varintLength(bodyBound + 64 + (method?.length ?? 0) * 3);
    this.#length += lengthBytes;
    this.#byteField(MESSAGE_KIND, message.kind);
    if (message.call) this.#varintField(MESSAGE_CALL, message.call);
    if (method) this.#stringField(MESSAGE_METHOD, method);
    let bodyBytes = 0;
    if (body.length > 0) {
      bodyBytes = typeof body === "string"
        ? this.#stringField(MESSAGE_BODY, body)
        : this.#bytesField(MESSAGE_BODY, body);
    }
    if (message.errorCode) {
      this.#byteField(MESSAGE_ERROR_CODE, CODE_NUMBERS.get(message.errorCode)!);
    }
    if (message.retryAfterMs) {
      this.#varintField(MESSAGE_RETRY_AFTER_MS, Math.ceil(message.retryAfterMs));
    }
    if (message.credit) this.#varintField(MESSAGE_CREDIT, message.credit);
    this.#closeUp(start, lengthBytes);
    return bodyBytes;
  }

  /** Appends the sender's load. */
  load(load: ReportedLoad): void {
    this.#reserve(64);
    this.#buffer[this.#length++] = FRAME_LOAD;
    const start = this.#length++;
    if (load.running > 0) this.#varintField(LOAD_RUNNING, load.running);
    if (load.queued > 0) this.#varintField(LOAD_QUEUED, load.queued);
    if (load.slots > 0) this.#varintField(LOAD_SLOTS, load.slots);
    if (load.callsReceived > 0) this.#varintField(LOAD_CALLS_RECEIVED, load.callsReceived);
    this.#closeUp(start, 1);
  }

  /** The bytes written so far, as a copy of their own; the writer begins anew. */
  take(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #closeUp(start: number, reserved: number): void {
    const length = this.#length - start - reserved;
    const needed = varintLength(length);
    if (needed < reserved) {
      this.#buffer.copyWithin(start + needed, start + reserved, this.#length);
      this.#length -= reserved - needed;
    }
    writeVarint(this.#buffer, start, length);
  }

  #byteField(tag: number, value: number): void {
    this.#buffer[this.#length++] = tag;
    this.#buffer[this.#length++] = value;
  }

  #varintField(tag: number, value: number): void {
    this.#buffer[this.#length++] = tag;
    this.#length = writeVarint(this.#buffer, this.#length, value);
  }

  #bytesField(tag: number, bytes: Uint8Array): number {
    this.#varintField(tag, bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return bytes.length;
  }

  #stringField(tag: number, text: string): number {
    this.#buffer[this.#length++] = tag;
    const start = this.#length;
    const reserved = varintLength(text.length * 3);
    this.#length += reserved;
    const { written } = textEncoder.encodeInto(text, this.#buffer.subarray(this.#length));
    this.#length += written;
    this.#closeUp(start, reserved);
    return written;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** The bytes of one frame. */
export function encodeFrame(messages: readonly OutgoingMessage[], load?: ReportedLoad): Uint8Array {
  const writer = new FrameWriter();
  for (const message of messages) writer.message(message);
  if (load !== undefined) writer.load(load);
  return writer.take();
}

/**
 * Reads one frame. Bodies are views of `bytes`, not copies. Unknown fields are skipped, so that a
 * later version may add some.
 *
 * @throws {NetworkError} `PROTOCOL` when there is nothing in it, a length or number goes beyond the
 * bytes there are, or there are too many messages.
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length === 0) throw new NetworkError("PROTOCOL", "Cannot read frame: it is empty.");
  const reader = new Reader(bytes);
  const messages: Message[] = [];
  let load: ReportedLoad | undefined;
  while (!reader.atEnd) {
    const tag = reader.varint();
    if (tag === FRAME_MESSAGES) messages.push(readMessage(reader.nested()));
    else if (tag === FRAME_LOAD) load = readLoad(reader.nested());
    else reader.skip(tag);
    if (messages.length > MAX_MESSAGES) {
      throw new NetworkError("PROTOCOL", "Cannot read frame: it has too many messages.");
    }
  }
  return { messages, load };
}

function readMessage(reader: Reader): Message {
  let kind = 0;
  let call = 0;
  let method = "";
  let body: Uint8Array = EMPTY;
  let errorCode: ErrorCode | undefined;
  let retryAfterMs = 0;
  let credit = 0;
  while (!reader.atEnd) {
    const tag = reader.varint();
    switch (tag) {
      case MESSAGE_KIND:
        kind = reader.varint();
        break;
      case MESSAGE_CALL:
        call = reader.varint();
        break;
      case MESSAGE_METHOD:
        method = reader.shortText();
        break;
      case MESSAGE_BODY:
        body = reader.bytes();
        break;
      case MESSAGE_ERROR_CODE: {
        const number = reader.varint();
        // A code of a later version is still an error.
        errorCode = number === 0 ? undefined : ERROR_CODES[number - 1] ?? "INTERNAL";
        break;
      }
      case MESSAGE_RETRY_AFTER_MS:
        retryAfterMs = reader.varint();
        break;
      case MESSAGE_CREDIT:
        credit = reader.varint();
        break;
      default:
        reader.skip(tag);
    }
  }
  return { kind, call, method, body, errorCode, retryAfterMs, credit };
}

function readLoad(reader: Reader): ReportedLoad {
  let running = 0;
  let queued = 0;
  let slots = 0;
  let callsReceived = 0;
  while (!reader.atEnd) {
    const tag = reader.varint();
    if (tag === LOAD_RUNNING) running = reader.varint();
    else if (tag === LOAD_QUEUED) queued = reader.varint();
    else if (tag === LOAD_SLOTS) slots = reader.varint();
    else if (tag === LOAD_CALLS_RECEIVED) callsReceived = reader.varint();
    else reader.skip(tag);
  }
  return { running, queued, slots, callsReceived };
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** A number of up to 53 bits, which is all that this protocol uses. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      if (this.#at >= this.#end) throw truncated();
      const byte = this.#bytes[this.#at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw new NetworkError("PROTOCOL", "Cannot read frame: a number has more than 53 bits.");
  }

  nested(): Reader {
    const end = this.#take(this.varint());
    return new Reader(this.#bytes, end.start, end.end);
  }

  bytes(): Uint8Array {
    const { start, end } = this.#take(this.varint());
    return this.#bytes.subarray(start, end);
  }

  shortText(): string {
    const { start, end } = this.#take(this.varint());
    // Names of methods are a few ASCII letters: quicker by hand than through the decoder.
    let text = "";
    for (let i = start; i < end && i - start < 32; i++) {
      const byte = this.#bytes[i];
      if (byte > 0x7f) break;
      text += String.fromCharCode(byte);
    }
    return text.length === end - start
      ? text
      : textDecoder.decode(this.#bytes.subarray(start, end));
  }

  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        this.#skipVarint();
        break;
      case FIXED64:
        this.#take(8);
        break;
      case BYTES:
        this.#take(this.varint());
        break;
      case FIXED32:
        this.#take(4);
        break;
      default:
        throw new NetworkError("PROTOCOL", `Cannot read frame: wire type ${tag & 7} is unknown.`);
    }
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if (this.#at >= this.#end) throw truncated();
      if (this.#bytes[this.#at++] < 0x80) return;
    }
    throw new NetworkError("PROTOCOL", "Cannot read frame: a number has more than 64 bits.");
  }

  #take(length: number): { start: number; end: number } {
    const start = this.#at;
    if (length > this.#end - start) throw truncated();
    this.#at = start + length;
    return { start, end: this.#at };
  }
}

function truncated(): NetworkError {
  return new NetworkError("PROTOCOL", "Cannot read frame: it ends in the middle.");
}

function varintLength(value: number): number {
  let length = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}

function writeVarint(buffer: Uint8Array, at: number, value: number): number {
  while (value >= 128) {
    buffer[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  buffer[at++] = value;
  return at;
}
