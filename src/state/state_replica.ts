/** One device's replica of the shared state: what is written here, and what others have written. */

import type { JsonValue } from "../base/bounded_json.ts";
import { MAX_VALUE_BYTES, tooLarge } from "../base/bounded_value.ts";
import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { SubscribeOptions } from "../base/event_bus.ts";
import type { Random } from "../base/random.ts";
import type { StandardSchema } from "../base/standard_schema.ts";
import { ChangeFeed } from "./change_feed.ts";
import { forgetGone } from "./forgetting.ts";
import { type Delta, Intake } from "./intake.ts";
import { shownValue } from "./key_value.ts";
import { newOrigin, nodeOf } from "./origin.ts";
import { originOfAddition, type Row } from "./row.ts";
import { type Position, RowLedger, sizeOf } from "./row_ledger.ts";
import type { RowStore } from "./row_store.ts";
import { RowTransaction } from "./row_transaction.ts";
import type { SharedState, StateChange, StateTransaction, TypedState } from "./shared_state.ts";
import { HybridClock } from "./stamp.ts";
import { isOfStore, storeError } from "./store_error.ts";
import { typedState } from "./typed_state.ts";

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

const MAX_BYTES = 64 * 2 ** 20;
/**
 * Of what is never apart: it goes into one message of a link, which takes 16 MiB; the last row that is
 * taken may be a value more.
 */
const MAX_TOGETHER_BYTES = 12 * 2 ** 20 - MAX_VALUE_BYTES;
/** What a row takes on the wire beside its key, part and value, at most. */
const ROW_OVERHEAD_BYTES = 256;
/** How long what is gone is kept, so that whoever was away for less asks for what differs only. */
const KEPT_MS = 24 * 3_600_000;

interface Group {
  readonly settled: PromiseWithResolvers<void>;
  readonly after: number;
  /** By key and part. */
  readonly rows: Map<string, Row>;
}

/** See the top of the file. */
export class StateReplica implements SharedState {
  readonly #options: StateReplicaOptions;
  readonly #ledger: RowLedger;
  readonly #store: RowStore;
  readonly #clock: HybridClock;
  readonly #origin: string;
  readonly #changes = new ChangeFeed((key) => this.get(key));
  /** What others have written. */
  readonly others: Intake;
  #seq = 0;
  /** Of the writes that are not committed. */
  #group: Group | undefined;
  #lastSync: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isWriting = false;

  constructor(options: StateReplicaOptions) {
    const { nodeId, store, clock, random, maxBytes = MAX_BYTES } = options;
    this.#options = options;
    this.#store = store;
    this.#ledger = new RowLedger(store, maxBytes);
    this.#origin = newOrigin(nodeId, random);
    this.#clock = new HybridClock(clock, this.#origin);
    const latest = store.latest();
    if (latest !== undefined) this.#clock.see(latest);
    this.others = new Intake({
      ledger: this.#ledger,
      clock: this.#clock,
      origin: this.#origin,
      changes: this.#changes,
      onBegin: () => {
        this.#throwIfClosed();
        this.commit();
      },
    });
  }

  /** In whose name this opening of the store writes. */
  get origin(): string {
    return this.#origin;
  }

  /** How far it is; what has not been committed is not in it. */
  get position(): Position {
    return this.#ledger;
  }

  /** What keys, parts and values take, in bytes. */
  get bytes(): number {
    return this.#ledger.bytes;
  }

