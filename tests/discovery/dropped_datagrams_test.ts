/** Datagrams that were not used: how they are counted, and how often they are told of. */

import { assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { DroppedDatagrams } from "../../src/discovery/dropped_datagrams.ts";
import { recordingLogger } from "../support/recording_logger.ts";

Deno.test("what is not used is counted by reason, with the host of the last", () => {
  const { logger } = recordingLogger();
  const dropped = new DroppedDatagrams({ clock: new ManualClock(), logger });
  dropped.add("forged", "a");
  dropped.add("forged", "b");
  dropped.add("rate", "a");
  const { forged, rate, malformed } = dropped.report();
  assertEquals([forged, rate], [{ count: 2, host: "b" }, { count: 1, host: "a" }]);
  assertEquals(malformed, { count: 0, host: "" });
});

Deno.test("each host is told of once a minute, and what is harmless hides nothing", async () => {
  const clock = new ManualClock();
  const { logger, lines } = recordingLogger();
  const dropped = new DroppedDatagrams({ clock, logger });
  for (let i = 0; i < 1_000; i++) {
    dropped.add("foreign-key", "10.0.0.1");
    dropped.add("forged", "10.0.0.1");
  }
  const line = (reason: string) =>
    `Datagrams from 10.0.0.1 are not used: ${reason}. More: hanzo-network doctor`;
  assertEquals(lines("warn"), [line("forged")]);
  assertEquals(lines("debug"), [line("foreign-key")]);
  await clock.advance(59_999);
  dropped.add("forged", "10.0.0.1");
  assertEquals(lines("warn").length, 1);
  await clock.advance(1);
  dropped.add("forged", "10.0.0.1");
  assertEquals(lines("warn").length, 2);
});

Deno.test("a flood from any number of hosts is sixteen lines a minute", () => {
  const { logger, lines } = recordingLogger();
  const dropped = new DroppedDatagrams({ clock: new ManualClock(), logger });
  for (let i = 0; i < 100_000; i++) dropped.add("forged", `10.${i >> 8}.${i & 255}.1`);
  assertEquals(lines("warn").length, 16);
  assertEquals(dropped.report().forged.count, 100_000);
});
