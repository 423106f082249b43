/**
 * A million hostile beacons: malformed, truncated, oversized, deeply nested, wrongly typed, made up
 * and replayed. Prints one JSON value; the exit status is 1 when something was thrown or grew.
 *
 *     deno run -A lab/beacons.ts [--count 1000000] [--seed 1]
 */

import { parseArgs } from "@std/cli/parse-args";
import { flood } from "../tests/support/hostile_beacons.ts";

/** What tables and counters may take, with garbage that was not collected yet. */
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;

const args = parseArgs(Deno.args, { string: ["count", "seed"] });
const count = Number(args.count ?? 1_000_000);
const seed = Number(args.seed ?? 1);
const startedAt = performance.now();
const { report, peers, foreign, heapGrowth } = await flood(count, seed);
const seconds = (performance.now() - startedAt) / 1000;
const met = heapGrowth < MAX_GROWTH_BYTES;
console.log(JSON.stringify({
  count,
  seed,
  met,
  seconds: Number(seconds.toFixed(1)),
  perSecond: Math.round(count / seconds),
  heapGrowthMb: Number((heapGrowth / 1e6).toFixed(1)),
  peers,
  foreign,
  heard: report.interfaces[0].heard,
  dropped: report.dropped,
}));
Deno.exitCode = met ? 0 : 1;
