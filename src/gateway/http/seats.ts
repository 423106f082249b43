/**
 * Who may be connected at a time, and who has to go when more come: those whom nobody knows never
 * take the place of those who have shown that they may be here.
 */

import type { HttpReport } from "./report.ts";

/** Strangers at a time: what an attacker can hold of the process's file descriptors. */
export const MAX_STRANGERS = 64;
/** Clients at a time that have been let in, and so the most requests at a time. */
export const MAX_KNOWN = 256;
/** A stranger that has just come has not had the time yet to say what it wants. */
export const GRACE_MS = 20;
/** How long less is taken after the process had no file descriptors left. */
export const THRIFT_MS = 60_000;
/** What is left then of either bound, at the least. */
const MIN_SHARE = 1 / 8;

/** Somebody with a seat. */
export interface Guest {
  /** When it came, in milliseconds of the clock. */
  readonly since: number;
  /** Makes it go; it says so with {@linkcode Seats.leave}, perhaps later. */
  close(): void;
}

/** See the top of the file. In each set the longest there is the first. */
export class Seats<T extends Guest> {
  readonly #strangers = new Set<T>();
  readonly #idle = new Set<T>();
  readonly #answering = new Set<T>();
  readonly #onCrowd: () => void;
  #share = 1;
  #starvedAt = -Infinity;
  /** The last two times that the event loop came round while room was waited for. */
  #turns: [before: number, last: number] = [-Infinity, -Infinity];

  /** @param onCrowd Called when a stranger had to go for another. */
  constructor(onCrowd: () => void) {
    this.#onCrowd = onCrowd;
  }

  /** Somebody has come. */
  enter(guest: T): void {
    this.#strangers.add(guest);
  }

  /**
   * It has a request that is to be answered.
   *
   * @returns Whether there is a place; an idle one is made to go for that.
   */
  seat(guest: T): boolean {
    if (!this.#idle.delete(guest)) {
      if (this.#idle.size + this.#answering.size >= MAX_KNOWN) {
        const [oldest] = this.#idle;
        if (oldest === undefined) return false;
        this.#dismiss(oldest);
      }
      this.#strangers.delete(guest);
    }
    this.#answering.add(guest);
    return true;
  }

  /** It has its answer. */
  release(guest: T): void {
    if (this.#answering.delete(guest)) this.#idle.add(guest);
  }

  /** It is gone. */
  leave(guest: T): void {
    this.#strangers.delete(guest);
    this.#idle.delete(guest);
    this.#answering.delete(guest);
  }

  /**
   * Makes room for one more stranger, which the one that has been there longest may have to go for.
   *
   * @returns Undefined when there is room; else how long to wait before it is asked again, in
   * milliseconds, or just for a turn of the event loop.
   */
  makeRoom(now: number): number | undefined {
    if (now - this.#starvedAt >= THRIFT_MS) this.#share = 1;
    while (this.#strangers.size >= MAX_STRANGERS * this.#share) {
      const [oldest] = this.#strangers;
      const until = oldest.since + GRACE_MS;
      // And one turn more: when the process was busy meanwhile, what has come is not read yet.
      if (this.#turns[0] < until) return Math.max(0, until - now);
      this.#dismiss(oldest);
      this.#onCrowd();
    }
    return undefined;
  }

  /** What {@linkcode Seats.makeRoom} asked to wait for is over. */
  turned(now: number): void {
    this.#turns = [this.#turns[1], now];
  }

  /** The process has no file descriptors left: some go, and fewer may come for a while. */
  thin(now: number): void {
    this.#share = Math.max(MIN_SHARE, this.#share / 2);
    this.#starvedAt = now;
    for (
      const [guests, max] of [[this.#strangers, MAX_STRANGERS], [this.#idle, MAX_KNOWN]] as const
    ) {
      const keep = Math.min(max * this.#share, guests.size / 2);
      for (const guest of guests) {
        if (guests.size <= keep) break;
        this.#dismiss(guest);
      }
    }
  }

  /** Everybody who is there. */
  all(): T[] {
    return [...this.#strangers, ...this.#idle, ...this.#answering];
  }

  /** How many there are. */
  count(): HttpReport["open"] {
    return {
      stranger: this.#strangers.size,
      idle: this.#idle.size,
      answering: this.#answering.size,
    };
  }

  #dismiss(guest: T): void {
    this.leave(guest);
    guest.close();
  }
}
