/** The port under a link: frames in order, both ways, to one other process. */

import type { NetworkError } from "../base/errors.ts";
import type { FrontReport } from "./refusals.ts";
import type { PeerCredential } from "../security/trust.ts";

/** What a {@linkcode FrameStream} tells its owner. */
export interface FrameStreamHandler {
  /** A frame has arrived; the bytes belong to the receiver. */
  onFrame(frame: Uint8Array): void;
  /** Sending may go on after {@linkcode FrameStream.send} returned false. */
  onDrain(): void;
  /** Nothing more will arrive: the other side closed it, or it broke. Called once. */
  onClose(error: NetworkError | undefined): void;
}

/** An open stream of frames. */
export interface FrameStream {
  /** The other side's host, as this side sees it. */
  readonly remoteHost: string;
  /** Who the other side is, by its certificate; undefined where it showed none. */
  readonly credential: PeerCredential | undefined;
  /** Begins to deliver; nothing is delivered, and nothing lost, before. */
  start(handler: FrameStreamHandler): void;
  /** Sends one frame; false asks to wait for `onDrain` before the next. */
  send(frame: Uint8Array): boolean;
  /**
   * Ends the stream after what was sent; `onClose` follows, which does not tell that the other side
   * has read it.
   */
  close(): void;
  /** Ends the stream now: what was sent may be lost. `onClose` follows. */
  reset(): void;
}

/** Where a node listens or is dialled. */
export interface Address {
  /** An IP address without brackets, or a host name. */
  host: string;
  /** 1 to 65535; when listening also 0, for one that the system chooses. */
  port: number;
}

/** Listens until closed. */
export interface FrameListener {
  /** Where it listens, with the port that the system chose. */
  readonly address: Address;
  /** What it refused so far, where it lets in by more than the port. */
  report?(): FrontReport;
  /** Stops listening and ends every stream that was accepted; idempotent. */
  close(): Promise<void>;
}

/** A way to make streams: gRPC in a node, in memory in a test. Both pass one compliance suite. */
export interface LinkTransport {
  /**
   * Opens a stream to the node at `address`.
   *
   * @throws {NetworkError} `UNAVAILABLE`: `unanswered` when nobody answers there, with `refused` in
   * the message when the host says that no process listens.
   */
  dial(address: Address, signal: AbortSignal): Promise<FrameStream>;
  /**
   * Measures the way to `address` without opening a stream.
   *
   * @returns The round trip in milliseconds.
   * @throws {NetworkError} `UNAVAILABLE` when nobody answers there.
   */
  measure(address: Address, signal: AbortSignal): Promise<number>;
  /**
   * Accepts streams at `address`.
   *
   * @throws {NetworkError} `PORT_IN_USE` when the port is taken.
   */
  listen(address: Address, accept: (stream: FrameStream) => void): Promise<FrameListener>;
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `127.0.0.1:1234`, `[::1]:1234` or `[::ffff:10.0.0.1]:1234` to its host, IPv4 as such. */
export function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "").replace(/^\[|\]$/g, "").replace(/^::ffff:(?=\d+\.)/i, "");
}
