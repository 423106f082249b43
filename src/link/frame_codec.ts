/** Frames to bytes and back (docs/decisions/0002-links.md). */

import { ERROR_CODES, type ErrorCode, NetworkError } from "../base/errors.ts";
import { bytesTag, ProtoReader, ProtoWriter, varintTag } from "../base/protobuf.ts";
import type { Body, Frame, Message, OutgoingMessage, ReportedLoad } from "./frame.ts";

const FRAME_MESSAGES = bytesTag(1);
const FRAME_LOAD = bytesTag(2);
const LOAD_RUNNING = varintTag(1);
const LOAD_QUEUED = varintTag(2);
const LOAD_SLOTS = varintTag(3);
const LOAD_CALLS_RECEIVED = varintTag(4);
const LOAD_MODEL_CALLS = varintTag(5);
const MESSAGE_KIND = varintTag(1);
const MESSAGE_CALL = varintTag(2);
const MESSAGE_METHOD = bytesTag(3);
const MESSAGE_BODY = bytesTag(4);
const MESSAGE_ERROR_CODE = varintTag(5);
const MESSAGE_RETRY_AFTER_MS = varintTag(6);
const MESSAGE_CREDIT = varintTag(7);

/**
 * Messages of one frame at most: of the shortest 22,000 fit into what is sent at once, and as many
 * as fit into the largest frame would take a gigabyte.
 */
const MAX_MESSAGES = 65_536;
/** Numbers, tags and lengths of a load, or of a message, take no more than this. */
const NUMBERS_BOUND = 64;
/** Of a message that is no error and grants no credit: most fit into 127 bytes with their body. */
const FEW_NUMBERS_BOUND = 24;

const EMPTY = new Uint8Array(0);
const CODE_NUMBERS = new Map(ERROR_CODES.map((code, index) => [code, index + 1]));

/** Writes frames into one buffer that grows and is used again. */
export class FrameWriter {
  readonly #proto = new ProtoWriter();

  /** Bytes written since the last {@linkcode take}. */
  get length(): number {
    return this.#proto.length;
  }

  /** Appends one message and returns how many bytes its body takes. */
  message(message: OutgoingMessage): number {
    const proto = this.#proto;
    const { body = EMPTY, method } = message;
    const bodyBound = boundOf(body);
    const numbers = message.errorCode || message.credit ? NUMBERS_BOUND : FEW_NUMBERS_BOUND;
    const bound = bodyBound + (method === undefined ? 0 : method.length * 3) + numbers;
    proto.reserve(bound + NUMBERS_BOUND);
    const start = proto.begin(FRAME_MESSAGES, bound);
    proto.small(MESSAGE_KIND, message.kind);
    if (message.call) proto.number(MESSAGE_CALL, message.call);
    if (method) proto.string(MESSAGE_METHOD, method);
    const bodyBytes = bodyBound === 0 ? 0 : this.#body(body, bodyBound);
    if (message.errorCode) proto.small(MESSAGE_ERROR_CODE, CODE_NUMBERS.get(message.errorCode)!);
    if (message.retryAfterMs) {
      proto.number(MESSAGE_RETRY_AFTER_MS, Math.ceil(message.retryAfterMs));
    }
    if (message.credit) proto.number(MESSAGE_CREDIT, message.credit);
    proto.end(start, bound);
    return bodyBytes;
  }

  #body(body: Body, bound: number): number {
    const proto = this.#proto;
    if (typeof body === "string") return proto.string(MESSAGE_BODY, body);
    if (body instanceof Uint8Array) {
      proto.bytes(MESSAGE_BODY, body);
      return body.length;
    }
    const start = proto.begin(MESSAGE_BODY, bound);
    const before = proto.length;
    body.encode(proto);
    const bytes = proto.length - before;
    proto.end(start, bound);
    return bytes;
  }

  /** Appends the sender's load. */
  load(load: ReportedLoad): void {
    const proto = this.#proto;
    proto.reserve(NUMBERS_BOUND);
    const start = proto.begin(FRAME_LOAD, NUMBERS_BOUND);
    if (load.running > 0) proto.number(LOAD_RUNNING, load.running);
    if (load.queued > 0) proto.number(LOAD_QUEUED, load.queued);
    if (load.slots > 0) proto.number(LOAD_SLOTS, load.slots);
    if (load.callsReceived > 0) proto.number(LOAD_CALLS_RECEIVED, load.callsReceived);
    if (load.modelCalls > 0) proto.number(LOAD_MODEL_CALLS, load.modelCalls);
    proto.end(start, NUMBERS_BOUND);
  }

  /** The bytes written so far, as a copy of their own; the writer begins anew. */
  take(): Uint8Array {
    return this.#proto.take();
  }
}

/** Bytes that a body takes at most. */
export function boundOf(body: Body): number {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (typeof body === "string") return body.length * 3;
  return body instanceof Uint8Array ? body.length : body.bound;
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
  const reader = new ProtoReader("frame", bytes);
  const messages: Message[] = [];
  let load: ReportedLoad | undefined;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === FRAME_MESSAGES) messages.push(readMessage(reader.nested()));
    else if (tag === FRAME_LOAD) load = readLoad(reader.nested());
    else reader.skip(tag);
    if (messages.length > MAX_MESSAGES) {
      throw new NetworkError("PROTOCOL", "Cannot read frame: it has too many messages.");
    }
  }
  return { messages, load };
}

function readMessage(reader: ProtoReader): Message {
  let kind = 0;
  let call = 0;
  let method = "";
  let body: Uint8Array = EMPTY;
  let errorCode: ErrorCode | undefined;
  let retryAfterMs = 0;
  let credit = 0;
  while (!reader.atEnd) {
    const tag = reader.number();
    switch (tag) {
      case MESSAGE_KIND:
        kind = reader.number();
        break;
      case MESSAGE_CALL:
        call = reader.number();
        break;
      case MESSAGE_METHOD:
        method = reader.string();
        break;
      case MESSAGE_BODY:
        body = reader.bytes();
        break;
      case MESSAGE_ERROR_CODE: {
        const number = reader.number();
        // A code of a later version is still an error.
        errorCode = number === 0 ? undefined : ERROR_CODES[number - 1] ?? "INTERNAL";
        break;
      }
      case MESSAGE_RETRY_AFTER_MS:
        retryAfterMs = reader.number();
        break;
      case MESSAGE_CREDIT:
        credit = reader.number();
        break;
      default:
        reader.skip(tag);
    }
  }
  return { kind, call, method, body, errorCode, retryAfterMs, credit };
}

function readLoad(reader: ProtoReader): ReportedLoad {
  let running = 0;
  let queued = 0;
  let slots = 0;
  let callsReceived = 0;
  let modelCalls = 0;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === LOAD_RUNNING) running = reader.number();
    else if (tag === LOAD_QUEUED) queued = reader.number();
    else if (tag === LOAD_SLOTS) slots = reader.number();
    else if (tag === LOAD_CALLS_RECEIVED) callsReceived = reader.number();
    else if (tag === LOAD_MODEL_CALLS) modelCalls = reader.number();
    else reader.skip(tag);
  }
  return { running, queued, slots, callsReceived, modelCalls };
}
