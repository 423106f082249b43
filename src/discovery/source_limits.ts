/** How many datagrams of whom are worth a closer look: those of each host, and of all strangers. */

import type { Clock } from "../base/clock.ts";

/** What {@linkcode SourceLimits} is made of. */
export interface SourceLimitsOptions {
  readonly clock: Clock;
  /**
   * Looks at the datagrams of one host in a second. Forty nodes of one machine that all miss
   * somebody send 80.
   *
   * @default {100}
   */
  readonly perHost?: number;
  /**
   * Looks at the datagrams of all hosts together that have not proved themselves. To decode one in
   * vain takes 40 µs, to open a sealed one 12 µs: a sixth of a core, and a twentieth.
   *
   * @default {4_000}
   */
  readonly strangers?: number;
  /**
   * Hosts that have proved themselves and are remembered, and strangers that are counted one by
   * one.
   *
   * @default {4_096}
   */
  readonly maxHosts?: number;
}

const SECOND_MS = 1_000;
/** A proof counts for so long: twenty-four beacons, of which any one renews it. */
const PROVED_FOR_MS = 60_000;

/** Looks at one host's datagrams in the second that began at `since`. */
interface Count {
  since: number;
  count: number;
}

/**
 * Counts looks. Who has proved itself within the last minute has an allowance of its own, so that
 * no flood of strangers, from however many hosts, takes it away.
 */
export class SourceLimits {
  readonly #clock: Clock;
  readonly #perHost: number;
  readonly #strangersPerSecond: number;
  readonly #maxHosts: number;
  /** Who has proved itself, the longest ago first. */
  readonly #known = new Map<string, Count & { provedAt: number }>();
  /** By when their seconds began, the earliest first. */
  readonly #strangers = new Map<string, Count>();
  /** Looks that strangers have left; they come back evenly, so that none has to wait a second. */
  #left: number;
  #filledAt: number;

  constructor({ clock, perHost = 100, strangers = 4_000, maxHosts = 4_096 }: SourceLimitsOptions) {
    this.#clock = clock;
    this.#perHost = perHost;
    this.#strangersPerSecond = strangers;
    this.#maxHosts = maxHosts;
    this.#left = strangers;
    this.#filledAt = clock.now();
  }

  /** Whether one more datagram from `host` may be looked at; it then counts. */
  admits(host: string): boolean {
    const now = this.#clock.now();
    const known = this.#known.get(host);
    if (known !== undefined && now - known.provedAt < PROVED_FOR_MS) {
      return this.#countsIn(known, now);
    }
    return this.#isWithinItsOwn(host, now) && this.#isWithinThatOfAll(now);
  }

  /** A datagram from `host` was what it should be. */
  proved(host: string): void {
    const now = this.#clock.now();
    const known = this.#known.get(host);
    if (known === undefined && !this.#hasRoom(now)) return;
    const { since, count } = known ?? this.#strangers.get(host) ?? { since: now, count: 0 };
    this.#strangers.delete(host);
    this.#known.delete(host);
    this.#known.set(host, { since, count, provedAt: now });
  }

  /** Whoever came first stays: who floods with what seems to be right pushes nobody out. */
  #hasRoom(now: number): boolean {
    if (this.#known.size < this.#maxHosts) return true;
    const [oldest, { provedAt }] = this.#known.entries().next().value!;
    if (now - provedAt < PROVED_FOR_MS) return false;
    return this.#known.delete(oldest);
  }

  #isWithinItsOwn(host: string, now: number): boolean {
    const stranger = this.#strangers.get(host);
    if (stranger !== undefined && now - stranger.since < SECOND_MS) {
      return this.#countsIn(stranger, now);
    }
    this.#strangers.delete(host);
    if (this.#strangers.size >= this.#maxHosts) {
      const [oldest, { since }] = this.#strangers.entries().next().value!;
      // More hosts in a second than are counted: for the rest of it only their sum is bounded. To
      // begin anew would give all of them, the loudest too, what they have used up already.
      if (now - since < SECOND_MS) return true;
      this.#strangers.delete(oldest);
    }
    this.#strangers.set(host, { since: now, count: 1 });
    return true;
  }

  #isWithinThatOfAll(now: number): boolean {
    const perSecond = this.#strangersPerSecond;
    const refill = (now - this.#filledAt) / SECOND_MS * perSecond;
    this.#left = Math.min(perSecond, this.#left + refill);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  #countsIn(one: Count, now: number): boolean {
    if (now - one.since >= SECOND_MS) {
      one.since = now;
      one.count = 0;
    }
    return ++one.count <= this.#perHost;
  }
}
