/** The tasks that this node has asked for: those that go on, and how the last ones ended. */

import type { Clock } from "../base/clock.ts";
import type { ErrorCode, NetworkError } from "../base/errors.ts";
import { type Placed, Roster } from "../base/roster.ts";
import type { Ranking } from "../routing/rank.ts";
import type { WatchedAttempt } from "./silence.ts";
import type { Priority } from "./waiting_line.ts";

/** Tasks that have ended and are remembered. */
export const MOST_ENDED = 200;

/** Devices whose verdicts are remembered with a task. */
const MOST_CONSIDERED = 64;

/** What a task came to: `"ok"`, or the code of the error that its caller got. */
export type TaskOutcome = "ok" | ErrorCode;

/** Something that can be stopped from outside while it goes on. */
export interface Stoppable {
  /** Stops what goes on now; does nothing when that is over. */
  stop: ((reason: NetworkError) => void) | undefined;
}

const NONE: readonly string[] = [];

/** A task that goes on. It holds no text of its caller's, however long it is remembered. */
export class AskedTask implements Stoppable, Placed {
  place = -1;
  readonly taskId: string;
  readonly agent: string;
  /** Of a call of a model: which. */
  readonly model: string | undefined;
  readonly priority: Priority;
  /** When it was asked for, by the monotonic clock, in milliseconds. */
  readonly askedAt: number;
  /** The node that was asked last, which has it now. */
  #nodeId: string | undefined;
  /** Those that were asked before. Nearly always none, and a list for each task would have its price. */
  #before: readonly string[] = NONE;
  /** Why the last one was chosen. */
  reason = "";
  /** What that was chosen from; undefined while none was, and where that were too many to keep. */
  ranking: Ranking | undefined;
  /** Whether it has a slot there. */
  isRunning = false;
  /** When it went there, by the monotonic clock. */
  sentAt: number;
  /** When it went there, or got its slot there, by the monotonic clock. */
  since: number;
  /** Why it is not to go on, once somebody has said so. */
  cancelled: NetworkError | undefined;
  stop: Stoppable["stop"];
  /** Where it is, while that is another device. */
  remote: WatchedAttempt | undefined;

  constructor(
    taskId: string,
    agent: string,
    model: string | undefined,
    priority: Priority,
    now: number,
  ) {
    this.taskId = taskId;
    this.agent = agent;
    this.model = model;
    this.priority = priority;
    this.askedAt = now;
    this.sentAt = now;
    this.since = now;
  }

  /** The nodes that were asked, one for each attempt; the last one has it now. */
  get nodeIds(): readonly string[] {
    return this.#nodeId === undefined ? NONE : [...this.#before, this.#nodeId];
  }

  /** It goes to a node, where it waits at first. */
  sent(nodeId: string, reason: string, ranking: Ranking, now: number): void {
    if (this.#nodeId !== undefined) this.#before = this.nodeIds;
    this.#nodeId = nodeId;
    this.reason = reason;
    this.ranking = ranking.verdicts.length <= MOST_CONSIDERED ? ranking : undefined;
    this.isRunning = false;
    this.sentAt = now;
    this.since = now;
  }

  /** It has got a slot there. */
  started(now: number): void {
    this.isRunning = true;
    this.since = now;
  }
}

/** A task that this node has asked for and that has ended. */
export interface RecentTask {
  /** The task's id. */
  readonly taskId: string;
  /** The agent that was asked for. */
  readonly agent: string;
  /** Of a call of a model: which. */
  readonly model?: string;
  /**
   * The nodes that were asked, one for each attempt: the last one's answer is the outcome or, with
   * hedging, the one's before.
   */
  readonly nodeIds: readonly string[];
  /** `"ok"`, or the code of the error that the caller got. */
  readonly outcome: TaskOutcome;
  /** How many attempts were made; 0 where no device could do it. */
  readonly attempts: number;
  /** From the call to its end, in milliseconds, as the caller saw it. */
  readonly durationMs: number;
  /** How long it had its slot, in milliseconds; null without an answer. */
  readonly serviceMs: number | null;
  /** Why the last node was chosen: one sentence; empty where none was. */
  readonly reason: string;
  /** What the last node was chosen from. */
  readonly ranking: Ranking | undefined;
  /** When it ended, by the monotonic clock, in milliseconds. */
  readonly endedAt: number;
}

/** One that has ended, as it is remembered. */
class Ended {
  readonly task: AskedTask;
  readonly outcome: TaskOutcome;
  readonly serviceMs: number | null;
  readonly endedAt: number;

  constructor(task: AskedTask, outcome: TaskOutcome, serviceMs: number | null, endedAt: number) {
    this.task = task;
    this.outcome = outcome;
    this.serviceMs = serviceMs;
    this.endedAt = endedAt;
  }
}

/** See the top of the file. */
export class TaskHistory {
  readonly #clock: Clock;
  readonly #goesOn = new Roster<AskedTask>();
  /** A ring: the oldest is where the next one goes. */
  readonly #ended: Ended[] = [];
  #next = 0;
  #onIdle: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A task is asked for. */
  begin(taskId: string, agent: string, priority: Priority, model?: string): AskedTask {
    const task = new AskedTask(taskId, agent, model, priority, this.#clock.now());
    this.#goesOn.add(task);
    return task;
  }

  /** It has ended, one way or the other; returns when, by the monotonic clock. */
  end(task: AskedTask, outcome: TaskOutcome, serviceMs: number | null = null): number {
    this.#goesOn.delete(task);
    const endedAt = this.#clock.now();
    // What it held on to is not kept with it.
    task.stop = undefined;
    task.remote = undefined;
    this.#ended[this.#next] = new Ended(task, outcome, serviceMs, endedAt);
    this.#next = (this.#next + 1) % MOST_ENDED;
    if (this.#goesOn.size === 0 && this.#onIdle.length > 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
    return endedAt;
  }

  /** Whether none goes on. */
  get isIdle(): boolean {
    return this.#goesOn.size === 0;
  }

  /** Those attempts that are on other devices now, in no order. */
  remotes(): WatchedAttempt[] {
    const remotes: WatchedAttempt[] = [];
    for (const { remote } of this.#goesOn) if (remote !== undefined) remotes.push(remote);
    return remotes;
  }

  /** Resolves as soon as none goes on. */
  idle(): Promise<void> {
    if (this.#goesOn.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** One that goes on. */
  get(taskId: string): AskedTask | undefined {
    for (const task of this.#goesOn) if (task.taskId === taskId) return task;
    return undefined;
  }

  /** Those that go on, in the order in which they were asked for. */
  goesOn(): AskedTask[] {
    return [...this.#goesOn].sort((a, b) => a.askedAt - b.askedAt);
  }

  /** The last {@linkcode MOST_ENDED} that have ended, the last one first. */
  recent(): RecentTask[] {
    const inOrder = [...this.#ended.slice(this.#next), ...this.#ended.slice(0, this.#next)];
    return inOrder.reverse().map(({ task, outcome, serviceMs, endedAt }) => ({
      taskId: task.taskId,
      agent: task.agent,
      ...(task.model !== undefined && { model: task.model }),
      nodeIds: [...task.nodeIds],
      outcome,
      attempts: task.nodeIds.length,
      durationMs: endedAt - task.askedAt,
      serviceMs,
      reason: task.reason,
      ranking: task.ranking,
      endedAt,
    }));
  }
}
