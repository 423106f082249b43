/** A network in memory with nodes as far as discovery goes, and sockets of the test itself. */

import { silentLogger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type Beacon, decodeBeacon } from "../../src/discovery/beacon.ts";
import type { DiscoverySink, Sighting } from "../../src/discovery/discovery.ts";
import { UdpDiscovery, type UdpDiscoveryOptions } from "../../src/discovery/udp.ts";
import type { DatagramAddress, DatagramSocket } from "../../src/transport/datagram.ts";
import { MemoryNetwork } from "../../src/transport/memory_network.ts";

/** Where beacons are heard. */
export const PORT = 5678;
/** Where they are sent. */
export const BROADCAST = { host: "10.255.255.255", port: PORT };

/** The beacon of a node. */
export function beaconOf(nodeId: string, change: Partial<Beacon> = {}): Beacon {
  const bootId = `BOOT${nodeId.toUpperCase()}`;
  return { nodeId, bootId, network: "home", listenPort: 5681, isAnswer: false, ...change };
}

/** Takes sightings only: no way of UDP's lists anything. */
export function sink(sighted: DiscoverySink["sighted"]): DiscoverySink {
  return { sighted, listed() {} };
}

/** Datagrams that were not used, by reason. */
export function drops({ discovery }: Node): Record<string, number> {
  const { dropped } = discovery.report();
  const counts = Object.entries(dropped).map(([reason, { count }]) => [reason, count] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** A node as far as discovery goes, and what it has seen. */
export interface Node {
  readonly discovery: UdpDiscovery;
  readonly seen: string[];
  readonly sightings: Sighting[];
}

/** One network in memory with nodes, and sockets that send and hear what a test wants. */
export class Lan {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork(this.clock, seededRandom(1), { latencyMs: 1 });

  /** Starts a node at its own host; `isStranger` says who is to be answered. */
  async start(
    host: string,
    nodeId: string,
    options: Partial<UdpDiscoveryOptions> & { isStranger?: () => boolean } = {},
  ): Promise<Node> {
    const node: Node = {
      discovery: new UdpDiscovery({
        transport: this.network.datagrams(host),
        clock: this.clock,
        logger: silentLogger,
        interfaces: { names: [], lan: true },
        broadcastPort: PORT,
        self: () => beaconOf(nodeId),
        keys: undefined,
        allows: () => true,
        isUrgent: () => false,
        ...options,
      }),
      seen: [],
      sightings: [],
    };
    await node.discovery.start(sink((sighting) => {
      node.seen.push(sighting.nodeId);
      node.sightings.push(sighting);
      return options.isStranger?.() ?? false;
    }));
    return node;
  }

  /** A socket on `host` that keeps the datagrams that reach it, whatever they are. */
  async record(host: string, port = PORT): Promise<{ socket: DatagramSocket; heard: Recorded[] }> {
    const heard: Recorded[] = [];
    const socket = await this.network.datagrams(host).bind(
      { host: "0.0.0.0", port },
      { shared: true },
      (bytes, from) => heard.push({ bytes: bytes.slice(), from }),
    );
    return { socket, heard };
  }

  /** A socket on `host` that keeps the beacons that reach it, with the time of each. */
  async listen(host: string, port = PORT): Promise<{ socket: DatagramSocket; heard: Heard[] }> {
    const heard: Heard[] = [];
    const socket = await this.network.datagrams(host).bind(
      { host: "0.0.0.0", port },
      { shared: true },
      (bytes, from) => heard.push({ ...decodeBeacon(bytes), from, at: this.clock.now() }),
    );
    return { socket, heard };
  }
}

/** A datagram, and where it came from. */
export interface Recorded {
  readonly bytes: Uint8Array;
  readonly from: DatagramAddress;
}

/** A beacon in the clear, from where it came, and when. */
export type Heard = Beacon & { from: DatagramAddress; at: number };
