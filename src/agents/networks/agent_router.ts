/** Routers of agents: functions that say, after each answer, which agent goes on. */

import { NetworkError } from "../../base/errors.ts";
import { isLabel } from "../../base/safe_text.ts";
import type { Model } from "../models/model.ts";
import type { AgentResult, RunState } from "../run_state.ts";

/** What a router is told of an agent. */
export interface AgentChoice {
  /** The name by which it is chosen. */
  readonly name: string;
  /** What it does, for people and models. */
  readonly description: string;
}

/** What a router chooses by. */
export interface RouterContext {
  /** What was asked of the network. */
  readonly prompt: string;
  /** What the agents share; the router may change it, too. */
  readonly state: RunState;
  /** The agents that it may choose. */
  readonly agents: readonly AgentChoice[];
  /** The last answer; undefined before the first one. */
  readonly lastResult: AgentResult | undefined;
  /** How many agents have answered. */
  readonly callCount: number;
  /** Aborts when the router has had its time, or the run is over. */
  readonly signal: AbortSignal;
  /**
   * A model of the network, on whatever device suits it best, or one of your own; nothing is asked
   * before `generate`. It is stopped when the router has had its time, and what it takes is counted
   * in the run's `usage`.
   *
   * @param model As `hanzo-network models` lists it, or another name of it; several with commas
   * between them are tried in turn. Without one it is `"default"`, the best that is there.
   * @throws {NetworkError} `INVALID_ARGUMENT` for what is no name, `FAILED_PRECONDITION` where there
   * is no network. When it is asked: `NOT_FOUND` when no node has it, and why it cannot answer.
   */
  model(model?: string | Model): Model;
}

/**
 * Which agent goes on: it, its name, or either with a prompt of its own instead of the one that was
 * asked. Undefined: the run is done.
 */
export type NextAgent =
  | string
  | { readonly name: string }
  | { readonly agent: string | { readonly name: string }; readonly prompt?: string }
  | undefined;

/** Chooses the next agent. */
export type RouterFunction = (context: RouterContext) => NextAgent | Promise<NextAgent>;

/** A router, as {@linkcode createRouter} and the others make it. */
export interface AgentRouter {
  /** What errors and events call it. */
  readonly name: string;
  /** How long one choice may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Chooses the next agent. */
  readonly choose: RouterFunction;
  /** Chooses where this one fails. */
  readonly fallback?: AgentRouter;
}

/** What {@linkcode createRouter} can be told. */
export interface AgentRouterOptions {
  /**
   * What errors call it.
   *
   * @default {"router"}
   */
  name?: string;
  /**
   * How long one choice may take, in milliseconds, 1 to 3,600,000.
   *
   * @default {10000}
   */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 3_600_000;

/**
 * Makes a router of a function. It is asked before each step, and ends the run with undefined.
 *
 * @example Until the reviewer is content
 * ```ts
 * import { createAgent, createNetwork, createRouter } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const writer = createAgent({
 *   name: "writer",
 *   description: "Writes a draft, each time a better one",
 *   run: ({ prompt, state }) => prompt + "!".repeat(1 + state.agentResults.length),
 * });
 * const network = createNetwork({
 *   name: "press",
 *   agents: [writer],
 *   router: createRouter(({ lastResult }) =>
 *     lastResult?.output.endsWith("!!!") ? undefined : writer
 *   ),
 * });
 * const { output, state } = await network.run("News");
 * assertEquals([output, state.agentResults.length], ["News!!!", 3]);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no function, the name no label, or the time
 * out of range.
 */
export function createRouter(
  choose: RouterFunction,
  options: AgentRouterOptions = {},
): AgentRouter {
  const { name = "router", timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (!isLabel(name)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create router ${JSON.stringify(name)}: a name is 1 to 63 letters, digits, ".", "_" ` +
        `or "-", and begins with a letter or digit.`,
    );
  }
  if (typeof choose !== "function") {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create router "${name}": it is no function. Give it one that returns an agent, or ` +
        "undefined when all is done.",
    );
  }
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create router "${name}": timeoutMs is ${timeoutMs}, expected 1 to ${MAX_TIMEOUT_MS}.`,
    );
  }
  return Object.freeze({ name, timeoutMs, choose });
}

/** A router, whether it was given as one or as a function. */
export function toRouter(router: AgentRouter | RouterFunction): AgentRouter {
  return typeof router === "object" && typeof router?.choose === "function"
    ? router
    : createRouter(router as RouterFunction);
}

/** The name of the agent that was chosen, and its prompt; undefined when the run is done. */
export function readChoice(
  choice: NextAgent,
): { agent: string; prompt: string | undefined } | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (typeof choice === "string") return { agent: choice, prompt: undefined };
  // No compiler checks what a function of somebody else returns.
  if (typeof choice === "object") {
    if ("agent" in choice) {
      const agent = nameOf(choice.agent);
      const { prompt } = choice;
      if (agent !== undefined && (prompt === undefined || typeof prompt === "string")) {
        return { agent, prompt };
      }
    } else if (nameOf(choice) !== undefined) {
      return { agent: choice.name, prompt: undefined };
    }
  }
  throw new TypeError("it returned neither an agent nor the name of one, nor undefined");
}

function nameOf(agent: unknown): string | undefined {
  const name = typeof agent === "object" && agent !== null && "name" in agent ? agent.name : agent;
  return typeof name === "string" ? name : undefined;
}
