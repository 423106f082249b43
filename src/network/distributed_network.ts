/** The face of the package: one node of a network, seen by the program that runs it. */

import type { Agent, AgentDescription } from "../agents/agent.ts";
import type { EmitRunEvent, NetworkRunResult, RunEvent, RunResult } from "../agents/run_event.ts";
import { streamRun } from "../agents/run_stream.ts";
import type { AgentNetwork } from "../agents/networks/agent_network.ts";
import type { AgentRouter, RouterFunction } from "../agents/networks/agent_router.ts";
import type { NetworkHooks } from "../agents/networks/network_hooks.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { Requirements, Workload } from "../agents/requirements.ts";
import type { RoutingStrategy } from "../routing/strategy.ts";
import type { RunRequest } from "../tasks/run_request.ts";
import {
  firstOf,
  type MapItem,
  type MapOrder,
  type MapProgress,
  mapPrompts,
  MAX_CONCURRENCY,
  type Prompts,
  usualConcurrency,
} from "../tasks/map_prompts.ts";
import { MAX_TIMEOUT_MS, TaskCancelled } from "../tasks/task.ts";
import type { Priority } from "../tasks/waiting_line.ts";
import { checkRequirements } from "../membership/node_description.ts";
import { runAgents } from "./agent_run.ts";
import { catalog } from "./catalog.ts";
import { diagnose } from "./diagnose.ts";
import type { Finding } from "./diagnosis_facts.ts";
import type { Trust } from "../security/trust.ts";
import { type JoinQrOptions, makeJoinQr } from "./join_codes.ts";
import type { JoinQr } from "./join_qr.ts";
import { type NetworkKeys, networkKeys } from "./network_keys.ts";
import type { NetworkParts } from "./parts.ts";
import { networkEvent, networkStatus, tasksNow, wallTimeOf } from "./snapshot.ts";
import {
  detectSoon,
  listen,
  peersAlive,
  warnOfMissingPermissions,
  watchCondition,
} from "./start_up.ts";
import type {
  NetworkEvent,
  NetworkState,
  NetworkStatus,
  PeerHealth,
  StatusOptions,
  TaskStatus,
} from "./status.ts";

/** What a run can be told. */
export interface RunOptions {
  /**
   * The agent, or its name. Without one the network must have just one agent that is not built in.
   */
  initialAgent?: Agent | AgentNetwork | string;
  /** Only this node; by default the one that routing chooses. */
  nodeId?: string;
  /** Instead of the network's own strategy. */
  strategy?: RoutingStrategy;
  /** How the work weighs on a device, instead of what the agent says. */
  workload?: Workload;
  /** What the device must have, beside what the agent asks. */
  requirements?: Requirements;
  /** Nodes that hold what the task works on: preferred as long as one of them is free. */
  near?: readonly string[];
  /**
   * Whether the event `routed` is to say what was thought of each device.
   *
   * @default {false}
   */
  explain?: boolean;
  /**
   * Its place among those that wait at a device.
   *
   * @default {"low"} for background work, else `"normal"`
   */
  priority?: Priority;
  /** Text beside the prompt, such as a document. */
  context?: string;
  /**
   * How long it may take in all, in milliseconds, 1 to 604,800,000.
   *
   * @default {300000}
   */
  timeoutMs?: number;
  /**
   * When a second device is asked for the same, in milliseconds, as long as the first has said
   * nothing: the first answer counts, and the other device is stopped. It spends of the retry budget.
   * Only for agents that are idempotent. By default no second device is asked.
   */
  hedgeAfterMs?: number;
  /** Stops it, wherever it runs. */
  signal?: AbortSignal;
  /** `false`: only this agent runs, even where the network has a router of its own. */
  router?: false;
}

/**
 * What a run of several agents can be told. `initialAgent` begins, or else whom the router says; what
 * is said of the device holds for each step, and the time for all of them together.
 */
