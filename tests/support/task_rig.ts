/** Agents whose every run the test itself ends, and the tasks to give them. */

import {
  type Agent,
  type AgentAnswer,
  type AgentContext,
  createAgent,
  type FunctionAgentOptions,
} from "../../src/agents/agent.ts";
import type { AgentEvent } from "../../src/agents/run_event.ts";
import { encoded } from "../../src/base/protobuf.ts";
import type { Clock } from "../../src/base/clock.ts";
import { Executor } from "../../src/tasks/executor.ts";
import type { Task } from "../../src/tasks/task.ts";
import { AnswerBody, eventBody, TaskBody, type WireAnswer } from "../../src/tasks/task_codec.ts";
import { eventually } from "./eventually.ts";

/** One run of a {@linkcode HeldAgent}, which goes on until the test ends it. */
export interface HeldRun {
  readonly context: AgentContext;
  answer(answer: string | AgentAnswer): void;
  fail(error: unknown): void;
}

/** An agent that answers when the test says so. */
export interface HeldAgent {
  readonly agent: Agent;
  /** Every run so far, in the order of their beginning. */
  readonly runs: HeldRun[];
  /** The prompts of these runs. */
  readonly prompts: string[];
  /** The n-th run, from 0, as soon as it has begun. */
  run(n: number): Promise<HeldRun>;
}

/** Makes an agent that answers when the test says so. */
export function heldAgent(options: Partial<FunctionAgentOptions> = {}): HeldAgent {
  const runs: HeldRun[] = [];
  const prompts: string[] = [];
  const agent = createAgent({
    name: "held",
    description: "Answers when the test says so",
    ...options,
    run: (context) =>
      new Promise<string | AgentAnswer>((answer, fail) => {
        prompts.push(context.prompt);
        runs.push({ context, answer, fail });
      }),
  });
  return {
    agent,
    runs,
    prompts,
    run: (n) => eventually(() => runs[n], { what: `run ${n} of ${agent.name}`, intervalMs: 1 }),
  };
}

/** An executor with these agents. */
export function executorWith(clock: Clock, slots: number, ...agents: Agent[]): Executor {
  return new Executor({
    nodeId: "here",
    clock,
    slots,
    agents: new Map(agents.map((agent) => [agent.name, agent])),
    ask: ({ agent }) => Promise.reject(new Error(`Nobody is here to ask for ${agent}.`)),
  });
}

let tasksMade = 0;

/** A task for the agent `held`, with an id of its own. */
export function task(overrides: Partial<Task> = {}): Task {
  const number = String(++tasksMade).padStart(10, "0");
  return {
    taskId: `01JDAAAAAAAAAAAA${number}`,
    attempt: 1,
    agent: "held",
    prompt: "",
    context: "",
    timeoutMs: 60_000,
    priority: "normal",
    hops: 0,
    ...overrides,
  };
}

/** The body of a call that asks for `task`. */
export function encodeTask(task: Task): Uint8Array {
  return encoded(new TaskBody(task));
}

/** The body of an item that tells `event`. */
export function encodeEvent(event: AgentEvent): Uint8Array {
  return encoded(eventBody(event));
}

/** The body of the end of an answer. */
export function encodeAnswer(answer: WireAnswer): Uint8Array {
  return encoded(new AnswerBody(answer));
}
