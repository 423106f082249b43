/**
 * The assertion that an object has at least what another one has.
 *
 * @module
 */

import { assertEquals } from "./equality.ts";

/**
 * Asserts that `actual` has all that `expected` has, deeply. Of lists, the elements that `expected`
 * has are compared; nested instances may be of any class.
 *
 * @param actual The object.
 * @param expected What should be in it.
 * @param msg Words for the message otherwise.
 */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- the real package's signature
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(part(actual, expected, new Map()), part(expected, expected, new Map()), msg);
}

/** What of `actual` is asked for by `expected`, as plain objects. */
function part(actual: unknown, expected: unknown, seen: Map<unknown, unknown>): unknown {
  if (!isContainer(actual) || !isContainer(expected)) return actual;
  const known = seen.get(actual);
  if (known !== undefined) return known;

  if (Array.isArray(actual) && Array.isArray(expected)) {
    const list: unknown[] = [];
    seen.set(actual, list);
    const shared = actual.slice(0, expected.length);
    list.push(...shared.map((item, index) => part(item, expected[index], seen)));
    return list;
  }
  if (actual instanceof Set && expected instanceof Set) return actual.intersection(expected);
  if (actual instanceof Map && expected instanceof Map) {
    const shared = [...actual].filter(([key]) => expected.has(key));
    return new Map(shared.map(([key, value]) => [key, part(value, expected.get(key), seen)]));
  }
  const object = {};
  seen.set(actual, object);
  for (const key of Reflect.ownKeys(actual).filter((key) => Object.hasOwn(expected, key))) {
    const value = part(Reflect.get(actual, key), Reflect.get(expected, key), seen);
    Object.defineProperty(object, key, { value, enumerable: true });
  }
  return object;
}

/** Whether a value is compared part by part; dates, patterns and bytes are compared whole. */
function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    !(value instanceof Date || value instanceof RegExp || ArrayBuffer.isView(value));
}
