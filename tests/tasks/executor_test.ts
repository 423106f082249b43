/** What one device takes on: slots, queue, refusals, deadlines, and how each task comes to an end. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { Cancellation } from "../../src/base/cancellation.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { Executor } from "../../src/tasks/executor.ts";
import type { AttemptEvent, EmitAttemptEvent, Served, Task } from "../../src/tasks/task.ts";
import { createAgent } from "../../src/agents/agent.ts";
import type { RunResult } from "../../src/agents/run_event.ts";
import { executorWith, type HeldAgent, heldAgent, task } from "../support/task_rig.ts";

/** Runs one attempt, and waits for its answer even where that comes at once. */
function execute(
  executor: Executor,
  task: Task,
  emit: EmitAttemptEvent,
  cancellation: Cancellation,
  caller = "",
): Promise<Served> {
  return Promise.try(() => executor.execute(task, emit, cancellation, caller));
}

/** What an agent is told that has asked another one. */
const ANSWER: RunResult = {
  taskId: task().taskId,
  agent: "other",
  nodeId: "there",
  output: "so",
  attempts: 1,
  durationMs: 1,
  serviceMs: 1,
  reason: "",
};

/** An executor with an agent whose runs the test ends, and what became of its tasks. */
class Rig {
  readonly clock = new ManualClock();
  readonly held: HeldAgent = heldAgent();
  readonly executor: Executor;
  /** `"a: answer"`, `"b: DEADLINE_EXCEEDED"`, in the order in which tasks ended. */
  readonly ended: string[] = [];
  readonly refusals: NetworkError[] = [];

  constructor(slots: number) {
    this.executor = executorWith(this.clock, slots, this.held.agent);
  }

  /** Gives it a task with that prompt; the returned controller cancels it. */
  give(prompt: string, overrides: Partial<Task> = {}, caller = "caller"): Cancellation {
    const cancellation = new Cancellation();
    const given = task({ prompt, ...overrides });
    execute(this.executor, given, () => {}, cancellation, caller).then(
      ({ output }) => this.ended.push(`${prompt}: ${output}`),
      (error: NetworkError) => {
        this.refusals.push(error);
        this.ended.push(`${prompt}: ${error.code}`);
      },
    );
    return cancellation;
  }

  /** Lets everything happen that needs no further time. */
  settle(): Promise<void> {
    return this.clock.advance(0);
  }

  /** Ends the run with that prompt. */
  async finish(prompt: string): Promise<void> {
    this.held.runs[this.held.prompts.indexOf(prompt)].answer("done");
    await this.settle();
  }

  get load(): [running: number, queued: number] {
    return [this.executor.running, this.executor.queued];
  }
}

Deno.test("as many tasks run as there are slots; the rest wait and run in the order of arrival", async () => {
  const rig = new Rig(2);
  for (const name of ["a", "b", "c", "d", "e"]) rig.give(name);
  await rig.settle();
  assertEquals(rig.held.prompts, ["a", "b"]);
  assertEquals(rig.load, [2, 3]);

  await rig.finish("b");
  assertEquals(rig.held.prompts, ["a", "b", "c"]);
  await rig.finish("c");
  await rig.finish("a");
  assertEquals(rig.held.prompts, ["a", "b", "c", "d", "e"]);
  await rig.finish("e");
  await rig.finish("d");
  assertEquals(rig.ended, ["b: done", "c: done", "a: done", "e: done", "d: done"]);
  assertEquals(rig.load, [0, 0]);
});

Deno.test("a task that comes at the very moment a slot is handed on does not take it", async () => {
  const rig = new Rig(1);
  rig.give("first");
  rig.give("second");
  await rig.settle();
  rig.held.runs[0].answer("done");
  let latecomers = 0;
  // Each of these turns is a chance to find the slot free before "second" has begun.
  for (let turn = 0; turn < 50; turn++) {
    await Promise.resolve();
    if (rig.executor.running < 1 && latecomers++ === 0) rig.give("latecomer");
  }
  await rig.settle();
  assertEquals(rig.held.prompts, ["first", "second"]);
  assertEquals([latecomers, ...rig.load], [0, 1, 0]);
});

