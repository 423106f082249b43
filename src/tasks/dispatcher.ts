/** Gets a task run: on the best device, and on the next when that one fails before it has begun. */

import type { AgentDescription } from "../agents/agent.ts";
import type { AgentAnswer } from "../agents/agent.ts";
import type { RunEvent, RunResult } from "../agents/run_event.ts";
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { PeerLink } from "../link/peer_link.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { Verdict } from "../routing/rank.ts";
import type { Route, Router } from "../routing/router.ts";
import type { RoutingStrategy } from "../routing/strategy.ts";
import type { Executor } from "./executor.ts";
import { runRemotely } from "./remote.ts";
import type { AttemptEvent, Task } from "./task.ts";

/** What is to be run. */
export interface RunRequest {
  readonly agent: AgentDescription;
  readonly prompt: string;
  readonly context: string;
  /** Only this node; by default the one that routing chooses. */
  readonly nodeId?: string;
  /** Instead of the network's own strategy. */
  readonly strategy?: RoutingStrategy;
  /** How long it may take in all, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What a {@linkcode Dispatcher} is made of. */
export interface DispatcherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newTaskId: () => string;
  readonly router: Router;
  readonly executor: Executor;
  /** The devices that may be given tasks now. */
  readonly candidates: () => readonly Candidate[];
  /** The link to a peer, if one is open. */
  readonly link: (nodeId: string) => PeerLink | undefined;
}

/** Takes the events of a run, all but the result; while a returned promise is pending it waits. */
export type EmitRunEvent = (event: RunEvent) => Promise<void> | void;

/** Devices that are tried for one task at most. */
const MAX_ATTEMPTS = 3;

/** What an executor fails with before it has begun: another device may be asked at once. */
const NOT_BEGUN: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "NOT_FOUND",
  "PERMISSION_DENIED",
]);

