/** Runs of several agents over the devices of a network: each step is a task like any other. */

import { checkIterations, stateWith } from "../agents/networks/agent_network.ts";
import { runLoop } from "../agents/networks/agent_loop.ts";
import {
  type AgentRouter,
  type RouterFunction,
  toRouter,
} from "../agents/networks/agent_router.ts";
import type { NetworkHooks } from "../agents/networks/network_hooks.ts";
import type { EmitRunEvent, NetworkRunResult } from "../agents/run_event.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import type { RunRequest } from "../tasks/run_request.ts";
import { catalog } from "./catalog.ts";
import type { NetworkParts } from "./parts.ts";

/** How a run goes from agent to agent. */
export interface AgentRouting {
  readonly router: AgentRouter | RouterFunction;
  readonly maxIterations: number | undefined;
  readonly hooks: NetworkHooks | undefined;
  readonly data: Readonly<Record<string, JsonValue>> | undefined;
  /** Who begins; by default the router says it. */
  readonly initialAgent: string | undefined;
}

const DEFAULT_MAX_ITERATIONS = 10;

/**
 * Runs agents one after the other, each where it suits best.
 *
 * @param request What is the same for every step.
 * @throws {NetworkError} As a network of agents does; `INVALID_ARGUMENT` for options out of range.
 */
export async function runAgents(
  parts: NetworkParts,
  request: Omit<RunRequest, "agent">,
  routing: AgentRouting,
  emit: EmitRunEvent = () => {},
): Promise<NetworkRunResult> {
  const { router, maxIterations = DEFAULT_MAX_ITERATIONS, hooks = {}, data = {} } = routing;
  checkIterations("Cannot run agents", maxIterations);
  return await runLoop({
    network: parts.self().network,
    agents: () => catalog(parts).map(({ agent: { name, description } }) => ({ name, description })),
    initialAgent: routing.initialAgent,
    router: toRouter(router),
    maxIterations,
    hooks,
  }, {
    prompt: request.prompt,
    context: request.context,
    state: stateWith(data),
    timeoutMs: request.timeoutMs,
    signal: request.signal,
    clock: parts.clock,
    call: ({ agent, emit, ...step }) =>
      parts.dispatcher.run(
        // The run is what asks: a node that drains finishes it.
        { ...request, ...step, agent: parts.findAgent(agent), hops: 1 },
        emit,
      ),
    emit,
  });
}
