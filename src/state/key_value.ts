/** What the rows of one key come to. */

import type { JsonValue } from "../base/bounded_json.ts";
import { PartKind, type Row, takenBackPart } from "./row.ts";
import { compareStamps } from "./stamp.ts";

/**
 * The value that a key shows: what was set, a number with what was added since, an array with what was
 * appended since. What does not go with what was set is not shown.
 *
 * @param rows All of the key, in the order of their parts.
 * @returns JSON; undefined when the key has no value.
 */
export function shownValue(rows: readonly Row[]): JsonValue | undefined {
  const set = rows.length > 0 && rows[0].part === PartKind.Value ? rows[0].value : null;
  const base: JsonValue | undefined = set === null ? undefined : JSON.parse(set);
  if (rows.length === 1 && base !== undefined) return base;
  if (base === undefined || Array.isArray(base)) {
    const items = liveItems(rows);
    if (base !== undefined || items.length > 0) return [...base ?? [], ...items];
  }
  if (base === undefined || typeof base === "number") {
    const added = addedParts(rows);
    if (added.length > 0) return finite(added.reduce((sum, { left }) => sum + left, base ?? 0));
  }
  return base;
}

/** Each has added what there was room for, and all together more than there is: JSON has no such number. */
function finite(sum: number): number {
  if (Number.isNaN(sum)) return 0;
  return Math.max(-Number.MAX_VALUE, Math.min(sum, Number.MAX_VALUE));
}

/** The items that were appended and are still there, in order. */
export function liveItems(rows: readonly Row[]): JsonValue[] {
  const items: JsonValue[] = [];
  for (const { part, value } of rows) {
    if (part.startsWith(PartKind.Item) && value !== null) items.push(JSON.parse(value));
  }
  return items;
}

/** What each origin has added and nobody has taken back, in the order of the parts. */
export function addedParts(rows: readonly Row[]): { row: Row; left: number }[] {
  const takenBack = new Map<string, Row>();
  for (const row of rows) if (row.part.startsWith(PartKind.TakenBack)) takenBack.set(row.part, row);
  const parts: { row: Row; left: number }[] = [];
  for (const row of rows) {
    if (!row.part.startsWith(PartKind.Added) || row.value === null) continue;
    const taken = takenBack.get(takenBackPart(row.part));
    if (taken === undefined) parts.push({ row, left: Number(row.value) });
    // What was taken back in full is as if it had never been: a key that shows 0 was given it.
    else if (compareStamps(taken.stamp, row.stamp) < 0) {
      parts.push({ row, left: Number(row.value) - Number(taken.value) });
    }
  }
  return parts;
}
