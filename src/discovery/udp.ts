/** Finds nodes by UDP broadcast on each interface, the loopback included. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { NetworkKey } from "../security/network_key.ts";
import type { DatagramAddress, DatagramSocket, DatagramTransport } from "../transport/datagram.ts";
import {
  broadcastAddress,
  type InterfaceChoice,
  isLoopback,
  type NetworkInterface,
} from "../transport/interfaces.ts";
import type { Beacon } from "./beacon.ts";
import type { BeaconForm } from "./beacon_form.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";
import { DroppedDatagrams } from "./dropped_datagrams.ts";
import type { ForeignCapabilities } from "./foreign_beacon.ts";
import type { ForeignPeers } from "./foreign_peers.ts";
import { PlainBeacons } from "./plain_beacons.ts";
import { SealedBeacons } from "./sealed_beacons.ts";
import { type Sender, Senders } from "./senders.ts";
import type { UdpReport } from "./udp_report.ts";

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
  /**
   * The network's keys that are accepted now, each always the same object: the first one seals
   * beacons, any of them opens one. Undefined: beacons are in the clear.
   */
  readonly keys: (() => readonly NetworkKey[]) | undefined;
  /** Whether a node at `host` may be talked to at all. */
  readonly allows: (host: string) => boolean;
  /** Whether somebody is missed, so that it is worth being seen more often. */
  readonly isUrgent: () => boolean;
  /** Peers of other programs, if this node is to be seen by them and to see them; needs no keys. */
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

/** See the top of the file. */
export class UdpDiscovery implements Discovery {
  readonly name = "udp";
  readonly #options: UdpDiscoveryOptions;
  readonly #form: BeaconForm;
  readonly #senders: Senders;
  readonly #dropped: DroppedDatagrams;
  #elsewhere = 0;
  #sink: DiscoverySink | undefined;
  #receiver: DatagramSocket | undefined;
  #cancelBeats: CancelTimer = () => {};
  #bursting: CancelTimer[] = [];
  #beats = 0;
  #following = false;
  #stopped = false;

  constructor(options: UdpDiscoveryOptions) {
    const { clock, broadcastPort, keys, neighbours } = options;
    this.#options = options;
    this.#form = keys === undefined
      ? new PlainBeacons({ clock, broadcastPort, capabilities: neighbours?.capabilities })
      : new SealedBeacons({ clock, keys });
    this.#senders = new Senders({ ...options, receive: (...args) => this.#receive(...args) });
    this.#dropped = new DroppedDatagrams(options);
  }

  /** What came of it so far. */
  report(): UdpReport {
    const { broadcastPort: port, transport, clock } = this.#options;
    const now = clock.now();
    return {
      port,
      transport: transport.name,
      interfaces: this.#senders.all()
        .map(({ on, broadcast, count }) => count.report(on, broadcast.host, now)),
      elsewhere: this.#elsewhere,
      dropped: this.#dropped.report(),
    };
  }

  async start(sink: DiscoverySink): Promise<void> {
    const { transport, clock, logger } = this.#options;
    this.#sink = sink;
    const chosen = this.#senders.choose();
    this.#senders.tellMissing(chosen);
    this.#receiver = await this.#openReceiver(chosen);
    await this.#senders.follow(chosen);
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
    this.#senders.close();
    return Promise.resolve();
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

  async #beat(): Promise<void> {
    const isDue = ++this.#beats % (BEACON_INTERVAL_MS / URGENT_INTERVAL_MS) === 0;
    if (isDue || this.#options.isUrgent()) this.#broadcast();
    if (this.#following) return;
    this.#following = true;
    try {
      if (await this.#senders.follow(this.#senders.choose()) && !this.#stopped) this.#burst();
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
    for (const sender of this.#senders.all()) this.#send(sender, false, sender.broadcast);
  }

  #send({ on, count, socket }: Sender, isAnswer: boolean, to: DatagramAddress): void {
    const { self, clock, logger } = this.#options;
    const bytes = this.#form.write({ ...self(), isAnswer }, on);
    if (bytes === undefined) return;
    socket?.send(bytes, to).then(() => count.send(clock.now()), (thrown) => {
      // A beacon that cannot be sent now is as good as lost: the next one comes soon.
      count.fail(thrown);
      logger.debug("{reason}", { reason: count.problem });
    });
  }

  #receive(bytes: Uint8Array, from: DatagramAddress): void {
    const { host } = from;
    const isAllowed = this.#options.allows(host);
    // This node may be open to a range that its own addresses are not in.
    const isOwn = this.#senders.isOwn(host);
    const near = this.#senders.near(host);
    if (!isOwn) {
      for (const { count } of near) count.hearStranger();
      if (!isAllowed) return this.#dropped.add("not-allowed", host);
    }
    const heard = this.#form.read(bytes, host);
    if (heard.type === "beacon" && heard.beacon.bootId === this.#options.self().bootId) {
      const now = this.#options.clock.now();
      return near.find(({ on }) => on.address === host)?.count.hearOwn(now);
    }
    if (!isAllowed) return this.#dropped.add("not-allowed", host);
    if (heard.type === "dropped") return this.#dropped.add(heard.reason, host);
    if (heard.type === "beacon") return this.#hear(heard.beacon, near, from);
    const hasRoom = this.#options.neighbours?.peers.seen(heard.beacon, host);
    if (!hasRoom) this.#dropped.add("crowd", host);
  }

  /** Another node is there. */
  #hear(beacon: Beacon, near: readonly Sender[], from: DatagramAddress): void {
    if (beacon.network !== this.#options.self().network) {
      return this.#dropped.add("foreign-network", from.host);
    }
    const now = this.#options.clock.now();
    if (near.length === 0) this.#elsewhere++;
    for (const { count } of near) count.hear(from.host, now);
    const isStranger = this.#sink?.sighted({
      nodeId: beacon.nodeId,
      bootId: beacon.bootId,
      address: { host: from.host, port: beacon.listenPort, via: this.name },
    });
    if (isStranger && !beacon.isAnswer) this.#answer(near, from);
  }

  /** A stranger is answered, so that both know each other after one beacon of either. */
  #answer(near: readonly Sender[], to: DatagramAddress): void {
    // From the address that the stranger's network knows: it is where this node will be dialled.
    const sender = near[0] ??
      this.#senders.all().find(({ on }) => isLoopback(on) === isLoopback({ address: to.host }));
    if (sender !== undefined) this.#send(sender, true, to);
  }
}
