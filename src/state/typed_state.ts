/** A view of the shared state whose values have a type: what does not fit is neither written nor read. */

import type { JsonValue } from "../base/bounded_json.ts";
import { jsonText, keyName } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { checkNow, faultsOf, type StandardSchema } from "../base/standard_schema.ts";
import type { SharedState, TypedState } from "./shared_state.ts";

/** The view of `state` with that prefix and schema. */
export function typedState<Output, Input>(
  state: SharedState,
  prefix: string,
  schema: StandardSchema<Output, Input>,
): TypedState<Output, Input> {
  const read = (key: string, value: JsonValue): Output => {
    const action = `read "${keyName(prefix + key)}" of the shared state`;
    const result = checkNow(schema, value, action);
    if (result.issues === undefined) return result.value;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot ${action}: what is there does not fit its schema: ${faultsOf(result.issues)}. ` +
        "Set it anew, or delete it.",
    );
  };
  const checked = (key: string, value: Input): JsonValue => {
    const action = `set "${keyName(prefix + key)}" in the shared state`;
    // As it will be read: a Date is a text then.
    const plain: JsonValue = JSON.parse(jsonText(value, action));
    const { issues } = checkNow(schema, plain, action);
    if (issues === undefined) return plain;
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot ${action}: it does not fit its schema: ${faultsOf(issues)}.`,
    );
  };
  const readFrom = (source: Pick<SharedState, "get">, key: string): Output | undefined => {
    const value = source.get(prefix + key);
    return value === undefined ? undefined : read(key, value);
  };
  const all = () =>
    state.entries(prefix).map(([whole, value]) => {
      const key = whole.slice(prefix.length);
      return { key, ...tried(() => read(key, value)) };
    });
  const entries = () =>
    all().flatMap((one): [string, Output][] => "value" in one ? [[one.key, one.value]] : []);

  return {
    get: (key) => readFrom(state, key),
    has: (key) => state.has(prefix + key),
    keys: () => entries().map(([key]) => key),
    entries,
    invalid: () =>
      all().flatMap((one) => "error" in one ? [{ key: one.key, error: one.error }] : []),
    set: async (key, value) => await state.set(prefix + key, checked(key, value)),
    delete: (key) => state.delete(prefix + key),
    transact: (work) =>
      state.transact((tx) =>
        work({
          get: (key) => readFrom(tx, key),
          has: (key) => tx.has(prefix + key),
          set: (key, value) => tx.set(prefix + key, checked(key, value)),
          delete: (key) => tx.delete(prefix + key),
        }, tx)
      ),
    subscribe: (options) => {
      const changes = state.subscribe(prefix, options);
      const typed = (key: string, value: JsonValue | undefined) =>
        value === undefined ? { value } : tried(() => read(key, value));
      return mapped(changes, ({ key: whole, value, previous, nodeId, isConcurrent }) => {
        const key = whole.slice(prefix.length);
        const [now, before] = [typed(key, value), typed(key, previous)];
        return {
          key,
          value: "value" in now ? now.value : undefined,
          error: "error" in now ? now.error : undefined,
          previous: "value" in before ? before.value : undefined,
          nodeId,
          isConcurrent,
        };
      });
    },
  };
}

function tried<T>(work: () => T): { value: T } | { error: NetworkError } {
  try {
    return { value: work() };
  } catch (thrown) {
    // A schema of somebody else may throw anything.
    return { error: NetworkError.from(thrown, "FAILED_PRECONDITION") };
  }
}

/** Not a generator: that would begin to listen only when it is first asked. */
function mapped<From, To>(
  source: AsyncIterableIterator<From>,
  to: (value: From) => To,
): AsyncIterableIterator<To> {
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      const { done, value } = await source.next();
      return done ? { done, value: undefined } : { done: false, value: to(value) };
    },
    return: async () => {
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
}
