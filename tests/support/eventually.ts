/**
 * Waiting for something that announces itself by no event.
 *
 * @module
 */

import { deadline } from "./deadline.ts";

/** Options of {@linkcode eventually}. */
export interface EventuallyOptions {
  /** What is awaited, for the error: `"node B in the status of node A"`. */
  what: string;

  /**
   * How long to wait at most.
   *
   * @default {5000}
   */
  timeoutMs?: number;

  /**
   * Pause between two checks.
   *
   * @default {20}
   */
  intervalMs?: number;
}

/**
 * Calls `check` until it returns something truthy, and returns that. A check that throws has not
 * passed yet.
 *
 * @param check What to ask.
 * @param options What is awaited, and how long.
 * @returns The truthy value.
 * @throws {Error} If nothing truthy was returned in time; names what was missing, and what the last
 * check returned or threw.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { what, timeoutMs = 5000, intervalMs = 20 }: EventuallyOptions,
): Promise<NonNullable<T>> {
  using limit = deadline(timeoutMs);
  let last = "no check came to an end";
  let cause: unknown;
  while (!limit.passed) {
    try {
      const value = await limit.race(Promise.resolve(check()));
      if (value) return value;
      if (!limit.passed) {
        [last, cause] = [`the last check returned ${Deno.inspect(value)}`, undefined];
      }
    } catch (error) {
      [last, cause] = [`the last check threw ${error}`, error];
    }
    await pause(intervalMs);
  }
  throw new Error(`Waited ${timeoutMs} ms for ${what} in vain: ${last}.`, { cause });
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
