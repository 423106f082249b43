/**
 * Deep equality as `@std/assert` has it: 0 equals -0, NaN equals NaN, an object without a prototype
 * equals a plain one, instances are equal when their prototypes and all that these expose are.
 *
 * @module
 */

/** Whether `a` and `b` have the same structure and the same values. */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}

/** What is being compared with what further up, so that circular structures come to an end. */
type Seen = Map<object, object>;

function compare(a: unknown, b: unknown, seen: Seen): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (plainPrototype(a) !== plainPrototype(b)) return false;

  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer || a instanceof SharedArrayBuffer) {
    return sameElements(elements(a), elements(b as typeof a));
  }
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError(`Cannot compare ${a.constructor.name} instances`);
  }
  if (a instanceof WeakRef) return compare(a.deref(), (b as typeof a).deref(), seen);

  if (seen.get(a) === b) return true;
  if (Object.keys(a).length !== Object.keys(b).length) return false;
  seen.set(a, b);

  if (a instanceof Map) return sameEntries([...a], [...b as typeof a], seen);
  if (a instanceof Set) {
    return sameEntries(
      [...a].map((item) => [item]),
      [...b as typeof a].map((item) => [item]),
      seen,
    );
  }
  if (a instanceof RegExp || a instanceof URL || a instanceof URLSearchParams) {
    return String(a) === String(b);
  }
  const keys = new Set([...exposedKeys(a), ...exposedKeys(b)]);
  return [...keys].every((key) =>
    (key in a) === (key in b) && compare(Reflect.get(a, key), Reflect.get(b, key), seen)
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function plainPrototype(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

type Elements = ArrayLike<number | bigint>;

function elements(value: ArrayBufferView | ArrayBufferLike): Elements {
  if (!ArrayBuffer.isView(value)) return new Uint8Array(value);
  if (!(value instanceof DataView)) return value as ArrayBufferView & Elements;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function sameElements(a: Elements, b: Elements): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (a[index] !== b[index] && !Object.is(a[index], b[index])) return false;
  }
  return true;
}

/** Compares the entries of maps or sets whatever their order; keys are compared deeply as well. */
function sameEntries(a: unknown[][], b: unknown[][], seen: Seen): boolean {
  if (a.length !== b.length) return false;
  const byKey = new Map(b.map((entry) => [entry[0], entry]));
  const rest = new Set(b);
  return a.every((entry) => {
    const sameKey = byKey.get(entry[0]);
    // Objects as keys are equal when they look alike, so the other side is searched for one.
    const found = sameKey !== undefined || !isObject(entry[0])
      ? [sameKey ?? []].find((other) => compare(entry, other, seen))
      : [...rest].find((other) => compare(entry, other, new Map(seen)));
    return found !== undefined && rest.delete(found);
  });
}

/** Own keys, and for instances those of their classes: getters expose what is private. */
function exposedKeys(value: object): PropertyKey[] {
  if (Array.isArray(value) || plainPrototype(value) === Object.prototype) {
    return Reflect.ownKeys(value).filter((key) =>
      Object.prototype.propertyIsEnumerable.call(value, key)
    );
  }
  const keys: PropertyKey[] = [];
  for (
    let owner: object | null = value;
    owner !== null && owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner)
  ) keys.push(...Reflect.ownKeys(owner));
  return keys;
}
