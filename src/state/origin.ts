/** In whose name rows are written: one opening of one store. */

import type { Random } from "../base/random.ts";

const CHANCE_BYTES = 8;

/** A new one: the node's label, and chance, so that no number is ever used twice. */
export function newOrigin(nodeId: string, random: Random): string {
  return `${nodeId}/${random.fill(new Uint8Array(CHANCE_BYTES)).toHex()}`;
}

/** The node's label. */
export function nodeOf(origin: string): string {
  return origin.slice(0, origin.lastIndexOf("/"));
}
