/** Keeps the replicas of a state alike: who tells whom what, and when. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { safeName } from "../base/safe_text.ts";
import {
  decodeDelta,
  decodeSeen,
  encodeDelta,
  encodeSeen,
  rowBound,
  type Seen,
} from "./delta_codec.ts";
import type { Row } from "./row.ts";
import { type Delta, nodeOf, type StateReplica } from "./state_replica.ts";
import type { Versions } from "./versions.ts";

/** The other replicas, as far as they can be reached. */
export interface Replicas {
  /** The nodes to which there is a link. */
  linked(): readonly string[];
  /** Tells one of them; nothing happens when there is no link, or what was sent before still waits. */
  tell(nodeId: string, topic: string, body: Uint8Array): void;
  /**
   * Asks one of them.
   *
   * @param onItem Takes each item of the answer; where it throws, no more is wanted.
   * @throws {NetworkError} What the peer, or the way to it, failed with, or `onItem` threw.
   */
  ask(
    nodeId: string,
    method: string,
    body: Uint8Array,
    onItem: (item: Uint8Array) => void,
  ): Promise<void>;
}

/** What a {@linkcode Replicator} is made of. */
export interface ReplicatorOptions {
  readonly state: StateReplica;
  readonly replicas: Replicas;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What was written, as it happens. */
export const DELTA_TOPIC = "state.delta";
/** How far somebody has seen: a hash of it. */
export const SEEN_TOPIC = "state.seen";
/** Asks for all that was not seen. */
export const PULL_METHOD = "state.pull";

/** How often neighbours compare what they have seen. */
const COMPARE_MS = 10_000;
/** With how many, drawn by lot: the price of it does not grow with the network. */
const COMPARED = 4;
/** Of one item or notice, about. */
const CHUNK_BYTES = 128 * 1024;

/** See the top of the file. */
export class Replicator {
  readonly #options: ReplicatorOptions;
  /** Those that have something that is missing here. */
  readonly #ahead = new Set<string>();
  /** Those that were not like this one when they last said how far they have seen, and since when. */
  readonly #differingSince = new Map<string, number>();
  #cancel: CancelTimer | undefined;
  #isPulling = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
  }

