/** Peers that fell silent and were given up: a network that was cut in two is to find itself again. */

import type { Peer } from "./peer.ts";
import type { Seed } from "./seeds.ts";

/** How long a peer is missed, in milliseconds. */
const MISSED_FOR_MS = 600_000;
/** Peers that are missed at a time: dialling them is to cost no more in a large network. */
const MAX_MISSED = 16;

/** See the top of the file. */
export class Missed {
  /** Under what name they are listed as seeds. */
  static readonly via = "missed";

  readonly #peers = new Map<string, { readonly seeds: Seed[]; readonly until: number }>();

  /** How many are missed. */
  get size(): number {
    return this.#peers.size;
  }

  /** A peer was given up. */
  add({ nodeId, addresses }: Peer, now: number): void {
    const seeds = addresses.map(({ host, port }) => ({ host, port, addresses: [host], nodeId }));
    this.#peers.set(nodeId, { seeds, until: now + MISSED_FOR_MS });
    if (this.#peers.size > MAX_MISSED) this.#peers.delete(this.#peers.keys().next().value!);
  }

  /** It is back. */
  forget(nodeId: string): void {
    this.#peers.delete(nodeId);
  }

  /** Gives up those that have been missed for too long. */
  expire(now: number): void {
    for (const [nodeId, { until }] of this.#peers) if (until <= now) this.#peers.delete(nodeId);
  }

  /** Where they were last. */
  seeds(): Seed[] {
    return this.#peers.values().flatMap(({ seeds }) => seeds).toArray();
  }
}
