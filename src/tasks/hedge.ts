/** Two devices for one task: the second is asked when the first takes its time, and one counts. */

import type { CancelTimer } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Stoppable } from "./history.ts";
import { type Served, TaskCancelled } from "./task.ts";

/** An attempt that was answered. */
export interface Won<Racer> {
  readonly attempt: Racer;
  readonly served: Served;
}

/** What is thrown when no device has answered: the attempt that decides what is next, and its end. */
export class Lost<Racer> {
  readonly attempt: Racer;
  readonly cause: unknown;
  /** The other one, where that has failed by itself, too. */
  readonly before: Lost<Racer> | undefined;

  constructor(attempt: Racer, cause: unknown, before?: Lost<Racer>) {
    this.attempt = attempt;
    this.cause = cause;
    this.before = before;
  }
}

/** What a {@linkcode Hedge} needs of the run that it is for. */
export interface HedgePorts<Racer> {
  /** Gets an attempt answered by its device. */
  serve(attempt: Racer): Promise<Served>;
  /** Chooses the second device; undefined where none is to be asked. Asked once at most. */
  second(): Promise<Racer | undefined>;
  /** As {@linkcode Clock.after}. */
  after(delayMs: number, callback: () => void): CancelTimer;
}

/** See the top of the file. Whoever says something first, or answers, has won; the other is stopped. */
export class Hedge<Racer extends Stoppable> {
  readonly #first: Racer;
  readonly #ports: HedgePorts<Racer>;
  readonly #racers: Racer[] = [];
  readonly #elapsed = Promise.withResolvers<void>();
  #winner: Racer | undefined;
  #isStopped = false;

  constructor(first: Racer, ports: HedgePorts<Racer>) {
    this.#first = first;
    this.#ports = ports;
  }

  /** Whether who comes now comes too late. */
  get isDecided(): boolean {
    return this.#winner !== undefined || this.#isStopped;
  }

  /**
   * The first answer of the two.
   *
   * @param afterMs How long the first one may say nothing until the second is asked.
   * @throws {Lost} When neither has answered.
   */
  async run(afterMs: number): Promise<Won<Racer>> {
    const cancelTimer = this.#ports.after(afterMs, () => this.hurry());
    const first = this.#race(this.#first);
    const second = this.#elapsed.promise.then(() => this.#second());
    // What fails before the time has come is followed by the next attempt at once.
    first.catch(this.#elapsed.reject);
    try {
      return await Promise.any([first, second]);
    } catch (thrown) {
      const [one, other] = (thrown as AggregateError).errors as Lost<Racer>[];
      if (other.attempt === this.#first || this.#winner === this.#first) throw one;
      // Who was stopped because the other one had won has not failed.
      throw this.#winner === undefined ? new Lost(other.attempt, other.cause, one) : other;
    } finally {
      cancelTimer();
    }
  }

  /** The first one is not worth waiting for: asks the second one now, if that has not been done. */
  hurry(): void {
    this.#elapsed.resolve();
  }

  /** Whether what `racer` says now counts: if nobody has said anything before, it wins by that. */
  isWonBy(racer: Racer): boolean {
    if (this.#winner === undefined) {
      this.#winner = racer;
      const reason = new NetworkError("CANCELLED", "Another device was faster.");
      for (const other of this.#racers) if (other !== racer) other.stop?.(reason);
    }
    return this.#winner === racer;
  }

  /** Stops both; nobody comes after. */
  stop(reason: NetworkError): void {
    this.#isStopped = true;
    for (const { stop } of this.#racers) stop?.(reason);
  }

  async #second(): Promise<Won<Racer>> {
    const second = this.isDecided ? undefined : await this.#ports.second();
    // It is chosen by somebody who may take his time.
    if (second !== undefined && !this.isDecided) return await this.#race(second);
    throw new Lost(this.#first, "No other device is asked.");
  }

  async #race(racer: Racer): Promise<Won<Racer>> {
    this.#racers.push(racer);
    try {
      const served = await this.#ports.serve(racer);
      if (!this.isWonBy(racer)) throw new Error("Another device was faster.");
      return { attempt: racer, served };
    } catch (thrown) {
      // Somebody has stopped the task, not one attempt at it.
      if (thrown instanceof TaskCancelled) this.stop(thrown);
      throw new Lost(racer, thrown);
    }
  }
}
