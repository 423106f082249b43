/** What is counted, and how little of it is logged. */

import { assertEquals } from "@std/assert";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { RefusalCounts } from "../../../src/gateway/http/report.ts";
import { recordingLogger } from "../../support/recording_logger.ts";

Deno.test("refusals are all counted, and each kind is logged once a minute at most", async () => {
  const clock = new ManualClock();
  const log = recordingLogger();
  const counts = new RefusalCounts(clock, log.logger);
  for (let i = 0; i < 1_000; i++) counts.add("crowd");
  counts.add("slow");
  await clock.advance(59_999);
  counts.add("crowd");
  assertEquals(log.lines("warn").length, 2);
  await clock.advance(1);
  counts.add("crowd");
  assertEquals(log.lines("warn"), [
    "The API turned clients away (1): too many others had not shown the token either",
    "The API turned clients away (1): the request did not come in time",
    "The API turned clients away (1001): too many others had not shown the token either",
  ]);
  assertEquals(counts.all(), {
    crowd: 1_002,
    slow: 1,
    malformed: 0,
    "not-admitted": 0,
    busy: 0,
    starved: 0,
  });
});
