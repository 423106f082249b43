/**
 * A point in time up to which a test waits.
 *
 * @module
 */

/** A deadline; disposing of it stops its timer. */
export interface Deadline extends Disposable {
  /** Whether it has passed. */
  readonly passed: boolean;

  /** The promise's value, or undefined when the deadline passes first. */
  race<T>(promise: Promise<T>): Promise<T | undefined>;
}

/** A deadline that many milliseconds from now. */
export function deadline(timeoutMs: number): Deadline {
  let passed = false;
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    passed = true;
    resolve(undefined);
  }, timeoutMs);
  return {
    get passed() {
      return passed;
    },
    race: (promise) => Promise.race([promise, late]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
