/** A network of agents: who is in it, who says which of them goes on, and its runs on one machine. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { isLabel } from "../../base/safe_text.ts";
import { ulidMaker } from "../../base/ulid.ts";
import { type Agent, type AgentContext, createAgent } from "../agent.ts";
import type { EmitRunEvent, NetworkRunResult, RunEvent } from "../run_event.ts";
import { modelByName } from "../run_models.ts";
import { streamRun } from "../run_stream.ts";
import type { RunState } from "../run_state.ts";
import { RunStateStore, storeOf } from "../run_state_store.ts";
import { type AgentLoop, runLoop } from "./agent_loop.ts";
import {
  type AgentChoice,
  type AgentRouter,
  type RouterFunction,
  toRouter,
} from "./agent_router.ts";
import { LocalAgents } from "./local_agents.ts";
import type { NetworkHooks } from "./network_hooks.ts";
import { sequentialRouter } from "./routers.ts";

/** An agent that the program itself does not have: another device does. */
export interface AgentElsewhere {
  /** Its name. */
  readonly name: string;
  /** What it does, for routers that choose by it. */
  readonly description: string;
}

/** What {@linkcode createNetwork} takes. */
export interface AgentNetworkOptions {
  /** A label: letters, digits, `.`, `_` and `-`, 63 at most; also its name as an agent. */
  name: string;
  /** What it does, for people and models; by default who is in it. */
  description?: string;
  /** Who is in it: agents, other networks, and agents that only other devices have. */
  agents: readonly (Agent | AgentNetwork | AgentElsewhere)[];
  /** Says which of them goes on; by default each is asked once, in their order. */
  router?: AgentRouter | RouterFunction;
  /** Who begins, without asking the router. */
  initialAgent?: AgentChoice | string;
  /**
   * How many steps a run may have, 1 to 1,000; then it ends with the last answer.
   *
   * @default {10}
   */
  maxIterations?: number;
  /** What the program is told meanwhile, and where it may step in. */
  hooks?: NetworkHooks;
}

/** What a run of an {@linkcode AgentNetwork} can be told. */
export interface AgentNetworkRunOptions {
  /** Who begins, instead of the network's own. */
  initialAgent?: AgentChoice | string;
  /** Text beside the prompt, such as a document, for every agent. */
  context?: string;
  /** Data that the agents find in their state. */
  data?: Readonly<Record<string, JsonValue>>;
  /**
   * How long it may take in all, in milliseconds, 1 to 604,800,000.
   *
   * @default {300000}
   */
  timeoutMs?: number;
  /** Stops it. */
  signal?: AbortSignal;
}

const DEFAULT_MAX_ITERATIONS = 10;
const MOST_ITERATIONS = 1_000;
const DEFAULT_TIMEOUT_MS = 300_000;
const MAX_TIMEOUT_MS = 7 * 24 * 3_600_000;

/**
 * Makes a network of agents: a router says, after each answer, which of them goes on.
 *
 * It runs where the program runs, without sockets. Given to
 * {@linkcode createDistributedNetwork} as one of its `agents` it is an agent that every device can
 * ask, and its steps run on whatever device suits them best.
 *
 * @example A researcher, a writer, and a reviewer who may send the text back
 * ```ts
 * import { createAgent, createNetwork } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const researcher = createAgent({
 *   name: "researcher",
 *   description: "Finds facts",
 *   run: ({ prompt, state }) => {
 *     state.data.set("facts", [`${prompt} is fun`]);
 *     return "1 fact";
 *   },
 * });
 * const writer = createAgent({
 *   name: "writer",
 *   description: "Makes a text of them",
 *   run: ({ state }) => `Did you know? ${state.data.get("facts")}!`,
 * });
 * const newsroom = createNetwork({ name: "newsroom", agents: [researcher, writer] });
 *
 * const { output, state, stoppedBy } = await newsroom.run("Deno");
 * assertEquals(output, "Did you know? Deno is fun!");
 * assertEquals(state.agentResults.map(({ agent }) => agent), ["researcher", "writer"]);
 * assertEquals(stoppedBy, "router");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is no label, there are no agents, two
 * share a name, the one that is to begin is not among them, or a number is out of range.
 */
export function createNetwork(options: AgentNetworkOptions): AgentNetwork {
  return new AgentNetwork(options, systemClock, ulidMaker(systemClock, systemRandom));
}

/** A network of agents. Make it with {@linkcode createNetwork}. */
export class AgentNetwork {
  /** Its name, and that of the agent it is for others. */
  readonly name: string;
  /** What it does, for people and models. */
  readonly description: string;
  /** Who is in it. */
  readonly agents: readonly (Agent | AgentNetwork | AgentElsewhere)[];
  readonly #loop: AgentLoop;
  readonly #agent: Agent;
  readonly #clock: Clock;
  readonly #newId: () => string;

