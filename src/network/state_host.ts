/** The replica of the shared state that a node keeps, and its way to those of others. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { IncomingCall } from "../link/call.ts";
import type { LinkPool } from "../link/link_pool.ts";
import { AutomaticCheckpoints } from "../state/automatic_checkpoints.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { PULL_METHOD, Replicator } from "../state/replicator.ts";
import { RowStore } from "../state/row_store.ts";
import type { SharedState } from "../state/shared_state.ts";
import { stateDocument } from "../state/state_document.ts";
import { openStateFile, type StateFile } from "../state/state_file.ts";
import { type Imported, type ImportOptions, importState } from "../state/state_import.ts";
import { StateReplica } from "../state/state_replica.ts";
import { type StateSnapshot, takeSnapshot } from "../state/state_snapshot.ts";
import type { SharedStateStatus } from "./status.ts";

/** What a {@linkcode StateHost} is made of. */
export interface StateHostOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly pool: () => Pick<LinkPool, "get" | "linked">;
  /** Whether it is known who the others are: a state is shared with nobody else. */
  readonly shares: boolean;
  /** The node's own directory, if it has one that it may use. */
  readonly directory: string | undefined;
  /** What the network is called, by each of its keys; nothing where it has none. */
  readonly networks: () => readonly string[];
  /** What people call it. */
  readonly networkName: () => string;
  readonly checkpointIntervalMs: number;
  readonly keptCheckpoints: number;
}

/** What checkpoints by interval may take together. */
const KEPT_BYTES = 256 * 2 ** 20;
/** Between two comparisons a node may just have written: three in a row that differ say something. */
const DIFFERING_MS = 30_000;
/** Counting keys takes at most this part of the time. */
const COUNTING_SHARE = 0.01;
/** How often what has been gone for long is forgotten. */
const FORGET_MS = 3_600_000;

/** See the top of the file. */
export class StateHost {
  readonly #options: StateHostOptions;
  #state: StateReplica | undefined;
  #replicator: Replicator | undefined;
  #file: StateFile | undefined;
  #store: RowStore | undefined;
  #cancelForgetting: CancelTimer | undefined;
  readonly #checkpoints: Checkpoints | undefined;
  #automatic: AutomaticCheckpoints | undefined;
  #keyCount = { keys: 0, until: -Infinity };

