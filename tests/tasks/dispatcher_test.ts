/** Getting a task run: which device is tried, which next, and what the caller is told. */
import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import type { AgentAnswer } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { heldAgent } from "../support/task_rig.ts";
import { device, Fleet, type Outcome } from "../support/task_fleet.ts";

Deno.test("a run tells its events in order, and its result says where, why, and in how many attempts", async () => {
  const fleet = new Fleet(["a", "here"]);
  await fleet.clock.advance(1_000);
  const outcome = fleet.run({ prompt: "question", context: "document" });
  const run = await fleet.ask("a");
  const { task: { taskId, ...sent } } = run;
  assertEquals(sent, {
    attempt: 1,
    agent: "held",
    prompt: "question",
    context: "document",
    timeoutMs: 10_000,
    priority: "normal",
    hops: 0,
  });
  run.begin();
  const sizes = [
    run.say({ type: "token", text: "4" }),
    run.say({ type: "tool-call", callId: "1", tool: "add", arguments: [1] }),
    run.say({ type: "tool-result", callId: "1", tool: "add", result: 2 }),
    run.say({ type: "token", text: "2" }),
  ];
  assertEquals(run.bytesConsumed, sizes.reduce((sum, size) => sum + size));
  await fleet.clock.advance(70);
  run.answer({ output: "42", data: 42 });
  await fleet.settle();
  const reason = "heavy work finishes first there (100 TFLOPS, 0 tasks on 1 slot)";
  assertEquals(fleet.events, [
    { type: "routed", taskId, attempt: 1, nodeId: "a", reason },
    { type: "started", taskId, attempt: 1, nodeId: "a" },
    { type: "token", text: "4" },
    { type: "tool-call", callId: "1", tool: "add", arguments: [1] },
    { type: "tool-result", callId: "1", tool: "add", result: 2 },
    { type: "token", text: "2" },
  ]);
  assertEquals(outcome.result, {
    taskId,
    agent: "held",
    nodeId: "a",
    output: "42",
    data: 42,
    attempts: 1,
    durationMs: 70,
    serviceMs: 0,
    reason,
  });
});

Deno.test("a device that says again and again that it has begun is heard once", async () => {
  const fleet = new Fleet(["a"]);
  fleet.run();
  const run = await fleet.ask("a");
  for (let i = 0; i < 10; i++) run.begin();
  run.answer({ output: "done" });
  await fleet.settle();
  assertEquals(fleet.told(), ["routed a", "started a"]);
});

Deno.test("this device runs a task like any other", async () => {
  const fleet = new Fleet(["here", "a"]);
  const outcome = fleet.run({ prompt: "question", context: "document" });
  const { context, answer } = await fleet.here.run(0);
  assertEquals([context.prompt, context.context], ["question", "document"]);
  assertEquals(fleet.told(), ["routed here", "started here"]);
  answer("done");
  await fleet.settle();
  const { nodeId, output, attempts, taskId } = outcome.result!;
  assertEquals([nodeId, output, attempts, taskId], ["here", "done", 1, context.taskId]);
  assert(!("data" in outcome.result!));
});

Deno.test("what an agent answers beside its output does not change what is said of the run", async () => {
  const fleet = new Fleet(["here"]);
  const outcome = fleet.run();
  const { answer } = await fleet.here.run(0);
  answer({ output: "done", nodeId: "elsewhere", attempts: 7 } as AgentAnswer);
  await fleet.settle();
  assertEquals([outcome.result?.nodeId, outcome.result?.attempts], ["here", 1]);
});

for (
  const code of [
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "CANCELLED",
  ] as const
) {
  Deno.test(`a device that fails with ${code} before it has begun is replaced by the next best`, async () => {
    const fleet = new Fleet(["a", "b", "here"]);
    fleet.agent = heldAgent({ workload: "heavy", idempotent: false }).agent;
    const outcome = fleet.run();
    (await fleet.ask("a")).fail(code, "Not now.");
    const second = await fleet.ask("b");
    assertEquals(second.task.attempt, 2);
    assertEquals(second.task.taskId, fleet.asked.get("a")![0].task.taskId);
    second.begin();
    second.answer({ output: "done" });
    await fleet.settle();
    assertEquals(fleet.told(), ["routed a", "fallback a", "routed b", "started b"]);
    const fallback = fleet.events[1];
    assert(fallback.type === "fallback");
    assertEquals([fallback.attempt, fallback.reason], [1, "Not now."]);
    assertEquals([outcome.result?.nodeId, outcome.result?.attempts], ["b", 2]);
  });
}

Deno.test("a device whose link is gone is replaced, and this device may be the next best", async () => {
  const fleet = new Fleet(["a", "here"]);
  fleet.linkless.add("a");
  const outcome = fleet.run();
  (await fleet.here.run(0)).answer("done");
  await fleet.settle();
  assertEquals(fleet.told(), ["routed a", "fallback a", "routed here", "started here"]);
  assertEquals(outcome.result?.nodeId, "here");
});

