/** Membership of whole networks in memory: who sees whom, when, through which trouble. */

import { assert, assertEquals } from "@std/assert";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { recordingLogger } from "../support/recording_logger.ts";

const BROADCAST = "10.255.255.255";

function seenBy(node: MemoryNode): string[] {
  return Object.values(node.network.getNetworkStatus().peers)
    .filter(({ state }) => state === "alive")
    .map(({ nodeId }) => nodeId)
    .sort();
}

function stateOf(node: MemoryNode, nodeId: string): string | undefined {
  return node.network.getNetworkStatus().peers[nodeId]?.state;
}

async function startAll(fleet: MemoryFleet, ...names: string[]): Promise<MemoryNode[]> {
  const nodes: MemoryNode[] = [];
  for (const nodeId of names) nodes.push(await fleet.start({ nodeId }));
  return nodes;
}

Deno.test("five nodes all see each other within 300 ms of the last start", async () => {
  await using fleet = new MemoryFleet(1);
  const names = ["a", "b", "c", "d", "e"];
  const nodes = await startAll(fleet, ...names);
  await fleet.advance(300);
  for (const [i, node] of nodes.entries()) {
    assertEquals(seenBy(node), names.filter((_, j) => j !== i));
  }
});

Deno.test("a node whose process dies is gone from every table within a second", async () => {
  await using fleet = new MemoryFleet(2);
  const [a, b, c] = await startAll(fleet, "a", "b", "c");
  await fleet.advance(500);
  fleet.links.kill(b.host);
  await fleet.advance(1);
  assertEquals(seenBy(a), ["c"], "no work goes there any more");
  await fleet.advance(999);
  assertEquals(stateOf(a, "b"), undefined);
  assertEquals(stateOf(c, "b"), undefined);
  assertEquals(a.told.filter((line) => line.endsWith(" b")), [
    "peer-discovered b",
    "peer-joined b",
    "peer-suspect b",
    "peer-died b",
  ]);
});

Deno.test("a node that stops has left, and is never called dead", async () => {
  await using fleet = new MemoryFleet(3);
  const [a, b] = await startAll(fleet, "a", "b");
  await fleet.advance(500);
  await fleet.wait(b.network.stop());
  await fleet.advance(5);
  assertEquals(stateOf(a, "b"), undefined);
  assertEquals(a.told.at(-1), "peer-left b");
  await fleet.advance(20_000);
  assert(!a.told.includes("peer-died b"));
});

Deno.test("a pause of four seconds makes a peer suspect and never removes it, in twenty tries", async () => {
  await using fleet = new MemoryFleet(4);
  const [a, b] = await startAll(fleet, "a", "b");
  await fleet.advance(500);
  for (let round = 0; round < 20; round++) {
    fleet.lan.setDown(b.host, true);
    await fleet.advance(4_000);
    assertEquals(stateOf(a, "b"), "suspect");
    fleet.lan.setDown(b.host, false);
    await fleet.advance(1_000);
    assertEquals(stateOf(a, "b"), "alive");
  }
  assert(!a.told.includes("peer-died b"));
});

Deno.test("a cut cable: no new work within 3 s, dead within 10 s, back within 2 s when it is mended", async () => {
  await using fleet = new MemoryFleet(5);
  const nodes = await startAll(fleet, "a", "b", "c", "d", "e");
  await fleet.advance(500);
  const [cut, ...others] = nodes;
  fleet.lan.setDown(cut.host, true);
  await fleet.advance(3_000);
  assertEquals(others.map((node) => stateOf(node, "a")), others.map(() => "suspect"));
  assertEquals(seenBy(cut), []);
  await fleet.advance(7_000);
  assertEquals(others.map((node) => stateOf(node, "a")), others.map(() => undefined));
  await fleet.advance(60_000);
  fleet.lan.setDown(cut.host, false);
  await fleet.advance(2_000);
  for (const node of nodes) assertEquals(seenBy(node).length, 4);
});

