/**
 * A network in memory: hosts with addresses, latency, loss and partitions, moved by a clock. Tests
 * and the simulator run whole fleets on it in one process.
 */

import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type {
  DatagramAddress,
  DatagramReceiver,
  DatagramSocket,
  DatagramTransport,
} from "./datagram.ts";

/** How the network behaves; all may change while it runs. */
export interface MemoryNetworkConditions {
  /** One way, in milliseconds. */
  latencyMs: number;
  /** Added to the latency at random, in milliseconds at most. */
  jitterMs: number;
  /** The share of datagrams that are lost, 0 to 1. */
  loss: number;
}

interface BoundSocket {
  readonly host: string;
  /** What it was bound to: its host, all addresses, or the broadcast address. */
  readonly bound: string;
  readonly port: number;
  readonly shared: boolean;
  readonly receive: DatagramReceiver;
}

const NETMASK = "255.0.0.0";
const BROADCAST = "10.255.255.255";
const WILDCARD = "0.0.0.0";
/** What fits into a datagram of IPv4. */
const MAX_DATAGRAM_BYTES = 65_507;

/**
 * Hosts on one flat network 10.0.0.0/8.
 *
 * @example Two hosts, 5 ms apart
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock } from "../base/manual_clock.ts";
 * import { seededRandom } from "../base/random.ts";
 * import { MemoryNetwork } from "./memory_network.ts";
 *
 * const clock = new ManualClock();
 * const lan = new MemoryNetwork(clock, seededRandom(1), { latencyMs: 5 });
 * const heard: number[] = [];
 * const a = await lan.datagrams("10.0.0.1").bind({ host: "10.0.0.1", port: 0 }, { shared: false }, () => {});
 * await lan.datagrams("10.0.0.2").bind({ host: "0.0.0.0", port: 7 }, { shared: true }, (bytes) => heard.push(bytes[0]));
 * await a.send(new Uint8Array([42]), { host: "10.255.255.255", port: 7 });
 * await clock.advance(5);
 * assertEquals(heard, [42]);
 * ```
 */
export class MemoryNetwork {
  readonly conditions: MemoryNetworkConditions;
  readonly #clock: Clock;
  readonly #random: Random;
  /** By host. */
  readonly #sockets = new Map<string, Set<BoundSocket>>();
  readonly #down = new Set<string>();
  readonly #blocked = new Set<string>();
  #groups: ReadonlyMap<string, number> = new Map();
  #nextPort = 49_152;
  #datagramsSent = 0;

  constructor(clock: Clock, random: Random, conditions: Partial<MemoryNetworkConditions> = {}) {
    this.#clock = clock;
    this.#random = random;
    this.conditions = { latencyMs: 0.1, jitterMs: 0, loss: 0, ...conditions };
  }

  /** Datagrams sent so far by all hosts; a broadcast counts once. */
  get datagramsSent(): number {
    return this.#datagramsSent;
  }

  /** Splits the network: hosts of different groups, and of none, do not reach each other. */
  partition(...groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((hosts, i) => hosts.map((host) => [host, i])));
  }

  /** Ends a partition. */
  heal(): void {
    this.#groups = new Map();
  }

  /** Pulls the host's cable, or puts it back. */
  setDown(host: string, down: boolean): void {
    if (down) this.#down.add(host);
    else this.#down.delete(host);
  }

  /** Lets nothing through from one host to another one, or everything again. */
  setBlocked(from: string, to: string, blocked: boolean): void {
    if (blocked) this.#blocked.add(`${from} ${to}`);
    else this.#blocked.delete(`${from} ${to}`);
  }

  /** Whether a packet would come through now. */
  reaches(from: string, to: string): boolean {
    if (this.#blocked.has(`${from} ${to}`)) return false;
    if (this.#down.has(from) || this.#down.has(to)) return from === to;
    return this.#groups.get(from) === this.#groups.get(to);
  }

  /** How long a packet takes now, one way, in milliseconds. */
  delayMs(): number {
    const { latencyMs, jitterMs } = this.conditions;
    return latencyMs + (jitterMs > 0 ? this.#random.next() * jitterMs : 0);
  }

  /** The datagrams of one host. */
  datagrams(host: string): DatagramTransport {
    return {
      name: "memory",
      interfaces: () => [{ name: "mem0", address: host, netmask: NETMASK }],
      bind: (address, { shared }, receive) => {
        const { host: bound } = address;
        if (bound !== host && bound !== WILDCARD && bound !== BROADCAST) {
          return Promise.reject(
            new NetworkError("UNAVAILABLE", `Cannot bind ${bound}: not an address of ${host}.`),
          );
        }
        const port = address.port === 0 ? this.#nextPort++ : address.port;
        const others = this.#sockets.get(host) ?? new Set();
        for (const other of others) {
          if (other.port === port && !(shared && other.shared)) {
            return Promise.reject(
              new NetworkError("PORT_IN_USE", `Cannot bind ${host}:${port}: the port is taken.`),
            );
          }
        }
        const socket: BoundSocket = { host, bound, port, shared, receive };
        this.#sockets.set(host, others.add(socket));
        return Promise.resolve(this.#socket(socket));
      },
    };
  }

  #socket(socket: BoundSocket): DatagramSocket {
    const { host, bound, port } = socket;
    return {
      address: { host: bound, port },
      send: (bytes, to) => {
        if (!this.#isOpen(socket)) {
          return Promise.reject(new NetworkError("UNAVAILABLE", "The socket is closed."));
        }
        if (bytes.length > MAX_DATAGRAM_BYTES) {
          return Promise.reject(new NetworkError("UNAVAILABLE", "The datagram is too long."));
        }
        this.#datagramsSent++;
        const copy = bytes.slice();
        const isBroadcast = to.host === BROADCAST;
        const hosts = isBroadcast
          ? this.#sockets.values().toArray()
          : [this.#sockets.get(to.host) ?? []];
        for (const target of hosts.flatMap((sockets) => [...sockets])) {
          if (target.port !== to.port) continue;
          // As on Linux: the one bound to an address hears no broadcasts, the one bound to the
          // broadcast address nothing else.
          if (target.bound === (isBroadcast ? target.host : BROADCAST)) continue;
          this.#carry(copy, { host, port }, target);
          // A unicast reaches only one of those who share a port.
          if (!isBroadcast) break;
        }
        return Promise.resolve();
      },
      close: () => void this.#sockets.get(host)?.delete(socket),
    };
  }

  #isOpen(socket: BoundSocket): boolean {
    return this.#sockets.get(socket.host)?.has(socket) ?? false;
  }

  #carry(bytes: Uint8Array, from: DatagramAddress, target: BoundSocket): void {
    if (!this.reaches(from.host, target.host)) return;
    if (this.conditions.loss > 0 && this.#random.next() < this.conditions.loss) return;
    this.#clock.after(this.delayMs(), () => {
      if (this.#isOpen(target)) target.receive(bytes, from);
    });
  }
}
