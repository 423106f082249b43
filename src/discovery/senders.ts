/** The addresses that beacons leave from: one socket for each, as interfaces come and go. */

import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type {
  DatagramAddress,
  DatagramReceiver,
  DatagramSocket,
  DatagramTransport,
} from "../transport/datagram.ts";
import {
  broadcastAddress,
  chooseInterfaces,
  type InterfaceChoice,
  isLoopback,
  type NetworkInterface,
} from "../transport/interfaces.ts";
import { InterfaceCount } from "./udp_report.ts";

/** An address that beacons leave from. */
export interface Sender {
  readonly on: NetworkInterface;
  readonly broadcast: DatagramAddress;
  readonly count: InterfaceCount;
  /** Undefined while the system does not let it be bound. */
  readonly socket: DatagramSocket | undefined;
}

/** The same, with what is needed to change and to find it. */
interface OwnSender extends Sender {
  socket: DatagramSocket | undefined;
  readonly mask: number;
  readonly network: number;
}

/** What {@linkcode Senders} is made of. */
export interface SendersOptions {
  readonly transport: DatagramTransport;
  readonly logger: Logger;
  readonly interfaces: InterfaceChoice;
  readonly broadcastPort: number;
  /** Takes what comes back: a unicast to the shared port would reach only one of its owners. */
  readonly receive: DatagramReceiver;
}

/** See the top of the file. */
export class Senders {
  readonly #options: SendersOptions;
  /** By interface and address. */
  #senders: ReadonlyMap<string, OwnSender> = new Map();
  /** All of this machine's, also where no beacons leave. */
  #ownAddresses: ReadonlySet<string> = new Set();
  #closed = false;

  constructor(options: SendersOptions) {
    this.#options = options;
  }

  /** All of them, in the order of the interfaces. */
  all(): Sender[] {
    return [...this.#senders.values()];
  }

  /** Whether `host` is an address of this machine. */
  isOwn(host: string): boolean {
    return this.#ownAddresses.has(host);
  }

  /** Those on the network that `host` is in: one for each address that this machine has there. */
  near(host: string): Sender[] {
    const address = toNumber(host);
    const near: Sender[] = [];
    // For each datagram of a flood: without a text, a list or a function that is made for it.
    for (const sender of this.#senders.values()) {
      if ((address & sender.mask) === sender.network) near.push(sender);
    }
    return near;
  }

  /** The interfaces that beacons are to leave by now. */
  choose(): NetworkInterface[] {
    const { transport, interfaces } = this.#options;
    const all = transport.interfaces();
    this.#ownAddresses = new Set(all.map(({ address }) => address));
    return chooseInterfaces(all, interfaces);
  }

  /** What was asked for and is not there is told, because beacons on the others do not show it. */
  tellMissing(chosen: readonly NetworkInterface[]): void {
    const { transport, interfaces, logger } = this.#options;
    const all = transport.interfaces();
    const names = new Set(all.map(({ name }) => name));
    for (const name of interfaces.names) {
      if (names.has(name) || (name === "lo" && all.some(isLoopback))) continue;
      const problem = `Cannot look for peers on "${name}": this machine has no such interface ` +
        `with an IPv4 address. There are: ${[...names].join(", ")}.`;
      if (chosen.length === 0) throw new NetworkError("NOT_FOUND", problem);
      logger.warn("{problem}", { problem });
    }
  }

  /** Beacons leave from exactly these from now on; says whether there is a new one among them. */
  async follow(chosen: readonly NetworkInterface[]): Promise<boolean> {
    const before = this.#senders;
    const senders = new Map<string, OwnSender>();
    for (const on of chosen) {
      const key = `${on.name} ${on.address} ${on.netmask}`;
      senders.set(key, before.get(key) ?? this.#newSender(on));
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

  /** Closes all sockets; idempotent. */
  close(): void {
    this.#closed = true;
    for (const { socket } of this.#senders.values()) socket?.close();
  }

  #newSender(on: NetworkInterface): OwnSender {
    const broadcast = { host: broadcastAddress(on), port: this.#options.broadcastPort };
    const mask = toNumber(on.netmask);
    const network = toNumber(on.address) & mask;
    return { on, broadcast, count: new InterfaceCount(), socket: undefined, mask, network };
  }

  async #open(sender: OwnSender): Promise<void> {
    const { transport, logger, receive } = this.#options;
    try {
      const socket = await transport.bind(
        { host: sender.on.address, port: 0 },
        { shared: false },
        receive,
      );
      // The interface may have gone, or the node stopped, while it was bound.
      if (this.#closed || ![...this.#senders.values()].includes(sender)) return socket.close();
      sender.socket = socket;
    } catch (thrown) {
      const reason = describeError(thrown);
      if (sender.count.problem !== reason) {
        logger.warn("No beacons on {name}: {reason}", { name: sender.on.name, reason });
      }
      sender.count.block(thrown);
    }
  }
}

const DOT = 0x2e;
const ZERO = 0x30;

/** The 32 bits of an IPv4 address. */
function toNumber(address: string): number {
  let number = 0;
  let octet = 0;
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === DOT) {
      number = number << 8 | octet;
      octet = 0;
    } else {
      octet = octet * 10 + code - ZERO;
    }
  }
  return number << 8 | octet;
}
