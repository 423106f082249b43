/** The table of peers, event by event. */

import { assertEquals } from "@std/assert";
import type { NodeDescription } from "../../src/membership/node_description.ts";
import type { Peer, PeerAddress } from "../../src/membership/peer.ts";
import { apply, type TableEvent } from "../../src/membership/peer_table.ts";
import { TIMES } from "../support/membership_times.ts";

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
    const { nodeId, peer, events } = apply(this.peers, event, now, this.self, TIMES);
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

  ping(now: number): Peer | undefined {
    return this.apply({ type: "pinged", nodeId: "m" }, now);
  }

  hear(now: number): Peer | undefined {
    return this.apply({ type: "heard", nodeId: "m", at: now }, now);
  }

  accuse(now: number, incarnation = 0, bootId = "1"): Peer | undefined {
    return this.apply({ type: "accused", nodeId: "m", bootId, incarnation, by: "b" }, now);
  }

  failDial(now: number, refused = false): Peer | undefined {
    return this.apply({
      type: "dial-failed",
      nodeId: "m",
      reason: "no answer",
      refused,
      unanswered: true,
    }, now);
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

Deno.test("a beacon of a peer that is alive tells of another way to it, and nothing else", () => {
  const table = new Table();
  const linked = table.link(0)!;
  assertEquals(table.sight(5_000, ELSEWHERE, "2"), linked, "of another start");
  const addresses = [HOME, ELSEWHERE];
  assertEquals(table.sight(5_000, ELSEWHERE), { ...linked, addresses, sightedAt: 5_000 });
  assertEquals(table.sight(6_000, ELSEWHERE)?.addresses, [HOME, ELSEWHERE]);
});

Deno.test("silence alone makes no suspect: a peer must owe an answer", () => {
  const table = new Table();
  table.link(0);
  assertEquals(table.tick(600_000)?.state, "alive");
});

Deno.test("a peer that owes an answer for a beat and a half is suspect, and recovers when heard", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.ping(2_000);
  assertEquals(table.tick(2_500)?.state, "alive");
  const suspect = table.tick(2_501);
  assertEquals([suspect?.state, suspect?.dialAt], ["suspect", 2_501]);
  assertEquals(table.hear(3_500)?.state, "alive");
  assertEquals(table.tick(60_000)?.state, "alive", "it owes nothing any more");
  assertEquals(table.told, ["peer-joined", "peer-suspect", "peer-recovered"]);
});

Deno.test("a peer that is heard and answers none of five pings is suspect until it answers one", () => {
  const table = new Table();
  table.link(0);
  for (let now = 1_000; now <= 6_000; now += 1_000) {
    assertEquals(table.tick(now)?.state, "alive");
    table.ping(now);
    table.hear(now + 100);
  }
  assertEquals(table.tick(6_001)?.state, "suspect");
  assertEquals(table.hear(6_100)?.state, "suspect", "it still hears nothing");
  assertEquals(table.tick(60_000)?.state, "suspect", "and is there");
  table.apply({ type: "heard", nodeId: "m", at: 60_001, roundTripMs: 3 }, 60_001);
  assertEquals(table.told, ["peer-joined", "peer-suspect", "peer-recovered"]);
});

Deno.test("what was on the way before the ping is no answer to it", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.apply({ type: "heard", nodeId: "m", at: 999 }, 1_001);
  assertEquals(table.tick(2_501)?.state, "suspect");
});

Deno.test("something heard before the suspicion does not lift it", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.tick(2_501);
  assertEquals(table.apply({ type: "heard", nodeId: "m", at: 2_000 }, 3_500)?.state, "suspect");
});

Deno.test("a suspect is dead when it has owed an answer for eight seconds, not before", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.tick(2_501);
  table.ping(3_000);
  assertEquals(table.tick(9_000)?.state, "suspect");
  assertEquals(table.tick(9_001), undefined);
  assertEquals(table.told.at(-1), "peer-died");
});

Deno.test("a suspect that another node reaches stays suspect as long as it does", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.tick(2_501);
  for (let now = 3_000; now <= 60_000; now += 1_000) {
    table.apply({ type: "vouched", nodeId: "m", bootId: "1" }, now);
    assertEquals(table.tick(now + 500)?.state, "suspect");
  }
  table.apply({ type: "vouched", nodeId: "m", bootId: "an earlier start" }, 62_000);
  assertEquals(table.tick(63_000)?.state, "suspect");
  assertEquals(table.tick(63_001), undefined);
});

Deno.test("an accusation counts against a peer that has not spoken here lately", () => {
  const table = new Table();
  table.link(0);
  assertEquals(table.accuse(1_500)?.state, "alive", "it has just spoken");
  assertEquals(table.accuse(1_501, 0, "2")?.state, "alive", "of another start");
  const suspect = table.accuse(1_501);
  assertEquals(suspect?.state, "suspect");
  assertEquals(suspect?.lastFailure, '"b" and those that it asked do not reach it');
  // Hearsay alone kills nobody.
  assertEquals(table.tick(600_000)?.state, "suspect");
  assertEquals(table.hear(600_001)?.state, "alive");
});

