/** Replicas of the shared state in memory that can all be reached, and what goes between them. */

import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { PULL_METHOD, Replicator } from "../../src/state/replicator.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { type RecordingLogger, recordingLogger } from "./recording_logger.ts";

/** One of them. */
export interface Node {
  readonly state: StateReplica;
  readonly replicator: Replicator;
  readonly log: RecordingLogger;
}

/** See the top of the file. */
export class Lan {
  readonly clock = new ManualClock();
  readonly nodes = new Map<string, Node>();
  /** By asker and asked. */
  readonly pulls: string[] = [];
  bytes = 0;
  /** Those that nobody reaches. */
  readonly away = new Set<string>();
  /** Those to which links are full. */
  readonly busy = new Set<string>();
  /** Those that answer nothing before then. */
  readonly silent = new Map<string, Promise<void>>();

  add(nodeId: string): Node {
    const log = recordingLogger();
    const random = seededRandom(this.nodes.size + 1);
    const state: StateReplica = new StateReplica({
      nodeId,
      store: new RowStore(),
      clock: this.clock,
      random,
      onWritten: (delta) => node.replicator.written(delta),
    });
    const replicas = {
      linked: () => [...this.nodes.keys()].filter((one) => this.#reaches(nodeId, one)),
      tell: (to: string, topic: string, body: Uint8Array) => this.#tell(nodeId, to, topic, body),
      ask: async (
        to: string,
        method: string,
        body: Uint8Array,
        onItem: (item: Uint8Array) => void,
      ) => {
        assertEquals(method, PULL_METHOD);
        this.pulls.push(`${nodeId} ${to}`);
        await this.silent.get(to);
        for (const item of this.nodes.get(to)!.replicator.answer(body)) {
          this.bytes += item.length;
          onItem(item);
          await Promise.resolve();
        }
      },
    };
    const { clock } = this;
    const node: Node = {
      state,
      replicator: new Replicator({ state, replicas, clock, random, logger: log.logger }),
      log,
    };
    node.replicator.start();
    this.nodes.set(nodeId, node);
    return node;
  }

  /** All compare what they have seen. */
  async compare(): Promise<void> {
    await this.clock.advance(10_000);
    await this.clock.advance(10_000);
  }

  /** So many days pass. */
  async days(count: number): Promise<void> {
    this.clock.setWallTime(this.clock.wallTime() + count * 86_400_000);
    await this.compare();
  }

  #reaches(from: string, to: string): boolean {
    return from !== to && !this.away.has(from) && !this.away.has(to);
  }

  #tell(from: string, to: string, topic: string, body: Uint8Array): boolean {
    if (!this.#reaches(from, to) || this.busy.has(to)) return false;
    this.bytes += body.length;
    assert(this.nodes.get(to)!.replicator.heard(from, topic, body));
    return true;
  }
}