export interface RoutedRunOptions extends Omit<RunOptions, "router" | "hedgeAfterMs"> {
  /** Says, after each answer, which agent of the network goes on; by default the network's own. */
  router?: AgentRouter | RouterFunction;
  /** How many steps it may have, 1 to 1,000; by default as the network's own limit is, or 10. */
  maxIterations?: number;
  /** What the program is told meanwhile, instead of the network's own. */
  hooks?: NetworkHooks;
  /** Data that the agents find in their state. */
  data?: Readonly<Record<string, JsonValue>>;
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

/** What {@linkcode DistributedNetwork.runAll} can be told. */
export interface RunAllOptions extends Omit<RunOptions, "nodeId" | "hedgeAfterMs"> {
  /** Told how many devices have ended, and what the last of them came to. What it throws ends all. */
  onProgress?: (progress: MapProgress, outcome?: NodeOutcome) => void;
}

/** What {@linkcode DistributedNetwork.map} can be told; `timeoutMs` is for each prompt. */
export interface MapOptions extends Omit<RunOptions, "initialAgent" | "explain"> {
  /**
   * How many prompts may run or wait at devices at a time, 1 to 256. By default twice the slots of
   * all devices that can do it, counted anew before each prompt.
   */
  concurrency?: number;
  /**
   * `input`: in the order of the prompts; up to 1,024 items wait then for an earlier one.
   * `completion`: each as soon as it has ended.
   *
   * @default {"input"}
   */
  order?: MapOrder;
  /** Told each time a prompt has ended, and when the last one is read. What it throws ends all. */
  onProgress?: (progress: MapProgress) => void;
}

const DEFAULT_TIMEOUT_MS = 300_000;

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
 * const here = {
 *   name: "example",
 *   networkInterfaces: ["lo"],
 *   broadcastPort: 45_678,
 *   listenPort: 0,
 * };
 * await using a = createDistributedNetwork({ nodeId: "a", ...here });
 * await using b = createDistributedNetwork({ nodeId: "b", agents: [shout], ...here });
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
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** What runs is not waited for any longer. */
  readonly #timeIsUp: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #endWatch: (() => Promise<void>) | undefined;
  /** Runs of several agents: between two of them there is no task that tells of it. */
  readonly #agentRuns = new Set<Promise<unknown>>();

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
   * `DEADLINE_EXCEEDED` when too few peers came in time; `CANCELLED` when it was stopped meanwhile.
   * It is stopped then. `FAILED_PRECONDITION` when it was started before, which changes nothing.
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

  /**
   * Finishes what runs here, says goodbye and closes everything. Idempotent; what `await using`
   * calls.
   */
  stop(options: StopOptions = {}): Promise<void> {
    const stopping = this.drain();
    // Also where it drains already, with all the time in the world.
    const cancel = this.#parts.clock.after(options.drainMs ?? 5_000, this.#timeIsUp.resolve);
    return stopping.finally(cancel);
  }

