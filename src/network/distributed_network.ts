/** The face of the package: one node of a network, seen by the program that runs it. */

import { type Agent, type AgentDescription, describeAgent } from "../agents/agent.ts";
import type { RunEvent, RunResult } from "../agents/run_event.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";
import type { Discovery } from "../discovery/discovery.ts";
import { formatAddress } from "../link/frame_stream.ts";
import type { LinkPool } from "../link/link_pool.ts";
import type { Membership } from "../membership/membership.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { Peer, PeerEvent } from "../membership/peer.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { RoutingStrategy } from "../routing/strategy.ts";
import type { Dispatcher, EmitRunEvent, RunRequest } from "../tasks/dispatcher.ts";
import type { Executor } from "../tasks/executor.ts";
import { MAX_TIMEOUT_MS } from "../tasks/task.ts";
import { DEFAULT_LISTEN_PORT, type ResolvedOptions } from "./options.ts";
import { streamRun } from "./run_stream.ts";
import type {
  NameConflict,
  NetworkEvent,
  NetworkState,
  NetworkStatus,
  PeerHealth,
  PeerStatus,
} from "./status.ts";

/** What a run can be told. */
export interface RunOptions {
  /**
   * The agent, or its name. Without one the network must have just one agent that is not built in.
   */
  initialAgent?: Agent | string;
  /** Only this node; by default the one that routing chooses. */
  nodeId?: string;
  /** Instead of the network's own strategy. */
  strategy?: RoutingStrategy;
  /** Text beside the prompt, such as a document. */
  context?: string;
  /**
   * How long it may take in all, in milliseconds, 1 to 604,800,000.
   *
   * @default {300000}
   */
  timeoutMs?: number;
  /** Stops it, wherever it runs. */
  signal?: AbortSignal;
}

/** What {@linkcode DistributedNetwork.start} can be told. */
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

/** What {@linkcode DistributedNetwork.stop} can be told. */
export interface StopOptions {
  /**
   * How long tasks that run here may take to end, in milliseconds; what runs then is stopped.
   *
   * @default {5000}
   */
  drainMs?: number;
}

/** What one node of {@linkcode DistributedNetwork.runAll} came to. */
export type NodeOutcome =
  | { readonly nodeId: string; readonly result: RunResult }
  | { readonly nodeId: string; readonly error: NetworkError };

/** The parts of a node, put together in `create.ts`. */
export interface NetworkParts {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly self: () => NodeDescription;
  /** Changes what this node says of itself. */
  readonly describe: (change: Partial<NodeDescription>) => void;
  readonly detect: () => Promise<DeviceCapabilities>;
  readonly listenHost: string;
  readonly pool: LinkPool;
  readonly membership: Membership;
  readonly discoveries: readonly Discovery[];
  readonly executor: Executor;
  readonly dispatcher: Dispatcher;
  readonly candidates: () => readonly Candidate[];
  readonly conflicts: () => NameConflict[];
  readonly builtinAgents: ReadonlySet<string>;
  /** Lets go of what the built-in agents hold. */
  readonly dispose: () => void;
}

const DEFAULT_TIMEOUT_MS = 300_000;
/** Ports that are tried when the default is taken. */
const PORTS_TO_TRY = 100;
/** How long the start waits for the device to be known; what is known later is told later. */
const DETECTION_PATIENCE_MS = 100;

/**
 * One node of a network. Make it with {@linkcode createDistributedNetwork}.
 *
 * @example Two nodes on one machine
 * ```ts
 * import { createAgent, createDistributedNetwork } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const shout = createAgent({
 *   name: "shout",
 *   description: "Says it louder",
 *   run: ({ prompt }) => prompt.toUpperCase(),
 * });
 * const ports = { broadcastPort: 45_678, listenPort: 0 };
 * await using a = createDistributedNetwork({ nodeId: "a", ...ports });
 * await using b = createDistributedNetwork({ nodeId: "b", agents: [shout], ...ports });
 * await b.start();
 * await a.start({ waitForPeers: 1 });
 *
 * const { output, nodeId } = await a.run("hello", { initialAgent: "shout" });
 * assertEquals({ output, nodeId }, { output: "HELLO", nodeId: "b" });
 * ```
 */