  /**
   * Takes what it is made of; {@linkcode createNetwork} adds the system's clock and chance.
   *
   * @param options Who is in it and how it goes on.
   * @param clock Its time.
   * @param newId Makes the ids of its steps.
   */
  constructor(options: AgentNetworkOptions, clock: Clock, newId: () => string) {
    const { name, agents, maxIterations = DEFAULT_MAX_ITERATIONS, hooks = {} } = options;
    this.name = name;
    if (!isLabel(name)) {
      this.#refuse(
        'a name is 1 to 63 letters, digits, ".", "_" or "-", and begins with a letter or digit',
      );
    }
    checkIterations(`Cannot create network "${name}"`, maxIterations);
    if (agents.length === 0) this.#refuse("it has no agents. Give it one");
    this.agents = Object.freeze([...agents]);
    const choices = agents.map(({ name, description }): AgentChoice => ({ name, description }));
    const names = choices.map((one) => one.name);
    const elsewhere = agents.filter((one) => !isAgent(one) && !isNetwork(one));
    const all = [
      name,
      ...agentsOf(agents).map((one) => one.name),
      ...elsewhere.map((one) => one.name),
    ];
    const twice = all.find((one, i) => all.indexOf(one) !== i);
    if (twice !== undefined) this.#refuse(`two in it are called "${twice}". Rename one`);
    const initialAgent = nameOf(options.initialAgent);
    if (initialAgent !== undefined && !names.includes(initialAgent)) {
      this.#refuse(`"${initialAgent}" is to begin and is not among its agents. Add it`);
    }
    this.description = options.description ?? `A network of ${names.join(", ")}`;
    this.#loop = {
      network: name,
      agents: () => choices,
      initialAgent,
      router: toRouter(options.router ?? sequentialRouter(choices)),
      maxIterations,
      hooks,
    };
    this.#agent = createAgent({
      name,
      description: this.description,
      run: (context) => this.#runInside(context),
      // What it is made of is run again with it.
      idempotent: elsewhere.length === 0 && agentsOf(agents).every((one) => one.idempotent),
    });
    this.#clock = clock;
    this.#newId = newId;
  }

  /**
   * The network as an agent: asked, it goes from agent to agent, and answers what the last one
   * answered. It may be run again elsewhere when all of its agents may. Its data is that of the run
   * that asks; messages and results are its own.
   *
   * @example A network in a network
   * ```ts
   * import { createAgent, createNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * const draft = createAgent({ name: "draft", description: "", run: ({ prompt }) => `${prompt}…` });
   * const polish = createAgent({
   *   name: "polish",
   *   description: "",
   *   run: ({ state }) => state.messages.at(-1)!.content.replace("…", "."),
   * });
   * const desk = createNetwork({ name: "desk", agents: [draft, polish] });
   * const shout = createAgent({
   *   name: "shout",
   *   description: "",
   *   run: async ({ prompt, callAgent }) => (await callAgent("desk", prompt)).output.toUpperCase(),
   * });
   * const paper = createNetwork({ name: "paper", agents: [desk, shout], router: ({ callCount }) =>
   *   callCount === 0 ? shout : undefined });
   * assertEquals(desk.asAgent().idempotent, true);
   * assertEquals((await paper.run("News")).output, "NEWS.");
   * ```
   */
  asAgent(): Agent {
    return this.#agent;
  }

  /** How it goes from agent to agent, for whoever asks them by other means. */
  asLoop(): AgentLoop {
    return this.#loop;
  }

  /**
   * Runs it in this process and resolves to what it came to.
   *
   * @throws {NetworkError} What a step failed with, naming it: `AGENT_FAILED` with the agent's own
   * message, `NOT_FOUND` for an agent that only other devices have. `AGENT_FAILED` when router or
   * hook throws or names nobody; `DEADLINE_EXCEEDED`; `CANCELLED` when the signal aborts.
   */
  async run(prompt: string, options: AgentNetworkRunOptions = {}): Promise<NetworkRunResult> {
    return await this.#run(prompt, options, () => {}, options.signal);
  }

  /**
   * Like {@linkcode run}, and tells everything on the way: each step, its answer as it is made, and
   * the result as the last event. Leaving the loop stops the run.
   *
   * @example
   * ```ts
   * import { createAgent, createNetwork } from "@hanzo/network";
   * import { assertEquals } from "@std/assert";
   *
   * const a = createAgent({ name: "a", description: "", run: () => "A" });
   * const b = createAgent({ name: "b", description: "", run: () => "B" });
   * const said: string[] = [];
   * for await (const event of createNetwork({ name: "ab", agents: [a, b] }).stream("Go")) {
   *   if (event.type === "step") said.push(`${event.agent}?`);
   *   if (event.type === "step-result") said.push(event.result.output);
   * }
   * assertEquals(said, ["a?", "A", "b?", "B"]);
   * ```
   */
  stream(
    prompt: string,
    options: AgentNetworkRunOptions = {},
  ): AsyncGenerator<RunEvent<NetworkRunResult>, void, void> {
    return streamRun((emit, stopReading) => {
      const { signal } = options;
      const both = signal === undefined ? stopReading : AbortSignal.any([signal, stopReading]);
      return this.#run(prompt, options, emit, both);
    });
  }

  async #run(
    prompt: string,
    options: AgentNetworkRunOptions,
    emit: EmitRunEvent,
    signal: AbortSignal | undefined,
  ): Promise<NetworkRunResult> {
    const { context = "", data = {}, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot run network "${this.name}": timeoutMs is ${timeoutMs}, expected 1 to ` +
          `${MAX_TIMEOUT_MS}.`,
      );
    }
    const state = stateWith(data);
    const local = new LocalAgents(this.name, agentsOf(this.agents), this.#clock, this.#newId);
    const initialAgent = nameOf(options.initialAgent) ?? this.#loop.initialAgent;
    return await runLoop({ ...this.#loop, initialAgent }, {
      prompt,
      context,
      state,
      timeoutMs,
      signal,
      clock: this.#clock,
      call: (call) => local.call(call),
      model: (name) => modelByName(name, undefined, `network "${this.name}"`),
      emit,
    });
  }

  /** A run of the network as an agent: whoever runs that knows how to reach the others. */
  async #runInside({ prompt, context, state: given, signal, callAgent, model }: AgentContext) {
    const store = storeOf(given);
    const begun = new RunStateStore();
    for (const [key, value] of given.data) begun.data.set(key, value);
    if (store.thread !== undefined) addHistory(begun, given, prompt);
    const state = begun.fork();
    const journal = store.openJournal?.({ network: this.name, prompt, state });
    const { output, data, usage } = await runLoop(this.#loop, {
      prompt,
      context,
      state,
      timeoutMs: Infinity,
      signal,
      clock: this.#clock,
      call: ({ agent, prompt, context, state }) => callAgent(agent, prompt, { context, state }),
      model,
      emit: () => {},
      journal,
    });
    const { data: set = {}, deleted = [] } = state.changes() ?? {};
    for (const key of deleted) given.data.delete(key);
    for (const [key, value] of Object.entries(set)) given.data.set(key, value);
    return { output, ...(data !== undefined && { data }), ...(usage && { usage }) };
  }

  #refuse(why: string): never {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create network ${JSON.stringify(this.name)}: ${why}.`,
    );
  }
}

