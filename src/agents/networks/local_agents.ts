/** The agents of a network on one machine: they run in this process, and ask each other there. */

import { Cancellation } from "../../base/cancellation.ts";
import type { Clock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import type { Agent } from "../agent.ts";
import { runAgent } from "../run_agent.ts";
import type { RunResult } from "../run_event.ts";
import { storeOf } from "../run_state_store.ts";
import type { StepCall } from "./agent_loop.ts";

/** What the node is called where there is none. */
const LOCAL_NODE = "local";
/** Agents that ask each other for ever are stopped here; what people build is two or three deep. */
const MAX_DEPTH = 16;

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

  /**
   * Runs one of them; what it changes of the state counts when it has answered.
   *
   * @param depth How many agents have asked each other until it came to this one.
   */
  async call(call: LocalCall, depth = 0): Promise<RunResult> {
    const { prompt, context, state, timeoutMs, signal, emit } = call;
    const agent = this.#find(call.agent, depth);
    const startedAt = this.#clock.now();
    const taskId = this.#newId();
    const own = state?.fork();
    const cancellation = new Cancellation();
    const onAbort = () => cancellation.cancel(signal!.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopTimer = Number.isFinite(timeoutMs)
      ? this.#clock.after(timeoutMs, () => cancellation.cancel(late(agent.name, timeoutMs)))
      : () => {};
    try {
      const { output, data, usage } = await runAgent(agent, {
        prompt,
        context,
        taskId,
        nodeId: LOCAL_NODE,
        cancellation,
        emit,
        state: own,
        callAgent: (name, prompt, options, signal) => {
          const { context = "", timeoutMs = Infinity } = options;
          const state = options.state && storeOf(options.state);
          const asked = { agent: name, prompt, context, state, timeoutMs, signal, emit() {} };
          return this.call(asked, depth + 1);
        },
      });
      const changes = own?.changes();
      if (changes !== undefined) state!.apply(changes);
      const durationMs = this.#clock.now() - startedAt;
      return {
        taskId,
        agent: agent.name,
        nodeId: LOCAL_NODE,
        output,
        ...(data !== undefined && { data }),
        ...(usage !== undefined && { usage }),
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

  #find(name: string, depth: number): Agent {
    if (depth > MAX_DEPTH) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot ask agent "${name}": agents have asked each other ${MAX_DEPTH} deep already. ` +
          "Is there a circle in what they ask?",
      );
    }
    const agent = this.#agents.get(name);
    if (agent !== undefined) return agent;
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot run agent "${name}" here: network "${this.#network}" does not have it itself. ` +
        "Add it, or give the network to createDistributedNetwork and ask for it there.",
    );
  }
}

/** A step, or what one agent asks another: that need not share a state. */
type LocalCall = Omit<StepCall, "state"> & Partial<Pick<StepCall, "state">>;

function late(agent: string, timeoutMs: number): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Agent "${agent}" was not done within ${Math.round(timeoutMs)} ms. Allow more with timeoutMs.`,
  );
}
