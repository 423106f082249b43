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
   * The write that it stands on. Of a value: the last one of another origin that it and its writer's
   * earlier ones have taken the place of; undefined when there was none. Of what is gone: the one
   * that it has ended.
   */
  readonly base: Dot | undefined;
  /** JSON; null when what it is about is gone. */
  readonly value: string | null;
}

/** What the first character of a part says. */
export const PartKind = {
  /** `""`: the value that was set. */
  Value: "",
  /**
   * `+ORIGIN.NUMBER`: what that origin has added in all, a number; only it writes that. Gone as soon as
   * the node of that origin has seen that all of it was taken back, and adds nothing more to it.
   */
  Added: "+",
  /** `-ORIGIN.NUMBER`: what of that was taken back, with the stamp of what was there. */
  TakenBack: "-",
  /** `@TIME.COUNT.ORIGIN`: one item that was appended; the parts sort as the stamps do. */
  Item: "@",
} as const;

/**
 * Of two rows of one part the one that stays: commutative, associative, idempotent.
 *
 * Two that differ and have one stamp are a lie, or take the same back: one of them has to stay
 * everywhere.
 */
export function merge(one: Row, other: Row): Row {
  const order = compareStamps(one.stamp, other.stamp);
  if (order !== 0) return order > 0 ? one : other;
  return restOf(one) >= restOf(other) ? one : other;
}

/** What two rows of one part and stamp may differ in, as a text. */
function restOf({ value, origin, seq, base }: Row): string {
  return JSON.stringify([value, origin, seq, base?.origin, base?.seq]);
}

/** What an origin adds to a key, from its write with this number on. */
export function addedPart({ origin, seq }: Dot): string {
  return `${PartKind.Added}${origin}.${seq}`;
}

/** Who has added it. */
export function originOfAddition(part: string): string {
  return part.slice(1, part.lastIndexOf("."));
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

/** Whether it is of what is shown, and not of what is gone or was added up. */
export function isShown({ part, value }: Row): boolean {
  return value !== null && (part === PartKind.Value || part.startsWith(PartKind.Item));
}

const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;

/**
 * The same for the same row, and another one for a row of which one bit is another one: FNV-1a over
 * all of it, in 32 bits.
 */
export function sumOf({ key, part, origin, seq, stamp, base, value }: Row): number {
  let sum = hash(hash(FNV_START, key), part);
  sum = hash(sum, origin);
  sum = hashNumber(sum, seq);
  sum = hashNumber(sum, stamp.time);
  sum = hashNumber(sum, stamp.count);
  sum = hash(sum, stamp.writer);
  if (base !== undefined) sum = hashNumber(hash(sum, base.origin), base.seq);
  return (value === null ? sum : hash(sum, value)) >>> 0;
}

/** The same for what is known of an origin, or of a network, see {@linkcode sumOf}. */
export function sumOfName(name: string, seen = 0, forgotten = 0): number {
  return hashNumber(hashNumber(hash(FNV_START, name), seen), forgotten) >>> 0;
}

function hash(sum: number, text: string): number {
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), FNV_PRIME);
  // Where one text ends and the next one begins.
  return Math.imul(sum ^ text.length, FNV_PRIME);
}

function hashNumber(sum: number, number: number): number {
  sum = Math.imul(sum ^ (number >>> 0), FNV_PRIME);
  return Math.imul(sum ^ Math.floor(number / 2 ** 32), FNV_PRIME);
}
