/** What others have written, taken into a replica. */

import { tooLarge } from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import type { ChangeFeed } from "./change_feed.ts";
import { nodeOf } from "./origin.ts";
import { type Dot, merge, PartKind, type Row } from "./row.ts";
import type { Position, RowLedger } from "./row_ledger.ts";
import { type Place, START } from "./row_store.ts";
import { compareStamps, type HybridClock, MAX_LEAD_MS, type Stamp } from "./stamp.ts";
import type { Versions } from "./versions.ts";

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

/** All rows that somebody has between two places, whoever has written them. */
export interface Stretch {
  /** From here on, in the order of rows, … */
  readonly from: Place;
  /** … to before this; undefined: to the end. */
  readonly to: Place | undefined;
  readonly rows: readonly Row[];
}

/** Of what others write together this much more is taken: they could not know of each other. */
const TIMES_TAKEN = 4;

/**
 * Of so many openings of stores others may tell, which each keeps for ever and tells with each
 * question: ten devices that each start ten times a day, for three years.
 */
const MAX_ORIGINS = 100_000;

/** What an {@linkcode Intake} stands on. */
export interface IntakeOptions {
  readonly ledger: RowLedger;
  readonly clock: HybridClock;
  /** In whose name this replica writes: nobody else does. */
  readonly origin: string;
  /** Comes before anything changes. */
  readonly onBegin: () => void;
  readonly changes: ChangeFeed;
}