Deno.test("four tasks wait for each slot; the next is refused with the time to try again", async () => {
  const rig = new Rig(2);
  for (let i = 0; i < 10; i++) rig.give(`t${i}`);
  await rig.settle();
  assertEquals(rig.load, [2, 8]);
  assertEquals(rig.ended, []);

  rig.give("one too many");
  await rig.settle();
  assertEquals(rig.ended, ["one too many: RESOURCE_EXHAUSTED"]);
  assertEquals(rig.refusals[0].message, 'Node "here" is busy: 2 running, 8 waiting.');
  assertEquals(rig.refusals[0].retryAfterMs, 1_000, "a guess, before anything has ended");
  await rig.finish("t0");
  rig.give("now there is room");
  await rig.settle();
  assertEquals(rig.load, [2, 8]);
});

Deno.test("a refusal says to try again after what tasks take on average", async () => {
  const rig = new Rig(1);
  for (let i = 0; i < 60; i++) {
    rig.give(`t${i}`);
    await rig.clock.advance(5_000);
    await rig.finish(`t${i}`);
  }
  for (let i = 0; i < 6; i++) rig.give("x");
  await rig.settle();
  const { retryAfterMs } = rig.refusals[0];
  assert(retryAfterMs !== undefined && retryAfterMs > 4_900 && retryAfterMs <= 5_000);
});

Deno.test("what waits is bounded in its length, too", async () => {
  const rig = new Rig(1);
  const mebi = "x".repeat(1024 * 1024);
  rig.give("running");
  rig.give("a", { context: mebi.repeat(40) });
  rig.give("b", { context: mebi.repeat(40) });
  await rig.settle();
  assertEquals(rig.ended, ["b: RESOURCE_EXHAUSTED"]);
  rig.give("c", { context: mebi.repeat(20) });
  await rig.finish("running");
  assertEquals(rig.load, [1, 1]);
  rig.give("d", { context: mebi.repeat(40) });
  await rig.settle();
  assertEquals(rig.ended.length, 2, "what has begun to run makes room for what waits");
});

Deno.test("a task is stopped at its deadline, and its slot is free at once", async () => {
  const rig = new Rig(1);
  rig.give("slow", { timeoutMs: 500 });
  await rig.clock.advance(499);
  assertEquals(rig.ended, []);
  await rig.clock.advance(1);
  assertEquals(rig.ended, ["slow: DEADLINE_EXCEEDED"]);
  assertEquals(rig.held.runs[0].context.signal.reason.code, "DEADLINE_EXCEEDED");
  assertEquals(rig.load, [0, 0]);
  assert(rig.refusals[0].message.includes("was not done within 500 ms"));
});

Deno.test("the deadline also ends a task that still waits, which then never runs", async () => {
  const rig = new Rig(1);
  rig.give("long");
  rig.give("short", { timeoutMs: 100 });
  rig.give("last");
  await rig.clock.advance(100);
  assertEquals(rig.ended, ["short: DEADLINE_EXCEEDED"]);
  assertEquals(rig.load, [1, 1]);
  await rig.finish("long");
  assertEquals(rig.held.prompts, ["long", "last"]);
});

Deno.test("the time in the queue counts for the deadline", async () => {
  const rig = new Rig(1);
  rig.give("first", { timeoutMs: 10_000 });
  rig.give("second", { timeoutMs: 1_000 });
  await rig.clock.advance(900);
  await rig.finish("first");
  assertEquals(rig.held.prompts, ["first", "second"]);
  await rig.clock.advance(100);
  assertEquals(rig.ended, ["first: done", "second: DEADLINE_EXCEEDED"]);
});

Deno.test("a task that has ended leaves no timer behind that would abort anything", async () => {
  const rig = new Rig(1);
  const cancellation = rig.give("quick", { timeoutMs: 1_000 });
  await rig.settle();
  await rig.finish("quick");
  await rig.clock.advance(5_000);
  assertEquals(cancellation.requested, false);
});