Deno.test("this device, when it is busy, is replaced by another", async () => {
  const fleet = new Fleet(["here", "a"]);
  for (let i = 0; i < 5; i++) fleet.run({ nodeId: "here" }, () => {});
  await fleet.settle();
  const outcome = fleet.run();
  (await fleet.ask("a")).answer({ output: "done" });
  await fleet.settle();
  assertEquals(fleet.told(), ["routed here", "fallback here", "routed a", "started a"]);
  assertEquals(outcome.result?.nodeId, "a");
});

Deno.test("at most three devices are tried", async () => {
  const fleet = new Fleet(["a", "b", "c", "here"]);
  const outcome = fleet.run();
  for (const nodeId of ["a", "b", "c"]) {
    (await fleet.ask(nodeId)).fail("UNAVAILABLE", `${nodeId} is gone.`);
  }
  await fleet.settle();
  assertEquals([outcome.error?.code, outcome.error?.message], ["UNAVAILABLE", "c is gone."]);
  assertEquals(fleet.told(), ["routed a", "fallback a", "routed b", "fallback b", "routed c"]);
  assertEquals(fleet.here.runs.length, 0);
});

Deno.test("when two are full the caller is told at once, and when to try again", async () => {
  const fleet = new Fleet(["a", "b", "here"]);
  const outcome = fleet.run();
  for (const nodeId of ["a", "b"]) {
    (await fleet.ask(nodeId)).fail("RESOURCE_EXHAUSTED", `${nodeId} is busy.`, 250);
  }
  await fleet.settle();
  assertEquals(outcome.error?.code, "RESOURCE_EXHAUSTED");
  assertEquals([outcome.error?.message, outcome.error?.retryAfterMs], ["b is busy.", 250]);
  assertEquals(fleet.told(), ["routed a", "fallback a", "routed b"]);
});

Deno.test("the only device is asked again after a while, twice", async () => {
  const fleet = new Fleet(["a"]);
  const outcome = fleet.run();
  (await fleet.ask("a")).fail("UNAVAILABLE", "Its link is broken.");
  await fleet.settle();
  assertEquals(fleet.asked.get("a")?.length, 1, "not at once");
  await fleet.clock.advance(100);
  (await fleet.ask("a")).fail("UNAVAILABLE", "Its link is broken.");
  await fleet.clock.advance(200);
  const run = await fleet.ask("a");
  assertEquals([fleet.asked.get("a")?.length, run.task.attempt], [3, 3]);
  run.answer({ output: "there" });
  await fleet.settle();
  assertEquals([outcome.result?.output, outcome.result?.attempts], ["there", 3]);
});

Deno.test("who gives up during that pause is told at once, and nobody is asked again", async () => {
  const fleet = new Fleet(["a"]);
  const abort = new AbortController();
  const outcome = fleet.run({ signal: abort.signal });
  (await fleet.ask("a")).fail("UNAVAILABLE", "Its link is broken.");
  await fleet.settle();
  abort.abort();
  await fleet.settle();
  assertEquals(outcome.error?.code, "CANCELLED");
  await fleet.clock.advance(1_000);
  assertEquals(fleet.asked.get("a")?.length, 1);
  assertEquals(fleet.clock.pending, 0);
});

Deno.test("a device that failed three times in a row is asked only when nobody else can", async () => {
  const fleet = new Fleet(["a", "b"]);
  const isDoubtful = () => fleet.circuits.isDoubtful("a");
  for (let i = 0; i < 3; i++) {
    assertEquals(isDoubtful(), false);
    const outcome = fleet.run();
    (await fleet.ask("a")).fail("UNAVAILABLE", "Its link is broken.");
    (await fleet.ask("b")).answer({ output: "b" });
    await fleet.settle();
    assertEquals(outcome.result?.nodeId, "b");
  }
  assertEquals(isDoubtful(), true);
  await fleet.clock.advance(1_000);
  const outcome = fleet.run();
  (await fleet.ask("a")).answer({ output: "well again" });
  await fleet.settle();
  assertEquals([outcome.result?.nodeId, isDoubtful()], ["a", false]);
});

Deno.test("a device that is full has answered: that is no failure of it", async () => {
  const fleet = new Fleet(["a", "b"]);
  for (let i = 0; i < 5; i++) {
    fleet.run();
    (await fleet.ask("a")).fail("RESOURCE_EXHAUSTED", "a is busy.", 250);
    (await fleet.ask("b")).answer({ output: "b" });
    await fleet.settle();
  }
  assertEquals(fleet.circuits.isDoubtful("a"), false);
});

Deno.test("when everything fails, retries are no more than a fifth of the tasks", async () => {
  const fleet = new Fleet(["a", "b"]);
  for (let i = 0; i < 200; i++) {
    fleet.run();
    (await fleet.ask("a")).fail("FAILED_PRECONDITION", "a is stopping.");
    await fleet.settle();
    fleet.asked.get("b")?.at(-1)?.fail("FAILED_PRECONDITION", "b is stopping.");
    await fleet.settle();
  }
  const second = fleet.asked.get("b")!.length;
  assert(second >= 200 * 0.2 && second <= 20 + 200 * 0.2, `${second} second attempts`);
});