/** What was said in a thread before the prompt, which the network's own run says. */
function addHistory(state: RunStateStore, given: RunState, prompt: string): void {
  const last = given.messages.findLastIndex(({ role, content }) =>
    role === "user" && content === prompt
  );
  for (const [i, message] of given.messages.entries()) if (i !== last) state.addMessage(message);
  for (const result of given.agentResults) state.addResult(result);
}

/** All agents among these: networks are agents, too, and bring those that are in them. */
export function agentsOf(members: readonly (Agent | AgentNetwork | AgentElsewhere)[]): Agent[] {
  const agents = members.flatMap((member): Agent[] => {
    if (isNetwork(member)) return [member.asAgent(), ...agentsOf(member.agents)];
    return isAgent(member) ? [member] : [];
  });
  return [...new Set(agents)];
}

/** How each network among these goes on, by its name; networks in networks, too. */
export function loopsOf(members: AgentNetworkOptions["agents"]): Map<string, AgentLoop> {
  return new Map(
    members.filter(isNetwork).flatMap((network): [string, AgentLoop][] => [
      [network.name, network.asLoop()],
      ...loopsOf(network.agents),
    ]),
  );
}

/** A state that has nothing but data. */
export function stateWith(data: Readonly<Record<string, JsonValue>>): RunStateStore {
  const state = new RunStateStore();
  for (const [key, value] of Object.entries(data)) state.data.set(key, value);
  return state;
}

/**
 * Throws when a network may not have so many steps.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT`.
 */
export function checkIterations(action: string, maxIterations: number): void {
  if (Number.isInteger(maxIterations) && maxIterations >= 1 && maxIterations <= MOST_ITERATIONS) {
    return;
  }
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `${action}: maxIterations is ${maxIterations}, expected a whole number from 1 to ` +
      `${MOST_ITERATIONS}.`,
  );
}

function nameOf(agent: AgentChoice | string | undefined): string | undefined {
  return typeof agent === "object" ? agent.name : agent;
}

/** Whether it is a network: a file may have its own copy of this package. */
function isNetwork(member: Agent | AgentNetwork | AgentElsewhere): member is AgentNetwork {
  return "asAgent" in member;
}

function isAgent(member: Agent | AgentNetwork | AgentElsewhere): member is Agent {
  return "toolset" in member;
}