/** See the top of the file. */
export class Dispatcher {
  readonly #options: DispatcherOptions;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /**
   * Runs a task and resolves to its one result.
   *
   * A device that fails before it has begun is replaced by the next best. One that is lost after it
   * may have begun is replaced only if nothing has been emitted and the agent is idempotent.
   *
   * @throws {NetworkError} `UNAVAILABLE` when no device can do it; `UNKNOWN_OUTCOME` when one was
   * lost that may have done it; else what the last device failed with.
   */
  async run(request: RunRequest, emit: EmitRunEvent): Promise<RunResult> {
    const { clock, newTaskId } = this.#options;
    const taskId = newTaskId();
    const startedAt = clock.now();
    const tried = new Set<string>();
    let lastFailure: NetworkError | undefined;

    for (let attempt = 1;; attempt++) {
      request.signal?.throwIfAborted();
      const route = await this.#route(request, tried, lastFailure);
      const { candidate: { nodeId }, reason } = route;
      tried.add(nodeId);
      const told = emit({ type: "routed", taskId, attempt, nodeId, reason });
      if (told !== undefined) await told;
      const task: Task = {
        taskId,
        attempt,
        agent: request.agent.name,
        prompt: request.prompt,
        context: request.context,
        timeoutMs: Math.max(1, request.timeoutMs - (clock.now() - startedAt)),
      };
      const progress = { begun: false, emitted: false };
      try {
        const answer = await this.#attempt(route, task, request.signal, (event) => {
          if (event.type === "started") {
            progress.begun = true;
            return emit({ type: "started", taskId, attempt, nodeId });
          }
          progress.emitted = true;
          return emit(event);
        });
        return {
          taskId,
          agent: request.agent.name,
          nodeId,
          ...answer,
          attempts: attempt,
          durationMs: clock.now() - startedAt,
          reason,
        };
      } catch (thrown) {
        const error = NetworkError.from(thrown, "INTERNAL");
        if (!mayTryAgain(error, progress, request)) {
          throw outcomeOf(error, nodeId, request, progress);
        }
        lastFailure = error;
        if (attempt >= MAX_ATTEMPTS) throw error;
        this.#options.logger.info("{agent} falls back from {nodeId}: {reason}", {
          agent: request.agent.name,
          nodeId,
          reason: error.message,
        });
        await emit({ type: "fallback", taskId, attempt, nodeId, reason: error.message });
      }
    }
  }

  #attempt(
    { candidate: { nodeId, isLocal } }: Route,
    task: Task,
    signal: AbortSignal | undefined,
    emit: (event: AttemptEvent) => Promise<void> | void,
  ): Promise<AgentAnswer> {
    const { link } = this.#options;
    if (isLocal) return this.#executeHere(task, signal, emit);
    const open = link(nodeId);
    if (open === undefined) {
      throw new NetworkError("UNAVAILABLE", `Node "${nodeId}" has no open link now.`);
    }
    return runRemotely(open, task, emit, signal);
  }

  async #executeHere(
    task: Task,
    signal: AbortSignal | undefined,
    emit: (event: AttemptEvent) => Promise<void> | void,
  ): Promise<AgentAnswer> {
    // The deadline must not abort the caller's own signal.
    const abort = new AbortController();
    const onAbort = () => abort.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await this.#options.executor.execute(task, emit, abort);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #route(
    request: RunRequest,
    tried: ReadonlySet<string>,
    lastFailure: NetworkError | undefined,
  ): Promise<Route> {
    const { agent, nodeId, prompt, context, strategy } = request;
    let candidates = this.#options.candidates();
    if (nodeId !== undefined) {
      candidates = candidates.filter((candidate) => candidate.nodeId === nodeId);
      if (candidates.length === 0) {
        throw new NetworkError(
          "NOT_FOUND",
          `Cannot run agent "${agent.name}" on "${nodeId}": no such node is here now. ` +
            `See: hanzo-network peers`,
        );
      }
    }
    if (tried.size > 0) candidates = candidates.filter((one) => !tried.has(one.nodeId));
    const { router } = this.#options;
    const outcome = router.route(candidates, {
      agent: agent.name,
      workload: agent.workload,
      requirements: agent.requirements,
      query: prompt,
      context,
    }, strategy);
    const route = outcome instanceof Promise ? await outcome : outcome;
    if (route.candidate !== undefined) {
      return nodeId === undefined ? route : { ...route, reason: "it was asked for" };
    }
    throw lastFailure ?? noDevice(agent.name, route.verdicts);
  }
}

function mayTryAgain(
  error: NetworkError,
  { begun, emitted }: { begun: boolean; emitted: boolean },
  { agent }: RunRequest,
): boolean {
  if (!begun && NOT_BEGUN.has(error.code)) return true;
  return error.code === "UNKNOWN_OUTCOME" && !emitted && agent.idempotent;
}

/** The error as the caller is to see it. */
function outcomeOf(
  error: NetworkError,
  nodeId: string,
  { agent }: RunRequest,
  { emitted }: { emitted: boolean },
): NetworkError {
  if (error.code !== "UNKNOWN_OUTCOME") return error;
  const why = emitted
    ? "part of its answer had come already"
    : `agent "${agent.name}" is not idempotent, so it was not run again elsewhere`;
  return new NetworkError(
    "UNKNOWN_OUTCOME",
    `Node "${nodeId}" was lost while it ran agent "${agent.name}"; ${why}. ` +
      `Look whether its work was done before you run it again.`,
    { cause: error },
  );
}

function noDevice(agent: string, verdicts: readonly Verdict[]): NetworkError {
  const reasons = verdicts
    .filter((verdict) => !verdict.fits)
    .slice(0, 5)
    .map(({ candidate, reason }) => `${candidate.nodeId} ${reason}`);
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot run agent "${agent}": no device can do it now` +
      (reasons.length > 0 ? ` (${reasons.join("; ")}).` : ".") +
      ` Start a node that can, or lower the agent's requirements.`,
  );
}
