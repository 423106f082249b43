/**
 * Assertions for tests: those of `@std/assert` that this repository uses.
 *
 * @module
 */

export { AssertionError } from "./assertion_error.ts";
export * from "./equality.ts";
export * from "./errors.ts";
export * from "./object_match.ts";
export * from "./order.ts";
export * from "./truth.ts";
