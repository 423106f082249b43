/** Gets a task run: on the best device, and on the next when that one fails before it has begun. */

import { bothRequirements } from "../agents/requirements.ts";
import type { EmitRunEvent, RunResult } from "../agents/run_event.ts";
import type { Clock } from "../base/clock.ts";
import { Deadlines } from "../base/deadlines.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Candidate } from "../routing/candidate.ts";
import { shortcoming } from "../routing/filter.ts";
import { rank } from "../routing/rank.ts";
import type { Route, RouteOutcome, Router } from "../routing/router.ts";
import { type RouteRequest, RoutingStrategy } from "../routing/strategy.ts";
import type { Circuits } from "./circuits.ts";
import type { Executor } from "./executor.ts";
import { noDevice } from "./failure.ts";
import { TaskHistory } from "./history.ts";
import { usualConcurrency } from "./map_prompts.ts";
import type { CallingLink } from "./remote.ts";
import { RetryBudget } from "./retry_budget.ts";
import { ServiceTimeTable } from "./service_times.ts";
import { SilenceWatch } from "./silence.ts";
import { type Tracer, traceRun } from "./tracing.ts";
import type { RunRequest } from "./run_request.ts";
import type { RunMeans } from "./run_means.ts";
import { TaskRun } from "./task_run.ts";

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
  /** Between two pings of the membership, in milliseconds. */
  readonly heartbeatMs: number;
  /** The link to a peer, if one is open. */
  readonly link: (nodeId: string) => CallingLink | undefined;
  /** What records traces, if anything does. */
  readonly tracer?: () => Tracer | undefined;
}

const NOWHERE: ReadonlySet<string> = new Set();
/** Of the nodes that have what another one lacks, so many are named. */
const MAX_TOLD = 5;

/** See the top of the file. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #means: RunMeans;
  readonly #times = new ServiceTimeTable();
  /** What this node has asked for. */
  readonly history: TaskHistory;
  readonly #silence: SilenceWatch;
  #stopped = false;

  constructor(options: DispatcherOptions) {
    const { clock, logger, random, circuits, executor, link, heartbeatMs } = options;
    this.#options = options;
    this.history = new TaskHistory(clock);
    const deadlines = new Deadlines(clock);
    const { history } = this;
    this.#silence = new SilenceWatch({
      clock,
      deadlines,
      attempts: () => history.remotes(),
      heartbeatMs,
      onSilent: (nodeId) => circuits.silent(nodeId),
    });
    this.#means = {
      clock,
      logger,
      random,
      circuits,
      executor,
      link,
      history,
      silence: this.#silence,
      times: this.#times,
      budget: new RetryBudget(),
      deadlines,
      route: (request, tried) => this.#route(request, tried),
      hasAnother: (request, tried) => this.#hasAnother(request, tried),
      isStopped: () => this.#stopped,
    };
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
    this.#silence.stop();
  }

  /**
   * Runs a task and resolves to its one result.
   *
   * A device that fails before it has begun is replaced by the next best. One that is lost or stops
   * after it may have begun is replaced only if nothing has been emitted and the agent is
   * idempotent.
   *
   * @param emit Takes the events; without it none are made.
   * @throws {NetworkError} `UNAVAILABLE` when no device can do it; `UNKNOWN_OUTCOME` when one was
   * lost that may have done it; `DEADLINE_EXCEEDED` when the time is up, whatever devices do;
   * `CANCELLED` when the signal aborts, or the device stops; else what the last device failed with.
   */
  run(request: RunRequest, emit?: EmitRunEvent): Promise<RunResult> {
    const { newTaskId, tracer } = this.#options;
    const taskId = newTaskId();
    const recording = tracer?.();
    if (recording === undefined) return new TaskRun(taskId, request, emit, this.#means).result();
    return traceRun(recording, taskId, request, emit, (request, emit) => {
      return new TaskRun(taskId, request, emit, this.#means).result();
    });
  }

  /** How many of these to run at a time. */
  usualConcurrency(request: RunRequest): number {
    return usualConcurrency(
      this.#options.candidates(),
      this.#times.of(request.agent.name),
      request,
    );
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
    const { nodeId, strategy, view } = request;
    const asked = this.#asked(request, tried);
    const candidates = this.#seenBy(request);
    if (nodeId !== undefined) return theOneAskedFor(nodeId, candidates, asked, view?.model);
    const chosen = (outcome: RouteOutcome): Route | undefined => {
      if (outcome.candidate !== undefined) return outcome;
      if (tried.size > 0) return undefined;
      throw noDevice(outcome.ranking, view?.model);
    };
    const outcome = this.#options.router.route(candidates, asked, strategy);
    return outcome instanceof Promise ? outcome.then(chosen) : chosen(outcome);
  }

  /** Whether a device that was not tried, and is none of doubt, can do it now. */
  #hasAnother(request: RunRequest, tried: ReadonlySet<string>): boolean {
    const asked = this.#asked(request, tried);
    return this.#seenBy(request).some((one) =>
      !one.isDoubtful && shortcoming(one, asked) === undefined
    );
  }

  #seenBy({ view }: RunRequest): readonly Candidate[] {
    const devices = this.#options.candidates();
    return view === undefined ? devices : view.candidates(devices);
  }

  /** What routing is asked. */
  #asked(request: RunRequest, tried: ReadonlySet<string>): RouteRequest {
    const { agent, requirements, near, view } = request;
    return {
      agent: agent.name,
      workload: request.workload ?? agent.workload,
      requirements: requirements === undefined
        ? agent.requirements
        : bothRequirements(agent.requirements, requirements),
      query: request.prompt,
      context: request.context,
      near: near === undefined ? NOWHERE : new Set(near),
      tried,
      times: view?.times ?? this.#times,
      model: view?.model,
    };
  }
}

/**
 * Nothing is to be chosen, only to be checked.
 *
 * @throws {NetworkError} `NOT_FOUND` when the node is not here, or does not have what is asked for;
 * `UNAVAILABLE` when it cannot do it now.
 */
function theOneAskedFor(
  nodeId: string,
  candidates: readonly Candidate[],
  request: RouteRequest,
  model: string | undefined,
): Route {
  const { agent, requirements: { model: needed } } = request;
  const has = ({ agents, models }: Candidate) =>
    model === undefined ? agents.has(agent) : needed === undefined || models.has(needed);
  const notFound = (why: string) => {
    const action = model === undefined ? `run agent "${agent}"` : `ask model "${model}"`;
    return new NetworkError("NOT_FOUND", `Cannot ${action} on "${nodeId}": ${why}`);
  };
  const candidate = candidates.find((one) => one.nodeId === nodeId);
  if (candidate === undefined) {
    throw notFound("no such node is here now. See: hanzo-network peers");
  }
  if (!has(candidate)) {
    const others = candidates.filter(has).slice(0, MAX_TOLD).map((one) => one.nodeId).join(", ");
    throw notFound(
      `that node does not have it${others && `, and these do: ${others}`}. ` +
        `See: hanzo-network ${model === undefined ? "agents" : "models"}`,
    );
  }
  const ranking = rank([candidate], request, RoutingStrategy.CapabilityBased);
  if (ranking.verdicts[0].fits) return { candidate, reason: "it was asked for", ranking };
  throw noDevice(ranking, model);
}
