/** Keeps the links of a node to those who are of its network, and hands them its newest keys. */

import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { LinkPool } from "../link/link_pool.ts";
import type { PeerLink } from "../link/peer_link.ts";
import { KeyedTrust } from "../security/keyed_trust.ts";
import type { PeerCredential, Trust } from "../security/trust.ts";

/** The topic under which nodes hand each other their keyring. */
export const KEYRING_TOPIC = "keyring";

/** What it is made of. */
export interface KeyExchangeNeeds {
  readonly trust: Trust;
  readonly pool: Pick<LinkPool, "links" | "dial">;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/**
 * Keyrings that one link may hand in within ten seconds: three times what comes of all changes that
 * a peer takes from others, which are ten a second.
 */
const MAX_HANDED = 300;
const HANDED_WITHIN_MS = 10_000;
/** Between two warnings of hosts that bring too many new nodes: whoever does could fill the log. */
const WARN_AGAIN_MS = 60_000;

/** See the top of the file. */
export class KeyExchange {
  readonly #needs: KeyExchangeNeeds;
  /** Whose keys were not taken, which was told. */
  readonly #told = new WeakSet<PeerLink>();
  /** The last keyring that each link has handed in, until it is looked at. */
  readonly #handed = new WeakMap<PeerLink, Uint8Array>();
  /** How many it has handed in since a moment of the clock. */
  readonly #counts = new WeakMap<PeerLink, { since: number; count: number }>();
  /** Beside which a link under the newest key is being made, or was. */
  readonly #renewed = new WeakSet<PeerLink>();
  #warnedAt = -Infinity;

  constructor(needs: KeyExchangeNeeds) {
    this.#needs = needs;
  }

  /** {@linkcode Trust.vouch}; of too many newcomers the owner is told. */
  vouch(nodeId: string, credential: PeerCredential | undefined, host: string): void {
    try {
      this.#needs.trust.vouch(nodeId, credential, host);
    } catch (thrown) {
      const isCrowd = thrown instanceof NetworkError && thrown.code === "RESOURCE_EXHAUSTED";
      if (isCrowd) this.#warn(thrown.message);
      throw thrown;
    }
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
    const handout = trust.handout();
    for (const link of pool.links()) link.notify(KEYRING_TOPIC, handout);
  }

  /**
   * A peer hands out its keyring. A later one has all that an earlier one had: so of those that come
   * faster than they are looked at, only the last is.
   */
  async took(bytes: Uint8Array, link: PeerLink): Promise<void> {
    if (this.#isFlood(link)) {
      this.#handed.delete(link);
      this.#tell(
        link,
        `more than ${MAX_HANDED} keyrings came within ten seconds; its link is closed`,
      );
      return link.close();
    }
    const isLookedAt = this.#handed.has(link);
    this.#handed.set(link, bytes);
    if (isLookedAt) return;
    // After all of the frame that is being read: it may hold thousands.
    await Promise.resolve();
    for (;;) {
      const last = this.#handed.get(link);
      if (last === undefined) return;
      await this.#take(last, link);
      // None came meanwhile.
      if (this.#handed.get(link) === last) this.#handed.delete(link);
    }
  }

  async #take(bytes: Uint8Array, link: PeerLink): Promise<void> {
    const { trust } = this.#needs;
    if (!(trust instanceof KeyedTrust) || link.credential === undefined) return;
    try {
      const isSame = await trust.take(bytes, link.credential);
      if (!isSame) return;
      trust.known.noteKey(link.peer.nodeId, link.credential.identity, trust.ring.keys[0].key.tag);
      if (link.dialled) void this.#renew(link, trust);
    } catch (thrown) {
      this.#tell(link, describeError(thrown));
    }
  }

  #isFlood(link: PeerLink): boolean {
    const now = this.#needs.clock.now();
    const counted = this.#counts.get(link);
    if (counted === undefined || now - counted.since >= HANDED_WITHIN_MS) {
      this.#counts.set(link, { since: now, count: 1 });
      return false;
    }
    return ++counted.count > MAX_HANDED;
  }

  /** One that sends them again and again fills no log. */
  #tell(link: PeerLink, reason: string): void {
    if (this.#told.has(link)) return;
    this.#told.add(link);
    this.#needs.logger.warn('The keys of "{nodeId}" are not taken: {reason}', {
      nodeId: link.peer.nodeId,
      reason,
    });
  }

  #warn(reason: string): void {
    const { clock, logger } = this.#needs;
    if (clock.now() - this.#warnedAt < WARN_AGAIN_MS) return;
    this.#warnedAt = clock.now();
    logger.warn("{reason}", { reason });
  }

  /**
   * Makes a link under the newest key beside one under an old key, which would be cut off at the end
   * of the grace, with what runs on it. One at a time, and none after it was made, however often the
   * peer says that it has the key.
   */
  async #renew(link: PeerLink, trust: KeyedTrust): Promise<void> {
    const { pool, logger } = this.#needs;
    const { credential, state, remoteHost: host } = link;
    if (credential === undefined || trust.isCurrent(credential) || state !== "open") return;
    if (this.#renewed.has(link)) return;
    this.#renewed.add(link);
    const { nodeId, listenPort: port } = link.peer;
    try {
      await pool.dial([{ host, port }]);
    } catch (thrown) {
      this.#renewed.delete(link);
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