Deno.test("when no other device is left, the caller gets what the last one failed with", async () => {
  const fleet = new Fleet(["a"]);
  const outcome = fleet.run();
  (await fleet.ask("a")).fail("RESOURCE_EXHAUSTED", "a is busy.", 90);
  await fleet.settle();
  assertEquals([outcome.error?.message, outcome.error?.retryAfterMs], ["a is busy.", 90]);
  assertEquals(fleet.told(), ["routed a"], "there is no fallback to nowhere");
});

Deno.test("an agent that fails is not run again, not even when its code looks like a refusal", async () => {
  for (const code of ["AGENT_FAILED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"] as const) {
    const fleet = new Fleet(["a", "b"]);
    const outcome = fleet.run();
    const run = await fleet.ask("a");
    run.begin();
    run.fail(code, "It broke.");
    await fleet.settle();
    assertEquals([outcome.error?.code, outcome.error?.message], [code, "It broke."]);
    assertEquals(fleet.asked.get("b"), undefined);
  }
});

Deno.test("whoever says something has begun, also without saying so", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const run = await fleet.ask("a");
  run.say({ type: "token", text: "half " });
  run.fail("UNAVAILABLE");
  await fleet.settle();
  assertEquals(outcome.error?.code, "UNAVAILABLE");
  assertEquals(fleet.asked.get("b"), undefined, "its tokens would come twice");
});

Deno.test("a device lost while it ran an idempotent agent that had said nothing is replaced", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const first = await fleet.ask("a");
  first.begin();
  first.fail("UNKNOWN_OUTCOME", "The link was lost.");
  const second = await fleet.ask("b");
  second.begin();
  second.answer({ output: "done" });
  await fleet.settle();
  assertEquals([outcome.result?.nodeId, outcome.result?.attempts], ["b", 2]);
  assertEquals(fleet.told(), ["routed a", "started a", "fallback a", "routed b", "started b"]);
});

Deno.test("what a device said of agents that it has asked is no part of an answer", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const first = await fleet.ask("a");
  const call = { callId: "call_1", agent: "other" };
  first.say({ type: "agent-call", ...call, prompt: "well?" });
  first.say({ type: "agent-error", ...call, reason: "it is dark" });
  first.fail("UNKNOWN_OUTCOME", "The link was lost.");
  (await fleet.ask("b")).answer({ output: "done" });
  await fleet.settle();
  assertEquals([outcome.result?.nodeId, outcome.result?.attempts], ["b", 2]);
});

Deno.test("an agent that ends the process that runs it ends no more than two", async () => {
  const fleet = new Fleet(["a", "b", "c", "d"]);
  const outcome = fleet.run();
  for (const nodeId of ["a", "b"]) {
    const run = await fleet.ask(nodeId);
    run.begin();
    run.fail("UNKNOWN_OUTCOME");
  }
  await fleet.settle();
  assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(outcome.error!.message, "2 devices were lost by it");
  assertEquals(fleet.asked.get("c"), undefined);
});

Deno.test("after a fallback the reason says that there were other devices", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  (await fleet.ask("a")).fail("UNAVAILABLE");
  const run = await fleet.ask("b");
  run.begin();
  run.answer({ output: "done" });
  await fleet.settle();
  assertEquals(outcome.result?.reason, "the only one of 2 devices that can do it");
});

const UNKNOWN_OUTCOMES: [what: string, idempotent: boolean, says: boolean, why: string][] = [
  ["an agent that is not idempotent", false, false, 'agent "held" is not idempotent'],
  ["an agent that had said something", true, true, "part of its answer had come already"],
  ["an agent that is neither", false, true, "part of its answer had come already"],
];

for (const [what, idempotent, says, why] of UNKNOWN_OUTCOMES) {
  Deno.test(`a device lost while it ran ${what} leaves the outcome unknown, and says why`, async () => {
    const fleet = new Fleet(["a", "b"]);
    fleet.agent = heldAgent({ workload: "heavy", idempotent }).agent;
    const outcome = fleet.run();
    const run = await fleet.ask("a");
    run.begin();
    if (says) run.say({ type: "token", text: "x" });
    run.fail("UNKNOWN_OUTCOME");
    await fleet.settle();
    assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
    assertStringIncludes(outcome.error!.message, `Node "a" was lost while it ran agent "held"`);
    assertStringIncludes(outcome.error!.message, why);
    assertEquals(fleet.asked.get("b"), undefined);
  });
}

Deno.test("a lost device that nobody can replace leaves the outcome unknown", async () => {
  const fleet = new Fleet(["a"]);
  const outcome = fleet.run();
  const run = await fleet.ask("a");
  run.begin();
  run.fail("UNKNOWN_OUTCOME");
  await fleet.settle();
  assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(outcome.error!.message, 'Node "a" was lost');
  assertStringIncludes(outcome.error!.message, "no other device is left");
});

