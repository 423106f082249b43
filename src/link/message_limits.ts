/**
 * How long messages may be that come in, and how many: for each method, and for all that are under
 * way together. grpc-js has one limit for all methods of a server, and none for all calls.
 */

import type * as grpc from "@grpc/grpc-js";
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { Clock } from "../base/clock.ts";

/** What a method takes. */
export interface MessageLimit {
  /** Of one message, as it comes and inflated. */
  readonly maxBytes: number;
  /** Whether a message may be compressed. A kilobyte can be inflated to a mebibyte. */
  readonly compressed: boolean;
  /** Of one call. */
  readonly maxMessages: number;
}

/** What {@linkcode messageLimits} are made of. */
export interface MessageLimitsOptions {
  /** What the method at a path takes. */
  readonly limitOf: (path: string) => MessageLimit;
  readonly clock: Clock;
  /**
   * Is told the connection, as gRPC names its other side, that is ended because of what no client
   * sends.
   */
  readonly onFlood: (peer: string) => void;
  /**
   * Of messages whose end has not come, on all connections together.
   *
   * @default {268435456}
   */
  readonly maxHeldBytes?: number;
}

const MAX_HELD_BYTES = 256 * 1024 * 1024;
/**
 * In how many pieces a message may come. Frames of HTTP/2 have kilobytes; grpc-js keeps each as it
 * is, with 150 bytes around it, which makes gigabytes of a message that comes byte by byte.
 */
const FREE_PIECES = 1_000;
const LEAST_PIECE_BYTES = 256;

/**
 * What is used of grpc-js's own: a call that is being served, from 1.10 to 1.14 at least. Where it
 * is not there, the limits of the server as a whole are left.
 */
interface Internals {
  readonly stream?: ServerHttp2Stream;
  incomingEncoding?: string;
  maxReceiveMessageSize?: number;
  readonly decoder?: {
    maxReadMessageLength: number;
    /** Of the message that is being read, and of what is still to come of it. */
    readonly readMessageSize: number;
    readonly readMessageRemaining: number;
    write(data: Uint8Array): unknown[];
  };
}

/** An interceptor for one server. */
export function messageLimits(options: MessageLimitsOptions): grpc.ServerInterceptor {
  const { limitOf, clock, onFlood, maxHeldBytes = MAX_HELD_BYTES } = options;
  const held = new HeldMessages(clock, maxHeldBytes);
  const ended = new WeakSet<Http2Session>();
  /** Ends a connection: all streams of it are one client's. */
  const end = (session: Http2Session | undefined) => {
    if (session === undefined || ended.has(session)) return;
    ended.add(session);
    const { remoteAddress, remotePort } = session.socket;
    // Not at once: nghttp2 is in the middle of reading what this session got.
    setImmediate(() => {
      onFlood(`${remoteAddress}:${remotePort}`);
      session.destroy();
    });
  };
  return ({ path }, call) => {
    const { maxBytes, compressed, maxMessages } = limitOf(path);
    const internals = call as unknown as Internals;
    const { decoder, stream } = internals;
    if (decoder !== undefined && stream !== undefined) {
      decoder.maxReadMessageLength = maxBytes;
      internals.maxReceiveMessageSize = maxBytes;
      // What nobody can inflate is refused, if it comes.
      if (!compressed) internals.incomingEncoding = "compressed";
      const write = decoder.write.bind(decoder);
      let count = 0;
      let pieces = 0;
      decoder.write = (data) => {
        const messages = write(data);
        const { readMessageSize, readMessageRemaining } = decoder;
        const bytes = readMessageRemaining === 0 ? 0 : readMessageSize - readMessageRemaining;
        const isNew = messages.length > 0;
        held.set(stream, bytes, isNew);
        if (held.isTooMuch) end(held.worst());
        count += messages.length;
        pieces = isNew ? 1 : pieces + 1;
        const maxPieces = FREE_PIECES + bytes / LEAST_PIECE_BYTES;
        if (count <= maxMessages && pieces <= maxPieces) return messages;
        end(stream.session);
        return [];
      };
      stream.once("close", () => held.set(stream, 0, false));
    }
    // As it is: one around it would cost each message of a link.
    return call as grpc.ServerInterceptingCall;
  };
}

/** A message whose end has not come. */
interface HeldMessage {
  readonly since: number;
  bytes: number;
}

/** What messages hold that are not complete, on all connections together. */
class HeldMessages {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #byStream = new Map<ServerHttp2Stream, HeldMessage>();
  #total = 0;

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  get isTooMuch(): boolean {
    return this.#total > this.#max;
  }

  /** @param isNew Whether it is another message than before. */
  set(stream: ServerHttp2Stream, bytes: number, isNew: boolean): void {
    const message = this.#byStream.get(stream);
    this.#total += bytes - (message?.bytes ?? 0);
    if (bytes === 0) this.#byStream.delete(stream);
    else if (message === undefined || isNew) {
      this.#byStream.set(stream, { since: this.#clock.now(), bytes });
    } else message.bytes = bytes;
  }

  /**
   * Who has held the most for the longest: not whoever sends the longest message, and gets it done.
   */
  worst(): Http2Session | undefined {
    const now = this.#clock.now();
    const costs = new Map<Http2Session | undefined, number>();
    for (const [{ session }, { since, bytes }] of this.#byStream) {
      // One that has only begun holds something, too.
      costs.set(session, (costs.get(session) ?? 0) + bytes * (now - since + 1));
    }
    const [worst] = [...costs].reduce((one, other) => other[1] > one[1] ? other : one);
    return worst;
  }
}
