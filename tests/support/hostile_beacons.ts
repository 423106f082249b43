/** Whatever may come in on the port of the beacons: wrong, cut, huge, deep, made up, and repeated. */

import { type Random, seededRandom } from "../../src/base/random.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import { ForeignPeers } from "../../src/discovery/foreign_peers.ts";
import { UdpDiscovery } from "../../src/discovery/udp.ts";
import type { UdpReport } from "../../src/discovery/udp_report.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { Membership } from "../../src/membership/membership.ts";
import type { DatagramReceiver, DatagramTransport } from "../../src/transport/datagram.ts";
import { TIMES } from "./membership_times.ts";

/** What came of a flood. */
export interface FloodOutcome {
  /** Beacons that were let in. */
  readonly sent: number;
  /** Of these, by what became of them. */
  readonly report: UdpReport;
  /** Peers in the table, and of other programs, when it was over. */
  readonly peers: number;
  readonly foreign: number;
  /** Growth of the heap in bytes, after the first tenth; garbage may be among it. */
  readonly heapGrowth: number;
}

const OWN = { name: "eth0", address: "10.0.0.1", netmask: "255.0.0.0" };

/** Lets `count` datagrams in, the same ones for the same seed, and says what came of them. */
export async function flood(count: number, seed: number): Promise<FloodOutcome> {
  const clock = new ManualClock();
  const random = seededRandom(seed);
  let receive: DatagramReceiver = () => {};
  const transport: DatagramTransport = {
    name: "flood",
    interfaces: () => [OWN],
    bind(address, _, taker) {
      if (address.host === "0.0.0.0") receive = taker;
      return Promise.resolve({ address, send: () => Promise.resolve(), close() {} });
    },
  };
  const foreign = new ForeignPeers({ clock, random, check: () => Promise.resolve(false) });
  const self = { nodeId: "self", bootId: "SELF", network: "home", listenPort: 5681 };
  const membership = lonelyMembership(clock, random);
  const discovery = new UdpDiscovery({
    transport,
    clock,
    logger: silentLogger,
    interfaces: { names: [], lan: true },
    broadcastPort: 5678,
    self: () => self,
    allows: (host) => host.startsWith("10."),
    isUrgent: () => false,
    neighbours: { peers: foreign, capabilities: () => UNKNOWN_DEVICE },
  });
  await discovery.start({
    sighted: (sighting) => membership.observe(sighting),
    listed() {},
  });
  const seen: Uint8Array[] = [];
  let heapBefore = 0;
  for (let i = 0; i < count; i++) {
    if (i === Math.floor(count / 10)) heapBefore = Deno.memoryUsage().heapUsed;
    const bytes = datagram(random, seen);
    const host = random.next() < 0.02
      ? "203.0.113.9"
      : `10.${below(random, 4)}.${below(random, 256)}.${below(random, 256)}`;
    receive(bytes, { host, port: 1 + below(random, 65_535) });
    // A few thousand a second, so that not all are beyond the rate.
    if (i % 4_096 === 4_095) await clock.advance(1_000);
  }
  const outcome = {
    sent: count,
    report: discovery.report(),
    peers: membership.peers().length,
    foreign: foreign.list().length,
    heapGrowth: Deno.memoryUsage().heapUsed - heapBefore,
  };
  await discovery.stop();
  membership.stop();
  foreign.stop();
  return outcome;
}

/** A table of peers that can reach nobody. */
function lonelyMembership(clock: ManualClock, random: Random): Membership {
  return new Membership({
    nodeId: "self",
    bootId: "SELF",
    clock,
    random,
    logger: silentLogger,
    heartbeatMs: 1_000,
    ...TIMES,
    ports: {
      connect: () => Promise.reject(new Error("nobody is there")),
      disconnect() {},
      link: () => undefined,
      probe: () => new Promise(() => {}),
      measure: () => Promise.reject(new Error("nobody is there")),
      tell() {},
      tellAll() {},
      conflict() {},
    },
  });
}

const encoder = new TextEncoder();
/** Values of every wrong kind, some of which have brought other programs down. */
const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1e308,
  5681.5,
  70_000,
  "",
  "x".repeat(600),
  "\u0000\u001b[31m",
  "__proto__",
  "\ud800",
  [],
  [[[]]],
  {},
  { __proto__: { polluted: 1 } },
];

function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

function datagram(random: Random, seen: Uint8Array[]): Uint8Array {
  const kind = below(random, 9);
  // Replayed as it was.
  if (kind === 0 && seen.length > 0) return seen[below(random, seen.length)];
  const bytes = make(kind, random);
  if (seen.length < 1_000) seen.push(bytes);
  return bytes;
}

function make(kind: number, random: Random): Uint8Array {
  const id = `n${below(random, 50_000)}`;
  const good: Record<string, unknown> = {
    type: "discovery",
    node_id: id,
    boot_id: id.toUpperCase(),
    network: random.next() < 0.8 ? "home" : "other",
    grpc_port: 1 + below(random, 65_535),
    answer: random.next() < 0.5,
  };
  switch (kind) {
    case 1: {
      const text = encoder.encode(JSON.stringify(good));
      return text.slice(0, below(random, text.length));
    }
    case 2:
      return random.fill(new Uint8Array(below(random, 2_000)));
    case 3:
      return encoder.encode("[".repeat(below(random, 60_000)));
    case 4:
      return encoder.encode(
        JSON.stringify({ ...good, padding: "p".repeat(below(random, 65_000)) }),
      );
    case 5:
    case 6: {
      const keys = Object.keys(good);
      good[keys[below(random, keys.length)]] = ODD[below(random, ODD.length)];
      return encoder.encode(JSON.stringify(good));
    }
    case 7: {
      // Another program's, with a field or two that are not what they should be.
      const { boot_id: _, answer: __, ...theirs } = good;
      const device = {
        model: "m",
        chip: "c",
        memory: 1_024,
        flops: { fp32: 1, fp16: 2, int8: 4 } as unknown,
      };
      if (random.next() < 0.5) device.flops = ODD[below(random, ODD.length)];
      return encoder.encode(JSON.stringify({
        ...theirs,
        priority: 4,
        interface_name: "eth0",
        interface_type: "Ethernet",
        device_capabilities: device,
      }));
    }
    default: {
      // Well made, and not true: nobody of that name is there.
      const listenPort = 1 + below(random, 65_535);
      const beacon = { nodeId: id, bootId: "B", network: "home", listenPort, isAnswer: false };
      return encodeBeacon(beacon);
    }
  }
}
