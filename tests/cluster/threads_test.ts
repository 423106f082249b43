/** Threads over many devices: what goes on elsewhere, what a crash leaves, what must not run twice. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type AgentRun, createAgent, type FunctionAgentOptions } from "../../src/agents/agent.ts";
import { createNetwork } from "../../src/agents/networks/agent_network.ts";
import { sequentialRouter } from "../../src/agents/networks/routers.ts";
import type { NetworkError } from "../../src/base/errors.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

function agentOf(name: string, run: AgentRun, options: Partial<FunctionAgentOptions> = {}) {
  return createAgent({ name, description: "", run, ...options });
}

/** Says what it finds, and notes what it was asked. */
const secretary = () =>
  agentOf("secretary", ({ prompt, state }) => {
    const before = state.messages.slice(0, -1).map(({ content }) => content).join("; ");
    state.data.set("asked", prompt);
    return `${before || "nothing"} | ${state.data.get("place") ?? "-"}`;
  });

async function startAll(fleet: MemoryFleet, nodes: Record<string, NetworkOptions>) {
  const started: Record<string, MemoryNode> = {};
  for (const [nodeId, options] of Object.entries(nodes)) {
    started[nodeId] = await fleet.start({ nodeId, ...options });
  }
  await fleet.advance(3_000);
  return started;
}

/** Moves time on in steps: each write becomes durable in a turn of its own. */
async function pass(fleet: MemoryFleet, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) await fleet.advance(10);
}

const errorOf = (promise: Promise<unknown>): Promise<NetworkError> =>
  promise.then(() => Promise.reject(new Error("It should have failed.")), (thrown) => thrown);

/** What can be asked of three agents in a row, of which the second answers when the test says so. */
function pressOf(options: Partial<FunctionAgentOptions> = {}) {
  const begun: string[] = [];
  const noting = (name: string) =>
    agentOf(name, ({ nodeId, state }) => {
      begun.push(name);
      state.data.set(name, nodeId);
      return `${name} after ${state.agentResults.map(({ agent }) => agent).join("+") || "nobody"}`;
    });
  const held = heldAgent({ idempotent: true, ...options });
  const network = () =>
    createNetwork({ name: "press", agents: [noting("first"), held.agent, noting("third")] });
  return { begun, held, network };
}

Deno.test("a thread that was begun on one device goes on from another", async () => {
  await using fleet = new MemoryFleet(1701);
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [secretary()] } });
  const first = await fleet.wait(
    a.network.run("Plan", { thread: "trip", initialAgent: "secretary" }),
  );
  assertEquals([first.output, first.nodeId], ["nothing | -", "c"]);
  await fleet.wait(a.network.thread("trip").data.set("place", "Oslo"));
  await pass(fleet, 20);
  const second = await fleet.wait(
    b.network.run("And then?", { thread: "trip", initialAgent: "secretary" }),
  );
  assertEquals(second.output, "Plan; nothing | - | Oslo");
  await pass(fleet, 20);
  for (const { network } of [a, b]) {
    const { messages, data, agentResults, unfinished } = network.thread("trip");
    assertEquals(messages, [
      { role: "user", content: "Plan" },
      { role: "assistant", agent: "secretary", content: "nothing | -" },
      { role: "user", content: "And then?" },
      { role: "assistant", agent: "secretary", content: "Plan; nothing | - | Oslo" },
    ]);
    assertEquals([...data], [["asked", "And then?"], ["place", "Oslo"]]);
    assertEquals(agentResults.map(({ taskId }) => taskId), [first.taskId, second.taskId]);
    assertEquals(unfinished, undefined);
    assertEquals(network.listThreads(), [
      { name: "trip", messages: 4, agentResults: 2, unfinished: undefined },
    ]);
  }
  assertEquals(await fleet.wait(b.network.thread("trip").delete()), true);
  await pass(fleet, 20);
  assertEquals([a.network.listThreads(), a.network.state.keys("threads/")], [[], []]);
});

