/** What people are told of a run's calls by: the tool's name, with a number where several run. */

import type { AgentEvent } from "./run_event.ts";

/** An event of a call. */
export type CallEvent = Extract<AgentEvent, { callId: string }>;

/** See the top of the file. */
export class CallLabels {
  /** Those of the calls that have not ended, by their ids. */
  readonly #open = new Map<string, string>();

  /** `calculator`, or `calculator #2` while another call of it has not ended. */
  of(event: CallEvent): string {
    const { callId } = event;
    const name = "tool" in event ? event.tool : event.agent;
    if (event.type !== "tool-call" && event.type !== "agent-call") {
      const label = this.#open.get(callId);
      this.#open.delete(callId);
      return label ?? name;
    }
    const taken = new Set(this.#open.values());
    let label = name;
    for (let count = 2; taken.has(label); count++) label = `${name} #${count}`;
    // Nodes of before there were such ids give none.
    if (callId !== "") this.#open.set(callId, label);
    return label;
  }
}
