/** Networks of agents over many devices: where steps run, what they share, and what dies with whom. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type AgentRun, createAgent, type FunctionAgentOptions } from "../../src/agents/agent.ts";
import { createNetwork } from "../../src/agents/networks/agent_network.ts";
import { sequentialRouter } from "../../src/agents/networks/routers.ts";
import type { NetworkRunResult, RunEvent } from "../../src/agents/run_event.ts";
import { sleep } from "../../src/base/clock.ts";
import type { NetworkError } from "../../src/base/errors.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

function agentOf(name: string, run: AgentRun, options: Partial<FunctionAgentOptions> = {}) {
  return createAgent({ name, description: "", run, ...options });
}

/** Sets what it is called under its name, and says what it found. */
const noting = (name: string) =>
  agentOf(name, ({ nodeId, state }) => {
    const found = [...state.data.keys()].join(",");
    state.data.set(name, nodeId);
    state.addMessage({ role: "system", content: `${name} was here` });
    return `${name} found ${found}`;
  });

async function startAll(fleet: MemoryFleet, nodes: Record<string, NetworkOptions>) {
  const started: Record<string, MemoryNode> = {};
  for (const [nodeId, options] of Object.entries(nodes)) {
    started[nodeId] = await fleet.start({ nodeId, ...options });
  }
  await fleet.advance(500);
  return started;
}

function collect(stream: AsyncIterable<RunEvent>): { events: RunEvent[]; read: Promise<void> } {
  const events: RunEvent[] = [];
  const read = (async () => {
    for await (const event of stream) events.push(event);
  })();
  read.catch(() => {});
  return { events, read };
}

const errorOf = (promise: Promise<unknown>): Promise<NetworkError> =>
  promise.then(
    () => Promise.reject(new Error("It should have failed.")),
    (thrown) => thrown,
  );

const steps = ({ state }: NetworkRunResult) =>
  state.agentResults.map(({ agent, nodeId, output }) => [agent, nodeId, output]);

Deno.test("each step runs where its agent is, and all share one state", async () => {
  await using fleet = new MemoryFleet(1501);
  const { a } = await startAll(fleet, {
    a: { agents: [noting("one")] },
    b: { agents: [noting("two")] },
    c: { agents: [noting("three")] },
  });
  const router = sequentialRouter(["one", "two", "three"]);
  const { events, read } = collect(a.network.stream("Go", { router, data: { zero: 0 } }));
  await fleet.wait(read);
  const last = events.at(-1)!;
  assert(last.type === "result" && "state" in last.result);
  const result = last.result as NetworkRunResult;
  assertEquals(steps(result), [
    ["one", "a", "one found zero"],
    ["two", "b", "two found zero,one"],
    ["three", "c", "three found zero,one,two"],
  ]);
  assertEquals(Object.fromEntries(result.state.data), { zero: 0, one: "a", two: "b", three: "c" });
  assertEquals(result.state.messages.map(({ content }) => content), [
    "Go",
    "one was here",
    "one found zero",
    "two was here",
    "two found zero,one",
    "three was here",
    "three found zero,one,two",
  ]);
  assertEquals([result.nodeId, result.attempts, result.stoppedBy], ["c", 3, "router"]);
  const ofAStep = ["step", "routed", "started", "step-result"];
  assertEquals(events.map(({ type }) => type), [...ofAStep, ...ofAStep, ...ofAStep, "result"]);
});

Deno.test("a step whose device dies begins elsewhere with the state that it began with", async () => {
  await using fleet = new MemoryFleet(1502);
  const held = heldAgent();
  const { a, b, c } = await startAll(fleet, {
    a: { agents: [noting("one")] },
    b: { agents: [held.agent] },
    c: { agents: [held.agent] },
  });
  const router = sequentialRouter(["one", "held"]);
  const { events, read } = collect(a.network.stream("Go", { router }));
  await fleet.advance(50);
  const [first] = held.runs;
  assertEquals([...first.context.state.data.keys()], ["one"]);
  first.context.state.data.set("half", "done");
  first.context.state.addMessage({ role: "system", content: "half" });
  fleet.links.kill(first.context.nodeId === "b" ? b.host : c.host);
  await fleet.advance(2_000);
  const second = held.runs[1];
  assertEquals([...second.context.state.data.keys()], ["one"]);
  second.context.state.data.set("whole", second.context.nodeId);
  // The dead device does not know that nobody listens.
  first.answer("late");
  second.answer("done");
  await fleet.wait(read);
  const last = events.at(-1)!;
  assert(last.type === "result");
  const { output, state, attempts } = last.result as NetworkRunResult;
  assertEquals([output, attempts], ["done", 3]);
  assertEquals(Object.fromEntries(state.data), { one: "a", whole: second.context.nodeId });
  assertEquals(state.messages.filter(({ content }) => content === "half"), []);
  assertEquals(events.filter(({ type }) => type === "fallback").length, 1);
});

