/** Keeps the replicas of a state alike: who tells whom what, and when. */

import { type CancelTimer, type Clock, doneWithin, every } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { safeName } from "../base/safe_text.ts";
import { chunk, partsOf } from "./delta_parts.ts";
import { decodeDelta, decodeStretch, encodeDelta, encodeStretch } from "./delta_codec.ts";
import { type Delta, future } from "./intake.ts";
import { nodeOf } from "./origin.ts";
import { type Place, START } from "./row_store.ts";
import { decodeStanding, encodeStanding, type Standing } from "./standing_codec.ts";
import { HASH_BYTES, summaryOf } from "./summary.ts";
import type { StateReplica } from "./state_replica.ts";
import type { Versions } from "./versions.ts";

/** The other replicas, as far as they can be reached. */
export interface Replicas {
  /** The nodes to which there is a link. */
  linked(): readonly string[];
  /**
   * Tells one of them; nothing happens when there is no link, or what was sent before still waits.
   *
   * @returns Whether it was told.
   */
  tell(nodeId: string, topic: string, body: Uint8Array): boolean;
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
/** How far somebody has seen, as a hash, and the digest of what is shown there. */
export const SEEN_TOPIC = "state.seen";
/** Asks for all that was not seen. */
export const PULL_METHOD = "state.pull";

/** How often neighbours compare what they have seen. */
const COMPARE_MS = 10_000;
/** With how many, drawn by lot: the price of it does not grow with the network. */
const COMPARED = 4;
/** When somebody is told again whose link was full. */
const AGAIN_MS = 50;
/** Who has not told all in this time goes on, and others are asked meanwhile. */
const SLOW_MS = 30_000;
/** What is wrong with one node's state is told once in this time. */
const REPORT_MS = 60_000;
/** More than anybody can write together (`state_replica.ts`), and less than a link takes. */
const MAX_TOGETHER_BYTES = 14 * 2 ** 20;

/** See the top of the file. */
export class Replicator {
  readonly #options: ReplicatorOptions;
  /** Those that have something that is missing here, and whether all of theirs is wanted. */
  readonly #ahead = new Map<string, { all: boolean }>();
  /** Digests that differ although all of theirs was taken: asked for once. */
  readonly #unequal = new Map<string, string>();
  /** Those that were not like this one when they last said how they are, and since when. */
  readonly #differingSince = new Map<string, number>();
  /** Those that are telling what they have: no more than once at a time. */
  readonly #telling = new Set<string>();
  /** When it was last told what is wrong with a node's state. */
  readonly #reportedAt = new Map<string, number>();
  /** Those that were not told of something because their link was full. */
  readonly #untold = new Set<string>();
  #cancelAgain: CancelTimer | undefined;
  #cancel: CancelTimer | undefined;
  #isPulling = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
  }

  /** Begins to compare. */
  start(): void {
    this.#cancel ??= every(this.#options.clock, COMPARE_MS, () => this.#compareWithSome());
  }

  /** Compares no more; what is under way ends with the links. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#cancelAgain?.();
    this.#cancelAgain = undefined;
    this.#untold.clear();
    this.#ahead.clear();
    this.#unequal.clear();
    this.#reportedAt.clear();
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
    state.commit();
    if (!replicas.tell(nodeId, SEEN_TOPIC, summaryOf(state.position))) this.#tellAgain(nodeId);
  }

  /** This node has written something. */
  written(delta: Delta): void {
    const { replicas } = this.#options;
    const linked = replicas.linked();
    if (linked.length === 0) return;
    for (const part of partsOf(delta)) {
      const body = encodeDelta(part);
      for (const nodeId of linked) {
        if (!replicas.tell(nodeId, DELTA_TOPIC, body)) this.#tellAgain(nodeId);
      }
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
   * Answers {@linkcode PULL_METHOD}: first how far this node is, then what the asker has not seen, or
   * all, as of now.
   *
   * @throws {NetworkError} `PROTOCOL` when the question cannot be read.
   */
  *answer(body: Uint8Array): Generator<Uint8Array, void, void> {
    const asker = decodeStanding(body);
    const { state } = this.#options;
    state.commit();
    const { versions, forgotten } = state.position;
    const all = asker.all || !asker.versions.covers(forgotten);
    const seen = versions.copy();
    yield encodeStanding({ versions: seen, forgotten, own: state.origin, all });
    if (all) yield* this.#all();
    else yield* this.#since(asker.versions, seen);
  }

  /** As soon as its link takes it: that there is something new; then it asks. */
  #tellAgain(nodeId: string): void {
    const { replicas, clock } = this.#options;
    const isOver = this.#cancel === undefined;
    if (isOver || !replicas.linked().includes(nodeId)) return;
    this.#untold.add(nodeId);
    this.#cancelAgain ??= clock.after(AGAIN_MS, () => {
      this.#cancelAgain = undefined;
      const untold = [...this.#untold];
      this.#untold.clear();
      for (const one of untold) this.linked(one);
    });
  }

