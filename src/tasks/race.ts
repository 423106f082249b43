/** Several attempts at one task at a time, of which one counts. */

import { NetworkError } from "../base/errors.ts";
import type { Stoppable } from "./history.ts";

/** Whoever says something first, or answers, has won; the others are stopped. */
export class Race<R extends Stoppable> {
  readonly #racers: R[] = [];
  #winner: R | undefined;

  /** Who has won; undefined while nobody has. */
  get winner(): R | undefined {
    return this.#winner;
  }

  /** Whether somebody has won. */
  get isDecided(): boolean {
    return this.#winner !== undefined;
  }

  /** Takes part from now on. */
  enter(racer: R): void {
    this.#racers.push(racer);
  }

  /** Whether what `racer` says now counts: if nobody has said anything before, it wins by that. */
  isWonBy(racer: R): boolean {
    if (this.#winner === undefined) {
      this.#winner = racer;
      const reason = new NetworkError("CANCELLED", "Another device was faster.");
      for (const other of this.#racers) if (other !== racer) other.stop?.(reason);
    }
    return this.#winner === racer;
  }

  /** Stops all. */
  stop(reason: NetworkError): void {
    for (const { stop } of this.#racers) stop?.(reason);
  }
}
