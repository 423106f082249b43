/** What runs can be told, and the checks of it. */

import type { Agent, AgentDescription } from "../agents/agent.ts";
import type { AgentNetwork } from "../agents/networks/agent_network.ts";
import type { AgentRouter, RouterFunction } from "../agents/networks/agent_router.ts";
import type { NetworkHooks } from "../agents/networks/network_hooks.ts";
import {
  checkRequirements,
  type Requirements,
  type Workload,
  WORKLOADS,
} from "../agents/requirements.ts";
import type { RunResult } from "../agents/run_event.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { Candidate } from "../routing/candidate.ts";
import { unmet } from "../routing/filter.ts";
import { RoutingStrategy } from "../routing/strategy.ts";
import { type MapOrder, type MapProgress, MAX_CONCURRENCY } from "../tasks/map_prompts.ts";
import type { RunRequest } from "../tasks/run_request.ts";
import { MAX_TIMEOUT_MS } from "../tasks/task.ts";
import { PRIORITIES, type Priority } from "../tasks/waiting_line.ts";
import type { FindAgent } from "./catalog.ts";

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
  /**
   * The thread that it is part of: any text of 1 to 128 bytes. The agents find what was said in it
   * before, of the last messages and answers 2 MiB, and its data; what they add is in the shared
   * state when they have answered, for the next run on whatever device.
   *
   * Asked the same again after it broke off, it goes on after the last agent that has answered.
   *
   * A network of agents that this node has goes step by step, and what is said of the device holds
   * for each; one that only others have is one step. Its router finds data and answers of earlier
   * runs in the state: what is this run's own it is told by `callCount` and `lastResult`.
   */
  thread?: string;
  /**
   * `false`: begins anew where the last run of the thread, which was asked the same, broke off.
   *
   * @default {true}
   */
  resume?: boolean;
  /**
   * Whether an agent is asked again that was under way when the run broke off and is not idempotent:
   * it may have done its work. By default that fails with `UNKNOWN_OUTCOME`.
   *
   * @default {false}
   */
  rerun?: boolean;
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

/** What one node of `network.runAll` came to. */
export type NodeOutcome =
  | { readonly nodeId: string; readonly result: RunResult }
  | { readonly nodeId: string; readonly error: NetworkError };

/** What `network.runAll` can be told. */
export interface RunAllOptions
  extends Omit<RunOptions, "nodeId" | "hedgeAfterMs" | "thread" | "resume" | "rerun"> {
  /** Told how many devices have ended, and what the last of them came to. What it throws ends all. */
  onProgress?: (progress: MapProgress, outcome?: NodeOutcome) => void;
}

/** What `network.map` can be told; `timeoutMs` is for each prompt. */
export interface MapOptions
  extends Omit<RunOptions, "initialAgent" | "explain" | "thread" | "resume" | "rerun"> {
  /**
   * How many prompts may run or wait at devices at a time, 1 to 256. By default one for each slot of
   * all devices that can do it, and as many more as fill the slots again at once: those that become
   * free during a round trip, or as many as there are while nothing is known of the agent. Counted
   * anew before each prompt.
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

export const DEFAULT_TIMEOUT_MS = 300_000;

/**
 * The run of one agent that is asked for.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the option that cannot be; as `findAgent` does.
 */
export function runRequest(
  prompt: string,
  options: Omit<RunOptions, "router">,
  findAgent: FindAgent,
): RunRequest {
  checkOptions(prompt, options);
  const { hedgeAfterMs, initialAgent } = options;
  const agent = findAgent(initialAgent);
  if (hedgeAfterMs !== undefined) checkHedging(hedgeAfterMs, agent, options.nodeId);
  return new AgentRequest(prompt, options, agent);
}

type StepOptions = Omit<RunOptions, "router" | "hedgeAfterMs">;

/**
 * What is the same for every agent of a run.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the option that cannot be.
 */
export function stepRequest(
  prompt: string,
  options: StepOptions,
): Omit<RunRequest, "agent"> {
  checkOptions(prompt, options);
  return new StepRequest(prompt, options);
}

/** Classes, since one is made for each run: see docs/decisions/0013, What a run costs. */
class StepRequest implements Omit<RunRequest, "agent"> {
  readonly prompt: string;
  readonly context: string;
  readonly timeoutMs: number;
  readonly nodeId: RunRequest["nodeId"];
  readonly strategy: RunRequest["strategy"];
  readonly workload: RunRequest["workload"];
  readonly requirements: RunRequest["requirements"];
  readonly near: RunRequest["near"];
  readonly priority: RunRequest["priority"];
  readonly explain: RunRequest["explain"];
  readonly signal: RunRequest["signal"];

  constructor(prompt: string, options: StepOptions) {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, context = "", requirements } = options;
    this.prompt = prompt;
    this.context = context;
    this.timeoutMs = timeoutMs;
    this.nodeId = options.nodeId;
    this.strategy = options.strategy;
    this.workload = options.workload;
    this.requirements = requirements && checkRequirements(requirements);
    this.near = options.near;
    this.priority = options.priority;
    this.explain = options.explain;
    this.signal = options.signal;
  }
}

