/** The times of a table of peers as a node has them when its beat is one second. */

import type { PeerTableOptions } from "../../src/membership/peer_table.ts";

/** See the top of the file. */
export const TIMES: PeerTableOptions = {
  suspectAfterMs: 1_500,
  deadAfterMs: 8_000,
  vouchedForMs: 3_000,
  forgetAfterMs: 12_000,
  politeDialMs: 200,
};