Deno.test("when a device dies in the middle of a run another goes on after the last answer", async () => {
  await using fleet = new MemoryFleet(1702);
  const { begun, held, network } = pressOf();
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [network()] } });
  const asked = { thread: "news", router: sequentialRouter(["first", "held", "third"]) };
  a.network.run("Go", { ...asked, context: "a text" }).catch(() => {});
  await pass(fleet, 200);
  assertEquals([begun, held.runs.length], [["first"], 1]);
  assertEquals(b.network.thread("news").unfinished, {
    prompt: "Go",
    agent: undefined,
    nodeId: "a",
    isUnderWay: true,
    steps: 1,
    calling: "held",
    failure: undefined,
  });
  const early = await errorOf(b.network.run("Go", asked));
  assertEquals(early.code, "FAILED_PRECONDITION");
  assertStringIncludes(early.message, 'is under way on node "a"');

  fleet.kill(a);
  await fleet.advance(20_000);
  assertEquals(b.network.thread("news").unfinished?.isUnderWay, false);
  const resumed = b.network.run("Go", asked);
  await pass(fleet, 200);
  const { state, prompt, context } = held.runs[1].context;
  assertEquals([prompt, context], ["Go", "a text"]);
  assertEquals(state.messages.map(({ content }) => content), ["Go", "first after nobody"]);
  assertEquals([...state.data], [["first", "c"]]);
  held.runs[1].answer("held it");
  const result = await fleet.wait(resumed);
  assertEquals(result.output, "third after first+held");
  assertEquals([begun, held.runs.length], [["first", "third"], 2]);
  await pass(fleet, 20);
  const thread = b.network.thread("news");
  assertEquals(thread.messages.map(({ content }) => content), [
    "Go",
    "first after nobody",
    "held it",
    "third after first+held",
  ]);
  assertEquals(thread.agentResults.map(({ agent }) => agent), ["first", "held", "third"]);
  assertEquals(b.network.state.keys("threads/news/").map((key) => key.slice(13)), [
    "data/first",
    "data/third",
    "log",
  ]);
});

Deno.test("a network that is asked by its name goes on step by step, without a prompt, too", async () => {
  await using fleet = new MemoryFleet(1703);
  const { begun, held, network } = pressOf();
  const { a, b, c } = await startAll(fleet, {
    a: { agents: [network()] },
    b: { agents: [network()] },
    c: {},
  });
  a.network.run("Go", { thread: "news", initialAgent: "press" }).catch(() => {});
  await pass(fleet, 200);
  assertEquals([begun, held.runs.length], [["first"], 1]);
  fleet.kill(a);
  await fleet.advance(20_000);
  const without = await errorOf(c.network.run(undefined, { thread: "news" }));
  assertEquals(without.code, "FAILED_PRECONDITION");
  assertStringIncludes(without.message, 'network "press" says, which this node does not have');
  const resumed = b.network.run(undefined, { thread: "news" });
  await pass(fleet, 200);
  held.runs.at(-1)!.answer("held it");
  assertEquals((await fleet.wait(resumed)).output, "third after first+held");
  assertEquals(begun, ["first", "third"]);
  const again = await errorOf(b.network.run(undefined, { thread: "news" }));
  assertEquals([again.code, again.message.includes("has ended")], ["FAILED_PRECONDITION", true]);
  const nothing = await errorOf(b.network.run(undefined, { thread: "other" }));
  assertEquals(nothing.code, "NOT_FOUND");
});

Deno.test("an agent that is not idempotent and was under way is asked again only when that is insisted on", async () => {
  await using fleet = new MemoryFleet(1704);
  const { begun, held, network } = pressOf({ idempotent: false });
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [network()] } });
  const asked = { thread: "news", router: sequentialRouter(["first", "held", "third"]) };
  a.network.run("Go", asked).catch(() => {});
  await pass(fleet, 200);
  fleet.kill(a);
  await fleet.advance(20_000);
  const unknown = await errorOf(b.network.run("Go", asked));
  assertEquals(unknown.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(unknown.message, 'agent "held" was under way for node "a"');
  assertEquals(held.runs.length, 1);
  const insisted = b.network.run("Go", { ...asked, rerun: true });
  await pass(fleet, 200);
  held.runs[1].answer("held it");
  assertEquals((await fleet.wait(insisted)).output, "third after first+held");
  assertEquals(begun, ["first", "third"]);
});

Deno.test("a run that has failed is resumed while its device lives, and its router is asked again", async () => {
  await using fleet = new MemoryFleet(1705);
  const { begun, held, network } = pressOf({ idempotent: false });
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [network()] } });
  const choices: number[] = [];
  const asked = {
    thread: "news",
    router: ({ callCount, lastResult }: { callCount: number; lastResult?: { agent: string } }) => {
      choices.push(callCount);
      if (callCount === 1) assertEquals(lastResult?.agent, "first");
      return ["first", "held", "third"][callCount];
    },
  };
  const failed = errorOf(a.network.run("Go", asked));
  await pass(fleet, 200);
  held.runs[0].fail(new Error("no paper"));
  assertEquals((await fleet.wait(failed)).code, "AGENT_FAILED");
  await pass(fleet, 20);
  const { isUnderWay, failure, calling } = b.network.thread("news").unfinished!;
  assertEquals([isUnderWay, calling], [false, undefined]);
  assertStringIncludes(failure!, "no paper");
  const resumed = b.network.run("Go", asked);
  await pass(fleet, 200);
  held.runs[1].answer("held it");
  assertEquals((await fleet.wait(resumed)).output, "third after first+held");
  assertEquals([begun, choices], [["first", "third"], [0, 1, 1, 2, 3]]);
  await pass(fleet, 20);
  assertEquals(a.network.thread("news").unfinished, undefined);
});

