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
import { decodeForeignBeacon, type ForeignCapabilities, foreignFields } from "./foreign_beacon.ts";
import type { ForeignPeers } from "./foreign_peers.ts";
import { type DropReason, InterfaceCount, type UdpReport } from "./udp_report.ts";

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
  /** Whether somebody is missed, so that it is worth being seen more often. */
  readonly isUrgent: () => boolean;
  /** Peers of other programs, if this node is to be seen by them and to see them. */
  readonly neighbours?: {
    readonly peers: Pick<ForeignPeers, "seen">;
    /** Undefined while the device is not known: they keep what they hear first. */
    readonly capabilities: () => ForeignCapabilities | undefined;
  };
}

/** Beacons after the start, in milliseconds: first contact does not wait for the interval. */
const BURST_MS = [0, 100, 300];
/** Between two beacons, in milliseconds: what existing peers use. */
const BEACON_INTERVAL_MS = 2_500;
/** Between two while somebody is missed, and between two looks at the interfaces. */
const URGENT_INTERVAL_MS = 500;
/** Beacons taken from one address in a second; what is beyond is dropped before it is decoded. */
const MAX_BEACONS_PER_SECOND = 100;
/** Addresses whose rate is kept; beyond them counting starts anew. */
const MAX_SOURCES = 4_096;

/** An address that beacons leave from. */
interface Sender {
  readonly on: NetworkInterface;
  readonly broadcast: DatagramAddress;
  readonly count: InterfaceCount;
  /** Undefined while the system does not let it be bound. */
  socket: DatagramSocket | undefined;
}

