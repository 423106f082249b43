/** Tasks over a link: the caller's side and the executor's. */

import type { Deadline, Deadlines, Expiring } from "../base/deadlines.ts";
import { NetworkError } from "../base/errors.ts";
import type { CallEnd, CallSink, IncomingCall, OutgoingCall } from "../link/call.ts";
import type { PeerLink } from "../link/peer_link.ts";
import type { Executor } from "./executor.ts";
import type { Stoppable } from "./history.ts";
import type { ProbedLink } from "./silence.ts";
import {
  AnswerBody,
  decodeAnswer,
  decodeEvent,
  decodeTask,
  eventBody,
  TaskBody,
} from "./task_codec.ts";
import {
  type AttemptEvent,
  deadlineExceeded,
  type EmitAttemptEvent,
  MAX_STREAMED_LENGTH,
  type Served,
  type Task,
  TaskCancelled,
} from "./task.ts";

/** The name of the call on a link. */
export const RUN_METHOD = "run";

/** Every task says it once, so it goes as an empty item: nothing to read. */
const STARTED: AttemptEvent = { type: "started" };

/** What a run needs of a link. */
export type CallingLink = Pick<PeerLink, "call"> & ProbedLink;

/** How a run is bounded by its caller. */
export class RemoteBounds {
  readonly deadlines: Deadlines;
  /** The clock of the deadlines, which was just read. */
  readonly now: number;
  /** Stops it there, too. */
  readonly signal: AbortSignal | undefined;
  /** Is given what stops it there as well: much cheaper than a signal of its own. */
  readonly stoppable: Stoppable | undefined;

  constructor(deadlines: Deadlines, now: number, signal?: AbortSignal, stoppable?: Stoppable) {
    this.deadlines = deadlines;
    this.now = now;
    this.signal = signal;
    this.stoppable = stoppable;
  }
}

/**
 * Runs one attempt on the node at the other end of `link`. Nothing is emitted once it has settled.
 *
 * @throws {NetworkError} What the executor failed with; `UNAVAILABLE` when the task never left,
 * `UNKNOWN_OUTCOME` when the link broke after it had; `DEADLINE_EXCEEDED` when the task's time is
 * up, even if the other side says nothing; the signal's reason.
 */
export function runRemotely(
  link: Pick<CallingLink, "call">,
  task: Task,
  emit: EmitAttemptEvent,
  bounds: RemoteBounds,
): Promise<Served> {
  return new Promise((resolve, reject) => {
    new RemoteAttempt(task, emit, bounds, resolve, reject).start(link);
  });
}

/** One object instead of a handful of functions for each run: it is made for every task. */
class RemoteAttempt implements CallSink, Expiring {
  readonly #task: Task;
  readonly #emit: EmitAttemptEvent;
  readonly #bounds: RemoteBounds;
  readonly #resolve: (served: Served) => void;
  readonly #reject: (reason: unknown) => void;
  #call: OutgoingCall | undefined;
  #over = false;
  #streamed = "";
  #deadline: Deadline | undefined;
  #onAbort: (() => void) | undefined;

  constructor(
    task: Task,
    emit: EmitAttemptEvent,
    bounds: RemoteBounds,
    resolve: (served: Served) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#task = task;
    this.#emit = emit;
    this.#bounds = bounds;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(link: Pick<CallingLink, "call">): void {
    const { signal, stoppable, deadlines, now } = this.#bounds;
    const task = this.#task;
    if (signal?.aborted) return this.#reject(signal.reason);
    // Not assigned as it is made: V8 takes such a function for one that lasts, puts it among the old
    // objects, and all that it holds then outlives young garbage collections (half of a run's price).
    const stop = (reason: unknown) => this.#giveUp(reason);
    if (stoppable !== undefined) stoppable.stop = stop;
    this.#call = link.call(RUN_METHOD, new TaskBody(task), this);
    if (this.#over) return;
    if (signal !== undefined) {
      this.#onAbort = () => this.#giveUp(signal.reason);
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    // The executor keeps the deadline, too, but may be out of reach.
    this.#deadline = deadlines.at(now + task.timeoutMs, this);
  }

  expire(): void {
    this.#giveUp(deadlineExceeded(this.#task));
  }

  onItem(body: Uint8Array): void {
    if (this.#over) return;
    const bytes = body.length;
    const call = this.#call!;
    let taken: Promise<void> | void;
    try {
      // What only newer nodes say tells at least that the agent has begun.
      const event = (bytes === 0 ? undefined : decodeEvent(body)) ?? STARTED;
      if (event.type === "token") this.#streamed = longer(this.#streamed, event.text);
      taken = this.#emit(event);
    } catch (thrown) {
      return this.#giveUp(thrown);
    }
    if (taken === undefined) call.consumed(bytes);
    else void taken.then(() => call.consumed(bytes), (thrown) => this.#giveUp(thrown));
  }

  onEnd(end: CallEnd): void {
    if (this.#over) return;
    this.#settle();
    if (!end.ok) return this.#reject(end.error);
    try {
      const answer = decodeAnswer(end.body);
      if (answer.cancelled !== undefined) {
        return this.#reject(new TaskCancelled(answer.cancelled));
      }
      answer.output ??= this.#streamed;
      this.#resolve(answer as Served);
    } catch (thrown) {
      this.#reject(thrown);
    }
  }

  #giveUp(reason: unknown): void {
    if (this.#over) return;
    this.#settle();
    this.#call?.cancel();
    this.#reject(reason);
  }

  #settle(): void {
    this.#over = true;
    if (this.#deadline !== undefined) this.#bounds.deadlines.cancel(this.#deadline);
    if (this.#onAbort !== undefined) {
      this.#bounds.signal!.removeEventListener("abort", this.#onAbort);
    }
  }
}

/** An executor that lies must not fill the memory of who believes it. */
function longer(streamed: string, text: string): string {
  if (streamed.length + text.length <= MAX_STREAMED_LENGTH) return streamed + text;
  throw new NetworkError(
    "RESOURCE_EXHAUSTED",
    `The answer is longer than ${
      MAX_STREAMED_LENGTH / 2 ** 20
    } million characters. Let the agent ` +
      "say less, or write it to a file.",
  );
}

/** Answers a peer's call by running the task here. */
export function serveRun(call: IncomingCall, executor: Executor, caller: string): void {
  let streamed = "";
  let hasBegun = false;
  const answer = ({ output, data, usage, serviceMs, changes }: Served) => {
    // What was streamed is there already.
    const told = output === streamed ? undefined : output;
    try {
      call.end(new AnswerBody({ output: told, data, usage, serviceMs, changes }));
    } catch (thrown) {
      // The work is done: what cannot be sent must not look as if nothing had begun.
      if (!hasBegun) call.begin();
      fail(thrown);
    }
  };
  const fail = (thrown: unknown) => {
    if (thrown instanceof TaskCancelled) {
      call.end(new AnswerBody({ cancelled: thrown.message, serviceMs: 0 }));
    } else call.fail(NetworkError.from(thrown, "INTERNAL"));
  };
  const emit: EmitAttemptEvent = (event) => {
    if (event.type === "started") {
      hasBegun = true;
      return call.begin();
    }
    if (event.type === "token") streamed += event.text;
    return call.send(eventBody(event));
  };
  try {
    const served = executor.execute(decodeTask(call.body), emit, call.cancellation, caller);
    if (served instanceof Promise) served.then(answer).catch(fail);
    else answer(served);
  } catch (thrown) {
    fail(thrown);
  }
}
