/** Runs tasks on this device: so many at a time, so many waiting, the rest refused. */

import type { Agent, AgentAnswer } from "../agents/agent.ts";
import { runAgent } from "../agents/run_agent.ts";
import type { Clock } from "../base/clock.ts";
import { Deadlines } from "../base/deadlines.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { deadlineExceeded, type EmitAttemptEvent, type Task } from "./task.ts";
import { type Priority, type Waiter, WaitingLine } from "./waiting_line.ts";

/** What an {@linkcode Executor} is made of. */
export interface ExecutorOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly agents: ReadonlyMap<string, Agent>;
  /** How many tasks run at a time; 1 or more. */
  readonly slots: number;
}

/** Tasks that may wait for each slot. */
const QUEUE_PER_SLOT = 4;
/** What the prompts and contexts of all waiting tasks may take, in UTF-16 units. */
const MAX_QUEUED_LENGTH = 64 * 1024 * 1024;
/** Attempts that are remembered so that none is started twice. */
const REMEMBERED_ATTEMPTS = 10_000;
/** What a task is guessed to take before the first one has ended. */
const FIRST_GUESS_MS = 1_000;

/** Codes with which an agent may fail by itself; any other would be taken for the network's. */
const AGENT_CODES: ReadonlySet<ErrorCode> = new Set([
  "INVALID_ARGUMENT",
  "AGENT_FAILED",
]);

interface Waiting extends Waiter {
  readonly task: Task;
  /** Since when, by the monotonic clock. */
  readonly since: number;
  readonly abort: AbortController;
  /** Gives it the slot that has become free. */
  start(): void;
  /** Lets it go, to make room. */
  refuse(): void;
}

interface Running {
  readonly caller: string;
  readonly since: number;
  readonly abort: AbortController;
}

