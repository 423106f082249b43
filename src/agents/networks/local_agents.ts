/** The agents of a network on one machine: they run in this process, one inside the other if asked. */

import type { Clock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import type { Agent } from "../agent.ts";
import { runAgent } from "../run_agent.ts";
import type { RunResult } from "../run_event.ts";
import type { StepCall } from "./agent_loop.ts";

/** What the node is called where there is none. */
export const LOCAL_NODE = "local";

/** See the top of the file. */
export class LocalAgents {
  readonly #network: string;
  readonly #agents: ReadonlyMap<string, Agent>;
  readonly #clock: Clock;
  readonly #newId: () => string;

  constructor(network: string, agents: readonly Agent[], clock: Clock, newId: () => string) {
    this.#network = network;
    this.#agents = new Map(agents.map((agent) => [agent.name, agent]));
    this.#clock = clock;
    this.#newId = newId;
  }

  /** Runs one of them; what it changes of the state counts when it has answered. */
  async call(
    { agent: name, prompt, context, state, timeoutMs, signal, emit }: StepCall,
  ): Promise<RunResult> {
    const agent = this.#agents.get(name);
    if (agent === undefined) {
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot run agent "${name}" here: network "${this.#network}" expects it on another device. ` +
          "Give the network to createDistributedNetwork, and ask for it there.",
      );
    }
    signal?.throwIfAborted();
    const startedAt = this.#clock.now();
    const taskId = this.#newId();
    const own = state.fork();
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopTimer = Number.isFinite(timeoutMs)
      ? this.#clock.after(timeoutMs, () => stop.abort(late(name, timeoutMs)))
      : () => {};
    try {
      const { output, data } = await runAgent(agent, {
        prompt,
        context,
        taskId,
        nodeId: LOCAL_NODE,
        signal: stop.signal,
        emit,
        state: own,
      });
      const changes = own.changes();
      if (changes !== undefined) state.apply(changes);
      const durationMs = this.#clock.now() - startedAt;
      return {
        taskId,
        agent: name,
        nodeId: LOCAL_NODE,
        output,
        ...(data !== undefined && { data }),
        attempts: 1,
        durationMs,
        serviceMs: durationMs,
        reason: "it runs in this process",
      };
    } finally {
      stopTimer();
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

function late(agent: string, timeoutMs: number): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Agent "${agent}" was not done within ${Math.round(timeoutMs)} ms. Allow more with timeoutMs.`,
  );
}
