/**
 * Assertions about which of two values is greater, and about numbers that are almost equal.
 *
 * @module
 */

import { AssertionError, suffix } from "./assertion_error.ts";
import { format } from "./format.ts";

/**
 * Asserts that two numbers differ by no more than `tolerance`.
 *
 * @param actual The number.
 * @param expected What it should be close to.
 * @param tolerance The difference allowed; one ten-millionth of `expected` by default.
 * @param msg Words for the message otherwise.
 */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  const delta = Math.abs(expected - actual);
  if (delta <= tolerance) return;
  const show = (number: number) => Number.isInteger(number) ? number : number.toExponential();
  throw new AssertionError(
    `Expected actual: "${show(actual)}" to be close to "${show(expected)}": ` +
      `delta "${show(delta)}" is greater than "${show(tolerance)}"${suffix(msg)}`,
  );
}

/**
 * Asserts that `actual` is greater than `expected`.
 *
 * @param actual The value.
 * @param expected What it should exceed.
 * @param msg The message otherwise.
 */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) throw orderError(actual, ">", expected, msg);
}

/**
 * Asserts that `actual` is greater than or equal to `expected`.
 *
 * @param actual The value.
 * @param expected What it should reach.
 * @param msg The message otherwise.
 */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) throw orderError(actual, ">=", expected, msg);
}

/**
 * Asserts that `actual` is less than `expected`.
 *
 * @param actual The value.
 * @param expected What it should stay under.
 * @param msg The message otherwise.
 */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) throw orderError(actual, "<", expected, msg);
}

/**
 * Asserts that `actual` is less than or equal to `expected`.
 *
 * @param actual The value.
 * @param expected What it should not exceed.
 * @param msg The message otherwise.
 */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) throw orderError(actual, "<=", expected, msg);
}

function orderError(
  actual: unknown,
  relation: string,
  expected: unknown,
  msg: string | undefined,
): AssertionError {
  return new AssertionError(msg ?? `Expect ${format(actual)} ${relation} ${format(expected)}`);
}