for (const seconds of [1, 5, 9, 30, 300]) {
  Deno.test(`a partition of ${seconds} s heals within two seconds`, async () => {
    await using fleet = new MemoryFleet(6);
    const nodes = await startAll(fleet, "a", "b", "c", "d", "e");
    await fleet.advance(500);
    const hosts = nodes.map(({ host }) => host);
    fleet.lan.partition(hosts.slice(0, 2), hosts.slice(2));
    await fleet.advance(seconds * 1_000);
    if (seconds >= 5) {
      assertEquals(seenBy(nodes[0]), ["b"]);
      assertEquals(seenBy(nodes[2]), ["d", "e"]);
    }
    fleet.lan.heal();
    await fleet.advance(2_000);
    for (const node of nodes) assertEquals(seenBy(node).length, 4);
  });
}

Deno.test("a peer that others reach is no death: the trouble lies between these two", async () => {
  await using fleet = new MemoryFleet(21);
  const [a, b, c] = await startAll(fleet, "a", "b", "c", "d");
  await fleet.advance(500);
  fleet.lan.setBlocked(a.host, b.host, true);
  fleet.lan.setBlocked(b.host, a.host, true);
  await fleet.advance(60_000);
  assertEquals([stateOf(a, "b"), stateOf(b, "a")], ["suspect", "suspect"]);
  assertEquals(seenBy(c), ["a", "b", "d"]);
  assert(!c.told.some((line) => line.startsWith("peer-suspect")), "nobody else is bothered");
  fleet.lan.setBlocked(a.host, b.host, false);
  fleet.lan.setBlocked(b.host, a.host, false);
  await fleet.advance(2_000);
  assertEquals(seenBy(a), ["b", "c", "d"]);
});

Deno.test("one direction that is blocked makes a peer useless and does not kill it", async () => {
  await using fleet = new MemoryFleet(22);
  const [a, b] = await startAll(fleet, "a", "b", "c");
  await fleet.advance(500);
  fleet.lan.setBlocked(a.host, b.host, true);
  await fleet.advance(8_000);
  for (let second = 8; second < 30; second++) {
    await fleet.advance(1_000);
    assertEquals([stateOf(a, "b"), stateOf(b, "a")], ["suspect", "suspect"], `after ${second} s`);
  }
  fleet.lan.setBlocked(a.host, b.host, false);
  await fleet.advance(2_000);
  assertEquals([stateOf(a, "b"), stateOf(b, "a")], ["alive", "alive"]);
  for (const { told } of [a, b]) {
    assertEquals(told.filter((line) => /left|died/.test(line)), [], "it never seemed to go");
  }
});

Deno.test("in a network of forty a cut cable is known to all within 3 s, though few ping each other", async () => {
  await using fleet = new MemoryFleet(23);
  const nodes = await startAll(fleet, ...Array.from({ length: 40 }, (_, i) => `n${i}`));
  await fleet.advance(3_000);
  const [cut, ...others] = nodes;
  fleet.lan.setDown(cut.host, true);
  await fleet.advance(3_000);
  assertEquals(others.filter((node) => stateOf(node, "n0") === "alive").length, 0);
  await fleet.advance(9_000);
  assertEquals(others.filter((node) => stateOf(node, "n0") !== undefined).length, 0);
  const wrong = others.flatMap(({ told }) => told).filter((line) => /died n(?!0$)/.test(line));
  assertEquals(wrong, []);
});

Deno.test("a node's messages per second do not grow with the network", async () => {
  const perNode = async (size: number) => {
    await using fleet = new MemoryFleet(24);
    await startAll(fleet, ...Array.from({ length: size }, (_, i) => `n${i}`));
    await fleet.advance(5_000);
    const before = fleet.links.framesSent + fleet.lan.datagramsSent;
    await fleet.advance(10_000);
    return (fleet.links.framesSent + fleet.lan.datagramsSent - before) / size / 10;
  };
  const [small, large] = [await perNode(6), await perNode(40)];
  // Four pings and as many answers, 0.4 beacons, and 0.4 comparisons of the shared state.
  assert(large <= 8.9 && large <= small * 1.1, `${small} in 6, ${large} in 40`);
});

