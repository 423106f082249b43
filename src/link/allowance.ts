/** How much of something there may be: so much at once, and more as time passes and as it is earned. */

import type { Clock } from "../base/clock.ts";

/** How an {@linkcode Allowance} is to be. */
export interface AllowanceOptions {
  /** At once, at the beginning. */
  readonly burst: number;
  readonly perSecond: number;
  /** At once, ever. */
  readonly most: number;
}

/** See the top of the file. */
export class Allowance {
  readonly #clock: Clock;
  readonly #options: AllowanceOptions;
  #left: number;
  #at: number;

  constructor(clock: Clock, options: AllowanceOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#left = options.burst;
    this.#at = clock.now();
  }

  /** More, and what the time since has brought, but not more than are kept. */
  earn(more: number): void {
    const { perSecond, most } = this.#options;
    const now = this.#clock.now();
    this.#left = Math.min(most, this.#left + more + (now - this.#at) / 1_000 * perSecond);
    this.#at = now;
  }

  /** Whether there was one left. */
  spend(): boolean {
    if (this.#left < 1) this.earn(0);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
