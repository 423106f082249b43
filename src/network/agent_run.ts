/** Runs of several agents over the devices of a network: each step is a task like any other. */

import { checkIterations } from "../agents/networks/agent_network.ts";
import { type AgentLoop, runLoop } from "../agents/networks/agent_loop.ts";
import {
  type AgentRouter,
  type RouterFunction,
  toRouter,
} from "../agents/networks/agent_router.ts";
import type { NetworkHooks } from "../agents/networks/network_hooks.ts";
import type { RunJournal } from "../agents/networks/run_journal.ts";
import { type AskModel, modelByName } from "../agents/run_models.ts";
import type { EmitRunEvent, NetworkRunResult } from "../agents/run_event.ts";
import type { RunStateStore } from "../agents/run_state_store.ts";
import type { RunRequest } from "../tasks/run_request.ts";
import { catalog } from "./catalog.ts";
import type { NetworkParts } from "./parts.ts";
import type { RoutedRunOptions, RunOptions } from "./run_options.ts";
import { sendToModel } from "./send_to_model.ts";

/** How a run goes from agent to agent. */
export interface AgentRouting {
  readonly router: AgentRouter | RouterFunction;
  readonly maxIterations: number | undefined;
  readonly hooks: NetworkHooks | undefined;
  /** Who begins; by default the router says it. */
  readonly initialAgent: string | undefined;
}

const DEFAULT_MAX_ITERATIONS = 10;

/** The router of a run; undefined where it is one agent's. */
export function routerOf(
  { options: { defaultRouting } }: NetworkParts,
  { router = defaultRouting.router }: RunOptions | RoutedRunOptions,
): AgentRouter | RouterFunction | undefined {
  return router === false ? undefined : router;
}

/** How a run goes on that has a router. */
export function routingOf(
  { options: { defaultRouting } }: NetworkParts,
  { initialAgent, ...options }: RunOptions | RoutedRunOptions,
  router: AgentRouter | RouterFunction,
): AgentRouting {
  const { maxIterations, hooks } = options as RoutedRunOptions;
  return {
    router,
    maxIterations: maxIterations ?? defaultRouting.maxIterations,
    hooks: hooks ?? defaultRouting.hooks,
    initialAgent: typeof initialAgent === "object" ? initialAgent.name : initialAgent,
  };
}

/** What a run stands on that does not begin with nothing. */
export interface KeptRun {
  readonly state: RunStateStore;
  readonly journal: RunJournal;
}

/**
 * How the agents of the whole network go on.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` for options out of range.
 */
export function loopOf(parts: NetworkParts, routing: AgentRouting): AgentLoop {
  const { router, maxIterations = DEFAULT_MAX_ITERATIONS, hooks = {}, initialAgent } = routing;
  checkIterations("Cannot run agents", maxIterations);
  return {
    network: parts.self().network,
    agents: () => catalog(parts).map(({ agent: { name, description } }) => ({ name, description })),
    initialAgent,
    router: toRouter(router),
    maxIterations,
    hooks,
  };
}

/**
 * Runs agents one after the other, each where it suits best.
 *
 * @param request What is the same for every step.
 * @throws {NetworkError} As a network of agents does.
 */
export async function runAgents(
  parts: NetworkParts,
  request: Omit<RunRequest, "agent">,
  loop: AgentLoop,
  { state, journal }: Pick<KeptRun, "state"> & Partial<KeptRun>,
  emit: EmitRunEvent = () => {},
): Promise<NetworkRunResult> {
  return await runLoop(loop, {
    prompt: request.prompt,
    context: request.context,
    state,
    timeoutMs: request.timeoutMs,
    signal: request.signal,
    clock: parts.clock,
    // Async: an agent that no node has any more fails its step.
    call: async ({ agent, emit, ...step }) =>
      await parts.dispatcher.run(
        // The run is what asks: a node that drains finishes it.
        { ...request, ...step, agent: parts.findAgent(agent), hops: 1 },
        emit,
      ),
    model: (name) => {
      const { timeoutMs, priority = "normal", traceparent } = request;
      const askModel: AskModel = (model, call) =>
        sendToModel(
          { ...call, model, timeoutMs, priority, hops: 1, traceparent },
          parts.modelCalls,
        );
      return modelByName(name, askModel, `network "${loop.network}"`);
    },
    emit,
    journal,
  });
}
