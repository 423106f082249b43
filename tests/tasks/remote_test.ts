/** Tasks over a link: what the caller on one side and the executor on the other make of it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Agent, type AgentAnswer, createAgent } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { CREDIT_WINDOW, MAX_BODY_BYTES } from "../../src/link/call.ts";
import type { Executor } from "../../src/tasks/executor.ts";
import { RemoteBounds, runRemotely, serveRun } from "../../src/tasks/remote.ts";
import type { AttemptEvent, Served, Task } from "../../src/tasks/task.ts";
import { Deadlines } from "../../src/base/deadlines.ts";
import { LinkPair } from "../support/memory_link.ts";
import { executorWith, heldAgent, task } from "../support/task_rig.ts";

/** A caller and an executor, 1 ms apart. */
class Rig {
  readonly pair = new LinkPair();
  readonly held = heldAgent();
  readonly events: AttemptEvent[] = [];
  readonly executor: Executor;

  private constructor(agents: Agent[]) {
    this.executor = executorWith(this.pair.clock, 1, this.held.agent, ...agents);
    this.pair.onCall = (call) => serveRun(call, this.executor, "caller");
  }

  static async open(...agents: Agent[]): Promise<Rig> {
    const rig = new Rig(agents);
    await rig.pair.open();
    return rig;
  }

  run(overrides: Partial<Task> = {}, signal?: AbortSignal, take = () => {}): Outcome {
    const outcome: Outcome = { answer: undefined, error: undefined };
    const { pair: { dialler, clock } } = this;
    const emit = (event: AttemptEvent) => {
      this.events.push(event);
      return take();
    };
    const bounds = new RemoteBounds(new Deadlines(clock), clock.now(), signal);
    runRemotely(dialler.link, task(overrides), emit, bounds)
      .then((answer) => outcome.answer = answer, (error) => outcome.error = error);
    return outcome;
  }

  advance(ms: number): Promise<void> {
    return this.pair.clock.advance(ms);
  }
}

interface Outcome {
  answer: Served | undefined;
  error: NetworkError | undefined;
}

Deno.test("a task crosses the link as it is, and its events and answer come back in order", async () => {
  const helper = createAgent({
    name: "helper",
    description: "Says what it was given",
    run: async function* ({ prompt, context }) {
      yield `${prompt} `;
      yield context;
      return { output: "déjà vu", data: { prompt, nested: [null, { deep: true }] } };
    },
  });
  const rig = await Rig.open(helper);
  const outcome = rig.run({ agent: "helper", prompt: "naïve\n\u0000", context: "𝄞 ☃" });
  await rig.advance(5);
  assertEquals(rig.events, [
    { type: "started" },
    { type: "token", text: "naïve\n\u0000 " },
    { type: "token", text: "𝄞 ☃" },
  ]);
  assertEquals(outcome.answer, {
    output: "déjà vu",
    data: { prompt: "naïve\n\u0000", nested: [null, { deep: true }] },
    serviceMs: 0,
  });
});

Deno.test("what the executor refuses keeps its code, its words and the time to try again", async () => {
  const rig = await Rig.open();
  for (let i = 0; i < 5; i++) rig.run();
  const outcome = rig.run();
  await rig.advance(5);
  assertEquals(outcome.error?.code, "RESOURCE_EXHAUSTED");
  assertEquals(outcome.error?.message, 'Node "here" is busy: 1 running, 4 waiting.');
  assertEquals(outcome.error?.retryAfterMs, 1_000);
  assertEquals(rig.events, [{ type: "started" }], "only the first one has begun");
});

Deno.test("what an agent throws crosses the link as its own failure", async () => {
  const rig = await Rig.open();
  const outcome = rig.run();
  await rig.advance(5);
  rig.held.runs[0].fail(new NetworkError("UNKNOWN_OUTCOME", "The till is stuck."));
  await rig.advance(5);
  assertEquals(outcome.error?.code, "AGENT_FAILED");
  assertStringIncludes(outcome.error!.message, "The till is stuck.");
});