Deno.test("a network that only others have finds the conversation, and is one step of it", async () => {
  await using fleet = new MemoryFleet(1710);
  const member = agentOf("member", ({ state }) => {
    state.addMessage({ role: "system", content: "aside" });
    return `${state.messages.map(({ content }) => content).join("|")} ${state.agentResults.length}`;
  });
  const desk = createNetwork({ name: "desk", agents: [secretary(), member] });
  const { a } = await startAll(fleet, { a: {}, b: { agents: [desk] } });
  const asked = { thread: "trip", initialAgent: "desk" };
  await fleet.wait(a.network.thread("trip").addMessage({ role: "system", content: "Be brief" }));
  const first = await fleet.wait(a.network.run("Plan", asked));
  assertEquals(first.output, "Be brief|Plan|Be brief | -|aside 1");
  await fleet.wait(a.network.run("Plan", asked));
  const { messages, agentResults, data } = a.network.thread("trip");
  assertEquals(agentResults.map(({ agent }) => agent), ["desk", "desk"]);
  assertEquals(messages.at(-1)!.content.split("|").slice(0, 4), [
    "Be brief",
    "Plan",
    "Be brief",
    "Plan",
  ]);
  assertEquals([...data], [["asked", "Plan"]]);
  assertEquals(a.network.state.keys().map((key) => key.slice(13)), ["data/asked", "log"]);
});

Deno.test("such a network goes on after its last answer, whichever device is lost", async () => {
  for (const lost of ["caller", "device"] as const) {
    await using fleet = new MemoryFleet(lost === "caller" ? 1711 : 1712);
    const { begun, held, network } = pressOf();
    const { a, b, ...others } = await startAll(fleet, {
      a: {},
      b: {},
      c: { agents: [network()] },
      d: { agents: [network()] },
    });
    const asked = { thread: "news", initialAgent: "press" };
    const running = a.network.run("Go", asked);
    running.catch(() => {});
    await pass(fleet, 200);
    assertEquals([begun, held.runs.length], [["first"], 1], lost);
    assertEquals(b.network.thread("news").unfinished?.calling, "press");
    const [{ started }] = a.network.getNetworkStatus().tasks.map(({ nodeId }) => ({
      started: nodeId!,
    }));
    const device = others[started as "c" | "d"];
    fleet.kill(lost === "caller" ? a : device);
    await fleet.advance(20_000);
    const goesOn = lost === "caller" ? b.network.run("Go", asked) : running;
    await pass(fleet, 2_000);
    assertEquals(begun, ["first"], lost);
    for (const one of held.runs.slice(1)) one.answer("held it");
    assertEquals((await fleet.wait(goesOn)).output, "third after first+held", lost);
    assertEquals(begun, ["first", "third"], lost);
    await pass(fleet, 20);
    const { messages } = b.network.thread("news");
    assertEquals(messages.map(({ content }) => content), ["Go", "third after first+held"]);
    assertEquals(
      [...b.network.thread("news").data.keys()],
      ["first", "third"],
      "what was set before the loss is there",
    );
    assertEquals(b.network.state.keys("threads/news/inside"), []);
  }
});

Deno.test("when a node is stopped another one goes on at once", async () => {
  await using fleet = new MemoryFleet(1709);
  const { begun, held, network } = pressOf();
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [network()] } });
  const asked = { thread: "news", router: sequentialRouter(["first", "held", "third"]) };
  const stopped = errorOf(a.network.run("Go", asked));
  await pass(fleet, 200);
  await fleet.wait(a.network.stop({ drainMs: 0 }));
  assertEquals((await stopped).code, "UNKNOWN_OUTCOME");
  const { isUnderWay, calling } = b.network.thread("news").unfinished!;
  assertEquals([isUnderWay, calling], [false, "held"]);
  const resumed = b.network.run("Go", asked);
  await pass(fleet, 200);
  held.runs[1].answer("held it");
  assertEquals((await fleet.wait(resumed)).output, "third after first+held");
  assertEquals(begun, ["first", "third"]);
});

