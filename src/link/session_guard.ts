/**
 * What one HTTP/2 connection may make this process do: who sends more frames that are nothing but
 * work than gRPC ever does, or headers that are none, is cut off before nghttp2 reads them.
 */

import type net from "node:net";
import type { Clock } from "../base/clock.ts";
import { Allowance } from "./allowance.ts";
import { END_STREAM, FrameScanner, FrameType, type ScannedFrame } from "./frame_scanner.ts";
import { HeaderEstimate } from "./header_block.ts";

/** What there was too much of. */
export type Excess =
  /** Frames that carry nothing: pings, settings, window updates, priorities, empty ones. */
  | "idle-work"
  /** Data in small pieces. */
  | "pieces"
  /** Calls that were broken off before they were answered. */
  | "resets"
  /** Headers, or what is none. */
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
 * A piece of an answer that is streamed takes 20 bytes, and is answered like any other frame of
 * data. (By the byte this would be more than a ping is answered with, which then earned the next.)
 */
const IDLE_WORK_PER_MESSAGE_SENT = 4;

/**
 * DATA with less carries nothing: the shortest message of a link has four bytes, behind five of
 * gRPC's.
 */
const LEAST_DATA_BYTES = 9;

/**
 * Frames of DATA, each of which costs 1.5 µs. A link is let to send 100,000 messages a second, with
 * one frame for each, and what is long comes in frames of kilobytes: nobody gets here who keeps to
 * that.
 */
const PIECES = { burst: 100_000, perSecond: 200_000, most: 100_000 };

/**
 * A call that is broken off costs 0.2 to 0.3 ms, and holds up all others for as long. A client does
 * it when its caller gives up: of 16 calls at a time, it can give up all six times a second here.
 * nghttp2 alone ends a connection after 1,000 at once.
 */
const RESETS = { burst: 200, perSecond: 100, most: 200 };
/**
 * Calls that were answered, and may still be broken off: some answers come before the whole question
 * has, and gRPC's client in C then breaks off the rest. It begins no other call before, so there are
 * 16 of its own and as many whose answers are on their way.
 */
const MAX_ANSWERED = 64;

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
  readonly #pieces: Allowance;
  readonly #resets: Allowance;
  /** Streams, the one that was answered last at the end. */
  readonly #answered = new Set<number>();
  /** Of the block that is coming in. */
  #headerBytes = 0;
  #excess: Excess | undefined;

  constructor(clock: Clock) {
    this.#idleWork = new Allowance(clock, IDLE_WORK);
    this.#pieces = new Allowance(clock, PIECES);
    this.#resets = new Allowance(clock, RESETS);
    this.#scanner = new FrameScanner({
      onFrame: (frame) => this.#count(frame),
      onHeaders: (fragment) => this.#weigh(fragment),
      onHeadersEnd: () => this.#endHeaders(),
    });
  }

  /** Allows for what comes back when so many bytes were sent. */
  earnFor(bytesSent: number): void {
    if (bytesSent > 0) this.#idleWork.earn(bytesSent * IDLE_WORK_PER_BYTE_SENT);
  }

  /** Allows for what comes back when a piece of an answer was sent. */
  earnForMessage(): void {
    this.#idleWork.earn(IDLE_WORK_PER_MESSAGE_SENT);
  }

  /** The call on this stream has been answered: to break it off now costs nothing. */
  answered(stream: number): void {
    this.#answered.add(stream);
    const [oldest] = this.#answered;
    if (this.#answered.size > MAX_ANSWERED) this.#answered.delete(oldest);
  }

  /**
   * Takes what came in.
   *
   * @returns What is too much, if anything is.
   */
  take(chunk: Uint8Array): Excess | undefined {
    this.#scanner.push(chunk);
    return this.#excess;
  }

  #count(frame: ScannedFrame): void {
    const { type, stream } = frame;
    if (type === FrameType.Headers) this.#idleWork.earn(IDLE_WORK_PER_CALL);
    if (type === FrameType.Reset && !this.#answered.delete(stream) && !this.#resets.spend()) {
      this.#excess ??= "resets";
    }
    if (type === FrameType.Data && !this.#pieces.spend()) this.#excess ??= "pieces";
    if (!carries(frame) && !this.#idleWork.spend()) this.#excess ??= "idle-work";
  }

  /** At once, and not when they are complete: so does nghttp2, and keeps what it has read. */
  #weigh(fragment: Uint8Array): void {
    this.#headerBytes += fragment.length;
    const cost = this.#estimate.push(fragment);
    if (
      cost === undefined || cost.fields > MAX_HEADER_FIELDS ||
      cost.bytes > MAX_HEADER_LIST_BYTES || this.#headerBytes > MAX_HEADER_BYTES
    ) this.#excess ??= "headers";
  }

  #endHeaders(): void {
    this.#headerBytes = 0;
    if (!this.#estimate.end()) this.#excess ??= "headers";
  }
}

/** Whether a frame has anything that a call is made of. Headers of gRPC need no CONTINUATION. */
function carries({ type, flags, length }: ScannedFrame): boolean {
  if (type !== FrameType.Data) return type === FrameType.Headers;
  return length >= LEAST_DATA_BYTES || (flags & END_STREAM) !== 0;
}

/**
 * Lets a guard see all that comes in on a connection, ahead of whoever else reads it.
 *
 * @param onExcess Called at most once; the connection is over then.
 * @returns The guard, which wants to know what is answered.
 */
export function guardSession(
  socket: net.Socket,
  clock: Clock,
  onExcess: (excess: Excess) => void,
): SessionGuard {
  const guard = new SessionGuard(clock);
  const emit = socket.emit as (...args: unknown[]) => boolean;
  let bytesSent = 0;
  let isOver = false;
  // A listener cannot keep what came from the others.
  socket.emit = (event: string, ...args: unknown[]): boolean => {
    if (event !== "data") return emit.call(socket, event, ...args);
    if (isOver) return false;
    guard.earnFor(socket.bytesWritten - bytesSent);
    bytesSent = socket.bytesWritten;
    const excess = socket.writableLength > MAX_UNREAD_BYTES
      ? "unread"
      : guard.take(args[0] as Uint8Array);
    if (excess === undefined) return emit.call(socket, event, ...args);
    isOver = true;
    onExcess(excess);
    return false;
  };
  return guard;
}
