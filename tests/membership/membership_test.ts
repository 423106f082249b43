/** The loop around the table: whom it dials when, on which address, and what it makes of it. */

import { assert, assertEquals } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Membership, type PeerConnection } from "../../src/membership/membership.ts";
import type { NodeDescription } from "../../src/membership/node_description.ts";
import type { PeerAddress } from "../../src/membership/peer.ts";
import { TIMES } from "../support/membership_times.ts";

const at = (host: string, via = "udp"): PeerAddress => ({ host, port: 5681, via });

/** A node whose links and network are what the test says. */
class Loop {
  readonly clock = new ManualClock();
  readonly dialled: string[] = [];
  readonly measured: string[] = [];
  readonly links = new Map<string, PeerConnection>();
  /** Round trips by host, in milliseconds; others do not answer. */
  readonly trips = new Map<string, number>();
  /** Who answers at a host; elsewhere a dial hangs until it is given up. */
  readonly nodes = new Map<string, string>();
  /** What a dial of a host comes to at once. */
  readonly failures = new Map<string, NetworkError>();
  readonly shunned: string[] = [];
  readonly membership: Membership;

  constructor() {
    const { clock } = this;
    this.membership = new Membership({
      nodeId: "self",
      bootId: "SELF",
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      heartbeatMs: 1_000,
      ...TIMES,
      ports: {
        connect: (addresses, signal) => {
          this.dialled.push(addresses.map(({ host }) => host).join());
          const failure = this.failures.get(addresses[0].host);
          if (failure !== undefined) return Promise.reject(failure);
          const nodeId = this.nodes.get(addresses[0].host);
          if (nodeId !== undefined) return Promise.resolve({ nodeId });
          return new Promise((_, reject) => {
            const noAnswer = () => reject(new NetworkError("UNAVAILABLE", "no answer in 3 s"));
            const cancel = clock.after(3_000, noAnswer);
            signal.addEventListener("abort", () => (cancel(), reject(signal.reason)));
          });
        },
        disconnect: (nodeId) => void this.links.delete(nodeId),
        link: (nodeId) => this.links.get(nodeId),
        probe: (nodeId) => this.links.has(nodeId) ? Promise.resolve(1) : new Promise(() => {}),
        measure: ({ host }) => {
          this.measured.push(host);
          const trip = this.trips.get(host);
          return trip === undefined ? Promise.reject(new Error("silent")) : Promise.resolve(trip);
        },
        tell() {},
        tellAll() {},
        conflict() {},
        shunned: (nodeId, reason) => this.shunned.push(`${nodeId}: ${reason}`),
      },
    });
    this.membership.start();
  }

  /** A peer is linked at a host. */
  link(nodeId: string, host: string, dialled = true): void {
    const { clock } = this;
    this.links.set(nodeId, {
      // It is heard all the time.
      get lastHeard() {
        return clock.now();
      },
      remoteHost: host,
      dialled,
    });
    this.membership.linked({ nodeId, bootId: "B" } as NodeDescription, at(host));
  }

  see(nodeId: string, host: string): void {
    this.membership.observe({ nodeId, bootId: "B", address: at(host) });
  }
}

Deno.test("a link moves to an address that is faster by half, and back only after a while", async () => {
  const loop = new Loop();
  loop.trips.set("10.0.0.2", 8).set("192.168.1.2", 1);
  loop.link("b", "10.0.0.2");
  loop.see("b", "192.168.1.2");
  await loop.clock.advance(5_000);
  assertEquals(new Set(loop.measured), new Set(["10.0.0.2", "192.168.1.2"]));
  assertEquals(loop.dialled, ["192.168.1.2"]);
  loop.link("b", "192.168.1.2");
  loop.trips.set("10.0.0.2", 0.1);
  await loop.clock.advance(20_000);
  assertEquals(loop.dialled.length, 1, "it has just been moved");
  await loop.clock.advance(30_000);
  assertEquals(loop.dialled.slice(1), ["10.0.0.2"]);
  loop.membership.stop();
});

Deno.test("a link stays where it is for a little, and where the other side has dialled", async () => {
  for (const [fast, dialled] of [[7, true], [1, false]] as const) {
    const loop = new Loop();
    loop.trips.set("10.0.0.2", 8).set("192.168.1.2", fast);
    loop.link("b", "10.0.0.2", dialled);
    loop.see("b", "192.168.1.2");
    await loop.clock.advance(60_000);
    assertEquals(loop.dialled, []);
    loop.membership.stop();
  }
});

Deno.test("a peer with one address is not measured", async () => {
  const loop = new Loop();
  loop.link("b", "10.0.0.2");
  await loop.clock.advance(10_000);
  assertEquals(loop.measured, []);
  loop.membership.stop();
});

Deno.test("a suspect is dialled at once, however many others are being dialled in vain", async () => {
  const loop = new Loop();
  const seeds = Array.from({ length: 40 }, (_, i) => `10.9.9.${i}`);
  loop.membership.list("manual", seeds.map((host) => ({ host, port: 5681, addresses: [host] })));
  for (let i = 0; i < 40; i++) loop.see(`stranger${i}`, `10.8.8.${i}`);
  loop.link("b", "10.0.0.2");
  await loop.clock.advance(1_000);
  assert(loop.dialled.length <= 24, `${loop.dialled.length} dials at a time`);
  loop.links.delete("b");
  loop.membership.unlinked("b", { goodbye: false, reason: "reset" });
  await loop.clock.advance(1);
  assertEquals(loop.dialled.at(-1), "10.0.0.2");
  loop.membership.stop();
});

