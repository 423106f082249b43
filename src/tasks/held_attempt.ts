/** An attempt at a task, as the device holds it that runs it. */

import type { Cancellation } from "../base/cancellation.ts";
import type { Placed } from "../base/roster.ts";
import type { AttemptEvent, EmitAttemptEvent, Task } from "./task.ts";
import type { Priority, Waiter } from "./waiting_line.ts";

/** An attempt that runs or waits here. */
export class HeldAttempt implements Waiter, Placed {
  place = -1;
  readonly task: Task;
  readonly caller: string;
  readonly cancellation: Cancellation;
  /** Whether it waits for an engine, and takes no slot. */
  readonly isModelCall: boolean;
  readonly #emit: EmitAttemptEvent;
  /** When it came, and then, when it got its slot, by the monotonic clock. */
  since: number;
  /** When its time is up, by the monotonic clock. */
  readonly endsAt: number;
  /** Agents that it has asked and that have not answered. */
  asking = 0;
  #told = false;

  constructor(
    task: Task,
    emit: EmitAttemptEvent,
    cancellation: Cancellation,
    caller: string,
    now: number,
    isModelCall: boolean,
  ) {
    this.task = task;
    this.#emit = emit;
    this.cancellation = cancellation;
    this.caller = caller;
    this.isModelCall = isModelCall;
    this.since = now;
    this.endsAt = now + task.timeoutMs;
  }

  get priority(): Priority {
    return this.task.priority;
  }

  /** Tells that it has begun, once. */
  begun(): void {
    if (this.#told) return;
    this.#told = true;
    this.#emit({ type: "started" });
  }

  /** Passes on what its agent tells. */
  tell(event: AttemptEvent): Promise<void> | void {
    this.begun();
    return this.#emit(event);
  }
}

/** A task that runs here. */
export interface RunningTask {
  /** The task's id. */
  readonly taskId: string;
  /** Which attempt at it this is, from 1. */
  readonly attempt: number;
  /** The agent that runs. */
  readonly agent: string;
  /** Of a call of a model: which. */
  readonly model?: string;
  /** For how long already, in milliseconds; 0 while it waits. */
  readonly runningMs: number;
}

/** A task that runs or waits here. */
export interface TaskHere extends RunningTask {
  readonly state: "running" | "waiting";
  /** Who has sent it. */
  readonly caller: string;
  readonly priority: Priority;
  /** Since when it runs or waits, by the monotonic clock, in milliseconds. */
  readonly since: number;
}

/**
 * An attempt as it is shown.
 *
 * @param modelOf Which model a call of one is for, by its context.
 */
export function taskHere(
  { task, isModelCall, caller, since }: HeldAttempt,
  state: TaskHere["state"],
  runningMs: number,
  modelOf: (context: string) => string = () => "",
): TaskHere {
  const { taskId, attempt, agent, priority, context } = task;
  const model = isModelCall && { model: modelOf(context) };
  return { taskId, attempt, agent, ...model, runningMs, state, caller, priority, since };
}
