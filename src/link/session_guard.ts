/**
 * What one HTTP/2 connection may make this process do: who sends more frames that are nothing but
 * work than gRPC ever does, or headers that are none, is cut off before nghttp2 reads them.
 */

import type net from "node:net";
import type { Clock } from "../base/clock.ts";
import { END_STREAM, FrameScanner, FrameType, type ScannedFrame } from "./frame_scanner.ts";
import { HeaderEstimate } from "./header_block.ts";

/** What there was too much of. */
export type Excess =
  /** Frames that carry nothing: pings, settings, window updates, priorities, empty ones. */
  | "idle-work"
  /** Calls that were broken off as soon as they had begun. */
  | "resets"
  /** Headers. */
  | "headers"
  /** Answers that it does not read. */
  | "unread";

/**
 * Frames that carry nothing come with those that do. gRPC's client in C begins each call with two
 * or three window updates, and answers each frame of data with two more and a ping to time the
 * line; 64 bytes is the least that an answer takes. So many may come for the calls that were begun
 * and for what was sent, and a hundred a second besides, where keepalive sends one in ten seconds.
 * What is not used is kept for as much as can be on its way: 16 MiB in frames of 8 KiB, with two for
 * each. A hundred of them cost 0.3 ms.
 */
const IDLE_WORK = { burst: 200, perSecond: 100, most: 4_000 };
const IDLE_WORK_PER_CALL = 4;
const IDLE_WORK_PER_BYTE_SENT = 1 / 64;

/**
 * A call that is broken off costs 0.2 to 0.3 ms, and holds up all others for as long. A client does
 * it when its caller gives up: of 16 calls at a time, it can give up all six times a second here.
 * nghttp2 alone ends a connection after 1,000 at once.
 */
const RESETS = { burst: 200, perSecond: 100, most: 200 };

/**
 * Of a call: gRPC's own limit is 8 KiB, and calls of known clients have 8 to 12 fields. With more
 * than 128 Deno 2.9.6 refuses the call, and never frees what it took for that.
 */
const MAX_HEADER_FIELDS = 64;
const MAX_HEADER_BYTES = 16 * 1024;
/** Inflated: the limit of Node, which Deno does not keep. */
const MAX_HEADER_LIST_BYTES = 64 * 1024;

/** What waits for the network to take it: more than four of the largest frames at once. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;

/** See the top of the file. */
export class SessionGuard {
  readonly #scanner: FrameScanner;
  readonly #estimate = new HeaderEstimate();
  readonly #idleWork: Allowance;
  readonly #resets: Allowance;
  #bytesSent = 0;
  #excess: Excess | undefined;

  constructor(clock: Clock) {
    this.#idleWork = new Allowance(clock, IDLE_WORK);
    this.#resets = new Allowance(clock, RESETS);
    this.#scanner = new FrameScanner({
      onFrame: (frame) => this.#count(frame),
      onHeaders: (block) => this.#weigh(block),
    });
  }

  /**
   * Takes what came in.
   *
   * @param bytesSent On this connection so far.
   * @returns What is too much, if anything is.
   */
  take(chunk: Uint8Array, bytesSent: number): Excess | undefined {
    this.#idleWork.earn((bytesSent - this.#bytesSent) * IDLE_WORK_PER_BYTE_SENT);
    this.#bytesSent = bytesSent;
    this.#scanner.push(chunk);
    if (this.#scanner.headerBytes > MAX_HEADER_BYTES) this.#excess ??= "headers";
    return this.#excess;
  }

  #count({ type, flags, length }: ScannedFrame): void {
    if (type === FrameType.Reset && !this.#resets.spend()) this.#excess ??= "resets";
    if (type === FrameType.Headers) this.#idleWork.earn(IDLE_WORK_PER_CALL);
    const carries = type === FrameType.Headers ||
      length > 0 && (type === FrameType.Data || type === FrameType.Continuation) ||
      type === FrameType.Data && (flags & END_STREAM) !== 0;
    if (!carries && !this.#idleWork.spend()) this.#excess ??= "idle-work";
  }

  #weigh(block: Uint8Array): void {
    const cost = this.#estimate.of(block);
    // What cannot be read ends the connection anyway.
    if (cost === undefined) return;
    if (
      cost.fields > MAX_HEADER_FIELDS || cost.bytes > MAX_HEADER_LIST_BYTES ||
      block.length > MAX_HEADER_BYTES
    ) this.#excess ??= "headers";
  }
}

/**
 * Lets a guard see all that comes in on a connection, ahead of whoever else reads it.
 *
 * @param onExcess Called at most once; the connection is over then.
 */
export function guardSession(
  socket: net.Socket,
  clock: Clock,
  onExcess: (excess: Excess) => void,
): void {
  const guard = new SessionGuard(clock);
  const emit = socket.emit as (...args: unknown[]) => boolean;
  let isOver = false;
  // A listener cannot keep what came from the others.
  socket.emit = (event: string, ...args: unknown[]): boolean => {
    if (event !== "data") return emit.call(socket, event, ...args);
    if (isOver) return false;
    const excess = socket.writableLength > MAX_UNREAD_BYTES
      ? "unread"
      : guard.take(args[0] as Uint8Array, socket.bytesWritten);
    if (excess === undefined) return emit.call(socket, event, ...args);
    isOver = true;
    onExcess(excess);
    return false;
  };
}

interface AllowanceOptions {
  /** At once, at the beginning. */
  readonly burst: number;
  readonly perSecond: number;
  /** At once, ever. */
  readonly most: number;
}

/** So many at once, and more as time passes and as they are earned. */
class Allowance {
  readonly #clock: Clock;
  readonly #options: AllowanceOptions;
  #left: number;
  #at: number;

  constructor(clock: Clock, options: AllowanceOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#left = options.burst;
    this.#at = clock.now();
  }

  /** More, and what the time since has brought, but not more than are kept. */
  earn(more: number): void {
    const { perSecond, most } = this.#options;
    const now = this.#clock.now();
    this.#left = Math.min(most, this.#left + more + (now - this.#at) / 1_000 * perSecond);
    this.#at = now;
  }

  /** Whether there was one left. */
  spend(): boolean {
    if (this.#left < 1) this.earn(0);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
