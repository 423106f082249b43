/** A flood of beacons that are none: nothing is thrown, nothing grows, and all are accounted for. */

import { assert, assertEquals } from "@std/assert";
import { flood } from "../support/hostile_beacons.ts";

Deno.test("twenty thousand hostile beacons are counted by reason, and the tables stay small", async () => {
  const { sent, report, peers, foreign } = await flood(20_000, 7);
  const [eth0] = report.interfaces;
  const dropped = Object.values(report.dropped).reduce((sum, { count }) => sum + count, 0);
  assert(report.dropped.malformed.count > sent / 3, JSON.stringify(report.dropped));
  assert(report.dropped["not-allowed"].count > 0 && report.dropped["foreign-network"].count > 0);
  // What is neither dropped nor a beacon of ours is one of another program.
  assert(dropped + eth0.heard <= sent && dropped + eth0.heard > sent * 0.9);
  assert(
    foreign <= 1_024 && peers > 0 && peers <= 1_024,
    `${peers} peers, ${foreign} of other programs`,
  );
  const again = await flood(20_000, 7);
  assertEquals(again.report.dropped, report.dropped, "the same seed is the same flood");
});