Deno.test("an answer that JSON cannot carry is the agent's failure, and says why", async () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  for (const data of [cycle, 10n]) {
    const rig = await Rig.open();
    const outcome = rig.run();
    await rig.advance(5);
    rig.held.runs[0].answer({ output: "", data } as AgentAnswer);
    await rig.advance(5);
    assertEquals(outcome.error?.code, "AGENT_FAILED");
    assertStringIncludes(outcome.error!.message, "The agent's answer cannot be sent as JSON");
  }
});

Deno.test("an answer beyond the bound of a message is refused, not cut", async () => {
  const rig = await Rig.open();
  const outcome = rig.run();
  await rig.advance(5);
  rig.held.runs[0].answer("x".repeat(MAX_BODY_BYTES));
  await rig.advance(5);
  assertEquals(outcome.error?.code, "RESOURCE_EXHAUSTED");
});

Deno.test("work that was done at once and whose answer cannot be sent has begun", async () => {
  let runs = 0;
  const atOnce = createAgent({
    name: "at-once",
    description: "Says too much",
    run: () => `${++runs}`.repeat(MAX_BODY_BYTES),
  });
  const rig = await Rig.open(atOnce);
  const outcome = rig.run({ agent: "at-once" });
  await rig.advance(5);
  // Else its caller would take it for a refusal, and ask the next device.
  assertEquals([outcome.error?.code, rig.events], ["RESOURCE_EXHAUSTED", [{ type: "started" }]]);
  assertEquals(runs, 1);
});

Deno.test("an agent that says what is no text harms nobody else on the link", async () => {
  const nonsense = [42, undefined, { length: 1e9 }, null, Symbol("x"), ["a"]];
  for (const prompt of nonsense) {
    const asker = createAgent({
      name: "asker",
      description: "Asks what is no question",
      run: ({ callAgent }) => callAgent("held", prompt as string).then(({ output }) => output),
    });
    const rig = await Rig.open(asker);
    const other = rig.run();
    await rig.advance(5);
    const rest = [rig.run({ agent: "asker" }), rig.run({ agent: "asker" })];
    await rig.advance(5);
    rig.held.runs[0].answer("untouched");
    await rig.advance(5);
    assertEquals([other.answer?.output, other.error], ["untouched", undefined]);
    for (const { error } of rest) {
      assertEquals(error?.code, "INVALID_ARGUMENT");
      assertStringIncludes(error!.message, "its prompt is no text");
    }
  }
});

Deno.test("an executor that streams without end is stopped before it fills the caller's memory", async () => {
  const piece = "x".repeat(4 * 1024 * 1024);
  let pieces = 0;
  let wasStopped = false;
  const endless = createAgent({
    name: "helper",
    description: "Never ends",
    run: async function* () {
      try {
        for (;; pieces++) yield piece;
      } finally {
        wasStopped = true;
      }
    },
  });
  const rig = await Rig.open(endless);
  const outcome = rig.run({ agent: "helper" });
  for (let i = 0; i < 100 && outcome.error === undefined; i++) await rig.advance(5);
  assertEquals(outcome.error?.code, "RESOURCE_EXHAUSTED");
  assertStringIncludes(outcome.error!.message, "longer than 64 million characters");
  await rig.advance(5);
  assert(wasStopped && pieces < 20, `${pieces} pieces`);
});

Deno.test("a task beyond the bound of a message is refused before anything is sent", async () => {
  const rig = await Rig.open();
  const outcome = rig.run({ prompt: "x".repeat(MAX_BODY_BYTES) });
  await rig.advance(5);
  assertEquals(outcome.error?.code, "RESOURCE_EXHAUSTED");
  assertEquals(rig.pair.acceptor.calls.length, 0);
});