Deno.test("a network is an agent that any device can ask for, and its steps run where they suit", async () => {
  await using fleet = new MemoryFleet(1503);
  const far = { requirements: { labels: ["far"] } };
  const research = agentOf("research", ({ nodeId, state }) => {
    state.data.set("facts", nodeId);
    return `facts from ${nodeId}`;
  }, far);
  const write = agentOf("write", ({ nodeId, state, prompt }) => {
    return `${prompt}: ${state.data.get("facts")} and ${nodeId}`;
  });
  const newsroom = createNetwork({ name: "newsroom", agents: [research, write] });
  const { a } = await startAll(fleet, {
    a: {},
    b: { agents: [newsroom] },
    c: { agents: [research], labels: ["far"] },
  });
  const names = a.network.agents().map(({ agent }) => agent.name);
  assertEquals(names, ["assistant", "calculator", "monitor", "newsroom", "research", "write"]);
  const { events, read } = collect(a.network.stream("News", { initialAgent: newsroom }));
  await fleet.wait(read);
  const last = events.at(-1)!;
  assert(last.type === "result");
  assertEquals([last.result.output, last.result.nodeId], ["News: c and b", "b"]);
  const asked = events.flatMap((event) =>
    event.type === "agent-result" ? [`${event.agent} on ${event.nodeId}`] : []
  );
  assertEquals(asked, ["research on c", "write on b"]);
});

Deno.test("a network whose device dies goes on elsewhere, from its beginning", async () => {
  await using fleet = new MemoryFleet(1504);
  const held = heldAgent();
  const newsroom = createNetwork({
    name: "newsroom",
    agents: [{ ...held.agent, requirements: { labels: ["d"] } }],
  });
  const nodes = await startAll(fleet, {
    a: {},
    b: { agents: [newsroom] },
    c: { agents: [newsroom] },
    d: { agents: [held.agent], labels: ["d"] },
  });
  const { events, read } = collect(nodes.a.network.stream("Go", { initialAgent: "newsroom" }));
  await fleet.advance(50);
  const routed = events.find((event) => event.type === "routed")!;
  fleet.links.kill(nodes[routed.nodeId].host);
  await fleet.advance(2_000);
  assert(held.runs[0].context.signal.aborted, "a step goes on for a node that is dead");
  held.runs[1].answer("done");
  await fleet.wait(read);
  const last = events.at(-1)!;
  assert(last.type === "result");
  assertEquals([last.result.output, last.result.attempts], ["done", 2]);
});

Deno.test("an agent that asks two at once with its state gets the changes of both", async () => {
  await using fleet = new MemoryFleet(1505);
  const held = heldAgent();
  const lead = agentOf("lead", async ({ state, callAgent }) => {
    state.data.set("begun", true);
    await Promise.all([
      callAgent("held", "first", { state }),
      callAgent("held", "second", { state }),
      callAgent("held", "alone"),
    ]);
    return JSON.stringify(Object.fromEntries(state.data));
  });
  const { a } = await startAll(fleet, {
    a: { agents: [lead] },
    b: { agents: [held.agent], slots: 4 },
  });
  const run = a.network.run("Go", { initialAgent: "lead" });
  await fleet.advance(50);
  const byPrompt = (prompt: string) => held.runs.find(({ context }) => context.prompt === prompt)!;
  for (const prompt of ["second", "first", "alone"]) {
    const { context: { state }, answer } = byPrompt(prompt);
    assertEquals(state.data.has("begun"), prompt !== "alone");
    state.data.set("both", prompt);
    state.data.set(prompt, true);
    answer("");
    await fleet.advance(10);
  }
  const { output } = await fleet.wait(run);
  assertEquals(JSON.parse(output), { begun: true, both: "first", second: true, first: true });
});

Deno.test("of two at once that together have no room in the state the later one fails, and runs no more", async () => {
  await using fleet = new MemoryFleet(1510);
  const large = "x".repeat(2 ** 20 - 100);
  const prompts: string[] = [];
  const add = agentOf("add", ({ prompt, state }) => {
    prompts.push(prompt);
    state.data.set(prompt, large);
    return "";
  });
  const lead = agentOf("lead", async ({ state, callAgent }) => {
    for (let i = 0; i < 6; i++) state.data.set(`${i}`, large);
    const ask = (prompt: string) => callAgent("add", prompt, { state });
    const outcomes = await Promise.allSettled([ask("first"), ask("second"), ask("third")]);
    const failed = outcomes.flatMap((one) => one.status === "rejected" ? [one.reason.code] : []);
    return `${failed}: ${[...state.data.keys()].slice(6)}`;
  });
  const { a } = await startAll(fleet, {
    a: { agents: [lead] },
    b: { agents: [add], slots: 4 },
    c: { agents: [add], slots: 4 },
  });
  const { output } = await fleet.wait(a.network.run("Go", { initialAgent: "lead" }));
  const [code, kept] = output.split(": ");
  assertEquals([code, kept.split(",").length], ["RESOURCE_EXHAUSTED", 2]);
  assertEquals(prompts.sort(), ["first", "second", "third"]);
});

