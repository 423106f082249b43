/** How long to wait before something that has failed is tried again. */

const LEAST_MS = 250;
const MOST_MS = 30_000;

/**
 * An eighth of the time for which it has failed: a peer that was away for ten seconds is found again
 * within about one, and one that was away for a week costs two attempts a minute.
 *
 * @param failingSince When it first failed, on the clock of `now`, in milliseconds.
 * @returns Milliseconds, 250 to 30,000.
 */
export function backOff(failingSince: number, now: number): number {
  return Math.min(MOST_MS, Math.max(LEAST_MS, (now - failingSince) / 8));
}
