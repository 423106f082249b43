/** Runs of agents as a test asks for them. */

import type { Agent, AgentAnswer } from "../../src/agents/agent.ts";
import { Cancellation } from "../../src/base/cancellation.ts";
import { type AgentCall, runAgent } from "../../src/agents/run_agent.ts";

/** A call with everything that a test does not care for. */
export function callOf(parts: Partial<AgentCall> = {}): AgentCall {
  return {
    prompt: "",
    context: "",
    taskId: "01JDXA0000000000000000TASK",
    nodeId: "node-1",
    cancellation: new Cancellation(),
    emit: () => {},
    callAgent: (agent) => Promise.reject(new Error(`Nobody is here to ask for ${agent}.`)),
    ...parts,
  };
}

/** Runs an agent, and waits for its answer even where that comes at once. */
export function answerOf(agent: Agent, call: AgentCall): Promise<AgentAnswer> {
  return Promise.try(() => runAgent(agent, call));
}

/** Asks an agent and waits for its answer. */
export function ask(
  agent: Agent,
  prompt: string,
  cancellation?: Cancellation,
): Promise<AgentAnswer> {
  return answerOf(agent, callOf({ prompt, ...(cancellation && { cancellation }) }));
}
