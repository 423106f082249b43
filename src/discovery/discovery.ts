/** The port of everything that finds nodes. */

import type { PeerAddress } from "../membership/peer.ts";
import type { Seed } from "../membership/seeds.ts";

/** A node was seen: only a hint that an address is worth dialling, not that anybody is there. */
export interface Sighting {
  readonly nodeId: string;
  /** The node's current start. */
  readonly bootId: string;
  readonly address: PeerAddress;
}

/** Takes what a discovery finds. */
export interface DiscoverySink {
  /** A node was seen; says whether it is a stranger, who is to be answered. */
  sighted(sighting: Sighting): boolean;
  /**
   * These are to be dialled, with back-off, for as long as they are listed; replaces all that the
   * discovery of this name listed before.
   *
   * @param via The name of the discovery.
   */
  listed(via: string, seeds: readonly Seed[]): void;
}

/** A way to find nodes. Several run at once. */
export interface Discovery {
  /** What it is called in `--discovery`: `"udp"`. */
  readonly name: string;
  /**
   * Begins to look and to be seen.
   *
   * @throws {NetworkError} When it cannot, with the reason and the mend.
   */
  start(sink: DiscoverySink): Promise<void>;
  /** Stops; idempotent. Nothing is told afterwards. */
  stop(): Promise<void>;
}
