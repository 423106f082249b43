/** The state as it is at one moment, read in pieces: nobody else waits until all of it is read. */

import { createHash } from "node:crypto";
import { shownValue } from "./key_value.ts";
import { PartKind, type Row } from "./row.ts";
import type { Position } from "./row_ledger.ts";
import { RowStore } from "./row_store.ts";

/** A key and what it shows, as JSON on one line. */
export type EntryText = readonly [key: string, json: string];

/** See the top of the file. */
export interface StateSnapshot extends Disposable {
  /** The same for the same writes, and for others another one. */
  readonly mark: string;
  /** Whether nobody has ever written anything. */
  readonly isBlank: boolean;
  /** All keys that have a value, in their order; a piece takes a few milliseconds to read. */
  pieces(): Iterable<readonly EntryText[]>;
}

/** What a piece takes, about, in bytes: 2 to 5 ms of reading. */
const PIECE_BYTES = 256 * 1024;
/** A row costs as much as some bytes of a value do. */
const ROW_WEIGHT = 512;

/**
 * Takes one; all must be committed.
 *
 * @param position How far the replica is that writes to `store`.
 * @param path The file of `store`, which is read beside all who write to it; undefined where it is in
 * memory: then all of it is read at once.
 */
export function takeSnapshot(
  store: RowStore,
  position: Pick<Position, "versions" | "digest">,
  path: string | undefined,
): StateSnapshot {
  const reader = path === undefined ? store : new RowStore(path);
  const close = () => reader === store ? undefined : reader[Symbol.dispose]();
  try {
    if (reader !== store) reader.freeze();
    const read = reader === store ? [...piecesOf(store)] : undefined;
    return {
      mark: markOf(position),
      isBlank: position.versions.size === 0,
      pieces: () => read ?? piecesOf(reader),
      [Symbol.dispose]: close,
    };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** Lets others have a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function markOf({ versions, digest }: Pick<Position, "versions" | "digest">): string {
  const sorted = [...versions].map(([origin, seq]) => `${origin} ${seq}`).sort();
  // Those that have seen the same may show something else: what one of them has forgotten.
  return createHash("sha256").update([...sorted, digest].join("\n")).digest("hex");
}

function* piecesOf(store: RowStore): Generator<EntryText[], void, void> {
  let piece: EntryText[] = [];
  let weight = 0;
  let rows: Row[] = [];
  const end = () => {
    const json = shownJson(rows);
    if (json !== undefined) piece.push([rows[0].key, json]);
  };
  for (const row of store.rowsFrom("")) {
    if (rows.length > 0 && rows[0].key !== row.key) {
      end();
      rows = [];
      if (weight >= PIECE_BYTES) {
        yield piece;
        piece = [];
        weight = 0;
      }
    }
    rows.push(row);
    weight += ROW_WEIGHT + (row.value?.length ?? 0);
  }
  end();
  yield piece;
}

function shownJson(rows: readonly Row[]): string | undefined {
  const isSetOnly = rows.length === 1 && rows[0].part === PartKind.Value;
  const value = isSetOnly ? rows[0].value : null;
  // Another device may have sent JSON with spaces and lines of its own.
  if (value !== null && !value.includes("\n")) return value;
  const shown = shownValue(rows);
  return shown === undefined ? undefined : JSON.stringify(shown);
}