Deno.test("who cancels a waiting task takes it out of the queue", async () => {
  const rig = new Rig(1);
  rig.give("a");
  const b = rig.give("b");
  rig.give("c");
  await rig.settle();
  b.cancel(new NetworkError("CANCELLED", "Changed my mind."));
  await rig.settle();
  assertEquals(rig.ended, ["b: CANCELLED"]);
  assertEquals(rig.load, [1, 1]);
  await rig.finish("a");
  assertEquals(rig.held.prompts, ["a", "c"]);
});

Deno.test("who cancels a running task gets its reason, and the next one begins", async () => {
  const rig = new Rig(1);
  const a = rig.give("a");
  rig.give("b");
  await rig.settle();
  const reason = new NetworkError("CANCELLED", "Changed my mind.");
  a.cancel(reason);
  await rig.settle();
  assertStrictEquals(rig.refusals[0], reason);
  assertEquals(rig.held.prompts, ["a", "b"]);
  assertEquals(rig.load, [1, 0]);
});

Deno.test("a task that was cancelled before it came begins nothing", async () => {
  const rig = new Rig(1);
  const reason = new NetworkError("CANCELLED", "Too late.");
  const events: AttemptEvent[] = [];
  const cancellation = new Cancellation();
  cancellation.cancel(reason);
  const emit = (event: AttemptEvent) => void events.push(event);
  const thrown = await execute(rig.executor, task(), emit, cancellation).catch((thrown) => thrown);
  assertStrictEquals(thrown, reason);
  assertEquals([events, rig.held.prompts], [[], []]);
});

Deno.test("'started' comes when the slot is taken, not while the task waits", async () => {
  const rig = new Rig(1);
  const events: string[] = [];
  rig.give("a");
  const done = execute(
    rig.executor,
    task({ prompt: "b" }),
    ({ type }) => void events.push(type),
    new Cancellation(),
  );
  await rig.settle();
  assertEquals(events, []);
  await rig.finish("a");
  assertEquals(events, ["started"]);
  await rig.finish("b");
  await done;
  assertEquals(events, ["started"]);
});

Deno.test("an attempt that this node has seen is never started again, another attempt is", async () => {
  const rig = new Rig(4);
  const { taskId } = task();
  rig.give("first", { taskId, attempt: 1 });
  rig.give("again", { taskId, attempt: 1 });
  rig.give("second", { taskId, attempt: 2 });
  await rig.settle();
  assertEquals(rig.held.prompts, ["first", "second"]);
  assertEquals(rig.ended, ["again: FAILED_PRECONDITION"]);
  await rig.finish("first");
  rig.give("much later", { taskId, attempt: 1 });
  await rig.settle();
  assertEquals(rig.ended.at(-1), "much later: FAILED_PRECONDITION");
});

Deno.test("an attempt that was refused because the node is busy may come again", async () => {
  const rig = new Rig(1);
  for (let i = 0; i < 5; i++) rig.give(`t${i}`);
  const { taskId } = task();
  rig.give("x", { taskId });
  await rig.settle();
  assertEquals(rig.ended, ["x: RESOURCE_EXHAUSTED"]);
  await rig.finish("t0");
  rig.give("x", { taskId });
  for (const name of ["t1", "t2", "t3", "t4", "x"]) await rig.finish(name);
  assertEquals(rig.ended.at(-1), "x: done");
});

Deno.test("an agent that this node does not have is not found, and takes no slot", async () => {
  const rig = new Rig(1);
  rig.give("x", { agent: "poet" });
  await rig.settle();
  assertEquals(rig.ended, ["x: NOT_FOUND"]);
  assertEquals(rig.refusals[0].message, 'Node "here" has no agent "poet".');
  assertEquals(rig.load, [0, 0]);
});

Deno.test("draining takes no new tasks and ends when the last one that waited has run", async () => {
  const rig = new Rig(1);
  rig.give("running");
  rig.give("waiting");
  await rig.settle();
  let drained = 0;
  const drains = [rig.executor.drain(), rig.executor.drain()];
  for (const drain of drains) drain.then(() => drained++);
  rig.give("too late");
  await rig.settle();
  assertEquals(rig.ended, ["too late: FAILED_PRECONDITION"]);
  await rig.finish("running");
  assertEquals([rig.held.prompts, drained], [["running", "waiting"], 0]);
  await rig.finish("waiting");
  assertEquals(drained, 2, "whoever waits for the end is told");
  await rig.executor.drain();
});

