/** Finds nodes by UDP broadcast on each interface, the loopback included. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { DatagramAddress, DatagramSocket, DatagramTransport } from "../transport/datagram.ts";
import {
  broadcastAddress,
  chooseInterfaces,
  type InterfaceChoice,
  isLoopback,
  type NetworkInterface,
} from "../transport/interfaces.ts";
import { type Beacon, decodeBeacon, encodeBeacon } from "./beacon.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";

/** What {@linkcode UdpDiscovery} is made of. */
export interface UdpDiscoveryOptions {
  readonly transport: DatagramTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly interfaces: InterfaceChoice;
  /** The port on which every node of the network listens for beacons. */
  readonly broadcastPort: number;
  /** This node, as its beacons describe it. */
  readonly self: () => Omit<Beacon, "isAnswer">;
  /** Whether a node at `host` may be talked to at all. */
  readonly allows: (host: string) => boolean;
}

/** Beacons after the start, in milliseconds: first contact does not wait for the interval. */
const BURST_MS = [0, 100, 300];
/** Between two beacons, in milliseconds: what existing peers use. */
const BEACON_INTERVAL_MS = 2_500;
/** Beacons taken from one address in a second; what is beyond is dropped before it is decoded. */
const MAX_BEACONS_PER_SECOND = 100;
/** Addresses whose rate is kept; beyond them counting starts anew. */
const MAX_SOURCES = 4_096;

/** Why a datagram was not used. */
export type DropReason = "malformed" | "rate" | "foreign-network" | "not-allowed";

interface Sender {
  readonly socket: DatagramSocket;
  readonly on: NetworkInterface;
  readonly broadcast: DatagramAddress;
}

