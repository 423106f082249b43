/** One device's replica of the shared state: what is written here, and what others have written. */

import type { JsonValue } from "../base/bounded_json.ts";
import { bytesOf, MAX_VALUE_BYTES, tooLarge } from "../base/bounded_value.ts";
import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { EventBus, type SubscribeOptions } from "../base/event_bus.ts";
import type { Random } from "../base/random.ts";
import { shownValue } from "./key_value.ts";
import { type Dot, merge, PartKind, type Row } from "./row.ts";
import type { RowStore } from "./row_store.ts";
import { isOfStore, storeError } from "./store_error.ts";
import { HybridClock, MAX_LEAD_MS } from "./stamp.ts";
import { RowTransaction } from "./row_transaction.ts";
import type { SharedState, StateChange, StateTransaction } from "./shared_state.ts";
import type { Versions } from "./versions.ts";

/** What a {@linkcode StateReplica} is made of. */
export interface StateReplicaOptions {
  /** Whose writes these are. */
  readonly nodeId: string;
  readonly store: RowStore;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Resolves as soon as all that was committed so far is on the disk; without it nothing is waited
   * for.
   */
  readonly sync?: () => Promise<void>;
  /** Takes what was written here, as soon as it is durable, in the order of the numbers. */
  readonly onWritten?: (written: Delta) => void;
  /**
   * What keys, parts and values of all may take, in bytes.
   *
   * @default {67108864}
   */
  readonly maxBytes?: number;
}

/** All rows that one origin has written in some stretch and that are still there. */
export interface Delta {
  readonly origin: string;
  /** What was written after this number, … */
  readonly after: number;
  /** … up to this one. */
  readonly upTo: number;
  readonly rows: readonly Row[];
}

/** What has become of a {@linkcode Delta}. */
export type Taken =
  /** It was new, or seen before. */
  | "taken"
  /** What comes before it was not seen: it has to be asked for. */
  | "gap"
  /** A stamp is too far in the future: it may be taken later. */
  | "future";

const MAX_BYTES = 64 * 2 ** 20;
/** Of what is never apart: it goes into one message of a link, which takes 16 MiB. */
const MAX_TRANSACTION_BYTES = 12 * 2 ** 20;
/** What a row takes on the wire beside its key, part and value, at most. */
const ROW_OVERHEAD_BYTES = 256;
/** Of what others write together this much more is taken: they could not know of each other. */
const MAX_BYTES_TAKEN = 4;
const ORIGIN_BYTES = 8;

interface Group {
  readonly settled: PromiseWithResolvers<void>;
  readonly after: number;
  /** By key and part. */
  readonly rows: Map<string, Row>;
}

/** See the top of the file. */
export class StateReplica implements SharedState {
  readonly #options: StateReplicaOptions;
  readonly #store: RowStore;
  readonly #clock: HybridClock;
  readonly #origin: string;
  readonly #maxBytes: number;
  readonly #changes = new EventBus<StateChange>();
  #readers = 0;
  #versions: Versions;
  #bytes: number;
  #seq = 0;
  /** Of the writes that are not committed. */
  #group: Group | undefined;
  /** What they have changed, as it was before; only while somebody reads changes. */
  readonly #touched = new Map<string, JsonValue | undefined>();
  #lastSync: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isWriting = false;

  constructor(options: StateReplicaOptions) {
    const { nodeId, store, clock, random, maxBytes = MAX_BYTES } = options;
    this.#options = options;
    this.#store = store;
    this.#maxBytes = maxBytes;
    this.#origin = `${nodeId}/${random.fill(new Uint8Array(ORIGIN_BYTES)).toHex()}`;
    this.#clock = new HybridClock(clock, this.#origin);
    this.#versions = store.versions();
    this.#bytes = store.bytes();
    const latest = store.latest();
    if (latest !== undefined) this.#clock.see(latest);
  }

  /** In whose name this opening of the store writes. */
  get origin(): string {
    return this.#origin;
  }

  /** How far each origin was seen; what has not been committed is not in it. */
  get versions(): Versions {
    return this.#versions;
  }

