/** Links in memory, on a {@linkcode MemoryNetwork}: for tests and the simulator. */

import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { PeerCredential } from "../security/trust.ts";
import type { MemoryNetwork } from "../transport/memory_network.ts";
import {
  type Address,
  formatAddress,
  type FrameListener,
  type FrameStream,
  type FrameStreamHandler,
  type LinkTransport,
} from "./frame_stream.ts";

/** How long frames wait between two looks whether a partition has healed. */
const RETRY_MS = 200;
/** Bytes that may be under way before a sender is told to wait: gRPC's window in a node. */
const WINDOW_BYTES = 4 * 1024 * 1024;

interface Listener {
  readonly accept: (stream: FrameStream) => void;
  readonly accepted: Set<MemoryStream>;
}

/**
 * Streams between the hosts of one {@linkcode MemoryNetwork}. Like TCP they lose nothing: what
 * cannot get through waits, in order, until it can.
 */
export class MemoryLinks {
  readonly #clock: Clock;
  readonly #network: MemoryNetwork;
  readonly #listeners = new Map<string, Listener>();
  readonly #ends = new Set<MemoryStream>();
  readonly #credentials = new Map<string, PeerCredential>();
  #nextPort = 40_000;
  #framesSent = 0;

  constructor(clock: Clock, network: MemoryNetwork) {
    this.#clock = clock;
    this.#network = network;
  }

  /** Ends of streams that are open: two for each stream. */
  get openStreams(): number {
    return this.#ends.size;
  }

  /** Frames sent so far by all hosts. */
  get framesSent(): number {
    return this.#framesSent;
  }

  /**
   * The transport of one host.
   *
   * @param credential Who is there, for the other sides.
   */
  transport(host: string, credential?: PeerCredential): LinkTransport {
    if (credential !== undefined) this.#credentials.set(host, credential);
    return {
      dial: (address, signal) => this.#dial(host, address, signal),
      measure: (address, signal) => this.#measure(host, address, signal),
      listen: (address, accept) => this.#listen({ ...address, host }, accept),
    };
  }

  /** The host's process dies: its streams break at once, and nothing listens any more. */
  kill(host: string): void {
    for (const key of [...this.#listeners.keys()]) {
      if (key.startsWith(`${host}:`)) this.#listeners.delete(key);
    }
    for (const end of [...this.#ends]) if (end.localHost === host) end.break();
  }

  #listen(address: Address, accept: (stream: FrameStream) => void): Promise<FrameListener> {
    const bound = { host: address.host, port: address.port || this.#nextPort++ };
    const key = formatAddress(bound);
    if (this.#listeners.has(key)) {
      return Promise.reject(
        new NetworkError("PORT_IN_USE", `Cannot listen on ${key}: the port is taken.`),
      );
    }
    const listener: Listener = { accept, accepted: new Set() };
    this.#listeners.set(key, listener);
    return Promise.resolve({
      address: bound,
      close: () => {
        if (this.#listeners.get(key) === listener) this.#listeners.delete(key);
        for (const stream of listener.accepted) stream.reset();
        return Promise.resolve();
      },
    });
  }

  #measure(from: string, to: Address, signal: AbortSignal): Promise<number> {
    const startedAt = this.#clock.now();
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#deliver(from, to.host, () => {
        this.#deliver(to.host, from, () => {
          if (this.#listeners.has(formatAddress(to))) resolve(this.#clock.now() - startedAt);
          else reject(refused(to));
        });
      });
    });
  }

  #dial(from: string, to: Address, signal: AbortSignal): Promise<FrameStream> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      // A packet there and one back; into a partition there is no answer, as from a cut cable.
      this.#deliver(from, to.host, () => {
        if (signal.aborted) return;
        signal.removeEventListener("abort", onAbort);
        const listener = this.#listeners.get(formatAddress(to));
        if (listener === undefined) {
          return reject(refused(to));
        }
        const near = this.#stream(from, to.host);
        const far = this.#stream(to.host, from);
        near.connect(far);
        far.connect(near);
        listener.accepted.add(far);
        listener.accept(far);
        resolve(near);
      });
    });
  }

  #stream(localHost: string, remoteHost: string): MemoryStream {
    const stream: MemoryStream = new MemoryStream(
      localHost,
      remoteHost,
      this.#credentials.get(remoteHost),
      (then) => this.#deliver(localHost, remoteHost, then),
      () => this.#ends.delete(stream),
      () => this.#framesSent++,
    );
    this.#ends.add(stream);
    return stream;
  }

  #deliver(from: string, to: string, then: () => void): void {
    this.#clock.after(this.#network.delayMs(), () => {
      if (this.#network.reaches(from, to)) then();
      else this.#clock.after(RETRY_MS, () => this.#deliver(from, to, then));
    });
  }
}

