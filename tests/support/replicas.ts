/** Replicas of one state in one process, and a network between them that a test decides about. */

import type { JsonValue } from "../../src/base/bounded_json.ts";
import { seededRandom } from "../../src/base/random.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { type StateSnapshot, takeSnapshot } from "../../src/state/state_snapshot.ts";
import { type Delta, StateReplica } from "../../src/state/state_replica.ts";
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
    return takeSnapshot(this.#store, undefined);
  }

  /** What it has written and not told yet. */
  news(): Delta {
    this.state.commit();
    const delta = this.state.since({ origin: this.state.origin, seq: this.#told });
    this.#told = delta.upTo;
    return delta;
  }

  /** The process ends and begins anew; what was written stays. */
  restart(): void {
    this.state.commit();
    this.state = this.#open();
  }

  /** Asks another one for all that it has not seen. */
  pull(from: Replica): void {
    from.state.commit();
    for (const [origin] of from.state.versions) {
      if (origin === this.state.origin) continue;
      const delta = from.state.since({ origin, seq: this.state.versions.of(origin) });
      this.state.take(delta, from.state.versions);
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

/** Lets each ask each until nobody has anything that another one lacks. */
export function heal(replicas: readonly Replica[]): void {
  for (const one of replicas) for (const other of replicas) if (one !== other) one.pull(other);
  // Who asked first has not seen what was written after it.
  for (const one of replicas) for (const other of replicas) if (one !== other) one.pull(other);
}
