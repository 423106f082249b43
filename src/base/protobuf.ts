/**
 * The wire format of protobuf by hand (https://protobuf.dev/programming-guides/encoding): the
 * runtime of a generated codec costs 30 ms at start and a fifth of a link's throughput.
 */

import { NetworkError } from "./errors.ts";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The tag of a field that holds a number or an enum; up to field 15 it is one byte. */
export function varintTag(field: number): number {
  return (field << 3) | VARINT;
}

/** The tag of a field that holds bytes, a string or a message; up to field 15 it is one byte. */
export function bytesTag(field: number): number {
  return (field << 3) | BYTES;
}

const textEncoder = new TextEncoder();
// A text may begin with a byte order mark, which is a part of it: without it, a key is another key.
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Up to here a string of ASCII is faster read and written by hand than by the system. */
const SHORT = 64;

/** What a field's bytes say. What is no UTF-8 becomes the replacement character. */
export function textOfUtf8(bytes: Uint8Array): string {
  return textDecoder.decode(bytes);
}

/** A writer that was made large by one message does not stay so. */
const MOST_KEPT = 1024 * 1024;

/** Writes into one buffer that grows and is used again. Tags are one byte: fields 1 to 15. */
export class ProtoWriter {
  // Small: most links of a large network carry a ping now and then. It grows with what is written.
  #buffer = new Uint8Array(256);
  #length = 0;

  /** Bytes written since the last {@linkcode take}. */
  get length(): number {
    return this.#length;
  }

  /** Makes room for so many bytes more: the methods below write without looking. */
  reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    // Of what is no text: written all the same, it would spoil what stands before it.
    if (Number.isNaN(needed)) throw new TypeError("Cannot write a message: it has no length.");
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }

  /** A number below 128, in two bytes with its tag. */
  small(tag: number, value: number): void {
    this.#buffer[this.#length++] = tag;
    this.#buffer[this.#length++] = value;
  }

  /** A whole number of up to 53 bits, in at most 9 bytes with its tag. */
  number(tag: number, value: number): void {
    this.#buffer[this.#length++] = tag;
    this.#length = writeVarint(this.#buffer, this.#length, value);
  }

  /** Bytes as they are. */
  bytes(tag: number, bytes: Uint8Array): void {
    this.number(tag, bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A string; returns how many bytes of UTF-8 it takes: three for each of its units at most. */
  string(tag: number, text: string): number {
    if (text.length <= SHORT && this.#ascii(tag, text)) return text.length;
    const start = this.begin(tag, text.length * 3);
    const { written } = textEncoder.encodeInto(text, this.#buffer.subarray(this.#length));
    this.#length += written;
    this.end(start, text.length * 3);
    return written;
  }

  /**
   * Begins a nested message of at most `bound` bytes, and returns what {@linkcode end} is to be
   * given: its length is not known yet, so it is written behind room for the longest.
   */
  begin(tag: number, bound: number): number {
    this.#buffer[this.#length++] = tag;
    const start = this.#length;
    this.#length += varintLength(bound);
    return start;
  }

  /** Ends it, and closes up what room is left. */
  end(start: number, bound: number): void {
    const reserved = varintLength(bound);
    const length = this.#length - start - reserved;
    const needed = varintLength(length);
    if (needed < reserved) {
      this.#buffer.copyWithin(start + needed, start + reserved, this.#length);
      this.#length -= reserved - needed;
    }
    writeVarint(this.#buffer, start, length);
  }

  /** The bytes written so far, as a copy of their own; the writer begins anew. */
  take(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > MOST_KEPT) this.#buffer = new Uint8Array(256);
    return bytes;
  }

  #ascii(tag: number, text: string): boolean {
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = tag;
    buffer[at++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      buffer[at++] = unit;
    }
    this.#length = at;
    return true;
  }
}

/** A message that writes itself: there is no copy of it in between. */
export interface Encodable {
  /** Bytes that it takes at most. */
  readonly bound: number;
  /** Writes its fields; the room for them is there. */
  encode(writer: ProtoWriter): void;
}

/** The bytes of a message. */
export function encoded(message: Encodable): Uint8Array {
  const writer = new ProtoWriter();
  writer.reserve(message.bound);
  message.encode(writer);
  return writer.take();
}

/** Reads fields one after the other. What it returns as bytes are views, not copies. */
export class ProtoReader {
  readonly #what: string;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  /** @param what What is read, for errors: `Cannot read …`. */
  constructor(what: string, bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#what = what;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Whether all fields are read. */
  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /**
   * A tag, or a number of up to 53 bits, which is all that is used here.
   *
   * @throws {NetworkError} `PROTOCOL`, as all methods do, when it goes beyond the bytes there are.
   */
  number(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      if (this.#at >= this.#end) throw this.#truncated();
      const byte = this.#bytes[this.#at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw new NetworkError(
      "PROTOCOL",
      `Cannot read ${this.#what}: a number has more than 53 bits.`,
    );
  }

  /** A reader of a nested message. */
  nested(): ProtoReader {
    const start = this.#skipBytes();
    return new ProtoReader(this.#what, this.#bytes, start, this.#at);
  }

  /** Bytes as they are. */
  bytes(): Uint8Array {
    const start = this.#skipBytes();
    return this.#bytes.subarray(start, this.#at);
  }

  /** A string. What is no UTF-8 becomes the replacement character. */
  string(): string {
    const start = this.#skipBytes();
    const end = this.#at;
    if (end - start <= SHORT) {
      let all = 0;
      for (let i = start; i < end; i++) all |= this.#bytes[i];
      // In one call, not unit by unit: that would make a string of strings.
      if (all < 0x80) return String.fromCharCode.apply(null, this.#units(start, end));
    }
    return textOfUtf8(this.#bytes.subarray(start, end));
  }

  /** Leaves out a field that is not known: a later version may have added it. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        return this.#skipVarint();
      case FIXED64:
        return this.#skip(8);
      case BYTES:
        return void this.#skipBytes();
      case FIXED32:
        return this.#skip(4);
      default:
        throw new NetworkError(
          "PROTOCOL",
          `Cannot read ${this.#what}: wire type ${tag & 7} is unknown.`,
        );
    }
  }

  #units(start: number, end: number): number[] {
    return this.#bytes.subarray(start, end) as unknown as number[];
  }

  /** Goes behind a length and so many bytes, and returns where these begin. */
  #skipBytes(): number {
    const length = this.number();
    const start = this.#at;
    this.#skip(length);
    return start;
  }

  #skip(length: number): void {
    if (length > this.#end - this.#at) throw this.#truncated();
    this.#at += length;
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if (this.#at >= this.#end) throw this.#truncated();
      if (this.#bytes[this.#at++] < 0x80) return;
    }
    throw new NetworkError(
      "PROTOCOL",
      `Cannot read ${this.#what}: a number has more than 64 bits.`,
    );
  }

  #truncated(): NetworkError {
    return new NetworkError("PROTOCOL", `Cannot read ${this.#what}: it ends in the middle.`);
  }
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
