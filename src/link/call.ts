/** A call over a link, as each side holds it. */

import type { Cancellation } from "../base/cancellation.ts";
import { NetworkError } from "../base/errors.ts";
import { encoded } from "../base/protobuf.ts";
import type { Body } from "./frame.ts";
import { boundOf } from "./frame_codec.ts";

/** Bytes of items that a caller takes before it must have consumed some. */
export const CREDIT_WINDOW: number = 256 * 1024;
/**
 * What an item costs beside its bytes: others on the link wait for the work that it makes, some 20 µs
 * on each side, and ten thousand empty ones would have been let in at once.
 */
const ITEM_COST = 512;

/** What an item takes of the window; both sides count the same. */
export function creditOf(bytes: number): number {
  return bytes + ITEM_COST;
}

/** The longest body of one message; gRPC's own limit lies above it. */
export const MAX_BODY_BYTES: number = 16 * 1024 * 1024;
/** A frame may end with a message of the longest body, behind others that waited. */
export const MAX_FRAME_BYTES: number = MAX_BODY_BYTES + 1024 * 1024;

/** How a call that this side made came to its end. */
export type CallEnd =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly error: NetworkError };

/** Takes the answer to a call. */
export interface CallSink {
  /** One item; tell {@linkcode OutgoingCall.consumed} when it has been dealt with. */
  onItem(body: Uint8Array): void;
  /**
   * The end, exactly once. Its error is `UNKNOWN_OUTCOME` when the link broke after the call had
   * gone out, and `UNAVAILABLE` when it broke before.
   */
  onEnd(end: CallEnd): void;
}

/** A call that this side made. */
export interface OutgoingCall {
  /** Asks the other side to stop; the end still comes. */
  cancel(): void;
  /** Makes room for another item, where one of so many bytes was. To be told of each. */
  consumed(bytes: number): void;
}

/** A call that the other side made. */
export interface IncomingCall {
  readonly method: string;
  readonly body: Uint8Array;
  /** Asked for when the caller cancels or is lost; whoever serves the call may ask, too. */
  readonly cancellation: Cancellation;
  /**
   * Sends an empty item that may wait for the next one, but no longer than a turn of the event
   * loop: a sign of life that costs no frame of its own when the answer comes at once.
   */
  begin(): void;
  /**
   * Sends one item. A returned promise settles when the caller can take more; until then nothing
   * more should be sent.
   */
  send(body: Body): Promise<void> | undefined;
  /** Ends the answer, with its last item. */
  end(body?: Body): void;
  /** Ends the answer with an error. */
  fail(error: NetworkError): void;
}

/**
 * Checks a body before anything is sent.
 *
 * @throws {NetworkError} `RESOURCE_EXHAUSTED` when it is too long.
 */
export function checkBody(body: Body): void {
  // Most are far below.
  if (boundOf(body) <= MAX_BODY_BYTES) return;
  const bytes = bytesOf(body).length;
  if (bytes <= MAX_BODY_BYTES) return;
  throw new NetworkError(
    "RESOURCE_EXHAUSTED",
    `Cannot send ${bytes} bytes in one message: at most ${MAX_BODY_BYTES} are taken. ` +
      `Send less, or in several pieces.`,
  );
}

/** The bytes of a body. */
export function bytesOf(body: Body): Uint8Array {
  if (typeof body === "string") return new TextEncoder().encode(body);
  return body instanceof Uint8Array ? body : encoded(body);
}
