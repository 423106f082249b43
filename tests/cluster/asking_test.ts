/** Agents that ask other agents, on whatever device these are. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type AgentContext,
  createAgent,
  type FunctionAgentOptions,
} from "../../src/agents/agent.ts";
import type { RunEvent } from "../../src/agents/run_event.ts";
import { createTool } from "../../src/agents/tool.ts";
import type { NetworkError } from "../../src/base/errors.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

const errorOf = (promise: Promise<unknown>): Promise<NetworkError> =>
  promise.then(
    () => Promise.reject(new Error("It should have failed.")),
    (thrown) => thrown,
  );

/** An agent that asks `held` and says what it was told. */
const asker = (options: Partial<FunctionAgentOptions> = {}) =>
  createAgent({
    name: "asker",
    description: "Asks",
    run: async ({ prompt, callAgent }) => `it says ${(await callAgent("held", prompt)).output}`,
    ...options,
  });

async function startAll(fleet: MemoryFleet, nodes: Record<string, NetworkOptions>) {
  const started: Record<string, MemoryNode> = {};
  for (const [nodeId, options] of Object.entries(nodes)) {
    started[nodeId] = await fleet.start({ nodeId, ...options });
  }
  await fleet.advance(500);
  return started;
}

Deno.test("an agent on one device asks an agent on another as if it were its own", async () => {
  await using fleet = new MemoryFleet(901);
  const held = heldAgent();
  const { a } = await startAll(fleet, {
    a: {},
    b: { agents: [asker()] },
    c: { agents: [held.agent] },
  });
  const events: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of a.network.stream("why?", { initialAgent: "asker" })) {
      events.push(event);
    }
  })();
  await fleet.advance(50);
  const [{ context }] = held.runs;
  assertEquals([context.nodeId, context.prompt], ["c", "why?"]);
  held.runs[0].answer("because");
  await fleet.wait(reading);

  assertEquals(events.map(({ type }) => type), [
    "routed",
    "started",
    "agent-call",
    "agent-result",
    "result",
  ]);
  const { taskId } = context;
  assertEquals(events.slice(2, 4), [
    { type: "agent-call", callId: "call_1", agent: "held", prompt: "why?" },
    {
      type: "agent-result",
      callId: "call_1",
      agent: "held",
      nodeId: "c",
      taskId,
      output: "because",
    },
  ]);
  const last = events[4];
  assert(last.type === "result");
  assertEquals([last.result.output, last.result.nodeId], ["it says because", "b"]);
});

Deno.test("whoever is stopped stops what it has asked for, two devices away", async () => {
  await using fleet = new MemoryFleet(902);
  const held = heldAgent();
  const { a, b } = await startAll(fleet, {
    a: {},
    b: { agents: [asker()] },
    c: { agents: [held.agent] },
  });
  const abort = new AbortController();
  const failed = errorOf(a.network.run("x", { initialAgent: "asker", signal: abort.signal }));
  await fleet.advance(50);
  const { signal } = held.runs[0].context;
  assertEquals(signal.aborted, false);
  abort.abort();
  await fleet.advance(5);
  assert(signal.aborted, "it goes on two devices away");
  assertEquals((await failed).code, "CANCELLED");

  const lost = errorOf(a.network.run("x", { initialAgent: "asker" }));
  await fleet.advance(50);
  fleet.links.kill(b.host);
  await fleet.advance(100);
  assert(held.runs[1].context.signal.aborted, "it goes on for a node that is dead");
  await fleet.wait(lost);
});

Deno.test("the time shrinks with each hop: nobody works for a run that is over", async () => {
  await using fleet = new MemoryFleet(903);
  const held = heldAgent();
  const late = asker({
    run: async ({ prompt, callAgent, signal }) => {
      await new Promise((resolve) => fleet.clock.after(600, () => resolve(undefined)));
      assertEquals(signal.aborted, false);
      return (await callAgent("held", prompt, { timeoutMs: 60_000 })).output;
    },
  });
  const { a } = await startAll(fleet, {
    a: {},
    b: { agents: [late] },
    c: { agents: [held.agent] },
  });
  const failed = errorOf(a.network.run("x", { initialAgent: "asker", timeoutMs: 1_000 }));
  await fleet.advance(900);
  const { signal } = held.runs[0].context;
  assertEquals(signal.aborted, false);
  await fleet.advance(110);
  assert(signal.aborted, "it goes on after the deadline of who has asked");
  assertEquals((await failed).code, "DEADLINE_EXCEEDED");
});