export class DistributedNetwork implements AsyncDisposable {
  readonly #parts: NetworkParts;
  #state: NetworkState = "created";
  #stopping: Promise<void> | undefined;

  /**
   * Takes a node's parts; {@linkcode createDistributedNetwork} puts them together.
   *
   * @param parts The parts.
   */
  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** The label of this node. */
  get nodeId(): string {
    return this.#parts.options.nodeId;
  }

  /**
   * Listens, looks for peers, and can be given tasks when it resolves.
   *
   * @throws {NetworkError} `PORT_IN_USE` when a port that was asked for is taken;
   * `DEADLINE_EXCEEDED` when too few peers came in time; `FAILED_PRECONDITION` when it was started
   * before. It is stopped then.
   */
  async start(options: StartOptions = {}): Promise<void> {
    if (this.#state !== "created") {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot start the network: it is ${this.#state}. Create another one.`,
      );
    }
    this.#state = "starting";
    const { waitForPeers = 0, timeoutMs = 30_000 } = options;
    const { membership, discoveries, describe } = this.#parts;
    try {
      const detected = this.#detect();
      const { port } = await this.#listen();
      describe({ listenPort: port });
      await detected;
      membership.start();
      const events = membership.events();
      for (const discovery of discoveries) {
        await discovery.start((sighting) => membership.observe(sighting));
      }
      this.#state = "running";
      if (waitForPeers > 0) await this.#waitForPeers(waitForPeers, timeoutMs, events);
      await events.return!();
    } catch (thrown) {
      await this.stop({ drainMs: 0 });
      throw thrown;
    }
  }

  /**
   * Finishes what runs here, says goodbye and closes everything. Idempotent; what `await using`
   * calls.
   */
  stop(options: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.drainMs ?? 5_000);
    return this.#stopping;
  }

  /** {@linkcode stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Runs an agent on the device that suits it best and resolves to its answer.
   *
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent or the asked node is not here;
   * `UNAVAILABLE` when no device can do it now; `RESOURCE_EXHAUSTED` when all are busy;
   * `DEADLINE_EXCEEDED`; `UNKNOWN_OUTCOME` when a device was lost that may have done it;
   * `AGENT_FAILED` with the agent's own message.
   */
  run(prompt: string, options: RunOptions = {}): Promise<RunResult> {
    return this.#run(prompt, options, () => {});
  }

  /**
   * Like {@linkcode run}, and tells everything on the way: the choice of the device, the answer as
   * it is made, fallbacks, and the result as the last event. Leaving the loop stops the run.
   */
  stream(prompt: string, options: RunOptions = {}): AsyncGenerator<RunEvent, void, void> {
    return streamRun((emit, stopReading) => {
      const { signal } = options;
      const both = signal === undefined ? stopReading : AbortSignal.any([signal, stopReading]);
      return this.#run(prompt, { ...options, signal: both }, emit);
    });
  }

  /**
   * Runs an agent on every device that has it, at once.
   *
   * @returns What each came to, this device first.
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent. What fails on one device is in
   * its outcome.
   */
  runAll(prompt: string, options: Omit<RunOptions, "nodeId"> = {}): Promise<NodeOutcome[]> {
    try {
      const agent = this.#agent(options.initialAgent);
      const nodes = this.#parts.candidates().filter(({ agents }) => agents.has(agent.name));
      return Promise.all(nodes.map(async ({ nodeId }): Promise<NodeOutcome> => {
        try {
          const result = await this.run(prompt, { ...options, initialAgent: agent.name, nodeId });
          return { nodeId, result };
        } catch (thrown) {
          return { nodeId, error: NetworkError.from(thrown) };
        }
      }));
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** The agents of the whole network by name, each with the nodes that have it. */
  agents(): { agent: AgentDescription; nodes: string[] }[] {
    const byName = new Map<string, { agent: AgentDescription; nodes: string[] }>();
    for (const { nodeId, agents } of this.#descriptions()) {
      for (const agent of agents) {
        const known = byName.get(agent.name);
        if (known === undefined) byName.set(agent.name, { agent, nodes: [nodeId] });
        else known.nodes.push(nodeId);
      }
    }
    return [...byName.values()].sort((a, b) => a.agent.name < b.agent.name ? -1 : 1);
  }

  /** How this node and its peers are now: plain data. */
  getNetworkStatus(): NetworkStatus {
    const { options, self, executor, membership, listenHost, conflicts } = this.#parts;
    const description = self();
    const peers = membership.peers().map((peer) => this.#peerStatus(peer));
    const isUp = this.#state === "running" || this.#state === "stopping";
    return {
      name: options.name,
      nodeId: options.nodeId,
      state: this.#state,
      version: description.version,
      address: isUp ? formatAddress({ host: listenHost, port: description.listenPort }) : null,
      peerCount: peers.filter(({ state }) => state === "alive").length,
      agentCount: description.agents.length,
      activeTasks: executor.running,
      queuedTasks: executor.queued,
      slots: executor.slots,
      capabilities: description.capabilities,
      agents: [...description.agents],
      tasks: executor.tasks(),
      peers: Object.fromEntries(peers.map((peer) => [peer.nodeId, peer])),
      nameConflicts: conflicts(),
    };
  }

  /**
   * Asks a peer for a sign of life now.
   *
   * @param timeoutMs How long to wait for it, in milliseconds.
   * @throws {NetworkError} `NOT_FOUND` when the peer is not known.
   */
  async checkPeerHealth(nodeId: string, timeoutMs = 1_000): Promise<PeerHealth> {
    const { membership } = this.#parts;
    if (membership.get(nodeId) === undefined) {
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot check peer "${nodeId}": it is not known here. See: hanzo-network peers`,
      );
    }
    const latencyMs = await membership.probe(nodeId, timeoutMs) ?? null;
    // It may have gone meanwhile; what was known of it then still stands.
    const peer = membership.get(nodeId);
    const lastHeard = peer?.lastHeard ?? this.#parts.clock.now();
    return { healthy: latencyMs !== null, latencyMs, lastSeen: this.#wallTime(lastHeard) };
  }

  /**
   * What becomes of peers, from now on. The iteration ends when the network stops.
   *
   * @example
   * ```ts ignore
   * for await (const { type, nodeId } of network.events()) console.log(type, nodeId);
   * ```
   */
  async *events(options?: { signal?: AbortSignal }): AsyncGenerator<NetworkEvent, void, void> {
    for await (const event of this.#parts.membership.events(options)) {
      yield this.#networkEvent(event);
    }
  }

  async #detect(): Promise<void> {
    const { detect, describe, clock, options } = this.#parts;
    const detected = detect().then((capabilities) => {
      describe({ capabilities });
    }, (thrown) => {
      options.logger.warn("The device is unknown: {reason}", { reason: describeError(thrown) });
    });
    let cancel = () => {};
    const patience = new Promise<void>((resolve) => {
      cancel = clock.after(DETECTION_PATIENCE_MS, resolve);
    });
    await Promise.race([detected, patience]);
    cancel();
  }

  async #listen(): Promise<{ port: number }> {
    const { pool, listenHost: host, options: { listenPort, logger } } = this.#parts;
    if (listenPort !== undefined) return await pool.listen({ host, port: listenPort });
    for (let port = DEFAULT_LISTEN_PORT;; port++) {
      try {
        const address = await pool.listen({ host, port });
        if (port !== DEFAULT_LISTEN_PORT) {
          logger.info("Port {taken} is taken; links are accepted on {port}", {
            taken: DEFAULT_LISTEN_PORT,
            port,
          });
        }
        return address;
      } catch (thrown) {
        const isTaken = thrown instanceof NetworkError && thrown.code === "PORT_IN_USE";
        if (!isTaken || port >= DEFAULT_LISTEN_PORT + PORTS_TO_TRY) throw thrown;
      }
    }
  }

  async #waitForPeers(
    count: number,
    timeoutMs: number,
    events: AsyncIterableIterator<PeerEvent>,
  ): Promise<void> {
    const { clock } = this.#parts;
    const peerCount = () => this.getNetworkStatus().peerCount;
    let timedOut = false;
    const cancel = clock.after(timeoutMs, () => {
      timedOut = true;
      void events.return!();
    });
    try {
      while (peerCount() < count) {
        const { done } = await events.next();
        if (!done) continue;
        throw timedOut
          ? new NetworkError(
            "DEADLINE_EXCEEDED",
            `Cannot start the network with ${count} peers: ${peerCount()} came within ` +
              `${timeoutMs} ms. Are the others running, with the same name and broadcast port?`,
          )
          : new NetworkError("CANCELLED", "The network was stopped while it waited for peers.");
      }
    } finally {
      cancel();
    }
  }

  async #stop(drainMs: number): Promise<void> {
    const { clock, executor, discoveries, membership, pool, dispose } = this.#parts;
    this.#state = "stopping";
    let cancel = () => {};
    const patience = new Promise<void>((resolve) => cancel = clock.after(drainMs, resolve));
    await Promise.race([executor.drain(), patience]);
    cancel();
    executor.abort(new NetworkError("CANCELLED", "Stopped: its node is stopping."));
    for (const discovery of discoveries) await discovery.stop();
    membership.stop();
    await pool.close();
    dispose();
    this.#state = "stopped";
  }

  async #run(prompt: string, options: RunOptions, emit: EmitRunEvent): Promise<RunResult> {
    if (this.#state !== "running") {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot run an agent: the network is ${this.#state}.` +
          (this.#state === "created" ? " Call start() first." : ""),
      );
    }
    const { timeoutMs = DEFAULT_TIMEOUT_MS, context = "", nodeId, strategy, signal } = options;
    if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot run an agent: timeoutMs is ${timeoutMs}, expected 1 to ${MAX_TIMEOUT_MS}.`,
      );
    }
    const agent = this.#agent(options.initialAgent);
    const request: RunRequest = { agent, prompt, context, timeoutMs, nodeId, strategy, signal };
    return await this.#parts.dispatcher.run(request, emit);
  }

  /** What the network knows of the agent that a run names. */
  #agent(named: Agent | string | undefined): AgentDescription {
    const name = typeof named === "object" ? named.name : named;
    if (name !== undefined) {
      for (const { agents } of this.#descriptions()) {
        const found = agents.find((agent) => agent.name === name);
        if (found !== undefined) return found;
      }
      const names = this.agents().map(({ agent }) => agent.name);
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot run agent "${name}": no node of the network has it. There are: ` +
          `${names.slice(0, 20).join(", ")}.`,
      );
    }
    const own = this.agents().filter(({ agent }) => !this.#parts.builtinAgents.has(agent.name));
    if (own.length === 1) return own[0].agent;
    const names = this.agents().map(({ agent }) => agent.name);
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot choose an agent: name one of ${names.slice(0, 20).join(", ")}.`,
    );
  }

  *#descriptions(): Generator<NodeDescription> {
    const { self, membership } = this.#parts;
    yield self();
    for (const { state, description } of membership.peers()) {
      if (state === "alive" && description !== undefined) yield description;
    }
  }

  #peerStatus(peer: Peer): PeerStatus {
    const { nodeId, state, addresses: [address], description, roundTripMs, lastHeard } = peer;
    const candidate = this.#parts.candidates().find((one) => one.nodeId === nodeId);
    return {
      nodeId,
      state,
      healthy: state === "alive",
      address: formatAddress(address),
      via: address.via,
      capabilities: description?.capabilities ?? null,
      agents: description?.agents.map(({ name }) => name) ?? [],
      currentLoad: candidate?.currentLoad ?? 0,
      latencyMs: roundTripMs ?? null,
      lastSeen: this.#wallTime(lastHeard),
      problem: state === "alive" ? null : peer.lastFailure ?? null,
    };
  }

  #networkEvent({ type, nodeId, peer, reason }: PeerEvent): NetworkEvent {
    return { type, nodeId, peer: this.#peerStatus(peer), ...(reason && { reason }) };
  }

  #wallTime(monotonic: number): number {
    const { clock } = this.#parts;
    return Math.round(clock.wallTime() - (clock.now() - monotonic));
  }
}

/** What a node says of its agents. */
export function describeAgents(agents: Iterable<Agent>): AgentDescription[] {
  return [...agents].map(describeAgent);
}
