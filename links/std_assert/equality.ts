/**
 * Assertions that two values are equal, or are not.
 *
 * @module
 */

import { AssertionError, suffix } from "./assertion_error.ts";
import { equal } from "./equal.ts";
import { difference, format } from "./format.ts";

/**
 * Asserts that `actual` and `expected` are deeply equal; the message shows how they differ.
 *
 * @param actual The value.
 * @param expected What it should be.
 * @param msg Words for the message otherwise.
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(
    `Values are not equal${suffix(msg)}\n${difference(actual, expected)}`,
  );
}

/**
 * Asserts that `actual` and `expected` are not deeply equal.
 *
 * @param actual The value.
 * @param expected What it should not be.
 * @param msg Words for the message otherwise.
 */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    `Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix(msg)}`,
  );
}

/**
 * Asserts that `actual` and `expected` are the same value or the same object, as `Object.is` has it.
 *
 * @param actual The value.
 * @param expected What it should be.
 * @param msg Words for the message otherwise.
 */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const looksEqual = format(actual) === format(expected);
  throw new AssertionError(
    looksEqual
      ? `Values have the same structure but are not reference-equal${suffix(msg)}\n\n${
        format(actual)
      }\n`
      : `Values are not strictly equal${suffix(msg)}\n${difference(actual, expected)}`,
  );
}