/** See the top of the file. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #ledger: RowLedger;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#ledger = options.ledger;
  }

  /**
   * Takes what another replica has.
   *
   * @param senderSaw How far its sender has seen, where it has said so.
   * @throws {NetworkError} `PROTOCOL` when it is a lie, or more than anybody may write;
   * `RESOURCE_EXHAUSTED` when there is no room for it. Nothing of it is kept then.
   */
  take({ origin, after, upTo, rows }: Delta, senderSaw?: Versions): Taken {
    if (origin === this.#options.origin) throw notTheirs();
    const { versions } = this.#ledger;
    const seen = versions.of(origin);
    if (upTo <= seen) return "taken";
    if (after > seen) return "gap";
    if (rows.some(({ stamp }) => this.#isFuture(stamp))) return "future";
    this.#change(() => {
      for (const row of rows) if (row.seq > seen) this.#merge(row, this.#old(row), senderSaw);
      this.#ledger.setSeen(origin, upTo);
    });
    versions.advance(origin, upTo);
    return "taken";
  }

  /**
   * Takes a stretch of all that another replica has: what it has seen and has no more is gone.
   *
   * @param sender How far it was before it has read the first stretch.
   * @param nodeId Whose replica it is.
   * @throws {NetworkError} As {@linkcode take}, and `PROTOCOL` for a stamp in the future.
   */
  takeStretch(
    { from, to, rows }: Stretch,
    sender: Pick<Position, "versions">,
    nodeId: string,
  ): void {
    if (rows.some(({ stamp }) => this.#isFuture(stamp))) throw future();
    this.#change(() => {
      const { store } = this.#ledger;
      const own = new Map<string, Row>();
      for (const row of store.rowsBetween(from, to)) own.set(placeOf(row), row);
      for (const row of rows) {
        const old = own.get(placeOf(row)) ?? this.#old(row);
        own.delete(placeOf(row));
        if (old !== undefined && compareStamps(old.stamp, row.stamp) === 0) {
          // Whoever has told one thing here and another one there: the same has to stay everywhere.
          const isOurs = row.origin === this.#options.origin;
          if (!isOurs && merge(old, row) !== old) this.#put(row, old, sender.versions);
          continue;
        }
        // What one of both has seen and has no more has given way there, or was deleted.
        const isGone = old !== undefined && sender.versions.has(old);
        if (!this.#isNew(row)) {
          if (isGone) this.#drop(old, nodeId);
        } else if (isGone) this.#put(row, old, sender.versions);
        else this.#merge(row, old, sender.versions);
      }
      for (const row of own.values()) if (sender.versions.has(row)) this.#drop(row, nodeId);
    });
  }

  /** All of what another replica has was taken, as of when it was there. */
  join({ versions, forgotten }: Pick<Position, "versions" | "forgotten">): void {
    const { origin: own } = this.#options;
    const seen = [...versions].filter(([origin, seq]) =>
      origin !== own && seq > this.#ledger.versions.of(origin)
    );
    this.#change(() => {
      for (const [origin, seq] of seen) this.#ledger.setSeen(origin, seq);
      for (const [origin, seq] of forgotten) {
        const upTo = origin === own ? 0 : versions.of(origin);
        const reached = Math.max(upTo, this.#ledger.versions.of(origin));
        // What nobody has seen nobody has forgotten; else each would need all, for ever.
        this.#ledger.forget(origin, Math.min(seq, reached), reached);
      }
    });
    for (const [origin, seq] of seen) this.#ledger.versions.advance(origin, seq);
  }

  /**
   * An origin has never written what was taken in its name after `upTo`: that is dropped, and all of
   * it has to be asked for again, because real writes may have been left out for it.
   */
  disown(origin: string, upTo: number): void {
    const { store, versions } = this.#ledger;
    this.#change(() => {
      const made = store.rowsSince({ origin, seq: upTo }, Number.MAX_SAFE_INTEGER);
      for (const row of [...made]) this.#ledger.drop(row);
      this.#ledger.unforget(origin, upTo);
      this.#ledger.setSeen(origin, 0);
    });
    versions.reset(origin, 0);
  }

  /** What an origin has written after a number and this replica has seen, as far as it fits. */
  since({ origin, seq }: Dot, fits: (row: Row) => boolean = () => true): Delta {
    const seen = this.#ledger.versions.of(origin);
    const rows: Row[] = [];
    for (const row of this.#ledger.store.rowsSince({ origin, seq }, seen)) {
      const last = rows.at(-1);
      // What was written together is never apart.
      if (!fits(row) && last !== undefined && row.seq !== last.seq) {
        return { origin, after: seq, upTo: last.seq, rows };
      }
      rows.push(row);
    }
    return { origin, after: seq, upTo: seen, rows };
  }

  /** All that is there from a place on, as far as it fits. */
  stretch(from: Place = START, fits: (row: Row) => boolean = () => true): Stretch {
    const rows: Row[] = [];
    for (const row of this.#ledger.store.rowsBetween(from)) {
      if (!fits(row) && rows.length > 0) {
        return { from, to: { key: row.key, part: row.part }, rows };
      }
      rows.push(row);
    }
    return { from, to: undefined, rows };
  }

  #isNew(row: Row): boolean {
    return row.origin !== this.#options.origin && !this.#ledger.versions.has(row);
  }

  #isFuture(stamp: Stamp): boolean {
    return this.#options.clock.leadOf(stamp) > MAX_LEAD_MS;
  }

  #old({ key, part }: Row): Row | undefined {
    return this.#ledger.store.row(key, part);
  }

  #change(work: () => void): void {
    const { onBegin, changes } = this.#options;
    onBegin();
    let counts = false;
    try {
      this.#ledger.inTransaction(() => {
        const { names } = this.#ledger.store;
        work();
        const { names: now } = this.#ledger.store;
        if (now > MAX_ORIGINS && now > names) throw tooManyOrigins();
        changes.settle();
      });
      counts = true;
    } finally {
      changes.end(counts);
    }
  }

  #merge(row: Row, old: Row | undefined, senderSaw: Versions | undefined): void {
    this.#options.clock.see(row.stamp);
    if (old === undefined || merge(old, row) !== old) this.#put(row, old, senderSaw);
  }

  #put(row: Row, old: Row | undefined, senderSaw: Versions | undefined): void {
    this.#options.clock.see(row.stamp);
    const { changes } = this.#options;
    changes.before(row.key);
    this.#ledger.put(row, old, TIMES_TAKEN);
    changes.after({
      key: row.key,
      nodeId: nodeOf(row.origin),
      isConcurrent: row.part === PartKind.Value && old !== undefined &&
        isUnseen(old, row, senderSaw),
    });
  }

  #drop(row: Row, nodeId: string): void {
    const { changes } = this.#options;
    changes.before(row.key);
    this.#ledger.drop(row);
    changes.after({ key: row.key, nodeId, isConcurrent: false });
  }
}

function placeOf({ key, part }: Row): string {
  return `${key}\0${part}`;
}

/** Whether whoever wrote `row` had not seen `old`, which gives way to it. */
function isUnseen(old: Row, row: Row, senderSaw: Versions | undefined): boolean {
  if (old.origin === row.origin) return false;
  if (row.base !== undefined && row.base.origin === old.origin && row.base.seq >= old.seq) {
    return false;
  }
  return senderSaw === undefined || !senderSaw.has(old);
}

function notTheirs(): NetworkError {
  return new NetworkError("PROTOCOL", "Cannot take what somebody else has written in this name.");
}

function tooManyOrigins(): NetworkError {
  return tooLarge("take a peer's state", `it tells of more than ${MAX_ORIGINS} openings of stores`);
}

/** What is thrown or told for a stamp that nobody's clock can have shown. */
export function future(): NetworkError {
  return new NetworkError("PROTOCOL", "Cannot take what was written too far in the future.");
}