  /** What keys, parts and values take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What they may take. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  get(key: string): JsonValue | undefined {
    return shownValue(this.#store.rowsOf(key));
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  list(key: string): JsonValue[] {
    const value = this.get(key);
    return Array.isArray(value) ? value : [];
  }

  keys(prefix = ""): string[] {
    return this.entries(prefix).map(([key]) => key);
  }

  entries(prefix = ""): [key: string, value: JsonValue][] {
    const entries: [string, JsonValue][] = [];
    let rows: Row[] = [];
    const end = () => {
      const value = shownValue(rows);
      if (value !== undefined) entries.push([rows[0].key, value]);
    };
    for (const row of this.#store.rowsFrom(prefix)) {
      if (rows.length > 0 && rows[0].key !== row.key) {
        end();
        rows = [];
      }
      rows.push(row);
    }
    end();
    return entries;
  }

  set(key: string, value: JsonValue): Promise<void> {
    return this.#written((state) => state.set(key, value), false);
  }

  delete(key: string): Promise<boolean> {
    return this.#written((state) => state.delete(key), false);
  }

  increment(key: string, by = 1): Promise<number> {
    return this.#written((state) => state.increment(key, by), false);
  }

  append(key: string, ...items: readonly JsonValue[]): Promise<void> {
    return this.#written((state) => state.append(key, ...items), false);
  }

  transact<T>(work: (state: StateTransaction) => T): Promise<T> {
    return this.#written(work, true);
  }

  subscribe(prefix = "", options: SubscribeOptions = {}): AsyncIterableIterator<StateChange> {
    this.#readers++;
    return changesOf(prefix, this.#changes.subscribe(options), () => this.#readers--);
  }

  /**
   * Takes what another replica has.
   *
   * @param senderSaw How far its sender has seen, where it has said so.
   * @throws {NetworkError} `PROTOCOL` when it is a lie, or more than anybody may write;
   * `RESOURCE_EXHAUSTED` when there is no room for it. Nothing of it is kept then.
   */
  take({ origin, after, upTo, rows }: Delta, senderSaw?: Versions): Taken {
    this.#throwIfClosed();
    if (origin === this.#origin) {
      throw new NetworkError(
        "PROTOCOL",
        "Cannot take what somebody else has written in this name.",
      );
    }
    const seen = this.#versions.of(origin);
    if (upTo <= seen) return "taken";
    if (after > seen) return "gap";
    if (rows.some(({ stamp }) => this.#clock.leadOf(stamp) > MAX_LEAD_MS)) return "future";
    this.commit();
    const changes: StateChange[] = [];
    this.#inTransaction(() => {
      for (const row of rows) if (row.seq > seen) this.#merge(row, senderSaw, changes);
      this.#store.setSeen(origin, upTo);
    });
    this.#versions.advance(origin, upTo);
    for (const change of changes) this.#changes.emit(change);
    return "taken";
  }

