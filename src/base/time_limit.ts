/** Giving up what takes too long. */

import type { Clock } from "./clock.ts";

/** How long something may take. */
export interface TimeLimit {
  readonly clock: Clock;
  /** In milliseconds. */
  readonly limitMs: number;
  /** What it is given up with. */
  readonly error: () => Error;
  /** Gives it up before. */
  readonly signal: AbortSignal;
}

/**
 * Does what can be given up, and gives it up when it takes too long.
 *
 * @param work Is to reject with the reason of its signal.
 */
export async function withTimeLimit<T>(
  { clock, limitMs, error, signal }: TimeLimit,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const cancel = clock.after(limitMs, () => late.abort(error()));
  try {
    return await work(AbortSignal.any([late.signal, signal]));
  } finally {
    cancel();
  }
}
