/** What can be asked of, and done to, the keys of a network. */

import type { LinkPool } from "../link/link_pool.ts";
import { acceptedKeys, MAX_GRACE_MS } from "../security/keyring.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { Trust } from "../security/trust.ts";
import { keyedTrust } from "./key_exchange.ts";

/** One key that counts, without itself. */
export interface KeyStatus {
  /** What it is called: 16 hexadecimal digits. */
  readonly tag: string;
  /** How many keys came before it, from 1. */
  readonly epoch: number;
  /** Until when it counts beside the newest, in milliseconds since 1970; null for that one. */
  readonly acceptedUntil: number | null;
  /** How many devices may still come with it; null when everybody who has it may. */
  readonly acceptedFor: number | null;
}

/** A node that was seen, with who it is. Times are in milliseconds since 1970. */
export interface MemberStatus {
  /** Its label. */
  readonly nodeId: string;
  /** SHA-256 of its public key, in hexadecimal digits. */
  readonly identity: string;
  /** When it was first linked. */
  readonly firstSeen: number;
  /** When it was last linked anew. */
  readonly lastSeen: number;
  /** The key that its link is under; null while it has none. */
  readonly tag: string | null;
}

/** The keys of a network and who was seen with them. */
export interface KeyList {
  /** What the network is called. */
  readonly networkName: string;
  /** This node's own. */
  readonly identity: string;
  /** The newest first. */
  readonly keys: readonly KeyStatus[];
  /** Every node that was ever seen, in the order of their labels. */
  readonly members: readonly MemberStatus[];
}

/** What can be asked of the keys of a network that has one, and done to them. */
export interface NetworkKeys {
  /**
   * The keys that count, and the nodes that were ever seen.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when the network has no key, or does not run.
   */
  list(): KeyList;
  /**
   * Moves the network to a new key. Devices that are away have until the end of the grace to come
   * and be handed it; after that they have to join anew.
   *
   * @param options.graceMs For how long the old key counts, in milliseconds, 0 to 86,400,000, which
   * is the default.
   * @throws {NetworkError} `INVALID_ARGUMENT`; `FAILED_PRECONDITION`; `RESOURCE_EXHAUSTED` when it
   * cannot be kept, and nothing has changed.
   */
  rotate(options?: { graceMs?: number }): Promise<void>;
  /**
   * Moves all but one node to a new key: that one is cut off at once and cannot come back.
   *
   * @throws {NetworkError} `NOT_FOUND` when no such node was ever seen here; `INVALID_ARGUMENT`
   * when it is this one; `FAILED_PRECONDITION`.
   */
  evict(nodeId: string): Promise<void>;
  /**
   * Lets another device have a label that one was seen with before: a device that was set up anew.
   *
   * @throws {NetworkError} `NOT_FOUND` when nobody was seen with it; `FAILED_PRECONDITION` when the
   * network does not run.
   */
  forget(nodeId: string): Promise<void>;
}

/** What they are of. */
export interface NetworkKeysNeeds {
  readonly trust: () => Trust | undefined;
  readonly pool: Pick<LinkPool, "get">;
  readonly wallTime: () => number;
}

/** The keys of a node's network. */
export function networkKeys({ trust, pool, wallTime }: NetworkKeysNeeds): NetworkKeys {
  return {
    list() {
      const { ring, identity, known } = keyedTrust(trust(), "list the keys");
      return {
        networkName: ring.networkName,
        identity,
        keys: acceptedKeys(ring, wallTime()).map(({ key, epoch, acceptedUntil, onlyFor }) => ({
          tag: key.tag,
          epoch,
          acceptedUntil: acceptedUntil ?? null,
          acceptedFor: onlyFor?.size ?? null,
        })),
        members: known.list().map((one) => ({
          ...one,
          tag: pool.get(one.nodeId)?.credential?.tag ?? null,
        })),
      };
    },
    async rotate({ graceMs = MAX_GRACE_MS } = {}) {
      if (!(graceMs >= 0 && graceMs <= MAX_GRACE_MS)) {
        throw new NetworkError(
          "INVALID_ARGUMENT",
          `Cannot rotate the key: graceMs is ${graceMs}, expected 0 to ${MAX_GRACE_MS}.`,
        );
      }
      await keyedTrust(trust(), "rotate the key").rotate(graceMs);
    },
    async evict(nodeId) {
      await keyedTrust(trust(), "evict a node").evict(nodeId);
    },
    async forget(nodeId) {
      const believed = trust();
      if (believed === undefined) keyedTrust(believed, "forget a node");
      else if (await believed.known?.forget(nodeId)) return;
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot forget "${safeName(nodeId)}": no such node was ever seen here. ` +
          `See: hanzo-network key list`,
      );
    },
  };
}
