/**
 * Real nodes on the hosts of a LAN, and what each of them says of the others, as it says it.
 *
 * @module
 */

import type { PeerEventType, PeerState } from "../../src/membership/peer.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { deadline } from "./deadline.ts";
import type { Lan } from "./lan.ts";
import { keepKeyring, programArgs, ready } from "./nodes.ts";
import type { TestProcess } from "./process.ts";

/** What a node told about a peer. */
export interface Told {
  /** When it arrived here, on this process's monotonic clock, in milliseconds. */
  readonly at: number;
  readonly type: PeerEventType;
  /** The peer that it is about. */
  readonly nodeId: string;
  readonly reason?: string;
}

/** Something awaited that did not come. */
export class NotInTime extends Error {
  override readonly name = "NotInTime";
}

/** What a peer is after an event; the others do not change that. */
const STATE_AFTER: Partial<Record<PeerEventType, PeerState>> = {
  "peer-discovered": "discovered",
  "peer-joined": "alive",
  "peer-suspect": "suspect",
  "peer-recovered": "alive",
  "peer-died": "dead",
  "peer-left": "left",
};

/** A running node. */
export class FleetNode implements AsyncDisposable {
  readonly nodeId: string;
  readonly host: string;
  readonly process: TestProcess;
  /** All that it has told so far. */
  readonly told: Told[] = [];
  readonly #peers = new Map<string, PeerState>();
  #changedAt = -Infinity;

  constructor(nodeId: string, host: string, process: TestProcess, changed: () => void) {
    this.nodeId = nodeId;
    this.host = host;
    this.process = process;
    void this.#follow(changed);
  }

  /** When the last event arrived that changed what it takes a peer to be. */
  get changedAt(): number {
    return this.#changedAt;
  }

  /** How it takes a peer to be; undefined for one that it has never heard of. */
  stateOf({ nodeId }: { nodeId: string }): PeerState | undefined {
    return this.#peers.get(nodeId);
  }

  /** Whether the peer is out of its table. */
  hasLost(peer: { nodeId: string }): boolean {
    const state = this.stateOf(peer);
    return state === undefined || state === "dead" || state === "left";
  }

  /** What it has told since then about a peer. */
  toldOf({ nodeId }: { nodeId: string }, since = -Infinity): Told[] {
    return this.told.filter((told) => told.nodeId === nodeId && told.at >= since);
  }

  /** Its table in one line: `"A: B alive, C suspect"`. */
  toString(): string {
    const peers = [...this.#peers].map(([peer, state]) => `${peer} ${state}`);
    return `${this.nodeId}: ${peers.join(", ") || "nobody"}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }

  async #follow(changed: () => void): Promise<void> {
    for await (const line of this.process.lines()) {
      const at = performance.now();
      const { event: type, nodeId, reason } = JSON.parse(line);
      if (!type.startsWith("peer-")) continue;
      this.told.push({ at, type, nodeId, ...(reason && { reason }) });
      const state = STATE_AFTER[type as PeerEventType];
      if (state === undefined) continue;
      this.#peers.set(nodeId, state);
      this.#changedAt = at;
      changed();
    }
  }
}

/** The nodes of a LAN. Disposing of the LAN ends them. */
export class Fleet {
  readonly lan: Lan;
  readonly #directory: string;
  readonly #ring = newKeyring("hanzo");
  #changed = Promise.withResolvers<void>();

  /**
   * @param lan The hosts.
   * @param directory For the data of the nodes, of each in a folder of its own.
   */
  constructor(lan: Lan, directory: string) {
    this.lan = lan;
    this.#directory = directory;
  }

  /**
   * Starts a node. All have the same key, as if they had joined each other.
   *
   * @param host Where.
   * @param nodeId Its label.
   * @param args Further options of `up`.
   * @returns The node, once it is ready.
   */
  async up(host: string, nodeId = host, ...args: string[]): Promise<FleetNode> {
    await keepKeyring(this.#directoryOf(nodeId), this.#ring);
    return await this.upStrange(host, nodeId, ...args);
  }

  /** Starts a node that has the key that it makes, or that it has joined with before. */
  upStrange(host: string, nodeId = host, ...args: string[]): Promise<FleetNode> {
    const own = [`--node-id=${nodeId}`, `--data-dir=${this.#directoryOf(nodeId)}`];
    return this.start(host, nodeId, programArgs("up", "--json", ...own, ...args));
  }

  /**
   * Starts any program that prints events as `up --json` does.
   *
   * @param host Where.
   * @param nodeId What it calls itself.
   * @param denoArgs The program, as arguments for Deno.
   * @returns The node, once it is ready.
   */
  async start(host: string, nodeId: string, denoArgs: readonly string[]): Promise<FleetNode> {
    const process = this.lan.start(host, Deno.execPath(), denoArgs);
    const node = new FleetNode(nodeId, host, process, () => this.#tellChange());
    await ready(process);
    return node;
  }

  /**
   * Runs a command of the program on a node's host.
   *
   * @returns What it printed as JSON.
   */
  ask<T>({ host, nodeId }: FleetNode, ...args: string[]): Promise<T> {
    return this.command(host, nodeId, ...args, `--node-id=${nodeId}`);
  }

  /**
   * Runs a command of the program on a host, with the data directory of a node.
   *
   * @returns What it printed as JSON.
   */
  async command<T>(host: string, nodeId: string, ...args: string[]): Promise<T> {
    const directory = this.#directoryOf(nodeId);
    const command = programArgs(...args, "--json", `--data-dir=${directory}`);
    await using process = this.lan.start(host, Deno.execPath(), command);
    const lines = await Array.fromAsync(process.lines());
    try {
      return JSON.parse(lines.join("\n"));
    } catch {
      const printed = [...lines, process.stderrText()].join("\n");
      throw new Error(`${args.join(" ")} on ${nodeId} printed no JSON: ${printed}`);
    }
  }

  #directoryOf(nodeId: string): string {
    return `${this.#directory}/${nodeId}`;
  }

  /**
   * Waits until something holds of what the nodes have told.
   *
   * @param what What is awaited, for the error.
   * @param nodes The nodes that it is about, for the error.
   * @param holds Asked after each event that changes what a node takes a peer to be.
   * @param timeoutMs How long to wait at most.
   * @returns When the last such event arrived; that may be before the call.
   * @throws {NotInTime} Shows what the nodes take each other to be.
   */
  async until(
    what: string,
    nodes: readonly FleetNode[],
    holds: () => boolean,
    timeoutMs: number,
  ): Promise<number> {
    using limit = deadline(timeoutMs);
    while (!holds()) {
      await limit.race(this.#changed.promise);
      if (limit.passed && !holds()) {
        const tables = nodes.map((node) => `\n  ${node}`).join("");
        throw new NotInTime(`Waited ${timeoutMs} ms for ${what} in vain:${tables}`);
      }
    }
    return Math.max(...nodes.map(({ changedAt }) => changedAt));
  }

  /** Waits until each of the nodes takes all others to be alive. */
  untilAllSeeAll(nodes: readonly FleetNode[], timeoutMs: number): Promise<number> {
    const holds = () => nodes.every((node) => others(nodes, node).every(isAliveFor(node)));
    return this.until("all to see all", nodes, holds, timeoutMs);
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** The nodes without one of them. */
export function others(nodes: readonly FleetNode[], one: FleetNode): FleetNode[] {
  return nodes.filter((node) => node !== one);
}

function isAliveFor(node: FleetNode): (peer: FleetNode) => boolean {
  return (peer) => node.stateOf(peer) === "alive";
}
