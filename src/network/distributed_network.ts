/** The face of the package: one node of a network, seen by the program that runs it. */

import type { Agent, AgentDescription } from "../agents/agent.ts";
import { type AgentNetwork, stateWith } from "../agents/networks/agent_network.ts";
import type { AgentRouter, RouterFunction } from "../agents/networks/agent_router.ts";
import type { EmitRunEvent, NetworkRunResult, RunEvent, RunResult } from "../agents/run_event.ts";
import { streamRun } from "../agents/run_stream.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { Trust } from "../security/trust.ts";
import type { Checkpoint, Restored } from "../state/checkpoints.ts";
import type { Imported, ImportOptions } from "../state/state_import.ts";
import type { SharedState } from "../state/shared_state.ts";
import { firstOf, type MapItem, mapPrompts, type Prompts } from "../tasks/map_prompts.ts";
import type { RunRequest } from "../tasks/run_request.ts";
import { TaskCancelled } from "../tasks/task.ts";
import { loopOf, routerOf, routingOf, runAgents } from "./agent_run.ts";
import type { EngineStatus } from "../engines/engine_watch.ts";
import { catalog, type NetworkModel, withSpeeds } from "./catalog.ts";
import { diagnose } from "./diagnose.ts";
import type { Finding } from "./diagnosis_facts.ts";
import { type JoinQrOptions, makeJoinQr } from "./join_codes.ts";
import type { JoinQr } from "./join_qr.ts";
import { LifeCycle, type StartOptions, type StopOptions } from "./life_cycle.ts";
import { type NetworkKeys, networkKeys } from "./network_keys.ts";
import type { NetworkParts } from "./parts.ts";
import {
  checkConcurrency,
  checkOrder,
  checkPrompts,
  everyDevice,
  type MapOptions,
  type NodeOutcome,
  noPrompt,
  type RoutedRunOptions,
  type RunAllOptions,
  type RunOptions,
  runRequest,
  stepRequest,
} from "./run_options.ts";
import type { RawModelAnswer, RawModelCall } from "./models/model_calls.ts";
import type { ModelAlias } from "./models/model_names.ts";
import { networkEvent, networkStatus, tasksNow, wallTimeOf } from "./snapshot.ts";
import {
  allThreads,
  type Thread,
  threadNamed,
  type ThreadSources,
  type ThreadSummary,
} from "./threads/thread.ts";
import { runInThread } from "./threads/run_in_thread.ts";
import type {
  NetworkEvent,
  NetworkStatus,
  PeerHealth,
  StatusOptions,
  TaskStatus,
} from "./status.ts";

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
  readonly #life: LifeCycle;

  /**
   * Takes a node's parts; {@linkcode createDistributedNetwork} puts them together.
   *
   * @param parts The parts.
   */
  constructor(parts: NetworkParts) {
    this.#parts = parts;
    this.#life = new LifeCycle(parts);
  }

  /** The label of this node. */
  get nodeId(): string {
    return this.#parts.options.nodeId;
  }

  /**
   * The state that all devices of the network have.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` unless the network runs.
   */
  get state(): SharedState {
    return this.#parts.state.state;
  }

  /**
   * Keeps the shared state as it is now in a file of this node's; one of that name gives way to it.
   * When it resolves it is whole and on the disk.
   *
   * @param name Any text of 1 to 256 bytes.
   * @throws {NetworkError} `INVALID_ARGUMENT` for a name that is none; `FAILED_PRECONDITION` where
   * this node has no directory of its own, or a later version has made one of that name;
   * `RESOURCE_EXHAUSTED` when the disk is full.
   */
  async checkpoint(name: string): Promise<Checkpoint> {
    return await this.#parts.state.checkpoints.save(name);
  }

  /**
   * Brings the shared state back as it was at a checkpoint, on all devices: that is a write like any
   * other. What is there now is kept as a checkpoint first.
   *
   * @throws {NetworkError} `NOT_FOUND`; `FAILED_PRECONDITION` when it is damaged or a later version
   * has made it: nothing was changed then.
   */
  async restore(name: string): Promise<Restored> {
    return await this.#parts.state.checkpoints.restore(name);
  }

  /** The checkpoints of this node, the newest first. */
  async listCheckpoints(): Promise<Checkpoint[]> {
    return await this.#parts.state.checkpoints.list();
  }

  /** Removes a checkpoint; resolves to whether there was one. */
  async deleteCheckpoint(name: string): Promise<boolean> {
    return await this.#parts.state.checkpoints.delete(name);
  }

  /**
   * The shared state as one document of JSON, to be kept elsewhere; see {@linkcode importState}.
   *
   * @example From one network into another
   * ```ts
   * import { createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * await using network = createDistributedNetwork({
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_685,
   * });
   * await network.start();
   * await network.state.set("greeting", "hello");
   * const json = await network.exportState();
   * assertEquals(JSON.parse(json).entries, [{ key: "greeting", value: "hello" }]);
   *
   * await network.state.set("greeting", "goodbye");
   * await network.state.set("mine", 1);
   * const { set, deleted } = await network.importState(json);
   * assertEquals({ set, deleted }, { set: 1, deleted: 0 });
   * assertEquals(network.state.entries(), [["greeting", "hello"], ["mine", 1]]);
   * ```
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` unless the network runs.
   */
  async exportState(): Promise<string> {
    return await this.#parts.state.export();
  }

  /**
   * Writes what a document of {@linkcode exportState} holds, on all devices: keys of it that are there
   * get its values, and all others stay, unless `replace` is asked for. What is there now is kept as a
   * checkpoint first.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is none, or damaged; `FAILED_PRECONDITION` when a
   * later version has made it; `RESOURCE_EXHAUSTED` when a key or a value is too long, or there is no
   * room for it: nothing was written then.
   */
  async importState(
    document: string | Uint8Array,
    options: ImportOptions = {},
  ): Promise<Imported> {
    return await this.#parts.state.import(document, options);
  }

  /**
   * A conversation that every device can go on with: what was said in it, its data, and what agents
   * answered, as runs with `thread` keep them in the shared state.
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
   *   broadcastPort: 45_686,
   * });
   * await network.start();
   * await network.run("6 * 7", { initialAgent: "calculator", thread: "sums" });
   * const { messages, agentResults } = network.thread("sums");
   * assertEquals(messages.map(({ content }) => content), ["6 * 7", "42"]);
   * assertEquals(agentResults[0].agent, "calculator");
   * assertEquals(await network.thread("sums").delete(), true);
   * ```
   *
   * @param name Any text of 1 to 128 bytes.
   * @throws {NetworkError} `INVALID_ARGUMENT` for a name that is none; where it is used,
   * `FAILED_PRECONDITION` unless the network runs.
   */
  thread(name: string): Thread {
    return threadNamed(name, this.#threads);
  }

  /**
   * The threads of which there is anything, in the order of their names.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` unless the network runs.
   */
  listThreads(): ThreadSummary[] {
    return allThreads(this.#threads);
  }

  /**
   * Puts other agents in the place of those that this node was made with, and tells its peers so.
   * What runs goes on with the agent that it began with; the built-in ones stay, except where one of
   * these is called the same.
   *
   * @example An agent that gets better while its node runs
   * ```ts
   * import { createAgent, createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * const greeter = (greeting: string) =>
   *   createAgent({
   *     name: "greeter",
   *     description: "Greets",
   *     run: ({ prompt }) => `${greeting} ${prompt}`,
   *   });
   * await using network = createDistributedNetwork({
   *   agents: [greeter("Hi")],
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_691,
   * });
   * await network.start();
   * network.replaceAgents([greeter("Good morning,")]);
   * const { output } = await network.run("Ada", { initialAgent: "greeter" });
   * assertEquals(output, "Good morning, Ada");
   * ```
   *
   * @param agents All that this node is to have from now on.
   * @throws {NetworkError} `INVALID_ARGUMENT` when two are called the same, or they are more than
   * peers take: those of before stay then.
   */
  replaceAgents(agents: readonly (Agent | AgentNetwork)[]): void {
    this.#parts.ownAgents.replace(agents);
  }

  /**
   * Listens, looks for peers, and can be given tasks when it resolves.
   *
   * @throws {NetworkError} `PORT_IN_USE` when a port that was asked for is taken;
   * `DEADLINE_EXCEEDED` when too few peers came in time; `CANCELLED` when it was stopped meanwhile.
   * It is stopped then. `FAILED_PRECONDITION` when it was started before, which changes nothing.
   */
  start(options: StartOptions = {}): Promise<void> {
    return this.#life.start(options);
  }

  /**
   * Finishes what runs here, says goodbye and closes everything. Idempotent; what `await using`
   * calls.
   */
  stop(options: StopOptions = {}): Promise<void> {
    return this.#life.stop(options);
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
    return this.#life.drain();
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
    prompt: string | undefined,
    options: RoutedRunOptions & { router: AgentRouter | RouterFunction },
  ): Promise<NetworkRunResult>;
  /**
   * Runs an agent on the device that suits it best and resolves to its answer.
   *
   * In a `thread` it finds what was said there before, on whatever device, and what it answers is
   * kept. Asked the same again, a run that broke off goes on after the last agent that has answered;
   * so does, without a prompt, the last run of the thread. That is told by its `steps`.
   *
   * @example A conversation that goes on
   * ```ts
   * import { createAgent, createDistributedNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * const echo = createAgent({
   *   name: "echo",
   *   description: "Says what was said",
   *   run: ({ state }) => state.messages.map(({ content }) => content).join(" "),
   * });
   * await using network = createDistributedNetwork({
   *   agents: [echo],
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_688,
   * });
   * await network.start();
   * await network.run("Hello", { thread: "trip" });
   * assertEquals((await network.run("again", { thread: "trip" })).output, "Hello Hello again");
   * ```
   *
   * @param prompt Undefined: the last run of the `thread` is to go on.
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent or the asked node is not here;
   * `UNAVAILABLE` when no device can do it now; `RESOURCE_EXHAUSTED` when all are busy;
   * `DEADLINE_EXCEEDED`; `CANCELLED` when the signal aborts, its reason as the cause;
   * `UNKNOWN_OUTCOME` when a device was lost that may have done it; `AGENT_FAILED` with the agent's
   * own message. In a thread: `FAILED_PRECONDITION` when the same is under way there, or there is
   * nothing to go on with; `UNKNOWN_OUTCOME` when an agent that was under way may have done its work
   * (see `rerun`).
   */
  run(prompt: string | undefined, options?: RunOptions | RoutedRunOptions): Promise<RunResult>;
  run(
    prompt: string | undefined,
    options: RunOptions | RoutedRunOptions = {},
  ): Promise<RunResult> {
    return this.#run(prompt, options);
  }

  /** Like the run from agent to agent, and tells everything on the way: each step, and as below. */
  stream(
    prompt: string | undefined,
    options: RoutedRunOptions & { router: AgentRouter | RouterFunction },
  ): AsyncGenerator<RunEvent<NetworkRunResult>, void, void>;
  /**
   * Like {@linkcode run}, and tells everything on the way: the choice of the device, the answer as
   * it is made, fallbacks, and the result as the last event. Leaving the loop stops the run.
   */
  stream(
    prompt: string | undefined,
    options?: RunOptions | RoutedRunOptions,
  ): AsyncGenerator<RunEvent, void, void>;
  stream(
    prompt: string | undefined,
    options: RunOptions | RoutedRunOptions = {},
  ): AsyncGenerator<RunEvent, void, void> {
    return streamRun(async (emit, stopReading) => {
      const { signal } = options;
      const both = signal === undefined ? stopReading : AbortSignal.any([signal, stopReading]);
      return await this.#run(prompt, { ...options, signal: both }, emit);
    });
  }

  /**
   * Runs an agent on every device that has it, at once; with `requirements`, on every one of these
   * that has what the call asks.
   *
   * @param options `onProgress` is told at once how many devices there are, and then each time that
   * one has ended, with what it came to.
   * @returns What each came to, this device first. What fails on one of them is in its outcome.
   * @throws {NetworkError} `NOT_FOUND` when no node has the agent; `UNAVAILABLE` when none of these
   * has what the call asks; `INVALID_ARGUMENT`; `FAILED_PRECONDITION` when the network does not run.
   */
  async runAll(prompt: string, options: RunAllOptions = {}): Promise<NodeOutcome[]> {
    const { candidates, dispatcher } = this.#parts;
    const { onProgress, ...rest } = options;
    const request = this.#request(prompt, rest);
    const nodes = everyDevice(candidates(), request);
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
    const { dispatcher, clock, random } = this.#parts;
    const { concurrency, order = "input", onProgress, ...rest } = options;
    if (concurrency !== undefined) checkConcurrency(concurrency);
    checkOrder(order);
    checkPrompts(prompts);
    const request = this.#request("", { ...rest, initialAgent: agent });
    return mapPrompts(prompts, {
      clock,
      random,
      run: (prompt, timeoutMs, signal) =>
        typeof prompt === "string"
          ? dispatcher.run({ ...request, prompt, timeoutMs, signal })
          : Promise.reject(noPrompt(prompt)),
      concurrency: () => concurrency ?? dispatcher.usualConcurrency(request),
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

  /**
   * The models of the whole network by name, each with the devices whose engines have it.
   *
   * @example Where a model is, and whether it has to be read into memory first
   * ```ts
   * import { createDistributedNetwork } from "@hanzo/network";
   *
   * await using network = createDistributedNetwork({
   *   name: "example",
   *   networkInterfaces: ["lo"],
   *   listenPort: 0,
   *   broadcastPort: 45_686,
   * });
   * await network.start();
   * for (const { name, devices } of network.models()) {
   *   for (const { nodeId, loaded } of devices) console.log(name, nodeId, loaded);
   * }
   * ```
   */
  models(): NetworkModel[] {
    const { modelCalls, offeredModels } = this.#parts;
    return withSpeeds(offeredModels(), (model, nodeId) => modelCalls.speed(model, nodeId));
  }

  /**
   * The models that a chat asked for by this name would try now, the best first: those of that name
   * or family, what an alias stands for, of `"default"` whatever suits best. Empty when nobody has
   * any.
   *
   * @param name A name, or several with commas between them.
   */
  modelsMeant(name: string): readonly string[] {
    return this.#parts.modelCalls.meant(name);
  }

  /** Other names that this node has for models (`modelAliases`), and what each means now. */
  modelAliases(): ModelAlias[] {
    return this.#parts.modelCalls.aliases();
  }

  /**
   * Asks a model of the network in one of the ways in which programs talk to models: what the HTTP
   * API does. It resolves as soon as the model has said something; until then another device that
   * has it takes the place of one that fails.
   *
   * @example A model, wherever it is
   * ```ts ignore
   * const { nodeId, body } = await network.callModel({
   *   dialect: "openai-chat",
   *   model: "llama3.2",
   *   stream: false,
   *   body: JSON.stringify({
   *     model: "llama3.2",
   *     messages: [{ role: "user", content: "Say hello" }],
   *   }),
   * });
   * ```
   *
   * @throws {NetworkError} `NOT_FOUND` when no device has it; what the last device failed with.
   */
  callModel(call: RawModelCall): Promise<RawModelAnswer> {
    return this.#parts.modelCalls.call(call);
  }

  /** The engines of this device, and the places where one was looked for. */
  engines(): EngineStatus[] {
    return this.#parts.engines.engines();
  }

  /** How this node and its peers are now: plain data. */
  getNetworkStatus(options: StatusOptions = {}): NetworkStatus {
    return networkStatus(this.#parts, this.#life.state, options.explain);
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

  get #threads(): ThreadSources {
    const { state, threadRuns: runs, newId } = this.#parts;
    return { shared: () => state.state, runs, newId };
  }

  #runningTrust(): Trust | undefined {
    return this.#life.state === "running" ? this.#parts.trust() : undefined;
  }

  #run(
    prompt: string | undefined,
    options: RunOptions | RoutedRunOptions,
    emit?: EmitRunEvent,
  ): Promise<RunResult> {
    try {
      const { thread } = options;
      if (thread !== undefined) {
        this.#life.needRunning();
        return this.#life.hold(runInThread(this.#parts, prompt, { ...options, thread }, emit));
      }
      if (prompt === undefined) throw noPrompt(prompt);
      const router = routerOf(this.#parts, options);
      if (router !== undefined) return this.#runAgents(prompt, options, router, emit);
      return this.#parts.dispatcher.run(this.#request(prompt, options), emit);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  async #runAgents(
    prompt: string,
    options: RunOptions | RoutedRunOptions,
    router: AgentRouter | RouterFunction,
    emit?: EmitRunEvent,
  ): Promise<RunResult> {
    const { data = {} } = options as RoutedRunOptions;
    this.#life.needRunning();
    const request = stepRequest(prompt, options);
    const loop = loopOf(this.#parts, routingOf(this.#parts, options, router));
    const run = runAgents(this.#parts, request, loop, { state: stateWith(data) }, emit);
    return await this.#life.hold(run);
  }

  #request(prompt: string, options: Omit<RunOptions, "router">): RunRequest {
    this.#life.needRunning();
    return runRequest(prompt, options, this.#parts.findAgent);
  }
}
