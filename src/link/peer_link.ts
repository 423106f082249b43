/**
 * One link to one peer: calls in both directions, notices and pings, multiplexed on one stream of
 * frames. How it works and why is in docs/decisions/0002-links.md.
 */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { safeText } from "../base/safe_text.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { PeerCredential } from "../security/trust.ts";
import {
  type CallSink,
  checkBody,
  creditOf,
  type IncomingCall,
  MAX_FRAME_BYTES,
  type OutgoingCall,
} from "./call.ts";
import { CallTable } from "./call_table.ts";
import {
  type Body,
  Kind,
  type Load,
  type Message,
  NO_LOAD,
  type OutgoingMessage,
  type ReportedLoad,
} from "./frame.ts";
import { decodeFrame } from "./frame_codec.ts";
import type { FrameStream } from "./frame_stream.ts";
import { Outbox } from "./outbox.ts";
import { ServedCall } from "./served_call.ts";
import { WaitingCall } from "./waiting_call.ts";

/** Calls of one peer that may be open at a time. */
const MAX_INCOMING_CALLS = 4096;
/** Of the reason that comes with an error: what is beyond is neither sent nor read. */
const MAX_REASON_LENGTH = 4096;
/** How long the other side may take to introduce itself. */
const GREETING_TIMEOUT_MS = 5_000;

/** Why a link is no more. */
export type LinkEnd =
  /** The peer said that it leaves. */
  | { readonly type: "goodbye" }
  /** A better link to the same peer took over. */
  | { readonly type: "retired" }
  /** This side closed it. */
  | { readonly type: "closed" }
  /** One side refused the other when they introduced themselves: this one, or the peer. */
  | { readonly type: "refused"; readonly byPeer: boolean; readonly error: NetworkError }
  /** It broke. */
  | { readonly type: "lost"; readonly error: NetworkError };

/** What a link needs from its owner. */
export interface LinkOptions {
  readonly stream: FrameStream;
  /** Whether this side opened the stream. */
  readonly dialled: boolean;
  /**
   * Whether this side, which has dialled, takes whoever answers: by the certificate it knows already
   * who that is. The other side then has a link a round trip earlier.
   *
   * @default {false}
   */
  readonly takes?: boolean;
  readonly clock: Clock;
  /** This node's own description, as JSON. */
  readonly introduction: () => string;
  /** How busy this node is. */
  readonly load: () => Load;
  /**
   * Reads and checks the other side's description.
   *
   * @throws {NetworkError} When it cannot be taken; the other side is told why.
   */
  readonly admit: (description: Uint8Array) => NodeDescription;
  readonly onOpen: (link: PeerLink) => void;
  readonly onCall: (call: IncomingCall, link: PeerLink) => void;
  readonly onNotice: (topic: string, body: Uint8Array, link: PeerLink) => void;
  readonly onClose: (end: LinkEnd, link: PeerLink) => void;
}

/**
 * - `greeting`: one side has not introduced itself, or not said yet that it takes the other.
 * - `open`: calls go both ways.
 * - `retiring`: no new calls; those that run go on.
 * - `closed`: over; nothing is sent or delivered any more.
 */
export type LinkState = "greeting" | "open" | "retiring" | "closed";

