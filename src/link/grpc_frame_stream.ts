/** One link's frames on a call of gRPC, at either side of it. */

import type { ClientDuplexStream, ServerDuplexStream } from "@grpc/grpc-js";
import * as grpc from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { PeerCredential } from "../security/trust.ts";
import { Allowance } from "./allowance.ts";
import type { FrameStream, FrameStreamHandler } from "./frame_stream.ts";

/**
 * Frames of a link, each of which costs 2.5 µs however short it is: what is taken without a rest
 * takes 5 ms, and whoever sends more waits. The shortest that are sent in numbers are tokens of many
 * runs at a time; as fast as two nodes can, these come to 50,000 a second.
 */
const FRAMES = { burst: 2_000, perSecond: 100_000, most: 2_000 };
const REST_MS = 10;

type Duplex =
  | ServerDuplexStream<Uint8Array, Uint8Array>
  | ClientDuplexStream<Uint8Array, Uint8Array>;

/** What carries one stream, at this side. */
export interface Connection {
  readonly clock: Clock;
  /** Breaks the stream off. */
  reset(): void;
  /** The stream is over. */
  release(): void;
}

/** See the top of the file. */
export class GrpcFrameStream implements FrameStream {
  readonly #call: Duplex;
  readonly #connection: Connection;
  readonly #frames: Allowance;
  readonly remoteHost: string;
  readonly credential: PeerCredential | undefined;
  #handler: FrameStreamHandler | undefined;
  #closed = false;
  /** How it ended, which may be before it was started. */
  #end: { readonly error: NetworkError | undefined } | undefined;

  constructor(
    call: Duplex,
    remoteHost: string,
    credential: PeerCredential | undefined,
    connection: Connection,
  ) {
    this.#call = call;
    this.remoteHost = remoteHost;
    this.credential = credential;
    this.#connection = connection;
    this.#frames = new Allowance(connection.clock, FRAMES);
    call.on("error", (cause) => this.#finish(streamError(cause)));
    // A server call whose connection broke reports only this.
    call.on("cancelled", () => {
      this.#finish(new NetworkError("UNAVAILABLE", "the connection broke"));
    });
  }

  start(handler: FrameStreamHandler): void {
    if (this.#end !== undefined) return handler.onClose(this.#end.error);
    this.#handler = handler;
    const call = this.#call;
    call.on("end", () => this.#finish(undefined));
    call.on("drain", () => handler.onDrain());
    call.on("data", (frame: Uint8Array) => {
      handler.onFrame(frame);
      if (!this.#frames.spend()) this.#rest();
    });
  }

  send(frame: Uint8Array): boolean {
    return this.#closed || this.#call.write(frame);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#call.end();
  }

  reset(): void {
    if (this.#end !== undefined) return;
    this.#closed = true;
    this.#connection.reset();
    this.#finish(undefined);
  }

  /** Takes nothing for a moment: others have their turn, and who sends is slowed down. */
  #rest(): void {
    this.#call.pause();
    this.#connection.clock.after(REST_MS, () => void this.#call.resume());
  }

  #finish(error: NetworkError | undefined): void {
    if (this.#end !== undefined) return;
    // Whatever gRPC calls the end of a stream that this side has closed, it is no error.
    this.#end = { error: this.#closed ? undefined : error };
    this.close();
    this.#connection.release();
    this.#handler?.onClose(this.#end.error);
  }
}

function streamError(cause: Error & { code?: unknown; details?: string }): NetworkError {
  const isTooLong = cause.code === grpc.status.RESOURCE_EXHAUSTED;
  // The message of a gRPC error begins with its number.
  const reason = cause.details || describeError(cause);
  return new NetworkError(isTooLong ? "PROTOCOL" : "UNAVAILABLE", reason, { cause });
}
