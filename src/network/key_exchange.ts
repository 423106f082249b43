/** Keeps the links of a node to those who are of its network, and hands them its newest keys. */

import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { LinkPool } from "../link/link_pool.ts";
import type { PeerLink } from "../link/peer_link.ts";
import { KeyedTrust } from "../security/keyed_trust.ts";
import type { Trust } from "../security/trust.ts";

/** The topic under which nodes hand each other their keyring. */
export const KEYRING_TOPIC = "keyring";

/** What it is made of. */
export interface KeyExchangeNeeds {
  readonly trust: Trust;
  readonly pool: Pick<LinkPool, "links" | "dial">;
  readonly logger: Logger;
}

/** See the top of the file. */
export class KeyExchange {
  readonly #needs: KeyExchangeNeeds;
  /** Whose keys were not taken, which was told. */
  readonly #told = new WeakSet<PeerLink>();

  constructor(needs: KeyExchangeNeeds) {
    this.#needs = needs;
  }

  /** A peer came: under an old key, or beside one who did, it may not have heard of the newest. */
  linked(link: PeerLink): void {
    const { trust } = this.#needs;
    const { credential } = link;
    if (!(trust instanceof KeyedTrust) || credential === undefined) return;
    if (!trust.isCurrent(credential)) link.notify(KEYRING_TOPIC, trust.handout());
  }

  /** The keys have changed, or who counts: first who goes, then who is told. */
  changed(): void {
    const { trust, pool } = this.#needs;
    if (!(trust instanceof KeyedTrust)) return;
    for (const link of pool.links()) {
      if (link.credential === undefined || !trust.admits(link.credential)) link.close();
    }
    for (const link of pool.links()) link.notify(KEYRING_TOPIC, trust.handout());
  }

  /** A peer hands out its keyring. */
  async took(bytes: Uint8Array, link: PeerLink): Promise<void> {
    const { trust, logger } = this.#needs;
    if (!(trust instanceof KeyedTrust) || link.credential === undefined) return;
    try {
      const isSame = await trust.take(bytes, link.credential);
      if (isSame && link.dialled) await this.#renew(link, trust);
    } catch (thrown) {
      // One that sends them again and again fills no log.
      if (this.#told.has(link)) return;
      this.#told.add(link);
      logger.warn('The keys of "{nodeId}" are not taken: {reason}', {
        nodeId: link.peer.nodeId,
        reason: describeError(thrown),
      });
    }
  }

  /**
   * Makes a link under the newest key beside one under an old key, which would be cut off at the end
   * of the grace, with what runs on it.
   */
  async #renew(link: PeerLink, trust: KeyedTrust): Promise<void> {
    const { pool, logger } = this.#needs;
    const { credential, state, remoteHost: host } = link;
    if (credential === undefined || trust.isCurrent(credential) || state !== "open") return;
    const { nodeId, listenPort: port } = link.peer;
    try {
      await pool.dial([{ host, port }]);
    } catch (thrown) {
      // It may be gone by now. Whoever finds it again dials with the newest key.
      logger.debug('The link to "{nodeId}" stays under an old key: {reason}', {
        nodeId,
        reason: describeError(thrown),
      });
    }
  }
}

/**
 * The trust, if it rests on a network key.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION` when there is none.
 */
export function keyedTrust(trust: Trust | undefined, action: string): KeyedTrust {
  if (trust instanceof KeyedTrust) return trust;
  throw new NetworkError(
    "FAILED_PRECONDITION",
    trust === undefined
      ? `Cannot ${action}: the network does not run. Call start() first.`
      : `Cannot ${action}: this node has no network key, because it was started ` +
        (trust.mode === "open" ? "with --open." : "with certificates of its own."),
  );
}
