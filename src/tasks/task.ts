/** A task: one request to run an agent, and what an executor needs to know of it. */

import type { AgentAnswer } from "../agents/agent.ts";
import type { AgentEvent } from "../agents/run_event.ts";
import type { RunChanges, RunStateStore } from "../agents/run_state_store.ts";
import { NetworkError } from "../base/errors.ts";
import type { Priority } from "./waiting_line.ts";

/** One attempt at a task, as it is given to an executor. */
export interface Task {
  /** A ULID, also the idempotency key. */
  readonly taskId: string;
  /** 1, 2, …: each attempt is started at most once. */
  readonly attempt: number;
  readonly agent: string;
  readonly prompt: string;
  /** The text beside the prompt; "" if there is none. */
  readonly context: string;
  /** How long it may take from now on, in milliseconds; shrinks at each hop. */
  readonly timeoutMs: number;
  /** Its place among those that wait. */
  readonly priority: Priority;
  /** How many agents have asked each other until it came to this one; 0 from a caller. */
  readonly hops: number;
  /** The span that it belongs to, where traces are recorded. */
  readonly traceparent?: string;
  /** What the agents of its run share; absent where there is only one. */
  readonly state?: RunStateStore;
}

/** What a task came to here. */
export interface Served extends AgentAnswer {
  /** How long it had a slot, in milliseconds. */
  readonly serviceMs: number;
  /** What it has changed of the state of its run. */
  readonly changes?: RunChanges;
}

/** What an executor tells while an attempt runs. */
export type AttemptEvent = { type: "started" } | AgentEvent;

/** Takes what an attempt tells; while a returned promise is pending the agent waits. */
export type EmitAttemptEvent = (event: AttemptEvent) => Promise<void> | void;

/** The longest a task may be asked to take: a week. */
export const MAX_TIMEOUT_MS = 7 * 24 * 3_600_000;
/** Agents that ask each other for ever are stopped here; what people build is two or three deep. */
export const MAX_HOPS = 16;
/** The longest JSON of a task, of an event and of an answer. */
export const MAX_TASK_BYTES = 16 * 1024 * 1024;

/** What a caller keeps of the tokens of one attempt elsewhere, in UTF-16 units. */
export const MAX_STREAMED_LENGTH = 64 * 1024 * 1024;

/** Somebody has stopped the task on the device that had it: no other one is to run it instead. */
export class TaskCancelled extends NetworkError {
  /** @param message Who did, for its caller. */
  constructor(message: string) {
    super("CANCELLED", message);
  }
}

/** What a task ends with when its time is up. */
export function deadlineExceeded({ taskId, agent, timeoutMs }: Task): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Task ${taskId} on agent "${agent}" was not done within ${Math.round(timeoutMs)} ms. ` +
      `Allow more with timeoutMs, or --timeout.`,
  );
}