  /** Begins to compare. */
  start(): void {
    this.#cancel ??= every(this.#options.clock, COMPARE_MS, () => {
      const { replicas, random } = this.#options;
      const linked = [...replicas.linked()];
      for (let count = 0; count < COMPARED && linked.length > 0; count++) {
        const [nodeId] = linked.splice(Math.floor(random.next() * linked.length), 1);
        this.linked(nodeId);
      }
    });
  }

  /** Compares no more; what is under way ends with the links. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#ahead.clear();
  }

  /** The linked nodes that have differed from this one in each comparison for so long. */
  differingFor(ms: number): string[] {
    const { replicas, clock } = this.#options;
    const now = clock.now();
    return replicas.linked().filter((id) => now - (this.#differingSince.get(id) ?? Infinity) >= ms);
  }

  /** There is a link to that node: it is told how far this one has seen. */
  linked(nodeId: string): void {
    const { replicas, state } = this.#options;
    replicas.tell(nodeId, SEEN_TOPIC, hashOf(state.versions));
  }

  /** This node has written something. */
  written(delta: Delta): void {
    const { replicas } = this.#options;
    const linked = replicas.linked();
    if (linked.length === 0) return;
    for (const part of partsOf(delta.rows, delta)) {
      const body = encodeDelta(part);
      for (const nodeId of linked) replicas.tell(nodeId, DELTA_TOPIC, body);
    }
  }

  /** A peer has told something; false when it is about something else. */
  heard(nodeId: string, topic: string, body: Uint8Array): boolean {
    if (topic === SEEN_TOPIC) this.#compare(nodeId, body);
    else if (topic === DELTA_TOPIC) this.#takeFrom(nodeId, body);
    else return false;
    return true;
  }

  /**
   * Answers {@linkcode PULL_METHOD}: first how far this node has seen, then all that the asker has
   * not, as of now.
   *
   * @throws {NetworkError} `PROTOCOL` when the question cannot be read.
   */
  *answer(body: Uint8Array): Generator<Uint8Array, void, void> {
    const asker = decodeSeen(body).versions;
    const { state } = this.#options;
    state.commit();
    const seen = state.versions.copy();
    yield encodeSeen({ versions: seen, own: state.origin });
    for (const [origin, upTo] of seen) {
      let after = asker.of(origin);
      while (after < upTo) {
        // Read anew for each part: between two of them anything may be written.
        const { rows } = state.since({ origin, seq: after });
        const [part] = partsOf(rows.filter(({ seq }) => seq <= upTo), { origin, after, upTo });
        yield encodeDelta(part);
        after = part.upTo;
      }
    }
  }

  #compare(nodeId: string, hash: Uint8Array): void {
    const own = hashOf(this.#options.state.versions);
    if (own.length === hash.length && own.every((byte, i) => byte === hash[i])) {
      this.#ahead.delete(nodeId);
      this.#differingSince.delete(nodeId);
      return;
    }
    const { clock } = this.#options;
    if (!this.#differingSince.has(nodeId)) this.#differingSince.set(nodeId, clock.now());
    this.#ahead.add(nodeId);
    void this.#pullAll();
  }

  #takeFrom(nodeId: string, body: Uint8Array): void {
    try {
      const delta = decodeDelta(body);
      // What others have written, they tell themselves, or are asked for.
      if (nodeOf(delta.origin) !== nodeId) throw foreign(delta.origin);
      if (this.#options.state.take(delta) === "taken") return;
    } catch (thrown) {
      return this.#report(nodeId, thrown);
    }
    this.#ahead.add(nodeId);
    void this.#pullAll();
  }

  /** Asks those that have more, one after the other: what one has told need not come again. */
  async #pullAll(): Promise<void> {
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      for (let [nodeId] = this.#ahead; nodeId !== undefined; [nodeId] = this.#ahead) {
        this.#ahead.delete(nodeId);
        await this.#pull(nodeId);
      }
    } finally {
      this.#isPulling = false;
    }
  }

  async #pull(nodeId: string): Promise<void> {
    const { state, replicas } = this.#options;
    state.commit();
    const asked = state.versions.copy();
    let sender: Seen | undefined;
    const onItem = (item: Uint8Array) => {
      if (sender === undefined) {
        sender = decodeSeen(item);
        this.#compareOwn(nodeId, sender, asked);
      } else state.take(decodeDelta(item), sender.versions);
    };
    try {
      const body = encodeSeen({ versions: asked, own: state.origin });
      await replicas.ask(nodeId, PULL_METHOD, body, onItem);
    } catch (thrown) {
      this.#report(nodeId, thrown);
    }
  }

  /** A node knows how far it is. What was believed to be later, somebody else has made up. */
  #compareOwn(nodeId: string, { versions, own }: Seen, asked: Versions): void {
    if (nodeOf(own) !== nodeId) throw foreign(own);
    const upTo = versions.of(own);
    if (asked.of(own) <= upTo) return;
    this.#options.state.disown(own, upTo);
    this.#options.logger.warn(
      'Somebody has written to the shared state in the name of "{nodeId}"; it does not count.',
      { nodeId },
    );
    // It was asked for less than is missing.
    this.#ahead.add(nodeId);
  }

  #report(nodeId: string, thrown: unknown): void {
    // A link that broke is told elsewhere, and whoever comes back is asked anew.
    if (thrown instanceof NetworkError && thrown.code === "UNAVAILABLE") return;
    this.#options.logger.warn('Cannot take the state of "{nodeId}": {error}', {
      nodeId,
      error: thrown,
    });
  }
}

function foreign(origin: string): NetworkError {
  return new NetworkError(
    "PROTOCOL",
    `Cannot take what it says of "${safeName(nodeOf(origin), 64)}": it is another one.`,
  );
}

/** Divides a delta into such as fit into a message; what was written together stays together. */
function* partsOf(
  rows: readonly Row[],
  { origin, after, upTo }: Omit<Delta, "rows">,
): Generator<Delta, void, void> {
  let from = after;
  let part: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    const last = part.at(-1);
    if (last !== undefined && bytes >= CHUNK_BYTES && row.seq !== last.seq) {
      yield { origin, after: from, upTo: last.seq, rows: part };
      from = last.seq;
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += rowBound(row);
  }
  if (from < upTo) yield { origin, after: from, upTo, rows: part };
}

/** The same for the same versions, in whatever order: FNV-1a of each, added up, in two halves. */
function hashOf(versions: Versions): Uint8Array {
  let sum = 0n;
  for (const [origin, seq] of versions) {
    let hash = 0xcbf29ce484222325n;
    for (const unit of `${origin} ${seq}`) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(unit.codePointAt(0)!)) * 0x100000001b3n);
    }
    sum = BigInt.asUintN(64, sum + hash);
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, sum);
  return bytes;
}
