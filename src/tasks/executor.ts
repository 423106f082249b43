/** Runs tasks on this device: so many at a time, so many waiting, the rest refused. */

import type { Agent, AgentAnswer, CallAgentOptions } from "../agents/agent.ts";
import { AgentLost } from "../agents/agent_lost.ts";
import type { ToolSource } from "../agents/agent_tools.ts";
import type { ModelCall, ModelReply } from "../agents/models/chat_model.ts";
import { type CallAgent, runAgent } from "../agents/run_agent.ts";
import type { AskModel } from "../agents/run_models.ts";
import type { RunResult } from "../agents/run_event.ts";
import type { OpenJournal, ThreadRef } from "../agents/run_state_store.ts";
import type { Cancellation } from "../base/cancellation.ts";
import type { Clock } from "../base/clock.ts";
import { Deadlines } from "../base/deadlines.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { Roster } from "../base/roster.ts";
import { HeldAttempt, type TaskHere, taskHere } from "./held_attempt.ts";
import { RecentAttempts } from "./recent_attempts.ts";
import {
  type AttemptEvent,
  deadlineExceeded,
  type EmitAttemptEvent,
  MAX_HOPS,
  type Served,
  type Task,
} from "./task.ts";
import { traceAttempt, type Tracer } from "./tracing.ts";
import { type Priority, type Waiter, WaitingLine } from "./waiting_line.ts";

/** What an {@linkcode Executor} is made of. */
export interface ExecutorOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly agents: ReadonlyMap<string, Agent>;
  /** Asks the engines of this device: what it runs takes no slot, and waits there. */
  readonly engineAgent?: Agent;
  /** Which model a task of the engine agent calls, by its context; "" where that does not say. */
  readonly modelOf?: (context: string) => string;
  /** How many tasks run at a time; 1 or more. */
  readonly slots: number;
  /** Gets an agent run for one that runs here. */
  readonly ask: (question: AgentQuestion) => Promise<RunResult>;
  /** Carries what an agent that runs here asks a model, wherever that is. */
  readonly sendToModel?: (question: ModelQuestion) => Promise<ModelReply>;
  /** The tools of this node, for the agents that run here. */
  readonly tools?: ToolSource;
  /** Where networks note how far they are that a run in a thread asks. */
  readonly journalOf?: (thread: ThreadRef) => OpenJournal;
  /** What records traces, if anything does. */
  readonly tracer?: () => Tracer | undefined;
}

/** What an agent that runs here asks another one. */
export interface AgentQuestion {
  /** Who asks. */
  readonly asker: Agent;
  /** The name of the agent that is asked. */
  readonly agent: string;
  readonly prompt: string;
  readonly options: CallAgentOptions;
  /** What the asker's own task has left, in milliseconds. */
  readonly timeoutMs: number;
  readonly priority: Priority;
  /** How many agents have asked each other until it came to this one; 1 or more. */
  readonly hops: number;
  /** The span of the asker, where traces are recorded. */
  readonly traceparent?: string;
  /** Aborts when the asker is stopped, or has ended. */
  readonly signal: AbortSignal;
}

/** What an agent that runs here asks a model. */
export interface ModelQuestion extends ModelCall {
  /** Who asks. */
  readonly asker: Agent;
  /** Its task. */
  readonly taskId: string;
  /** The name of the model, as the asker has it. */
  readonly model: string;
  /** What the asker's own task has left, in milliseconds. */
  readonly timeoutMs: number;
  readonly priority: Priority;
  /** How many have asked each other until it came to this one; 1 or more. */
  readonly hops: number;
  /** The span of the asker, where traces are recorded. */
  readonly traceparent?: string;
}

/** As an executor calls who calls from its own device: it is no label. */
export const HERE = "";
/** Tasks that may wait for each slot. */
const QUEUE_PER_SLOT = 4;
/** What prompts, contexts and states of all waiting tasks may take, in UTF-16 units. */
const MAX_QUEUED_LENGTH = 64 * 1024 * 1024;
/** Attempts that are remembered, at least, so that none is started twice. */
const REMEMBERED_ATTEMPTS = 4_096;
/** Tasks that may wait for agents that they have asked: these take memory, but no slot. */
const MAX_ASKING = 1_024;
/** Calls of models that may be under way: engines queue by themselves, and each call takes memory. */
const MAX_MODEL_CALLS = 256;
/** What a task is guessed to take before the first one has ended. */
const FIRST_GUESS_MS = 1_000;