Deno.test("draining ends when the last waiting task is cancelled", async () => {
  const rig = new Rig(1);
  const a = rig.give("a");
  const b = rig.give("b");
  await rig.settle();
  const drained = rig.executor.drain();
  b.cancel(new NetworkError("CANCELLED", ""));
  a.cancel(new NetworkError("CANCELLED", ""));
  await drained;
});

Deno.test("aborting ends what runs and what waits, and nothing begins any more", async () => {
  const rig = new Rig(1);
  for (const name of ["a", "b", "c"]) rig.give(name);
  await rig.settle();
  const drained = rig.executor.drain();
  rig.executor.abort(new NetworkError("CANCELLED", "Stopped."));
  await drained;
  await rig.settle();
  assertEquals(rig.held.prompts, ["a"]);
  assertEquals(rig.ended.toSorted(), ["a: CANCELLED", "b: CANCELLED", "c: CANCELLED"]);
  assertEquals(rig.load, [0, 0]);
});

const AGENT_ERRORS: [unknown, ErrorCode][] = [
  [new NetworkError("UNAVAILABLE", "its database is away"), "AGENT_FAILED"],
  [new NetworkError("UNKNOWN_OUTCOME", "its own call was lost"), "AGENT_FAILED"],
  [new NetworkError("RESOURCE_EXHAUSTED", "its quota is used up"), "AGENT_FAILED"],
  [new NetworkError("FAILED_PRECONDITION", "it is not set up"), "AGENT_FAILED"],
  [new NetworkError("DEADLINE_EXCEEDED", "its model is slow"), "AGENT_FAILED"],
  [new NetworkError("CANCELLED", "it gave up"), "AGENT_FAILED"],
  [new NetworkError("INVALID_ARGUMENT", "it cannot read that"), "INVALID_ARGUMENT"],
  [new TypeError("x is not a function"), "AGENT_FAILED"],
  ["a string", "AGENT_FAILED"],
];

for (const [thrown, code] of AGENT_ERRORS) {
  const what = thrown instanceof NetworkError
    ? thrown.code
    : thrown instanceof Error
    ? `a ${thrown.name}`
    : String(thrown);
  Deno.test(`an agent that throws ${what} fails with ${code} and its own message`, async () => {
    const rig = new Rig(1);
    rig.give("x");
    await rig.settle();
    rig.held.runs[0].fail(thrown);
    await rig.settle();
    assertEquals(rig.ended, [`x: ${code}`]);
    const words = thrown instanceof Error ? thrown.message : String(thrown);
    assert(rig.refusals[0].message.includes(words), rig.refusals[0].message);
    assertEquals(rig.load, [0, 0]);
  });
}

Deno.test("what runs is told with its agent and for how long, the longest first", async () => {
  const rig = new Rig(2);
  const [one, two] = [task(), task()];
  rig.give("one", { taskId: one.taskId });
  await rig.clock.advance(300);
  rig.give("two", { taskId: two.taskId, attempt: 2 });
  const three = task();
  rig.give("waiting", { taskId: three.taskId, priority: "low" });
  await rig.clock.advance(200);
  assertEquals(
    rig.executor.tasks().map(({ taskId, attempt, agent, runningMs, state, priority }) => [
      taskId,
      attempt,
      agent,
      runningMs,
      state,
      priority,
    ]),
    [
      [one.taskId, 1, "held", 500, "running", "normal"],
      [two.taskId, 2, "held", 200, "running", "normal"],
      [three.taskId, 1, "held", 0, "waiting", "low"],
    ],
  );
  assertEquals([rig.executor.running, rig.executor.queued, rig.executor.slots], [2, 1, 2]);
});

