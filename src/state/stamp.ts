/** When something was written: a hybrid logical clock, and the order of its stamps. */

import type { Clock } from "../base/clock.ts";

/**
 * When a row was written: later than all that its writer had seen (S. Kulkarni et al., "Logical
 * Physical Clocks", 2014).
 */
export interface Stamp {
  /** Milliseconds since 1970 by the clock that is furthest ahead of those that were seen; 0 or more. */
  readonly time: number;
  /** How many stamps of the same time came before, as far as its writer knew. */
  readonly count: number;
  /** The origin that made it: of two at once, the greater name is the later one. */
  readonly writer: string;
}

/**
 * How far a stamp may be ahead of this device's clock, in milliseconds: fifty years. Clocks without a
 * battery wake in 1970 or 2000, and are wrong by no more than that; whoever wants to use the range of
 * numbers up does not get far.
 */
export const MAX_LEAD_MS = 50 * 365.25 * 24 * 3_600_000;
/** When this was written, in milliseconds since 1970: a clock that shows less is wrong. */
const LEAST_TIME = Date.UTC(2026, 10, 1);
/**
 * A clock that shows more is wrong, too: others would never take what is written by it, nor what is
 * written after that when it goes right again.
 */
const GREATEST_TIME = LEAST_TIME + MAX_LEAD_MS;
/** What `count` is less than. */
export const COUNT_LIMIT = 2 ** 32;

/** Below 0 when `one` is the earlier, above when `other` is; 0 only for the same stamp. */
export function compareStamps(one: Stamp, other: Stamp): number {
  if (one.time !== other.time) return one.time - other.time;
  if (one.count !== other.count) return one.count - other.count;
  return one.writer < other.writer ? -1 : one.writer > other.writer ? 1 : 0;
}

/** The clock of one replica. */
export class HybridClock {
  readonly #clock: Clock;
  readonly #writer: string;
  #time = 0;
  #count = 0;

  /** @param writer The origin that the stamps are of. */
  constructor(clock: Clock, writer: string) {
    this.#clock = clock;
    this.#writer = writer;
  }

  /** A stamp later than all that were made or seen here. */
  next(): Stamp {
    const now = this.#now();
    if (now > this.#time) {
      this.#time = now;
      this.#count = 0;
    } else if (++this.#count === COUNT_LIMIT) {
      this.#time++;
      this.#count = 0;
    }
    return { time: this.#time, count: this.#count, writer: this.#writer };
  }

  /** A stamp was seen: what is made from now on is later. */
  see({ time, count }: Pick<Stamp, "time" | "count">): void {
    if (time < this.#time || (time === this.#time && count <= this.#count)) return;
    this.#time = time;
    this.#count = count;
  }

  /** How far a stamp is ahead of this device's clock, in milliseconds; negative when it is behind. */
  leadOf({ time }: Pick<Stamp, "time">): number {
    return time - Math.max(this.#now(), LEAST_TIME);
  }

  /** What the clock shows, or of one that shows nonsense the least that it can be. */
  #now(): number {
    const shown = Math.floor(this.#clock.wallTime());
    return shown > GREATEST_TIME ? LEAST_TIME : Math.max(0, shown);
  }
}
