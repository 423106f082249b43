/** Peers that somebody has listed: found without a beacon, and never given up. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";

const MANUAL = { discoveryMode: [] };
const states = ({ network }: MemoryNode) =>
  Object.values(network.getNetworkStatus().peers).map((peer) =>
    `${peer.nodeId} ${peer.state} ${peer.via}`
  );

Deno.test("a listed peer is linked without a beacon, and one side that lists it is enough", async () => {
  await using fleet = new MemoryFleet(601);
  const b = await fleet.start({ nodeId: "b", ...MANUAL });
  const a = await fleet.start({ nodeId: "a", ...MANUAL, peers: ["10.0.0.1:5681"] });
  await fleet.advance(50);
  assertEquals(states(a), ["b alive manual"]);
  assertEquals(states(b), ["a alive link"]);
  assertEquals(fleet.lan.datagramsSent, 0);
});

Deno.test("a listed node that is refused knows by whom and why, though it lists nobody", async () => {
  await using fleet = new MemoryFleet(605);
  await fleet.start({ nodeId: "twin", ...MANUAL });
  await fleet.start({ nodeId: "a", ...MANUAL, peers: ["10.0.0.1:5681", "10.0.0.3:5681"] });
  await fleet.advance(1_000);
  const second = await fleet.start({ nodeId: "twin", ...MANUAL });
  await fleet.advance(60_000);
  assertEquals(second.told, ["peer-discovered a"]);
  assertEquals(states(second), ["a discovered link"]);
  const { refusedBy, peers } = second.network.getNetworkStatus();
  assertEquals(refusedBy, [{
    nodeId: "a",
    address: "10.0.0.2:5681",
    code: "NAME_CONFLICT",
    reason: 'Another node is called "twin" already. Start this one with another --node-id.',
  }]);
  assertEquals(peers.a.problem, refusedBy[0].reason);
});

Deno.test("who does not let a node in is asked again at once when the keys here have changed", async () => {
  await using fleet = new MemoryFleet(606);
  // In memory nobody shows a certificate, so that each refuses the other.
  const keyed = { ...MANUAL, open: false, openAcceptTasks: false } as const;
  let dials = 0;
  const b = fleet.create({ nodeId: "b", ...keyed });
  const a = fleet.create({ nodeId: "a", ...keyed, peers: ["10.0.0.1:5681"] }, {
    host: "10.0.0.9",
    platform: {
      links: () => {
        const inner = fleet.links.transport("10.0.0.9");
        return { ...inner, dial: (...args) => (dials++, inner.dial(...args)) };
      },
    },
  });
  // Certificates take real time, in which a lot of simulated time goes by.
  for (const { network } of [b, a]) await fleet.wait(network.start(), 3_600_000);
  await fleet.advance(300_000);
  const before = dials;
  await a.network.keys.rotate();
  assertEquals(dials, before + 1);
});

Deno.test("a listed peer that is not there yet is dialled until it is, and said to be missing", async () => {
  await using fleet = new MemoryFleet(602);
  const a = await fleet.start({ nodeId: "a", ...MANUAL, peers: ["10.0.0.2:5681"] });
  await fleet.advance(40_000);
  const [missing] = a.network.getNetworkStatus().unreached;
  assertEquals([missing.address, missing.via, missing.nodeId], ["10.0.0.2:5681", "manual", null]);
  assertStringIncludes(missing.problem!, "refused");
  await fleet.start({ nodeId: "b", ...MANUAL });
  await fleet.advance(10_000);
  assertEquals(states(a), ["b alive manual"]);
  assertEquals(a.network.getNetworkStatus().unreached, []);
});

Deno.test("a listed peer that stops is known to be missing, and taken back when it starts again", async () => {
  await using fleet = new MemoryFleet(603);
  const a = await fleet.start({ nodeId: "a", ...MANUAL, peers: ["10.0.0.2:5681"] });
  const b = await fleet.start({ nodeId: "b", ...MANUAL });
  await fleet.advance(1_000);
  await fleet.wait(b.network.stop());
  await fleet.advance(5_000);
  assertEquals(states(a), []);
  assertEquals(a.network.getNetworkStatus().unreached.map(({ nodeId }) => nodeId), ["b"]);
  await fleet.start({ nodeId: "b", ...MANUAL }, { host: b.host });
  await fleet.advance(2_000);
  assertEquals(states(a), ["b alive manual"]);
});

Deno.test("the same peer found in two ways is one peer, with one link", async () => {
  await using fleet = new MemoryFleet(604);
  const a = await fleet.start({ nodeId: "a", peers: ["10.0.0.2:5681"] });
  await fleet.start({ nodeId: "b", peers: ["10.0.0.1:5681"] });
  await fleet.advance(5_000);
  assertEquals(Object.keys(a.network.getNetworkStatus().peers), ["b"]);
  assertEquals(fleet.links.openStreams, 2);
  assertEquals(a.told.filter((line) => line.startsWith("peer-joined")), ["peer-joined b"]);
});

Deno.test("a peer that was given up is called until it answers, with no beacon and no list", async () => {
  await using fleet = new MemoryFleet(605);
  const b = await fleet.start({ nodeId: "b", ...MANUAL });
  const a = await fleet.start({ nodeId: "a", ...MANUAL, peers: ["10.0.0.1:5681"] });
  await fleet.advance(50);
  fleet.lan.setDown(b.host, true);
  await fleet.advance(30_000);
  assertEquals(states(b), []);
  assertEquals(b.network.getNetworkStatus().unreached.map(({ via }) => via), ["missed"]);
  fleet.lan.setDown(b.host, false);
  await fleet.advance(5_000);
  assertEquals([states(a).length, states(b).length], [1, 1]);
});