Deno.test("while an event is not taken the agent waits", async () => {
  const clock = new ManualClock();
  let yielded = 0;
  const talker = createAgent({
    name: "talker",
    description: "Talks",
    run: async function* () {
      for (; yielded < 3; yielded++) yield "word ";
    },
  });
  const executor = executorWith(clock, 1, talker);
  const taken: (() => void)[] = [];
  const done = execute(
    executor,
    task({ agent: "talker" }),
    ({ type }) => {
      if (type === "token") return new Promise((resolve) => taken.push(resolve));
    },
    new Cancellation(),
  );
  for (let i = 0; i < 3; i++) {
    await clock.advance(0);
    assertEquals([yielded, taken.length], [i, i + 1]);
    taken[i]();
  }
  assertEquals((await done).output, "word word word ");
});

Deno.test("whatever comes, in whatever order, slots and queue keep their bounds and all ends", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("give" as const) },
    { weight: 3, arbitrary: fc.nat(20).map((n) => ({ finish: n })) },
    { weight: 1, arbitrary: fc.nat(20).map((n) => ({ cancel: n })) },
    { weight: 3, arbitrary: fc.constantFrom(0, 0, 1, 400).map((ms) => ({ wait: ms })) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 60, size: "max" }),
      async (slots, steps) => {
        const rig = new Rig(slots);
        const given: Cancellation[] = [];
        for (const step of steps) {
          if (step === "give") given.push(rig.give(`t${given.length}`, { timeoutMs: 1_000 }));
          else if ("finish" in step) rig.held.runs[step.finish]?.answer("done");
          else if ("cancel" in step) given[step.cancel]?.cancel(new NetworkError("CANCELLED", ""));
          else await rig.clock.advance(step.wait);
          assert(rig.executor.running <= slots);
          assert(rig.executor.queued <= 4 * slots);
        }
        await rig.clock.advance(2_000);
        assertEquals(rig.ended.length, given.length, "each task ends exactly once");
        assertEquals(rig.load, [0, 0]);
        const began = rig.held.prompts.map((prompt) => Number(prompt.slice(1)));
        assertEquals(began, began.toSorted((a, b) => a - b), "first come, first served");
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("callers take turns, and what is urgent goes first", async () => {
  const rig = new Rig(1);
  rig.give("first");
  for (let i = 0; i < 2; i++) rig.give(`a${i}`, {}, "a");
  rig.give("b0", {}, "b");
  rig.give("c0", { priority: "high" }, "c");
  for (let i = 0; i < 5; i++) {
    await rig.settle();
    rig.held.runs[i].answer("");
  }
  await rig.settle();
  assertEquals(rig.held.prompts, ["first", "c0", "a0", "b0", "a1"]);
});

Deno.test("in a full line who has sent most makes room for who has sent less, and for what is urgent", async () => {
  const rig = new Rig(1);
  rig.give("first");
  for (let i = 0; i < 4; i++) rig.give(`a${i}`, {}, "a");
  rig.give("b0", {}, "b");
  rig.give("c0", { priority: "high" }, "c");
  await rig.settle();
  assertEquals(rig.ended, ["a3: RESOURCE_EXHAUSTED", "a2: RESOURCE_EXHAUSTED"]);
  assertEquals(rig.refusals[0].retryAfterMs, 1_000);
  rig.give("a4", {}, "a");
  await rig.settle();
  assertEquals(rig.ended.at(-1), "a4: RESOURCE_EXHAUSTED");
  assertEquals([rig.executor.running, rig.executor.queued], [1, 4]);
});

Deno.test("who makes room makes enough of it: a long task does not take the place of a short one", async () => {
  const rig = new Rig(1);
  const long = "x".repeat(20 * 1024 * 1024);
  rig.give("first");
  for (let i = 0; i < 3; i++) rig.give(`a${i}`, { context: long }, "a");
  rig.give("b0", { priority: "low" }, "b");
  rig.give("c0", { context: long }, "c");
  await rig.settle();
  assertEquals(rig.ended, ["c0: RESOURCE_EXHAUSTED"]);
  rig.give("c1", { priority: "high" }, "c");
  await rig.settle();
  assertEquals(rig.ended.at(-1), "b0: RESOURCE_EXHAUSTED");
});

Deno.test("whoever asks, gives up, comes back or ends, no slot is lost and none is given twice", async () => {
  const n = fc.nat(12);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("give" as const) },
    { weight: 4, arbitrary: n.map((ask) => ({ ask })) },
    { weight: 3, arbitrary: n.map((reply) => ({ reply })) },
    { weight: 1, arbitrary: n.map((refuse) => ({ refuse })) },
    { weight: 2, arbitrary: n.map((finish) => ({ finish })) },
    { weight: 1, arbitrary: n.map((fail) => ({ fail })) },
    { weight: 1, arbitrary: n.map((cancel) => ({ cancel })) },
    { weight: 2, arbitrary: fc.constantFrom(0, 1, 400).map((wait) => ({ wait })) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 60, size: "max" }),
      async (slots, steps) => {
        const clock = new ManualClock();
        const held = heldAgent();
        const questions: PromiseWithResolvers<RunResult>[] = [];
        /** Of each run, by its number, how many of its questions have no answer yet. */
        const open = new Map<number, number>();
        const ended = new Set<number>();
        let ends = 0;
        const executor = new Executor({
          nodeId: "here",
          clock,
          slots,
          agents: new Map([["held", held.agent]]),
          ask: () => {
            const question = Promise.withResolvers<RunResult>();
            questions.push(question);
            return question.promise;
          },
        });
        const given: Cancellation[] = [];
        const give = () => {
          const cancellation = new Cancellation();
          const number = given.push(cancellation) - 1;
          const over = () => {
            ends++;
            ended.add(number);
          };
          const emit = (event: AttemptEvent) => {
            if (event.type === "started") assert(executor.running <= slots, "a slot given twice");
          };
          const one = task({ prompt: `${number}`, timeoutMs: 1_000 });
          execute(executor, one, emit, cancellation, "caller").then(over, over);
        };
        const ask = async (number: number) => {
          open.set(number, (open.get(number) ?? 0) + 1);
          const { context } = held.runs[held.prompts.indexOf(`${number}`)];
          await context.callAgent("other", "?").catch(() => {});
          open.set(number, open.get(number)! - 1);
        };
        for (const step of steps) {
          if (step === "give") give();
          else if ("ask" in step) {
            if (held.runs[step.ask] !== undefined) void ask(Number(held.prompts[step.ask]));
          } else if ("reply" in step) questions[step.reply]?.resolve(ANSWER);
          else if ("refuse" in step) {
            questions[step.refuse]?.reject(new NetworkError("UNAVAILABLE", ""));
          } else if ("finish" in step) held.runs[step.finish]?.answer("done");
          else if ("fail" in step) held.runs[step.fail]?.fail(new Error("no"));
          else if ("cancel" in step) given[step.cancel]?.cancel(new NetworkError("CANCELLED", ""));
          else await clock.advance(step.wait);
          await clock.advance(0);
          const lives = held.prompts.map(Number).filter((number) => !ended.has(number));
          const busy = lives.filter((number) => (open.get(number) ?? 0) === 0);
          assertEquals(executor.running, busy.length, "who waits for another takes no slot");
          assert(
            executor.queued === 0 || executor.running >= slots,
            "a slot is free, and one waits",
          );
        }
        await clock.advance(2_000);
        assertEquals(ends, given.length, "each task ends exactly once");
        assertEquals([executor.running, executor.queued], [0, 0]);
        for (const question of questions) question.resolve(ANSWER);
        await clock.advance(0);
        assertEquals([executor.running, executor.queued], [0, 0], "late answers free nothing");
        await executor.drain();
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("an agent's answer with data comes as it is", async () => {
  const rig = new Rig(1);
  const done: Promise<Served> = execute(
    rig.executor,
    task(),
    () => {},
    new Cancellation(),
  );
  await rig.clock.advance(7);
  rig.held.runs[0].answer({ output: "two", data: { n: 2 } });
  assertEquals(await done, { output: "two", data: { n: 2 }, serviceMs: 7 });
});
