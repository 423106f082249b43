/** What can be asked of, and done to, the keys of a network. */

import type { LinkPool } from "../link/link_pool.ts";
import type { Membership } from "../membership/membership.ts";
import type { Eviction } from "../security/eviction.ts";
import { acceptedKeys, MAX_GRACE_MS } from "../security/keyring.ts";
import type { KnownNode } from "../security/known_nodes.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import type { ClientCertificate } from "../security/client_certificate.ts";
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
export interface MemberStatus extends KnownNode {
  /** The key that its link is under; null while it has none. */
  readonly tag: string | null;
  /**
   * Whether the last key that it is known to have counts for it. If not, it was evicted, or away for
   * longer than that key counted, and has to join anew; but not where it is a node of this machine.
   */
  readonly counts: boolean;
}

/** The keys of a network and who was seen with them. */
export interface KeyList {
  /** What the network is called. */
  readonly networkName: string;
  /** This node's own. */
  readonly identity: string;
  /** The newest first. */
  readonly keys: readonly KeyStatus[];
  /** Every node that was ever seen and not forgotten, in the order of their labels. */
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
   * Moves all but some nodes to a new key: those are cut off at once and cannot come back. So are all
   * that may be one of them under another label: who was first seen less than a day ago, or only ever
   * at an address of theirs. One that is honest has to join anew.
   *
   * @param nodeIds The label of the node that is to be out, or the labels of several.
   * @param options.keep The labels of nodes that stay whatever was seen of them: devices that joined
   * today, for example.
   * @param options.dryRun Only says who would be out, and changes nothing.
   * @returns Who is out, and who stays: one that is not a device of yours is to be evicted, too.
   * @throws {NetworkError} `NOT_FOUND` when no such node was ever seen here; `INVALID_ARGUMENT`
   * when it is this one, or is to be kept as well; `FAILED_PRECONDITION`; `RESOURCE_EXHAUSTED` when
   * the key cannot be kept, and nothing has changed.
   */
  evict(
    nodeIds: string | readonly string[],
    options?: { keep?: readonly string[]; dryRun?: boolean },
  ): Promise<Eviction>;
  /**
   * Certifies that a program in another language may run agents, list them and ask for the status,
   * at every node of the network: it is no node, and cannot link, invite, evict or learn the key.
   * That counts as long as the newest key does, and ends with any eviction.
   *
   * @param name What the program is called: a label.
   * @param publicKey Of the program: on P-256, as DER (SubjectPublicKeyInfo).
   * @throws {NetworkError} `INVALID_ARGUMENT`; `FAILED_PRECONDITION` when the network has no key, or
   * does not run.
   */
  certifyClient(name: string, publicKey: Uint8Array): Promise<ClientCertificate>;
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
  readonly membership: Pick<Membership, "reconsider">;
  readonly wallTime: () => number;
}

/** The keys of a node's network. */
export function networkKeys(
  { trust, pool, membership, wallTime }: NetworkKeysNeeds,
): NetworkKeys {
  return {
    list() {
      const keyed = keyedTrust(trust(), "list the keys");
      const { ring, identity, known } = keyed;
      return {
        networkName: ring.networkName,
        identity,
        keys: acceptedKeys(ring, wallTime()).map(({ key, epoch, acceptedUntil, onlyFor }) => ({
          tag: key.tag,
          epoch,
          acceptedUntil: acceptedUntil ?? null,
          acceptedFor: onlyFor?.size ?? null,
        })),
        members: known.list().map((one) => {
          const tag = pool.get(one.nodeId)?.credential?.tag ?? null;
          return { ...one, tag, counts: tag !== null || keyed.counts(one) };
        }),
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
    async evict(nodeIds, options) {
      const labels = typeof nodeIds === "string" ? [nodeIds] : nodeIds;
      return await keyedTrust(trust(), "evict a node").evict(labels, options);
    },
    async certifyClient(name, publicKey) {
      const keyed = keyedTrust(trust(), "certify a client");
      if (isLabel(name)) return await keyed.certifyClient(name, publicKey);
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot certify a client: its name is ${
          JSON.stringify(safeName(name, 64))
        }, expected 1 to ` +
          '63 letters, digits, ".", "_" or "-", beginning with a letter or digit.',
      );
    },
    async forget(nodeId) {
      const believed = trust();
      if (believed === undefined) keyedTrust(believed, "forget a node");
      // Whoever has the label now, and was refused for it, is not to wait.
      else if (await believed.known?.forget(nodeId)) return membership.reconsider();
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot forget "${safeName(nodeId)}": no such node was ever seen here. ` +
          `See: hanzo-network key list`,
      );
    },
  };
}
