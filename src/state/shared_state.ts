/** The state that every device of a network has: what people read, write and watch. */

import type { JsonValue } from "../base/bounded_json.ts";
import type { NetworkError } from "../base/errors.ts";
import type { StandardSchema } from "../base/standard_schema.ts";

/** A key has another value, or another one that shows the same. */
export interface StateChange {
  /** The key. */
  readonly key: string;
  /** What it shows now; undefined when it has been deleted. */
  readonly value: JsonValue | undefined;
  /** What it showed before; undefined when there was nothing. */
  readonly previous: JsonValue | undefined;
  /** Whose write it was. */
  readonly nodeId: string;
  /** Whether a write was replaced that whoever made this one had not seen. */
  readonly isConcurrent: boolean;
}

/** How changes are to be read. */
export interface WatchOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal;
  /**
   * How many changes wait for a reader that is behind; the oldest are dropped beyond it.
   *
   * @default {1024}
   */
  capacity?: number;
}

/**
 * The state that every device of a network has, with a key for each thing. Each device writes to its
 * own replica, at once and whether others can be reached or not; all that have seen the same writes
 * show the same, whatever came first. Of values that are set at once one stays, the same everywhere.
 */
export interface SharedState {
  /**
   * The value of a key, as of now, a copy of the reader's own; undefined when it has none. What was
   * incremented is a number, what was appended to a list.
   */
  get(key: string): JsonValue | undefined;
  /** Whether a key has a value. */
  has(key: string): boolean;
  /** What was appended to a key, in the same order on all devices; empty when it is no list. */
  list(key: string): JsonValue[];
  /** The keys that begin with `prefix` and have a value, in the order of their UTF-8. */
  keys(prefix?: string): string[];
  /** The same with their values. */
  entries(prefix?: string): [key: string, value: JsonValue][];
  /**
   * Gives a key a value. It is there at once; the promise resolves when it is durable.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is no JSON, or nested deeper than 32 levels;
   * `RESOURCE_EXHAUSTED` when the key takes more than 512 bytes, the value 1 MiB, the whole 64 MiB,
   * or the disk is full: nothing was written then.
   */
  set(key: string, value: JsonValue): Promise<void>;
  /**
   * Takes a key's value away, with all that was added and appended as far as it is known here.
   *
   * @returns Whether there was one.
   * @throws {NetworkError} As {@linkcode set}.
   */
  delete(key: string): Promise<boolean>;
  /**
   * Adds to a number, which is 0 where there is none. Of those that add at once, none is lost.
   *
   * @returns What it comes to, as far as it is known here.
   * @throws {NetworkError} As {@linkcode set}; `FAILED_PRECONDITION` when the key shows no number.
   */
  increment(key: string, by?: number): Promise<number>;
  /**
   * Appends to a list, which is empty where there is none. Of those that append at once, none is
   * lost; all devices show them in one order.
   *
   * @throws {NetworkError} As {@linkcode set}; `FAILED_PRECONDITION` when the key shows no list.
   */
  append(key: string, ...items: readonly JsonValue[]): Promise<void>;
  /**
   * Reads and writes several keys that nobody sees apart: on every device all of it is there, or
   * nothing. What others write at the same time is neither waited for nor kept from it.
   *
   * @param work Returns no promise; where it throws, nothing was written. It may write 11 MiB.
   * @returns What it returns, when that is durable.
   * @throws {NetworkError} As {@linkcode set}; whatever `work` throws.
   */
  transact<T>(work: (state: StateTransaction) => T): Promise<T>;
  /**
   * Changes of the keys that begin with `prefix`, of all devices, from now on. A reader that is too
   * slow loses the oldest.
   */
  subscribe(prefix?: string, options?: WatchOptions): AsyncIterableIterator<StateChange>;
  /**
   * A view of the keys that begin with `prefix` whose values have a type.
   *
   * @example
   * ```ts
   * import { createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals, assertRejects } from "@std/assert";
   * import { z } from "zod";
   *
   * await using network = createDistributedNetwork({
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_687,
   * });
   * await network.start();
   * const rooms = network.state.typed("room/", z.object({ celsius: z.number() }));
   * await rooms.set("kitchen", { celsius: 21 });
   * assertEquals(rooms.get("kitchen")?.celsius, 21);
   *
   * const cold: unknown = { celsius: "cold" };
   * await assertRejects(() => rooms.set("hall", cold as { celsius: number }), Error, "celsius");
   * // Others may write there what they like; that is no value.
   * await network.state.set("room/hall", "cold");
   * assertEquals(rooms.keys(), ["kitchen"]);
   * assertEquals(rooms.invalid().map(({ key }) => key), ["hall"]);
   * ```
   *
   * @param schema Of any library that speaks Standard Schema (zod, valibot, arktype), and needs no
   * waiting.
   */
  typed<Output, Input>(
    prefix: string,
    schema: StandardSchema<Output, Input>,
  ): TypedState<Output, Input>;
}