  constructor(options: StateHostOptions) {
    this.#options = options;
    const { directory, nodeId, clock } = options;
    this.#checkpoints = directory === undefined ? undefined : new Checkpoints({
      directory: `${directory}/checkpoints`,
      nodeId,
      clock,
      state: () => this.state,
      snapshot: () => this.#snapshot(),
      room: () => this.#room(),
    });
  }

  /**
   * The state.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` before the start and after the end.
   */
  get state(): SharedState {
    return this.#replica();
  }

  /**
   * What was kept of it.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` where the node has no directory of its own.
   */
  get checkpoints(): Checkpoints {
    if (this.#checkpoints !== undefined) return this.#checkpoints;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      "Cannot use checkpoints: this node has no directory of its own. Give it a nodeId and a " +
        "dataDirectory that it may write to.",
    );
  }

  /**
   * Opens it, and begins to keep it like the others'.
   *
   * @throws {NetworkError} When it is there and cannot be used, see `state/state_file.ts`.
   */
  async open(): Promise<void> {
    const { nodeId, clock, random, logger, pool, shares, directory, networks } = this.#options;
    const names = networks();
    if (names.length > 0 && directory !== undefined) {
      this.#file = await openStateFile({ directory, networks: names, logger });
    } else if (names.length > 0) {
      logger.info("The shared state is kept in memory: what only this node has ends with it.");
    }
    const file = this.#file;
    const store = this.#store = file?.store ?? new RowStore();
    const state: StateReplica = new StateReplica({
      nodeId,
      store,
      clock,
      random,
      sync: file && (() => file.sync()),
      onWritten: (delta) => this.#replicator?.written(delta),
    });
    this.#state = state;
    this.#saveByInterval();
    const forget = () => {
      try {
        state.forget();
      } catch (error) {
        logger.warn("Cannot forget what was deleted from the shared state: {error}", { error });
      }
    };
    forget();
    this.#cancelForgetting = every(clock, FORGET_MS, forget);
    if (!shares) return;
    const replicas = {
      linked: () => pool().linked(),
      tell: (id: string, topic: string, body: Uint8Array) => {
        const link = pool().get(id);
        if (link === undefined || link.isSending) return false;
        link.notify(topic, body);
        return true;
      },
      ask: (id: string, method: string, body: Uint8Array, onItem: (item: Uint8Array) => void) =>
        ask(pool(), id, method, body, onItem),
    };
    this.#replicator = new Replicator({ state, replicas, clock, random, logger });
    this.#replicator.start();
  }

  /** Ends it; what was written is told before. Idempotent. */
  async close(): Promise<void> {
    await this.#automatic?.stop();
    const state = this.#state;
    this.#state = undefined;
    this.#cancelForgetting?.();
    await state?.settled();
    this.#replicator?.stop();
    this.#replicator = undefined;
    await state?.close();
    await this.#file?.close();
    this.#file = undefined;
    this.#store = undefined;
  }

  /**
   * All of it as one document of JSON.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` before the start and after the end.
   */
  async export(): Promise<string> {
    const { nodeId, clock, networkName } = this.#options;
    using snapshot = this.#snapshot();
    const exportedAt = new Date(clock.wallTime()).toISOString();
    return await stateDocument(snapshot, { exportedAt, network: networkName(), nodeId });
  }

  /** Writes what such a document holds; see `state/state_import.ts`. */
  async import(document: string | Uint8Array, options: ImportOptions): Promise<Imported> {
    const { state } = this;
    const snapshot = () => this.#snapshot();
    const room = () => this.#room();
    const checkpoints = this.#checkpoints;
    return await importState({ state, snapshot, room, checkpoints }, document, options);
  }

  /** How it is, at hardly any price; null before the start and after the end. */
  status(): SharedStateStatus | null {
    const state = this.#state;
    if (state === undefined) return null;
    const latest = this.#checkpoints?.latest;
    return {
      path: this.#file?.path ?? null,
      keys: this.#keys(),
      bytes: state.bytes,
      maxBytes: state.maxBytes,
      differing: this.#replicator?.differingFor(DIFFERING_MS) ?? [],
      lastCheckpoint: latest === undefined
        ? null
        : { name: latest.name, createdAt: latest.createdAt, keys: latest.keys },
      checkpointProblem: this.#automatic?.problem ?? null,
      damagedPath: this.#file?.damagedPath ?? null,
    };
  }

  /** The network has another key. */
  renamed(): void {
    this.#file?.belongsTo(this.#options.networks());
  }

  /** There is a link to that node. */
  linked(nodeId: string): void {
    this.#replicator?.linked(nodeId);
  }

  /** A peer has told something. */
  heard(nodeId: string, topic: string, body: Uint8Array): void {
    this.#replicator?.heard(nodeId, topic, body);
  }

  /** Answers a peer's call; false when it is about something else. */
  serve(call: IncomingCall): boolean {
    if (call.method !== PULL_METHOD || this.#replicator === undefined) return false;
    void stream(call, this.#replicator);
    return true;
  }

  #saveByInterval(): void {
    const { clock, logger, checkpointIntervalMs: intervalMs, keptCheckpoints } = this.#options;
    if (this.#checkpoints === undefined) return;
    this.#automatic = new AutomaticCheckpoints({
      checkpoints: this.#checkpoints,
      clock,
      logger,
      intervalMs,
      kept: { count: keptCheckpoints, bytes: KEPT_BYTES },
    });
    this.#automatic.start();
  }

  #replica(): StateReplica {
    if (this.#state !== undefined) return this.#state;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      "Cannot use the shared state: the network does not run. Call start() first.",
    );
  }

  #snapshot(): StateSnapshot {
    const state = this.#replica();
    state.commit();
    return takeSnapshot(this.#store!, state.position, this.#file?.path);
  }

  #room(): number {
    const state = this.#state;
    return state === undefined ? 0 : state.maxBytes - state.bytes;
  }

  /** Of a large state it is not counted each time that somebody looks. */
  #keys(): number {
    const { clock } = this.#options;
    const began = clock.now();
    if (this.#store !== undefined && began >= this.#keyCount.until) {
      const keys = this.#store.keyCount();
      const now = clock.now();
      this.#keyCount = { keys, until: now + (now - began) / COUNTING_SHARE };
    }
    return this.#keyCount.keys;
  }
}

async function stream(call: IncomingCall, replicator: Replicator): Promise<void> {
  try {
    for (const item of replicator.answer(call.body)) {
      await call.send(item);
      if (call.cancellation.requested) break;
    }
    call.end();
  } catch (thrown) {
    call.fail(NetworkError.from(thrown));
  }
}

function ask(
  pool: Pick<LinkPool, "get">,
  nodeId: string,
  method: string,
  body: Uint8Array,
  onItem: (item: Uint8Array) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const link = pool.get(nodeId);
    if (link === undefined) {
      return reject(new NetworkError("UNAVAILABLE", `There is no link to "${nodeId}".`));
    }
    let failure: unknown;
    const call = link.call(method, body, {
      onItem: (item) => {
        if (failure !== undefined) return;
        try {
          onItem(item);
          call.consumed(item.length);
        } catch (thrown) {
          failure = thrown;
          call.cancel();
        }
      },
      onEnd: (end) => {
        if (failure !== undefined) reject(failure);
        else if (end.ok) resolve();
        else reject(end.error);
      },
    });
  });
}
