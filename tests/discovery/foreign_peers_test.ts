/** Peers of other programs in time and number: who is listed, who is asked, and how often. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { ForeignBeacon } from "../../src/discovery/foreign_beacon.ts";
import {
  type ForeignPeerEvent,
  ForeignPeers,
  type ForeignPeersOptions,
} from "../../src/discovery/foreign_peers.ts";
import { WatchedClock } from "../support/watched_clock.ts";

const HOST = "10.0.0.2";
const OTHER_HOST = "10.0.0.3";

const EXO: ForeignBeacon = {
  kind: "exo",
  nodeId: "exo-a",
  port: 50051,
  capabilities: {
    model: "Linux Box",
    chip: "CPU",
    memory: 24_105,
    flops: { fp32: null, fp16: null, int8: null },
  },
  priority: 4,
  interfaceName: "eth0",
};
const HANZO_NETWORK: ForeignBeacon = { ...EXO, kind: "hanzo-network", nodeId: "hz-a", port: null };

/** A table, what it tells, and what it asks. */
class Rig {
  readonly clock = new WatchedClock();
  readonly events: ForeignPeerEvent[] = [];
  readonly asked: { address: string; at: number; signal: AbortSignal }[] = [];
  readonly peers: ForeignPeers;
  /** How a peer answers: healthy unless a test says otherwise. */
  answer: (address: string) => Promise<boolean> = () => Promise.resolve(true);