function refused(to: Address): NetworkError {
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot reach ${formatAddress(to)}: connection refused. Is a node running there?`,
    { unanswered: true },
  );
}

class MemoryStream implements FrameStream {
  readonly localHost: string;
  readonly remoteHost: string;
  readonly credential: PeerCredential | undefined;
  readonly #deliver: (then: () => void) => void;
  readonly #onOver: () => void;
  readonly #onSend: () => void;
  /** What is on the way, in order: jitter must not let one frame overtake another. */
  readonly #way: (() => void)[] = [];
  readonly #early: Uint8Array[] = [];
  #other: MemoryStream | undefined;
  #handler: FrameStreamHandler | undefined;
  #closed = false;
  #end: { readonly error: NetworkError | undefined } | undefined;
  /** Bytes that were sent here and not taken there yet. */
  #underWay = 0;
  #mustWait = false;

  constructor(
    localHost: string,
    remoteHost: string,
    credential: PeerCredential | undefined,
    deliver: (then: () => void) => void,
    onOver: () => void,
    onSend: () => void,
  ) {
    this.localHost = localHost;
    this.remoteHost = remoteHost;
    this.credential = credential;
    this.#deliver = deliver;
    this.#onOver = onOver;
    this.#onSend = onSend;
  }

  connect(other: MemoryStream): void {
    this.#other = other;
  }

  start(handler: FrameStreamHandler): void {
    this.#handler = handler;
    for (const frame of this.#early.splice(0)) this.#give(frame, handler);
    if (this.#end !== undefined) handler.onClose(this.#end.error);
  }

  send(frame: Uint8Array): boolean {
    if (this.#closed) return true;
    this.#onSend();
    const copy = frame.slice();
    this.#underWay += copy.length;
    this.#post(() => this.#other!.#take(copy));
    this.#mustWait = this.#underWay > WINDOW_BYTES;
    return !this.#mustWait;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#post(() => this.#other!.#finish(undefined));
    // Like a stream of gRPC, it is over for the one that closes it when the other side knows.
    this.#post(() => this.#finish(undefined));
  }

  /** The process at this end is gone: nobody is told here. */
  break(): void {
    this.#handler = undefined;
    this.reset();
  }

  /** Ends it at once; what was sent before a close still arrives. */
  reset(): void {
    if (this.#closed) return;
    const error = new NetworkError("UNAVAILABLE", "the connection was reset");
    this.#post(() => this.#other!.#finish(error));
    this.#finish(error);
  }

  #post(arrive: () => void): void {
    this.#way.push(arrive);
    this.#deliver(() => this.#way.shift()!());
  }

  #take(frame: Uint8Array): void {
    if (this.#end !== undefined) return;
    if (this.#handler === undefined) this.#early.push(frame);
    else this.#give(frame, this.#handler);
  }

  #give(frame: Uint8Array, handler: FrameStreamHandler): void {
    handler.onFrame(frame);
    this.#other!.#taken(frame.length);
  }

  #taken(bytes: number): void {
    this.#underWay -= bytes;
    if (!this.#mustWait || this.#underWay > WINDOW_BYTES) return;
    this.#mustWait = false;
    this.#handler?.onDrain();
  }

  #finish(error: NetworkError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#closed = true;
    this.#onOver();
    this.#handler?.onClose(error);
  }
}
