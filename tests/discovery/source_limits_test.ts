/** Looks at datagrams: who gets how many, and who cannot take those of others. */

import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { SourceLimits } from "../../src/discovery/source_limits.ts";

/** How many of `count` datagrams from a host are looked at. */
function admitted(limits: SourceLimits, host: string, count: number): number {
  let looks = 0;
  for (let i = 0; i < count; i++) if (limits.admits(host)) looks++;
  return looks;
}

Deno.test("of one host a hundred datagrams a second are looked at, known or not", async () => {
  const clock = new ManualClock();
  const limits = new SourceLimits({ clock });
  limits.proved("known");
  for (let second = 0; second < 3; second++) {
    assertEquals(admitted(limits, "stranger", 1_000), 100);
    assertEquals(admitted(limits, "known", 1_000), 100);
    await clock.advance(1_000);
  }
});

Deno.test("what a host has used up as a stranger it has not left when it has proved itself", () => {
  const limits = new SourceLimits({ clock: new ManualClock() });
  assertEquals(admitted(limits, "a", 60), 60);
  limits.proved("a");
  assertEquals(admitted(limits, "a", 60), 40);
});

Deno.test("strangers share one allowance, which comes back evenly", async () => {
  const clock = new ManualClock();
  const limits = new SourceLimits({ clock, strangers: 1_000 });
  let next = 0;
  const looks = (count: number) => {
    let admitted = 0;
    for (let i = 0; i < count; i++) if (limits.admits(`stranger${next++}`)) admitted++;
    return admitted;
  };
  assertEquals(looks(60_000), 1_000);
  assertEquals(looks(1), 0);
  await clock.advance(10);
  assertEquals(looks(60_000), 10);
  await clock.advance(60_000);
  assertEquals(looks(60_000), 1_000, "and is not saved up");
});

Deno.test("no number of strangers takes the looks of who has proved itself in the last minute", async () => {
  const clock = new ManualClock();
  const limits = new SourceLimits({ clock });
  const flood = () => {
    for (let i = 0; i < 20_000; i++) limits.admits(`10.0.${i >> 8}.${i & 255}`);
  };
  limits.proved("peer");
  flood();
  assert(limits.admits("peer"));
  await clock.advance(59_999);
  flood();
  assert(limits.admits("peer"));
  await clock.advance(1);
  flood();
  assert(!limits.admits("peer"), "then it is a stranger like others");
});

Deno.test("thousands of hosts do not give back what the loudest has used up", async () => {
  const clock = new ManualClock();
  const limits = new SourceLimits({ clock, maxHosts: 50, strangers: 100_000 });
  assertEquals(admitted(limits, "loud", 500), 100);
  for (let i = 0; i < 10_000; i++) assert(limits.admits(`stranger${i}`));
  assertEquals(admitted(limits, "loud", 500), 0);
  await clock.advance(1_000);
  // Those of a second ago make room.
  for (let i = 0; i < 49; i++) limits.admits(`other${i}`);
  assertEquals(admitted(limits, "loud", 500), 100);
});

Deno.test("who floods with what seems right pushes out nobody who came before", async () => {
  const clock = new ManualClock();
  const limits = new SourceLimits({ clock, maxHosts: 10, strangers: 1 });
  limits.proved("peer");
  for (let i = 0; i < 1_000; i++) limits.proved(`10.0.0.${i}`);
  limits.admits("stranger");
  assert(limits.admits("peer") && limits.admits("10.0.0.8"));
  assert(!limits.admits("10.0.0.9"), "of ten there is room");
  await clock.advance(30_000);
  limits.proved("peer");
  await clock.advance(30_000);
  limits.proved("late");
  limits.admits("stranger");
  assert(limits.admits("late") && limits.admits("peer"), "a minute later there is, for others");
  assert(!limits.admits("10.0.0.8"));
});
