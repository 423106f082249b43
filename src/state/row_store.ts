/** Rows in SQLite: the one place where they are kept, in memory where there is no disk. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { MAX_KEY_BYTES } from "../base/bounded_value.ts";
import { type Dot, type Row, sumOfName } from "./row.ts";
import {
  COLUMNS,
  isSound,
  isSoundOrigin,
  type Origin,
  prepareTables,
  type Record,
  type RecordValues,
} from "./row_tables.ts";
import { damage } from "./store_error.ts";
import { Versions } from "./versions.ts";

/** What digests are less than. */
export const DIGEST_LIMIT = 2 ** 52;

/** Where in the order of all rows. */
export interface Place {
  readonly key: string;
  readonly part: string;
}

/** Before all rows. */
export const START: Place = { key: "", part: "" };

/** Sorts behind every key that begins like the one that it is put behind. */
const BEHIND = "\u{10ffff}".repeat(MAX_KEY_BYTES / 4 + 1);

/**
 * What the value of a key comes of. Of lists that are often deleted there are thousands of rows beside
 * it for a day, of which only others have to know.
 */
const COUNTS = "(value IS NOT NULL OR part = '')";

/** See the top of the file. Its methods throw what SQLite throws. */
export class RowStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #row: StatementSync;
  readonly #rowsOf: StatementSync;
  readonly #rowsBefore: StatementSync;
  readonly #put: StatementSync;
  readonly #drop: StatementSync;
  readonly #since: StatementSync;
  readonly #between: StatementSync;
  readonly #counting: StatementSync;
  readonly #beginNested: StatementSync;
  readonly #endNested: StatementSync;
  readonly #addOrigin: StatementSync;
  readonly #setOrigin: StatementSync;

  /** @param path Undefined: in memory, until it is disposed of. */
  constructor(path?: string) {
    const db = this.#db = new DatabaseSync(path ?? ":memory:");
    try {
      prepareTables(db);
    } catch (thrown) {
      db.close();
      throw thrown;
    }
    this.#row = db.prepare(`SELECT ${COLUMNS} FROM rows WHERE key = ? AND part = ?`);
    this.#rowsOf = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE key = ? AND ${COUNTS} ORDER BY part`,
    );
    this.#rowsBefore = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE key = ? AND part < ? ORDER BY part`,
    );
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO rows (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#drop = db.prepare("DELETE FROM rows WHERE key = ? AND part = ?");
    this.#since = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE origin = ? AND seq > ? AND seq <= ? ORDER BY seq`,
    );
    this.#between = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE (key, part) >= (?, ?) AND (key, part) < (?, ?) ` +
        "ORDER BY key, part",
    );
    this.#counting = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE key >= ? AND key < ? AND ${COUNTS} ORDER BY key, part`,
    );
    this.#beginNested = db.prepare("SAVEPOINT nested");
    this.#endNested = db.prepare("RELEASE nested");
    this.#addOrigin = db.prepare("INSERT INTO origins (name, sum) VALUES (?, ?)");
    this.#setOrigin = db.prepare(
      "UPDATE origins SET seen = ?, forgotten = ?, sum = ? WHERE id = ?",
    );
    this.#readOrigins();
  }

  /** @throws {Error} Of SQLite's when pages, tables or names are damaged. */
  check(): void {
    const { integrity_check: result } = this.#db.prepare("PRAGMA integrity_check(1)").get() as {
      integrity_check: string;
    };
    if (result !== "ok") throw damage(result);
    this.networks();
  }

  /**
   * Lets go of rows that are not as they were written. Nothing counts as seen then, so that others are
   * asked for everything; and whoever has not seen all that this one had gets everything from it.
   *
   * @returns How many there were.
   */
  dropDamaged(): number {
    const damaged = this.#damaged();
    const origins = this.#origins();
    if (damaged.length === 0 && origins.every(isSoundOrigin)) return 0;
    this.begin();
    for (const { key, part } of damaged) this.#drop.run(key, part);
    for (const one of origins) {
      this.setOrigin(one.name, 0, isSoundOrigin(one) ? Math.max(one.seen, one.forgotten) : 0);
    }
    this.commit();
    // Where its key is another one a row is not found by it.
    if (this.#damaged().length > 0) throw damage("a row is not where it belongs");
    return Math.max(1, damaged.length);
  }

  #damaged(): Place[] {
    // The types of Deno 2.9.6 do not know it.
    type WithArrays = StatementSync & { setReturnArrays(on: boolean): void };
    const all = this.#db.prepare(`SELECT ${COLUMNS} FROM rows`) as WithArrays;
    // Of a hundred thousand rows objects would cost a tenth of a second more.
    all.setReturnArrays(true);
    const damaged: Place[] = [];
    for (const one of all.iterate()) {
      const values = one as unknown as RecordValues;
      const [key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value, sum] = values;
      const row = this.#rowOf(
        { key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value, sum },
      );
      if (!isSound(row, sum)) damaged.push({ key, part });
    }
    return damaged;
  }

  /** What the network is called whose state this is; empty for a new one. */
  networks(): string[] {
    const all = this.#db.prepare("SELECT name, sum FROM networks").all();
    return (all as { name: string; sum: number }[]).map(({ name, sum }) => {
      if (sumOfName(name) !== sum) throw damage("a name is not as it was written");
      return name;
    });
  }

  /** From now on it is called so. */
  setNetworks(names: readonly string[]): void {
    const add = this.#db.prepare("INSERT OR IGNORE INTO networks VALUES (?, ?)");
    this.#db.exec("SAVEPOINT naming; DELETE FROM networks");
    for (const name of names) add.run(name, sumOfName(name));
    this.#db.exec("RELEASE naming");
  }

  /** How far each origin was seen, and up to where what is gone of it may be forgotten. */
  versions(of: "seen" | "forgotten"): Versions {
    const known = this.#origins().filter((one) => one[of] > 0);
    return new Versions(known.map((one) => [one.name, one[of]]));
  }

  /** The time and count of the latest stamp; undefined without rows. */
  latest(): { time: number; count: number } | undefined {
    const sql = "SELECT time, count FROM rows ORDER BY time DESC, count DESC LIMIT 1";
    return this.#db.prepare(sql).get() as { time: number; count: number } | undefined;
  }

  /** What is read from now on is as it is now, whatever others write; until it is disposed of. */
  freeze(): void {
    this.#db.exec("BEGIN");
    this.#readOrigins();
  }

  /** How many keys have a value: set, appended to, or added to and not all of that taken back. */
  keyCount(): number {
    const sql = `SELECT count(DISTINCT key) AS keys FROM rows AS one WHERE value IS NOT NULL AND
      (part = '' OR part GLOB '@*' OR (part GLOB '+*' AND NOT EXISTS (SELECT 1 FROM rows AS back
        WHERE back.key = one.key AND back.part = '-' || substr(one.part, 2)
          AND (back.time, back.count) >= (one.time, one.count))))`;
    return (this.#db.prepare(sql).get() as { keys: number }).keys;
  }

  /** What all rows come to: their bytes, and the sum of those that are shown ({@linkcode sumOf}). */
  total(): { bytes: number; digest: number } {
    const sql = `SELECT
      coalesce(sum(octet_length(key) + octet_length(part) +
        coalesce(octet_length(value), 0)), 0) AS bytes,
      coalesce(sum(sum) FILTER (WHERE value IS NOT NULL AND (part = '' OR part GLOB '@*')), 0)
        % ${DIGEST_LIMIT} AS digest FROM rows`;
    return this.#db.prepare(sql).get() as { bytes: number; digest: number };
  }

  /** How many origins are named, of rows and of what was seen. */
  get names(): number {
    return this.#ids.size;
  }

  /** One part of a key. */
  row(key: string, part: string): Row | undefined {
    const record = this.#row.get(key, part) as Record | undefined;
    return record && this.#read(record);
  }

  /** The parts of a key that its value comes of, in their order: not those that are gone. */
  rowsOf(key: string): Row[] {
    return (this.#rowsOf.all(key) as unknown as Record[]).map((record) => this.#read(record));
  }

  /** The parts of a key that sort before `part`. */
  rowsBefore(key: string, part: string): Row[] {
    const records = this.#rowsBefore.all(key, part) as unknown as Record[];
    return records.map((record) => this.#read(record));
  }

  /** The same of the keys with that prefix, in the order of keys and parts. */
  *rowsFrom(prefix: string): IterableIterator<Row> {
    for (const record of this.#counting.iterate(prefix, prefix + BEHIND)) {
      yield this.#read(record as unknown as Record);
    }
  }

  /** All rows from a place on, in the order of keys and parts. @param to Before it, if anywhere. */
  *rowsBetween(from: Place, to: Place = { key: BEHIND, part: "" }): IterableIterator<Row> {
    for (const record of this.#between.iterate(from.key, from.part, to.key, to.part)) {
      yield this.#read(record as unknown as Record);
    }
  }

  /** What is gone and has a stamp of before then. */
  goneBefore(time: number): Row[] {
    const sql = `SELECT ${COLUMNS} FROM rows WHERE value IS NULL AND time < ?`;
    const records = this.#db.prepare(sql).all(time) as unknown as Record[];
    return records.map((record) => this.#read(record));
  }

  /** What was added before then and of which all was taken back: the place of each. */
  takenBackBefore(time: number): Place[] {
    const sql = `SELECT added.key, added.part FROM rows AS taken JOIN rows AS added
      ON added.key = taken.key AND added.part = '+' || substr(taken.part, 2)
        AND added.time = taken.time AND added.count = taken.count
        AND added.writer = taken.writer
      WHERE taken.part GLOB '-*' AND added.value IS NOT NULL AND added.time < ?`;
    return this.#db.prepare(sql).all(time) as unknown as Place[];
  }

  /** The rows of `origin` with numbers above `after`, up to `upTo`, in the order of their numbers. */
  *rowsSince({ origin, seq: after }: Dot, upTo: number): IterableIterator<Row> {
    for (const record of this.#since.iterate(this.#idOf(origin), after, upTo)) {
      yield this.#read(record as unknown as Record);
    }
  }

  /**
   * Keeps a row, in the place of the one of that part.
   *
   * @param sum Its {@linkcode sumOf}.
   */
  put({ key, part, origin, seq, stamp, base, value }: Row, sum: number): void {
    const { time, count, writer } = stamp;
    this.#put.run(
      key,
      part,
      this.#idOf(origin),
      seq,
      time,
      count,
      this.#idOf(writer),
      base === undefined ? null : this.#idOf(base.origin),
      base === undefined ? null : base.seq,
      value,
      sum,
    );
  }

  /** Forgets a row. */
  drop({ key, part }: Place): void {
    this.#drop.run(key, part);
  }

  /** How far an origin was seen, and up to where what is gone of it may be forgotten. */
  setOrigin(name: string, seen: number, forgotten: number): void {
    this.#setOrigin.run(seen, forgotten, sumOfName(name, seen, forgotten), this.#idOf(name));
  }

  /** What follows counts together or not at all. */
  begin(): void {
    this.#db.exec("BEGIN IMMEDIATE");
  }

  /** What was put since {@linkcode begin} stays. */
  commit(): void {
    this.#db.exec("COMMIT");
  }

  /** What was put since {@linkcode begin} never was. */
  rollback(): void {
    // SQLite has done it already when the disk is full.
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#readOrigins();
  }

  /** What follows can be undone without what was before it. */
  beginNested(): void {
    this.#beginNested.run();
  }

  /** What was put since {@linkcode beginNested} stays, if the rest does. */
  endNested(): void {
    this.#endNested.run();
  }

  /** What was put since {@linkcode beginNested} never was. */
  undoNested(): void {
    // SQLite has ended it all already when the disk is full.
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK TO nested; RELEASE nested");
    this.#readOrigins();
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #readOrigins(): void {
    this.#ids.clear();
    this.#names.length = 0;
    for (const { id, name } of this.#origins()) {
      this.#ids.set(name, id);
      this.#names[id] = name;
    }
  }

  #origins(): Origin[] {
    const sql = "SELECT id, name, seen, forgotten, sum FROM origins";
    return this.#db.prepare(sql).all() as unknown as Origin[];
  }

  #idOf(origin: string): number {
    const known = this.#ids.get(origin);
    if (known !== undefined) return known;
    const id = Number(
      this.#addOrigin.run(origin, sumOfName(origin)).lastInsertRowid,
    );
    this.#ids.set(origin, id);
    this.#names[id] = origin;
    return id;
  }

  #read(record: Record): Row {
    const row = this.#rowOf(record);
    if (!isSound(row, record.sum)) throw damage("a row is not as it was written");
    return row;
  }

  /** Of a damaged row the number may be nobody's. */
  #nameOf(origin: number): string {
    return this.#names[origin] ?? "";
  }

  #rowOf(record: Record): Row {
    const { key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value } = record;
    return {
      key,
      part,
      origin: this.#nameOf(origin),
      seq,
      stamp: { time, count, writer: this.#nameOf(writer) },
      base: baseOrigin === null || baseSeq === null
        ? undefined
        : { origin: this.#nameOf(baseOrigin), seq: baseSeq },
      value,
    };
  }
}