Deno.test("who was cut off and finds its run resumed elsewhere stops, and its late answer is not kept", async () => {
  await using fleet = new MemoryFleet(1706);
  const { held, network, begun } = pressOf();
  const { a, b } = await startAll(fleet, {
    a: { agents: [network()] },
    b: { agents: [network()] },
  });
  const late = errorOf(
    a.network.run("Go", { thread: "news", initialAgent: "press", nodeId: "a" }),
  );
  await pass(fleet, 200);
  fleet.lan.partition([a.host], [b.host]);
  await fleet.advance(20_000);
  const resumed = b.network.run("Go", { thread: "news", initialAgent: "press" });
  await pass(fleet, 200);
  fleet.lan.heal();
  await fleet.advance(60_000);
  assertEquals(held.runs.map(({ context }) => context.nodeId), ["a", "b"]);
  held.runs[0].answer("late");
  const error = await fleet.wait(late);
  assertEquals(error.code, "FAILED_PRECONDITION");
  assertStringIncludes(error.message, 'node "b" has resumed it');
  held.runs[1].answer("in time");
  assertEquals((await fleet.wait(resumed)).output, "third after first+held");
  assertEquals(begun, ["first", "third"]);
  await pass(fleet, 20);
  for (const { network } of [a, b]) {
    assertEquals(network.thread("news").messages.map(({ content }) => content), [
      "Go",
      "first after nobody",
      "in time",
      "third after first+held",
    ]);
  }
});

Deno.test("of two runs at once in one thread nothing is lost, and each sees its own beginning", async () => {
  await using fleet = new MemoryFleet(1707);
  const held = heldAgent();
  const { a, b } = await startAll(fleet, { a: {}, b: {}, c: { agents: [held.agent] } });
  const asked = { thread: "talk", initialAgent: "held" };
  const one = a.network.run("one", asked);
  const two = b.network.run("two", asked);
  await pass(fleet, 200);
  const states = held.runs.map(({ context }) => context);
  for (const { prompt, state } of states) {
    assertEquals(state.messages, [{ role: "user", content: prompt }]);
    state.data.set("both", prompt);
    state.data.set(prompt, 1);
    state.addMessage({ role: "system", content: `note of ${prompt}` });
  }
  // The same beside it only where that is said.
  const refused = await errorOf(a.network.run("one", asked));
  assertEquals(refused.code, "FAILED_PRECONDITION");
  held.runs[0].answer("1st");
  await pass(fleet, 100);
  held.runs[1].answer("2nd");
  await fleet.wait(Promise.all([one, two]));
  await pass(fleet, 20);
  const said = a.network.thread("talk").messages.map(({ content }) => content);
  assertEquals(b.network.thread("talk").messages.map(({ content }) => content), said);
  const later = states[1].prompt;
  assertEquals(said.slice(2), [
    `note of ${states[0].prompt}`,
    "1st",
    `note of ${later}`,
    "2nd",
  ]);
  assertEquals([...a.network.thread("talk").data], [["both", later], ["one", 1], ["two", 1]]);
});

Deno.test("the same beside a run that is under way, or anew after one that broke off, has to be said", async () => {
  await using fleet = new MemoryFleet(1708);
  const held = heldAgent({ idempotent: false });
  const { a } = await startAll(fleet, { a: { agents: [held.agent] } });
  const asked = { thread: "talk", initialAgent: "held" };
  const first = a.network.run("Go", asked);
  const both = errorOf(a.network.run("Go", asked));
  assertEquals((await fleet.wait(both)).code, "FAILED_PRECONDITION");
  await pass(fleet, 50);
  const beside = a.network.run("Go", { ...asked, resume: false });
  await pass(fleet, 50);
  held.runs[0].answer("1");
  held.runs[1].answer("2");
  assertEquals((await fleet.wait(first)).output, "1");
  assertEquals((await fleet.wait(beside)).output, "2");

  const stopped = new AbortController();
  const cancelled = errorOf(a.network.run("Once more", { ...asked, signal: stopped.signal }));
  await pass(fleet, 50);
  stopped.abort("tired of it");
  assertEquals((await fleet.wait(cancelled)).code, "CANCELLED");
  // It may have done its work.
  const unknown = await fleet.wait(errorOf(a.network.run("Once more", asked)));
  assertEquals(unknown.code, "UNKNOWN_OUTCOME");
  const anew = a.network.run("Once more", { ...asked, resume: false });
  await pass(fleet, 50);
  held.runs.at(-1)!.answer("done");
  assertEquals((await fleet.wait(anew)).output, "done");
  const prompts = a.network.thread("talk").messages.filter(({ role }) => role === "user");
  assertEquals(prompts.map(({ content }) => content), ["Go", "Go", "Once more", "Once more"]);
});