Deno.test("a node that was asked for is the only one tried, whatever happens to it", async () => {
  for (
    const [code, begun] of [["RESOURCE_EXHAUSTED", false], ["UNKNOWN_OUTCOME", true]] as const
  ) {
    const fleet = new Fleet(["a", "b", "here"]);
    const outcome = fleet.run({ nodeId: "b" });
    const run = await fleet.ask("b");
    if (begun) run.begin();
    // It is in nobody's table any more when its run has failed.
    fleet.candidates.splice(1, 1);
    run.fail(code);
    await fleet.settle();
    assertEquals(outcome.error?.code, code);
    assert(!fleet.told().includes("fallback b"));
    assertEquals(fleet.asked.get("a"), undefined);
  }
});

Deno.test("a node that was asked for runs it although it is not the best, and the reason says so", async () => {
  const fleet = new Fleet(["a", "here"]);
  const outcome = fleet.run({ nodeId: "here" });
  (await fleet.here.run(0)).answer("done");
  await fleet.settle();
  assertEquals([outcome.result?.nodeId, outcome.result?.reason], ["here", "it was asked for"]);
});

Deno.test("a node that was asked for and is not here is not found", async () => {
  const fleet = new Fleet(["a"]);
  const { error } = await settled(fleet, fleet.run({ nodeId: "z" }));
  assertEquals(error?.code, "NOT_FOUND");
  assertStringIncludes(error!.message, 'Cannot run agent "held" on "z"');
  assertEquals(fleet.events, []);
});

Deno.test("a node that was asked for and does not have the agent is told, with those that do", async () => {
  const fleet = new Fleet(["a", "b", "c"]);
  fleet.candidates[1] = { ...device("b", 1), agents: new Set() };
  const { error } = await settled(fleet, fleet.run({ nodeId: "b" }));
  assertEquals([error?.code, error?.message], [
    "NOT_FOUND",
    'Cannot run agent "held" on "b": that node does not have it, and these do: a, c. ' +
    "See: hanzo-network agents",
  ]);
  assertEquals(fleet.events, []);
});

Deno.test("a node that was asked for must meet the agent's requirements, too", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.agent = heldAgent({ requirements: { memory: 100_000 } }).agent;
  const { error } = await settled(fleet, fleet.run({ nodeId: "b" }));
  assertEquals(error?.code, "UNAVAILABLE");
  assertStringIncludes(error!.message, "b has 8192 MB of memory, 100000 are needed");
});

Deno.test("the custom router is not asked about a node that was asked for", async () => {
  let asked = 0;
  const fleet = new Fleet(["a", "here"], () => {
    asked++;
  });
  fleet.run({ nodeId: "here" });
  await fleet.here.run(0);
  assertEquals(asked, 0);
});

Deno.test("no device that can: the error names each device with what it lacks", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.candidates[1] = { ...device("b", 1), agents: new Set() };
  fleet.agent = heldAgent({ requirements: { flops: { fp16: 500 } } }).agent;
  const { error } = await settled(fleet, fleet.run());
  assertEquals(error?.code, "UNAVAILABLE");
  assertStringIncludes(
    error!.message,
    "no device can do it now (a has 100 TFLOPS of FP16, 500 are needed; b does not have the agent).",
  );
});

Deno.test("each attempt is given what is left of the time", async () => {
  const fleet = new Fleet(["a", "b", "c"]);
  fleet.run({ timeoutMs: 10_000 });
  const first = await fleet.ask("a");
  await fleet.clock.advance(1_500);
  first.fail("UNAVAILABLE");
  const second = await fleet.ask("b");
  await fleet.clock.advance(2_500);
  second.fail("UNAVAILABLE");
  const third = await fleet.ask("c");
  assertEquals([first, second, third].map(({ task }) => task.timeoutMs), [10_000, 8_500, 6_000]);
});

Deno.test("a device that says nothing is given up at the deadline and told to stop", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run({ timeoutMs: 2_000 });
  const run = await fleet.ask("a");
  run.begin();
  await fleet.clock.advance(1_999);
  assertEquals(outcome.error, undefined);
  await fleet.clock.advance(1);
  assertEquals(outcome.error?.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(outcome.error!.message, "was not done within 2000 ms");
  assertEquals(run.cancelled, true);
  assertEquals(fleet.asked.get("b"), undefined, "there is no time left for another");
});

Deno.test("the deadline holds for all attempts together", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run({ timeoutMs: 2_000 });
  const first = await fleet.ask("a");
  await fleet.clock.advance(1_500);
  first.fail("UNAVAILABLE");
  const second = await fleet.ask("b");
  await fleet.clock.advance(499);
  assertEquals(outcome.error, undefined);
  await fleet.clock.advance(1);
  assertEquals(outcome.error?.code, "DEADLINE_EXCEEDED");
  assertEquals(second.cancelled, true);
});

