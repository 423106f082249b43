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