/** See the top of the file. */
export class PeerLink {
  readonly #options: LinkOptions;
  readonly #stream: FrameStream;
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #waiting = new CallTable<WaitingCall>();
  readonly #serving = new CallTable<ServedCall>();
  readonly #pings = new Map<number, { sentAt: number; resolve(roundTripMs: number): void }>();
  #state: LinkState = "greeting";
  #peer: NodeDescription | undefined;
  #lastHeard: number;
  #nextCall: number;
  #callsSent = 0;
  #callsReceived = 0;
  #remoteLoad: ReportedLoad = { ...NO_LOAD, callsReceived: 0 };
  #retireReceived = false;
  #retireSent = false;
  #nextPing = 1;
  readonly #streamOver = Promise.withResolvers<void>();
  #cancelGreetingTimer: CancelTimer;
  #greetingFailed: NetworkError | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#outbox = new Outbox({
      stream: options.stream,
      load: () => {
        const { running, queued, slots, modelCalls } = options.load();
        return { running, queued, slots, modelCalls, callsReceived: this.#callsReceived };
      },
      callsWaiting: () => this.#waiting.size,
      onUntaken: () => {
        const message = "The peer takes no answers, and asks for more.";
        // Not here: this may be in the middle of what it asks.
        queueMicrotask(() => this.#lose(new NetworkError("PROTOCOL", message)));
      },
    });
    this.#lastHeard = options.clock.now();
    this.#nextCall = options.dialled ? 1 : 2;
    this.#cancelGreetingTimer = options.clock.after(GREETING_TIMEOUT_MS, () => {
      const missing = this.#peer === undefined ? "introduce itself" : "say that it takes this node";
      this.#refuse(
        new NetworkError("DEADLINE_EXCEEDED", `Cannot open link: the peer did not ${missing}.`),
      );
    });
    this.#stream.start({
      onFrame: (frame) => this.#receive(frame),
      onDrain: () => this.#outbox.resume(),
      onClose: (error) => {
        this.#streamOver.resolve();
        this.#finish(
          this.#greetingFailed !== undefined
            ? { type: "refused", byPeer: false, error: this.#greetingFailed }
            : { type: "lost", error: error ?? linkLost() },
        );
      },
    });
    if (!options.dialled) return;
    this.#post({ kind: Kind.Hello, body: options.introduction() });
    if (options.takes) this.#sayYes();
  }

  /** Where the link is in its life. */
  get state(): LinkState {
    return this.#state;
  }

  /** Whether this side opened it. */
  get dialled(): boolean {
    return this.#options.dialled;
  }

  /** The other side's host, as this side sees it. */
  get remoteHost(): string {
    return this.#stream.remoteHost;
  }

  /** Who the other side is, by its certificate; undefined where it showed none. */
  get credential(): PeerCredential | undefined {
    return this.#stream.credential;
  }

  /**
   * Who is on the other side.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` before this side has admitted it.
   */
  get peer(): NodeDescription {
    if (this.#peer === undefined) {
      throw new NetworkError("FAILED_PRECONDITION", "Cannot name the peer: it was not admitted.");
    }
    return this.#peer;
  }

  /** Whether this side has admitted the other. */
  get hasAdmitted(): boolean {
    return this.#peer !== undefined;
  }

  /** When something last arrived, on the local clock. */
  get lastHeard(): number {
    return this.#lastHeard;
  }

  /** How busy the other side last said it was. */
  get remoteLoad(): Load {
    return this.#remoteLoad;
  }

  /** Calls sent from here that the other side's figures cannot contain yet. */
  get unreflectedCalls(): number {
    return Math.max(0, this.#callsSent - this.#remoteLoad.callsReceived);
  }

  /** Whether there is more to be sent than the other side has taken: what is asked now waits. */
  get isSending(): boolean {
    return this.#outbox.isBlocked;
  }

  /** Calls in flight in both directions. */
  get callsInFlight(): number {
    return this.#waiting.size + this.#serving.size;
  }

  /**
   * Calls `method` on the other side.
   *
   * @throws {NetworkError} `UNAVAILABLE` when the link takes no new calls; `RESOURCE_EXHAUSTED`
   * when the body is too long. Nothing has been sent then.
   */
  call(method: string, body: Body, sink: CallSink): OutgoingCall {
    if (this.#state !== "open") {
      throw new NetworkError("UNAVAILABLE", `Cannot call ${method}: the link is ${this.#state}.`);
    }
    checkBody(body);
    const id = this.#nextCall;
    this.#nextCall += 2;
    this.#callsSent++;
    const waiting = new WaitingCall(id, sink, this.#postFor);
    this.#waiting.set(id, waiting);
    this.#post({ kind: Kind.Call, call: id, method, body });
    return waiting;
  }

  /** Sends a one-way message; nothing happens when the link is not open. */
  notify(topic: string, body: Body): void {
    if (this.#state === "open") this.#post({ kind: Kind.Notice, method: topic, body });
  }

  /** Resolves to the round trip in milliseconds; never settles when the link closes before. */
  ping(): Promise<number> {
    return new Promise((resolve) => {
      if (this.#state === "closed" || this.#state === "greeting") return;
      const id = this.#nextPing++;
      this.#pings.set(id, { sentAt: this.#clock.now(), resolve });
      this.#post({ kind: Kind.Ping, call: id });
    });
  }

  /**
   * Stops making calls here, because a better link to the same peer exists; the link closes when
   * those in flight have ended.
   */
  retire(): void {
    if (this.#state !== "open" && this.#state !== "retiring") return;
    this.#state = "retiring";
    if (!this.#retireSent) {
      this.#retireSent = true;
      this.#post({ kind: Kind.Retire });
    }
    this.#closeIfRetired();
  }

  /**
   * Says goodbye and closes; resolves when the other side has heard it, or is gone. One that never
   * answers is to be {@linkcode close}d.
   */
  leave(): Promise<void> {
    if (this.#state === "closed") return this.#streamOver.promise;
    this.#post({ kind: Kind.Goodbye });
    this.#outbox.seal();
    // Who hears a goodbye closes the stream. To close it here as well would tell nothing: a stream
    // of gRPC is over for the accepting side as soon as that side has closed it.
    this.#end({ type: "closed" });
    return this.#streamOver.promise;
  }

  /** Closes without a word: the other side sees a lost link. */
  close(): void {
    this.#outbox.close();
    this.#end({ type: "closed" });
    this.#stream.reset();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#lastHeard = this.#clock.now();
    try {
      if (bytes.length > MAX_FRAME_BYTES) {
        throw new NetworkError("PROTOCOL", `Cannot read frame: it has ${bytes.length} bytes.`);
      }
      const frame = decodeFrame(bytes);
      if (frame.load !== undefined) this.#remoteLoad = frame.load;
      for (const message of frame.messages) {
        this.#handle(message);
        // Through the getter: `#handle` may have closed it, which narrowing does not see.
        if (this.state === "closed") return;
      }
    } catch (thrown) {
      const error = NetworkError.from(thrown, "PROTOCOL", "Cannot read what the peer sent");
      if (this.#state === "greeting") this.#refuse(error);
      else this.#finish({ type: "lost", error });
    }
  }

  #handle(message: Message): void {
    if (this.#state === "greeting" && !this.#greet(message)) return;
    switch (message.kind) {
      case Kind.Call:
        return this.#serve(message);
      case Kind.Item:
        return this.#takeItem(message);
      case Kind.End: {
        const waiting = this.#waiting.take(message.call);
        if (waiting === undefined) return;
        waiting.sink.onEnd(
          message.errorCode === undefined
            ? { ok: true, body: message.body }
            : { ok: false, error: readError(message) },
        );
        return this.#closeIfRetired();
      }
      case Kind.Cancel:
        return this.#serving.get(message.call)?.cancel(cancelledByCaller());
      case Kind.Credit:
        return this.#serving.get(message.call)?.grant(message.credit);
      case Kind.Ping:
        return void this.#post({ kind: Kind.Pong, call: message.call });
      case Kind.Pong: {
        const ping = this.#pings.get(message.call);
        this.#pings.delete(message.call);
        return ping?.resolve(this.#clock.now() - ping.sentAt);
      }
      case Kind.Notice:
        return this.#options.onNotice(message.method, message.body, this);
      case Kind.Retire:
        this.#retireReceived = true;
        return this.retire();
      case Kind.Goodbye:
        return this.#finish(readGoodbye(message));
      default:
        // A kind of a later version: ignoring it is what lets versions mix.
    }
  }

  /** Takes a message of before both have admitted each other; says whether it is to be handled. */
  #greet(message: Message): boolean {
    if (message.kind === Kind.Goodbye) {
      const end = readGoodbye(message);
      // Whoever waits for the link is to hear why there is none.
      this.#finish(end.type === "goodbye" ? { type: "lost", error: readError(message) } : end);
      return false;
    }
    if (this.#peer !== undefined) {
      // Who dials and does not want what has answered says goodbye; anything else is a yes.
      this.#opened();
      return this.state !== "closed";
    }
    if (message.kind !== Kind.Hello) {
      throw new NetworkError("PROTOCOL", "Cannot open link: the peer did not introduce itself.");
    }
    this.#peer = this.#admitted(message.body);
    if (this.#peer === undefined) return false;
    if (this.#options.dialled) {
      // It has introduced itself, so it takes this node; and it cannot know yet that it is taken.
      this.#opened();
      if (!this.#options.takes) this.#sayYes();
    } else this.#post({ kind: Kind.Hello, body: this.#options.introduction() });
    return false;
  }

  /** What every version answers, and takes for a sign of life. */
  #sayYes(): void {
    this.#post({ kind: Kind.Ping, call: 0 });
  }

  #opened(): void {
    this.#cancelGreetingTimer();
    this.#state = "open";
    this.#options.onOpen(this);
  }

  #admitted(description: Uint8Array): NodeDescription | undefined {
    try {
      return this.#options.admit(description);
    } catch (thrown) {
      this.#refuse(NetworkError.from(thrown, "PROTOCOL", "Cannot open link"));
      return undefined;
    }
  }

  /** Tells the other side why it is not wanted, and closes. */
  #refuse(error: NetworkError): void {
    this.#greetingFailed = error;
    this.#post({ kind: Kind.Goodbye, errorCode: error.code, body: reasonOf(error) });
    this.#outbox.flush();
    this.#finish({ type: "refused", byPeer: false, error });
  }

  #serve(message: Message): void {
    const { call: id } = message;
    // The caller's numbers only grow, and their parity says who made them.
    if (id % 2 === this.#nextCall % 2 || this.#serving.get(id) !== undefined) {
      throw new NetworkError("PROTOCOL", `Cannot take call ${id}: not a number of the peer's.`);
    }
    this.#callsReceived++;
    const call = new ServedCall(
      message.method,
      message.body,
      (kind, body, { error, patient } = {}) => {
        if (kind === Kind.End) this.#serving.take(id);
        const bytes = this.#post({
          kind,
          call: id,
          body: error === undefined ? body : reasonOf(error),
          errorCode: error?.code,
          retryAfterMs: error?.retryAfterMs,
        }, patient);
        if (kind === Kind.End) this.#closeIfRetired();
        return bytes;
      },
    );
    this.#serving.set(id, call);
    if (this.#serving.size > MAX_INCOMING_CALLS) {
      return call.fail(
        new NetworkError(
          "RESOURCE_EXHAUSTED",
          `Cannot take the call: ${MAX_INCOMING_CALLS} are open on this link.`,
          { retryAfterMs: 100 },
        ),
      );
    }
    this.#options.onCall(call, this);
  }

  #takeItem(message: Message): void {
    const waiting = this.#waiting.get(message.call);
    if (waiting === undefined) return;
    if (waiting.credit <= 0) {
      throw new NetworkError("PROTOCOL", "The peer sent more than it was given credit for.");
    }
    waiting.credit -= creditOf(message.body.length);
    waiting.sink.onItem(message.body);
  }

  readonly #postFor = (message: OutgoingMessage) => {
    if (this.#waiting.get(message.call!) !== undefined) this.#post(message);
  };

  #post(message: OutgoingMessage, patient = false): number {
    return this.#outbox.post(message, patient);
  }

  #closeIfRetired(): void {
    if (this.#state !== "retiring" || !this.#retireReceived || this.callsInFlight > 0) return;
    // The dialler closes, so that the two ends never both do.
    if (!this.#options.dialled) return;
    this.#outbox.flush();
    this.#finish({ type: "retired" });
  }

  #lose(error: NetworkError): void {
    if (this.#state === "closed") return;
    this.#outbox.close();
    // It does not take the end of the stream either.
    this.#stream.reset();
    this.#end({ type: "lost", error });
  }

  /** Closes the stream; what was posted before is dropped where the stream had not taken it. */
  #finish(end: LinkEnd): void {
    this.#outbox.close();
    this.#stream.close();
    this.#end(end);
  }

  /** Tells everybody who waits here that the link is no more. */
  #end(end: LinkEnd): void {
    if (this.#state === "closed") return;
    const retired = this.#state === "retiring" && this.#retireReceived && end.type === "lost";
    this.#state = "closed";
    this.#cancelGreetingTimer();
    const error = end.type === "lost" ? end.error : linkLost();
    for (const [id, { sink }] of this.#waiting.takeAll()) {
      sink.onEnd({ ok: false, error: lostCall(this.#outbox.hasSent(id), error) });
    }
    for (const [, call] of this.#serving.takeAll()) call.cancel(callerLost());
    this.#pings.clear();
    this.#options.onClose(retired ? { type: "retired" } : end, this);
  }
}

function reasonOf({ message }: NetworkError): string {
  return message.slice(0, MAX_REASON_LENGTH);
}

function readError(message: Message): NetworkError {
  const code: ErrorCode = message.errorCode ?? "UNAVAILABLE";
  const text = safeText(new TextDecoder().decode(message.body.subarray(0, MAX_REASON_LENGTH)));
  return new NetworkError(code, text === "" ? "The peer left." : text, {
    ...(message.retryAfterMs > 0 ? { retryAfterMs: message.retryAfterMs } : {}),
  });
}

function readGoodbye(message: Message): LinkEnd {
  return message.errorCode === undefined
    ? { type: "goodbye" }
    : { type: "refused", byPeer: true, error: readError(message) };
}

function lostCall(wasSent: boolean, cause: NetworkError): NetworkError {
  return wasSent
    ? new NetworkError("UNKNOWN_OUTCOME", `The link was lost during the call: ${cause.message}`, {
      cause,
    })
    : new NetworkError("UNAVAILABLE", `The link was lost before the call: ${cause.message}`, {
      cause,
    });
}

function linkLost(): NetworkError {
  return new NetworkError("UNAVAILABLE", "The peer closed the link.");
}

function callerLost(): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled: the caller's link was lost.");
}

function cancelledByCaller(): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled by the caller.");
}
