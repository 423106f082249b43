/** A clock that tells whether anybody still waits for it. */

import type { CancelTimer } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";

/** A manual clock that knows how many of its timers have neither rung nor been cancelled. */
export class WatchedClock extends ManualClock {
  readonly #pending = new Set<symbol>();

  get pending(): number {
    return this.#pending.size;
  }

  override after(delayMs: number, callback: () => void): CancelTimer {
    const timer = Symbol();
    this.#pending.add(timer);
    const cancel = super.after(delayMs, () => {
      this.#pending.delete(timer);
      callback();
    });
    return () => {
      this.#pending.delete(timer);
      cancel();
    };
  }
}
