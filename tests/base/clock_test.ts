/** Time: the system's, the one that a test moves, and what is built on either. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, every, sleep, systemClock } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";

Deno.test("the system's clock calls back once, not before its time, and not when cancelled", async () => {
  const called: string[] = [];
  const start = systemClock.now();
  const cancel = systemClock.after(1, () => called.push("cancelled"));
  cancel();
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.after(5, () => {
      called.push("kept");
      resolve();
    });
  });
  // A timer may be up to a millisecond early.
  assert(systemClock.now() - start >= 4);
  assertEquals(called, ["kept"]);
  assert(Math.abs(systemClock.wallTime() - Date.now()) < 1_000);
});

Deno.test("every calls at its interval until it is cancelled", async () => {
  const clock = new ManualClock();
  const calls: number[] = [];
  const cancel = every(clock, 10, () => calls.push(clock.now()));
  await clock.advance(9);
  assertEquals(calls, []);
  await clock.advance(26);
  assertEquals(calls, [10, 20, 30]);
  cancel();
  cancel();
  await clock.advance(100);
  assertEquals(calls, [10, 20, 30]);
});

Deno.test("every can be cancelled from within its own call", async () => {
  const clock = new ManualClock();
  let calls = 0;
  const cancel = every(clock, 10, () => {
    if (++calls === 2) cancel();
  });
  await clock.advance(100);
  assertEquals(calls, 2);
});

Deno.test("the next call of every is scheduled when the last one has returned, so none pile up", async () => {
  const manual = new ManualClock();
  let late = 0;
  // A callback that takes 25 ms: the clock has moved when it returns.
  const clock: Clock = {
    now: () => manual.now() + late,
    wallTime: () => manual.wallTime(),
    after: (delayMs, callback) => manual.after(delayMs + late, callback),
  };
  const starts: number[] = [];
  const cancel = every(clock, 10, () => {
    starts.push(manual.now());
    late = 25;
  });
  await manual.advance(100);
  cancel();
  assertEquals(starts, [10, 45, 80]);
});

Deno.test("sleep resolves after its time", async () => {
  const clock = new ManualClock();
  let awake = false;
  const sleeping = sleep(clock, 50).then(() => awake = true);
  await clock.advance(49);
  assert(!awake);
  await clock.advance(1);
  assert(awake);
  await sleeping;
});

Deno.test("an aborted sleep rejects with the signal's reason and leaves no timer behind", async () => {
  const clock = new ManualClock();
  const timers = counting(clock);
  const reason = new Error("enough");

  await assertRejects(() => sleep(timers.clock, 50, AbortSignal.abort(reason)), Error, "enough");
  assertEquals(timers.pending, 0, "aborted before: no timer at all");

  const controller = new AbortController();
  const sleeping = sleep(timers.clock, 50, controller.signal);
  assertEquals(timers.pending, 1);
  controller.abort(reason);
  await assertRejects(() => sleeping, Error, "enough");
  assertEquals(timers.pending, 0);
});

Deno.test("a sleep that has ended does not mind what becomes of its signal", async () => {
  const clock = new ManualClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 5, controller.signal);
  await clock.advance(5);
  await sleeping;
  controller.abort();
});

Deno.test("the manual clock calls in the order of time, and of scheduling within one moment", async () => {
  const clock = new ManualClock();
  const calls: string[] = [];
  clock.after(20, () => calls.push(`late at ${clock.now()}`));
  clock.after(10, () => calls.push(`first at ${clock.now()}`));
  clock.after(10, () => calls.push(`second at ${clock.now()}`));
  clock.after(-5, () => calls.push(`past at ${clock.now()}`));
  await clock.advance(15);
  assertEquals(calls, ["past at 0", "first at 10", "second at 10"]);
  assertEquals(clock.now(), 15);
  await clock.advance(5);
  assertEquals(calls.at(-1), "late at 20");
});

Deno.test("between two moments of the manual clock promises run and may schedule more", async () => {
  const clock = new ManualClock();
  const calls: number[] = [];
  const run = async () => {
    for (let i = 0; i < 3; i++) {
      await sleep(clock, 10);
      calls.push(clock.now());
    }
  };
  const running = run();
  await clock.advance(30);
  assertEquals(calls, [10, 20, 30]);
  await running;
});

Deno.test("a timer of the manual clock that was cancelled by an earlier one is not called", async () => {
  const clock = new ManualClock();
  let called = false;
  const cancel = clock.after(10, () => called = true);
  clock.after(10, () => assert(called, "scheduled later, so called later"));
  const cancelOther = clock.after(20, () => called = false);
  clock.after(15, cancelOther);
  await clock.advance(30);
  assert(called);
  cancel();
});

Deno.test("the manual clock's wall time begins at its epoch and moves along", async () => {
  const clock = new ManualClock(Date.UTC(2030, 5, 1));
  await clock.advance(1_500);
  assertEquals(clock.wallTime(), Date.UTC(2030, 5, 1) + 1_500);
});

Deno.test("the manual clock never goes back, not even when two advances overlap", async () => {
  const clock = new ManualClock();
  const long = clock.advance(100);
  const short = clock.advance(10);
  await Promise.all([long, short]);
  assertEquals(clock.now(), 100);
});

/** A clock that knows how many of its timers are pending. */
function counting(clock: ManualClock): { clock: Clock; readonly pending: number } {
  const pending = new Set<object>();
  return {
    clock: {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      after(delayMs, callback) {
        const timer = {};
        pending.add(timer);
        const cancel = clock.after(delayMs, () => {
          pending.delete(timer);
          callback();
        });
        return () => {
          pending.delete(timer);
          cancel();
        };
      },
    },
    get pending() {
      return pending.size;
    },
  };
}