Deno.test("10 % loss with 50 ms jitter for two minutes kills nobody", async () => {
  await using fleet = new MemoryFleet(7, { loss: 0.1, latencyMs: 5, jitterMs: 50 });
  const nodes = await startAll(fleet, "a", "b", "c", "d");
  await fleet.advance(120_000);
  for (const node of nodes) {
    assertEquals(seenBy(node).length, 3);
    assertEquals(node.told.filter((line) => /died|suspect/.test(line)), []);
  }
});

Deno.test("two nodes with one label: the later one is refused and the first one says so", async () => {
  await using fleet = new MemoryFleet(8);
  const [a, first] = await startAll(fleet, "a", "twin");
  await fleet.advance(500);
  const second = await fleet.start({ nodeId: "twin" });
  await fleet.advance(3_000);
  assertEquals(seenBy(a), ["twin"]);
  assertEquals(seenBy(second), []);
  const [conflict] = a.network.getNetworkStatus().nameConflicts;
  assertEquals(conflict, { nodeId: "twin", host: second.host, isOlder: false });
  assertEquals(second.network.getNetworkStatus().nameConflicts, [
    { nodeId: "twin", host: first.host, isOlder: true },
  ], "the later one knows why nobody talks to it");
  assertEquals(Object.keys(second.network.getNetworkStatus().peers), ["a"]);
  assertEquals(seenBy(first), ["a"]);
});

for (const label of ["a0", "zz"]) {
  Deno.test(`a node that is refused for its label, "${label}" against "aa", is told and keeps its peace`, async () => {
    await using fleet = new MemoryFleet(41);
    const [aa, first] = await startAll(fleet, "aa", label);
    await fleet.advance(500);
    const { logger, lines } = recordingLogger();
    let dials = 0;
    const second = await fleet.start({ nodeId: label, logger }, {
      host: "10.0.0.9",
      platform: {
        links: () => {
          const inner = fleet.links.transport("10.0.0.9");
          return {
            ...inner,
            dial: (...args) => (dials++, inner.dial(...args)),
            listen: (address, accept) =>
              inner.listen(address, (stream) => (dials++, accept(stream))),
          };
        },
      },
    });
    await fleet.advance(60_000);
    // At most two of each: one of the two dials, and the other one may be a moment ahead.
    assert(dials < 60, `${dials} dials in a minute`);
    assertEquals(second.told.filter((line) => line.endsWith(" aa")), ["peer-discovered aa"]);
    assertEquals(aa.told, ["peer-discovered " + label, "peer-joined " + label]);
    const { peers, refusedBy } = second.network.getNetworkStatus();
    const [refuser, ...others] = refusedBy;
    assertEquals([refuser.nodeId, refuser.code, others], ["aa", "NAME_CONFLICT", []]);
    assertEquals([peers.aa.problem, peers.aa.state], [refuser.reason, "discovered"]);
    const found = await second.network.diagnose();
    assert(
      found.some(({ severity, message }) =>
        severity === "error" && message.startsWith("aa refuses this node (NAME_CONFLICT)")
      ),
      JSON.stringify(found),
    );
    assertEquals(lines("error").filter((line) => line.includes("refuses this node")).length, 1);
    assertEquals(aa.network.getNetworkStatus().nameConflicts.length, 1, "it goes on");

    await fleet.wait(first.network.stop());
    await fleet.advance(3_000);
    assertEquals(seenBy(second), ["aa"], "now the label is its own");
    assertEquals(second.network.getNetworkStatus().refusedBy, []);
  });
}