/**
 * Several keys of the shared state seen together: others see all that was written here, or nothing.
 * To be used only while the function that it was given to runs.
 */
export interface StateTransaction {
  /** See {@linkcode SharedState.get}. */
  get(key: string): JsonValue | undefined;
  /** See {@linkcode SharedState.has}. */
  has(key: string): boolean;
  /** See {@linkcode SharedState.list}. */
  list(key: string): JsonValue[];
  /** See {@linkcode SharedState.set}. */
  set(key: string, value: JsonValue): void;
  /** See {@linkcode SharedState.delete}. */
  delete(key: string): boolean;
  /** See {@linkcode SharedState.increment}. */
  increment(key: string, by?: number): number;
  /** See {@linkcode SharedState.append}. */
  append(key: string, ...items: readonly JsonValue[]): void;
}

/** A value that somebody has written and that does not fit. */
export interface InvalidValue {
  /** Its key, without the view's prefix. */
  readonly key: string;
  /** What is wrong with it. */
  readonly error: NetworkError;
}

/** A key of a view has another value. */
export interface TypedChange<Output> {
  /** The key, without the view's prefix. */
  readonly key: string;
  /** What it shows now; undefined when it has been deleted, or does not fit. */
  readonly value: Output | undefined;
  /** What is wrong with it, where it does not fit. */
  readonly error: NetworkError | undefined;
  /** What it showed before; undefined when there was nothing that fits. */
  readonly previous: Output | undefined;
  /** Whose write it was. */
  readonly nodeId: string;
  /** Whether a write was replaced that whoever made this one had not seen. */
  readonly isConcurrent: boolean;
}

/**
 * The keys of the shared state that begin with a prefix, with values of one type. Its own keys are
 * without the prefix.
 *
 * Values are kept as they were given, and read as the schema makes them of that. Other programs may
 * write there what does not fit: that is told, and never returned.
 */
export interface TypedState<Output, Input = Output> {
  /**
   * The value of a key; undefined when it has none.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when it has one that does not fit.
   */
  get(key: string): Output | undefined;
  /** Whether a key has a value, be it one that does not fit. */
  has(key: string): boolean;
  /** The keys that have a value that fits, in the order of their UTF-8. */
  keys(): string[];
  /** The same with their values. */
  entries(): [key: string, value: Output][];
  /** The values that do not fit. */
  invalid(): InvalidValue[];
  /**
   * Gives a key a value.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it does not fit; as {@linkcode SharedState.set}.
   */
  set(key: string, value: Input): Promise<void>;
  /** See {@linkcode SharedState.delete}. */
  delete(key: string): Promise<boolean>;
  /**
   * See {@linkcode SharedState.transact}: several keys that nobody sees apart.
   *
   * @param work Is given the keys of this view, and as `all` those of the whole state.
   */
  transact<T>(
    work: (state: TypedTransaction<Output, Input>, all: StateTransaction) => T,
  ): Promise<T>;
  /** Changes of the keys, of all devices, from now on; see {@linkcode SharedState.subscribe}. */
  subscribe(options?: WatchOptions): AsyncIterableIterator<TypedChange<Output>>;
}

/** Several keys of a view seen together; to be used only while the function runs that it was given. */
export interface TypedTransaction<Output, Input = Output> {
  /** See {@linkcode TypedState.get}. */
  get(key: string): Output | undefined;
  /** See {@linkcode TypedState.has}. */
  has(key: string): boolean;
  /** See {@linkcode TypedState.set}. */
  set(key: string, value: Input): void;
  /** See {@linkcode TypedState.delete}. */
  delete(key: string): boolean;
}
