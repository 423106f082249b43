/**
 * Assertions that a function throws, or returns a promise that rejects.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { AssertionError, suffix } from "./assertion_error.ts";

// deno-lint-ignore no-explicit-any -- arguments of a constructor can only be any
type ErrorConstructor<E extends Error> = abstract new (...args: any[]) => E;

/**
 * Asserts that `fn` throws.
 *
 * @param fn The function.
 * @param msg Words for the message otherwise.
 * @returns What was thrown.
 */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Asserts that `fn` throws an error of a class, with a text in its message.
 *
 * @param fn The function.
 * @param ErrorClass The class of the error.
 * @param msgIncludes What its message should contain.
 * @param msg Words for the message otherwise.
 * @returns The error.
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(fn: () => unknown, ...rest: Rest<E>): unknown {
  const expected = readRest(rest);
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    checkError(thrown, expected, "thrown");
    return thrown;
  }
  throw new AssertionError(`Expected function to throw${suffix(expected.msg)}`);
}

/**
 * Asserts that `fn` returns a promise that rejects.
 *
 * @param fn The function.
 * @param msg Words for the message otherwise.
 * @returns What it rejected with.
 */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * Asserts that `fn` returns a promise that rejects with an error of a class, with a text in its
 * message.
 *
 * @param fn The function.
 * @param ErrorClass The class of the error.
 * @param msgIncludes What its message should contain.
 * @param msg Words for the message otherwise.
 * @returns The error.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  ...rest: Rest<E>
): Promise<unknown> {
  const expected = readRest(rest);
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
  } catch {
    // A function that throws has no promise either; both are reported below.
  }
  if (typeof promise?.then !== "function") {
    throw new AssertionError(`Function throws when expected to reject${suffix(expected.msg)}`);
  }
  try {
    await promise;
  } catch (error) {
    checkError(error, expected, "rejected");
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffix(expected.msg)}`);
}

type Rest<E extends Error> = [
  errorClassOrMsg?: ErrorConstructor<E> | string,
  msgIncludes?: string,
  msg?: string,
];

interface Expected<E extends Error> {
  ErrorClass?: ErrorConstructor<E>;
  msgIncludes?: string;
  msg?: string;
}

function readRest<E extends Error>([classOrMsg, msgIncludes, msg]: Rest<E>): Expected<E> {
  if (typeof classOrMsg === "string") return { msg: classOrMsg };
  return { ErrorClass: classOrMsg, msgIncludes, msg };
}

function checkError<E extends Error>(error: unknown, expected: Expected<E>, how: string): void {
  const { ErrorClass, msgIncludes, msg } = expected;
  if (ErrorClass === undefined) return;
  if (!(error instanceof Error)) {
    throw new AssertionError(`A non-Error object was ${how}${suffix(msg)}`);
  }
  if (!(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", ` +
        `but was "${error.constructor.name}"${suffix(msg)}`,
      { cause: error },
    );
  }
  const includes = stripVTControlCharacters(error.message).includes(
    stripVTControlCharacters(msgIncludes ?? ""),
  );
  if (!includes) {
    throw new AssertionError(
      `Expected error message to include ${JSON.stringify(msgIncludes)}, ` +
        `but got ${JSON.stringify(error.message)}${suffix(msg)}`,
      { cause: error },
    );
  }
}
