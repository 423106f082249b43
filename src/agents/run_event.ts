/** What a run tells its caller, from the choice of a device to the result. */

import type { JsonValue } from "../base/bounded_json.ts";

/** What an agent itself has to say while it runs. */
export type AgentEvent =
  /** A piece of the answer, in order; the pieces joined are the answer so far. */
  | { type: "token"; text: string }
  /** The agent calls one of its tools. */
  | { type: "tool-call"; tool: string; arguments: JsonValue }
  /** The tool has answered. */
  | { type: "tool-result"; tool: string; result: JsonValue }
  /** The agent asks another one. */
  | { type: "agent-call"; agent: string; prompt: string }
  /** The other one has answered. */
  | { type: "agent-result"; agent: string; nodeId: string; taskId: string; output: string };

/** One event of a run; `result` is always the last, and comes exactly once. */
export type RunEvent =
  /** A device was chosen; `reason` says why in a sentence, `considered` only when that was asked. */
  | {
    type: "routed";
    taskId: string;
    attempt: number;
    nodeId: string;
    reason: string;
    considered?: Consideration[];
  }
  /** The device has begun: from now on a slot there is taken. */
  | { type: "started"; taskId: string; attempt: number; nodeId: string }
  /** The attempt ended before anything was emitted; the next device is tried. */
  | { type: "fallback"; taskId: string; attempt: number; nodeId: string; reason: string }
  | AgentEvent
  | { type: "result"; result: RunResult };

/** What routing thought of one device for a task. */
export interface Consideration {
  /** The label of the node. */
  nodeId: string;
  /** Its place among those that can do the task, from 1 for the best; null for the others. */
  place: number | null;
  /** When the task would be done there, in milliseconds from the choice; null where it cannot be. */
  finishMs: number | null;
  /** What it lacks, or what its place rests on: without a full stop. */
  reason: string;
}

/** What a run came to. */
export interface RunResult {
  /** The task's id: a ULID, also its idempotency key. */
  taskId: string;
  /** The agent that answered. */
  agent: string;
  /** The node that ran it. */
  nodeId: string;
  /** The answer as text. */
  output: string;
  /** The answer as data, from agents that give it. */
  data?: JsonValue;
  /** How many devices were tried, this one included; 1 or more. */
  attempts: number;
  /** From the call to the result, in milliseconds, as the caller saw it. */
  durationMs: number;
  /** How long the agent itself took, in milliseconds, as the device says that ran it. */
  serviceMs: number;
  /** Why this node: one sentence. */
  reason: string;
}
