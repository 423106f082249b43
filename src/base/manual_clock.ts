/** A clock that stands still until it is told to move: for tests and the simulator. */

import type { CancelTimer, Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  /** Undefined when it was cancelled. */
  callback: (() => void) | undefined;
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
  #epoch: number;
  /** A binary heap, the earliest first: a simulated network has a hundred thousand. */
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

  /** The system's clock is set: {@linkcode wallTime} jumps, and no timer falls due by that. */
  setWallTime(ms: number): void {
    this.#epoch = ms - this.#now;
  }

  after(delayMs: number, callback: () => void): CancelTimer {
    const at = this.#now + Math.max(0, delayMs);
    const timer: Timer = { at, order: this.#order++, callback };
    this.#push(timer);
    // It stays where it is, and does nothing when its time comes.
    return () => timer.callback = undefined;
  }

  /**
   * Moves time on by `ms`, calling what falls due in order. Between two moments every promise
   * that can settle without further time has settled.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#earliest(); next && next.at <= until; next = this.#earliest()) {
      const { at } = next;
      this.#now = at;
      while (this.#earliest()?.at === at) this.#pop().callback!();
      await settle();
    }
    // Of two that overlap, the shorter one must not turn time back.
    this.#now = Math.max(this.#now, until);
  }

  /** The next timer that was not cancelled. */
  #earliest(): Timer | undefined {
    while (this.#timers.length > 0 && this.#timers[0].callback === undefined) this.#pop();
    return this.#timers[0];
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let place = heap.push(timer) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(timer, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = timer;
  }

  #pop(): Timer {
    const heap = this.#timers;
    const [first] = heap;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

/** By time, then by order of scheduling. */
function isBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** Lets every promise that is ready run, and those that these make ready: one turn of the loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
