/** Dials that are to come and that are under way: not too many at a time, and one for each peer. */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { PeerAddress } from "./peer.ts";
import type { Seed } from "./seeds.ts";

/** Who is dialled: a peer by its node id, or whoever is at a seed. */
export type DialKey = string | Seed;

/** Opens a link at the first of the addresses that answers, and resolves to who is there. */
export type Connect = (
  addresses: readonly PeerAddress[],
  signal: AbortSignal,
) => Promise<{ nodeId: string }>;

interface Dial {
  readonly reason: DialReason;
  readonly abort: AbortController;
  readonly startedAt: number;
}

/**
 * Why somebody is dialled. A `suspect` waits for nobody, because its answer decides who is there; of
 * the others there may be many, and each may hold a file descriptor for seconds.
 */
export type DialReason = "suspect" | "stranger" | "seed";

/** Dials at a time. */
const MAX_DIALS: Record<DialReason, number> = { suspect: Infinity, stranger: 16, seed: 8 };
/** How long a dial beyond them waits before it looks again. */
const PAUSE_MS = 50;
/** A dial that has had no answer for so long is given up for one that a new beacon promises. */
const STALE_MS = 250;

/** See the top of the file. */
export class Dialler {
  readonly #clock: Clock;
  readonly #connect: Connect;
  readonly #timers = new Map<DialKey, CancelTimer>();
  readonly #dials = new Map<DialKey, Dial>();
  #stopped = false;

  constructor(clock: Clock, connect: Connect) {
    this.#clock = clock;
    this.#connect = connect;
  }

  /** Whether no more may be dialled for that reason now. */
  isFullOf(reason: DialReason): boolean {
    const dials = this.#dials.values().filter((dial) => dial.reason === reason).toArray();
    return this.#stopped || dials.length >= MAX_DIALS[reason];
  }

  /** Whether this one is being dialled. */
  isDialling(key: DialKey): boolean {
    return this.#dials.has(key);
  }

  /** Calls `dial` at a time of the clock, or as soon as there is room; replaces what was to come. */
  schedule(key: DialKey, reason: DialReason, at: number, dial: () => void): void {
    this.cancel(key);
    if (this.#stopped || this.#dials.has(key)) return;
    const now = this.#clock.now();
    this.#timers.set(
      key,
      this.#clock.after(Math.max(0, at - now), () => {
        if (this.isFullOf(reason)) {
          return this.schedule(key, reason, this.#clock.now() + PAUSE_MS, dial);
        }
        this.#timers.delete(key);
        dial();
      }),
    );
  }

  /** Nothing is to come; what is under way goes on. */
  cancel(key: DialKey): void {
    this.#timers.get(key)?.();
    this.#timers.delete(key);
  }

  /**
   * Dials now.
   *
   * @returns Who is there; undefined when {@linkcode Dialler.giveUpStale} has given it up.
   * @throws {NetworkError} When nobody can be linked there.
   */
  async dial(
    key: DialKey,
    reason: DialReason,
    addresses: readonly PeerAddress[],
  ): Promise<{ nodeId: string } | undefined> {
    const dial = { reason, abort: new AbortController(), startedAt: this.#clock.now() };
    this.#dials.set(key, dial);
    try {
      return await this.#connect(addresses, dial.abort.signal);
    } catch (thrown) {
      if (dial.abort.signal.aborted) return undefined;
      throw thrown;
    } finally {
      if (this.#dials.get(key) === dial) this.#dials.delete(key);
    }
  }

  /** It was seen: what has dialled for a while goes into a void, or it would have been answered. */
  giveUpStale(key: DialKey): void {
    const dial = this.#dials.get(key);
    if (dial === undefined || this.#clock.now() - dial.startedAt <= STALE_MS) return;
    dial.abort.abort(new NetworkError("CANCELLED", "Dialled anew: it was seen."));
  }

  /** Gives up everything; idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    const reason = new NetworkError("CANCELLED", "Cannot dial: the node is stopping.");
    for (const { abort } of this.#dials.values()) abort.abort(reason);
  }
}
