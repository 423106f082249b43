/** An agent that runs here asks another one: a run like any other, within the bounds of its own. */

import { checkRequirements } from "../agents/requirements.ts";
import type { RunResult } from "../agents/run_event.ts";
import { storeOf } from "../agents/run_state_store.ts";
import { NetworkError } from "../base/errors.ts";
import type { Dispatcher } from "../tasks/dispatcher.ts";
import type { AgentQuestion } from "../tasks/executor.ts";
import type { FindAgent } from "./catalog.ts";

/**
 * Runs the agent that is asked, wherever suits it best.
 *
 * @throws {NetworkError} `NOT_FOUND` when no node has it; `FAILED_PRECONDITION` when the asker may
 * be run again elsewhere and the agent may not; as `network.run` does.
 */
export async function answerQuestion(
  { asker, agent: name, prompt, options, timeoutMs, priority, hops, signal, traceparent }:
    AgentQuestion,
  { findAgent, dispatcher }: { readonly findAgent: FindAgent; readonly dispatcher: Dispatcher },
): Promise<RunResult> {
  const agent = findAgent(name);
  // Else a fallback of the asker would run it a second time, unknown to anybody.
  if (asker.idempotent && !agent.idempotent) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Agent "${asker.name}" cannot ask agent "${name}": "${asker.name}" may be run again ` +
        `elsewhere when its device is lost, and "${name}" may not. ` +
        `Create "${asker.name}" with idempotent: false.`,
    );
  }
  const { context = "", nodeId, workload, requirements, near, state } = options;
  return await dispatcher.run({
    agent,
    prompt,
    context,
    nodeId,
    workload,
    requirements: requirements && checkRequirements(requirements),
    near,
    priority,
    timeoutMs,
    signal,
    hops,
    traceparent,
    state: state && storeOf(state),
  });
}