/** See the top of the file. */
export class UdpDiscovery implements Discovery {
  readonly name = "udp";
  readonly #options: UdpDiscoveryOptions;
  readonly #dropped: Record<DropReason, { count: number; host: string }> = {
    malformed: { count: 0, host: "" },
    rate: { count: 0, host: "" },
    crowd: { count: 0, host: "" },
    "foreign-network": { count: 0, host: "" },
    "not-allowed": { count: 0, host: "" },
  };
  readonly #rates = new Map<string, number>();
  #ratesSince = 0;
  #elsewhere = 0;
  #sink: DiscoverySink | undefined;
  /** By interface and address. */
  #senders: ReadonlyMap<string, Sender> = new Map();
  /** All of this machine's, also where no beacons leave. */
  #ownAddresses: ReadonlySet<string> = new Set();
  #receiver: DatagramSocket | undefined;
  #cancelBeats: CancelTimer = () => {};
  #bursting: CancelTimer[] = [];
  #beats = 0;
  #following = false;
  #stopped = false;

  constructor(options: UdpDiscoveryOptions) {
    this.#options = options;
  }

  /** What came of it so far. */
  report(): UdpReport {
    const { broadcastPort: port, transport, clock } = this.#options;
    const now = clock.now();
    return {
      port,
      transport: transport.name,
      interfaces: [...this.#senders.values()]
        .map(({ on, broadcast, count }) => count.report(on, broadcast.host, now)),
      elsewhere: this.#elsewhere,
      dropped: structuredClone(this.#dropped),
    };
  }

  async start(sink: DiscoverySink): Promise<void> {
    const { transport, clock, logger } = this.#options;
    this.#sink = sink;
    const chosen = this.#chooseInterfaces();
    this.#tellMissing(chosen);
    this.#receiver = await this.#openReceiver(chosen);
    await this.#follow(chosen);
    // It may have been told to stop while it bound its sockets.
    if (this.#stopped) return await this.stop();
    logger.debug("Beacons on {interfaces} through {transport}", {
      interfaces: chosen.map(({ name }) => name).join(", "),
      transport: transport.name,
    });
    this.#burst();
    this.#cancelBeats = every(clock, URGENT_INTERVAL_MS, () => void this.#beat());
  }

  stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of [this.#cancelBeats, ...this.#bursting]) cancel();
    this.#receiver?.close();
    for (const { socket } of this.#senders.values()) socket?.close();
    return Promise.resolve();
  }

  #chooseInterfaces(): NetworkInterface[] {
    const { transport, interfaces } = this.#options;
    const all = transport.interfaces();
    this.#ownAddresses = new Set(all.map(({ address }) => address));
    return chooseInterfaces(all, interfaces);
  }

  /** What was asked for and is not there is told, because beacons on the others do not show it. */
  #tellMissing(chosen: readonly NetworkInterface[]): void {
    const { transport, interfaces, logger } = this.#options;
    const names = new Set(transport.interfaces().map(({ name }) => name));
    for (const name of interfaces.names) {
      if (names.has(name)) continue;
      const problem = `Cannot look for peers on "${name}": this machine has no such interface ` +
        `with an IPv4 address. There are: ${[...names].join(", ")}.`;
      if (chosen.length === 0) throw new NetworkError("NOT_FOUND", problem);
      logger.warn("{problem}", { problem });
    }
  }

  /**
   * A socket that is bound to an interface's address receives no broadcasts of its network. On
   * Linux one that is bound to the broadcast address receives nothing else, which is just right for
   * a node that keeps to its machine; other systems know only the wildcard.
   */
  async #openReceiver(chosen: readonly NetworkInterface[]): Promise<DatagramSocket> {
    const { transport, broadcastPort: port, interfaces } = this.#options;
    const bind = (host: string) =>
      transport.bind({ host, port }, { shared: true }, (bytes, from) => this.#receive(bytes, from));
    const [first, ...others] = chosen;
    // Interfaces that appear later are listened to from the beginning.
    const mayLeave = interfaces.names.length > 0 ? !chosen.every(isLoopback) : interfaces.lan;
    if (mayLeave || first === undefined || others.length > 0) return await bind("0.0.0.0");
    try {
      return await bind(broadcastAddress(first));
    } catch (thrown) {
      if (thrown instanceof NetworkError && thrown.code === "UNAVAILABLE") {
        return await bind("0.0.0.0");
      }
      throw thrown;
    }
  }

  /** Beacons leave from exactly these from now on; says whether there is a new one among them. */
  async #follow(chosen: readonly NetworkInterface[]): Promise<boolean> {
    const before = this.#senders;
    const senders = new Map<string, Sender>();
    for (const on of chosen) {
      const key = `${on.name} ${on.address} ${on.netmask}`;
      const known = before.get(key);
      const broadcast = { host: broadcastAddress(on), port: this.#options.broadcastPort };
      senders.set(
        key,
        known ?? { on, broadcast, count: new InterfaceCount(), socket: undefined },
      );
    }
    this.#senders = senders;
    for (const [key, { socket }] of before) if (!senders.has(key)) socket?.close();
    let isNew = false;
    for (const [key, sender] of senders) {
      const { socket, count } = sender;
      if (socket !== undefined && count.problem === undefined) continue;
      // Its address may have been taken away and given back, for which the old socket is no good.
      socket?.close();
      sender.socket = undefined;
      await this.#open(sender);
      isNew ||= !before.has(key);
    }
    return isNew;
  }

  async #open(sender: Sender): Promise<void> {
    const { transport, logger } = this.#options;
    try {
      const socket = await transport.bind(
        { host: sender.on.address, port: 0 },
        { shared: false },
        // Answers come here: a unicast to the shared port would reach only one of its owners.
        (bytes, from) => this.#receive(bytes, from),
      );
      // The interface may have gone, or the node stopped, while it was bound.
      if (this.#stopped || ![...this.#senders.values()].includes(sender)) return socket.close();
      sender.socket = socket;
    } catch (thrown) {
      const reason = describeError(thrown);
      if (sender.count.problem !== reason) {
        logger.warn("No beacons on {name}: {reason}", { name: sender.on.name, reason });
      }
      sender.count.block(thrown);
    }
  }

  async #beat(): Promise<void> {
    const isDue = ++this.#beats % (BEACON_INTERVAL_MS / URGENT_INTERVAL_MS) === 0;
    if (isDue || this.#options.isUrgent()) this.#broadcast();
    if (this.#following) return;
    this.#following = true;
    try {
      if (await this.#follow(this.#chooseInterfaces()) && !this.#stopped) this.#burst();
    } catch (thrown) {
      // The interfaces that are known go on; the next beat looks again.
      this.#options.logger.debug("Cannot list the interfaces: {reason}", {
        reason: describeError(thrown),
      });
    } finally {
      this.#following = false;
    }
  }

  #burst(): void {
    const { clock } = this.#options;
    for (const cancel of this.#bursting) cancel();
    this.#bursting = BURST_MS.map((delayMs) => clock.after(delayMs, () => this.#broadcast()));
  }

  #broadcast(): void {
    for (const sender of this.#senders.values()) {
      this.#send(sender, this.#beacon(sender, false), sender.broadcast);
    }
  }

  #send(sender: Sender, bytes: Uint8Array, to: DatagramAddress): void {
    const { count, socket } = sender;
    const { clock, logger } = this.#options;
    socket?.send(bytes, to).then(() => count.send(clock.now()), (thrown) => {
      // A beacon that cannot be sent now is as good as lost: the next one comes soon.
      count.fail(thrown);
      logger.debug("{reason}", { reason: count.problem });
    });
  }

  #receive(bytes: Uint8Array, from: DatagramAddress): void {
    const isAllowed = this.#options.allows(from.host);
    // This node may be open to a range that its own addresses are not in.
    const isOwn = this.#ownAddresses.has(from.host);
    if ((isAllowed || isOwn) && this.#isTooMany(from.host)) return this.#drop("rate", from);
    const near = this.#sendersNear(from.host);
    if (!isOwn) {
      for (const { count } of near) count.hearStranger();
      if (!isAllowed) return this.#drop("not-allowed", from);
    }
    const beacon = tryDecode(bytes);
    const self = this.#options.self();
    const now = this.#options.clock.now();
    if (beacon?.bootId === self.bootId) {
      return near.find(({ on }) => on.address === from.host)?.count.hearOwn(now);
    }
    if (!isAllowed) return this.#drop("not-allowed", from);
    if (beacon === undefined) return this.#receiveForeign(bytes, from);
    if (beacon.network !== self.network) return this.#drop("foreign-network", from);
    if (near.length === 0) this.#elsewhere++;
    for (const { count } of near) count.hear(from.host, now);
    const isStranger = this.#sink?.sighted({
      nodeId: beacon.nodeId,
      bootId: beacon.bootId,
      address: { host: from.host, port: beacon.listenPort, via: this.name },
    });
    if (isStranger && !beacon.isAnswer) this.#answer(from);
  }

  /** It is no beacon of ours: of another program's, or of none. */
  #receiveForeign(bytes: Uint8Array, from: DatagramAddress): void {
    const { neighbours } = this.#options;
    if (neighbours === undefined) return this.#drop("malformed", from);
    try {
      const beacon = decodeForeignBeacon(bytes);
      if (!neighbours.peers.seen(beacon, from.host)) this.#drop("crowd", from);
    } catch {
      this.#drop("malformed", from);
    }
  }

  /** A stranger is answered, so that both know each other after one beacon of either. */
  #answer(to: DatagramAddress): void {
    // From the address that the stranger's network knows: it is where this node will be dialled.
    const sender = this.#sendersNear(to.host)[0] ??
      this.#senders.values().find(({ on }) => isLoopback(on) === isLoopback({ address: to.host }));
    if (sender === undefined) return;
    this.#send(sender, this.#beacon(sender, true), to);
  }

  #beacon({ on: { name } }: Sender, isAnswer: boolean): Uint8Array {
    const { self, neighbours, broadcastPort, clock } = this.#options;
    const capabilities = neighbours?.capabilities();
    const more = capabilities && foreignFields({
      broadcastPort,
      capabilities,
      interfaceName: name,
      wallTime: clock.wallTime(),
    });
    return encodeBeacon({ ...self(), isAnswer }, more);
  }

  /** The senders on the network that `host` is in: one for each address that this machine has. */
  #sendersNear(host: string): Sender[] {
    return [...this.#senders.values()].filter(({ on, broadcast }) =>
      broadcastAddress({ ...on, address: host }) === broadcast.host
    );
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

  #drop(reason: DropReason, { host }: DatagramAddress): void {
    this.#dropped[reason].count++;
    this.#dropped[reason].host = host;
  }
}

function tryDecode(bytes: Uint8Array): Beacon | undefined {
  try {
    return decodeBeacon(bytes);
  } catch {
    return undefined;
  }
}