/** Codes with which an agent may fail by itself; any other would be taken for the network's. */
const AGENT_CODES: ReadonlySet<ErrorCode> = new Set([
  "INVALID_ARGUMENT",
  "AGENT_FAILED",
]);

interface Waiting extends Waiter {
  readonly attempt: HeldAttempt;
  /** Gives it the slot that has become free. */
  start(): void;
  /** Lets it go, to make room. */
  refuse(): void;
}

/** See the top of the file. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #running = new Roster<HeldAttempt>();
  readonly #deadlines: Deadlines;
  readonly #queue = new WaitingLine<Waiting>();
  readonly #seen = new RecentAttempts(REMEMBERED_ATTEMPTS);
  #queuedLength = 0;
  #averageMs = FIRST_GUESS_MS;
  /** Those of the running that wait for agents that they have asked. */
  #asking = 0;
  /** Those of the running that are calls of models. */
  #modelCalls = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock);
  }

  /** Tasks that occupy a slot: neither those that wait for what they have asked, nor model calls. */
  get running(): number {
    return this.#running.size - this.#asking - this.#modelCalls;
  }

  /** Calls of models that are under way. */
  get modelCalls(): number {
    return this.#modelCalls;
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
    const { clock, modelOf } = this.#options;
    const now = clock.now();
    return [
      ...[...this.#running].sort((a, b) => a.since - b.since)
        .map((attempt) => taskHere(attempt, "running", now - attempt.since, modelOf)),
      ...[...this.#queue].map(({ attempt }) => taskHere(attempt, "waiting", 0)),
    ];
  }

  /**
   * Stops a task that runs or waits here, for whomever, with `reason`.
   *
   * @returns Whether there was one.
   */
  cancel(taskId: string, reason: NetworkError): boolean {
    const found = this.#all().filter(({ task }) => task.taskId === taskId);
    for (const { cancellation } of found) cancellation.cancel(reason);
    return found.length > 0;
  }

  /**
   * Runs one attempt, and returns its answer: at once where a slot is free and the agent answers at
   * once.
   *
   * @param emit Told `started` as soon as a slot is taken, unless the answer comes at once: before
   * that, any failure of the network's means that nothing was begun.
   * @param cancellation Stops it; the deadline asks for it, too.
   * @param caller Who has sent it; callers take turns when tasks wait.
   * @throws {NetworkError} Before the start: `NOT_FOUND` without the agent, `RESOURCE_EXHAUSTED`
   * when the queue is full, `FAILED_PRECONDITION` when the node is stopping or has seen the attempt
   * already. After it: `DEADLINE_EXCEEDED`, the cancellation's reason, or the agent's own error.
   */
  execute(
    task: Task,
    emit: EmitAttemptEvent,
    cancellation: Cancellation,
    caller: string,
  ): Served | Promise<Served> {
    const tracer = this.#options.tracer?.();
    if (tracer === undefined) return this.#execute(task, emit, cancellation, caller);
    return traceAttempt(tracer, task, this.#options.nodeId, (traceparent) => {
      return this.#execute({ ...task, traceparent }, emit, cancellation, caller);
    });
  }

  #execute(
    task: Task,
    emit: EmitAttemptEvent,
    cancellation: Cancellation,
    caller: string,
  ): Served | Promise<Served> {
    cancellation.throwIfRequested();
    const agent = this.#agentFor(task, caller);
    const { clock, slots, engineAgent } = this.#options;
    const isModelCall = agent === engineAgent;
    const attempt = new HeldAttempt(task, emit, cancellation, caller, clock.now(), isModelCall);
    if (isModelCall) this.#modelCalls++;
    if (isModelCall || this.running < slots) {
      this.#running.add(attempt);
      const served = this.#run(attempt, agent);
      return served instanceof Promise ? this.#withDeadline(attempt, served) : served;
    }
    const served = this.#slot(attempt).then(() => this.#run(attempt, agent));
    return this.#withDeadline(attempt, served);
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
    for (const { cancellation } of this.#all()) cancellation.cancel(reason);
  }

  #all(): HeldAttempt[] {
    return [...this.#running, ...[...this.#queue].map(({ attempt }) => attempt)];
  }

  /** The agent of a task that is taken; whoever waits too long already makes room for it. */
  #agentFor(task: Task, caller: string): Agent {
    const { nodeId, agents, engineAgent } = this.#options;
    // What a task that is finished here asks of this device belongs to it.
    const isNew = caller !== HERE || task.hops === 0;
    if (this.#draining && isNew) {
      throw new NetworkError("FAILED_PRECONDITION", `Node "${nodeId}" is stopping.`);
    }
    const isModelCall = task.agent === engineAgent?.name;
    const agent = isModelCall ? engineAgent : agents.get(task.agent);
    if (agent === undefined) {
      throw new NetworkError("NOT_FOUND", `Node "${nodeId}" has no agent "${task.agent}".`);
    }
    if (isModelCall && this.#modelCalls >= MAX_MODEL_CALLS) {
      throw new NetworkError(
        "RESOURCE_EXHAUSTED",
        `Node "${nodeId}" is busy: ${this.#modelCalls} calls of models are under way.`,
        { retryAfterMs: FIRST_GUESS_MS },
      );
    }
    let displaced: Waiting | undefined;
    if (!isModelCall && this.running >= this.#options.slots && this.#queueIsFullFor(task)) {
      displaced = this.#queue.displacedBy({ caller, priority: task.priority });
      if (displaced === undefined || !this.#fitsWithout(displaced, task)) throw this.#busy();
    }
    // Who is refused may come again, so it is noted only now.
    if (!this.#seen.add(task.taskId, task.attempt)) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Attempt ${task.attempt} of task ${task.taskId} was started here already.`,
      );
    }
    displaced?.refuse();
    return agent;
  }

  /** Whether there is room for a task where another one was: one that is long needs more. */
  #fitsWithout({ attempt }: Waiting, task: Task): boolean {
    return this.#queuedLength - lengthOf(attempt.task) + lengthOf(task) <= MAX_QUEUED_LENGTH;
  }

  #queueIsFullFor(task: Task): boolean {
    return this.#queue.length >= QUEUE_PER_SLOT * this.#options.slots ||
      this.#queuedLength + lengthOf(task) > MAX_QUEUED_LENGTH;
  }

  #busy(): NetworkError {
    const { running, queued } = this;
    return new NetworkError(
      "RESOURCE_EXHAUSTED",
      `Node "${this.#options.nodeId}" is busy: ${running} running, ${queued} waiting.`,
      { retryAfterMs: Math.ceil(this.#averageMs) },
    );
  }

  async #withDeadline(attempt: HeldAttempt, served: Promise<Served>): Promise<Served> {
    const { task, cancellation } = attempt;
    const cancelDeadline = this.#deadlines.after(task.timeoutMs, () => {
      cancellation.cancel(deadlineExceeded(task));
    });
    try {
      return await served;
    } finally {
      cancelDeadline();
    }
  }

  /** Waits for a slot. */
  #slot(attempt: HeldAttempt): Promise<void> {
    const { task, caller, cancellation } = attempt;
    const length = lengthOf(task);
    this.#queuedLength += length;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        attempt,
        caller,
        priority: task.priority,
        refuse: () => {
          leave();
          reject(this.#busy());
        },
        start: () => {
          forget();
          this.#queuedLength -= length;
          // At once: until the promise has settled somebody else would find the slot free.
          this.#running.add(attempt);
          attempt.since = this.#options.clock.now();
          resolve();
        },
      };
      const leave = () => {
        forget();
        this.#queue.remove(waiting);
        this.#queuedLength -= length;
      };
      const forget = cancellation.onCancel((reason) => {
        leave();
        reject(reason);
      });
      this.#queue.add(waiting);
    });
  }

  /** Runs a task that has a slot, and hands the slot on. */
  #run(attempt: HeldAttempt, agent: Agent): Served | Promise<Served> {
    const { clock, nodeId } = this.#options;
    const { task, cancellation } = attempt;
    const { prompt, context, taskId, attempt: number, state: shared } = task;
    // Its own: what an attempt changes counts only with its answer.
    const state = shared?.fork();
    if (state?.thread !== undefined) state.openJournal = this.#options.journalOf?.(state.thread);
    const served = (answer: AgentAnswer): Served => {
      const serviceMs = clock.now() - attempt.since;
      this.#leave(attempt, serviceMs);
      const changes = state?.changes();
      return changes === undefined ? { ...answer, serviceMs } : { ...answer, serviceMs, changes };
    };
    const failed = (thrown: unknown): never => {
      this.#leave(attempt, clock.now() - attempt.since);
      if (cancellation.requested) throw cancellation.reason;
      throw attempt.isModelCall ? NetworkError.from(thrown) : agentError(thrown);
    };
    // Not made within the literal: see remote.ts.
    const emit = (event: AttemptEvent) => attempt.tell(event);
    const callAgent: CallAgent = (name, prompt, options, signal) =>
      this.#ask(attempt, agent, { agent: name, prompt, options, signal });
    const { sendToModel, tools } = this.#options;
    const askModel: AskModel | undefined = sendToModel &&
      ((model, call) => this.#askModel(attempt, agent, model, call));
    let answer: AgentAnswer | Promise<AgentAnswer>;
    try {
      answer = runAgent(agent, {
        prompt,
        context,
        taskId,
        nodeId,
        attempt: number,
        cancellation,
        emit,
        state,
        callAgent,
        askModel,
        tools,
      });
    } catch (thrown) {
      return failed(thrown);
    }
    if (!(answer instanceof Promise)) return served(answer);
    // Until an engine has said something nothing was begun that another could not do.
    if (!attempt.isModelCall) attempt.begun();
    return answer.then(served, failed);
  }

  #leave(attempt: HeldAttempt, serviceMs: number): void {
    this.#running.delete(attempt);
    if (attempt.asking > 0) this.#asking--;
    // Questions that are being stopped end later, and count no more.
    attempt.asking = 0;
    if (attempt.isModelCall) this.#modelCalls--;
    else {
      this.#averageMs += (serviceMs - this.#averageMs) / 8;
      this.#handOn();
    }
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /** Gives each free slot to whoever is next. */
  #handOn(): void {
    while (this.#queue.length > 0 && this.running < this.#options.slots) {
      this.#queue.next()!.start();
    }
  }

  /** Asks another agent for one that runs here, which gives its slot to others meanwhile. */
  async #ask(
    attempt: HeldAttempt,
    asker: Agent,
    question: Pick<AgentQuestion, "agent" | "prompt" | "options" | "signal">,
  ): Promise<RunResult> {
    const { clock, ask } = this.#options;
    const { hops, priority, traceparent } = attempt.task;
    const answered = this.#giveSlot(attempt, `agent "${question.agent}"`);
    try {
      const leftMs = attempt.endsAt - clock.now();
      const timeoutMs = Math.max(1, Math.min(question.options.timeoutMs ?? Infinity, leftMs));
      return await ask({ ...question, asker, timeoutMs, priority, hops: hops + 1, traceparent });
    } finally {
      answered();
    }
  }

  /** The same with a model, until it has said all. */
  async #askModel(
    attempt: HeldAttempt,
    asker: Agent,
    model: string,
    call: ModelCall,
  ): Promise<ModelReply> {
    const { clock, sendToModel } = this.#options;
    const { hops, priority, traceparent, taskId } = attempt.task;
    const answered = this.#giveSlot(attempt, `model "${model}"`);
    try {
      const timeoutMs = Math.max(1, attempt.endsAt - clock.now());
      const asked = { ...call, asker, taskId, model, timeoutMs, priority, hops: hops + 1 };
      const reply = await sendToModel!({ ...asked, traceparent });
      return { ...reply, body: endedBy(reply.body, answered) };
    } catch (thrown) {
      answered();
      throw thrown;
    }
  }

  /**
   * Gives the slot of a task that waits for somebody to others.
   *
   * @returns Goes on with it; to be called once.
   */
  #giveSlot(attempt: HeldAttempt, asked: string): () => void {
    const { hops } = attempt.task;
    if (hops >= MAX_HOPS) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot ask ${asked}: agents have asked each other ${hops} deep already. ` +
          `Is there a circle in what they ask?`,
      );
    }
    if (this.#asking >= MAX_ASKING) {
      throw new NetworkError(
        "RESOURCE_EXHAUSTED",
        `Cannot ask ${asked}: ${this.#asking} tasks wait here for whom they have asked. ` +
          "Ask for less at a time.",
        { retryAfterMs: Math.ceil(this.#averageMs) },
      );
    }
    if (++attempt.asking === 1) {
      this.#asking++;
      this.#handOn();
    }
    return () => {
      // It goes on at once, even where its slot is taken: whoever holds work up makes nothing free.
      if (attempt.asking > 0 && --attempt.asking === 0) this.#asking--;
    };
  }
}

/** A body, and what is done as soon as it is read to its end, or left. */
async function* endedBy(
  body: AsyncIterable<Uint8Array>,
  end: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } finally {
    end();
  }
}

/** Nearly all are first attempts: their key need not be made. */
function lengthOf({ prompt, context, state }: Task): number {
  return prompt.length + context.length + (state?.bytes ?? 0);
}

/** Keeps an agent's error from being taken for one of the network's, which would be retried. */
function agentError(thrown: unknown): NetworkError {
  const error = NetworkError.from(thrown, "AGENT_FAILED");
  if (AGENT_CODES.has(error.code) || error instanceof AgentLost) return error;
  return new NetworkError("AGENT_FAILED", error.message, { cause: error });
}
