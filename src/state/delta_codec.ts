/** What replicas tell each other as bytes and back, checked (`proto/hanzo_state_v1.proto`). */

import { nestsDeeperThan } from "../base/bounded_json.ts";
import { bytesOf, MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { bytesTag, ProtoReader, ProtoWriter, varintTag } from "../base/protobuf.ts";
import { isLabel } from "../base/safe_text.ts";
import { addedPart, itemPart, PartKind, type Row, takenBackPart } from "./row.ts";
import type { Delta } from "./state_replica.ts";
import { COUNT_LIMIT } from "./stamp.ts";
import { MAX_DEPTH } from "./row_transaction.ts";
import { Versions } from "./versions.ts";

const VERSIONS_SEEN = bytesTag(1);
const VERSIONS_OWN = bytesTag(2);
const SEEN_ORIGIN = bytesTag(1);
const SEEN_SEQ = varintTag(2);
const DELTA_ORIGIN = bytesTag(1);
const DELTA_AFTER = varintTag(2);
const DELTA_UP_TO = varintTag(3);
const DELTA_ROWS = bytesTag(4);
const ROW_KEY = bytesTag(1);
const ROW_PART = bytesTag(2);
const ROW_SEQ = varintTag(3);
const ROW_TIME = varintTag(4);
const ROW_COUNT = varintTag(5);
const ROW_WRITER = bytesTag(6);
const ROW_BASE_ORIGIN = bytesTag(7);
const ROW_BASE_SEQ = varintTag(8);
const ROW_VALUE = bytesTag(9);

/** Numbers, tags and lengths of a row or a delta. */
const NUMBERS_BOUND = 96;
/** `LABEL/` and 16 hexadecimal digits. */
const ORIGIN = /^(.{1,64})\/[0-9a-f]{16}$/u;
const encoder = new TextEncoder();

/** How far a replica has seen. */
export interface Seen {
  readonly versions: Versions;
  /** In whose name it writes. */
  readonly own: string;
}

/** How far a replica has seen, as bytes. */
export function encodeSeen({ versions, own }: Seen): Uint8Array {
  const writer = new ProtoWriter();
  writer.reserve(own.length * 3 + NUMBERS_BOUND);
  writer.string(VERSIONS_OWN, own);
  for (const [origin, seq] of versions) {
    const bound = origin.length * 3 + NUMBERS_BOUND;
    writer.reserve(bound + NUMBERS_BOUND);
    const start = writer.begin(VERSIONS_SEEN, bound);
    writer.string(SEEN_ORIGIN, origin);
    writer.number(SEEN_SEQ, seq);
    writer.end(start, bound);
  }
  return writer.take();
}

/**
 * Reads how far somebody has seen.
 *
 * @throws {NetworkError} `PROTOCOL`.
 */
export function decodeSeen(bytes: Uint8Array): Seen {
  const reader = new ProtoReader("what a peer has seen", bytes);
  const versions = new Versions();
  let own = "";
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === VERSIONS_OWN) own = reader.string();
    else if (tag !== VERSIONS_SEEN) reader.skip(tag);
    if (tag !== VERSIONS_SEEN) continue;
    const nested = reader.nested();
    let origin = "";
    let seq = 0;
    while (!nested.atEnd) {
      const tag = nested.number();
      if (tag === SEEN_ORIGIN) origin = nested.string();
      else if (tag === SEEN_SEQ) seq = nested.number();
      else nested.skip(tag);
    }
    checkOrigin(origin);
    versions.advance(origin, seq);
  }
  checkOrigin(own);
  return { versions, own };
}

/** A delta as bytes. */
export function encodeDelta({ origin, after, upTo, rows }: Delta): Uint8Array {
  const writer = new ProtoWriter();
  writer.reserve(origin.length * 3 + NUMBERS_BOUND);
  writer.string(DELTA_ORIGIN, origin);
  if (after > 0) writer.number(DELTA_AFTER, after);
  writer.number(DELTA_UP_TO, upTo);
  for (const row of rows) {
    const bound = rowBound(row);
    writer.reserve(bound + NUMBERS_BOUND);
    const start = writer.begin(DELTA_ROWS, bound);
    writeRow(writer, row);
    writer.end(start, bound);
  }
  return writer.take();
}

/** What a row takes at most, in bytes. */
export function rowBound({ key, part, stamp, base, value }: Row): number {
  const units = key.length + part.length + stamp.writer.length + (base?.origin.length ?? 0) +
    (value?.length ?? 0);
  return 3 * units + NUMBERS_BOUND;
}

function writeRow(writer: ProtoWriter, row: Row): void {
  const { key, part, origin, seq, stamp, base, value } = row;
  writer.string(ROW_KEY, key);
  if (part !== PartKind.Value) writer.string(ROW_PART, part);
  writer.number(ROW_SEQ, seq);
  writer.number(ROW_TIME, stamp.time);
  if (stamp.count > 0) writer.number(ROW_COUNT, stamp.count);
  if (stamp.writer !== origin) writer.string(ROW_WRITER, stamp.writer);
  if (base !== undefined) {
    writer.string(ROW_BASE_ORIGIN, base.origin);
    writer.number(ROW_BASE_SEQ, base.seq);
  }
  if (value !== null) writer.string(ROW_VALUE, value);
}

