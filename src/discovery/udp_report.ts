/** What came of beacons, for people who ask why a peer is not seen. */

import type { NetworkInterface } from "../transport/interfaces.ts";

/** Why a datagram was not used. */
export type DropReason =
  /** It is no beacon. */
  | "malformed"
  /** Its host has sent more than a hundred in this second. */
  | "rate"
  /** It is of another program, of which there are too many already. */
  | "crowd"
  /** It is of a network with another name. */
  | "foreign-network"
  /** This node may not talk to its host. */
  | "not-allowed";

/** What came of beacons on one address of one interface. */
export interface InterfaceReport {
  readonly name: string;
  readonly address: string;
  /** Where beacons go. */
  readonly broadcast: string;
  /** Beacons that the system took. */
  readonly sent: number;
  /** Beacons that it did not take, and why the last time. */
  readonly failed: number;
  readonly problem: string | undefined;
  /** This node's own beacons that came back: none says that something keeps them from arriving. */
  readonly own: number;
  /** Beacons of others of this network. */
  readonly heard: number;
  /** The hosts that sent them, the latest last; at most 64. */
  readonly hosts: readonly string[];
}

/** What came of beacons. */
export interface UdpReport {
  /** The port on which beacons are heard. */
  readonly port: number;
  /** What makes the sockets: `"Deno.listenDatagram"`. */
  readonly transport: string;
  readonly interfaces: readonly InterfaceReport[];
  /** Beacons from hosts of none of these networks. */
  readonly elsewhere: number;
  /** Datagrams that were not used, and the host that sent the last of each kind. */
  readonly dropped: Readonly<Record<DropReason, { readonly count: number; readonly host: string }>>;
}

/** Hosts that are remembered for each interface. */
const MAX_HOSTS = 64;

/** Counts what happens on one interface. */
export class InterfaceCount {
  sent = 0;
  failed = 0;
  own = 0;
  heard = 0;
  problem: string | undefined;
  readonly #hosts = new Set<string>();

  /** A beacon of another node has come from `host`. */
  hear(host: string): void {
    this.heard++;
    this.#hosts.delete(host);
    this.#hosts.add(host);
    if (this.#hosts.size > MAX_HOSTS) this.#hosts.delete(this.#hosts.values().next().value!);
  }

  report({ name, address }: NetworkInterface, broadcast: string): InterfaceReport {
    const { sent, failed, own, heard, problem } = this;
    return { name, address, broadcast, sent, failed, problem, own, heard, hosts: [...this.#hosts] };
  }
}