Deno.test("whoever comes later prefers the older of two nodes of one label", async () => {
  await using fleet = new MemoryFleet(25);
  const [first] = await startAll(fleet, "twin");
  await fleet.advance(1_000);
  await startAll(fleet, "twin");
  await fleet.advance(1_000);
  const late = [];
  for (const name of ["a", "b", "z"]) late.push(await fleet.start({ nodeId: name }));
  await fleet.advance(5_000);
  for (const { network } of late) {
    assertEquals(network.getNetworkStatus().peers.twin?.address, `${first.host}:5681`);
  }
  assertEquals(seenBy(first), ["a", "b", "z"]);
});

Deno.test("a conflict of labels is over when one of the two is", async () => {
  await using fleet = new MemoryFleet(26);
  const [first] = await startAll(fleet, "twin");
  const second = await fleet.start({ nodeId: "twin" });
  await fleet.advance(3_000);
  assertEquals(first.network.getNetworkStatus().nameConflicts.length, 1);
  await fleet.wait(second.network.stop());
  await fleet.advance(13_000);
  assertEquals(first.network.getNetworkStatus().nameConflicts, []);
});

Deno.test("a node whose process restarts is taken back at once", async () => {
  await using fleet = new MemoryFleet(9);
  const [a, b] = await startAll(fleet, "a", "b");
  await fleet.advance(500);
  fleet.links.kill(b.host);
  await fleet.advance(1);
  const again = await fleet.start({ nodeId: "b" });
  await fleet.advance(300);
  assertEquals(seenBy(a), ["b"]);
  assertEquals(seenBy(again), ["a"]);
});

Deno.test("a node whose machine restarts is taken back when its old link has fallen silent", async () => {
  await using fleet = new MemoryFleet(9);
  const [a, b] = await startAll(fleet, "a", "b");
  await fleet.advance(500);
  fleet.kill(b);
  const again = await fleet.start({ nodeId: "b" });
  await fleet.advance(5_000);
  assertEquals(seenBy(a), ["b"]);
  assertEquals(seenBy(again), ["a"]);
  assertEquals(a.network.getNetworkStatus().nameConflicts, []);
});

Deno.test("nodes of another network's name do not meet", async () => {
  await using fleet = new MemoryFleet(10);
  const home = await fleet.start({ nodeId: "a", name: "home" });
  const office = await fleet.start({ nodeId: "b", name: "office" });
  await fleet.advance(10_000);
  assertEquals(home.told, []);
  assertEquals(office.told, []);
});

Deno.test("however two nodes come to dial each other, one link is left between them", async () => {
  for (let seed = 20; seed < 40; seed++) {
    await using fleet = new MemoryFleet(seed, { latencyMs: 1, jitterMs: 400 });
    const [a, b] = await startAll(fleet, "a", "b");
    await fleet.advance(20_000);
    assertEquals(seenBy(a), ["b"], `seed ${seed}`);
    assertEquals(seenBy(b), ["a"], `seed ${seed}`);
    assertEquals(fleet.links.openStreams, 2, `seed ${seed}: two ends of one link`);
  }
});

Deno.test("one host that makes up a thousand names is looked at 64 times, and others are not kept out", async () => {
  await using fleet = new MemoryFleet(11);
  const [a] = await startAll(fleet, "a");
  const liar = await fleet.lan.datagrams("10.9.9.9").bind(
    { host: "10.9.9.9", port: 0 },
    { shared: false },
    () => {},
  );
  for (let i = 0; i < 1_000; i++) {
    const beacon = { nodeId: `x${i}`, bootId: "1", network: "hanzo", listenPort: 1 + i };
    await liar.send(encodeBeacon({ ...beacon, isAnswer: false }), { host: BROADCAST, port: 5678 });
    if (i % 90 === 89) await fleet.advance(1_000);
  }
  await fleet.advance(100);
  assertEquals(Object.keys(a.network.getNetworkStatus().peers).length, 64);
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(300);
  assertEquals(seenBy(a), ["b"]);
  assertEquals(seenBy(b), ["a"]);
});
