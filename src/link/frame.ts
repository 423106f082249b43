/** What goes over a link, as this program holds it; `proto/` says what each part means. */

import type { ErrorCode } from "../base/errors.ts";
import type { Encodable } from "../base/protobuf.ts";

/** What a message is about; the numbers are those of `Kind` in `proto/`. */
export const Kind = {
  Hello: 1,
  Goodbye: 2,
  Ping: 3,
  Pong: 4,
  Notice: 5,
  Call: 6,
  Item: 7,
  End: 8,
  Cancel: 9,
  Credit: 10,
  Retire: 11,
} as const;

/** One of {@linkcode Kind}'s numbers. */
export type Kind = (typeof Kind)[keyof typeof Kind];

/** What a message carries: strings and messages are written without a copy in between. */
export type Body = string | Uint8Array | Encodable;

/** One message, as it is sent. */
export interface OutgoingMessage {
  readonly kind: Kind;
  readonly call?: number;
  readonly method?: string;
  readonly body?: Body;
  readonly errorCode?: ErrorCode;
  readonly retryAfterMs?: number;
  readonly credit?: number;
}

/** One message, as it was received. What was not sent is 0, "" or empty. */
export interface Message {
  readonly kind: number;
  readonly call: number;
  readonly method: string;
  readonly body: Uint8Array;
  readonly errorCode: ErrorCode | undefined;
  readonly retryAfterMs: number;
  readonly credit: number;
}

/** How busy a node is. */
export interface Load {
  /** Tasks that occupy a slot. */
  readonly running: number;
  /** Tasks that wait for one. */
  readonly queued: number;
  /** How many tasks run at a time. */
  readonly slots: number;
  /** Calls of models that are under way at its engines: these take no slot. */
  readonly modelCalls: number;
}

/** As a node is that has not said it yet. */
export const NO_LOAD: Load = { running: 0, queued: 0, slots: 1, modelCalls: 0 };

/** How busy the other side of a link was when it last said so. */
export interface ReportedLoad extends Load {
  /** How many calls it had received on this link by then. */
  readonly callsReceived: number;
}

/** What goes onto the wire at once. */
export interface Frame {
  readonly messages: readonly Message[];
  readonly load: ReportedLoad | undefined;
}
