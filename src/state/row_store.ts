/** Rows in SQLite: the one place where they are kept, in memory where there is no disk. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { MAX_KEY_BYTES } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import type { Dot, Row } from "./row.ts";
import { damage } from "./store_error.ts";
import { Versions } from "./versions.ts";

/** What the tables look like; a file of another version is not touched. */
const SCHEMA_VERSION = 1;
/** "HZSt", so that other programs can tell what the file is (SQLite's file format, 1.3.17). */
const APPLICATION_ID = 0x487a5374;

const SCHEMA = `
  CREATE TABLE origins (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seen INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE rows (
    key TEXT NOT NULL,
    part TEXT NOT NULL,
    origin INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    writer INTEGER NOT NULL,
    baseOrigin INTEGER,
    baseSeq INTEGER,
    value TEXT,
    PRIMARY KEY (key, part)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE networks (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE INDEX byDot ON rows (origin, seq);
  PRAGMA user_version = ${SCHEMA_VERSION};
  PRAGMA application_id = ${APPLICATION_ID};
`;

const COLUMNS = "key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value";

/** A row as it is in the table: origins by their numbers. */
interface Record {
  key: string;
  part: string;
  origin: number;
  seq: number;
  time: number;
  count: number;
  writer: number;
  baseOrigin: number | null;
  baseSeq: number | null;
  value: string | null;
}

/** Sorts behind every key that begins like the one that it is put behind. */
const BEHIND = "\u{10ffff}".repeat(MAX_KEY_BYTES / 4 + 1);

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
  readonly #from: StatementSync;
  readonly #beginNested: StatementSync;
  readonly #endNested: StatementSync;
  readonly #addOrigin: StatementSync;
  readonly #setSeen: StatementSync;

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
    this.#rowsOf = db.prepare(`SELECT ${COLUMNS} FROM rows WHERE key = ? ORDER BY part`);
    this.#rowsBefore = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE key = ? AND part < ? ORDER BY part`,
    );
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO rows (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#drop = db.prepare("DELETE FROM rows WHERE key = ? AND part = ?");
    this.#since = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE origin = ? AND seq > ? AND seq <= ? ORDER BY seq`,
    );
    this.#from = db.prepare(
      `SELECT ${COLUMNS} FROM rows WHERE key >= ? AND key < ? ORDER BY key, part`,
    );
    this.#beginNested = db.prepare("SAVEPOINT nested");
    this.#endNested = db.prepare("RELEASE nested");
    this.#addOrigin = db.prepare("INSERT INTO origins (name, seen) VALUES (?, 0)");
    this.#setSeen = db.prepare("UPDATE origins SET seen = ? WHERE id = ?");
    this.#readOrigins();
  }

  /** @throws {Error} Of SQLite's when pages or tables are damaged. */
  check(): void {
    const { quick_check: result } = this.#db.prepare("PRAGMA quick_check(1)").get() as {
      quick_check: string;
    };
    if (result !== "ok") throw damage(result);
  }

  /** What the network is called whose state this is; empty for a new one. */
  networks(): string[] {
    const all = this.#db.prepare("SELECT name FROM networks").all();
    return (all as { name: string }[]).map(({ name }) => name);
  }

  /** From now on it is called so. */
  setNetworks(names: readonly string[]): void {
    const add = this.#db.prepare("INSERT OR IGNORE INTO networks VALUES (?)");
    this.#db.exec("SAVEPOINT naming; DELETE FROM networks");
    for (const name of names) add.run(name);
    this.#db.exec("RELEASE naming");
  }

  /** How far each origin was seen. */
  versions(): Versions {
    const rows = this.#db.prepare("SELECT name, seen FROM origins WHERE seen > 0").all();
    return new Versions(
      (rows as { name: string; seen: number }[]).map((one) => [one.name, one.seen]),
    );
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
    const sql = "SELECT count(DISTINCT key) AS keys FROM rows AS one WHERE value IS NOT NULL AND " +
      "(part = '' OR part LIKE '@%' OR (part LIKE '+%' AND NOT EXISTS (SELECT 1 FROM rows AS back " +
      "WHERE back.key = one.key AND back.part = '-' || substr(one.part, 2) AND " +
      "(back.time, back.count) >= (one.time, one.count))))";
    return (this.#db.prepare(sql).get() as { keys: number }).keys;
  }

  /** What keys, parts and values take, in bytes. */
  bytes(): number {
    const sql = "SELECT coalesce(sum(octet_length(key) + octet_length(part) + " +
      "coalesce(octet_length(value), 0)), 0) AS bytes FROM rows";
    return (this.#db.prepare(sql).get() as { bytes: number }).bytes;
  }

  /** One part of a key. */
  row(key: string, part: string): Row | undefined {
    const record = this.#row.get(key, part) as Record | undefined;
    return record && this.#read(record);
  }

  /** All parts of a key, in their order. */
  rowsOf(key: string): Row[] {
    return (this.#rowsOf.all(key) as unknown as Record[]).map((record) => this.#read(record));
  }

  /** The parts of a key that sort before `part`. */
  rowsBefore(key: string, part: string): Row[] {
    const records = this.#rowsBefore.all(key, part) as unknown as Record[];
    return records.map((record) => this.#read(record));
  }

  /** All rows of the keys with that prefix, in the order of keys and parts. */
  *rowsFrom(prefix: string): IterableIterator<Row> {
    for (const record of this.#from.iterate(prefix, prefix + BEHIND)) {
      yield this.#read(record as unknown as Record);
    }
  }

  /** The rows of `origin` with numbers above `after`, up to `upTo`, in the order of their numbers. */
  *rowsSince({ origin, seq: after }: Dot, upTo: number): IterableIterator<Row> {
    for (const record of this.#since.iterate(this.#idOf(origin), after, upTo)) {
      yield this.#read(record as unknown as Record);
    }
  }

  /** Keeps a row, in the place of the one of that part. */
  put({ key, part, origin, seq, stamp, base, value }: Row): void {
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
    );
  }

  /** Forgets a row. */
  drop(key: string, part: string): void {
    this.#drop.run(key, part);
  }

  /** An origin was seen up to there. */
  setSeen(origin: string, seq: number): void {
    this.#setSeen.run(seq, this.#idOf(origin));
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
    const all = this.#db.prepare("SELECT id, name FROM origins").all();
    for (const { id, name } of all as { id: number; name: string }[]) {
      this.#ids.set(name, id);
      this.#names[id] = name;
    }
  }

  #idOf(origin: string): number {
    const known = this.#ids.get(origin);
    if (known !== undefined) return known;
    const id = Number(this.#addOrigin.run(origin).lastInsertRowid);
    this.#ids.set(origin, id);
    this.#names[id] = origin;
    return id;
  }

  #read(record: Record): Row {
    const { key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value } = record;
    return {
      key,
      part,
      origin: this.#names[origin],
      seq,
      stamp: { time, count, writer: this.#names[writer] },
      base: baseOrigin === null || baseSeq === null
        ? undefined
        : { origin: this.#names[baseOrigin], seq: baseSeq },
      value,
    };
  }
}

function prepareTables(db: DatabaseSync): void {
  // Commits do not wait for the disk: whoever wants them durable syncs the log, off this thread.
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;");
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version === 0) return db.exec(`BEGIN; ${SCHEMA} COMMIT;`);
  if (version === SCHEMA_VERSION) return;
  throw new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot open the shared state: it is of version ${version}, and this program knows ` +
      `${SCHEMA_VERSION}. Install the newer hanzo-network again.`,
  );
}
