/** A flood of beacons that are none: nothing is thrown, nothing grows, and all are accounted for. */

import { assert, assertEquals } from "@std/assert";
import { flood } from "../../tests/support/hostile_beacons.ts";

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

Deno.test("in a flood of sixty thousand forged beacons a second every true one is heard", async () => {
  const { sent, report: { dropped, interfaces }, honest, foreign, peers } = await flood(
    120_000,
    7,
    "sealed",
  );
  assertEquals(honest, { sent: 24, heard: 24 });
  for (const reason of ["forged", "foreign-key", "plaintext", "relocated", "replayed"] as const) {
    assert(dropped[reason].count > sent / 100, JSON.stringify(dropped));
  }
  assertEquals(dropped.rate.count, 0, "none was too many to be looked at");
  const all = Object.values(dropped).reduce((sum, { count }) => sum + count, 0);
  assertEquals(all + interfaces[0].heard, sent);
  // The first member, and the new ones.
  assertEquals([foreign, peers], [0, 13]);
  const again = await flood(120_000, 7, "sealed");
  assertEquals(again.report.dropped, dropped, "the same seed is the same flood");
});