/**
 * Reads a delta.
 *
 * @throws {NetworkError} `PROTOCOL` naming what does not fit: nothing of it can be believed then.
 */
export function decodeDelta(bytes: Uint8Array): Delta {
  const reader = new ProtoReader("a peer's state", bytes);
  let origin = "";
  let after = 0;
  let upTo = 0;
  const rows: Row[] = [];
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === DELTA_ORIGIN) origin = reader.string();
    else if (tag === DELTA_AFTER) after = reader.number();
    else if (tag === DELTA_UP_TO) upTo = reader.number();
    else if (tag === DELTA_ROWS) rows.push(readRow(reader.nested(), origin));
    else reader.skip(tag);
  }
  checkOrigin(origin);
  if (after >= upTo) throw unfit("it ends before it begins");
  for (const row of rows) checkRow(row, after, upTo);
  return { origin, after, upTo, rows };
}

function readRow(reader: ProtoReader, origin: string): Row {
  let key = "";
  let part = "";
  let seq = 0;
  let time = 0;
  let count = 0;
  let writer = origin;
  let baseOrigin = "";
  let baseSeq = 0;
  let value: string | null = null;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === ROW_KEY) key = reader.string();
    else if (tag === ROW_PART) part = reader.string();
    else if (tag === ROW_SEQ) seq = reader.number();
    else if (tag === ROW_TIME) time = reader.number();
    else if (tag === ROW_COUNT) count = reader.number();
    else if (tag === ROW_WRITER) writer = reader.string();
    else if (tag === ROW_BASE_ORIGIN) baseOrigin = reader.string();
    else if (tag === ROW_BASE_SEQ) baseSeq = reader.number();
    else if (tag === ROW_VALUE) value = reader.string();
    else reader.skip(tag);
  }
  const base = baseOrigin === "" ? undefined : { origin: baseOrigin, seq: baseSeq };
  return { key, part, origin, seq, stamp: { time, count, writer }, base, value };
}

function checkRow(row: Row, after: number, upTo: number): void {
  const { key, part, origin, seq, stamp, base, value } = row;
  if (seq <= after || seq > upTo) throw unfit(`a row has number ${seq}`);
  if (bytesOf(key) > MAX_KEY_BYTES || key.includes("\0")) throw unfit("a key is none");
  if (stamp.count >= COUNT_LIMIT) throw unfit("a count is too large");
  if (stamp.writer !== origin) checkOrigin(stamp.writer);
  if (base !== undefined) checkOrigin(base.origin);
  if (value !== null) checkValue(value);
  switch (part.slice(0, 1)) {
    case PartKind.Value:
      break;
    case PartKind.Added:
      // Nobody else may say what an origin has added.
      if (part !== addedPart({ origin, seq: seqIn(part) })) throw unfit("a part is another one's");
      if (!isNumber(value)) throw unfit("what was added is no number");
      break;
    case PartKind.TakenBack: {
      const made = { origin: stamp.writer, seq: seqIn(part) };
      if (part !== takenBackPart(addedPart(made))) throw unfit("a part is another one's");
      if (!isNumber(value)) throw unfit("what was taken back is no number");
      break;
    }
    case PartKind.Item:
      // An item has the stamp that it was made with, and what says that it is gone its own.
      if (value === null ? !ITEM.test(part) : part !== itemPart(stamp)) {
        throw unfit("an item is not where it belongs");
      }
      break;
    default:
      throw unfit("a part is none");
  }
}

/** See {@linkcode itemPart}. */
const ITEM = /^@[0-9a-f]{14}\.[0-9a-f]{8}\..{1,64}\/[0-9a-f]{16}$/u;

function seqIn(part: string): number {
  return Number(part.slice(part.lastIndexOf(".") + 1));
}

function isNumber(value: string | null): boolean {
  return value !== null && Number.isFinite(Number(value)) && value.trim() !== "";
}

function checkValue(value: string): void {
  const bytes = encoder.encode(value);
  if (bytes.length > MAX_VALUE_BYTES) throw unfit("a value is too long");
  if (nestsDeeperThan(bytes, MAX_DEPTH)) throw unfit("a value is nested too deep");
  try {
    JSON.parse(value);
  } catch {
    throw unfit("a value is no JSON");
  }
}

function checkOrigin(origin: string): void {
  const label = ORIGIN.exec(origin)?.[1];
  if (label === undefined || !isLabel(label)) throw unfit("an origin is none");
}

function unfit(why: string): NetworkError {
  return new NetworkError("PROTOCOL", `Cannot read a peer's state: ${why}.`);
}