Deno.test("what comes after the deadline is not told any more", async () => {
  const fleet = new Fleet(["a"]);
  const outcome = fleet.run({ timeoutMs: 100 });
  const run = await fleet.ask("a");
  await fleet.clock.advance(100);
  run.begin();
  run.say({ type: "token", text: "late" });
  run.answer({ output: "late" });
  await fleet.settle();
  assertEquals(outcome.result, undefined);
  assertEquals(fleet.told(), ["routed a"]);
});

Deno.test("a run that has ended leaves no timer, and nothing at a signal that outlives it", async () => {
  for (const nodeId of ["a", "here"]) {
    const fleet = new Fleet(["a", "here"]);
    const { signal } = new AbortController();
    const listeners = countListeners(signal);
    const outcome = fleet.run({ nodeId, signal });
    await fleet.settle();
    assertEquals([fleet.clock.pending, listeners.count], [1, 1]);
    if (nodeId === "a") (await fleet.ask("a")).answer({ output: "done" });
    else fleet.here.runs[0].answer("done");
    await fleet.settle();
    assertEquals(outcome.result?.output, "done");
    assertEquals([fleet.clock.pending, listeners.count], [0, 0]);
  }
});

Deno.test("a custom router that takes all the time there was begins nothing", async () => {
  const fleet = new Fleet(["a"], () => new Promise(() => {}));
  const outcome = fleet.run({ timeoutMs: 500 });
  await fleet.clock.advance(1_000);
  assertEquals(outcome.error?.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(outcome.error!.message, "within 500 ms");
  assertEquals(fleet.asked.size, 0);
});

Deno.test("cancelling stops a remote run, and the caller gets the reason", async () => {
  const fleet = new Fleet(["a", "b"]);
  const abort = new AbortController();
  const outcome = fleet.run({ signal: abort.signal });
  const run = await fleet.ask("a");
  run.begin();
  const reason = new NetworkError("CANCELLED", "Changed my mind.");
  abort.abort(reason);
  await fleet.settle();
  assertStrictEquals(outcome.error, reason);
  assertEquals(run.cancelled, true);
  run.fail("CANCELLED");
  await fleet.settle();
  assertEquals(fleet.asked.get("b"), undefined);
});

Deno.test("cancelling stops a run on this device", async () => {
  const fleet = new Fleet(["here"]);
  const abort = new AbortController();
  const outcome = fleet.run({ signal: abort.signal });
  const { context } = await fleet.here.run(0);
  const reason = new NetworkError("CANCELLED", "Changed my mind.");
  abort.abort(reason);
  await fleet.settle();
  assertStrictEquals(outcome.error, reason);
  assertStrictEquals(context.signal.reason, reason);
  assertEquals(fleet.executor.running, 0);
});

Deno.test("a task that is cancelled while it waits for another try ends at once", async () => {
  const fleet = new Fleet(["a"]);
  const outcome = fleet.run();
  (await fleet.ask("a")).fail("UNAVAILABLE", "Its link is broken.");
  await fleet.settle();
  const [{ taskId, nodeIds }] = fleet.dispatcher.history.goesOn();
  assertEquals(nodeIds, ["a"]);
  const reason = new NetworkError("CANCELLED", "Nobody wants it.");
  assert(fleet.dispatcher.cancel(taskId, reason));
  await fleet.settle();
  assertStrictEquals(outcome.error, reason);
  assertEquals(fleet.asked.get("a")?.length, 1);
  assertEquals(fleet.clock.pending, 0);
  assert(!fleet.dispatcher.cancel(taskId, reason), "it has ended");
});

Deno.test("an AbortSignal of the web's own ends a run with CANCELLED and its reason as the cause", async () => {
  for (const nodeId of ["a", "here"]) {
    const fleet = new Fleet(["a", "here"]);
    const abort = new AbortController();
    const outcome = fleet.run({ nodeId, signal: abort.signal });
    await fleet.settle();
    abort.abort();
    await fleet.settle();
    assert(outcome.error instanceof NetworkError);
    assertEquals(outcome.error.code, "CANCELLED");
    assertStrictEquals(outcome.error.cause, abort.signal.reason);
  }
});

Deno.test("a run that was cancelled before, or while the router thought, begins nowhere", async () => {
  const fleet = new Fleet(["here"]);
  const { error } = await settled(fleet, fleet.run({ signal: AbortSignal.abort() }));
  assertEquals([error?.code, fleet.events.length], ["CANCELLED", 0]);

  let choose = () => {};
  const thinking = new Fleet(["here"], () => new Promise((resolve) => choose = () => resolve()));
  const abort = new AbortController();
  const outcome = thinking.run({ signal: abort.signal });
  await thinking.settle();
  abort.abort();
  choose();
  await thinking.settle();
  assertEquals(outcome.error?.code, "CANCELLED");
  assertEquals(thinking.here.runs.length, 0);
});

Deno.test("a device is granted more only when the caller has taken what it sent", async () => {
  const fleet = new Fleet(["a"]);
  const taken: (() => void)[] = [];
  fleet.run({}, (event) => {
    if (event.type === "token") return new Promise((resolve) => taken.push(resolve));
  });
  const run = await fleet.ask("a");
  run.begin();
  const first = run.say({ type: "token", text: "one" });
  const second = run.say({ type: "token", text: "two" });
  await fleet.settle();
  assertEquals(run.bytesConsumed, 0);
  taken[0]();
  await fleet.settle();
  assertEquals(run.bytesConsumed, first);
  taken[1]();
  await fleet.settle();
  assertEquals(run.bytesConsumed, first + second);
});

Deno.test("no device is asked before the caller has taken the news of it", async () => {
  const fleet = new Fleet(["a", "b"]);
  const taken: (() => void)[] = [];
  fleet.run({}, ({ type }) => {
    if (type === "started") return;
    return new Promise((resolve) => taken.push(resolve));
  });
  await fleet.settle();
  assertEquals(fleet.asked.size, 0);
  taken[0]();
  (await fleet.ask("a")).fail("UNAVAILABLE");
  for (const news of [1, 2]) {
    await fleet.settle();
    assertEquals([taken.length, fleet.asked.has("b")], [news + 1, false]);
    taken[news]();
  }
  await fleet.ask("b");
});

Deno.test("what only newer devices say is passed over, and the run goes on", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const run = await fleet.ask("a");
  // Field 15: a message with a text. Field 200: a number.
  const news = [[0x7a, 0x03, 0x0a, 0x01, 0x41], [0xc0, 0x0c, 0x07]];
  for (const bytes of news) run.send(new Uint8Array(bytes));
  const said = run.say({ type: "token", text: "A" });
  for (const bytes of news) run.send(new Uint8Array(bytes));
  assertEquals(run.bytesConsumed, said + 16);
  run.answer({ output: "A" });
  await fleet.settle();
  assertEquals(outcome.error, undefined);
  assertEquals(fleet.events.map(({ type }) => type), ["routed", "started", "token"]);
  assertEquals(outcome.result?.output, "A");
});