Deno.test("what an agent of the own device changes before it fails is gone with it", async () => {
  await using fleet = new MemoryFleet(1511);
  const bad = agentOf("bad", ({ state }) => {
    state.data.set("half", "done");
    throw new Error("broken");
  });
  const { a } = await startAll(fleet, { a: { agents: [bad] } });
  let keys: string[] = [];
  const failed = errorOf(a.network.run("Go", {
    router: () => "bad",
    data: { given: 1 },
    hooks: { onError: ({ state }) => void (keys = [...state.data.keys()]) },
  }));
  const { code, message } = await fleet.wait(failed);
  assertEquals([code, keys], ["AGENT_FAILED", ["given"]]);
  assertStringIncludes(message, 'Step 1 of network "hanzo" failed: Agent "bad" failed: broken');
});

Deno.test("a run of several agents is stopped with its step, wherever that is, and has one deadline", async () => {
  await using fleet = new MemoryFleet(1506);
  const held = heldAgent();
  const { a } = await startAll(fleet, { a: {}, b: { agents: [held.agent] } });
  const abort = new AbortController();
  const router = () => "held";
  const cancelled = errorOf(a.network.run("Go", { router, signal: abort.signal }));
  await fleet.advance(50);
  held.runs[0].answer("one");
  await fleet.advance(50);
  abort.abort(new Error("enough"));
  await fleet.advance(5);
  assert(held.runs[1].context.signal.aborted);
  assertEquals((await cancelled).code, "CANCELLED");

  const late = errorOf(a.network.run("Go", { router, timeoutMs: 1_000 }));
  await fleet.advance(700);
  held.runs[2].answer("one");
  await fleet.advance(250);
  assertEquals(held.runs[3].context.signal.aborted, false);
  await fleet.advance(100);
  const { code, message } = await late;
  assertEquals([code, held.runs[3].context.signal.aborted], ["DEADLINE_EXCEEDED", true]);
  assertStringIncludes(message, 'Step 2 of network "hanzo" failed');
});

Deno.test("a node that drains finishes the steps of a run that it has begun, its own included", async () => {
  await using fleet = new MemoryFleet(1507);
  const held = heldAgent();
  const { a } = await startAll(fleet, {
    a: { agents: [noting("one")] },
    b: { agents: [held.agent] },
  });
  const run = a.network.run("Go", {
    router: sequentialRouter(["held", "one"]),
    // Between two steps there is no task.
    hooks: { onResponse: () => sleep(fleet.clock, 300) },
  });
  await fleet.advance(50);
  const drained = a.network.drain();
  await fleet.advance(50);
  held.runs[0].answer("x");
  await fleet.advance(200);
  assertEquals(a.network.getNetworkStatus().state, "stopping");
  assertEquals((await fleet.wait(run)).output, "one found ");
  await fleet.wait(drained);
  assertEquals(a.network.getNetworkStatus().state, "stopped");
});

Deno.test("a network's own router is used in every run, until one says otherwise", async () => {
  await using fleet = new MemoryFleet(1508);
  const agents = [noting("one"), noting("two")];
  const { a } = await startAll(fleet, {
    a: { agents, router: () => "two", maxIterations: 2 },
  });
  const all = await fleet.wait(a.network.run("Go", { initialAgent: "one" })) as NetworkRunResult;
  assertEquals([steps(all).map(([agent]) => agent), all.stoppedBy], [["one", "two"], "limit"]);
  const single = await fleet.wait(a.network.run("Go", { initialAgent: "one", router: false }));
  assertEquals("state" in single, false);
});

Deno.test("a state that has grown too large for a message between devices is an error that says so", async () => {
  await using fleet = new MemoryFleet(1509);
  const { a } = await startAll(fleet, { a: {}, b: { agents: [noting("one")] } });
  const context = "x".repeat(15 * 2 ** 20);
  const data = { k1: "y".repeat(2 ** 20 - 2), k2: "z".repeat(2 ** 20 - 2) };
  const failed = await fleet.wait(
    errorOf(a.network.run("Go", { router: () => "one", context, data })),
  );
  assertEquals(failed.code, "RESOURCE_EXHAUSTED");
  assertStringIncludes(failed.message, "at most 16777216 are taken");
});
