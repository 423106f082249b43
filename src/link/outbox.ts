/** What waits to be sent on a link: messages become frames, and every frame carries the load. */

import { Kind, type OutgoingMessage, type ReportedLoad } from "./frame.ts";
import { FrameWriter } from "./frame_codec.ts";
import type { FrameStream } from "./frame_stream.ts";

/** A frame is sent when it has grown to this: 26,000 calls of 4 KiB a second, 6,000 unbounded. */
const FLUSH_BYTES = 128 * 1024;
/** Or when so many messages are in it: the other side begins with these while this one goes on. */
const FLUSH_MESSAGES = 128;
/**
 * Or when a third of the calls that have no answer are in it, and at least so many: what is answered
 * together is asked together again, and while all is in one frame, one side rests. 115,000 empty runs
 * a second with 16 in flight, 60,000 without. Frames of fewer cost more than they bring.
 */
const MIN_FLUSH_CALLS = 4;

/** Answers that the other side may leave waiting: to 16 calls of the longest, taken one by one. */
const MAX_UNTAKEN_BYTES = 256 * 1024 * 1024;

/** What the other side has asked for, as often as it likes. */
const ANSWERS: ReadonlySet<Kind> = new Set([Kind.Item, Kind.End, Kind.Pong]);

/** What an {@linkcode Outbox} is made of. */
export interface OutboxOptions {
  readonly stream: FrameStream;
  /** How busy this node is now. */
  load(): ReportedLoad;
  /** Calls of this side that have no answer yet. */
  callsWaiting(): number;
  /** The other side asks on and on, and takes no answer. */
  onUntaken(): void;
}

/** Gathers what is posted in one turn of the event loop into one frame. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #writer = new FrameWriter();
  readonly #frames: { readonly bytes: Uint8Array; readonly answerBytes: number }[] = [];
  /** In the frame that is being written, and in those that wait. */
  #answerBytes = 0;
  #untakenBytes = 0;
  #loadSent: ReportedLoad | undefined;
  #flushScheduled = false;
  #turnScheduled = false;
  /** In the frame that is being written. */
  #messages = 0;
  #calls = 0;
  /** So many of them make it full. */
  #flushCalls = MIN_FLUSH_CALLS;
  #writable = true;
  #sealed = false;
  #lastCallPosted = 0;
  #lastCallSent = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Whether something waits that the stream does not take yet. */
  get isBlocked(): boolean {
    return this.#frames.length > 0;
  }

  /** Whether the call with this number may have gone out. */
  hasSent(call: number): boolean {
    return call <= this.#lastCallSent;
  }

  /**
   * Takes a message to be sent soon, and returns how many bytes its body takes.
   *
   * @param patient Whether it may wait for another one, for a turn of the event loop.
   */
  post(message: OutgoingMessage, patient = false): number {
    if (this.#sealed) return 0;
    const before = this.#writer.length;
    const bodyBytes = this.#writer.message(message);
    if (ANSWERS.has(message.kind)) this.#answerBytes += this.#writer.length - before;
    this.#messages++;
    if (message.kind === Kind.Call) {
      this.#lastCallPosted = message.call ?? 0;
      this.#calls++;
    }
    if (this.#isFull()) this.flush();
    else if (patient) this.#flushWithinTurn();
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      // As soon as the promises that are ready have run: answers to one frame leave in one frame.
      queueMicrotask(this.#flushLater);
    }
    return bodyBytes;
  }

  /** Sends what waits, as far as the stream takes it. */
  flush(): void {
    this.#flushScheduled = false;
    if (this.#writer.length > 0) {
      if (this.#calls > 0) this.#setFlushCalls();
      this.#messages = 0;
      this.#calls = 0;
      this.#writeLoad();
      this.#frames.push({ bytes: this.#writer.take(), answerBytes: this.#answerBytes });
      this.#untakenBytes += this.#answerBytes;
      this.#answerBytes = 0;
    }
    if (this.#writable) this.#lastCallSent = this.#lastCallPosted;
    while (this.#writable && this.#frames.length > 0) {
      const { bytes, answerBytes } = this.#frames.shift()!;
      this.#untakenBytes -= answerBytes;
      this.#writable = this.#options.stream.send(bytes);
    }
    if (this.#untakenBytes > MAX_UNTAKEN_BYTES) this.#options.onUntaken();
  }

  /** The stream takes more again. */
  resume(): void {
    this.#writable = true;
    this.flush();
  }

  /** Takes nothing more; what waits is still sent. */
  seal(): void {
    this.flush();
    this.#sealed = true;
  }

  /** Drops what waits; nothing is sent any more. */
  close(): void {
    this.#sealed = true;
    this.#writer.take();
    this.#frames.length = 0;
  }

  readonly #flushLater = () => this.flush();

  /** Whether the frame that is being written had better leave now. */
  #isFull(): boolean {
    if (this.#writer.length >= FLUSH_BYTES || this.#messages >= FLUSH_MESSAGES) return true;
    return this.#calls >= this.#flushCalls;
  }

  #setFlushCalls(): void {
    const third = this.#options.callsWaiting() / 3;
    // Many answers may have come at once; their callers will call again.
    this.#flushCalls = Math.max(MIN_FLUSH_CALLS, third, this.#flushCalls * 31 / 32);
  }

  #flushWithinTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.flush();
    });
  }

  #writeLoad(): void {
    const load = this.#options.load();
    const sent = this.#loadSent;
    const isKnown = sent !== undefined && sent.running === load.running &&
      sent.queued === load.queued && sent.slots === load.slots &&
      sent.callsReceived === load.callsReceived && sent.modelCalls === load.modelCalls;
    if (isKnown) return;
    this.#loadSent = load;
    this.#writer.load(load);
  }
}
