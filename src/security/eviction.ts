/** Who stays when others are put out, decided by what was seen of them: a pure function. */

import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { KnownNode } from "./known_nodes.ts";

/** Who is out by an eviction, and who is not. */
export interface Eviction {
  /** Who was named. */
  readonly evicted: readonly KnownNode[];
  /** Who may still come with an old key for a day, and is handed the new one. */
  readonly staying: readonly KnownNode[];
  /**
   * Who is out as well, because it may be one of the evicted under another label: it was first seen
   * less than a day ago, or only ever at an address of theirs. One that is honest has to join anew.
   */
  readonly doubted: readonly KnownNode[];
}

/** What an eviction is to be. */
export interface EvictionWish {
  /** The labels of those who are to be out. */
  readonly evict: readonly string[];
  /** The labels of those who stay whatever was seen of them. */
  readonly keep: readonly string[];
  /** Whether the last key that a node is known to have counts for it: who is out already is left out. */
  readonly counts: (node: KnownNode) => boolean;
  /** Now, in milliseconds since 1970. */
  readonly now: number;
}

/** Whoever was first seen longer ago than this was not made up for the occasion: a day. */
const PROVEN_AFTER_MS = 24 * 60 * 60 * 1_000;

/**
 * Decides who stays. Who is to be put out can have linked itself under any number of labels, each
 * with a key pair of its own, and nothing in a certificate shows that. So only those stay who have
 * been there for a day, at another address than the evicted, and those whom the owner vouches for.
 *
 * @throws {NetworkError} `NOT_FOUND` when nobody was ever seen with a label; `INVALID_ARGUMENT` when
 * one is both to stay and to be out.
 */
export function planEviction(
  known: readonly KnownNode[],
  { evict, keep, counts, now }: EvictionWish,
): Eviction {
  const identityOf = (nodeId: string) => {
    const found = known.find((one) => one.nodeId === nodeId);
    if (found === undefined) throw neverSeen(nodeId);
    return found.identity;
  };
  const out = new Set(evict.map(identityOf));
  const kept = new Set(keep.map(identityOf));
  const both = keep.find((nodeId) => out.has(identityOf(nodeId)));
  if (both !== undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot keep "${both}": it is one of those that are to be evicted.`,
    );
  }
  const evicted = known.filter(({ identity }) => out.has(identity));
  const theirs = new Set(evicted.flatMap(({ hosts }) => hosts));
  const isProven = ({ firstSeen, hosts }: KnownNode) =>
    now - firstSeen >= PROVEN_AFTER_MS &&
    (hosts.length === 0 || hosts.some((host) => !theirs.has(host)));
  const others = known.filter((one) => !out.has(one.identity) && counts(one));
  const stays = new Set([
    ...kept,
    ...others.filter(isProven).map(({ identity }) => identity),
  ]);
  return {
    evicted,
    staying: others.filter(({ identity }) => stays.has(identity)),
    doubted: others.filter(({ identity }) => !stays.has(identity)),
  };
}

function neverSeen(nodeId: string): NetworkError {
  const label = safeName(nodeId);
  return new NetworkError(
    "NOT_FOUND",
    `Cannot evict or keep "${label}": no such node was ever seen here. See: hanzo-network key list`,
  );
}
