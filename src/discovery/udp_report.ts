/** What came of beacons, for people who ask why a peer is not seen. */

import { describeError } from "../base/errors.ts";
import type { NetworkInterface } from "../transport/interfaces.ts";

/** Why a datagram was not used. */
export type DropReason =
  /** It is no beacon. */
  | "malformed"
  /** Its host has sent more than a hundred in this second, or strangers too many together. */
  | "rate"
  /** It is of another program, of which there are too many already. */
  | "crowd"
  /** It is of a network with another name. */
  | "foreign-network"
  /** It is sealed with a key that this node does not have. */
  | "foreign-key"
  /** It is sealed, and this node has no key. */
  | "sealed"
  /** It is in the clear, and this node has a key. */
  | "plaintext"
  /** It names this network's key, and was not sealed with it. */
  | "forged"
  /** It was sealed for being sent from another address. */
  | "relocated"
  /** It has been read before. */
  | "replayed"
  /** This node may not talk to its host. */
  | "not-allowed";

/** How many datagrams were not used for one reason, and the host that sent the last of them. */
export interface Dropped {
  readonly count: number;
  readonly host: string;
}

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
  /** Whether that problem is that the interface is down. */
  readonly isDown: boolean;
  /** This node's own beacons that came back: none says that something keeps them from arriving. */
  readonly own: number;
  /** Beacons of others of this network. */
  readonly heard: number;
  /** The hosts that sent them, the latest last; at most 64. */
  readonly hosts: readonly string[];
  /** Datagrams of other machines on its network, whatever they were. */
  readonly strangers: number;
  /** When the last one was sent, was an own one, was another's: in milliseconds ago. */
  readonly sentAgoMs: number | undefined;
  readonly ownAgoMs: number | undefined;
  readonly heardAgoMs: number | undefined;
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
  /** Datagrams that were not used. */
  readonly dropped: Readonly<Record<DropReason, Dropped>>;
}

/** Hosts that are remembered for each interface. */
const MAX_HOSTS = 64;

/** What systems call an interface that is down, or an address that it has lost. */
const DOWN_CODES = /\b(ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|AddrNotAvailable|NetworkUnreachable)\b/;
const DOWN_TEXT = /\bnetwork is (unreachable|down)\b/i;

/** Whether a beacon that failed with `thrown` says that its interface is down. */
function saysDown(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const code = "code" in thrown ? thrown.code : "";
  const text = `${code} ${thrown.name} ${thrown.message}`;
  return DOWN_CODES.test(text) || DOWN_TEXT.test(text) || saysDown(thrown.cause);
}

/** Counts what happens on one interface. Times are of one clock, in milliseconds. */
export class InterfaceCount {
  #sent = 0;
  #failed = 0;
  #own = 0;
  #heard = 0;
  #strangers = 0;
  #problem: string | undefined;
  #isDown = false;
  #sentAt: number | undefined;
  #ownAt: number | undefined;
  #heardAt: number | undefined;
  readonly #hosts = new Set<string>();

  /** Why no beacon leaves now; undefined while they do. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The system took a beacon. */
  send(now: number): void {
    this.#sent++;
    this.#sentAt = now;
    this.#problem = undefined;
    this.#isDown = false;
  }

  /** The system did not take a beacon. */
  fail(thrown: unknown): void {
    this.#failed++;
    this.block(thrown);
  }

  /** No beacon can leave, for that reason. */
  block(thrown: unknown): void {
    this.#problem = describeError(thrown);
    this.#isDown = saysDown(thrown);
  }

  /** A beacon of this node has come back. */
  hearOwn(now: number): void {
    this.#own++;
    this.#ownAt = now;
  }

  /** Something of another machine has come. */
  hearStranger(): void {
    this.#strangers++;
  }

  /** A beacon of another node has come from `host`. */
  hear(host: string, now: number): void {
    this.#heard++;
    this.#heardAt = now;
    this.#hosts.delete(host);
    this.#hosts.add(host);
    if (this.#hosts.size > MAX_HOSTS) this.#hosts.delete(this.#hosts.values().next().value!);
  }

  /** All of it, as it is at `now`. */
  report({ name, address }: NetworkInterface, broadcast: string, now: number): InterfaceReport {
    const ago = (at: number | undefined) => at === undefined ? undefined : now - at;
    return {
      name,
      address,
      broadcast,
      sent: this.#sent,
      failed: this.#failed,
      problem: this.#problem,
      isDown: this.#isDown,
      own: this.#own,
      heard: this.#heard,
      hosts: [...this.#hosts],
      strangers: this.#strangers,
      sentAgoMs: ago(this.#sentAt),
      ownAgoMs: ago(this.#ownAt),
      heardAgoMs: ago(this.#heardAt),
    };
  }
}
