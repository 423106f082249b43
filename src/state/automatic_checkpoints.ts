/** Checkpoints that nobody has asked for: every so often, as long as something is written. */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Checkpoints, KeptCheckpoints } from "./checkpoints.ts";

/** What {@linkcode AutomaticCheckpoints} are made of. */
export interface AutomaticCheckpointsOptions {
  readonly checkpoints: Pick<Checkpoints, "list" | "saveByInterval" | "removeUnfinished">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From one to the next, in milliseconds; 0: there are none. */
  readonly intervalMs: number;
  readonly kept: KeptCheckpoints;
}

/**
 * A node that has just started has more to do. But one that never runs for as long as the interval
 * is to have some, too.
 */
const FIRST_AFTER_MS = 60_000;

/** See the top of the file. */
export class AutomaticCheckpoints {
  readonly #options: AutomaticCheckpointsOptions;
  readonly #ending = new AbortController();
  #cancel: CancelTimer | undefined;
  #running: Promise<void> = Promise.resolve();
  #problem: string | undefined;

  constructor(options: AutomaticCheckpointsOptions) {
    this.#options = options;
  }

  /** Why the last one could not be made; undefined when it could. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Begins. */
  start(): void {
    this.#running = this.#begin();
  }

  /** Ends; one that is being written is given up, or is whole. Idempotent. */
  async stop(): Promise<void> {
    this.#ending.abort();
    this.#cancel?.();
    await this.#running;
  }

  /** Resolves when nothing is being read or written. */
  idle(): Promise<void> {
    return this.#running;
  }

  async #begin(): Promise<void> {
    const { checkpoints, intervalMs, clock } = this.#options;
    await checkpoints.removeUnfinished();
    // What keeps them from being listed keeps the next from being written, which is told then.
    const all = await checkpoints.list().catch(() => []);
    const last = all.find(({ kind }) => kind === "interval");
    const dueMs = last === undefined ? 0 : last.createdAt + intervalMs - clock.wallTime();
    this.#schedule(Math.min(intervalMs, Math.max(dueMs, FIRST_AFTER_MS)));
  }

  #schedule(afterMs: number): void {
    if (this.#options.intervalMs === 0 || this.#ending.signal.aborted) return;
    this.#cancel = this.#options.clock.after(afterMs, () => this.#running = this.#save());
  }

  async #save(): Promise<void> {
    const { checkpoints, logger, kept, intervalMs } = this.#options;
    try {
      await checkpoints.saveByInterval(kept, this.#ending.signal);
      if (this.#problem !== undefined) logger.info("Checkpoints by interval are made again.");
      this.#problem = undefined;
      await checkpoints.removeUnfinished();
    } catch (thrown) {
      if (this.#ending.signal.aborted) return;
      // It is tried again each time, and told once: a disk that is full stays so for a while.
      if (this.#problem === undefined) {
        logger.warn("No checkpoint by interval could be made: {error}", {
          error: describeError(thrown),
        });
      }
      this.#problem = describeError(thrown);
    }
    this.#schedule(intervalMs);
  }
}
