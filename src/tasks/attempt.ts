/** One attempt at a task, as its caller holds it, and what its device is asked. */

import type { RunStateStore } from "../agents/run_state_store.ts";
import type { Route } from "../routing/router.ts";
import type { Progress } from "./failure.ts";
import type { AskedTask, Stoppable } from "./history.ts";
import type { RunRequest } from "./run_request.ts";
import type { Task } from "./task.ts";
import type { Priority } from "./waiting_line.ts";

/** An attempt: a device that was chosen, and how far it has come. */
export class Attempt implements Stoppable, Progress {
  readonly number: number;
  readonly route: Route;
  /** When it was chosen, by the monotonic clock. */
  readonly chosenAt: number;
  /** Whether the next one is in the retry budget already. */
  isNextPaid = false;
  begun = false;
  emitted = false;
  lost = 0;
  stop: Stoppable["stop"];

  constructor(number: number, route: Route, now: number) {
    this.number = number;
    this.route = route;
    this.chosenAt = now;
  }

  get nodeId(): string {
    return this.route.candidate.nodeId;
  }
}

/** What a device is asked; a class, since one is made for every task (see routing/rank.ts). */
export class AskedOf implements Task {
  readonly taskId: string;
  readonly attempt: number;
  readonly agent: string;
  readonly prompt: string;
  readonly context: string;
  readonly timeoutMs: number;
  readonly priority: Priority;
  readonly hops: number;
  readonly state: RunStateStore | undefined;
  readonly traceparent: string | undefined;

  constructor(going: AskedTask, request: RunRequest, attempt: number, remainingMs: number) {
    this.taskId = going.taskId;
    this.attempt = attempt;
    this.agent = going.agent;
    this.prompt = request.prompt;
    this.context = request.context;
    this.timeoutMs = remainingMs;
    this.priority = going.priority;
    this.hops = request.hops ?? 0;
    this.state = request.state;
    this.traceparent = request.traceparent;
  }
}
