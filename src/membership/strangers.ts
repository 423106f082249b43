/** Peers that are discovered and not linked: anybody can make up names, ports and hosts. */

import type { Peer } from "./peer.ts";

const MAX_OF_ONE_HOST = 64;
const MAX_OF_ALL = 1_024;

/** How many strangers are in the table of peers. */
export class Strangers {
  readonly #byHost = new Map<string, number>();
  #count = 0;

  /** Whether there is room for no more from `host`. Who is turned away can still dial this node. */
  isFullOf(host: string): boolean {
    return this.#count >= MAX_OF_ALL || (this.#byHost.get(host) ?? 0) >= MAX_OF_ONE_HOST;
  }

  /** A peer in the table has changed. */
  replaced(before: Peer | undefined, after: Peer | undefined): void {
    this.#add(before, -1);
    this.#add(after, 1);
  }

  #add(peer: Peer | undefined, by: 1 | -1): void {
    if (peer?.state !== "discovered") return;
    const { host } = peer.addresses[0];
    const count = (this.#byHost.get(host) ?? 0) + by;
    this.#count += by;
    if (count > 0) this.#byHost.set(host, count);
    else this.#byHost.delete(host);
  }
}
