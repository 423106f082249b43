/** The topology that existing peers collect: who is asked for it, and what is made of the answers. */

import { assert, assertEquals } from "@std/assert";
import { silentLogger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import {
  MAX_CONNECTIONS,
  MAX_NODES,
  type NodeCapabilities,
  type NodeTopology,
  type TopologyQuery,
} from "../../src/link/node_service_codec.ts";
import {
  type LocalTopology,
  mergeTopologies,
  type Neighbour,
  TopologyCollector,
} from "../../src/link/node_service_topology.ts";

function device(model: string): NodeCapabilities {
  return { model, chip: null, memory: 1, flops: { fp32: null, fp16: null, int8: null } };
}

function neighbour(nodeId: string, change: Partial<Neighbour> = {}): Neighbour {
  const askAt = { host: nodeId, port: 50051 };
  return { nodeId, capabilities: device(nodeId), description: "eth0", askAt, ...change };
}

function local(...neighbours: Neighbour[]): LocalTopology {
  return { nodeId: "us", capabilities: device("us"), neighbours };
}

/** What a peer with one connection reports. */
function report(from: string, to: string, model = `${from} itself`): NodeTopology {
  return {
    nodes: new Map([[from, device(model)]]),
    connections: new Map([[from, [{ to, description: null }]]]),
  };
}

/** `a → b, c` for each node, and the models. */
function summary({ nodes, connections }: NodeTopology) {
  return {
    nodes: Object.fromEntries([...nodes].map(([id, { model }]) => [id, model])),
    graph: [...connections].map(([from, list]) => `${from} → ${list.map(({ to }) => to)}`),
  };
}

/** A collector, with what it asked and how each peer answers. */
function rig(
  topology: LocalTopology,
  answer: (host: string) => Promise<NodeTopology> = (host) =>
    Promise.resolve(report(host, `behind-${host}`)),
) {
  const clock = new ManualClock();
  const asked: { host: string; query: TopologyQuery; signal: AbortSignal }[] = [];
  const collector = new TopologyCollector({
    clock,
    logger: silentLogger,
    topology: () => topology,
    collect: ({ host }, query, signal) => {
      asked.push({ host, query, signal });
      return answer(host);
    },
  });
  return { clock, asked, collector };
}

Deno.test("a node tells of itself, of its connections, and of what those behind them report", async () => {
  const { collector, asked } = rig(local(neighbour("a"), neighbour("b")));
  const topology = await collector.collect({ visited: ["x"], maxDepth: 3 }, 5_000);
  assertEquals(summary(topology), {
    nodes: { us: "us", a: "a", b: "b" },
    graph: ["us → a,b", "a → behind-a", "b → behind-b"],
  });
  const query = { visited: ["x", "us", "a", "b"], maxDepth: 2 };
  assertEquals(asked.map(({ host, query }) => ({ host, query })), [
    { host: "a", query },
    { host: "b", query },
  ]);
});

Deno.test("who was visited, cannot be asked, or is too deep, is told of and not asked", async () => {
  const neighbours = [neighbour("a"), neighbour("b", { askAt: undefined }), neighbour("c")];
  const { collector, asked } = rig(local(...neighbours));
  await collector.collect({ visited: ["a"], maxDepth: 1 }, 5_000);
  assertEquals(asked.map(({ host, query }) => [host, query.maxDepth]), [["c", 0]]);
  const { nodes, connections } = await collector.collect({ visited: [], maxDepth: 0 }, 5_000);
  assertEquals(asked.length, 1);
  assertEquals([[...nodes.keys()], connections.get("us")?.length], [["us", "a", "b", "c"], 3]);
});

Deno.test("a question travels four nodes further at most", async () => {
  const { collector, asked } = rig(local(neighbour("a")));
  await collector.collect({ visited: [], maxDepth: 2 ** 31 - 1 }, 5_000);
  assertEquals(asked[0].query.maxDepth, 3);
});

Deno.test("peers that fail or take too long are left out, and cost the others nothing", async () => {
  const { collector, asked, clock } = rig(
    local(neighbour("slow"), neighbour("broken"), neighbour("rude"), neighbour("well")),
    (host) => {
      if (host === "slow") return new Promise(() => {});
      if (host === "broken") return Promise.reject(new Error("No."));
      if (host === "rude") throw new Error("Never.");
      return Promise.resolve(report(host, "far"));
    },
  );
  const collecting = collector.collect({ visited: [], maxDepth: 4 }, 2_000);
  await clock.advance(1_999);
  assert(!asked[0].signal.aborted);
  await clock.advance(1);
  assertEquals(summary(await collecting).graph, ["us → slow,broken,rude,well", "well → far"]);
  assertEquals(asked.map(({ signal }) => signal.aborted), [true, true, true, true]);
});

Deno.test("a caller that is gone ends what was asked on its behalf", async () => {
  const { collector, asked, clock } = rig(local(neighbour("a")), () => new Promise(() => {}));
  const gone = new AbortController();
  const collecting = collector.collect({ visited: [], maxDepth: 1 }, 5_000, gone.signal);
  await clock.advance(0);
  gone.abort();
  assert(asked[0].signal.aborted);
  await clock.advance(5_000);
  await collecting;
});

Deno.test("64 questions are under way at most, whoever calls how often", async () => {
  const neighbours = Array.from({ length: 40 }, (_, i) => neighbour(`n${i}`));
  const { collector, asked, clock } = rig(
    local(...neighbours),
    () => new Promise((_, reject) => clock.after(1_000, () => reject(new Error("No.")))),
  );
  const calls = Array.from(
    { length: 10 },
    () => collector.collect({ visited: [], maxDepth: 1 }, 5_000),
  );
  await clock.advance(0);
  assertEquals(asked.length, 64);
  await clock.advance(5_000);
  assertEquals((await Promise.all(calls)).map(({ nodes }) => nodes.size), Array(10).fill(41));
  const again = collector.collect({ visited: [], maxDepth: 1 }, 5_000);
  assertEquals(asked.length, 64 + 40);
  await clock.advance(5_000);
  await again;
});

Deno.test("a report fills gaps, and changes nothing that is known", () => {
  const known = local(neighbour("a"), neighbour("b", { capabilities: null }), {
    ...neighbour("c"),
    capabilities: null,
  });
  const lies: NodeTopology = {
    nodes: new Map([["us", device("lie")], ["a", device("lie")], ["b", device("true")]]),
    connections: new Map([
      ["us", [{ to: "nowhere", description: null }]],
      ["a", [{ to: "b", description: null }, { to: "b", description: null }]],
    ]),
  };
  assertEquals(summary(mergeTopologies(known, [lies, lies])), {
    nodes: { us: "us", a: "a", b: "true", c: null },
    graph: ["us → a,b,c", "a → b"],
  });
});

Deno.test("what comes of many reports has the bounds of one", () => {
  const wide = (name: string): NodeTopology => {
    const ids = Array.from({ length: MAX_NODES }, (_, i) => `${name}${i}`);
    const list = ids.slice(0, 16).map((to) => ({ to, description: null }));
    return {
      nodes: new Map(ids.map((id) => [id, device(id)])),
      connections: new Map(ids.map((id) => [id, list])),
    };
  };
  const { nodes, connections } = mergeTopologies(local(), [wide("a"), wide("b"), wide("c")]);
  assertEquals([nodes.size, connections.size], [MAX_NODES, MAX_NODES]);
  const count = [...connections.values()].reduce((sum, list) => sum + list.length, 0);
  assertEquals(count, MAX_CONNECTIONS);
});