class AgentRequest extends StepRequest implements RunRequest {
  readonly agent: RunRequest["agent"];
  readonly hedgeAfterMs: RunRequest["hedgeAfterMs"];

  constructor(prompt: string, options: Omit<RunOptions, "router">, agent: RunRequest["agent"]) {
    super(prompt, options);
    this.agent = agent;
    this.hedgeAfterMs = options.hedgeAfterMs;
  }
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming what cannot be. */
function checkOptions(prompt: string, options: StepOptions): void {
  if (typeof prompt !== "string") throw noPrompt(prompt);
  checkKinds(options);
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (typeof timeoutMs !== "number" || !(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot run an agent: timeoutMs is ${timeoutMs}, expected 1 to ${MAX_TIMEOUT_MS}.`,
    );
  }
}

const STRATEGIES: readonly unknown[] = Object.values(RoutingStrategy);

/**
 * Programs without a check of types give what they like: an `AbortController` for its signal is
 * common, and would be found out in the middle of a link's work, or of another node's.
 */
function checkKinds(options: StepOptions): void {
  const { context, nodeId, strategy, workload, priority, near, signal } = options;
  const wrong = context !== undefined && typeof context !== "string"
    ? ["context", context, "a string"]
    : nodeId !== undefined && typeof nodeId !== "string"
    ? ["nodeId", nodeId, "a string"]
    : !isOneOf(STRATEGIES, strategy)
    ? ["strategy", strategy, STRATEGIES.join(", ")]
    : !isOneOf(WORKLOADS, workload)
    ? ["workload", workload, WORKLOADS.join(", ")]
    : !isOneOf(PRIORITIES, priority)
    ? ["priority", priority, PRIORITIES.join(", ")]
    : near !== undefined && !(Array.isArray(near) && near.every((one) => typeof one === "string"))
    ? ["near", near, "a list of node ids"]
    : signal !== undefined && typeof signal?.removeEventListener !== "function"
    ? ["signal", signal, "an AbortSignal"]
    : undefined;
  if (wrong === undefined) return;
  const [option, given, expected] = wrong;
  const what = typeof given === "string"
    ? JSON.stringify(safeName(given, 64))
    : given === null
    ? "null"
    : `of the type ${typeof given}`;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: ${option} is ${what}, expected ${expected}.`,
  );
}

function isOneOf(all: readonly unknown[], one: unknown): boolean {
  return one === undefined || all.includes(one);
}

/**
 * The devices that a run on every device is for: what the call asks leaves devices out, what the
 * agent itself asks is told as their failure.
 *
 * @throws {NetworkError} `UNAVAILABLE` when none is left, saying what each one lacks.
 */
export function everyDevice(
  candidates: readonly Candidate[],
  { agent: { name: agent }, requirements }: Pick<RunRequest, "agent" | "requirements">,
): Candidate[] {
  const nodes = candidates.filter(({ agents }) => agents.has(agent));
  if (requirements === undefined) return nodes;
  const lacking = nodes.map((node) => unmet(node, requirements));
  const able = nodes.filter((_, i) => lacking[i] === undefined);
  if (able.length > 0 || nodes.length === 0) return able;
  const why = nodes.slice(0, 5).map(({ nodeId }, i) => `${nodeId}: ${lacking[i]}`).join("; ");
  throw new NetworkError(
    "UNAVAILABLE",
    `Cannot run agent "${agent}" on every device that is asked for: there is none (${why}). ` +
      "Start one, or ask for less.",
  );
}

/** What a program without a check of types gets for a prompt that is none. */
export function noPrompt(prompt: unknown): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: the prompt is of the type ${typeof prompt}, expected a string.`,
  );
}

/** @throws {NetworkError} `INVALID_ARGUMENT` when these are no prompts, or one: each of its letters. */
export function checkPrompts(prompts: unknown): void {
  if (typeof prompts === "object" && prompts !== null) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: the prompts are of the type ${typeof prompts}, expected a list, or ` +
      `another iterable, of strings.`,
  );
}

/** @throws {NetworkError} `INVALID_ARGUMENT` when items cannot be told in that order. */
export function checkOrder(order: MapOrder): void {
  if (order === "input" || order === "completion") return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: order is ${JSON.stringify(order)}, expected input or completion.`,
  );
}

/** @throws {NetworkError} `INVALID_ARGUMENT` when so many cannot run at a time. */
export function checkConcurrency(concurrency: number): void {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run an agent: concurrency is ${concurrency}, expected 1 to ${MAX_CONCURRENCY}.`,
  );
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
