/** What was seen lately, without a price for forgetting. */

/**
 * A set that remembers at least the last `capacity` values that were added, and at most twice as
 * many. It forgets half of them at once: a set from which the oldest is taken with each that comes
 * costs five times as much.
 */
export class RecentSet<T> {
  readonly #capacity: number;
  #newer = new Set<T>();
  #older = new Set<T>();

  /** @param capacity 1 or more. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Adds it; returns whether it was not there. */
  add(value: T): boolean {
    if (this.#older.has(value)) return false;
    const before = this.#newer.size;
    if (this.#newer.add(value).size === before) return false;
    if (before + 1 >= this.#capacity) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return true;
  }
}
