/** Gets a task run: on the best device, and on the next when that one fails before it has begun. */

import type { AgentDescription } from "../agents/agent.ts";
import { bothRequirements, type Requirements, type Workload } from "../agents/requirements.ts";
import type { RunEvent, RunResult } from "../agents/run_event.ts";
import { Cancellation } from "../base/cancellation.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { Deadlines } from "../base/deadlines.ts";
import { describeError, type ErrorCode, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { type Candidate, tflopsOf } from "../routing/candidate.ts";
import { considerations } from "../routing/explain.ts";
import { rank } from "../routing/rank.ts";
import type { Route, RouteOutcome, Router } from "../routing/router.ts";
import { type RouteRequest, RoutingStrategy } from "../routing/strategy.ts";
import { type Executor, HERE, type Served } from "./executor.ts";
import { type AskedTask, TaskHistory } from "./history.ts";
import { mayTryAgain, noDevice, outcomeOf, type Progress } from "./failure.ts";
import { type CallingLink, runRemotely } from "./remote.ts";
import type { Circuits } from "./circuits.ts";
import { RetryBudget } from "./retry_budget.ts";
import type { Priority } from "./waiting_line.ts";
import { ServiceTimeTable } from "./service_times.ts";
import { type AttemptEvent, deadlineExceeded, type Task } from "./task.ts";

/** What is to be run. */
export interface RunRequest {
  readonly agent: AgentDescription;
  readonly prompt: string;
  readonly context: string;
  /** Only this node; by default the one that routing chooses. */
  readonly nodeId?: string;
  /** Instead of the network's own strategy. */
  readonly strategy?: RoutingStrategy;
  /** Instead of the agent's own. */
  readonly workload?: Workload;
  /** Beside the agent's own. */
  readonly requirements?: Requirements;
  /** Nodes that hold what the task works on. */
  readonly near?: readonly string[];
  /** Its place among those that wait; by default low for background work. */
  readonly priority?: Priority;
  /** Whether the event of the choice is to say what was thought of each device. */
  readonly explain?: boolean;
  /** How long it may take in all, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** How many agents have asked each other until it came to this one; 0 where none has. */
  readonly hops?: number;
}

/** What a {@linkcode Dispatcher} is made of. */
export interface DispatcherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly newTaskId: () => string;
  readonly router: Router;
  readonly circuits: Circuits;
  readonly executor: Executor;
  /** The devices that may be given tasks now. */
  readonly candidates: () => readonly Candidate[];
  /** The link to a peer, if one is open. */
  readonly link: (nodeId: string) => CallingLink | undefined;
}

/** Takes the events of a run, all but the result; while a returned promise is pending it waits. */
export type EmitRunEvent = (event: RunEvent) => Promise<void> | void;

/** Attempts at one task at most. */
const MAX_ATTEMPTS = 3;
/** Devices that may refuse one task because they are full. */
const MAX_REFUSALS = 2;
/** The longest wait before the second attempt where no other device is left; then twice as long. */
const FIRST_BACK_OFF_MS = 100;
const LONGEST_BACK_OFF_MS = 5_000;

/** What a device fails with that nobody can reach, or that was lost. */
const OUT_OF_REACH: ReadonlySet<ErrorCode> = new Set(["UNAVAILABLE", "UNKNOWN_OUTCOME"]);
const NOWHERE: ReadonlySet<string> = new Set();

/** An attempt that failed, of a task that another device may still do. */
interface Failure {
  readonly nodeId: string;
  readonly reason: string;
  /** What the caller gets if no other device can do it. */
  readonly error: NetworkError;
}

