/** How far replicas are, as bytes and back (`proto/hanzo_state_v1.proto`). */

import { bytesTag, ProtoReader, ProtoWriter, varintTag } from "../base/protobuf.ts";
import { checkOrigin, NUMBERS_BOUND } from "./row_codec.ts";
import type { Position } from "./row_ledger.ts";
import { Versions } from "./versions.ts";

const STANDING_ORIGINS = bytesTag(1);
const STANDING_OWN = bytesTag(2);
const STANDING_ALL = varintTag(3);
const ORIGIN_NAME = bytesTag(1);
const ORIGIN_SEEN = varintTag(2);
const ORIGIN_FORGOTTEN = varintTag(3);

/** What a replica says of itself when it asks or is asked. */
export interface Standing extends Omit<Position, "digest"> {
  /** In whose name it writes. */
  readonly own: string;
  /** Of who asks: it wants all; of who is asked: all follows, and not what differs. */
  readonly all: boolean;
}

/** What a replica says of itself, as bytes. */
export function encodeStanding(standing: Standing): Uint8Array {
  const { versions, forgotten, own, all } = standing;
  const writer = new ProtoWriter();
  writer.reserve(own.length * 3 + NUMBERS_BOUND);
  writer.string(STANDING_OWN, own);
  if (all) writer.number(STANDING_ALL, 1);
  const origins = new Set([...versions, ...forgotten].map(([origin]) => origin));
  for (const origin of origins) {
    const bound = origin.length * 3 + NUMBERS_BOUND;
    writer.reserve(bound + NUMBERS_BOUND);
    const start = writer.begin(STANDING_ORIGINS, bound);
    writer.string(ORIGIN_NAME, origin);
    if (versions.of(origin) > 0) writer.number(ORIGIN_SEEN, versions.of(origin));
    if (forgotten.of(origin) > 0) writer.number(ORIGIN_FORGOTTEN, forgotten.of(origin));
    writer.end(start, bound);
  }
  return writer.take();
}

/**
 * Reads what somebody says of itself.
 *
 * @throws {NetworkError} `PROTOCOL`.
 */
export function decodeStanding(bytes: Uint8Array): Standing {
  const reader = new ProtoReader("how far a peer's state is", bytes);
  const versions = new Versions();
  const forgotten = new Versions();
  let own = "";
  let all = false;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === STANDING_OWN) own = reader.string();
    else if (tag === STANDING_ALL) all = reader.number() !== 0;
    else if (tag === STANDING_ORIGINS) readOrigin(reader.nested(), versions, forgotten);
    else reader.skip(tag);
  }
  checkOrigin(own);
  return { versions, forgotten, own, all };
}

function readOrigin(reader: ProtoReader, versions: Versions, forgotten: Versions): void {
  let origin = "";
  let seen = 0;
  let upTo = 0;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === ORIGIN_NAME) origin = reader.string();
    else if (tag === ORIGIN_SEEN) seen = reader.number();
    else if (tag === ORIGIN_FORGOTTEN) upTo = reader.number();
    else reader.skip(tag);
  }
  checkOrigin(origin);
  versions.advance(origin, seen);
  forgotten.advance(origin, upTo);
}