/** A task that runs here. */
export interface RunningTask {
  /** The task's id. */
  readonly taskId: string;
  /** Which attempt at it this is, from 1. */
  readonly attempt: number;
  /** The agent that runs. */
  readonly agent: string;
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

/** What a task came to here. */
export interface Served extends AgentAnswer {
  /** How long it had a slot, in milliseconds. */
  readonly serviceMs: number;
}

/** See the top of the file. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #running = new Map<Task, Running>();
  readonly #deadlines: Deadlines;
  readonly #queue = new WaitingLine<Waiting>();
  readonly #attempts = new Set<string>();
  /** The same, in a ring: the oldest is where the next one goes. */
  readonly #attemptOrder: string[] = [];
  #nextAttempt = 0;
  #queuedLength = 0;
  #averageMs = FIRST_GUESS_MS;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock);
  }

  /** Tasks that occupy a slot. */
  get running(): number {
    return this.#running.size;
  }

  /** Tasks that wait for one. */
  get queued(): number {
    return this.#queue.length;
  }

  /** How many tasks run at a time. */
  get slots(): number {
    return this.#options.slots;
  }

  /** What runs now, the longest first, then what waits. */
  tasks(): TaskHere[] {
    const now = this.#options.clock.now();
    return [
      ...[...this.#running].map(([task, { caller, since }]): TaskHere => {
        const { taskId, attempt, agent, priority } = task;
        const runningMs = now - since;
        return { taskId, attempt, agent, runningMs, state: "running", caller, priority, since };
      }),
      ...[...this.#queue].map(({ task, caller, since }): TaskHere => {
        const { taskId, attempt, agent, priority } = task;
        return { taskId, attempt, agent, runningMs: 0, state: "waiting", caller, priority, since };
      }),
    ];
  }

  /**
   * Stops a task that runs or waits here, for whomever, with `reason`.
   *
   * @returns Whether there was one.
   */
  cancel(taskId: string, reason: NetworkError): boolean {
    const found = [
      ...[...this.#running].filter(([task]) => task.taskId === taskId).map(([, running]) =>
        running
      ),
      ...[...this.#queue].filter(({ task }) => task.taskId === taskId),
    ];
    for (const { abort } of found) abort.abort(reason);
    return found.length > 0;
  }

  /**
   * Runs one attempt.
   *
   * @param emit Told `started` as soon as a slot is taken: before that, any failure means that
   * nothing was begun.
   * @param abort Stops it; the deadline aborts it, too.
   * @param caller Who has sent it; callers take turns when tasks wait.
   * @throws {NetworkError} Before the start: `NOT_FOUND` without the agent, `RESOURCE_EXHAUSTED`
   * when the queue is full, `FAILED_PRECONDITION` when the node is stopping or has seen the attempt
   * already. After it: `DEADLINE_EXCEEDED`, the signal's reason, or the agent's own error.
   */
  async execute(
    task: Task,
    emit: EmitAttemptEvent,
    abort: AbortController,
    caller: string,
  ): Promise<Served> {
    const agent = this.#options.agents.get(task.agent);
    this.#check(task, agent, caller);
    abort.signal.throwIfAborted();
    const cancelDeadline = this.#deadlines.after(task.timeoutMs, () => {
      abort.abort(deadlineExceeded(task));
    });
    try {
      if (this.#running.size < this.#options.slots) this.#occupy(task, abort, caller);
      else await this.#slot(task, abort, caller);
      return await this.#run(task, agent!, emit, abort.signal);
    } finally {
      cancelDeadline();
    }
  }

  /** Takes no new tasks; resolves when the last one has ended. Idempotent. */
  drain(): Promise<void> {
    this.#draining = true;
    // Nothing waits while a slot is free.
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#onIdle;
      this.#onIdle = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Stops what waits and what runs, with `reason`. */
  abort(reason: NetworkError): void {
    for (const { abort } of [...this.#queue, ...this.#running.values()]) abort.abort(reason);
  }

  #check(task: Task, agent: Agent | undefined, caller: string): void {
    const { nodeId } = this.#options;
    if (this.#draining) {
      throw new NetworkError("FAILED_PRECONDITION", `Node "${nodeId}" is stopping.`);
    }
    if (agent === undefined) {
      throw new NetworkError("NOT_FOUND", `Node "${nodeId}" has no agent "${task.agent}".`);
    }
    // Nearly all are first attempts: their key need not be made.
    const key = task.attempt === 1 ? task.taskId : `${task.taskId}/${task.attempt}`;
    if (this.#attempts.has(key)) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Attempt ${task.attempt} of task ${task.taskId} was started here already.`,
      );
    }
    const length = task.prompt.length + task.context.length;
    const queueIsFull = this.#queue.length >= QUEUE_PER_SLOT * this.#options.slots ||
      this.#queuedLength + length > MAX_QUEUED_LENGTH;
    if (this.#running.size >= this.#options.slots && queueIsFull) {
      const displaced = this.#queue.displacedBy({ caller, priority: task.priority });
      if (displaced === undefined) throw this.#busy();
      displaced.refuse();
    }
    this.#remember(key);
  }

  #busy(): NetworkError {
    const { running, queued } = this;
    return new NetworkError(
      "RESOURCE_EXHAUSTED",
      `Node "${this.#options.nodeId}" is busy: ${running} running, ${queued} waiting.`,
      { retryAfterMs: Math.ceil(this.#averageMs) },
    );
  }

  #remember(attempt: string): void {
    const oldest = this.#attemptOrder[this.#nextAttempt];
    if (oldest !== undefined) this.#attempts.delete(oldest);
    this.#attemptOrder[this.#nextAttempt] = attempt;
    this.#nextAttempt = (this.#nextAttempt + 1) % REMEMBERED_ATTEMPTS;
    this.#attempts.add(attempt);
  }

  #occupy(task: Task, abort: AbortController, caller: string): void {
    this.#running.set(task, { caller, since: this.#options.clock.now(), abort });
  }

  /** Waits for a slot. */
  #slot(task: Task, abort: AbortController, caller: string): Promise<void> {
    const { signal } = abort;
    const length = task.prompt.length + task.context.length;
    this.#queuedLength += length;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        task,
        caller,
        priority: task.priority,
        since: this.#options.clock.now(),
        abort,
        refuse: () => {
          leave();
          reject(this.#busy());
        },
        start: () => {
          signal.removeEventListener("abort", onAbort);
          this.#queuedLength -= length;
          // At once: until the promise has settled somebody else would find the slot free.
          this.#occupy(task, abort, caller);
          resolve();
        },
      };
      const leave = () => {
        signal.removeEventListener("abort", onAbort);
        this.#queue.remove(waiting);
        this.#queuedLength -= length;
      };
      const onAbort = () => {
        leave();
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#queue.add(waiting);
    });
  }

  /** Runs a task that has a slot, and hands the slot on. */
  async #run(
    task: Task,
    agent: Agent,
    emit: EmitAttemptEvent,
    signal: AbortSignal,
  ): Promise<Served> {
    const { clock, nodeId } = this.#options;
    const { prompt, context, taskId } = task;
    const { since } = this.#running.get(task)!;
    try {
      emit({ type: "started" });
      const answer = await runAgent(agent, { prompt, context, taskId, nodeId, signal, emit });
      return { ...answer, serviceMs: clock.now() - since };
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      throw agentError(thrown);
    } finally {
      this.#running.delete(task);
      this.#averageMs += (clock.now() - since - this.#averageMs) / 8;
      this.#queue.next()?.start();
      if (this.#running.size === 0) this.#onIdle?.();
    }
  }
}

/** Keeps an agent's error from being taken for one of the network's, which would be retried. */
function agentError(thrown: unknown): NetworkError {
  const error = NetworkError.from(thrown, "AGENT_FAILED");
  if (AGENT_CODES.has(error.code)) return error;
  return new NetworkError("AGENT_FAILED", error.message, { cause: error });
}
