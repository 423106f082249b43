/** What a run tells its caller, from the choice of a device to the result. */

import type { JsonValue } from "../base/bounded_json.ts";
import type { AgentUsage } from "./models/model.ts";
import type { AgentResult, RunState } from "./run_state.ts";

/** What an agent itself has to say while it runs. */
export type AgentEvent =
  /** A piece of the answer, in order; the pieces joined are the answer so far. */
  | { type: "token"; text: string }
  /**
   * The agent calls one of its tools. `callId` is the call's own in the whole run: the model's id of
   * it where that can be, and in a network of agents `STEP/ID`.
   */
  | { type: "tool-call"; callId: string; tool: string; arguments: JsonValue }
  /** The tool has answered the call of the same `callId`. */
  | { type: "tool-result"; callId: string; tool: string; result: JsonValue }
  /** The tool has failed, or did not take its arguments: `reason` says why. The run may go on. */
  | { type: "tool-error"; callId: string; tool: string; reason: string }
  /** The agent asks another one. */
  | { type: "agent-call"; callId: string; agent: string; prompt: string }
  /** The other one has answered the call of the same `callId`. */
  | {
    type: "agent-result";
    callId: string;
    agent: string;
    nodeId: string;
    taskId: string;
    output: string;
  }
  /** The other one has failed: `reason` says why. The run may go on. */
  | { type: "agent-error"; callId: string; agent: string; reason: string };

/** How far a network of agents has come; what lies between two of them is of the step's agent. */
export type StepEvent =
  /** An agent of the network is asked, as `step`, from 1: its pieces begin anew. */
  | { type: "step"; network: string; step: number; agent: string }
  /** It has answered. */
  | { type: "step-result"; network: string; step: number; result: AgentResult };

/** One event of a run; `result` is always the last, and comes exactly once. */
export type RunEvent<Result extends RunResult = RunResult> =
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
  | StepEvent
  | AgentEvent
  | { type: "result"; result: Result };

/** Takes the events of a run, all but the result; while a returned promise is pending it waits. */
export type EmitRunEvent = (event: RunEvent) => Promise<void> | void;

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
  /** What the models took that it has asked; agents that it has asked tell their own. */
  usage?: AgentUsage;
  /** How many devices were tried, this one included; 1 or more. */
  attempts: number;
  /** From the call to the result, in milliseconds, as the caller saw it. */
  durationMs: number;
  /** How long the agent itself took, in milliseconds, as the device says that ran it. */
  serviceMs: number;
  /** Why this node: one sentence. */
  reason: string;
}

/**
 * What a run of several agents came to: the last answer, with its task and its node. `attempts`,
 * `serviceMs` and `usage` are those of all steps together; `usage` tells what models took that
 * routers have asked by `context.model`, too.
 */
export interface NetworkRunResult extends RunResult {
  /** What the agents shared: messages, data and the answers of all. */
  state: RunState;
  /** Why no further agent was asked. */
  stoppedBy: StoppedBy;
}

/**
 * Why a run of several agents ended: its router, or a hook, had no further agent; or `maxIterations`
 * was reached.
 */
export type StoppedBy = "router" | "hook" | "limit";
