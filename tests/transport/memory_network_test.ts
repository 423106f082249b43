/** What becomes of datagrams on a network in memory when it is slow, lossy, split or cut. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { DatagramSocket } from "../../src/transport/datagram.ts";
import { MemoryNetwork, type MemoryNetworkConditions } from "../../src/transport/memory_network.ts";

const PORT = 7;
const BROADCAST = { host: "10.255.255.255", port: PORT };

/** Hosts that all listen on one port, and what each has heard, with the time of it. */
class Lan {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly heard = new Map<string, string[]>();
  readonly #sockets = new Map<string, DatagramSocket>();

  constructor(conditions: Partial<MemoryNetworkConditions> = {}, seed = 1) {
    this.network = new MemoryNetwork(this.clock, seededRandom(seed), conditions);
  }

  async add(...hosts: string[]): Promise<void> {
    for (const host of hosts) {
      const heard: string[] = [];
      this.heard.set(host, heard);
      const socket = await this.network.datagrams(host).bind(
        { host: "0.0.0.0", port: PORT },
        { shared: true },
        (bytes, from) => heard.push(`${from.host} ${bytes[0]} at ${this.clock.now()}`),
      );
      this.#sockets.set(host, socket);
    }
  }

  send(from: string, to = BROADCAST, value = 1): Promise<void> {
    return this.#sockets.get(from)!.send(new Uint8Array([value]), to);
  }

  /** Who has heard something since the last time it was asked. */
  hearers(): string[] {
    const hosts = [...this.heard].filter(([, lines]) => lines.splice(0).length > 0);
    return hosts.map(([host]) => host);
  }
}

const [A, B, C, D] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];

Deno.test("a datagram takes the latency, and not less", async () => {
  const lan = new Lan({ latencyMs: 5 });
  await lan.add(A, B);
  await lan.send(A);
  await lan.clock.advance(4.9);
  assertEquals(lan.heard.get(B), []);
  await lan.clock.advance(0.1);
  assertEquals(lan.heard.get(B), [`${A} 1 at 5`]);
  assertEquals(lan.heard.get(A), [`${A} 1 at 5`], "a sender that listens hears itself");
});

Deno.test("jitter spreads arrivals between the latency and the latency with all of the jitter", async () => {
  const lan = new Lan({ latencyMs: 10, jitterMs: 20 });
  await lan.add(A, B);
  for (let i = 0; i < 200; i++) await lan.send(A, { host: B, port: PORT }, i);
  await lan.clock.advance(30);
  const times = lan.heard.get(B)!.map((line) => Number(line.split(" at ")[1]));
  assertEquals(times.length, 200);
  assert(Math.min(...times) >= 10 && Math.max(...times) <= 30);
  assert(Math.min(...times) < 12 && Math.max(...times) > 28);
});

Deno.test("loss takes its share of the datagrams, and none of a network without loss", async () => {
  const lan = new Lan({ loss: 0.3 });
  await lan.add(A, B);
  const count = async () => {
    for (let i = 0; i < 1_000; i++) await lan.send(A, { host: B, port: PORT });
    await lan.clock.advance(1);
    return lan.heard.get(B)!.splice(0).length;
  };
  const arrived = await count();
  assert(arrived > 650 && arrived < 750, `${arrived}`);
  lan.network.conditions.loss = 0;
  assertEquals(await count(), 1_000);
  lan.network.conditions.loss = 1;
  assertEquals(await count(), 0);
});

Deno.test("the same seed loses the same datagrams", async () => {
  const run = async (seed: number) => {
    const lan = new Lan({ loss: 0.5, jitterMs: 5 }, seed);
    await lan.add(A, B);
    for (let i = 0; i < 100; i++) await lan.send(A, { host: B, port: PORT }, i);
    await lan.clock.advance(10);
    return lan.heard.get(B)!;
  };
  assertEquals(await run(5), await run(5));
  assert((await run(5)).join() !== (await run(6)).join());
});

Deno.test("a partition keeps its groups apart, hosts of no group among themselves, until it heals", async () => {
  const lan = new Lan();
  const E = "10.0.0.5";
  await lan.add(A, B, C, D, E);
  lan.network.partition([A, B], [C]);
  const reached: Record<string, string[]> = {};
  for (const host of [A, C, D]) {
    await lan.send(host);
    await lan.clock.advance(1);
    reached[host] = lan.hearers();
  }
  assertEquals(reached, { [A]: [A, B], [C]: [C], [D]: [D, E] });
  lan.network.heal();
  await lan.send(C);
  await lan.clock.advance(1);
  assertEquals(lan.hearers(), [A, B, C, D, E]);
});

Deno.test("a host whose cable is pulled reaches itself and nobody else, until it is back", async () => {
  const lan = new Lan();
  await lan.add(A, B, C);
  lan.network.setDown(B, true);
  await lan.send(A);
  await lan.clock.advance(1);
  assertEquals(lan.hearers(), [A, C]);
  await lan.send(B);
  await lan.clock.advance(1);
  assertEquals(lan.hearers(), [B]);
  lan.network.setDown(B, false);
  await lan.send(B);
  await lan.clock.advance(1);
  assertEquals(lan.hearers(), [A, B, C]);
});

Deno.test("datagrams are counted as they are sent, a broadcast once", async () => {
  const lan = new Lan({ loss: 1 });
  await lan.add(A, B, C);
  await lan.send(A);
  await lan.send(A, { host: B, port: PORT });
  assertEquals(lan.network.datagramsSent, 2);
});

Deno.test("a host cannot bind the address of another one", async () => {
  const lan = new Lan();
  const error = await assertRejects(
    () => lan.network.datagrams(A).bind({ host: B, port: 0 }, { shared: false }, () => {}),
    NetworkError,
    "not an address of 10.0.0.1",
  );
  assertEquals(error.code, "UNAVAILABLE");
});
