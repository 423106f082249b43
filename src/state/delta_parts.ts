/** What goes into one message of a link, of what is longer. */

import type { Delta } from "./intake.ts";
import type { Row } from "./row.ts";
import { rowBound } from "./row_codec.ts";

/** Of one item or notice, about. */
const CHUNK_BYTES = 128 * 1024;

/** Whether rows still fit into one message. */
export function chunk(): (row: Row) => boolean {
  let bytes = 0;
  return (row) => (bytes += rowBound(row)) <= CHUNK_BYTES;
}

/** Divides a delta into such as fit into a message; what was written together stays together. */
export function* partsOf({ origin, after, upTo, rows }: Delta): Generator<Delta, void, void> {
  let from = after;
  let part: Row[] = [];
  let fits = chunk();
  for (const row of rows) {
    const last = part.at(-1);
    if (!fits(row) && last !== undefined && row.seq !== last.seq) {
      yield { origin, after: from, upTo: last.seq, rows: part };
      from = last.seq;
      part = [];
      fits = chunk();
      fits(row);
    }
    part.push(row);
  }
  yield { origin, after: from, upTo, rows: part };
}
