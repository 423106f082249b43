/** What a run came to, as the agents after it see it, and back. */

import type { RunResult } from "./run_event.ts";
import type { AgentResult } from "./run_state.ts";

/** As the state of a run keeps it. */
export function toAgentResult(result: RunResult): AgentResult {
  const { agent, nodeId, taskId, output, data, durationMs } = result;
  return { agent, nodeId, taskId, output, ...(data !== undefined && { data }), durationMs };
}

/** What an earlier attempt of a run has got: it cost this one nothing. */
export function keptResult(result: AgentResult): RunResult {
  return {
    ...result,
    attempts: 0,
    serviceMs: 0,
    reason: "it had answered before the run broke off",
  };
}