Deno.test("what waits for another agent takes no slot: one slot each is enough for any depth", async () => {
  await using fleet = new MemoryFleet(904);
  const countdown = createAgent({
    name: "countdown",
    description: "Asks itself",
    run: async ({ prompt, callAgent }: AgentContext) => {
      const n = Number(prompt);
      return n === 0 ? "0" : `${n} ${(await callAgent("countdown", String(n - 1))).output}`;
    },
  });
  const { a, b } = await startAll(fleet, {
    a: { agents: [countdown], slots: 1 },
    b: { agents: [countdown], slots: 1 },
  });
  const ask = (prompt: string) => a.network.run(prompt, { initialAgent: "countdown" });
  const answers = await fleet.wait(Promise.all([ask("16"), ask("3"), ask("3")]));
  assertEquals(answers.map(({ output }) => output), [
    "16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0",
    "3 2 1 0",
    "3 2 1 0",
  ]);
  assertEquals([a, b].map(({ network }) => network.getNetworkStatus().activeTasks), [0, 0]);

  const tooDeep = await fleet.wait(errorOf(ask("17")));
  assertEquals(tooDeep.code, "AGENT_FAILED");
  assertStringIncludes(tooDeep.message, "16 deep already. Is there a circle");
});

Deno.test("an agent that may be run again asks none that may not", async () => {
  await using fleet = new MemoryFleet(905);
  const pay = createTool({ name: "pay", description: "Pays", handler: () => "paid" });
  const held = heldAgent({ tools: [pay] });
  const { a } = await startAll(fleet, {
    a: { agents: [held.agent, asker(), asker({ name: "once", idempotent: false })] },
  });
  const refused = await fleet.wait(errorOf(a.network.run("x", { initialAgent: "asker" })));
  assertEquals(refused.code, "AGENT_FAILED");
  assertStringIncludes(refused.message, 'Create "asker" with idempotent: false.');
  assertEquals(held.runs.length, 0);

  const running = a.network.run("x", { initialAgent: "once" });
  await fleet.advance(10);
  held.runs[0].answer("paid");
  assertEquals((await fleet.wait(running)).output, "it says paid");
});

Deno.test("an asker that is lost is run again elsewhere as long as it has said nothing itself", async () => {
  await using fleet = new MemoryFleet(906);
  const held = heldAgent();
  const { a, b } = await startAll(fleet, {
    a: { agents: [held.agent] },
    b: { agents: [asker({ workload: "heavy" })], deviceCapabilities: { flops: { fp16: 100 } } },
    c: { agents: [asker({ workload: "heavy" })], deviceCapabilities: { flops: { fp16: 1 } } },
  });
  const events: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of a.network.stream("x", { initialAgent: "asker" })) events.push(event);
  })();
  await fleet.advance(50);
  fleet.links.kill(b.host);
  await fleet.advance(500);
  held.runs[0].answer("nobody hears this");
  held.runs[1].answer("yes");
  await fleet.wait(reading);
  const last = events.at(-1)!;
  assert(last.type === "result");
  const { output, nodeId, attempts } = last.result;
  assertEquals([output, nodeId, attempts], ["it says yes", "c", 2]);
  const calls = events.flatMap((event) => "callId" in event ? [[event.type, event.callId]] : []);
  assertEquals(calls, [
    ["agent-call", "call_1"],
    ["agent-call", "call_2_1"],
    ["agent-result", "call_2_1"],
  ]);
});

Deno.test("a node that drains finishes what asks for its own agents", async () => {
  await using fleet = new MemoryFleet(907);
  const held = heldAgent();
  const { a, b } = await startAll(fleet, { a: {}, b: { agents: [asker(), held.agent] } });
  const gate = Promise.withResolvers<void>();
  const late = asker({
    name: "late",
    run: async ({ callAgent }) => {
      await gate.promise;
      return (await callAgent("held", "x")).output;
    },
  });
  const c = await fleet.start({ nodeId: "c", agents: [late, held.agent] });
  await fleet.wait(b.network.drain());
  await fleet.advance(500);
  const running = a.network.run("x", { initialAgent: "late" });
  await fleet.advance(50);
  const draining = c.network.drain();
  await fleet.advance(50);
  gate.resolve();
  await fleet.advance(50);
  held.runs[0].answer("done");
  assertEquals((await fleet.wait(running)).output, "done");
  await fleet.wait(draining);
});

Deno.test("what an agent has not waited for is stopped when it has answered", async () => {
  await using fleet = new MemoryFleet(908);
  const held = heldAgent();
  const hasty = asker({
    run: ({ callAgent }) => {
      void callAgent("held", "x");
      return new Promise((resolve) => fleet.clock.after(20, () => resolve("done")));
    },
  });
  const { a } = await startAll(fleet, { a: { agents: [hasty] }, b: { agents: [held.agent] } });
  assertEquals((await fleet.wait(a.network.run("x", { initialAgent: "asker" }))).output, "done");
  await fleet.advance(50);
  assert(held.runs[0].context.signal.aborted, "it works for nobody");
});
