/** Agents that take the place of others while their node runs. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type Agent, createAgent } from "../../src/agents/agent.ts";
import { createNetwork } from "../../src/agents/networks/agent_network.ts";
import { sequentialRouter } from "../../src/agents/networks/routers.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { OwnAgents } from "../../src/network/own_agents.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

function says(name: string, answer: string): Agent {
  return createAgent({ name, description: answer, run: () => answer });
}

/** The agents of the network that are not built in, as a node sees them. */
function own({ network }: { network: { agents(): { agent: { name: string } }[] } }): string[] {
  const builtin = ["assistant", "calculator", "monitor"];
  return network.agents().map(({ agent }) => agent.name).filter((name) => !builtin.includes(name));
}

Deno.test("agents that take the place of others are told to peers, and run from then on", async () => {
  await using fleet = new MemoryFleet(901);
  const a = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b", agents: [says("old", "1"), says("kept", "1")] });
  await fleet.advance(500);
  assertEquals(own(a), ["kept", "old"]);

  b.network.replaceAgents([says("kept", "2"), says("new", "1")]);
  await fleet.advance(500);
  assertEquals(own(a), ["kept", "new"]);
  const run = (agent: string) => fleet.wait(a.network.run("", { initialAgent: agent }));
  assertEquals((await run("kept")).output, "2");
  const gone = await assertRejects(() => run("old"), NetworkError);
  assertEquals(gone.code, "NOT_FOUND");

  b.network.replaceAgents([]);
  await fleet.advance(500);
  assertEquals(own(a), []);
});

Deno.test("what runs goes on with the agent that it began with", async () => {
  await using fleet = new MemoryFleet(902);
  const held = heldAgent();
  const a = await fleet.start({ nodeId: "a", agents: [held.agent] });
  const { name } = held.agent;
  const running = a.network.run("first", { initialAgent: name });
  await fleet.advance(10);
  a.network.replaceAgents([says(name, "the new one")]);
  assertEquals((await fleet.wait(a.network.run("", { initialAgent: name }))).output, "the new one");
  held.runs[0].answer("the old one");
  assertEquals((await fleet.wait(running)).output, "the old one");
});

Deno.test("agents that a node cannot have leave it those of before", async () => {
  await using fleet = new MemoryFleet(903);
  const a = await fleet.start({ nodeId: "a", agents: [says("x", "1")] });
  const twice = assertThrows(
    () => a.network.replaceAgents([says("y", "1"), says("y", "2")]),
    NetworkError,
    'Cannot replace agents: two agents are called "y". Rename one.',
  );
  assertEquals(twice.code, "INVALID_ARGUMENT");
  const many = Array.from({ length: 5_000 }, (_, i) => says(`agent-${i}`, "x".repeat(500)));
  const tooMuch = assertThrows(() => a.network.replaceAgents(many), NetworkError);
  assertStringIncludes(tooMuch.message, "Cannot replace agents: no peer would take");
  assertEquals(own(a), ["x"]);
  assertEquals((await fleet.wait(a.network.run("", { initialAgent: "x" }))).output, "1");
});

Deno.test("a built-in agent comes back when what stood in its place has gone", async () => {
  await using fleet = new MemoryFleet(904);
  const a = await fleet.start({ nodeId: "a", agents: [says("calculator", "no")] });
  const output = await fleet.wait(a.network.run("1 + 1", { initialAgent: "calculator" }));
  assertEquals(output.output, "no");
  a.network.replaceAgents([]);
  const { agent } = a.network.agents().find(({ agent }) => agent.name === "calculator")!;
  assertStringIncludes(agent.description, "Does arithmetic");
});

Deno.test("networks of agents come and go with their agents, and how they go on", () => {
  const offers: string[] = [];
  const changes: string[] = [];
  const agents = new OwnAgents({
    builtin: [says("builtin", "1")],
    agents: [],
    loops: new Map(),
    offer: (list) => void offers.push(list.map(({ name }) => name).join()),
    changed: (list) => void changes.push([...list].map(({ name }) => name).join()),
  });
  const press = createNetwork({
    name: "press",
    description: "Prints",
    agents: [says("writer", "1")],
    router: sequentialRouter(["writer"]),
  });
  agents.replace([press]);
  assertEquals(offers, ["builtin,press,writer"]);
  assertEquals(agents.loop("press")?.network, "press");
  // What a program serves stays, and keeps its name.
  agents.all.set("python", says("python", "1"));
  agents.replace([says("other", "1")]);
  assertEquals([agents.loop("press"), offers.at(-1)], [undefined, "builtin,other,python"]);
  assertThrows(
    () => agents.replace([says("python", "2")]),
    NetworkError,
    'a program serves an agent "python" here already',
  );
  assertEquals([...agents.all.keys()], ["builtin", "other", "python"]);
  assertEquals(changes, ["builtin", ...offers]);
});
