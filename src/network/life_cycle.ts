/** How a node starts, drains and stops. */

import { doneWithin } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { NetworkParts } from "./parts.ts";
import { tasksNow } from "./snapshot.ts";
import {
  detectDevice,
  DETECTION_PATIENCE_MS,
  listen,
  peersAlive,
  warnOfMissingPermissions,
  watchCondition,
} from "./start_up.ts";
import type { NetworkState } from "./status.ts";

/** What `network.start` can be told. */
export interface StartOptions {
  /**
   * How many peers must be alive before it resolves.
   *
   * @default {0}
   */
  waitForPeers?: number;
  /**
   * How long to wait for them, in milliseconds.
   *
   * @default {30000}
   */
  timeoutMs?: number;
}

/** What `network.stop` can be told. */
export interface StopOptions {
  /**
   * How long tasks that run here may take to end, in milliseconds; what runs then is stopped.
   *
   * @default {5000}
   */
  drainMs?: number;
}

/** How long the end waits for tools that are still asked about the device. */
const DETECTION_END_MS = 1_000;

/** See the top of the file. */
export class LifeCycle {
  readonly #parts: NetworkParts;
  #state: NetworkState = "created";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** What runs is not waited for any longer. */
  readonly #timeIsUp: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #detecting: Promise<void> = Promise.resolve();
  #endWatch: (() => Promise<void>) | undefined;
  /** What a drain waits for, beside tasks. */
  readonly #held = new Set<Promise<unknown>>();

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** Where it is in its life. */
  get state(): NetworkState {
    return this.#state;
  }

  /** As the network's own. */
  async start({ waitForPeers = 0, timeoutMs = 30_000 }: StartOptions): Promise<void> {
    if (this.#state !== "created") {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot start the network: it is ${this.#state}. Create another one.`,
      );
    }
    this.#state = "starting";
    const events = this.#parts.membership.events();
    try {
      this.#starting = this.#start();
      await this.#starting;
      if (waitForPeers > 0) await peersAlive(this.#parts, waitForPeers, timeoutMs, events);
    } catch (thrown) {
      await this.stop({ drainMs: 0 });
      throw thrown;
    } finally {
      await events.return!();
    }
  }

  /** As the network's own. */
  stop({ drainMs = 5_000 }: StopOptions): Promise<void> {
    const stopping = this.drain();
    // Also where it drains already, with all the time in the world.
    const cancel = this.#parts.clock.after(drainMs, this.#timeIsUp.resolve);
    return stopping.finally(cancel);
  }

  /** As the network's own. */
  drain(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * A drain waits for `work`, too: a run of several agents has no task between two of them.
   *
   * @returns What `work` comes to.
   */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#held.add(work);
    try {
      return await work;
    } finally {
      this.#held.delete(work);
    }
  }

  /** @throws {NetworkError} `FAILED_PRECONDITION` unless it runs. */
  needRunning(): void {
    if (this.#state === "running") return;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot run an agent: the network is ${this.#state}.` +
        (this.#state === "created" ? " Call start() first." : ""),
    );
  }

  async #start(): Promise<void> {
    const parts = this.#parts;
    const { membership, discoveries, describe, openTracer, openTrust, agentPrograms } = parts;
    warnOfMissingPermissions(parts.options);
    this.#detecting = detectDevice(parts);
    const detected = doneWithin(parts.clock, DETECTION_PATIENCE_MS, this.#detecting);
    await openTracer();
    await openTrust();
    await parts.state.open();
    const { port } = await listen(parts);
    describe({ listenPort: port });
    await Promise.all([detected, agentPrograms.start()]);
    membership.start();
    this.#endWatch = watchCondition(parts);
    // Nobody waits for it: what is found is told when it is.
    void parts.engines.look();
    for (const discovery of discoveries.all) {
      await discovery.start({
        sighted: (sighting) => membership.observe(sighting),
        listed: (via, seeds) => membership.list(via, seeds),
      });
      this.#throwIfStopping();
    }
    this.#state = "running";
  }

  #throwIfStopping(): void {
    if (this.#stopping === undefined) return;
    throw new NetworkError("CANCELLED", "The network was stopped while it started.");
  }

  async #stop(): Promise<void> {
    const parts = this.#parts;
    const { clock, options, executor, dispatcher, discoveries, membership, pool, trust } = parts;
    const isRunning = this.#state === "running";
    this.#state = "stopping";
    // What the start opens is there to be closed only when it has ended; why it failed, it tells.
    await this.#starting?.catch(() => {});
    const held = [...this.#held].map((work) => work.catch(() => {}));
    const idle = Promise.all([executor.drain(), dispatcher.history.idle(), ...held]);
    // What is new is refused from now on. Peers are told so only where it takes a while: the goodbye
    // says it, too.
    if (isRunning && tasksNow(parts).length + held.length > 0) parts.describe({ draining: true });
    await Promise.race([idle, this.#timeIsUp.promise]);
    executor.abort(
      new NetworkError(
        "CANCELLED",
        `Node "${options.nodeId}" was stopped before the task was done.`,
      ),
    );
    dispatcher.stop();
    // Those that do not end by themselves take seconds to be ended; the rest goes on meanwhile.
    const mcpEnded = parts.mcpServers.close();
    // A turn of the loop: who asked for what was stopped is told before the goodbye.
    await new Promise<void>((resolve) => clock.after(0, resolve));
    await this.#endWatch?.();
    await parts.engines.stop();
    for (const discovery of discoveries.all) await discovery.stop();
    membership.stop();
    await parts.state.close();
    await pool.close();
    // The tools that are asked about the device may still run.
    await doneWithin(clock, DETECTION_END_MS, this.#detecting);
    parts.agentPrograms.stop();
    await mcpEnded;
    await trust()?.stop();
    parts.dispose();
    this.#state = "stopped";
  }
}
