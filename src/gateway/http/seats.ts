/**
 * Who may be connected at a time, and who has to go when more come: those whom nobody knows never
 * take the place of those who have shown that they may be here.
 */

import type { HttpReport } from "./report.ts";

/** Strangers at a time: what an attacker can hold of the process's file descriptors. */
export const MAX_STRANGERS = 64;
/** So many more may be there for a moment: who has just come is left the time to say something. */
export const MAX_NEWCOMERS = 16;
/** That moment. */
export const GRACE_MS = 20;
/** Clients at a time that have been let in, and the most requests at a time. */
export const MAX_KNOWN = 256;
/** Strangers at a time after the process had hardly a file descriptor left. */
export const THRIFTY_STRANGERS = 8;
/** How long after. */
export const THRIFT_MS = 60_000;

/** Somebody with a seat. */
export interface Guest {
  /** When it came, in milliseconds of the clock. */
  readonly since: number;
  /** Makes it go; it says so with {@linkcode Seats.leave}, perhaps later. */
  close(): void;
}

/** See the top of the file. In each collection the longest there is the first. */
export class Seats<T extends Guest> {
  readonly #strangers = new Set<T>();
  readonly #idle = new Set<T>();
  /** With how many requests: a client may send the next one before it has its answer. */
  readonly #answering = new Map<T, number>();
  readonly #onCrowd: () => void;
  #requests = 0;
  #thriftUntil = -Infinity;

  /** @param onCrowd Called when a stranger had to go for another. */
  constructor(onCrowd: () => void) {
    this.#onCrowd = onCrowd;
  }

  /** Somebody has come. */
  enter(guest: T): void {
    this.#strangers.add(guest);
  }

  /** Makes those strangers go that are too many, the longest there first. */
  trim(now: number): void {
    const max = now < this.#thriftUntil ? THRIFTY_STRANGERS : MAX_STRANGERS;
    for (const oldest of this.#strangers) {
      const excess = this.#strangers.size - max;
      if (excess <= 0 || (excess <= MAX_NEWCOMERS && now - oldest.since < GRACE_MS)) return;
      this.#dismiss(oldest);
      this.#onCrowd();
    }
  }

  /**
   * It has a request that is to be answered.
   *
   * @returns Whether there is a place; an idle one is made to go for that.
   */
  seat(guest: T): boolean {
    if (this.#requests >= MAX_KNOWN) return false;
    if (this.#strangers.delete(guest) && this.#idle.size + this.#answering.size >= MAX_KNOWN) {
      const [oldest] = this.#idle;
      this.#dismiss(oldest);
    }
    this.#idle.delete(guest);
    this.#answering.set(guest, (this.#answering.get(guest) ?? 0) + 1);
    this.#requests++;
    return true;
  }

  /** One of its requests has its answer. */
  release(guest: T): void {
    const requests = this.#answering.get(guest);
    if (requests === undefined) return;
    this.#requests--;
    if (requests > 1) return void this.#answering.set(guest, requests - 1);
    this.#answering.delete(guest);
    this.#idle.add(guest);
  }

  /** It is gone. */
  leave(guest: T): void {
    this.#requests -= this.#answering.get(guest) ?? 0;
    this.#answering.delete(guest);
    this.#strangers.delete(guest);
    this.#idle.delete(guest);
  }

  /**
   * The process has hardly a file descriptor left: all strangers go but the one that came last, and
   * half of those who are idle. For a while fewer strangers may be there.
   */
  thin(now: number): void {
    this.#thriftUntil = now + THRIFT_MS;
    const [strangers, idle] = [[...this.#strangers], [...this.#idle]];
    for (const guest of [...strangers.slice(0, -1), ...idle.slice(0, Math.ceil(idle.length / 2))]) {
      this.#dismiss(guest);
    }
  }

  /** Everybody who is there. */
  all(): T[] {
    return [...this.#strangers, ...this.#idle, ...this.#answering.keys()];
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
