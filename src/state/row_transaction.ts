/** Reads and writes of one transaction: what people ask for, as rows. */

import type { JsonValue } from "../base/bounded_json.ts";
import { checkKey, jsonOf, keyName } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { addedParts, liveItems, shownValue } from "./key_value.ts";
import { addedPart, type Dot, itemPart, PartKind, type Row, takenBackPart } from "./row.ts";
import type { Place, RowStore } from "./row_store.ts";
import type { StateTransaction } from "./shared_state.ts";
import type { HybridClock, Stamp } from "./stamp.ts";

/** How deep a value may be nested. */
export const MAX_DEPTH = 32;

/** What a {@linkcode RowTransaction} stands on. */
export interface TransactionOptions {
  readonly store: RowStore;
  readonly clock: HybridClock;
  /** Which write the next row is of. */
  readonly dot: () => Dot;
  /** Takes each key before the first change of it. */
  readonly onTouch: (key: string) => void;
  /** More than one row follows: they count together. */
  readonly onSeveral: () => void;
  /** Keeps a row in the place of the old one of that part; throws where there is no room for it. */
  readonly put: (row: Row, old: Row | undefined) => void;
}

/** See the top of the file. */
export class RowTransaction implements StateTransaction {
  readonly #options: TransactionOptions;
  #isOver = false;

  constructor(options: TransactionOptions) {
    this.#options = options;
  }

  /** It is over: whoever has kept it reads and writes nothing by it any more. */
  end(): void {
    this.#isOver = true;
  }

  get(key: string): JsonValue | undefined {
    this.#throwIfOver();
    return shownValue(this.#options.store.rowsOf(key));
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  list(key: string): JsonValue[] {
    const value = this.get(key);
    return Array.isArray(value) ? value : [];
  }

  set(key: string, value: JsonValue): void {
    this.#throwIfOver();
    const action = `set "${keyName(key)}"`;
    checkStateKey(key, action);
    const json = jsonOf(value, action, MAX_DEPTH);
    this.#replace(key, this.#options.store.rowsOf(key), json);
  }

  delete(key: string): boolean {
    this.#throwIfOver();
    const rows = this.#options.store.rowsOf(key);
    // Also what is there and not shown: concurrent writes may have left it.
    const isThere = rows.some(({ part, value }) => part === PartKind.Value && value !== null) ||
      addedParts(rows).length > 0 || liveItems(rows).length > 0;
    if (isThere) this.#replace(key, rows, null);
    return isThere;
  }

  increment(key: string, by = 1): number {
    this.#throwIfOver();
    const action = `add to "${keyName(key)}"`;
    checkStateKey(key, action);
    if (!Number.isFinite(by)) {
      throw new NetworkError("INVALID_ARGUMENT", `Cannot ${action}: ${by} is no number.`);
    }
    const { store } = this.#options;
    const dot = this.#options.dot();
    const rows = store.rowsOf(key);
    const value = shownValue(rows) ?? 0;
    if (typeof value !== "number") throw unfit(action, value, "number");
    if (!Number.isFinite(value + by)) {
      throw new NetworkError("INVALID_ARGUMENT", `Cannot ${action}: the sum would be too large.`);
    }
    const mine = `${PartKind.Added}${dot.origin}.`;
    const own = rows.find(({ part, value }) => part.startsWith(mine) && value !== null);
    const sum = Number(own?.value ?? 0) + by;
    this.#put(key, own?.part ?? addedPart(dot), JSON.stringify(sum), own);
    return value + by;
  }

  append(key: string, ...items: readonly JsonValue[]): void {
    this.#throwIfOver();
    const action = `append to "${keyName(key)}"`;
    checkStateKey(key, action);
    const texts = items.map((item) => jsonOf(item, action, MAX_DEPTH));
    const value = shownValue(this.#options.store.rowsBefore(key, PartKind.Item));
    if (value !== undefined && !Array.isArray(value)) throw unfit(action, value, "list");
    if (texts.length > 1) this.#options.onSeveral();
    for (const text of texts) {
      const stamp = this.#options.clock.next();
      this.#put(key, itemPart(stamp), text, undefined, stamp);
    }
  }

  /** Nothing more is added to what was added there by a node itself, and all of which is taken back. */
  endAddition({ key, part }: Place): void {
    const row = this.#options.store.row(key, part);
    if (row !== undefined) this.#end(row);
  }

  /** What was set, and what was added and appended as far as it is known here, gives way. */
  #replace(key: string, rows: readonly Row[], json: string | null): void {
    // Of what was added or appended each part needs a row of its own.
    if (rows.at(-1)?.part) this.#options.onSeveral();
    const set = rows.find(({ part }) => part === PartKind.Value);
    const wasSet = set !== undefined && set.value !== null;
    if (json !== null || wasSet) {
      const { origin } = this.#options.dot();
      const base = set?.origin === origin ? set.base : set && { origin: set.origin, seq: set.seq };
      this.#put(key, PartKind.Value, json, set, this.#options.clock.next(), base);
    }
    for (const { row: { part, stamp, value } } of addedParts(rows)) {
      const takenBack = takenBackPart(part);
      this.#put(key, takenBack, value, rows.find((one) => one.part === takenBack), stamp);
    }
    for (const row of rows) {
      const { part, value } = row;
      if (part.startsWith(PartKind.Item) && value !== null) this.#end(row);
    }
  }

  #throwIfOver(): void {
    if (!this.#isOver) return;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      "Cannot use a transaction of the shared state that is over. Do all in the function that was " +
        "given to transact, without waiting.",
    );
  }

  #end(row: Row): void {
    const base = { origin: row.origin, seq: row.seq };
    this.#put(row.key, row.part, null, row, this.#options.clock.next(), base);
  }

  #put(
    key: string,
    part: string,
    value: string | null,
    old: Row | undefined,
    stamp: Stamp = this.#options.clock.next(),
    base?: Dot,
  ): void {
    const { dot, onTouch, put } = this.#options;
    const { origin, seq } = dot();
    onTouch(key);
    put({ key, part, origin, seq, stamp, base, value }, old);
  }
}

/** @throws {NetworkError} As {@linkcode checkKey}; `INVALID_ARGUMENT` also for one with a zero in it. */
export function checkStateKey(key: string, action: string): void {
  checkKey(key, action);
  // SQLite hands a text back up to its first zero.
  if (!key.includes("\0")) return;
  throw new NetworkError("INVALID_ARGUMENT", `Cannot ${action}: its key has a zero in it.`);
}

function unfit(action: string, value: JsonValue, wanted: string): NetworkError {
  const kind = value === null
    ? "null"
    : Array.isArray(value)
    ? "a list"
    : typeof value === "object"
    ? "an object"
    : `a ${typeof value}`;
  return new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot ${action}: it is ${kind}, and no ${wanted}. Delete it first, or take another key.`,
  );
}