Deno.test("an accusation that is older than the denial is not believed", () => {
  const table = new Table();
  table.link(0);
  table.apply({ type: "denied", nodeId: "m", bootId: "1", incarnation: 3 }, 10);
  table.apply({ type: "denied", nodeId: "m", bootId: "1", incarnation: 2 }, 11);
  assertEquals(table.accuse(5_000, 2)?.state, "alive");
  assertEquals(table.accuse(5_000, 3)?.state, "suspect");
  assertEquals(table.link(6_000, "2")?.incarnation, 0, "a new start begins anew");
});

Deno.test("a beacon of a suspect whose link is open is a reason to dial it anew", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.tick(2_501);
  table.failDial(5_501);
  assertEquals(table.sight(5_600)?.dialAt, 5_600);
});

Deno.test("a failed dial of a peer that answers meanwhile means nothing", () => {
  const table = new Table();
  table.link(0);
  table.ping(1_000);
  table.tick(2_501);
  table.hear(2_600);
  const peer = table.failDial(5_501, true);
  assertEquals([peer?.state, peer?.dialAt], ["alive", undefined]);
});

Deno.test("the fastest address comes first, one that does not answer last", () => {
  const table = new Table();
  const third: PeerAddress = { host: "100.64.0.1", port: 5681, via: "tailscale" };
  table.link(0);
  table.sight(1, ELSEWHERE);
  table.sight(1, third);
  const measured = (address: PeerAddress, roundTripMs?: number) =>
    table.apply({ type: "measured", nodeId: "m", address, roundTripMs }, 2)?.addresses
      .map(({ host }) => host);
  measured(HOME, 8);
  assertEquals(measured(ELSEWHERE), [HOME.host, third.host, ELSEWHERE.host]);
  assertEquals(measured(third, 20), [HOME.host, third.host, ELSEWHERE.host]);
  assertEquals(measured(ELSEWHERE, 1), [ELSEWHERE.host, HOME.host, third.host]);
});

Deno.test("a lost link makes a peer suspect at once and asks for a dial", () => {
  const table = new Table();
  table.link(0);
  const peer = table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 5_000);
  assertEquals([peer?.state, peer?.linked, peer?.dialAt], ["suspect", false, 5_000]);
});

Deno.test("a peer that ends its links as soon as they are open is not dialled without a pause", () => {
  const table = new Table();
  table.link(0);
  const peer = table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 5);
  assertEquals(peer?.dialAt, 250);
});

Deno.test("a suspect whose host refuses the dial is dead at once", () => {
  const table = new Table();
  table.link(0);
  table.apply({ type: "link-lost", nodeId: "m", reason: "reset" }, 50);
  table.apply({
    type: "dial-failed",
    nodeId: "m",
    reason: "refused",
    refused: true,
    unanswered: true,
  }, 60);
  assertEquals(table.peers.size, 0);
  assertEquals(table.told.at(-1), "peer-died");
});

Deno.test("a dial that is not answered is repeated after an eighth of the time it has failed for", () => {
  const table = new Table();
  table.sight(0);
  const pauses = [0, 1_000, 4_000, 80_000, 1e9].map((now) => table.failDial(now)!.dialAt! - now);
  assertEquals(pauses, [250, 250, 500, 10_000, 30_000]);
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
    table.failDial(0);
    assertEquals(table.sight(100, address, bootId)?.dialAt, 100);
  }
});

Deno.test("one that answers and is not linked is dialled less often, whatever its beacons say", () => {
  const table = new Table();
  table.sight(0);
  const fail = (now: number) =>
    table.apply({
      type: "dial-failed",
      nodeId: "m",
      reason: "Taken.",
      refused: false,
      unanswered: false,
    }, now)!;
  const pauses = [0, 500, 1_000, 4_000, 80_000, 1e9].map((now) => fail(now).dialAt! - now);
  assertEquals(pauses, [500, 500, 1_000, 2_000, 10_000, 30_000]);
  assertEquals(table.sight(1e9 + 100)?.dialAt, 1e9 + 30_000);
  assertEquals(table.sight(1e9 + 200, HOME, "2")?.dialAt, 1e9 + 200, "it was started anew");
  fail(1e9 + 300);
  assertEquals(table.sight(1e9 + 400, ELSEWHERE, "2")?.dialAt, 1e9 + 400, "another way to it");
  fail(1e9 + 500);
  for (const address of [HOME, ELSEWHERE]) {
    assertEquals(table.sight(1e9 + 600, address, "2")?.dialAt, 1e9 + 30_500, "both are known");
  }
  assertEquals(
    table.apply({ type: "reconsidered", nodeId: "m" }, 1e9 + 700)?.dialAt,
    1e9 + 700,
  );
});

Deno.test("one that dials and refuses is known with its reason, and never was linked", () => {
  const table = new Table();
  const refuse = (now: number) =>
    table.apply({
      type: "refused",
      description: description("1"),
      address: HOME,
      reason: "Taken.",
    }, now);
  const peer = refuse(0);
  assertEquals([peer?.state, peer?.lastFailure, peer?.dialAt], ["discovered", "Taken.", 500]);
  assertEquals(refuse(4_000)?.dialAt, 6_000, "it has just been tried");
  assertEquals(table.told, ["peer-discovered"]);
  table.link(5_000);
  assertEquals(refuse(6_000)?.state, "alive");
  assertEquals(table.told, ["peer-discovered", "peer-joined"]);
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
  table.apply({ type: "dial-failed", nodeId: "m", reason: "", refused: true, unanswered: true }, 0);
  table.tick(0);
  assertEquals([table.peers.size, table.told], [0, []]);
});