Deno.test("a peer that sends what is no event is told to stop, and the caller is told which field", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const run = await fleet.ask("a");
  run.begin();
  // A token whose length lies.
  run.send(new Uint8Array([0x0a, 0x05, 0x41]));
  await fleet.settle();
  assertEquals(outcome.error?.code, "PROTOCOL");
  assertStringIncludes(outcome.error!.message, "event: it ends in the middle");
  assertEquals(run.cancelled, true);
  assertEquals(fleet.asked.get("b"), undefined);
});

Deno.test("who cancels while a custom router thinks is told at once, and nobody is asked", async () => {
  const fleet = new Fleet(["a"], () => new Promise(() => {}));
  const abort = new AbortController();
  const bySignal = fleet.run({ signal: abort.signal });
  const byId = fleet.run();
  await fleet.settle();
  const [, { taskId }] = fleet.dispatcher.history.goesOn();
  abort.abort();
  fleet.dispatcher.cancel(taskId, new NetworkError("CANCELLED", "Enough."));
  await fleet.settle();
  assertEquals([bySignal.error?.code, byId.error?.message], ["CANCELLED", "Enough."]);
  await fleet.clock.advance(5_000);
  assertEquals(fleet.asked.get("a"), undefined);
});

Deno.test("a device that takes its time is helped by a second one, and the first answer counts", async () => {
  const fleet = new Fleet(["a", "b", "c"]);
  const outcome = fleet.run({ hedgeAfterMs: 200 });
  const slow = await fleet.ask("a");
  slow.begin();
  await fleet.clock.advance(199);
  assertEquals(fleet.told(), ["routed a", "started a"]);
  await fleet.clock.advance(1);
  const quick = await fleet.ask("b");
  assertEquals([quick.task.taskId, quick.task.attempt], [slow.task.taskId, 2]);
  assertEquals(fleet.told().slice(2), ["routed b"]);
  const [, , routed] = fleet.events;
  assert(routed.type === "routed");
  assertStringIncludes(routed.reason, '; "a" has not answered within 200 ms');
  quick.begin();
  quick.answer({ output: "quick" });
  await fleet.settle();
  assertEquals([outcome.result?.output, outcome.result?.nodeId, outcome.result?.attempts], [
    "quick",
    "b",
    2,
  ]);
  assertEquals([slow.cancelled, quick.cancelled], [true, false]);
  slow.say({ type: "token", text: "late" });
  slow.answer({ output: "late" });
  await fleet.clock.advance(60_000);
  assertEquals(fleet.told().slice(3), ["started b"]);
  assertEquals(fleet.asked.get("c"), undefined);
});

Deno.test("with hedging the first word decides: who comes second is stopped and not heard", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run({ hedgeAfterMs: 100 });
  const [first, second] = [await fleet.ask("a"), await (fleet.clock.advance(100), fleet.ask("b"))];
  second.begin();
  first.begin();
  first.say({ type: "token", text: "one " });
  second.say({ type: "token", text: "uno " });
  await fleet.settle();
  assertEquals([first.cancelled, second.cancelled], [false, true]);
  second.fail("CANCELLED");
  first.say({ type: "token", text: "two" });
  first.answer({ output: "one two" });
  await fleet.settle();
  assertEquals(outcome.result?.output, "one two");
  assertEquals(fleet.told().filter((one) => one.startsWith("token")), ["token one ", "token two"]);
});