/** See the top of the file. */
export class UdpDiscovery implements Discovery {
  readonly name = "udp";
  readonly #options: UdpDiscoveryOptions;
  readonly #dropped: Record<DropReason, number> = {
    malformed: 0,
    rate: 0,
    "foreign-network": 0,
    "not-allowed": 0,
  };
  readonly #rates = new Map<string, number>();
  #ratesSince = 0;
  #sink: DiscoverySink | undefined;
  #senders: Sender[] = [];
  #receiver: DatagramSocket | undefined;
  #timers: CancelTimer[] = [];
  #stopped = false;

  constructor(options: UdpDiscoveryOptions) {
    this.#options = options;
  }

  /** Datagrams that were not used, by reason. */
  get dropped(): Readonly<Record<DropReason, number>> {
    return this.#dropped;
  }

  async start(sink: DiscoverySink): Promise<void> {
    const { transport, clock, logger } = this.#options;
    this.#sink = sink;
    const chosen = this.#chooseInterfaces();
    this.#receiver = await this.#openReceiver(chosen);
    for (const one of chosen) {
      const sender = await this.#openSender(one);
      if (sender !== undefined) this.#senders.push(sender);
    }
    // It may have been told to stop while it bound its sockets.
    if (this.#stopped) return await this.stop();
    logger.debug("Beacons on {interfaces} through {transport}", {
      interfaces: chosen.map(({ name }) => name).join(", "),
      transport: transport.name,
    });
    for (const delayMs of BURST_MS) {
      this.#timers.push(clock.after(delayMs, () => this.#broadcast()));
    }
    this.#timers.push(every(clock, BEACON_INTERVAL_MS, () => this.#broadcast()));
  }

  stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#receiver?.close();
    for (const { socket } of this.#senders.splice(0)) socket.close();
    return Promise.resolve();
  }

  /** What was asked for and is not there is told, because beacons on the others do not show it. */
  #chooseInterfaces(): NetworkInterface[] {
    const { transport, interfaces, logger } = this.#options;
    const all = transport.interfaces();
    const chosen = chooseInterfaces(all, interfaces);
    const names = new Set(all.map(({ name }) => name));
    for (const name of interfaces.names) {
      if (names.has(name)) continue;
      const problem = `Cannot look for peers on "${name}": this machine has no such interface ` +
        `with an IPv4 address. There are: ${[...names].join(", ")}.`;
      if (chosen.length === 0) throw new NetworkError("NOT_FOUND", problem);
      logger.warn("{problem}", { problem });
    }
    return chosen;
  }

  /**
   * A socket that is bound to an interface's address receives no broadcasts of its network. On
   * Linux one that is bound to the broadcast address receives nothing else, which is just right for
   * a node that keeps to its machine; other systems know only the wildcard.
   */
  async #openReceiver(chosen: readonly NetworkInterface[]): Promise<DatagramSocket> {
    const { transport, broadcastPort: port } = this.#options;
    const bind = (host: string) =>
      transport.bind({ host, port }, { shared: true }, (bytes, from) => this.#receive(bytes, from));
    const [first, ...others] = chosen;
    if (first === undefined || others.length > 0 || !isLoopback(first)) {
      return await bind("0.0.0.0");
    }
    try {
      return await bind(broadcastAddress(first));
    } catch (thrown) {
      if (thrown instanceof NetworkError && thrown.code === "UNAVAILABLE") {
        return await bind("0.0.0.0");
      }
      throw thrown;
    }
  }

  async #openSender(one: NetworkInterface): Promise<Sender | undefined> {
    const { transport, broadcastPort, logger } = this.#options;
    try {
      const socket = await transport.bind(
        { host: one.address, port: 0 },
        { shared: false },
        // Answers come here: a unicast to the shared port would reach only one of its owners.
        (bytes, from) => this.#receive(bytes, from),
      );
      const broadcast = { host: broadcastAddress(one), port: broadcastPort };
      return { socket, on: one, broadcast };
    } catch (thrown) {
      logger.warn("No beacons on {name}: {reason}", {
        name: one.name,
        reason: describeError(thrown),
      });
      return undefined;
    }
  }

  #broadcast(): void {
    const bytes = encodeBeacon({ ...this.#options.self(), isAnswer: false });
    for (const { socket, broadcast } of this.#senders) this.#send(socket, bytes, broadcast);
  }

  #send(socket: DatagramSocket, bytes: Uint8Array, to: DatagramAddress): void {
    // A beacon that cannot be sent now is as good as lost: the next one comes soon.
    socket.send(bytes, to).catch((thrown) => {
      this.#options.logger.debug("{reason}", { reason: describeError(thrown) });
    });
  }

  #receive(bytes: Uint8Array, from: DatagramAddress): void {
    if (!this.#options.allows(from.host)) return this.#drop("not-allowed");
    if (this.#isTooMany(from.host)) return this.#drop("rate");
    let beacon: Beacon;
    try {
      beacon = decodeBeacon(bytes);
    } catch {
      return this.#drop("malformed");
    }
    const self = this.#options.self();
    if (beacon.bootId === self.bootId) return;
    if (beacon.network !== self.network) return this.#drop("foreign-network");
    const isStranger = this.#sink?.sighted({
      nodeId: beacon.nodeId,
      bootId: beacon.bootId,
      address: { host: from.host, port: beacon.listenPort, via: this.name },
    });
    if (isStranger && !beacon.isAnswer) this.#answer(from);
  }

  /** A stranger is answered, so that both know each other after one beacon of either. */
  #answer(to: DatagramAddress): void {
    // From the address that the stranger's network knows: it is where this node will be dialled.
    const isNear = ({ on, broadcast }: Sender) =>
      broadcastAddress({ ...on, address: to.host }) === broadcast.host;
    const sender = this.#senders.find(isNear) ??
      this.#senders.find(({ on }) => isLoopback(on) === isLoopback({ address: to.host }));
    if (sender === undefined) return;
    this.#send(sender.socket, encodeBeacon({ ...this.#options.self(), isAnswer: true }), to);
  }

  #isTooMany(host: string): boolean {
    const now = this.#options.clock.now();
    if (now - this.#ratesSince >= 1_000 || this.#rates.size >= MAX_SOURCES) {
      this.#rates.clear();
      this.#ratesSince = now;
    }
    const count = (this.#rates.get(host) ?? 0) + 1;
    this.#rates.set(host, count);
    return count > MAX_BEACONS_PER_SECOND;
  }

  #drop(reason: DropReason): void {
    this.#dropped[reason]++;
  }
}
