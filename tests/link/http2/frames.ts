/** More HTTP/2 frames made by hand: those of attackers (RFC 9113). */

import { frame, integers, join, request } from "../goaway/frames.ts";

const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const SETTINGS = 4;
const CONTINUATION = 9;

const END_STREAM = 1;
const END_HEADERS = 4;

/** What a link is called with. */
export const LINK_PATH = "/hanzo.network.v1.Network/Link";
/** What existing peers ask most often. */
export const HEALTH_PATH = "/node_service.NodeService/HealthCheck";

export const data = (stream: number, payload: Uint8Array, end = false): Uint8Array =>
  frame(DATA, end ? END_STREAM : 0, stream, payload);
export const priority = (stream: number): Uint8Array =>
  frame(PRIORITY, 0, stream, new Uint8Array([0, 0, 0, 3, 16]));
export const continuation = (stream: number, block: Uint8Array): Uint8Array =>
  frame(CONTINUATION, 0, stream, block);
/** SETTINGS of one: how much the other side may send on a stream. */
export const initialWindow = (bytes: number): Uint8Array =>
  frame(SETTINGS, 0, 0, join(new Uint8Array([0, 4]), integers(bytes)));

/** A call with these headers behind those of every call. */
export const call = (
  stream: number,
  block: Uint8Array,
  { isComplete = true } = {},
): Uint8Array => {
  const usual = request(stream, LINK_PATH).subarray(9);
  return frame(HEADERS, isComplete ? END_HEADERS : 0, stream, join(usual, block));
};

/** `count` headers of one letter each, which are not sent again. */
export const manyHeaders = (count: number): Uint8Array =>
  repeat(join(new Uint8Array([0, 1, 0x61, 1, 0x62])), count);

/** A header of 4,000 bytes, and `count` bytes that stand for it. */
export const headerBomb = (count: number): Uint8Array =>
  join(
    // Literal with indexing; the name "a"; a value of 127 + 3,873 bytes.
    new Uint8Array([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]),
    new Uint8Array(4_000).fill(0x78),
    // Index 62: the one that was kept last.
    new Uint8Array(count).fill(0xbe),
  );

/** The same bytes again and again. */
export function repeat(bytes: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
  const repeated = new Uint8Array(bytes.length * count);
  for (let i = 0; i < count; i++) repeated.set(bytes, i * bytes.length);
  return repeated;
}

/** A message as gRPC frames it, or as one that lies about its length does. */
export function grpcMessage(
  payload: Uint8Array,
  { length = payload.length, isCompressed = false } = {},
): Uint8Array<ArrayBuffer> {
  return join(new Uint8Array([isCompressed ? 1 : 0]), integers(length), payload);
}
