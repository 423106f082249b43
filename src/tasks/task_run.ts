/** One task on its way to its one result: attempt after attempt, until a device answers. */

import type { EmitRunEvent, RunEvent, RunResult } from "../agents/run_event.ts";
import { Cancellation } from "../base/cancellation.ts";
import { sleep } from "../base/clock.ts";
import { describeError, type ErrorCode, NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { tflopsOf } from "../routing/candidate.ts";
import { considerations } from "../routing/explain.ts";
import type { Route } from "../routing/router.ts";
import { HERE } from "./executor.ts";
import { mayTryAgain, outcomeOf, Unanswered } from "./failure.ts";
import { Hedge, Lost, type Won } from "./hedge.ts";
import type { AskedTask, Stoppable } from "./history.ts";
import { type CallingLink, RemoteBounds, runRemotely } from "./remote.ts";
import type { RunRequest } from "./run_request.ts";
import type { WatchedAttempt } from "./silence.ts";
import { type AttemptEvent, deadlineExceeded, type Served, type Task } from "./task.ts";
import type { Circuits } from "./circuits.ts";
import { AskedOf, Attempt } from "./attempt.ts";
import type { RunMeans } from "./run_means.ts";

/** Attempts at one task at most. */
const MAX_ATTEMPTS = 3;
/** Devices that may refuse one task because they are full. */
const MAX_REFUSALS = 2;
/** The longest wait before the second attempt where no other device is left; then twice as long. */
const FIRST_BACK_OFF_MS = 100;

const NOBODY: ReadonlySet<string> = new Set();

/** What an agent says of others that it asks, which is no part of its answer. */
const ASKING: ReadonlySet<AttemptEvent["type"]> = new Set([
  "agent-call",
  "agent-result",
  "agent-error",
]);

/** What a device fails with that nobody can reach, or that was lost. */
const OUT_OF_REACH: ReadonlySet<ErrorCode> = new Set(["UNAVAILABLE", "UNKNOWN_OUTCOME"]);

/** An attempt that failed, of a task that another device may still do. */
interface Failure {
  readonly attempt: Attempt;
  readonly error: NetworkError;
  /** What the caller gets if no other device can do it. */
  readonly outcome: NetworkError;
}

/** See the top of the file. */
export class TaskRun implements WatchedAttempt {
  readonly #means: RunMeans;
  readonly #request: RunRequest;
  readonly #emit: EmitRunEvent | undefined;
  readonly #going: AskedTask;
  /** Nodes that need not be asked again; made when the first one is. */
  #tried = NOBODY;
  /** How many attempts were made. */
  #attempts = 0;
  /** Devices that were lost while they ran it. */
  #lost = 0;
  /** Devices that refused it because they are full. */
  #refused = 0;
  /** The one that is with another device, and the link to that. */
  #remote: Attempt | undefined;
  #link: CallingLink | undefined;
  /** Between two devices, where hedging was asked for. */
  #hedge: Hedge<Attempt> | undefined;

  constructor(
    taskId: string,
    request: RunRequest,
    emit: EmitRunEvent | undefined,
    means: RunMeans,
  ) {
    const workload = request.workload ?? request.agent.workload;
    const priority = request.priority ?? (workload === "background" ? "low" : "normal");
    this.#means = means;
    this.#request = request;
    this.#emit = emit;
    this.#going = means.history.begin(
      taskId,
      request.agent.name,
      priority,
      request.view?.model,
    );
  }

  /**
   * The one result.
   *
   * @throws {NetworkError} As `Dispatcher.run` says.
   */
  async result(): Promise<RunResult> {
    this.#means.budget.earn();
    try {
      let failure: Failure | undefined;
      for (;;) {
        this.#throwIfCancelled();
        // Nothing is awaited between the choice and the call unless it has to be: the next choice is
        // to see this one's load.
        const routing = this.#means.route(this.#request, this.#tried);
        const isLate = routing instanceof Promise || routing === undefined;
        const route = isLate
          ? await this.#unlessCancelled(routing) ?? await this.#again(failure!)
          : routing;
        if (failure !== undefined) {
          const told = this.#fallBack(failure);
          if (told !== undefined) await told;
        }
        // To look at the clock takes a thirtieth of a run.
        const isFirst = failure === undefined && !isLate;
        let attempt = this.#choose(route, isFirst ? this.#going.askedAt : undefined);
        const told = this.#tellChoice(attempt, route.reason);
        if (told !== undefined) await told;
        // A custom router, or a slow reader of the events, has taken its time.
        this.#throwIfCancelled();
        try {
          let served: Served;
          if (this.#request.hedgeAfterMs === undefined) {
            served = await this.#serve(attempt, this.#going, told === undefined);
          } else {
            const { hedgeAfterMs } = this.#request;
            ({ attempt, served } = await this.#hedged(attempt, hedgeAfterMs, told === undefined));
          }
          if (!attempt.begun && this.#emit !== undefined) {
            // It answered at once, and had nothing to say before.
            const told = this.#tellStart(attempt);
            if (told !== undefined) await told;
          }
          return this.#done(attempt, served);
        } catch (thrown) {
          failure = this.#failed(attempt, thrown);
        }
      }
    } catch (thrown) {
      this.#means.history.end(this.#going, toError(thrown).code);
      throw thrown;
    } finally {
      if (this.#means.history.isIdle) this.#means.silence.stop();
    }
  }

  #choose(route: Route, now = this.#means.clock.now()): Attempt {
    const { candidate: { nodeId }, reason, ranking } = route;
    this.#going.sent(nodeId, reason, ranking, now);
    this.#circuits.chosen(nodeId);
    return new Attempt(++this.#attempts, route, now);
  }

  #tellChoice({ number, nodeId, route }: Attempt, reason: string): Promise<void> | void {
    if (this.#emit === undefined) return;
    const event: RunEvent = {
      type: "routed",
      taskId: this.#going.taskId,
      attempt: number,
      nodeId,
      reason,
    };
    if (this.#request.explain) event.considered = considerations(route.ranking);
    return this.#emit(event);
  }

  #tellStart({ number, nodeId }: Attempt): Promise<void> | void {
    const { taskId } = this.#going;
    return this.#emit?.({ type: "started", taskId, attempt: number, nodeId });
  }

  #fallBack({ attempt: { number, nodeId }, error }: Failure): Promise<void> | void {
    const { agent, view } = this.#request;
    const { message: reason } = error;
    const { taskId } = this.#going;
    this.#means.logger.info("{agent} falls back from {nodeId}: {reason}", {
      agent: view === undefined ? agent.name : `model ${safeName(view.model)}`,
      nodeId,
      reason,
    });
    return this.#emit?.({ type: "fallback", taskId, attempt: number, nodeId, reason });
  }

  /**
   * Gets an attempt answered by its device.
   *
   * @param stoppable Is given what stops it there.
   * @param isFresh Whether no time has gone by since the choice.
   */
  #serve(attempt: Attempt, stoppable: Stoppable, isFresh: boolean): Promise<Served> {
    const { clock, link, deadlines } = this.#means;
    const { nodeId, route: { candidate: { isLocal } } } = attempt;
    const { signal } = this.#request;
    const now = isFresh ? attempt.chosenAt : clock.now();
    const { askedAt } = this.#going;
    const task = this.#task(attempt.number, this.#request.timeoutMs - (now - askedAt));
    const emit = (event: AttemptEvent) => this.#onEvent(attempt, event);
    if (isLocal) return this.#serveHere(task, stoppable, emit);
    const open = link(nodeId);
    if (open === undefined) {
      throw new NetworkError("UNAVAILABLE", `Node "${nodeId}" has no open link now.`);
    }
    if (this.#going.remote === undefined) this.#watch(attempt, open);
    return runRemotely(open, task, emit, new RemoteBounds(deadlines, now, signal, stoppable));
  }

  #watch(attempt: Attempt, link: CallingLink): void {
    this.#remote = attempt;
    this.#link = link;
    this.#going.remote = this;
    this.#means.silence.wake();
  }

  /** The device that has it now, where that is another one. */
  get nodeId(): string {
    return this.#remote!.nodeId;
  }

  /** The link to that. */
  get link(): CallingLink {
    return this.#link!;
  }

  /** Goes elsewhere, if it may be done twice and another device can do it now. */
  onSilence(): void {
    if (this.#hedge !== undefined) return this.#hedge.hurry();
    const attempt = this.#remote!;
    const { isStopped, hasAnother, budget } = this.#means;
    const error = new Unanswered(attempt.nodeId);
    const mayLeave = !isStopped() && this.#attempts < MAX_ATTEMPTS && !attempt.isNextPaid &&
      mayTryAgain(error, attempt, this.#request);
    if (!mayLeave) return;
    const tried = new Set([...this.#tried, attempt.nodeId]);
    // Looking for one costs more, and there may be many tasks there.
    if (budget.isSpent || !hasAnother(this.#request, tried)) return;
    budget.spend();
    attempt.isNextPaid = true;
    this.#going.stop?.(error);
  }

  #task(attempt: number, remainingMs: number): Task {
    const task = new AskedOf(this.#going, this.#request, attempt, remainingMs);
    if (remainingMs <= 0) throw deadlineExceeded({ ...task, timeoutMs: this.#request.timeoutMs });
    return task;
  }

  async #serveHere(
    task: Task,
    stoppable: Stoppable,
    emit: (event: AttemptEvent) => Promise<void> | void,
  ): Promise<Served> {
    const { signal } = this.#request;
    // The deadline must not abort the caller's own signal.
    const cancellation = new Cancellation();
    stoppable.stop = (reason) => cancellation.cancel(reason);
    const onAbort = () => cancellation.cancel(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      return await this.#means.executor.execute(task, emit, cancellation, HERE);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #onEvent(attempt: Attempt, event: AttemptEvent): Promise<void> | void {
    const hadBegun = attempt.begun;
    attempt.begun = true;
    if (event.type === "started") {
      // A peer may say it as often as it likes.
      if (hadBegun) return;
      this.#going.started(this.#means.clock.now());
      return this.#tellStart(attempt);
    }
    // An agent that may be run again asks only such as may be, too.
    if (!ASKING.has(event.type)) attempt.emitted = true;
    // Nobody hears two answers.
    if (this.#hedge !== undefined && !this.#hedge.isWonBy(attempt)) return;
    return this.#emit?.(event);
  }

  /** Whichever of two devices answers first; the second is asked when the first takes its time. */
  async #hedged(first: Attempt, afterMs: number, isFresh: boolean): Promise<Won<Attempt>> {
    const hedge: Hedge<Attempt> = this.#hedge = new Hedge(first, {
      serve: async (attempt) => {
        try {
          return await this.#serve(attempt, attempt, isFresh && attempt === first);
        } finally {
          if (this.#remote === attempt) this.#going.remote = undefined;
        }
      },
      second: () => this.#second(first, hedge, afterMs),
      after: (delayMs, callback) => this.#means.deadlines.after(delayMs, callback),
    });
    this.#going.stop = (reason) => hedge.stop(reason);
    try {
      return await hedge.run(afterMs);
    } finally {
      this.#hedge = undefined;
    }
  }

  /** The second best device, if there is one and the retry budget allows it. */
  async #second(
    first: Attempt,
    hedge: Hedge<Attempt>,
    afterMs: number,
  ): Promise<Attempt | undefined> {
    const { isStopped, route, budget } = this.#means;
    if (this.#request.nodeId !== undefined || isStopped()) return undefined;
    if (this.#attempts >= MAX_ATTEMPTS) return undefined;
    try {
      this.#tried = new Set([...this.#tried, first.nodeId]);
      const chosen = await route(this.#request, this.#tried);
      // A custom router has taken its time.
      if (chosen === undefined || hedge.isDecided || this.#isCancelled) return undefined;
      if (!budget.spend()) return undefined;
      const attempt = this.#choose(chosen);
      const late = `"${first.nodeId}" has not answered within ${afterMs} ms`;
      await this.#tellChoice(attempt, `${chosen.reason}; ${late}`);
      return this.#isCancelled ? undefined : attempt;
    } catch {
      // The first goes on.
      return undefined;
    }
  }

  #done(attempt: Attempt, { output, data, usage, serviceMs, changes }: Served): RunResult {
    if (changes !== undefined) {
      // Where there is no room for them, nobody else is to do it again.
      attempt.begun = true;
      this.#request.state?.apply(changes);
    }
    const { times, history } = this.#means;
    const { agent: { name: agent }, view } = this.#request;
    const { nodeId, route: { candidate: { capabilities }, reason } } = attempt;
    this.#circuits.answered(nodeId);
    if (view === undefined) times.note(agent, nodeId, serviceMs, tflopsOf(capabilities));
    const { taskId, askedAt } = this.#going;
    const durationMs = history.end(this.#going, "ok", serviceMs) - askedAt;
    const attempts = this.#attempts;
    const result: RunResult = {
      taskId,
      agent,
      nodeId,
      output,
      attempts,
      durationMs,
      serviceMs,
      reason,
    };
    if (data !== undefined) result.data = data;
    if (usage !== undefined) result.usage = usage;
    return result;
  }

  /**
   * What a failed attempt means.
   *
   * @throws {NetworkError} What the caller gets, when no other device is to be asked.
   */
  #failed(attempt: Attempt, thrown: unknown): Failure {
    this.#going.remote = undefined;
    this.#throwIfCancelled();
    if (thrown instanceof Lost) {
      const { before } = thrown as Lost<Attempt>;
      if (before !== undefined) this.#note(before.attempt, toError(before.cause));
      return this.#failed(thrown.attempt, thrown.cause);
    }
    const error = toError(thrown);
    this.#note(attempt, error);
    if (error.code === "RESOURCE_EXHAUSTED" && !attempt.begun) this.#refused++;
    const last = this.#whyLast(error, attempt);
    const outcome = outcomeOf(error, attempt.nodeId, this.#request, attempt, last);
    if (last !== undefined) throw outcome;
    return { attempt, error, outcome };
  }

  /** Why no other device is to be asked, if none is; else that is paid for now. */
  #whyLast(error: NetworkError, attempt: Attempt): string | undefined {
    const { budget, isStopped } = this.#means;
    if (!mayTryAgain(error, attempt, this.#request)) return "it is not to be run again";
    if (isStopped()) return "this node is stopping";
    if (this.#attempts >= MAX_ATTEMPTS) return `it was tried ${this.#attempts} times`;
    if (this.#refused >= MAX_REFUSALS) return "the others are full";
    if (attempt.isNextPaid || budget.spend()) return undefined;
    return "too much is being run again already";
  }

  #note(attempt: Attempt, error: NetworkError): void {
    const circuits = this.#circuits;
    const { nodeId } = attempt;
    this.#tried = new Set([...this.#tried, nodeId]);
    if (error instanceof Unanswered) return;
    if (OUT_OF_REACH.has(error.code)) circuits.failed(nodeId, attempt.chosenAt);
    // That the time is up, this side says by itself.
    else if (error.code !== "DEADLINE_EXCEEDED") circuits.answered(nodeId);
    if (error.code === "UNKNOWN_OUTCOME") this.#lost++;
    attempt.lost = this.#lost;
  }

  /** Nobody is left that was not tried: after a while one of the same may do it. */
  async #again({ error, outcome }: Failure): Promise<Route> {
    const { route, budget } = this.#means;
    if (error.code === "UNAVAILABLE" || error instanceof Unanswered) {
      await this.#backOff();
      this.#tried = NOBODY;
      const again = await route(this.#request, this.#tried);
      if (again !== undefined) return again;
    }
    // Nothing comes of what was paid for.
    budget.refund();
    throw outcome;
  }

  /** With full jitter: those whose device was lost at the same moment do not come back together. */
  async #backOff(): Promise<void> {
    const { clock, random } = this.#means;
    const { signal } = this.#request;
    const longest = FIRST_BACK_OFF_MS * 2 ** (this.#attempts - 1);
    const stop = new AbortController();
    this.#going.stop = (reason) => stop.abort(reason);
    const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    await sleep(clock, random.next() * longest, both).catch(() => this.#throwIfCancelled());
  }

  /** A custom router that thinks holds up nobody who has changed his mind. */
  async #unlessCancelled<T>(choice: T | Promise<T>): Promise<T> {
    const { signal } = this.#request;
    const stopped = Promise.withResolvers<never>();
    const onAbort = () => stopped.reject(signal!.reason);
    this.#going.stop = stopped.reject;
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([choice, stopped.promise]);
    } catch (thrown) {
      this.#throwIfCancelled();
      throw thrown;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  get #circuits(): Circuits {
    return this.#request.view?.circuits ?? this.#means.circuits;
  }

  get #isCancelled(): boolean {
    return this.#going.cancelled !== undefined || this.#request.signal?.aborted === true;
  }

  #throwIfCancelled(): void {
    const { cancelled } = this.#going;
    if (cancelled !== undefined) throw cancelled;
    const { signal } = this.#request;
    if (!signal?.aborted) return;
    const { reason } = signal;
    if (reason instanceof NetworkError) throw reason;
    const why = describeError(reason);
    throw new NetworkError("CANCELLED", `Cancelled by the caller: ${why}`, { cause: reason });
  }
}

function toError(thrown: unknown): NetworkError {
  return NetworkError.from(thrown, "INTERNAL");
}
