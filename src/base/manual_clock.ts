/** A clock that stands still until it is told to move: for tests and the simulator. */

import type { CancelTimer, Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A {@linkcode Clock} whose time moves only in {@linkcode ManualClock.advance}.
 *
 * @example A minute in no time
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock } from "./manual_clock.ts";
 *
 * const clock = new ManualClock();
 * let rung = 0;
 * clock.after(60_000, () => rung++);
 * await clock.advance(60_000);
 * assertEquals(rung, 1);
 * ```
 */
export class ManualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #epoch: number;
  // Sorted by time, then by order of scheduling; the earliest last, so that pop() takes it.
  readonly #timers: Timer[] = [];

  /** @param epoch What {@linkcode wallTime} says at time 0, in milliseconds since 1970. */
  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#epoch + this.#now;
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.splice(this.#placeOf(timer), 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /**
   * Moves time on by `ms`, calling what falls due in order. Between two moments every promise
   * that can settle without further time has settled.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#timers.at(-1); next && next.at <= until; next = this.#timers.at(-1)) {
      this.#now = next.at;
      while (this.#timers.at(-1)?.at === next.at) this.#timers.pop()!.callback();
      await settle();
    }
    // Of two that overlap, the shorter one must not turn time back.
    this.#now = Math.max(this.#now, until);
  }

  #placeOf(timer: Timer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#timers[middle];
      const later = other.at > timer.at || (other.at === timer.at && other.order > timer.order);
      if (later) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Lets every promise that is ready run, and those that these make ready: one turn of the loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
