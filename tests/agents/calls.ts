/** Runs of agents as a test asks for them. */

import type { Agent, AgentAnswer } from "../../src/agents/agent.ts";
import { type AgentCall, runAgent } from "../../src/agents/run_agent.ts";

/** A call with everything that a test does not care for. */
export function callOf(parts: Partial<AgentCall> = {}): AgentCall {
  return {
    prompt: "",
    context: "",
    taskId: "01JDXA0000000000000000TASK",
    nodeId: "node-1",
    signal: new AbortController().signal,
    emit: () => {},
    ...parts,
  };
}

/** Asks an agent and waits for its answer. */
export function ask(agent: Agent, prompt: string, signal?: AbortSignal): Promise<AgentAnswer> {
  return runAgent(agent, callOf({ prompt, ...(signal === undefined ? {} : { signal }) }));
}
