/** Whatever may come in on the port of the beacons: wrong, cut, huge, deep, made up, repeated. */

import { type Random, seededRandom } from "../../src/base/random.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import { ForeignPeers } from "../../src/discovery/foreign_peers.ts";
import type { Sighting } from "../../src/discovery/discovery.ts";
import { UdpDiscovery } from "../../src/discovery/udp.ts";
import type { UdpReport } from "../../src/discovery/udp_report.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { Membership } from "../../src/membership/membership.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { DatagramSealer } from "../../src/security/sealed_datagram.ts";
import type { DatagramReceiver, DatagramTransport } from "../../src/transport/datagram.ts";
import { heldBytes } from "./garbage.ts";
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
  /** True beacons that were among them, and how many of these were taken. */
  readonly honest: { readonly sent: number; readonly heard: number };
  /** Growth of the heap in bytes, after the first tenth. */
  readonly heapGrowth: number;
}

const OWN = { name: "eth0", address: "10.0.0.1", netmask: "255.0.0.0" };

/** A source of datagrams, one after the other. */
interface Attack {
  readonly keys: (() => readonly NetworkKey[]) | undefined;
  /** How many come in a second. */
  readonly perSecond: number;
  next(): { bytes: Uint8Array; host: string };
  /** Takes note of what the node has taken for a beacon. */
  sighted(sighting: Sighting): void;
  honest(): { sent: number; heard: number };
}

/**
 * Lets `count` datagrams in, the same ones for the same seed, and says what came of them.
 *
 * @param form Whether the node's network has a key. If it has, true beacons of members are among
 * them, of such that were heard before and of new ones.
 */
export async function flood(
  count: number,
  seed: number,
  form: "plain" | "sealed" = "plain",
): Promise<FloodOutcome> {
  const clock = new ManualClock();
  const random = seededRandom(seed);
  const attack = form === "plain" ? plainAttack(random) : new SealedAttack(random);
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
    keys: attack.keys,
    allows: (host) => host.startsWith("10."),
    isUrgent: () => false,
    neighbours: { peers: foreign, capabilities: () => UNKNOWN_DEVICE },
  });
  await discovery.start({
    sighted: (sighting) => {
      attack.sighted(sighting);
      return membership.observe(sighting);
    },
    listed() {},
  });
  let heapBefore = 0;
  for (let i = 0; i < count; i++) {
    if (i === Math.floor(count / 10)) heapBefore = heldBytes();
    const { bytes, host } = attack.next();
    receive(bytes, { host, port: 1 + below(random, 65_535) });
    if (i % attack.perSecond === attack.perSecond - 1) await clock.advance(1_000);
  }
  const outcome = {
    sent: count,
    report: discovery.report(),
    peers: membership.peers().length,
    foreign: foreign.list().length,
    honest: attack.honest(),
    heapGrowth: heldBytes() - heapBefore,
  };
  await discovery.stop();
  membership.stop();
  foreign.stop();
  return outcome;
}

/** On a node without a key, on which no beacon can be told to be true. */
function plainAttack(random: Random): Attack {
  const seen: Uint8Array[] = [];
  return {
    keys: undefined,
    // So that not all are beyond the rate.
    perSecond: 4_096,
    next: () => ({ bytes: datagram(random, seen), host: anyHost(random) }),
    sighted() {},
    honest: () => ({ sent: 0, heard: 0 }),
  };
}

function anyHost(random: Random): string {
  return random.next() < 0.02
    ? "203.0.113.9"
    : `10.${below(random, 4)}.${below(random, 256)}.${below(random, 256)}`;
}

/** A member's host; of the first one, attackers also claim that they are there. */
const memberHost = (number: number) => `10.9.${number >> 8 & 255}.${number & 255}`;

/** On a node with a key, by who knows its tag and has recorded beacons of members. */
class SealedAttack implements Attack {
  readonly perSecond = 60_000;
  readonly #random: Random;
  readonly #key = NetworkKey.generate();
  readonly #foreignKey = NetworkKey.generate();
  readonly #sealer = new DatagramSealer();
  readonly #others: Uint8Array[] = [];
  readonly #recorded: Uint8Array[] = [];
  #sent = 0;
  #heard = 0;
  #next = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  readonly keys = () => [this.#key];

  next(): { bytes: Uint8Array; host: string } {
    // Twelve a second: six of the first member, and one each of six new ones.
    if (this.#next++ % 5_000 === 0) {
      const number = this.#sent % 2 === 0 ? 0 : this.#sent;
      this.#sent++;
      const bytes = this.#seal(this.#key, `member${number}`, memberHost(number));
      if (this.#recorded.length < 100) this.#recorded.push(bytes);
      return { bytes, host: memberHost(number) };
    }
    const host = below(this.#random, 4) === 0 ? memberHost(0) : anyHost(this.#random);
    return { bytes: this.#make(below(this.#random, 6)), host };
  }

  sighted({ nodeId }: Sighting): void {
    if (nodeId.startsWith("member")) this.#heard++;
  }

  honest(): { sent: number; heard: number } {
    return { sent: this.#sent, heard: this.#heard };
  }

  #make(kind: number): Uint8Array {
    const random = this.#random;
    const recorded = this.#recorded[below(random, this.#recorded.length)];
    switch (kind) {
      case 0:
        return datagram(random, this.#others);
      case 1:
        return this.#seal(this.#foreignKey, "stranger", "10.0.0.7");
      // As it was: repeated, and mostly from elsewhere.
      case 2:
        return recorded;
      case 3: {
        const bytes = recorded.slice(0, random.next() < 0.1 ? below(random, 200) : undefined);
        if (bytes.length > 0) bytes[below(random, bytes.length)] ^= 1 + below(random, 255);
        return bytes;
      }
      // The right beginning, and nothing behind that is right.
      default: {
        const bytes = random.fill(new Uint8Array(64 + below(random, 1_200)));
        bytes.set(recorded.subarray(0, 12));
        return bytes;
      }
    }
  }

  #seal(key: NetworkKey, nodeId: string, host: string): Uint8Array {
    const beacon = { nodeId, bootId: "B", network: "home", listenPort: 5681, isAnswer: false };
    return this.#sealer.seal(key, encodeBeacon(beacon), host);
  }
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
      shunned() {},
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
