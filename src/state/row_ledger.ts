/** The rows of a replica, and what all of them come to: every change of one goes through here. */

import { bytesOf, tooLarge } from "../base/bounded_value.ts";
import { isShown, type Row, sumOf } from "./row.ts";
import { DIGEST_LIMIT, type RowStore } from "./row_store.ts";
import { storeError } from "./store_error.ts";
import type { Versions } from "./versions.ts";

/** How far a replica is. */
export interface Position {
  /** How far each origin was seen. */
  readonly versions: Versions;
  /**
   * Up to where what is gone may be forgotten: of whoever has not seen as far it is not clear whether
   * what is missing here is new, or was deleted.
   */
  readonly forgotten: Versions;
  /** Of what is shown: the same wherever that is the same. A whole number of 52 bits. */
  readonly digest: number;
}

/** What all rows came to at some time. */
export interface Totals {
  readonly bytes: number;
  readonly digest: number;
}

/** See the top of the file. */
export class RowLedger implements Position {
  readonly store: RowStore;
  readonly #maxBytes: number;
  readonly versions: Versions;
  readonly forgotten: Versions;
  #bytes = 0;
  #digest = 0;

  /** @param maxBytes What keys, parts and values of all may take. */
  constructor(store: RowStore, maxBytes: number) {
    this.store = store;
    this.#maxBytes = maxBytes;
    this.versions = store.versions("seen");
    this.forgotten = store.versions("forgotten");
    this.recount();
  }

  /** What keys, parts and values take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get digest(): number {
    return this.#digest;
  }

  /** What all rows come to now, for {@linkcode backTo}. */
  totals(): Totals {
    return { bytes: this.#bytes, digest: this.#digest };
  }

  /** The store was taken back to where it was then. */
  backTo({ bytes, digest }: Totals): void {
    this.#bytes = bytes;
    this.#digest = digest;
  }

  /** Reads what all rows come to. */
  recount(): void {
    this.backTo(this.store.total());
  }

  /**
   * Keeps a row in the place of the old one of that part.
   *
   * @param times How often what a replica may take it may take with this.
   * @throws {NetworkError} `RESOURCE_EXHAUSTED` when there is no room for it.
   */
  put(row: Row, old: Row | undefined, times = 1): void {
    const grown = sizeOf(row) - (old === undefined ? 0 : sizeOf(old));
    const most = this.#maxBytes * times;
    if (grown > 0 && this.#bytes + grown > most) {
      throw tooLarge(
        "write to the shared state",
        `with it the state would take ${this.#bytes + grown} bytes, at most ${most} may be. ` +
          "Delete what nobody needs any more",
      );
    }
    const sum = sumOf(row);
    this.store.put(row, sum);
    this.#bytes += grown;
    if (isShown(row)) this.#add(sum);
    if (old !== undefined && isShown(old)) this.#add(DIGEST_LIMIT - sumOf(old));
  }

  /** Keeps a row no longer. */
  drop(row: Row): void {
    this.store.drop(row);
    this.#bytes -= sizeOf(row);
    if (isShown(row)) this.#add(DIGEST_LIMIT - sumOf(row));
  }

  /** An origin was seen up to there; to be told in {@linkcode versions} once it is committed. */
  setSeen(origin: string, seq: number): void {
    this.store.setOrigin(origin, seq, this.forgotten.of(origin));
  }

  /** What is gone may be forgotten of an origin up to there. @param seen How far it was seen. */
  forget(origin: string, seq: number, seen = this.versions.of(origin)): void {
    if (seq <= this.forgotten.of(origin)) return;
    this.store.setOrigin(origin, seen, seq);
    this.forgotten.advance(origin, seq);
  }

  /** Nothing of an origin can have been forgotten beyond there: it has written no more. */
  unforget(origin: string, seq: number): void {
    if (this.forgotten.of(origin) > seq) this.forgotten.reset(origin, seq);
  }

  /**
   * Does something together or not at all.
   *
   * @throws What `work` throws.
   */
  inTransaction(work: () => void): void {
    const totals = this.totals();
    this.store.begin();
    try {
      work();
      this.store.commit();
    } catch (thrown) {
      this.backTo(totals);
      this.store.rollback();
      throw storeError(thrown);
    }
  }

  #add(sum: number): void {
    this.#digest = (this.#digest + sum) % DIGEST_LIMIT;
  }
}

/** What a row takes, in bytes. */
export function sizeOf({ key, part, value }: Row): number {
  return bytesOf(key) + part.length + (value === null ? 0 : bytesOf(value));
}