  constructor(options: Partial<ForeignPeersOptions> = {}) {
    this.peers = new ForeignPeers({
      clock: this.clock,
      random: seededRandom(1),
      check: ({ host, port }, signal) => {
        const address = `${host}:${port}`;
        this.asked.push({ address, at: this.clock.now(), signal });
        return this.answer(address);
      },
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }

  get told(): string[] {
    return this.events.map(({ type, peer }) => `${type} ${peer.nodeId}`);
  }

  /** Lets time pass, with a beacon every 2.5 s. */
  async advanceWithBeacons(ms: number, beacon = EXO, host = HOST): Promise<void> {
    for (let passed = 0; passed < ms; passed += 2_500) {
      this.peers.seen(beacon, host);
      await this.clock.advance(Math.min(2_500, ms - passed));
    }
  }
}

Deno.test("a peer like exo is listed at once, asked at once, and healthy when it says so", async () => {
  const { clock, peers, events } = new Rig();
  assert(peers.seen(EXO, HOST));
  const { priority: _, ...said } = EXO;
  const listed = { ...said, host: HOST, lastSeen: 0, healthy: false, problem: "not asked yet" };
  assertEquals(peers.list(), [listed]);
  await clock.advance(0);
  assertEquals(peers.list(), [{ ...listed, healthy: true, problem: null }]);
  assertEquals(events.map(({ type }) => type), ["appeared", "changed"]);
  peers.stop();
});

Deno.test("a peer like hanzo-network is listed, and never asked", async () => {
  const { clock, peers, asked } = new Rig();
  peers.seen(HANZO_NETWORK, HOST);
  peers.seen(HANZO_NETWORK, OTHER_HOST);
  await clock.advance(25_000);
  const [peer] = peers.list();
  assertEquals([peer.healthy, peer.port, peer.host], [false, null, OTHER_HOST]);
  assertEquals(peer.problem, "opens no port: it can be seen, not asked");
  assertEquals([asked, peers.topology()], [[], []]);
  peers.stop();
});

Deno.test("a peer is gone 30 s after its last beacon, and nothing then waits for time", async () => {
  const rig = new Rig();
  await rig.advanceWithBeacons(60_000);
  await rig.clock.advance(26_500);
  assertEquals(rig.peers.list().length, 1, "29 s after the last");
  await rig.clock.advance(2_000);
  assertEquals(rig.peers.list(), []);
  assertEquals(rig.told, ["appeared exo-a", "changed exo-a", "gone exo-a"]);
  assertEquals(rig.clock.pending, 0);
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(0);
  assertEquals(rig.told.slice(3), ["appeared exo-a", "changed exo-a"]);
  rig.peers.stop();
});

Deno.test("a healthy peer is asked about every 10 s, and not in step with others", async () => {
  const rig = new Rig();
  await rig.advanceWithBeacons(120_000);
  const times = rig.asked.map(({ at }) => at);
  const pauses = times.slice(1).map((at, i) => at - times[i]);
  assert(pauses.every((pause) => pause >= 9_000 && pause <= 12_000), `${pauses}`);
  assert(new Set(pauses).size > 1, "at random");
  rig.peers.stop();
});

Deno.test("a peer that fails its check is told of, with the reason, and again when it recovers", async () => {
  const rig = new Rig();
  const failures: [() => Promise<boolean>, string][] = [
    [() => Promise.resolve(false), "says that it is not healthy"],
    [
      () => Promise.reject(new NetworkError("UNAVAILABLE", "Connection\u001b[31m\nrefused.")),
      "Connection[31m refused.",
    ],
    [() => {
      throw new Error("No.");
    }, "No."],
    [() => new Promise(() => {}), "did not answer its health check within 5 s"],
  ];
  for (const [answer, problem] of failures) {
    rig.answer = () => Promise.resolve(true);
    await rig.advanceWithBeacons(15_000);
    assertEquals(rig.peers.list()[0].problem, null);
    assertEquals(rig.peers.topology().length, 1);
    rig.answer = answer;
    await rig.advanceWithBeacons(17_500);
    assertEquals(rig.peers.list().map((peer) => [peer.healthy, peer.problem]), [[false, problem]]);
    assertEquals(rig.peers.topology(), []);
  }
  // Once for each time that it was well and each time that it was not.
  assertEquals(rig.told, ["appeared exo-a", ...Array(8).fill("changed exo-a")]);
  rig.peers.stop();
});

Deno.test("a check that takes longer than 5 s is given up", async () => {
  const rig = new Rig();
  rig.answer = () => new Promise(() => {});
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(4_999);
  assertEquals(rig.asked.map(({ signal }) => signal.aborted), [false]);
  await rig.clock.advance(1);
  assertEquals(rig.asked.map(({ signal }) => signal.aborted), [true]);
  rig.peers.stop();
});

Deno.test("at most four peers are asked at a time, and those that answered come first", async () => {
  const rig = new Rig();
  await rig.advanceWithBeacons(2_500);
  rig.answer = () => new Promise(() => {});
  for (let i = 0; i < 20; i++) rig.peers.seen({ ...EXO, nodeId: `slow-${i}` }, `10.0.1.${i}`);
  await rig.clock.advance(0);
  assertEquals(rig.asked.length, 1 + 4);
  for (const { at } of [...rig.asked]) {
    const underWay = rig.asked.filter((other) => other.at >= at && other.at < at + 5_000);
    assert(underWay.length <= 5, `${underWay.length} in 5 s`);
  }
  rig.answer = (address) =>
    address.startsWith(HOST) ? Promise.resolve(true) : new Promise(() => {});
  await rig.advanceWithBeacons(12_500);
  const own = rig.asked.filter(({ address }) => address.startsWith(HOST));
  assertEquals(own.length, 2, "it did not have to wait for twenty others");
  rig.peers.stop();
});

Deno.test("an address that answers is kept; one that does not gives way to the next", async () => {
  const rig = new Rig();
  rig.answer = (address) => Promise.resolve(address.startsWith(OTHER_HOST));
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(2_500);
  assertEquals(rig.peers.list()[0].problem, "says that it is not healthy");
  rig.peers.seen({ ...EXO, port: 7 }, OTHER_HOST);
  await rig.clock.advance(0);
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(2_500);
  const [peer] = rig.peers.list();
  assertEquals([peer.host, peer.port, peer.healthy], [OTHER_HOST, 7, true]);
  assertEquals(rig.told, ["appeared exo-a", "changed exo-a", "changed exo-a"]);
  rig.peers.stop();
});

Deno.test("an answer counts for the address that was asked", async () => {
  const rig = new Rig();
  rig.answer = () => Promise.resolve(false);
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(0);
  const answer = Promise.withResolvers<boolean>();
  rig.answer = () => answer.promise;
  await rig.advanceWithBeacons(12_500);
  assertEquals(rig.asked.length, 2, "it is being asked again");
  rig.peers.seen(EXO, OTHER_HOST);
  answer.resolve(true);
  await rig.clock.advance(0);
  assertEquals(rig.peers.list().map(({ host, healthy }) => [host, healthy]), [[HOST, true]]);
  rig.peers.stop();
});

Deno.test("whoever shouts from many addresses does not make this node ask more often", async () => {
  const rig = new Rig();
  rig.answer = () => Promise.resolve(false);
  for (let i = 0; i < 1_000; i++) {
    rig.peers.seen({ ...EXO, port: 1 + i }, `10.0.0.${i % 200}`);
    await rig.clock.advance(10);
  }
  assert(rig.asked.length <= 5, `asked ${rig.asked.length} times in 10 s`);
  rig.peers.stop();
});

Deno.test("what a later beacon says of the device is taken", async () => {
  const rig = new Rig();
  rig.peers.seen({ ...EXO, capabilities: null }, HOST);
  assertEquals(rig.peers.list()[0].capabilities, null);
  rig.peers.seen(EXO, HOST);
  await rig.clock.advance(0);
  rig.peers.seen({ ...EXO, capabilities: null }, HOST);
  assertEquals(rig.peers.topology(), [{
    nodeId: "exo-a",
    capabilities: EXO.capabilities,
    description: "eth0",
    askAt: { host: HOST, port: 50051 },
  }]);
  rig.peers.stop();
});

Deno.test("one host has room for 64 peers, all together for 1,024", async () => {
  const { peers, clock } = new Rig({ check: () => Promise.resolve(false) });
  peers.seen(EXO, OTHER_HOST);
  await clock.advance(5_000);
  let taken = 0;
  for (let i = 0; i < 100; i++) if (peers.seen({ ...EXO, nodeId: `a${i}` }, HOST)) taken++;
  assertEquals(taken, 64);
  peers.seen(EXO, HOST);
  assertEquals(peers.list()[0].host, OTHER_HOST, "nor is there for one that moves");
  for (let i = 0; i < 2_000; i++) {
    if (peers.seen({ ...EXO, nodeId: `b${i}` }, `10.1.${i >> 8}.${i & 255}`)) taken++;
  }
  assertEquals([1 + taken, peers.list().length], [1_024, 1_024]);
  assert(peers.seen({ ...EXO, nodeId: "a0" }, HOST), "who is there already is still heard");
  peers.stop();
});

Deno.test("after it was stopped nothing is asked, told or listed", async () => {
  const rig = new Rig();
  rig.answer = (address) =>
    new Promise((resolve) => rig.clock.after(1_000, () => resolve(address !== "")));
  rig.peers.seen(EXO, HOST);
  rig.peers.stop();
  rig.peers.stop();
  assertEquals(rig.asked.map(({ signal }) => signal.aborted), [true]);
  assert(!rig.peers.seen(EXO, HOST));
  await rig.clock.advance(60_000);
  assertEquals([rig.told, rig.peers.list()], [["appeared exo-a"], []]);
  assertEquals([rig.asked.length, rig.clock.pending], [1, 0]);
});

Deno.test("whatever comes, the table is bounded, and what is told adds up to what is listed", async () => {
  const anyBeacon: fc.Arbitrary<ForeignBeacon> = fc.record({
    kind: fc.constant("exo"),
    nodeId: fc.integer({ min: 0, max: 200 }).map((i) => `n${i}`),
    port: fc.integer({ min: 1, max: 3 }),
    capabilities: fc.constant(null),
    priority: fc.constant(null),
    interfaceName: fc.constant(null),
  });
  const anyStep = fc.record({
    beacon: anyBeacon,
    host: fc.integer({ min: 1, max: 3 }).map((i) => `10.0.0.${i}`),
    passed: fc.constantFrom(0, 0, 0, 10, 2_500, 31_000),
  });
  const steps = fc.array(anyStep, { minLength: 50, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.boolean()), async (steps, answers) => {
      const rig = new Rig();
      let asked = 0;
      rig.answer = () => Promise.resolve(answers[asked++ % (answers.length || 1)] ?? true);
      for (const { beacon, host, passed } of steps) {
        rig.peers.seen(beacon, host);
        if (passed > 0) await rig.clock.advance(passed);
      }
      const listed = rig.peers.list();
      const perHost = Map.groupBy(listed, ({ host }) => host);
      for (const [host, there] of perHost) assert(there.length <= 64, `${there.length} at ${host}`);
      const told = new Map<string, boolean>();
      for (const { type, peer } of rig.events) {
        if (type === "gone") told.delete(peer.nodeId);
        else told.set(peer.nodeId, peer.healthy);
      }
      assertEquals(
        [...told].sort(),
        listed.map(({ nodeId, healthy }): [string, boolean] => [nodeId, healthy]).sort(),
      );
      rig.peers.stop();
      await rig.clock.advance(0);
      assertEquals(rig.clock.pending, 0);
    }),
    { numRuns: 50 },
  );
});
