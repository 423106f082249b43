/** Time as it is handed to every room: real in a node, moved by hand in a test. */

/** Cancels what a {@linkcode Clock} had scheduled; calling it again does nothing. */
export type CancelTimer = () => void;

/** A source of time. Below the command line nothing else reads the system's. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /** Milliseconds since 1970 as the system believes; may jump. */
  wallTime(): number;
  /**
   * Calls `callback` once, `delayMs` from now.
   *
   * @param delayMs Milliseconds, 0 or more.
   */
  after(delayMs: number, callback: () => void): CancelTimer;
}

/** The system's time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, delayMs);
    return () => clearTimeout(id);
  },
};

/**
 * Calls `callback` every `intervalMs` until the returned function is called.
 * The next call is scheduled after the last one returned, so calls never pile up.
 */
export function every(clock: Clock, intervalMs: number, callback: () => void): CancelTimer {
  let cancelled = false;
  let cancel: CancelTimer;
  const schedule = () => {
    cancel = clock.after(intervalMs, () => {
      callback();
      if (!cancelled) schedule();
    });
  };
  schedule();
  return () => {
    cancelled = true;
    cancel();
  };
}

/**
 * Waits for `work`, but no longer than `ms`.
 *
 * @returns Whether it was done in time.
 * @throws What `work` rejects with in time.
 */
export async function doneWithin(
  clock: Clock,
  ms: number,
  work: Promise<unknown>,
): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const cancel = clock.after(ms, () => late.resolve(false));
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    cancel();
  }
}

/**
 * Resolves after `delayMs`, or rejects with the signal's reason when it aborts.
 *
 * @throws The signal's reason, at once when it is aborted already.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal!.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
