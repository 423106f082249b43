/** What a network says of itself and of its peers. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import type { TaskStatus } from "../../src/network/status.ts";
import { VERSION } from "../../src/network/version.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

const CAPABILITIES = {
  model: null,
  chip: "NVIDIA GeForce RTX 4090",
  memory: 65_536,
  vram: null,
  unifiedMemory: false,
  flops: { fp32: 82.58, fp16: 165.16, int8: 660.6 },
  cores: 4,
  gpus: [],
  os: "memory",
  arch: "x86_64",
};

Deno.test("the status of a node holds all that is known of it and its peers, as plain data", async () => {
  await using fleet = new MemoryFleet(401);
  const held = heldAgent();
  const { network } = await fleet.start({
    nodeId: "a",
    name: "home",
    agents: [held.agent],
    slots: 1,
    deviceCapabilities: { memory: 1_000 },
  });
  await fleet.start({
    nodeId: "b",
    name: "home",
    slots: 2,
    deviceCapabilities: CAPABILITIES,
    agents: [createAgent({ name: "poet", description: "Writes", run: () => "" })],
  });
  await fleet.advance(3_000);
  await fleet.wait(Promise.all([network.state.set("a", "bcd"), network.state.set("e", 123)]));
  await fleet.advance(20);
  const running = [1, 2, 3].map(() => network.run("x", { initialAgent: "held" }));
  await fleet.advance(70);
  const status = network.getNetworkStatus();
  const { agents, tasks, peers, capabilities, ...rest } = status;
  assertEquals(rest, {
    name: "home",
    nodeId: "a",
    state: "running",
    security: { mode: "open", verifiesPeers: false, keyTag: null, identity: null },
    version: VERSION,
    address: "10.0.0.1:5681",
    peerCount: 1,
    models: [],
    agentCount: 4,
    activeTasks: 1,
    queuedTasks: 2,
    slots: 1,
    recentTasks: [],
    sharedState: {
      path: null,
      keys: 2,
      bytes: 10,
      maxBytes: 64 * 2 ** 20,
      differing: [],
      lastCheckpoint: null,
      checkpointProblem: null,
      damagedPath: null,
    },
    unreached: [],
    nameConflicts: [],
    refusedBy: [],
  });
  assertEquals(capabilities.memory, 1_000);
  assertEquals(agents.map(({ name }) => name), ["monitor", "calculator", "assistant", "held"]);
  assertEquals(agents[3], {
    name: "held",
    description: "Answers when the test says so",
    workload: "light",
    requirements: {},
    idempotent: true,
    tools: [],
  });
  const { taskId } = held.runs[0].context;
  const since = fleet.clock.wallTime() - 70;
  const here = { attempt: 1, agent: "held", nodeId: "a", caller: "a", priority: "normal", since };
  assertEquals(tasks[0], { ...here, taskId, state: "running", runningMs: 70 } as TaskStatus);
  assertEquals(tasks.map(({ state }) => state), ["running", "waiting", "waiting"]);
  assertEquals(Object.keys(peers), ["b"]);
  const { lastSeen, latencyMs, capabilities: peerCapabilities, ...peer } = peers.b;
  assertEquals(peer, {
    nodeId: "b",
    kind: "node",
    state: "alive",
    identity: null,
    healthy: true,
    address: "10.0.0.2:5681",
    via: "udp",
    interface: "mem0",
    addresses: [{
      address: "10.0.0.2:5681",
      via: "udp",
      interface: "mem0",
      latencyMs: null,
      inUse: true,
      problem: null,
    }],
    agents: ["monitor", "calculator", "assistant", "poet"],
    models: [],
    currentLoad: 0,
    evicted: false,
    problem: null,
    failing: null,
  });
  assertEquals(peerCapabilities?.flops, CAPABILITIES.flops);
  assert(latencyMs !== null && Math.abs(latencyMs - 0.4) < 0.01, `${latencyMs} ms`);
  const age = fleet.clock.wallTime() - lastSeen;
  assert(age >= 0 && age <= 1_000, `last seen ${age} ms ago`);
  assertEquals(JSON.parse(JSON.stringify(status)), status);
  while (held.runs.length < 3 || network.getNetworkStatus().activeTasks > 0) {
    held.runs.at(-1)!.answer("done");
    await fleet.advance(1);
  }
  await fleet.wait(Promise.all(running));
});

Deno.test("what a reader does to a status does not change the network", async () => {
  await using fleet = new MemoryFleet(402);
  const { network } = await fleet.start({ nodeId: "a" });
  const status = network.getNetworkStatus();
  status.agents.length = 0;
  status.peers.ghost = { ...status.peers.ghost };
  status.nameConflicts.push({ nodeId: "x", host: "y", isOlder: false });
  const fresh = network.getNetworkStatus();
  assertEquals(fresh.agents.length, 3);
  assertEquals([fresh.peers, fresh.nameConflicts], [{}, []]);
});

Deno.test("a peer whose link is lost is not healthy and says why", async () => {
  await using fleet = new MemoryFleet(403);
  const { network } = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  fleet.links.kill(b.host);
  await fleet.advance(0.3);
  const { state, healthy, problem } = network.getNetworkStatus().peers.b;
  assertEquals([state, healthy, problem], ["suspect", false, "the connection was reset"]);
  assertEquals(network.getNetworkStatus().peerCount, 0);
});

Deno.test("a peer that is silent, and one that nobody could link yet, say so", async () => {
  await using fleet = new MemoryFleet(407);
  const { network } = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  fleet.lan.setDown(b.host, true);
  await fleet.advance(4_000);
  const problemOf = (nodeId: string) => network.getNetworkStatus().peers[nodeId]?.problem;
  assertEquals(problemOf("b"), "it does not answer");
  const { lastSeen } = network.getNetworkStatus().peers.b;
  assert(fleet.clock.wallTime() - lastSeen >= 3_900);
  // Its beacons arrive, its links do not: a firewall that lets UDP through.
  const host = "10.9.9.9";
  const c = await fleet.lan.datagrams(host).bind({ host, port: 0 }, { shared: false }, () => {});
  const beacon = { nodeId: "c", bootId: "1", network: "hanzo", listenPort: 7_000, isAnswer: false };
  await c.send(encodeBeacon(beacon), { host: "10.255.255.255", port: 5678 });
  await fleet.advance(3_000);
  assertEquals(
    problemOf("c"),
    "Cannot reach 10.9.9.9:7000: connection refused. Is a node running there?",
  );
  const { failing } = network.getNetworkStatus().peers.c;
  assertEquals(
    [failing?.direction, failing?.address, failing?.unanswered],
    ["to", "10.9.9.9:7000", true],
  );
});

Deno.test("of a peer that answers and refuses a link it is not said that nobody answered", async () => {
  await using fleet = new MemoryFleet(408);
  const reason = 'Another node is called "a" already. Start this one with another --node-id.';
  const links = () => ({
    ...fleet.links.transport("10.0.0.1"),
    dial: () => Promise.reject(new NetworkError("NAME_CONFLICT", reason)),
  });
  const { network } = await fleet.start({ nodeId: "a" }, { platform: { links } });
  // It could dial "a" itself, were it let.
  const refusing = () => ({
    ...fleet.links.transport("10.0.0.2"),
    dial: () => Promise.reject(new NetworkError("UNAVAILABLE", "no")),
  });
  await fleet.start({ nodeId: "b" }, { platform: { links: refusing } });
  await fleet.advance(3_000);
  assertEquals(network.getNetworkStatus().peers.b.failing, {
    direction: "to",
    address: "10.0.0.2:5681",
    reason,
    unanswered: false,
  });
  const found = await fleet.wait(network.diagnose());
  assertEquals(found.find(({ subject }) => subject === "peer b")?.mend, undefined);
});

Deno.test("an event shows the peer as it is after the change", async () => {
  await using fleet = new MemoryFleet(404);
  const a = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  fleet.links.kill(b.host);
  await fleet.advance(1_000);
  assertEquals(a.events.map(({ type, peer }) => [type, peer.nodeId, peer.state, peer.healthy]), [
    ["peer-discovered", "b", "discovered", false],
    ["peer-joined", "b", "alive", true],
    ["peer-suspect", "b", "suspect", false],
    ["peer-died", "b", "dead", false],
  ]);
  const [, joined, suspect] = a.events;
  assertEquals([joined.peer.address, joined.reason], ["10.0.0.2:5681", undefined]);
  assert(suspect.reason !== undefined);
});

Deno.test("a peer that is asked for a sign of life gives it, or is not healthy", async () => {
  await using fleet = new MemoryFleet(405);
  const { network } = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(500);
  const well = await fleet.wait(network.checkPeerHealth("b"));
  assertEquals([well.healthy, Math.round(well.latencyMs! * 10)], [true, 4]);

  fleet.lan.setDown(b.host, true);
  const asked = fleet.clock.now();
  const ill = await fleet.wait(network.checkPeerHealth("b", 300));
  assertEquals([ill.healthy, ill.latencyMs], [false, null]);
  assertEquals(fleet.clock.now() - asked, 300);
  assert(fleet.clock.wallTime() - ill.lastSeen >= 300);
  await assertRejects(
    () => network.checkPeerHealth("z"),
    NetworkError,
    'Cannot check peer "z": it is not known here.',
  );
});

Deno.test("the agents of the network are listed once each, with the nodes that have them", async () => {
  await using fleet = new MemoryFleet(406);
  const poet = createAgent({ name: "poet", description: "Writes", run: () => "" });
  const { network } = await fleet.start({ nodeId: "a" });
  const b = await fleet.start({ nodeId: "b", agents: [poet] });
  await fleet.advance(500);
  const list = () => network.agents().map(({ agent, nodes }) => [agent.name, nodes]);
  assertEquals(list(), [
    ["assistant", ["a", "b"]],
    ["calculator", ["a", "b"]],
    ["monitor", ["a", "b"]],
    ["poet", ["b"]],
  ]);
  await fleet.wait(b.network.stop());
  await fleet.advance(10);
  assertEquals(list(), [["assistant", ["a"]], ["calculator", ["a"]], ["monitor", ["a"]]]);
});
