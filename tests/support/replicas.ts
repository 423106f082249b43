/** Replicas of one state in one process, and a network between them that a test decides about. */

import type { JsonValue } from "../../src/base/bounded_json.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Position } from "../../src/state/row_ledger.ts";
import { type Place, RowStore, START } from "../../src/state/row_store.ts";
import type { Delta } from "../../src/state/intake.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { type StateSnapshot, takeSnapshot } from "../../src/state/state_snapshot.ts";
import type { StateTransaction } from "../../src/state/shared_state.ts";

/** One of them. */
export class Replica {
  /** What its clock shows, in milliseconds since 1970. */
  wallTime = Date.UTC(2026, 0, 1);
  readonly #index: number;
  readonly #store = new RowStore();
  #starts = 0;
  #told = 0;
  state: StateReplica;

  constructor(index: number) {
    this.#index = index;
    this.state = this.#open();
  }

  /**
   * Writes, and waits for nothing.
   *
   * @throws What `work` throws.
   */
  write<T>(work: (state: StateTransaction) => T): T {
    let result: { value: T } | { error: unknown } | undefined;
    this.state.transact((state) => {
      try {
        result = { value: work(state) };
      } catch (error) {
        result = { error };
        throw error;
      }
    }).catch(() => {});
    if (result === undefined) throw new Error("the transaction did not run");
    if ("error" in result) throw result.error;
    return result.value;
  }

  /** What it holds now. */
  snapshot(): StateSnapshot {
    this.state.commit();
    return takeSnapshot(this.#store, this.state.position, undefined);
  }

  /** What it has written and not told yet. */
  news(): Delta {
    this.state.commit();
    const { origin, position } = this.state;
    // What is told is told at once: nothing of it is forgotten.
    const seq = Math.max(this.#told, position.forgotten.of(origin));
    const delta = this.state.others.since({ origin, seq });
    this.#told = delta.upTo;
    return delta;
  }

  /** The process ends and begins anew; what was written stays. */
  restart(): void {
    this.state.commit();
    this.state = this.#open();
  }

  /** Asks another one for what it has not seen, or for all. */
  pull(from: Replica): void {
    this.state.commit();
    from.state.commit();
    const { position: own, others } = this.state;
    const theirs = copyOf(from.state.position);
    const isUnequal = isSame({ ...copyOf(own), digest: 0 }, { ...theirs, digest: 0 }) &&
      own.digest !== theirs.digest;
    if (isUnequal || !own.versions.covers(theirs.forgotten)) {
      for (let place: Place | undefined = START; place !== undefined;) {
        const stretch = from.state.others.stretch(place, fewRows());
        others.takeStretch(stretch, theirs, "peer");
        place = stretch.to;
      }
      return others.join(theirs);
    }
    for (const [origin] of theirs.versions) {
      if (origin === this.state.origin) continue;
      const delta = from.state.others.since({ origin, seq: own.versions.of(origin) });
      others.take(delta, theirs.versions);
    }
  }

  /** All that it shows. */
  shown(): [key: string, value: JsonValue][] {
    this.state.commit();
    return this.state.entries();
  }

  [Symbol.dispose](): void {
    this.state.commit();
    this.#store[Symbol.dispose]();
  }

  #open(): StateReplica {
    this.#told = 0;
    return new StateReplica({
      nodeId: `n${this.#index}`,
      store: this.#store,
      clock: { now: () => 0, wallTime: () => this.wallTime, after: () => () => {} },
      random: seededRandom(this.#index * 1_000 + this.#starts++),
    });
  }
}

function copyOf({ versions, forgotten, digest }: Position): Position {
  return { versions: versions.copy(), forgotten: forgotten.copy(), digest };
}

/** So that all of a few keys takes several stretches. */
function fewRows(): () => boolean {
  let rows = 0;
  return () => ++rows <= 3;
}

/** How often each may ask each until they are alike: who asks first knows least. */
const MOST_ROUNDS = 6;

/** Lets each ask each until nobody has anything that another one lacks. */
export function heal(replicas: readonly Replica[]): void {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    for (const one of replicas) for (const other of replicas) if (one !== other) one.pull(other);
    if (replicas.every((one) => isSame(one.state.position, replicas[0].state.position))) return;
  }
}

function isSame(one: Position, other: Position): boolean {
  return one.versions.covers(other.versions) && other.versions.covers(one.versions) &&
    one.digest === other.digest;
}
