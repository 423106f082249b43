/** How far each origin was seen: a version vector. */

import type { Dot } from "./row.ts";

/** See the top of the file. */
export class Versions {
  readonly #seen: Map<string, number>;

  /** @param seen The number up to which all of an origin was seen, by origin. */
  constructor(seen: Iterable<readonly [origin: string, seq: number]> = []) {
    this.#seen = new Map(seen);
  }

  /** How many origins there are. */
  get size(): number {
    return this.#seen.size;
  }

  /** Up to which number an origin was seen; 0 for none of it. */
  of(origin: string): number {
    return this.#seen.get(origin) ?? 0;
  }

  /** Whether that write was seen. */
  has({ origin, seq }: Dot): boolean {
    return seq <= this.of(origin);
  }

  /** All of `origin` was seen up to `seq`; what was seen before stays seen. */
  advance(origin: string, seq: number): void {
    if (seq > this.of(origin)) this.#seen.set(origin, seq);
  }

  /** Takes back what was believed of an origin. */
  reset(origin: string, seq: number): void {
    if (seq === 0) this.#seen.delete(origin);
    else this.#seen.set(origin, seq);
  }

  /** Whether all that `other` has seen was seen here. */
  covers(other: Versions): boolean {
    for (const [origin, seq] of other) if (seq > this.of(origin)) return false;
    return true;
  }

  /** All that `other` says was seen, was. */
  join(other: Versions): void {
    for (const [origin, seq] of other) this.advance(origin, seq);
  }

  /** A copy that stays as it is. */
  copy(): Versions {
    return new Versions(this.#seen);
  }

  [Symbol.iterator](): IterableIterator<[origin: string, seq: number]> {
    return this.#seen.entries();
  }
}
