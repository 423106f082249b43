/** Whole networks in memory: nodes on one `MemoryNetwork`, with time that only the test moves. */

import { NetworkError } from "../../src/base/errors.ts";
import type { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { CapabilityOverrides } from "../../src/device/capabilities.ts";
import { AT_EASE } from "../../src/device/condition.ts";
import { detectDeviceCapabilities } from "../../src/device/detect.ts";
import { MemoryLinks } from "../../src/link/memory_transport.ts";
import { assembleNetwork } from "../../src/network/create.ts";
import type { Platform } from "../../src/network/platform.ts";
import type { DistributedNetwork } from "../../src/network/distributed_network.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import type { NetworkEvent } from "../../src/network/status.ts";
import { MemoryNetwork, type MemoryNetworkConditions } from "../../src/transport/memory_network.ts";
import { WatchedClock } from "./watched_clock.ts";

/** A node of a {@linkcode MemoryFleet}. */
export interface MemoryNode {
  readonly network: DistributedNetwork;
  readonly host: string;
  /** What it has told of its peers so far: `"peer-joined b"`. */
  readonly told: string[];
  readonly events: NetworkEvent[];
}

/** What a node stands on, where it is not like the others. */
export interface NodeSetting {
  /** Its address; by default one of its own. */
  readonly host?: string;
  readonly platform?: Partial<Platform>;
}

/** Any number of nodes in one process. */
export class MemoryFleet implements AsyncDisposable {
  readonly clock = new WatchedClock();
  readonly lan: MemoryNetwork;
  readonly links: MemoryLinks;
  readonly #nodes: MemoryNode[] = [];
  readonly #seed: number;

  constructor(seed: number, conditions: Partial<MemoryNetworkConditions> = {}) {
    this.#seed = seed;
    this.lan = new MemoryNetwork(this.clock, seededRandom(seed), { latencyMs: 0.2, ...conditions });
    this.links = new MemoryLinks(this.clock, this.lan);
  }

  /** Starts a node at a host of its own. */
  async start(
    options: NetworkOptions & { nodeId: string },
    setting: NodeSetting = {},
  ): Promise<MemoryNode> {
    const node = this.create(options, setting);
    await this.wait(node.network.start());
    return node;
  }

  /** Makes a node without starting it. */
  create(options: NetworkOptions & { nodeId: string }, setting: NodeSetting = {}): MemoryNode {
    const number = this.#nodes.length + 1;
    const host = setting.host ?? `10.0.${number >> 8}.${number & 255}`;
    const network = assembleNetwork(
      { open: true, openAcceptTasks: true, listenPort: 5681, ...options },
      { ...this.#platform(host), ...setting.platform },
    );
    const node: MemoryNode = { network, host, told: [], events: [] };
    this.#nodes.push(node);
    void this.#listen(node);
    return node;
  }

  /** The node's process dies without a word. */
  kill(node: MemoryNode): void {
    this.lan.setDown(node.host, true);
    this.links.kill(node.host);
  }

  /** Moves time on. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Moves time on until `promise` settles, and returns what it settles to. */
  async wait<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false;
    const done = () => settled = true;
    promise.then(done, done);
    for (let waited = 0; !settled && waited < withinMs; waited += 10) await this.advance(10);
    if (!settled) throw new Error(`The promise did not settle within ${withinMs} simulated ms.`);
    return await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { network } of this.#nodes) await this.wait(network.stop({ drainMs: 0 }));
  }

  async #listen(node: MemoryNode): Promise<void> {
    for await (const event of node.network.events()) {
      node.events.push(event);
      node.told.push(`${event.type} ${event.nodeId}`);
    }
  }

  #platform(host: string): Platform {
    const { clock, lan, links } = this;
    return {
      clock,
      random: seededRandom(this.#seed * 1_000 + this.#nodes.length),
      datagrams: lan.datagrams(host),
      links: () => links.transport(host),
      listenHosts: { lan: host, loopback: host },
      hostName: "memory",
      dataDirectory: undefined,
      cores: 4,
      detect: (overrides) => detectNothing(overrides, clock),
      readDevice: () => Promise.reject(new Error("A device in memory does nothing.")),
      readCondition: () => Promise.resolve(AT_EASE),
      engines: { http: noEngines, usualPorts: [], knownPorts: [], environment: () => undefined },
      openTracer: () => Promise.resolve(undefined),
    };
  }
}

/** Nobody answers, wherever an engine is looked for. */
function noEngines(): Promise<never> {
  return Promise.reject(new NetworkError("UNAVAILABLE", "There are no engines here."));
}

/** The device is what the test says: no tool is asked. */
function detectNothing(overrides: CapabilityOverrides, clock: ManualClock) {
  return detectDeviceCapabilities({
    overrides,
    clock,
    os: "memory",
    arch: "x86_64",
    cores: 4,
    memoryInfo: () => ({ total: 8 * 2 ** 30 }),
    run: () => Promise.reject(new Error("no tool is asked here")),
  });
}
