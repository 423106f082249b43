/** Rows on the wire, checked (`proto/hanzo_state_v1.proto`). */

import { nestsDeeperThan } from "../base/bounded_json.ts";
import { bytesOf, MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { bytesTag, type ProtoReader, type ProtoWriter, varintTag } from "../base/protobuf.ts";
import { isLabel } from "../base/safe_text.ts";
import { nodeOf } from "./origin.ts";
import { addedPart, itemPart, originOfAddition, PartKind, type Row, takenBackPart } from "./row.ts";
import { MAX_DEPTH } from "./row_transaction.ts";
import { COUNT_LIMIT } from "./stamp.ts";

const ROW_KEY = bytesTag(1);
const ROW_PART = bytesTag(2);
const ROW_SEQ = varintTag(3);
const ROW_TIME = varintTag(4);
const ROW_COUNT = varintTag(5);
const ROW_WRITER = bytesTag(6);
const ROW_BASE_ORIGIN = bytesTag(7);
const ROW_BASE_SEQ = varintTag(8);
const ROW_VALUE = bytesTag(9);
const ROW_ORIGIN = bytesTag(10);

/** Numbers, tags and lengths of a row or a delta. */
export const NUMBERS_BOUND = 96;
/** `LABEL/` and 16 hexadecimal digits. */
const ORIGIN = /^(.{1,64})\/[0-9a-f]{16}$/u;
const encoder = new TextEncoder();

/** What a row takes at most, in bytes. */
export function rowBound({ key, part, origin, stamp, base, value }: Row): number {
  const units = key.length + part.length + origin.length + stamp.writer.length +
    (base?.origin.length ?? 0) + (value?.length ?? 0);
  return 3 * units + NUMBERS_BOUND;
}

/** Writes a row, as a field of what is around it. @param around Whose delta it is in, if in one. */
export function writeRow(writer: ProtoWriter, tag: number, row: Row, around?: string): void {
  const bound = rowBound(row);
  writer.reserve(bound + NUMBERS_BOUND);
  const start = writer.begin(tag, bound);
  writeFields(writer, row, around);
  writer.end(start, bound);
}

function writeFields(writer: ProtoWriter, row: Row, around: string | undefined): void {
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
  if (origin !== around) writer.string(ROW_ORIGIN, origin);
}

/**
 * Reads a row.
 *
 * @param around Whose delta it is in, if in one.
 * @throws {NetworkError} `PROTOCOL` when nobody can have written it.
 */
export function readRow(reader: ProtoReader, around = ""): Row {
  let origin = around;
  let key = "";
  let part = "";
  let seq = 0;
  let time = 0;
  let count = 0;
  let writer = "";
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
    else if (tag === ROW_ORIGIN) origin = reader.string();
    else reader.skip(tag);
  }
  const base = baseOrigin === "" ? undefined : { origin: baseOrigin, seq: baseSeq };
  if (writer === "") writer = origin;
  const row = { key, part, origin, seq, stamp: { time, count, writer }, base, value };
  checkRow(row);
  return row;
}

function checkRow(row: Row): void {
  const { key, part, origin, stamp, base, value } = row;
  checkOrigin(origin);
  if (bytesOf(key) > MAX_KEY_BYTES || key.includes("\0")) throw unfit("a key is none");
  if (stamp.count >= COUNT_LIMIT) throw unfit("a count is too large");
  if (stamp.writer !== origin) checkOrigin(stamp.writer);
  if (base !== undefined) checkOrigin(base.origin);
  if (value !== null) checkValue(value);
  switch (part.slice(0, 1)) {
    case PartKind.Value:
      break;
    case PartKind.Added:
      checkAddition(row);
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

/** Nobody else may say what an origin has added; that it adds no more, its node can say later, too. */
function checkAddition({ part, origin, value }: Row): void {
  const by = originOfAddition(part);
  checkOrigin(by);
  const isOwn = value === null ? nodeOf(by) === nodeOf(origin) : by === origin;
  if (!isOwn || part !== addedPart({ origin: by, seq: seqIn(part) })) {
    throw unfit("a part is another one's");
  }
  if (value !== null && !isNumber(value)) throw unfit("what was added is no number");
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
  if (encoder.encode(value).length > MAX_VALUE_BYTES) throw unfit("a value is too long");
  if (nestsDeeperThan(value, MAX_DEPTH)) throw unfit("a value is nested too deep");
  try {
    JSON.parse(value);
  } catch {
    throw unfit("a value is no JSON");
  }
}

/** @throws {NetworkError} `PROTOCOL` when nobody can be called so. */
export function checkOrigin(origin: string): void {
  const label = ORIGIN.exec(origin)?.[1];
  if (label === undefined || !isLabel(label)) throw unfit("an origin is none");
}

/** What is thrown for what does not fit. */
export function unfit(why: string): NetworkError {
  return new NetworkError("PROTOCOL", `Cannot read a peer's state: ${why}.`);
}