  /**
   * Like {@linkcode stop}, however long it takes: refuses what is new, so that callers go elsewhere
   * at once, finishes what runs or waits here and what this node has asked others for, and then
   * stops. Idempotent. A {@linkcode stop} meanwhile sets it a limit.
   *
   * @example Before the device is switched off
   * ```ts ignore
   * await network.drain();
   * ```
   */
  drain(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** {@linkcode stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Goes on from agent to agent, each on the device that suits it best, until the router says that
   * it is done.
   *
   * @example Two agents, wherever they are
   * ```ts
   * import { createAgent, createDistributedNetwork, sequentialRouter } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * const shout = createAgent({
   *   name: "shout",
   *   description: "Says the last answer louder",
   *   run: ({ state }) => `${state.agentResults.at(-1)?.output}!`,
   * });
   * await using network = createDistributedNetwork({
   *   agents: [shout],
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_684,
   * });
   * await network.start();
   * const { output, state } = await network.run("6 * 7", {
   *   router: sequentialRouter(["calculator", shout]),
   * });
   * assertEquals(output, "42!");
   * assertEquals(state.agentResults.length, 2);
   * ```
   *
   * @throws {NetworkError} What a step failed with, naming it; `AGENT_FAILED` when the router or a
   * hook throws, or names an agent that no node has.
   */
  run(
    prompt: string,
    options: RoutedRunOptions & { router: AgentRouter | RouterFunction },
  ): Promise<NetworkRunResult>;
  /**
   * Runs an agent on the device that suits it best and resolves to its answer.
   *
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent or the asked node is not here;
   * `UNAVAILABLE` when no device can do it now; `RESOURCE_EXHAUSTED` when all are busy;
   * `DEADLINE_EXCEEDED`; `CANCELLED` when the signal aborts, its reason as the cause;
   * `UNKNOWN_OUTCOME` when a device was lost that may have done it; `AGENT_FAILED` with the agent's
   * own message.
   */
  run(prompt: string, options?: RunOptions | RoutedRunOptions): Promise<RunResult>;
  run(prompt: string, options: RunOptions | RoutedRunOptions = {}): Promise<RunResult> {
    return this.#run(prompt, options);
  }

  /** Like the run from agent to agent, and tells everything on the way: each step, and as below. */
  stream(
    prompt: string,
    options: RoutedRunOptions & { router: AgentRouter | RouterFunction },
  ): AsyncGenerator<RunEvent<NetworkRunResult>, void, void>;
  /**
   * Like {@linkcode run}, and tells everything on the way: the choice of the device, the answer as
   * it is made, fallbacks, and the result as the last event. Leaving the loop stops the run.
   */
  stream(
    prompt: string,
    options?: RunOptions | RoutedRunOptions,
  ): AsyncGenerator<RunEvent, void, void>;
  stream(
    prompt: string,
    options: RunOptions | RoutedRunOptions = {},
  ): AsyncGenerator<RunEvent, void, void> {
    return streamRun(async (emit, stopReading) => {
      const { signal } = options;
      const both = signal === undefined ? stopReading : AbortSignal.any([signal, stopReading]);
      return await this.#run(prompt, { ...options, signal: both }, emit);
    });
  }

  /**
   * Runs an agent on every device that has it, at once.
   *
   * @param options `onProgress` is told at once how many devices there are, and then each time that
   * one has ended, with what it came to.
   * @returns What each came to, this device first. What fails on one of them is in its outcome.
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent; `INVALID_ARGUMENT`;
   * `FAILED_PRECONDITION` when the network does not run.
   */
  async runAll(prompt: string, options: RunAllOptions = {}): Promise<NodeOutcome[]> {
    const { candidates, dispatcher } = this.#parts;
    const { onProgress, ...rest } = options;
    const request = this.#request(prompt, rest);
    const nodes = candidates().filter(({ agents }) => agents.has(request.agent.name));
    let [done, failed] = [0, 0];
    onProgress?.({ done, failed, total: nodes.length });
    return await Promise.all(nodes.map(async ({ nodeId }): Promise<NodeOutcome> => {
      const outcome = await dispatcher.run({ ...request, nodeId }).then(
        (result): NodeOutcome => ({ nodeId, result }),
        (thrown): NodeOutcome => ({ nodeId, error: NetworkError.from(thrown) }),
      );
      done++;
      if ("error" in outcome) failed++;
      onProgress?.({ done, failed, total: nodes.length }, outcome);
      return outcome;
    }));
  }

  /**
   * Stops a task: one that this node has asked for, wherever it runs, or one that runs or waits here
   * for another node. Whoever has asked for it gets `CANCELLED`, and no other device runs it.
   *
   * @param taskId The whole id, as `run` and {@linkcode getNetworkStatus} tell it.
   * @returns The task as it was.
   * @throws {NetworkError} `NOT_FOUND` when no such task runs or waits here, and this node waits for
   * none.
   *
   * @example Stopping all that runs here
   * ```ts ignore
   * for (const { taskId } of network.getNetworkStatus().tasks) network.cancel(taskId);
   * ```
   */
  cancel(taskId: string): TaskStatus {
    const task = tasksNow(this.#parts).find((one) => one.taskId === taskId);
    const reason = new TaskCancelled(`Task ${taskId} was cancelled on node "${this.nodeId}".`);
    const { dispatcher, executor } = this.#parts;
    if (
      task === undefined || !(dispatcher.cancel(taskId, reason) || executor.cancel(taskId, reason))
    ) {
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot cancel task ${
          JSON.stringify(safeName(taskId, 64))
        }: node "${this.nodeId}" neither ` +
          "runs it nor waits for it. It may have ended. See: hanzo-network tasks",
      );
    }
    return task;
  }

  /**
   * Runs an agent with many prompts, spread over the devices that can do it.
   *
   * A prompt that fails is told in its item and stops no other. Devices that are all full are
   * waited for, within the prompt's `timeoutMs`; they are no failure. Prompts are read as they are
   * worked off and their items are taken, and the first not before the iteration begins. Leaving
   * the loop stops what runs.
   *
   * @example
   * ```ts
   * import { createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * await using network = createDistributedNetwork({
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_683,
   * });
   * await network.start();
   * const answers: string[] = [];
   * for await (const item of network.map("calculator", ["1 + 1", "2 +", "3 + 3"])) {
   *   answers.push("result" in item ? item.result.output : item.error.code);
   * }
   * assertEquals(answers, ["2", "INVALID_ARGUMENT", "6"]);
   * ```
   *
   * @param agent The agent, or its name.
   * @param prompts The prompts, from an array, a generator, a stream.
   * @throws {NetworkError} At once: `NOT_FOUND` when no node has the agent; `INVALID_ARGUMENT`;
   * `FAILED_PRECONDITION` when the network does not run. In the iteration: `CANCELLED` when the
   * signal aborts; what reading the prompts throws, after the items of those that were read.
   */
  map(
    agent: Agent | AgentNetwork | string,
    prompts: Prompts,
    options: MapOptions = {},
  ): AsyncGenerator<MapItem, void, void> {
    const { candidates, dispatcher, clock, random } = this.#parts;
    const { concurrency, order = "input", onProgress, ...rest } = options;
    if (concurrency !== undefined) checkConcurrency(concurrency);
    const request = this.#request("", { ...rest, initialAgent: agent });
    return mapPrompts(prompts, {
      clock,
      random,
      run: (prompt, timeoutMs, signal) => dispatcher.run({ ...request, prompt, timeoutMs, signal }),
      concurrency: () => concurrency ?? usualConcurrency(candidates(), request),
      order,
      timeoutMs: request.timeoutMs,
      signal: request.signal,
      onProgress,
    });
  }

  /**
   * Like {@linkcode map}, and resolves to the first answer: what runs then is stopped. A prompt
   * that fails is no answer as long as another one may be.
   *
   * @example
   * ```ts
   * import { createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * await using network = createDistributedNetwork({
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_682,
   * });
   * await network.start();
   * const { output } = await network.first("calculator", ["1 +", "6 * 7"]);
   * assertEquals(output, "42");
   * ```
   *
   * @param agent The agent, or its name.
   * @param prompts The prompts, from an array, a generator, a stream.
   * @throws {NetworkError} As {@linkcode map} does; when all prompts have failed, with the code of
   * the last; `INVALID_ARGUMENT` when there are none.
   */
  async first(
    agent: Agent | AgentNetwork | string,
    prompts: Prompts,
    options: Omit<MapOptions, "order"> = {},
  ): Promise<RunResult> {
    return await firstOf(this.map(agent, prompts, { ...options, order: "completion" }));
  }

  /** The agents of the whole network by name, each with the nodes that have it. */
  agents(): { agent: AgentDescription; nodes: string[] }[] {
    return catalog(this.#parts);
  }

  /** How this node and its peers are now: plain data. */
  getNetworkStatus(options: StatusOptions = {}): NetworkStatus {
    return networkStatus(this.#parts, this.#state, options.explain);
  }

  /**
   * Makes a code by which another device joins this network: shown there as a picture, scanned, or
   * typed.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when the network has no key, or does not run.
   */
  generateJoinQr(options: JoinQrOptions = {}): Promise<JoinQr> {
    const { clock } = this.#parts;
    const trust = () => this.#runningTrust();
    return makeJoinQr({ ...this.#parts, trust, wallTime: () => clock.wallTime() }, options);
  }

  /** The keys of the network, and who was seen with them. */
  get keys(): NetworkKeys {
    const { pool, membership, clock } = this.#parts;
    const trust = () => this.#runningTrust();
    return networkKeys({ trust, pool, membership, wallTime: () => clock.wallTime() });
  }

  /**
   * Finds out why peers are not seen: the fate of beacons on each interface, ports, permissions,
   * clocks, and what is in the way of each peer; the worst first.
   *
   * @param nodeId A peer whose addresses are to be dialled, too.
   */
  diagnose(nodeId?: string): Promise<Finding[]> {
    return diagnose(this.#parts, this.getNetworkStatus(), nodeId);
  }

  /**
   * Asks a peer for a sign of life now.
   *
   * @param timeoutMs How long to wait for it, in milliseconds.
   * @throws {NetworkError} `NOT_FOUND` when the peer is not known.
   */
  async checkPeerHealth(nodeId: string, timeoutMs = 1_000): Promise<PeerHealth> {
    const { membership, clock } = this.#parts;
    if (membership.get(nodeId) === undefined) {
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot check peer "${nodeId}": it is not known here. See: hanzo-network peers`,
      );
    }
    const latencyMs = await membership.probe(nodeId, timeoutMs) ?? null;
    // It may have gone meanwhile; what was known of it then still stands.
    const peer = membership.get(nodeId);
    const lastSeen = wallTimeOf(peer?.lastHeard ?? clock.now(), clock);
    return { healthy: latencyMs !== null, latencyMs, lastSeen };
  }

  /**
   * What becomes of peers, from now on. The iteration ends when the network stops.
   *
   * @example
   * ```ts ignore
   * for await (const { type, nodeId } of network.events()) console.log(type, nodeId);
   * ```
   */
  events(options?: { signal?: AbortSignal }): AsyncIterableIterator<NetworkEvent, void, void> {
    // Not a generator: that would begin to listen only when it is first asked for an event.
    const events = this.#parts.membership.events(options);
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        const { done, value } = await events.next();
        if (done) return { done, value: undefined };
        return { done: false, value: networkEvent(this.#parts, value) };
      },
      async return() {
        await events.return!();
        return { done: true, value: undefined };
      },
    };
  }

  async #start(): Promise<void> {
    const { membership, discoveries, describe, openTracer, openTrust } = this.#parts;
    warnOfMissingPermissions(this.#parts.options);
    const detected = detectSoon(this.#parts);
    await openTracer();
    await openTrust();
    const { port } = await listen(this.#parts);
    describe({ listenPort: port });
    await Promise.all([detected, this.#parts.agentPrograms.start()]);
    membership.start();
    this.#endWatch = watchCondition(this.#parts);
    for (const discovery of discoveries.all) {
      await discovery.start({
        sighted: (sighting) => membership.observe(sighting),
        listed: (via, seeds) => membership.list(via, seeds),
      });
      this.#throwIfStopping();
    }
    this.#state = "running";
  }

  #runningTrust(): Trust | undefined {
    return this.#state === "running" ? this.#parts.trust() : undefined;
  }

  #throwIfStopping(): void {
    if (this.#stopping === undefined) return;
    throw new NetworkError("CANCELLED", "The network was stopped while it started.");
  }

  async #stop(): Promise<void> {
    const { clock, executor, dispatcher, discoveries, membership, pool, dispose, trust } = this
      .#parts;
    const isRunning = this.#state === "running";
    this.#state = "stopping";
    // What the start opens is there to be closed only when it has ended; why it failed, it tells.
    await this.#starting?.catch(() => {});
    const runs = [...this.#agentRuns].map((run) => run.catch(() => {}));
    const idle = Promise.all([executor.drain(), dispatcher.history.idle(), ...runs]);
    // What is new is refused from now on. Peers are told so only where it takes a while: the goodbye
    // says it, too.
    if (isRunning && tasksNow(this.#parts).length + runs.length > 0) {
      this.#parts.describe({ draining: true });
    }
    await Promise.race([idle, this.#timeIsUp.promise]);
    executor.abort(
      new NetworkError("CANCELLED", `Node "${this.nodeId}" was stopped before the task was done.`),
    );
    dispatcher.stop();
    // A turn of the loop: who asked for what was stopped is told before the goodbye.
    await new Promise<void>((resolve) => clock.after(0, resolve));
    await this.#endWatch?.();
    for (const discovery of discoveries.all) await discovery.stop();
    membership.stop();
    await pool.close();
    this.#parts.agentPrograms.stop();
    await trust()?.stop();
    dispose();
    this.#state = "stopped";
  }

  async #run(
    prompt: string,
    options: RunOptions | RoutedRunOptions,
    emit?: EmitRunEvent,
  ): Promise<RunResult> {
    const { defaultRouting } = this.#parts.options;
    const { router = defaultRouting.router ?? false } = options;
    if (router === false) {
      return await this.#parts.dispatcher.run(this.#request(prompt, options), emit);
    }
    const { initialAgent, ...routed } = options as RoutedRunOptions;
    const run = runAgents(this.#parts, this.#common(prompt, options), {
      router,
      maxIterations: routed.maxIterations ?? defaultRouting.maxIterations,
      hooks: routed.hooks ?? defaultRouting.hooks,
      data: routed.data,
      initialAgent: typeof initialAgent === "object" ? initialAgent.name : initialAgent,
    }, emit);
    this.#agentRuns.add(run);
    return await run.finally(() => this.#agentRuns.delete(run));
  }

  #request(prompt: string, options: Omit<RunOptions, "router">): RunRequest {
    const { hedgeAfterMs, initialAgent } = options;
    const common = this.#common(prompt, options);
    const agent = this.#parts.findAgent(initialAgent);
    if (hedgeAfterMs !== undefined) checkHedging(hedgeAfterMs, agent, options.nodeId);
    return { ...common, agent, hedgeAfterMs };
  }

  /** Checks what a run is told; which agent runs is another matter. */
  #common(
    prompt: string,
    options: Omit<RunOptions, "router" | "hedgeAfterMs">,
  ): Omit<RunRequest, "agent"> {
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
    const { workload, requirements, near, priority, explain } = options;
    return {
      prompt,
      context,
      timeoutMs,
      nodeId,
      strategy,
      workload,
      requirements: requirements && checkRequirements(requirements),
      near,
      priority,
      explain,
      signal,
    };
  }
}

function checkHedging(afterMs: number, agent: AgentDescription, nodeId: string | undefined): void {
  const why = !(afterMs >= 0 && afterMs <= MAX_TIMEOUT_MS)
    ? `hedgeAfterMs is ${afterMs}, expected 0 to ${MAX_TIMEOUT_MS}`
    : !agent.idempotent
    ? `agent "${agent.name}" is not idempotent, so no two devices may run it for one task. ` +
      `Leave hedgeAfterMs out`
    : nodeId !== undefined
    ? `it is to run on "${nodeId}" only. Leave out nodeId or hedgeAfterMs`
    : undefined;
  if (why === undefined) return;
  throw new NetworkError("INVALID_ARGUMENT", `Cannot run an agent: ${why}.`);
}

function checkConcurrency(concurrency: number): void {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: concurrency is ${concurrency}, expected 1 to ${MAX_CONCURRENCY}.`,
  );
}