Deno.test("the caller's abort ends its run at once, and the agent's on the other side", async () => {
  const rig = await Rig.open();
  const abort = new AbortController();
  const outcome = rig.run({}, abort.signal);
  await rig.advance(5);
  abort.abort(new NetworkError("CANCELLED", "Changed my mind."));
  await rig.advance(0);
  assertEquals(outcome.error?.message, "Changed my mind.");
  assertEquals(rig.executor.running, 1, "the word is on its way");
  await rig.advance(1);
  assertEquals(rig.held.runs[0].context.signal.reason.code, "CANCELLED");
  assertEquals(rig.executor.running, 0);
});

Deno.test("a task whose caller gives up while it waits never runs", async () => {
  const rig = await Rig.open();
  rig.run({ prompt: "first" });
  const abort = new AbortController();
  rig.run({ prompt: "second" }, abort.signal);
  await rig.advance(5);
  assertEquals(rig.executor.queued, 1);
  abort.abort();
  await rig.advance(5);
  assertEquals(rig.executor.queued, 0);
  rig.held.runs[0].answer("done");
  await rig.advance(5);
  assertEquals(rig.held.prompts, ["first"]);
});

Deno.test("a run whose signal is aborted already sends nothing", async () => {
  const rig = await Rig.open();
  const outcome = rig.run({}, AbortSignal.abort(new NetworkError("CANCELLED", "Too late.")));
  await rig.advance(5);
  assertEquals(outcome.error?.message, "Too late.");
  assertEquals(rig.pair.acceptor.calls.length, 0);
});

Deno.test("when the caller's process dies its agent is stopped and the slot is free", async () => {
  const rig = await Rig.open();
  rig.run();
  await rig.advance(5);
  rig.pair.links.kill("10.0.0.1");
  await rig.advance(1);
  assert(rig.held.runs[0].context.signal.aborted);
  assertEquals(rig.executor.running, 0);
});

Deno.test("when the executor's process dies the outcome is unknown", async () => {
  const rig = await Rig.open();
  const outcome = rig.run();
  await rig.advance(5);
  rig.pair.links.kill("10.0.0.2");
  await rig.advance(1);
  assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
});

Deno.test("a task that never left is UNAVAILABLE: it was begun nowhere", async () => {
  const rig = await Rig.open();
  const outcome = rig.run();
  rig.pair.dialler.link.close();
  await rig.advance(5);
  assertEquals(outcome.error?.code, "UNAVAILABLE");
  const next = rig.run();
  await rig.advance(0);
  assertEquals(next.error?.code, "UNAVAILABLE");
});

Deno.test("behind a cut cable both sides keep the deadline, each by itself", async () => {
  const rig = await Rig.open();
  const outcome = rig.run({ timeoutMs: 1_000 });
  await rig.advance(5);
  rig.pair.lan.setDown("10.0.0.2", true);
  await rig.advance(994);
  assertEquals(outcome.error, undefined);
  await rig.advance(1);
  assertEquals(outcome.error?.code, "DEADLINE_EXCEEDED");
  await rig.advance(1);
  assertEquals(rig.held.runs[0].context.signal.reason.code, "DEADLINE_EXCEEDED");
  assertEquals(rig.executor.running, 0);
});

Deno.test("an agent whose caller takes nothing stops after the credit, and goes on when it does", async () => {
  const piece = "x".repeat(32 * 1024);
  let yielded = 0;
  const talker = createAgent({
    name: "talker",
    description: "Talks without end",
    run: async function* () {
      for (; yielded < 40; yielded++) yield piece;
      return "done";
    },
  });
  const rig = await Rig.open(talker);
  const waiting: (() => void)[] = [];
  let readsAtOnce = false;
  const outcome = rig.run({ agent: "talker" }, undefined, () => {
    if (readsAtOnce) return;
    return new Promise<void>((resolve) => waiting.push(resolve));
  });
  await rig.advance(50);
  assert(yielded <= CREDIT_WINDOW / piece.length, `${yielded} pieces went out`);
  readsAtOnce = true;
  for (const take of waiting) take();
  await rig.advance(50);
  assertEquals(yielded, 40);
  assertEquals(outcome.answer, { output: "done", serviceMs: 58 });
});
