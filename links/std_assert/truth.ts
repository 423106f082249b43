/**
 * Assertions about one value: that it holds, exists, matches, includes, is an instance.
 *
 * @module
 */

import { AssertionError, suffix } from "./assertion_error.ts";
import { equal } from "./equal.ts";
import { format } from "./format.ts";

/**
 * Asserts that `expr` is truthy.
 *
 * @param expr What should hold.
 * @param msg The message otherwise.
 */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/**
 * Fails.
 *
 * @param msg What went wrong.
 */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/**
 * Asserts that `actual` is neither null nor undefined.
 *
 * @param actual The value.
 * @param msg Words for the message otherwise.
 */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`,
  );
}

/**
 * Asserts that `actual` matches `expected`.
 *
 * @param actual The text.
 * @param expected The pattern.
 * @param msg Words for the message otherwise.
 */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`);
}

/**
 * Asserts that `actual` contains `expected`.
 *
 * @param actual The text.
 * @param expected The part.
 * @param msg Words for the message otherwise.
 */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(`Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`);
}

/** An array, a typed array or the like, but no string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/**
 * Asserts that `actual` has an element deeply equal to each of `expected`.
 *
 * @param actual The list.
 * @param expected What should be in it, in any order.
 * @param msg Words for the message otherwise.
 */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const present = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !present.some((one) => equal(one, item)));
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: "${format(actual)}" to include: "${format(expected)}"${suffix(msg)}\n` +
      `missing: ${format(missing)}`,
  );
}

// deno-lint-ignore no-explicit-any -- arguments of a constructor can only be any
type AnyConstructor = abstract new (...args: any[]) => unknown;

/**
 * Asserts that `actual` is an instance of `expectedType`.
 *
 * @param actual The value.
 * @param expectedType The class.
 * @param msg Words for the message otherwise.
 */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const was = typeof actual === "object" && actual !== null
    ? actual.constructor?.name ?? "Object"
    : actual === null
    ? "null"
    : typeof actual;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name}" but was "${was}"${suffix(msg)}`,
  );
}