/** See the top of the file. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #times = new ServiceTimeTable();
  readonly #budget = new RetryBudget();
  /** What this node has asked for. */
  readonly history: TaskHistory;
  readonly #deadlines: Deadlines;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.history = new TaskHistory(options.clock);
    this.#deadlines = new Deadlines(options.clock);
  }

  /**
   * Stops a task that this node has asked for, wherever it runs.
   *
   * @param reason What whoever asked for it gets.
   * @returns Whether there was one.
   */
  cancel(taskId: string, reason: NetworkError): boolean {
    const going = this.history.get(taskId);
    if (going === undefined) return false;
    going.cancelled ??= reason;
    going.stop?.(reason);
    return true;
  }

  /** From now on no device takes another one's place: the links are about to be closed. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs a task and resolves to its one result.
   *
   * A device that fails before it has begun is replaced by the next best. One that is lost or stops
   * after it may have begun is replaced only if nothing has been emitted and the agent is
   * idempotent.
   *
   * @throws {NetworkError} `UNAVAILABLE` when no device can do it; `UNKNOWN_OUTCOME` when one was
   * lost that may have done it; `DEADLINE_EXCEEDED` when the time is up, whatever devices do;
   * `CANCELLED` when the signal aborts, or the device stops; else what the last device failed with.
   */
  async run(request: RunRequest, emit: EmitRunEvent): Promise<RunResult> {
    const { clock, newTaskId, circuits } = this.#options;
    const { agent: { name: agent }, prompt, context, timeoutMs, signal } = request;
    const workload = request.workload ?? request.agent.workload;
    const priority = request.priority ?? (workload === "background" ? "low" : "normal");
    const taskId = newTaskId();
    const going = this.history.begin(taskId, agent, priority);
    const startedAt = going.askedAt;
    const tried = new Set<string>();
    let failure: Failure | undefined;
    let lost = 0;
    let refused = 0;
    this.#budget.earn();

    try {
      for (let attempt = 1;; attempt++) {
        throwIfCancelled(going, signal);
        // Nothing is awaited between the choice and the call unless it has to be: the next choice is
        // to see this one's load.
        const routing = this.#route(request, tried);
        const route = routing instanceof Promise || routing === undefined
          ? await routing ?? await this.#again(request, tried, failure!, attempt, going)
          : routing;
        if (failure !== undefined) {
          this.#options.logger.info("{agent} falls back from {nodeId}: {reason}", {
            agent,
            nodeId: failure.nodeId,
            reason: failure.reason,
          });
          const { nodeId, reason } = failure;
          const told = emit({ type: "fallback", taskId, attempt: attempt - 1, nodeId, reason });
          if (told !== undefined) await told;
        }
        const { candidate: { nodeId, capabilities }, reason, ranking } = route;
        tried.add(nodeId);
        going.sent(nodeId, reason, clock.now());
        circuits.chosen(nodeId);
        const told = emit({
          type: "routed",
          taskId,
          attempt,
          nodeId,
          reason,
          ...(request.explain && { considered: considerations(ranking) }),
        });
        if (told !== undefined) await told;
        // A custom router, or a slow reader of the events, has taken its time.
        throwIfCancelled(going, signal);
        const remainingMs = timeoutMs - (clock.now() - startedAt);
        const task: Task = {
          taskId,
          attempt,
          agent,
          prompt,
          context,
          timeoutMs: remainingMs,
          priority,
          hops: request.hops ?? 0,
        };
        if (remainingMs <= 0) throw deadlineExceeded({ ...task, timeoutMs });
        const progress: Progress = { begun: false, emitted: false, lost };
        try {
          const { output, data, serviceMs } = await this.#attempt(
            route,
            task,
            signal,
            going,
            (event) => {
              progress.begun = true;
              if (event.type === "started") {
                going.started(clock.now());
                return emit({ type: "started", taskId, attempt, nodeId });
              }
              // An agent that may be run again asks only such as may be, too.
              if (!isAboutAgents(event)) progress.emitted = true;
              return emit(event);
            },
          );
          if (!progress.begun) {
            // It answered at once, and had nothing to say before.
            going.started(clock.now());
            const told = emit({ type: "started", taskId, attempt, nodeId });
            if (told !== undefined) await told;
          }
          circuits.answered(nodeId);
          this.#times.note(agent, nodeId, serviceMs, tflopsOf(capabilities));
          this.history.end(going, "ok", serviceMs);
          return {
            taskId,
            agent,
            nodeId,
            output,
            ...(data !== undefined && { data }),
            attempts: attempt,
            durationMs: clock.now() - startedAt,
            serviceMs,
            reason,
          };
        } catch (thrown) {
          throwIfCancelled(going, signal);
          const error = NetworkError.from(thrown, "INTERNAL");
          if (OUT_OF_REACH.has(error.code)) circuits.failed(nodeId);
          else circuits.answered(nodeId);
          if (error.code === "UNKNOWN_OUTCOME") progress.lost = ++lost;
          if (error.code === "RESOURCE_EXHAUSTED" && !progress.begun) refused++;
          const seen = outcomeOf(error, nodeId, request, progress);
          const isLast = this.#stopped || attempt >= MAX_ATTEMPTS || refused >= MAX_REFUSALS;
          if (isLast || !mayTryAgain(error, progress, request) || !this.#budget.spend()) throw seen;
          failure = { nodeId, reason: error.message, error: seen };
        }
      }
    } catch (thrown) {
      this.history.end(going, NetworkError.from(thrown, "INTERNAL").code);
      throw thrown;
    }
  }

  #attempt(
    { candidate: { nodeId, isLocal } }: Route,
    task: Task,
    signal: AbortSignal | undefined,
    going: AskedTask,
    emit: (event: AttemptEvent) => Promise<void> | void,
  ): Promise<Served> {
    const { link } = this.#options;
    if (isLocal) return this.#executeHere(task, signal, going, emit);
    const open = link(nodeId);
    if (open === undefined) {
      throw new NetworkError("UNAVAILABLE", `Node "${nodeId}" has no open link now.`);
    }
    return runRemotely(open, task, emit, { deadlines: this.#deadlines, signal, stoppable: going });
  }

  async #executeHere(
    task: Task,
    signal: AbortSignal | undefined,
    going: AskedTask,
    emit: (event: AttemptEvent) => Promise<void> | void,
  ): Promise<Served> {
    // The deadline must not abort the caller's own signal.
    const cancellation = new Cancellation();
    going.stop = (reason) => cancellation.cancel(reason);
    const onAbort = () => cancellation.cancel(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await this.#options.executor.execute(task, emit, cancellation, HERE);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Nobody is left that was not tried: after a while one of the same may do it. */
  async #again(
    request: RunRequest,
    tried: Set<string>,
    { error }: Failure,
    attempt: number,
    going: AskedTask,
  ): Promise<Route> {
    if (error.code !== "UNAVAILABLE") throw error;
    await this.#backOff(attempt, request.signal, going);
    tried.clear();
    return await this.#route(request, tried) ?? Promise.reject(error);
  }

  /** With full jitter: those whose device was lost at the same moment do not come back together. */
  async #backOff(
    attempt: number,
    signal: AbortSignal | undefined,
    going: AskedTask,
  ): Promise<void> {
    const { clock, random } = this.#options;
    const longest = Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (attempt - 2));
    const stop = new AbortController();
    going.stop = (reason) => stop.abort(reason);
    const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    await sleep(clock, random.next() * longest, both).catch(() => throwIfCancelled(going, signal));
  }

  /**
   * The device for the next attempt; undefined when nobody is left that has not been tried.
   *
   * @throws {NetworkError} `UNAVAILABLE` when no device can do it, tried or not.
   */
  #route(
    request: RunRequest,
    tried: ReadonlySet<string>,
  ): Route | undefined | Promise<Route | undefined> {
    const { agent, nodeId, strategy, requirements, near } = request;
    const asked: RouteRequest = {
      agent: agent.name,
      workload: request.workload ?? agent.workload,
      requirements: requirements === undefined
        ? agent.requirements
        : bothRequirements(agent.requirements, requirements),
      query: request.prompt,
      context: request.context,
      near: near === undefined ? NOWHERE : new Set(near),
      tried,
      times: this.#times,
    };
    const candidates = this.#options.candidates();
    if (nodeId !== undefined) return theOneAskedFor(nodeId, candidates, asked);
    const chosen = (outcome: RouteOutcome): Route | undefined => {
      if (outcome.candidate !== undefined) return outcome;
      if (tried.size > 0) return undefined;
      throw noDevice(outcome.ranking);
    };
    const outcome = this.#options.router.route(candidates, asked, strategy);
    return outcome instanceof Promise ? outcome.then(chosen) : chosen(outcome);
  }
}

function isAboutAgents({ type }: AttemptEvent): boolean {
  return type === "agent-call" || type === "agent-result";
}

/** Nothing is to be chosen, only to be checked. */
function theOneAskedFor(
  nodeId: string,
  candidates: readonly Candidate[],
  request: RouteRequest,
): Route {
  const candidate = candidates.find((one) => one.nodeId === nodeId);
  if (candidate === undefined) {
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot run agent "${request.agent}" on "${nodeId}": no such node is here now. ` +
        `See: hanzo-network peers`,
    );
  }
  const ranking = rank([candidate], request, RoutingStrategy.CapabilityBased);
  if (ranking.verdicts[0].fits) return { candidate, reason: "it was asked for", ranking };
  throw noDevice(ranking);
}

function throwIfCancelled({ cancelled }: AskedTask, signal: AbortSignal | undefined): void {
  if (cancelled !== undefined) throw cancelled;
  if (!signal?.aborted) return;
  const { reason } = signal;
  if (reason instanceof NetworkError) throw reason;
  const why = describeError(reason);
  throw new NetworkError("CANCELLED", `Cancelled by the caller: ${why}`, { cause: reason });
}
