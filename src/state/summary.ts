/** How far a replica is, in a few bytes: neighbours see by it whether they differ. */

import type { Position } from "./row_ledger.ts";

/** Of the hash of what was seen; as many of the digest follow. */
export const HASH_BYTES = 8;

/**
 * The same for the same versions, in whatever order: FNV-1a of each, added up. Behind it the digest of
 * what is shown.
 */
export function summaryOf({ versions, digest }: Position): Uint8Array {
  let sum = 0n;
  for (const [origin, seq] of versions) {
    let hash = 0xcbf29ce484222325n;
    for (const unit of `${origin} ${seq}`) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(unit.codePointAt(0)!)) * 0x100000001b3n);
    }
    sum = BigInt.asUintN(64, sum + hash);
  }
  const bytes = new Uint8Array(2 * HASH_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, sum);
  view.setBigUint64(HASH_BYTES, BigInt(digest));
  return bytes;
}