Deno.test("with hedging one that fails leaves it to the other, and both to the next", async () => {
  const fleet = new Fleet(["a", "b", "c"]);
  const outcome = fleet.run({ hedgeAfterMs: 100 });
  const a = await fleet.ask("a");
  await fleet.clock.advance(100);
  const b = await fleet.ask("b");
  a.fail("UNAVAILABLE");
  await fleet.settle();
  assertEquals(fleet.asked.get("c"), undefined);
  b.fail("UNAVAILABLE");
  const c = await fleet.ask("c");
  assertEquals(c.task.attempt, 3);
  c.answer({ output: "done" });
  await fleet.settle();
  assertEquals([outcome.result?.output, outcome.result?.attempts], ["done", 3]);

  const other = new Fleet(["a", "b"]);
  const early = other.run({ hedgeAfterMs: 5_000 });
  (await other.ask("a")).fail("UNAVAILABLE");
  (await other.ask("b")).answer({ output: "at once" });
  await other.settle();
  assertEquals(early.result?.output, "at once");
});

Deno.test("with hedging a cancel stops both, and who answers in time is asked alone", async () => {
  const fleet = new Fleet(["a", "b"]);
  const abort = new AbortController();
  const cancelled = fleet.run({ hedgeAfterMs: 100, signal: abort.signal });
  const a = await fleet.ask("a");
  await fleet.clock.advance(100);
  const b = await fleet.ask("b");
  abort.abort();
  await fleet.settle();
  assertEquals([a.cancelled, b.cancelled, cancelled.error?.code], [true, true, "CANCELLED"]);

  const alone = fleet.run({ hedgeAfterMs: 100 });
  (await fleet.ask("a")).answer({ output: "quick" });
  await fleet.clock.advance(1_000);
  assertEquals([alone.result?.attempts, fleet.asked.get("b")?.length], [1, 1]);
});

Deno.test("with hedging nobody begins when a task was stopped while its second device was chosen", async () => {
  const stops: ((fleet: Fleet, abort: AbortController) => void)[] = [
    (_, abort) => abort.abort(),
    ({ dispatcher }) => {
      const [{ taskId }] = dispatcher.history.goesOn();
      dispatcher.cancel(taskId, new NetworkError("CANCELLED", "Enough."));
    },
  ];
  for (const stop of stops) {
    for (const second of ["b", "here"]) {
      const thinking = Promise.withResolvers<string>();
      let asked = 0;
      const fleet = new Fleet(["a", "b", "here"], () => asked++ === 0 ? "a" : thinking.promise);
      const abort = new AbortController();
      const outcome = fleet.run({ hedgeAfterMs: 100, signal: abort.signal });
      await fleet.ask("a");
      await fleet.clock.advance(100);
      stop(fleet, abort);
      await fleet.settle();
      thinking.resolve(second);
      await fleet.settle();
      assertEquals(outcome.error?.code, "CANCELLED");
      assertEquals([fleet.asked.get("b"), fleet.here.runs.length], [undefined, 0]);
      assertEquals(fleet.told(), ["routed a"]);
    }
  }
});

Deno.test("with hedging nothing is told, and nobody asked, after the first has answered", async () => {
  const thinking = Promise.withResolvers<string>();
  let asked = 0;
  const fleet = new Fleet(["a", "b"], () => asked++ === 0 ? "a" : thinking.promise);
  const outcome = fleet.run({ hedgeAfterMs: 100 });
  const a = await fleet.ask("a");
  await fleet.clock.advance(100);
  a.answer({ output: "done" });
  await fleet.settle();
  assertEquals(outcome.result?.output, "done");
  thinking.resolve("b");
  await fleet.settle();
  assertEquals(fleet.told(), ["routed a", "started a"]);
  const [{ nodeIds, attempts }] = fleet.dispatcher.history.recent();
  assertEquals([nodeIds, attempts], [["a"], 1]);
});

Deno.test("with hedging a task that somebody has stopped on one device is stopped on both", async () => {
  const fleet = new Fleet(["a", "b", "c"]);
  const outcome = fleet.run({ hedgeAfterMs: 100 });
  const a = await fleet.ask("a");
  await fleet.clock.advance(100);
  const b = await fleet.ask("b");
  a.stop("Somebody has stopped it.");
  await fleet.settle();
  assertEquals([outcome.error?.code, outcome.error?.message], [
    "CANCELLED",
    "Somebody has stopped it.",
  ]);
  assertEquals([b.cancelled, fleet.asked.get("c")], [true, undefined]);
});

