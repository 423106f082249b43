/** The table of peers, event by event. */

import { assertEquals } from "@std/assert";
import type { NodeDescription } from "../../src/membership/node_description.ts";
import type { Peer, PeerAddress } from "../../src/membership/peer.ts";
import { apply, type PeerTableOptions, type TableEvent } from "../../src/membership/peer_table.ts";

const OPTIONS: PeerTableOptions = {
  suspectAfterMs: 3_000,
  deadAfterMs: 10_000,
  forgetAfterMs: 12_000,
  redialMs: 250,
  maxRedialMs: 5_000,
  politeDialMs: 200,
};

const HOME: PeerAddress = { host: "10.0.0.2", port: 5681, via: "udp" };
const ELSEWHERE: PeerAddress = { host: "10.0.0.9", port: 5681, via: "udp" };

function description(bootId: string): NodeDescription {
  return { nodeId: "m", bootId } as NodeDescription;
}

/** A table with at most the peer "m", as the node "a" keeps it. */
class Table {
  peers = new Map<string, Peer>();
  told: string[] = [];

  constructor(readonly self = "a") {}

  apply(event: TableEvent, now: number): Peer | undefined {
    const { nodeId, peer, events } = apply(this.peers, event, now, this.self, OPTIONS);
    this.told.push(...events.map(({ type }) => type));
    if (peer === undefined) this.peers.delete(nodeId);
    else this.peers.set(nodeId, peer);
    return peer;
  }

  sight(now: number, address = HOME, bootId = "1"): Peer | undefined {
    return this.apply({ type: "sighted", nodeId: "m", bootId, address }, now);
  }

  link(now: number, bootId = "1"): Peer | undefined {
    return this.apply({ type: "linked", description: description(bootId), address: HOME }, now);
  }

  tick(now: number): Peer | undefined {
    return this.apply({ type: "tick", nodeId: "m" }, now);
  }
}

Deno.test("a stranger is discovered, and dialled at once by the node with the smaller id", () => {
  assertEquals(new Table("a").sight(100)?.dialAt, 100);
});

Deno.test("the node with the greater id leaves the stranger 200 ms to dial", () => {
  assertEquals(new Table("z").sight(100)?.dialAt, 300);
});

Deno.test("an open link makes a peer alive, and it is dialled no more", () => {
  const table = new Table();
  table.sight(0);
  const peer = table.link(10);
  assertEquals([peer?.state, peer?.dialAt], ["alive", undefined]);
  assertEquals(table.told, ["peer-discovered", "peer-joined"]);
});

Deno.test("beacons of a linked peer change nothing: only the link says what is true", () => {
  const table = new Table();
  const linked = table.link(0);
  assertEquals(table.sight(5_000, ELSEWHERE, "2"), linked);
});

Deno.test("a peer that is silent for three heartbeats becomes suspect, and recovers when heard", () => {
  const table = new Table();
  table.link(0);
  assertEquals(table.tick(3_000)?.state, "alive");
  assertEquals(table.tick(3_001)?.state, "suspect");
  assertEquals(table.apply({ type: "heard", nodeId: "m", at: 3_500 }, 3_500)?.state, "alive");
  assertEquals(table.told, ["peer-joined", "peer-suspect", "peer-recovered"]);
});

Deno.test("something heard before the suspicion does not lift it", () => {
  const table = new Table();
  table.link(0);
  table.tick(3_001);
  assertEquals(table.apply({ type: "heard", nodeId: "m", at: 2_000 }, 3_500)?.state, "suspect");
});

Deno.test("a silent peer is dead after ten seconds, not before", () => {
  const table = new Table();
  table.link(0);
  table.tick(3_001);
  assertEquals(table.tick(10_000)?.state, "suspect");
  assertEquals(table.tick(10_001), undefined);
  assertEquals(table.told.at(-1), "peer-died");
});

Deno.test("a lost link makes a peer suspect at once and asks for a dial", () => {
  const table = new Table();
  table.link(0);
  const peer = table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 50);
  assertEquals([peer?.state, peer?.linked, peer?.dialAt], ["suspect", false, 50]);
});

Deno.test("a suspect whose host refuses the dial is dead at once", () => {
  const table = new Table();
  table.link(0);
  table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 50);
  table.apply({ type: "dial-failed", nodeId: "m", reason: "refused", refused: true }, 60);
  assertEquals(table.peers.size, 0);
  assertEquals(table.told.at(-1), "peer-died");
});

Deno.test("a dial that is not answered is repeated with a doubling pause, five seconds at most", () => {
  const table = new Table();
  table.sight(0);
  const pauses = [];
  for (let i = 0; i < 7; i++) {
    const peer = table.apply(
      { type: "dial-failed", nodeId: "m", reason: "no answer", refused: false },
      0,
    );
    pauses.push(peer?.dialAt);
  }
  assertEquals(pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
});

Deno.test("a stranger that cannot be dialled is kept while it sends beacons, then forgotten", () => {
  const table = new Table();
  table.sight(0);
  table.sight(10_000);
  assertEquals(table.tick(22_000)?.state, "discovered");
  assertEquals(table.tick(22_001), undefined);
});

Deno.test("a beacon from another address, or of a restart, ends the pause of a failed dial", () => {
  for (const [address, bootId] of [[ELSEWHERE, "1"], [HOME, "2"]] as const) {
    const table = new Table();
    table.sight(0);
    table.apply({ type: "dial-failed", nodeId: "m", reason: "no answer", refused: false }, 0);
    assertEquals(table.sight(100, address, bootId)?.dialAt, 100);
  }
});

Deno.test("a goodbye is no failure", () => {
  const table = new Table();
  table.link(0);
  table.apply({ type: "goodbye", nodeId: "m" }, 10);
  assertEquals(table.peers.size, 0);
  assertEquals(table.told.at(-1), "peer-left");
});

Deno.test("the round trip is smoothed with a weight of a quarter, and begins anew on a restart", () => {
  const table = new Table();
  table.link(0);
  table.apply({ type: "heard", nodeId: "m", at: 1, roundTripMs: 8 }, 1);
  assertEquals(
    table.apply({ type: "heard", nodeId: "m", at: 2, roundTripMs: 4 }, 2)?.roundTripMs,
    7,
  );
  assertEquals(table.link(3, "2")?.roundTripMs, undefined);
});

Deno.test("events of peers that are not in the table change nothing", () => {
  const table = new Table();
  table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 0);
  table.apply({ type: "goodbye", nodeId: "m" }, 0);
  table.apply({ type: "heard", nodeId: "m", at: 0 }, 0);
  table.apply({ type: "dial-failed", nodeId: "m", reason: "", refused: true }, 0);
  table.tick(0);
  assertEquals([table.peers.size, table.told], [0, []]);
});
