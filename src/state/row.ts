/** What is replicated: rows, each one fact about a key, and the one rule by which two become one. */

import { compareStamps, type Stamp } from "./stamp.ts";

/** Which write a row is of: a number of the origin that wrote it. */
export interface Dot {
  /** One opening of one store: the node's label and chance. */
  readonly origin: string;
  /** From 1; all rows of one transaction have the same. */
  readonly seq: number;
}

/** One fact about one key. */
export interface Row extends Dot {
  readonly key: string;
  /** What of the key it is about; see {@linkcode PartKind}. */
  readonly part: string;
  readonly stamp: Stamp;
  /**
   * Of a value: the write of another origin that it and its writer's earlier ones stand on; undefined
   * when there was none.
   */
  readonly base: Dot | undefined;
  /** JSON; null when what it is about is gone. */
  readonly value: string | null;
}

/** What the first character of a part says. */
export const PartKind = {
  /** `""`: the value that was set. */
  Value: "",
  /** `+ORIGIN.NUMBER`: what that origin has added in all, a number; only it writes that. */
  Added: "+",
  /** `-ORIGIN.NUMBER`: what of that was taken back, with the stamp of what was there. */
  TakenBack: "-",
  /** `@TIME.COUNT.ORIGIN`: one item that was appended; the parts sort as the stamps do. */
  Item: "@",
} as const;

/**
 * Of two rows of one part the one that stays: commutative, associative, idempotent.
 *
 * Two that differ and have one stamp are a lie, and one of them has to stay everywhere.
 */
export function merge(one: Row, other: Row): Row {
  const order = compareStamps(one.stamp, other.stamp);
  if (order !== 0) return order > 0 ? one : other;
  return (one.value ?? "") >= (other.value ?? "") ? one : other;
}

/** What an origin adds to a key, from its write with this number on. */
export function addedPart({ origin, seq }: Dot): string {
  return `${PartKind.Added}${origin}.${seq}`;
}

/** Of what an origin has added, what was taken back. */
export function takenBackPart(added: string): string {
  return PartKind.TakenBack + added.slice(1);
}

/** An item that was appended then. */
export function itemPart({ time, count, writer }: Stamp): string {
  // As long as the greatest of each.
  const [high, low] = [time.toString(16).padStart(14, "0"), count.toString(16).padStart(8, "0")];
  return `${PartKind.Item}${high}.${low}.${writer}`;
}