  /**
   * An origin has never written what was taken in its name after `upTo`: that is dropped, and all of
   * it has to be asked for again, because real writes may have been left out for it.
   */
  disown(origin: string, upTo: number): void {
    this.commit();
    const made = [...this.#store.rowsSince({ origin, seq: upTo }, Number.MAX_SAFE_INTEGER)];
    this.#inTransaction(() => {
      for (const { key, part } of made) this.#store.drop(key, part);
      this.#store.setSeen(origin, 0);
    });
    this.#versions.reset(origin, 0);
    this.#bytes = this.#store.bytes();
  }

  /** What an origin has written after `seq`, as far as it was seen here. */
  since({ origin, seq }: Dot): Delta {
    const upTo = this.#versions.of(origin);
    return { origin, after: seq, upTo, rows: [...this.#store.rowsSince({ origin, seq }, upTo)] };
  }

  /** Commits what was written so far; what waits for it goes on when it is durable. */
  commit(): void {
    const group = this.#group;
    if (group === undefined) return;
    const hasWritten = this.#seq > group.after;
    try {
      if (hasWritten) this.#store.setSeen(this.#origin, this.#seq);
      this.#store.commit();
    } catch (thrown) {
      this.#failure(thrown);
      return;
    }
    this.#group = undefined;
    if (!hasWritten) return group.settled.resolve();
    const delta: Delta = {
      origin: this.#origin,
      after: group.after,
      upTo: this.#seq,
      rows: [...group.rows.values()].sort((one, other) => one.seq - other.seq),
    };
    this.#versions.advance(this.#origin, this.#seq);
    // In the order of what is read: what others have written is told at once, too.
    for (const change of this.#ownChanges()) this.#changes.emit(change);
    this.#lastSync = this.#synced(group, delta);
  }

  /** Resolves when all that was written so far is durable, or is known not to be. */
  async settled(): Promise<void> {
    this.commit();
    await this.#lastSync;
  }

  /** Takes no more writes, and ends all subscriptions; what was written is durable then. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.settled();
    this.#changes.close();
    this.#store[Symbol.dispose]();
  }

  #written<T>(work: (state: StateTransaction) => T, isLong: boolean): Promise<T> {
    let group: Group;
    let result: T;
    try {
      group = this.#openGroup();
      result = this.#write(work, group, isLong);
    } catch (thrown) {
      return Promise.reject(this.#failure(thrown));
    }
    return group.settled.promise.then(() => result);
  }

  #openGroup(): Group {
    this.#throwIfClosed();
    if (this.#isWriting) throw withinAnother();
    if (this.#group !== undefined) return this.#group;
    this.#store.begin();
    const settled = Promise.withResolvers<void>();
    // Who writes and does not wait must not end the process.
    settled.promise.catch(() => {});
    // All that this turn writes becomes durable together.
    setImmediate(() => this.commit());
    return this.#group = { settled, after: this.#seq, rows: new Map() };
  }

  #write<T>(work: (state: StateTransaction) => T, group: Group, isLong: boolean): T {
    const bytes = this.#bytes;
    let seq = this.#seq + 1;
    let together = 0;
    const rows: Row[] = [];
    const touched: string[] = [];
    // A row alone is there or not: nothing has to be undone, which costs a tenth of a write.
    let isNested = false;
    const options = {
      store: this.#store,
      clock: this.#clock,
      dot: () => ({ origin: this.#origin, seq }),
      onSeveral: () => {
        if (isNested) return;
        isNested = true;
        this.#store.beginNested();
      },
      onTouch: (key: string) => {
        if (this.#readers === 0 || this.#touched.has(key)) return;
        this.#touched.set(key, this.get(key));
        touched.push(key);
      },
      put: (row: Row, old: Row | undefined) => {
        this.#put(row, old, this.#maxBytes);
        rows.push(row);
        together += sizeOf(row) + ROW_OVERHEAD_BYTES;
        if (together <= MAX_TRANSACTION_BYTES - MAX_VALUE_BYTES) return;
        if (isLong) throw tooMuchTogether();
        // A list so long, which is set or deleted: others may see it go piece by piece.
        seq++;
        together = 0;
      },
    };
    this.#isWriting = true;
    try {
      if (isLong) options.onSeveral();
      const result = work(new RowTransaction(options));
      if (result instanceof Promise) throw promised(result);
      if (isNested) this.#store.endNested();
      if (rows.length > 0) this.#seq = seq;
      for (const row of rows) group.rows.set(`${row.key}\0${row.part}`, row);
      return result;
    } catch (thrown) {
      if (isNested) this.#store.undoNested();
      this.#bytes = bytes;
      for (const key of touched) this.#touched.delete(key);
      throw thrown;
    } finally {
      this.#isWriting = false;
    }
  }

  #put(row: Row, old: Row | undefined, maxBytes: number): void {
    const grown = sizeOf(row) - (old === undefined ? 0 : sizeOf(old));
    if (grown > 0 && this.#bytes + grown > maxBytes) {
      throw tooLarge(
        "write to the shared state",
        `with it the state would take ${this.#bytes + grown} bytes, at most ${maxBytes} may be. ` +
          "Delete what nobody needs any more",
      );
    }
    this.#store.put(row);
    this.#bytes += grown;
  }

  #merge(row: Row, senderSaw: Versions | undefined, changes: StateChange[]): void {
    this.#clock.see(row.stamp);
    const old = this.#store.row(row.key, row.part);
    if (old !== undefined && merge(old, row) === old) return;
    const isRead = this.#readers > 0;
    const previous = isRead ? this.get(row.key) : undefined;
    this.#put(row, old, this.#maxBytes * MAX_BYTES_TAKEN);
    if (!isRead) return;
    changes.push({
      key: row.key,
      value: this.get(row.key),
      previous,
      nodeId: nodeOf(row.origin),
      isConcurrent: row.part === PartKind.Value && old !== undefined &&
        isUnseen(old, row, senderSaw),
    });
  }

  #ownChanges(): StateChange[] {
    const nodeId = this.#options.nodeId;
    const changes = [...this.#touched].map(([key, previous]): StateChange => (
      { key, value: this.get(key), previous, nodeId, isConcurrent: false }
    ));
    this.#touched.clear();
    return changes;
  }

  async #synced(group: Group, delta: Delta): Promise<void> {
    try {
      await this.#options.sync?.();
    } catch (thrown) {
      // It may be on the disk or not; the next one that is written tells.
      return group.settled.reject(storeError(thrown));
    }
    group.settled.resolve();
    this.#options.onWritten?.(delta);
  }

  #inTransaction(work: () => void): void {
    const bytes = this.#bytes;
    this.#store.begin();
    try {
      work();
      this.#store.commit();
    } catch (thrown) {
      this.#bytes = bytes;
      this.#store.rollback();
      throw storeError(thrown);
    }
  }

  /** What SQLite throws ends the whole group; what a caller did wrong, nothing but its own write. */
  #failure(thrown: unknown): unknown {
    const group = this.#group;
    if (!isOfStore(thrown) || group === undefined) return storeError(thrown);
    this.#group = undefined;
    this.#store.rollback();
    this.#touched.clear();
    this.#bytes = this.#store.bytes();
    const error = storeError(thrown);
    group.settled.reject(error);
    return error;
  }

  #throwIfClosed(): void {
    if (!this.#isClosed) return;
    throw new NetworkError("FAILED_PRECONDITION", "Cannot use the shared state: it is closed.");
  }
}

async function* changesOf(
  prefix: string,
  changes: AsyncIterable<StateChange>,
  onEnd: () => void,
): AsyncIterableIterator<StateChange> {
  try {
    for await (const change of changes) if (change.key.startsWith(prefix)) yield change;
  } finally {
    onEnd();
  }
}

/** Whether whoever wrote `row` had not seen `old`, which gives way to it. */
function isUnseen(old: Row, row: Row, senderSaw: Versions | undefined): boolean {
  if (old.origin === row.origin) return false;
  if (row.base !== undefined && row.base.origin === old.origin && row.base.seq >= old.seq) {
    return false;
  }
  return senderSaw === undefined || !senderSaw.has(old);
}

function sizeOf({ key, part, value }: Row): number {
  return bytesOf(key) + part.length + (value === null ? 0 : bytesOf(value));
}

/** The node's label, from the name of an origin. */
export function nodeOf(origin: string): string {
  return origin.slice(0, origin.lastIndexOf("/"));
}

function tooMuchTogether(): NetworkError {
  return tooLarge(
    "write to the shared state",
    `a transaction may write ${MAX_TRANSACTION_BYTES - MAX_VALUE_BYTES} bytes, with ` +
      `${ROW_OVERHEAD_BYTES} for each key. Write in several`,
  );
}

/** It would be told to others also when the one around it throws, and is undone. */
function withinAnother(): NetworkError {
  return new NetworkError(
    "FAILED_PRECONDITION",
    "Cannot write to the shared state: a transaction is under way. Write with what it was given.",
  );
}

/** What comes after the first `await` would not be of the transaction. */
function promised(result: Promise<unknown>): NetworkError {
  result.catch(() => {});
  return new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot write to the shared state: a transaction cannot wait. Await before it, and pass what came.",
  );
}
