/** The shared state's side of the comparison with yjs: replicas without links, and what links carry. */

import type { JsonValue } from "../src/base/bounded_json.ts";
import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { decodeDelta, encodeDelta } from "../src/state/delta_codec.ts";
import type { Delta } from "../src/state/intake.ts";
import { Replicator } from "../src/state/replicator.ts";
import { RowStore } from "../src/state/row_store.ts";
import { decodeStanding, encodeStanding } from "../src/state/standing_codec.ts";
import { StateReplica } from "../src/state/state_replica.ts";
import type { Doc, Side } from "./yjs_work.ts";

const NOBODY = { linked: () => [], tell: () => false, ask: () => Promise.resolve() };

class OurDoc implements Doc {
  readonly #state: StateReplica;
  readonly #replicator: Replicator;
  readonly #written: Delta[] = [];

  constructor(nodeId: string, path?: string) {
    const store = new RowStore(path);
    if (path !== undefined) {
      // As a node does before it takes a file for sound.
      store.check();
      store.dropDamaged();
    }
    const common = { clock: systemClock, random: systemRandom };
    this.#state = new StateReplica({
      nodeId,
      store,
      onWritten: (delta) => this.#written.push(delta),
      ...common,
    });
    const { state, logger, replicas } = {
      state: this.#state,
      logger: silentLogger,
      replicas: NOBODY,
    };
    this.#replicator = new Replicator({ state, logger, replicas, ...common });
  }

  set(key: string, value: JsonValue): void {
    void this.#state.set(key, value);
  }

  delete(key: string): void {
    void this.#state.delete(key);
  }

  append(key: string, item: JsonValue): void {
    void this.#state.append(key, item);
  }

  async commit(): Promise<Uint8Array[]> {
    await this.#state.settled();
    return this.#written.splice(0).map(encodeDelta);
  }

  take(told: readonly Uint8Array[]): void {
    for (const one of told) this.#state.others.take(decodeDelta(one));
  }

  sync(other: OurDoc): number {
    return this.#pull(other) + other.#pull(this);
  }

  size(): number {
    return this.#state.keys().length;
  }

  close(): Promise<void> {
    return this.#state.close();
  }

  #pull(from: OurDoc): number {
    const { position, origin: own } = this.#state;
    const { versions, forgotten } = position;
    const question = encodeStanding({ versions, forgotten, own, all: false });
    const [first, ...rest] = from.#replicator.answer(question);
    decodeStanding(first);
    this.take(rest);
    return [question, first, ...rest].reduce((sum, { length }) => sum + length, 0);
  }
}

/** See the top of the file. */
export const OURS: Side = {
  create: (name, path) => new OurDoc(name, path),
};