  /** @param but Not with that node. */
  #compareWithSome(but?: string): void {
    const { replicas, random } = this.#options;
    const linked = replicas.linked().filter((nodeId) => nodeId !== but);
    for (let count = 0; count < COMPARED && linked.length > 0; count++) {
      const [nodeId] = linked.splice(Math.floor(random.next() * linked.length), 1);
      this.linked(nodeId);
    }
  }

  *#all(): Generator<Uint8Array, void, void> {
    let from: Place | undefined = START;
    while (from !== undefined) {
      // Read anew for each: between two of them anything may be written.
      const stretch = this.#options.state.others.stretch(from, chunk());
      yield encodeStretch(stretch);
      from = stretch.to;
    }
  }

  *#since(asked: Versions, seen: Versions): Generator<Uint8Array, void, void> {
    for (const [origin, upTo] of seen) {
      for (let seq = asked.of(origin); seq < upTo;) {
        const delta = this.#options.state.others.since({ origin, seq }, chunk());
        // What was believed of it may have been taken back meanwhile.
        if (delta.upTo <= seq) break;
        const bytes = encodeDelta(delta);
        // Whoever has made that up must not keep back what comes behind it.
        if (bytes.length > MAX_TOGETHER_BYTES) {
          this.#report(nodeOf(origin), tooMuchTogether());
          break;
        }
        yield bytes;
        seq = delta.upTo;
      }
    }
  }

  #compare(nodeId: string, summary: Uint8Array): void {
    const { state, clock } = this.#options;
    state.commit();
    const own = summaryOf(state.position);
    const isSame = (from: number, to: number) =>
      own.subarray(from, to).every((byte, i) => byte === summary[from + i]);
    if (isSame(0, own.length)) {
      this.#ahead.delete(nodeId);
      this.#unequal.delete(nodeId);
      this.#differingSince.delete(nodeId);
      return;
    }
    if (!this.#differingSince.has(nodeId)) this.#differingSince.set(nodeId, clock.now());
    if (!isSame(0, HASH_BYTES)) this.#ahead.set(nodeId, { all: false });
    else {
      // Both have seen the same, and show something else: what one of them has no more is gone.
      const both = `${own.toHex()} ${summary.toHex()}`;
      if (this.#unequal.get(nodeId) === both) return;
      this.#unequal.set(nodeId, both);
      this.#ahead.set(nodeId, { all: true });
    }
    void this.#pullAll();
  }

  #takeFrom(nodeId: string, body: Uint8Array): void {
    try {
      const delta = decodeDelta(body);
      // What others have written, they tell themselves, or are asked for.
      if (nodeOf(delta.origin) !== nodeId) throw foreign(delta.origin);
      if (this.#options.state.others.take(delta) === "taken") return;
    } catch (thrown) {
      return this.#report(nodeId, thrown);
    }
    this.#ahead.set(nodeId, { all: false });
    void this.#pullAll();
  }

  /**
   * Asks those that have more, one after the other: what one has told need not come again. But nobody
   * who is slow, or never comes to an end, keeps others from being asked.
   */
  async #pullAll(): Promise<void> {
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      for (const [nodeId, { all }] of this.#ahead) {
        if (this.#telling.has(nodeId)) continue;
        this.#ahead.delete(nodeId);
        this.#telling.add(nodeId);
        const pulled = this.#pull(nodeId, all).finally(() => this.#telling.delete(nodeId));
        if (await doneWithin(this.#options.clock, SLOW_MS, pulled)) continue;
        void pulled.then(() => this.#pullAll());
      }
    } finally {
      this.#isPulling = false;
    }
  }

  async #pull(nodeId: string, all: boolean): Promise<void> {
    const { state, replicas } = this.#options;
    state.commit();
    const versions = state.position.versions.copy();
    const { forgotten } = state.position;
    let sender: Standing | undefined;
    let from: Place | undefined = START;
    let isFuture = false;
    const onItem = (item: Uint8Array) => {
      if (sender === undefined) {
        sender = decodeStanding(item);
        this.#compareOwn(nodeId, sender, versions);
      } else if (!sender.all) {
        const taken = state.others.take(decodeDelta(item), sender.versions);
        isFuture ||= taken === "future";
      } else if (from !== undefined) {
        const stretch = decodeStretch(item, from);
        state.others.takeStretch(stretch, sender, nodeId);
        from = stretch.to;
      }
    };
    try {
      const body = encodeStanding({ versions, forgotten, own: state.origin, all });
      await replicas.ask(nodeId, PULL_METHOD, body, onItem);
      if (sender?.all && from === undefined) {
        state.others.join(sender);
        this.linked(nodeId);
      }
      // What others have written is taken all the same.
      if (isFuture) this.#report(nodeId, future());
      // Others may have no link to where it came from.
      if (!versions.covers(state.position.versions)) this.#compareWithSome(nodeId);
    } catch (thrown) {
      this.#report(nodeId, thrown);
    }
  }

  /**
   * A node knows how far it is. What was believed to be later, somebody else has made up.
   *
   * @throws {NetworkError} `PROTOCOL` when that is believed there of this node: what it has written
   * itself would count as deleted.
   */
  #compareOwn(nodeId: string, { versions, own }: Standing, asked: Versions): void {
    if (nodeOf(own) !== nodeId) throw foreign(own);
    const { state } = this.#options;
    if (versions.of(state.origin) > state.position.versions.of(state.origin)) throw neverWritten();
    const upTo = versions.of(own);
    if (asked.of(own) <= upTo) return;
    this.#options.state.others.disown(own, upTo);
    this.#options.logger.warn(
      'Somebody has written to the shared state in the name of "{nodeId}"; it does not count.',
      { nodeId },
    );
    // It was asked for less than is missing.
    this.#ahead.set(nodeId, { all: false });
  }

  #report(nodeId: string, thrown: unknown): void {
    // A link that broke is told elsewhere, and whoever comes back is asked anew.
    if (thrown instanceof NetworkError && thrown.code === "UNAVAILABLE") return;
    const now = this.#options.clock.now();
    if (now - (this.#reportedAt.get(nodeId) ?? -Infinity) < REPORT_MS) return;
    this.#reportedAt.set(nodeId, now);
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

function tooMuchTogether(): NetworkError {
  return new NetworkError(
    "PROTOCOL",
    "Cannot pass on what was written in its name: nobody can write so much at once.",
  );
}

function neverWritten(): NetworkError {
  return new NetworkError(
    "PROTOCOL",
    "Cannot take what it says to have seen of this node: that was never written here.",
  );
}