Deno.test("with hedging, too, at most three devices are asked, and none after the stop", async () => {
  const fleet = new Fleet(["a", "b", "c", "d"]);
  fleet.run({ hedgeAfterMs: 100 });
  for (const nodeId of ["a", "b"]) (await fleet.ask(nodeId)).fail("UNAVAILABLE");
  await fleet.ask("c");
  await fleet.clock.advance(1_000);
  assertEquals(fleet.asked.get("d"), undefined);

  const other = new Fleet(["a", "b"]);
  other.run({ hedgeAfterMs: 100 });
  await other.ask("a");
  other.dispatcher.stop();
  await other.clock.advance(1_000);
  assertEquals(other.asked.get("b"), undefined);
});

Deno.test("with hedging a device that falls silent is helped at once", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.silent.add("a");
  const outcome = fleet.run({ hedgeAfterMs: 5_000 });
  await fleet.ask("a");
  await fleet.clock.advance(1_200);
  (await fleet.ask("b")).answer({ output: "b" });
  await fleet.settle();
  assertEquals(outcome.result?.nodeId, "b");
});

Deno.test("who was lost and has come back is not doubted for what was on its old link", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.silent.add("a");
  fleet.run({ hedgeAfterMs: 100 });
  const a = await fleet.ask("a");
  await fleet.clock.advance(100);
  await fleet.ask("b");
  a.fail("UNKNOWN_OUTCOME");
  await fleet.settle();
  fleet.circuits.answered("a");
  await fleet.clock.advance(5_000);
  assertEquals(fleet.circuits.isDoubtful("a"), false);
});

Deno.test("a device that says nothing until the time is up has not answered by that", async () => {
  const fleet = new Fleet(["a", "b"]);
  const fail = async () => {
    fleet.run({ nodeId: "a" });
    (await fleet.ask("a")).fail("UNAVAILABLE");
    await fleet.settle();
  };
  await fail();
  await fail();
  const outcome = fleet.run({ nodeId: "a", timeoutMs: 100 });
  await fleet.clock.advance(100);
  assertEquals(outcome.error?.code, "DEADLINE_EXCEEDED");
  assertEquals(fleet.circuits.isDoubtful("a"), false);
  await fail();
  assertEquals(fleet.circuits.isDoubtful("a"), true);
});

Deno.test("a device is doubted for a second when a link with many tasks was lost, not for thirty", async () => {
  const fleet = new Fleet(["a", "b"]);
  fleet.agent = heldAgent({ workload: "heavy", idempotent: false }).agent;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 50; i++) fleet.run({ nodeId: "a" });
    await fleet.settle();
    await fleet.clock.advance(1);
    for (const run of fleet.asked.get("a")!.splice(0)) run.fail("UNKNOWN_OUTCOME");
    await fleet.settle();
    assertEquals(fleet.circuits.isDoubtful("a"), round === 2);
  }
  await fleet.clock.advance(1_000);
  assertEquals(fleet.circuits.isDoubtful("a"), false);
});

Deno.test("refusals that nobody can make good spend nothing of the retries of others", async () => {
  const fleet = new Fleet(["a", "b"]);
  const b = fleet.candidates.pop()!;
  for (let i = 0; i < 100; i++) {
    fleet.run();
    (await fleet.ask("a")).fail("RESOURCE_EXHAUSTED", "a is busy.", 90);
    await fleet.settle();
  }
  fleet.candidates.push(b);
  for (let i = 1; i <= 5; i++) {
    fleet.run();
    (await fleet.ask("a")).fail("UNAVAILABLE");
    await fleet.settle();
    fleet.circuits.answered("a");
    assertEquals(fleet.asked.get("b")?.length, i);
  }
});

Deno.test("when too much is being run again already, the error says so, and not that nobody is left", async () => {
  const fleet = new Fleet(["a", "b"]);
  const lose = async () => {
    const outcome = fleet.run();
    const run = await fleet.ask("a");
    run.begin();
    run.fail("UNKNOWN_OUTCOME");
    await fleet.settle();
    fleet.circuits.answered("a");
    return outcome;
  };
  let outcome = await lose();
  for (let i = 0; outcome.error === undefined && i < 100; i++) outcome = await lose();
  assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(outcome.error!.message, "too much is being run again already");
  assert(!outcome.error!.message.includes("no other device"));
});

Deno.test("after the stop no device takes a lost one's place", async () => {
  const fleet = new Fleet(["a", "b"]);
  const outcome = fleet.run();
  const run = await fleet.ask("a");
  run.begin();
  fleet.dispatcher.stop();
  run.fail("UNKNOWN_OUTCOME");
  await fleet.settle();
  assertEquals(outcome.error?.code, "UNKNOWN_OUTCOME");
  assertEquals(fleet.asked.get("b"), undefined);
});

function countListeners(signal: AbortSignal): { count: number } {
  const listeners = { count: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners.count++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners.count--;
    removeEventListener.apply(signal, args);
  };
  return listeners;
}

async function settled(fleet: Fleet, outcome: Outcome): Promise<Outcome> {
  await fleet.settle();
  return outcome;
}
