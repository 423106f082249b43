/** Rows that replicas send each other, as bytes and back (`proto/hanzo_state_v1.proto`). */

import { Buffer } from "node:buffer";
import { bytesTag, ProtoReader, ProtoWriter, varintTag } from "../base/protobuf.ts";
import type { Delta, Stretch } from "./intake.ts";
import type { Row } from "./row.ts";
import { checkOrigin, NUMBERS_BOUND, readRow, unfit, writeRow } from "./row_codec.ts";
import type { Place } from "./row_store.ts";

const DELTA_ORIGIN = bytesTag(1);
const DELTA_AFTER = varintTag(2);
const DELTA_UP_TO = varintTag(3);
const DELTA_ROWS = bytesTag(4);
const STRETCH_ROWS = bytesTag(1);
const STRETCH_TO_KEY = bytesTag(2);
const STRETCH_TO_PART = bytesTag(3);

/** A delta as bytes. */
export function encodeDelta({ origin, after, upTo, rows }: Delta): Uint8Array {
  const writer = new ProtoWriter();
  writer.reserve(origin.length * 3 + NUMBERS_BOUND);
  writer.string(DELTA_ORIGIN, origin);
  if (after > 0) writer.number(DELTA_AFTER, after);
  writer.number(DELTA_UP_TO, upTo);
  for (const row of rows) writeRow(writer, DELTA_ROWS, row, origin);
  return writer.take();
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
  for (const row of rows) {
    if (row.origin !== origin) throw unfit("a row is another one's");
    if (row.seq <= after || row.seq > upTo) throw unfit(`a row has number ${row.seq}`);
  }
  return { origin, after, upTo, rows };
}

/** A stretch of all rows as bytes; where it begins is where the one before it has ended. */
export function encodeStretch({ to, rows }: Stretch): Uint8Array {
  const writer = new ProtoWriter();
  for (const row of rows) writeRow(writer, STRETCH_ROWS, row);
  if (to === undefined) return writer.take();
  writer.reserve(3 * (to.key.length + to.part.length) + NUMBERS_BOUND);
  writer.string(STRETCH_TO_KEY, to.key);
  writer.string(STRETCH_TO_PART, to.part);
  return writer.take();
}

/**
 * Reads a stretch.
 *
 * @param from Where the one before it has ended.
 * @throws {NetworkError} `PROTOCOL` naming what does not fit.
 */
export function decodeStretch(bytes: Uint8Array, from: Place): Stretch {
  const reader = new ProtoReader("a peer's state", bytes);
  let to: Place | undefined;
  const rows: Row[] = [];
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === STRETCH_TO_KEY) to = { part: "", ...to, key: reader.string() };
    else if (tag === STRETCH_TO_PART) to = { key: "", ...to, part: reader.string() };
    else if (tag === STRETCH_ROWS) rows.push(readRow(reader.nested()));
    else reader.skip(tag);
  }
  if (to !== undefined && !isBehind(to, from)) throw unfit("a stretch does not go on");
  return { from, to, rows };
}

/** In the order of their UTF-8, as rows are. */
function isBehind(to: Place, from: Place): boolean {
  const order = Buffer.compare(Buffer.from(to.key), Buffer.from(from.key));
  return order > 0 ||
    (order === 0 && Buffer.compare(Buffer.from(to.part), Buffer.from(from.part)) > 0);
}