  /** What they may take. */
  get maxBytes(): number {
    return this.#options.maxBytes ?? MAX_BYTES;
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

  typed<Output, Input>(
    prefix: string,
    schema: StandardSchema<Output, Input>,
  ): TypedState<Output, Input> {
    return typedState(this, prefix, schema);
  }

  subscribe(prefix = "", options: SubscribeOptions = {}): AsyncIterableIterator<StateChange> {
    return this.#changes.subscribe(prefix, options);
  }

  /** Forgets what has been gone for a day. */
  forget(): void {
    this.#throwIfClosed();
    const { clock, nodeId } = this.#options;
    const before = clock.wallTime() - KEPT_MS;
    const ended = this.#store.takenBackBefore(before)
      .filter(({ part }) => nodeOf(originOfAddition(part)) === nodeId);
    if (ended.length > 0) {
      this.#written((state) => ended.forEach((place) => state.endAddition(place)), false)
        .catch(() => {});
    }
    this.commit();
    forgetGone(this.#ledger, before);
  }

  /** Commits what was written so far; what waits for it goes on when it is durable. */
  commit(): void {
    if (this.#isWriting) throw withinAnother();
    const group = this.#group;
    if (group === undefined) return;
    const hasWritten = this.#seq > group.after;
    try {
      if (hasWritten) this.#ledger.setSeen(this.#origin, this.#seq);
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
    this.#ledger.versions.advance(this.#origin, this.#seq);
    // In the order of what is read: what others have written is told at once, too.
    this.#changes.tellOwn(this.#options.nodeId);
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

  #written<T>(work: (state: RowTransaction) => T, isLong: boolean): Promise<T> {
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

  #write<T>(work: (state: RowTransaction) => T, group: Group, isLong: boolean): T {
    const totals = this.#ledger.totals();
    let seq = this.#seq + 1;
    let together = 0;
    const rows: Row[] = [];
    const touched: string[] = [];
    // A row alone is there or not: nothing has to be undone, which costs a tenth of a write.
    let isNested = false;
    // Of what it has written a part is there: it cannot count, whatever `work` makes of that.
    let fault: { readonly thrown: unknown } | undefined;
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
        if (this.#changes.touch(key)) touched.push(key);
      },
      put: (row: Row, old: Row | undefined) => {
        try {
          this.#ledger.put(row, old);
          together += sizeOf(row) + ROW_OVERHEAD_BYTES;
          if (isLong && together > MAX_TOGETHER_BYTES) throw tooMuchTogether();
        } catch (thrown) {
          fault ??= { thrown };
          throw thrown;
        }
        rows.push(row);
        if (together <= MAX_TOGETHER_BYTES) return;
        // A list so long, which is set or deleted: others may see it go piece by piece.
        seq++;
        together = 0;
      },
    };
    this.#isWriting = true;
    const transaction = new RowTransaction(options);
    try {
      if (isLong) options.onSeveral();
      const result = work(transaction);
      if (result instanceof Promise) throw promised(result);
      if (fault !== undefined) throw fault.thrown;
      if (isNested) this.#store.endNested();
      if (rows.length > 0) this.#seq = seq;
      for (const row of rows) group.rows.set(`${row.key}\0${row.part}`, row);
      return result;
    } catch (thrown) {
      if (isNested) this.#store.undoNested();
      this.#ledger.backTo(totals);
      this.#changes.untouch(touched);
      throw thrown;
    } finally {
      transaction.end();
      this.#isWriting = false;
    }
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

  /** What SQLite throws ends the whole group; what a caller did wrong, nothing but its own write. */
  #failure(thrown: unknown): unknown {
    const group = this.#group;
    if (!isOfStore(thrown) || group === undefined) return storeError(thrown);
    this.#group = undefined;
    this.#store.rollback();
    this.#changes.untouch();
    this.#ledger.recount();
    const error = storeError(thrown);
    group.settled.reject(error);
    return error;
  }

  #throwIfClosed(): void {
    if (!this.#isClosed) return;
    throw new NetworkError("FAILED_PRECONDITION", "Cannot use the shared state: it is closed.");
  }
}

function tooMuchTogether(): NetworkError {
  return tooLarge(
    "write to the shared state",
    `a transaction may write ${MAX_TOGETHER_BYTES} bytes, with ` +
      `${ROW_OVERHEAD_BYTES} for each key. Write in several`,
  );
}

/** What the one around it has written would count also when that throws, and is undone. */
function withinAnother(): NetworkError {
  return new NetworkError(
    "FAILED_PRECONDITION",
    "Cannot use the shared state: a transaction is under way. Read and write with what it was given.",
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
