/**
 * Finds the nodes of this machine that share its data directory: on macOS and Windows a broadcast
 * on the loopback does not reach them.
 */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Seed } from "../membership/seeds.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";

/** What {@linkcode MachineDiscovery} is made of. */
export interface MachineDiscoveryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** This node, which runs on this machine, too. */
  readonly self: string;
  /** The nodes that run on this machine, each with where it accepts links, `host:port`. */
  readonly running: () => Promise<readonly { nodeId: string; grpc: string }[]>;
}

/** Looks after the start, in milliseconds: another node may be starting at the same time. */
const BURST_MS = [100, 300, 1_000];
/** Between two looks, in milliseconds, as between two beacons: each lists one directory. */
const LOOK_MS = 2_500;
/** Every node of this machine accepts links there, whatever other addresses it listens on. */
const LOOPBACK = "127.0.0.1";

/** See the top of the file. */
export class MachineDiscovery implements Discovery {
  readonly name = "machine";
  readonly #options: MachineDiscoveryOptions;
  #sink: DiscoverySink | undefined;
  /** The last list that was told, as JSON. */
  #told = "[]";
  #timers: CancelTimer[] = [];
  /** The look that is under way. */
  #looking: Promise<void> | undefined;
  #hasFailed = false;
  #stopped = false;

  constructor(options: MachineDiscoveryOptions) {
    this.#options = options;
  }

  start(sink: DiscoverySink): Promise<void> {
    const { clock } = this.#options;
    this.#sink = sink;
    this.#look();
    for (const delayMs of BURST_MS) {
      this.#timers.push(clock.after(delayMs, () => this.#look()));
    }
    this.#timers.push(every(clock, LOOK_MS, () => this.#look()));
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#timers.splice(0)) cancel();
    await this.#looking;
  }

  #look(): void {
    // A disk that hangs does not make them pile up.
    this.#looking ??= this.#lookOnce().finally(() => this.#looking = undefined);
  }

  async #lookOnce(): Promise<void> {
    try {
      const nodes = await this.#options.running();
      this.#hasFailed = false;
      this.#tell(nodes.filter(({ nodeId }) => nodeId !== this.#options.self).flatMap(seedOf));
    } catch (thrown) {
      if (!this.#hasFailed) {
        this.#options.logger.debug("Cannot look for the nodes of this machine: {reason}", {
          reason: describeError(thrown),
        });
      }
      this.#hasFailed = true;
    }
  }

  #tell(seeds: readonly Seed[]): void {
    const told = JSON.stringify(seeds);
    if (this.#stopped || told === this.#told) return;
    this.#told = told;
    this.#sink?.listed(this.name, seeds);
  }
}

/** None of a node that writes its address in another way: another version of this program. */
function seedOf({ nodeId, grpc }: { nodeId: string; grpc: string }): Seed[] {
  const port = Number(/:(\d{1,5})$/.exec(grpc)?.[1]);
  if (!(port >= 1 && port <= 65_535)) return [];
  return [{ host: LOOPBACK, port, addresses: [LOOPBACK], nodeId }];
}
