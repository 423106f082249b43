/**
 * How long messages may be that come in: for each method, and for all that are under way together.
 * grpc-js has one limit for all methods of a server, and none for all calls.
 */

import type * as grpc from "@grpc/grpc-js";
import type { ServerHttp2Stream } from "node:http2";

/** What a method takes. */
export interface MessageLimit {
  /** Of one message, as it comes and inflated. */
  readonly maxBytes: number;
  /** Whether a message may be compressed. A kilobyte can be inflated to a mebibyte. */
  readonly compressed: boolean;
}

/** Of messages whose end has not come, on all connections together. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

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

/**
 * An interceptor for one server.
 *
 * @param limitOf What the method at a path takes.
 */
export function messageLimits(
  limitOf: (path: string) => MessageLimit,
  maxHeldBytes = MAX_HELD_BYTES,
): grpc.ServerInterceptor {
  const held = new HeldBytes(maxHeldBytes);
  return ({ path }, call) => {
    const { maxBytes, compressed } = limitOf(path);
    const internals = call as unknown as Internals;
    const { decoder, stream } = internals;
    if (decoder !== undefined && stream !== undefined) {
      decoder.maxReadMessageLength = maxBytes;
      internals.maxReceiveMessageSize = maxBytes;
      // What nobody can inflate is refused, if it comes.
      if (!compressed) internals.incomingEncoding = "compressed";
      const write = decoder.write.bind(decoder);
      decoder.write = (data) => {
        const messages = write(data);
        const { readMessageSize, readMessageRemaining } = decoder;
        held.set(stream, readMessageRemaining === 0 ? 0 : readMessageSize - readMessageRemaining);
        return messages;
      };
      stream.once("close", () => held.set(stream, 0));
    }
    // As it is: one around it would cost each message of a link.
    return call as grpc.ServerInterceptingCall;
  };
}

/** What messages hold that are not complete. When it is too much, who holds most has to go. */
class HeldBytes {
  readonly #max: number;
  readonly #byStream = new Map<ServerHttp2Stream, number>();
  #total = 0;

  constructor(max: number) {
    this.#max = max;
  }

  set(stream: ServerHttp2Stream, bytes: number): void {
    const before = this.#byStream.get(stream) ?? 0;
    if (bytes === before) return;
    this.#total += bytes - before;
    if (bytes === 0) this.#byStream.delete(stream);
    else this.#byStream.set(stream, bytes);
    if (this.#total > this.#max) this.#endGreatest();
  }

  /** Its connection, too: all streams of it are one client's. */
  #endGreatest(): void {
    const bySession = new Map<ServerHttp2Stream["session"], number>();
    for (const [{ session }, bytes] of this.#byStream) {
      bySession.set(session, (bySession.get(session) ?? 0) + bytes);
    }
    const [greatest] = [...bySession].reduce((one, other) => other[1] > one[1] ? other : one);
    // Not at once: nghttp2 is in the middle of reading what this session got.
    setImmediate(() => greatest?.destroy());
  }
}
