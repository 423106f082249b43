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

/** Who has answered is there. That it does not want this node now rarely changes within seconds. */
const LEAST_ANSWERED_MS = 500;
const SOON_ANSWERED_MS = 2_000;

/**
 * The same where somebody answers and there is no link all the same: after 0.5, 1 and 2 seconds, then
 * every two until an eighth of the time is more.
 *
 * @returns Milliseconds, 500 to 30,000.
 */
export function backOffAnswered(failingSince: number, now: number): number {
  const soon = Math.min(SOON_ANSWERED_MS, Math.max(LEAST_ANSWERED_MS, now - failingSince));
  return Math.max(soon, backOff(failingSince, now));
}
