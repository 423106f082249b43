/** Many deadlines at the price of one timer. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Deadlines } from "../../src/base/deadlines.ts";
import { WatchedClock } from "../support/watched_clock.ts";

Deno.test("property: what is not cancelled rings when it is due, once, and in order", async () => {
  const one = fc.record({
    delayMs: fc.integer({ min: 0, max: 50 }),
    cancelAt: fc.option(fc.integer({ min: 0, max: 50 })),
  });
  await fc.assert(fc.asyncProperty(fc.array(one, { maxLength: 40 }), async (all) => {
    const clock = new WatchedClock();
    const deadlines = new Deadlines(clock);
    const rung: { i: number; at: number }[] = [];
    all.forEach(({ delayMs, cancelAt }, i) => {
      const cancel = deadlines.after(delayMs, () => rung.push({ i, at: clock.now() }));
      if (cancelAt === null) return;
      const giveUp = () => {
        cancel();
        cancel();
      };
      if (cancelAt === 0) giveUp();
      else clock.after(cancelAt - 0.5, giveUp);
    });
    await clock.advance(60);
    const due = all.map((one, i) => ({ ...one, i }))
      .filter(({ delayMs, cancelAt }) => cancelAt === null || delayMs < cancelAt);
    assertEquals(
      rung.toSorted((a, b) => a.i - b.i),
      due.map(({ i, delayMs }) => ({ i, at: delayMs })),
    );
    assert(rung.every(({ at }, i) => i === 0 || rung[i - 1].at <= at));
    assertEquals(clock.pending, 0, "no timer is left");
  }));
});

Deno.test("a hundred thousand that are cancelled keep one timer and take no room", () => {
  const clock = new WatchedClock();
  const deadlines = new Deadlines(clock);
  const cancels: (() => void)[] = [];
  const staying = deadlines.after(300_000, () => {});
  for (let i = 0; i < 100_000; i++) {
    cancels.push(deadlines.after(300_000 + i, () => {}));
    if (cancels.length === 256) cancels.splice(0).forEach((cancel) => cancel());
    assertEquals(clock.pending, 1);
  }
  assert(deadlines.size < 4_096, `${deadlines.size} are kept`);
  for (const cancel of cancels) cancel();
  staying();
  assertEquals([deadlines.size, clock.pending], [0, 0]);
});

Deno.test("one that rings may set the next, and an earlier one comes first", async () => {
  const clock = new WatchedClock();
  const deadlines = new Deadlines(clock);
  const rung: string[] = [];
  deadlines.after(10, () => {
    rung.push(`a at ${clock.now()}`);
    deadlines.after(5, () => rung.push(`c at ${clock.now()}`));
  });
  deadlines.after(3, () => rung.push(`b at ${clock.now()}`));
  await clock.advance(20);
  assertEquals(rung, ["b at 3", "a at 10", "c at 15"]);
});

Deno.test("one that has come due while another one rang is waited for no less than not at all", () => {
  const waits: number[] = [];
  let now = 0;
  let ring = () => {};
  const deadlines = new Deadlines({
    now: () => now,
    wallTime: () => now,
    after(delayMs, callback) {
      waits.push(delayMs);
      ring = callback;
      return () => {};
    },
  });
  deadlines.after(10, () => now = 15);
  deadlines.after(12, () => {});
  now = 10;
  ring();
  assertEquals(waits, [10, 0]);
});