Deno.test("a dial that a new beacon overtakes is known to have failed, and is made anew", async () => {
  const loop = new Loop();
  loop.see("b", "10.0.0.2");
  await loop.clock.advance(2_500);
  loop.see("b", "10.0.0.2");
  await loop.clock.advance(500);
  assertEquals(loop.dialled, ["10.0.0.2", "10.0.0.2"]);
  const peer = loop.membership.get("b");
  assertEquals([peer?.state, peer?.lastFailure?.startsWith("no answer")], ["discovered", true]);
  loop.membership.stop();
});

Deno.test("where a listed node has several addresses, all are known once it answers", async () => {
  const loop = new Loop();
  loop.nodes.set("10.0.0.2", "b");
  const addresses = ["10.0.0.2", "192.168.1.2"];
  loop.membership.list("manual", [{ host: "b.local", port: 5681, addresses }]);
  loop.link("b", "10.0.0.2");
  await loop.clock.advance(1_000);
  const peer = loop.membership.get("b");
  assertEquals(peer?.addresses.map(({ host, via }) => `${host} ${via}`).sort(), [
    "10.0.0.2 manual",
    "192.168.1.2 manual",
  ]);
  assertEquals(peer?.sightedAt, undefined, "no beacon of it has come");
  loop.membership.stop();
});

Deno.test("who answers where another one is expected is told", async () => {
  const loop = new Loop();
  loop.nodes.set("10.0.0.2", "b");
  const seed = { host: "10.0.0.2", port: 5681, addresses: ["10.0.0.2"], nodeId: "gpu" };
  loop.membership.list("manual", [seed]);
  loop.link("b", "10.0.0.2");
  await loop.clock.advance(1_000);
  assertEquals(loop.membership.seeds().map(({ problem }) => problem), ['node "b" answers there']);
  loop.membership.stop();
});

Deno.test("who has refused this node is tried at once when something has changed here", async () => {
  const loop = new Loop();
  for (const host of ["10.0.0.2", "10.0.0.3"]) {
    loop.failures.set(host, new NetworkError("NAME_CONFLICT", "Taken."));
  }
  loop.see("b", "10.0.0.2");
  loop.membership.list("manual", [{ host: "10.0.0.3", port: 5681, addresses: ["10.0.0.3"] }]);
  await loop.clock.advance(60_000);
  const tries = loop.dialled.length;
  assert(tries < 60, `${tries} dials of two nodes in a minute`);
  loop.membership.reconsider();
  await loop.clock.advance(1);
  assertEquals(loop.dialled.slice(tries).sort(), ["10.0.0.2", "10.0.0.3"]);
  loop.membership.stop();
});

Deno.test("a peer that dials and refuses is listed with its reason, and dialled in its turn", async () => {
  const loop = new Loop();
  const description = { nodeId: "b", bootId: "B" } as NodeDescription;
  loop.membership.refused(description, at("10.0.0.2", "link"), "Taken.");
  const [peer] = loop.membership.peers();
  assertEquals([peer.state, peer.lastFailure, peer.addresses], ["discovered", "Taken.", [
    at("10.0.0.2", "link"),
  ]]);
  await loop.clock.advance(600);
  assertEquals(loop.dialled, ["10.0.0.2"]);
  for (let i = 0; i < 100; i++) {
    const liar = { nodeId: `x${i}`, bootId: "B" } as NodeDescription;
    loop.membership.refused(liar, at("10.0.0.9", "link"), "Taken.");
  }
  assertEquals(loop.membership.peers().length, 65, "no more of one host than beacons may name");
  loop.membership.stop();
});

Deno.test("a node that is alone is told once that others answer and do not let it in", async () => {
  const loop = new Loop();
  for (const nodeId of ["b", "c"]) {
    loop.failures.set(`10.0.0.${nodeId}`, new NetworkError("UNAVAILABLE", "it broke off"));
    loop.see(nodeId, `10.0.0.${nodeId}`);
  }
  await loop.clock.advance(600);
  assertEquals(loop.shunned, [], "it may just have started");
  await loop.clock.advance(9_000);
  assertEquals(loop.shunned, ["b: it broke off"]);
  loop.membership.stop();
});

Deno.test("a node that has a link is not told of one that does not let it in, nor of silence", async () => {
  const loop = new Loop();
  loop.link("d", "10.0.0.4");
  loop.failures.set("10.0.0.2", new NetworkError("UNAVAILABLE", "it broke off"));
  loop.see("b", "10.0.0.2");
  await loop.clock.advance(9_000);
  const alone = new Loop();
  const options = { unanswered: true };
  alone.failures.set("10.0.0.2", new NetworkError("UNAVAILABLE", "no answer", options));
  alone.see("b", "10.0.0.2");
  await alone.clock.advance(9_000);
  assertEquals([loop.shunned, alone.shunned], [[], []]);
  for (const { membership } of [loop, alone]) membership.stop();
});

Deno.test("of many that fell silent sixteen are called", async () => {
  const loop = new Loop();
  for (let i = 0; i < 40; i++) loop.link(`n${i}`, `10.0.0.${i + 1}`);
  loop.links.clear();
  for (let i = 0; i < 40; i++) {
    loop.membership.unlinked(`n${i}`, { goodbye: false, reason: "reset" });
  }
  await loop.clock.advance(20_000);
  assertEquals(loop.membership.peers().length, 0);
  assertEquals(loop.membership.seeds().length, 16);
  loop.membership.stop();
});
