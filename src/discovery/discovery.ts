/** The port of everything that finds nodes. */

import type { PeerAddress } from "../membership/peer.ts";

/** A node was seen: only a hint that an address is worth dialling, not that anybody is there. */
export interface Sighting {
  readonly nodeId: string;
  /** The node's current start. */
  readonly bootId: string;
  readonly address: PeerAddress;
}

/** A way to find nodes. */
export interface Discovery {
  /** What it is called in `--discovery`: `"udp"`. */
  readonly name: string;
  /**
   * Begins to look and to be seen.
   *
   * @param onSighting Takes what is seen and says whether it is news: a stranger is answered.
   * @throws {NetworkError} When it cannot, with the reason and the mend.
   */
  start(onSighting: (sighting: Sighting) => boolean): Promise<void>;
  /** Stops; idempotent. */
  stop(): Promise<void>;
}
