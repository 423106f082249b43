/** The tables that rows are kept in, and what tells that they are as they were made. */

import { DatabaseSync } from "node:sqlite";
import { NetworkError } from "../base/errors.ts";
import { type Row, sumOf, sumOfName } from "./row.ts";
import { damage } from "./store_error.ts";

/** What the tables look like; a file of another version is not touched. */
const SCHEMA_VERSION = 1;
/** "HZSt", so that other programs can tell what the file is (SQLite's file format, 1.3.17). */
const APPLICATION_ID = 0x487a5374;

const SCHEMA = `
  CREATE TABLE origins (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seen INTEGER NOT NULL DEFAULT 0,
    forgotten INTEGER NOT NULL DEFAULT 0,
    sum INTEGER NOT NULL
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
    sum INTEGER NOT NULL,
    PRIMARY KEY (key, part)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE networks (name TEXT PRIMARY KEY, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX byDot ON rows (origin, seq);
  CREATE INDEX gone ON rows (time) WHERE value IS NULL;
  CREATE INDEX takenBack ON rows (key, part) WHERE part GLOB '-*';
  PRAGMA user_version = ${SCHEMA_VERSION};
  PRAGMA application_id = ${APPLICATION_ID};
`;

/** Of a row, in the order of {@linkcode RecordValues}. */
export const COLUMNS =
  "key, part, origin, seq, time, count, writer, baseOrigin, baseSeq, value, sum";

/** A row as it is in the table: origins by their numbers. */
export interface Record {
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
  sum: number;
}

/** The same in the order of {@linkcode COLUMNS}. */
export type RecordValues = readonly [
  key: string,
  part: string,
  origin: number,
  seq: number,
  time: number,
  count: number,
  writer: number,
  baseOrigin: number | null,
  baseSeq: number | null,
  value: string | null,
  sum: number,
];

/** What is known of an origin. */
export interface Origin {
  id: number;
  name: string;
  seen: number;
  forgotten: number;
  sum: number;
}

/** Whether a row is as it was written; another bit may also have made another type of something. */
export function isSound(row: Row, sum: number): boolean {
  const { key, part, value } = row;
  const isText = typeof key === "string" && typeof part === "string" &&
    (value === null || typeof value === "string");
  return isText && sumOf(row) === sum;
}

/** Whether what is known of an origin is as it was written. */
export function isSoundOrigin({ name, seen, forgotten, sum }: Origin): boolean {
  return typeof name === "string" && sumOfName(name, seen, forgotten) === sum;
}

/**
 * Makes the tables, or sees that they are there.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION` when a later version has made them; of SQLite's when
 * they are damaged.
 */
export function prepareTables(db: DatabaseSync): void {
  // Commits do not wait for the disk: whoever wants them durable syncs the log, off this thread.
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;");
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > SCHEMA_VERSION) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot open the shared state: it is of version ${version}, and this program knows ` +
        `${SCHEMA_VERSION}. Install the newer hanzo-network again.`,
    );
  }
  if (tablesOf(db) === "[]") return db.exec(`BEGIN; ${SCHEMA} COMMIT;`);
  const sound = new DatabaseSync(":memory:");
  sound.exec(SCHEMA);
  const isSound = tablesOf(db) === tablesOf(sound);
  sound.close();
  if (!isSound) throw damage("a table is not as it was made");
}

function tablesOf(db: DatabaseSync): string {
  const all = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema").all();
  return JSON.stringify(all);
}
