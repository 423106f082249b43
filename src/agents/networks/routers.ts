/** Routers that need no code: one agent after the other, by conditions, by the state. */

import { NetworkError } from "../../base/errors.ts";
import type { RunState } from "../run_state.ts";
import {
  type AgentRouter,
  createRouter,
  type NextAgent,
  type RouterContext,
} from "./agent_router.ts";

/**
 * A router that asks one agent after the other, each once.
 *
 * Each is asked the same; what the others have answered it finds in its `state`. Where a run names
 * an `initialAgent`, that one takes the first one's turn.
 *
 * @example
 * ```ts
 * import { createAgent, createNetwork, sequentialRouter } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const count = createAgent({
 *   name: "count",
 *   description: "Counts words",
 *   run: ({ prompt }) => `${prompt.split(" ").length} words`,
 * });
 * const frame = createAgent({
 *   name: "frame",
 *   description: "Frames what was said last",
 *   run: ({ state }) => `[${state.messages.at(-1)?.content}]`,
 * });
 * const network = createNetwork({
 *   name: "counted",
 *   agents: [count, frame],
 *   router: sequentialRouter([count, frame]),
 * });
 * assertEquals((await network.run("how many are these")).output, "[4 words]");
 * ```
 */
export function sequentialRouter(agents: readonly NextAgent[]): AgentRouter {
  const order = [...agents];
  return createRouter(({ callCount }) => order[callCount], { name: "sequential" });
}

/** A rule of a {@linkcode conditionalRouter}. */
export interface RoutingRule {
  /** Whether it applies. */
  readonly when: (context: RouterContext) => boolean | Promise<boolean>;
  /** Who goes on then; without one the run is done. */
  readonly agent?: NextAgent;
}

/**
 * A router that asks the agent of the first rule that applies; where none does, the run is done.
 *
 * @example
 * ```ts
 * import { conditionalRouter, createAgent, createNetwork } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const sums = createAgent({ name: "sums", description: "", run: () => "a sum" });
 * const words = createAgent({ name: "words", description: "", run: () => "words" });
 * const network = createNetwork({
 *   name: "desk",
 *   agents: [sums, words],
 *   router: conditionalRouter([
 *     { when: ({ callCount }) => callCount > 0 },
 *     { when: ({ prompt }) => /\d/.test(prompt), agent: sums },
 *     { when: () => true, agent: words },
 *   ]),
 * });
 * assertEquals((await network.run("1 + 1")).output, "a sum");
 * assertEquals((await network.run("Hello")).output, "words");
 * ```
 */
export function conditionalRouter(rules: readonly RoutingRule[]): AgentRouter {
  const inOrder = [...rules];
  return createRouter(async (context) => {
    for (const { when, agent } of inOrder) if (await when(context)) return agent;
    return undefined;
  }, { name: "conditional" });
}

/**
 * A router that looks up in a table who goes on: by the value of a key of the run's data, or by what
 * a function makes of the state. Where the table has nothing for it, the run is done.
 *
 * @example A draft, until somebody says that it is done
 * ```ts
 * import { createAgent, createNetwork, stateRouter } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const draft = createAgent({
 *   name: "draft",
 *   description: "Writes",
 *   run: ({ state }) => {
 *     state.data.set("stage", "check");
 *     return "a text";
 *   },
 * });
 * const check = createAgent({
 *   name: "check",
 *   description: "Reads it again",
 *   run: ({ state }) => {
 *     state.data.set("stage", "done");
 *     return "a text without faults";
 *   },
 * });
 * const network = createNetwork({
 *   name: "desk",
 *   agents: [draft, check],
 *   initialAgent: draft,
 *   router: stateRouter("stage", { check }),
 * });
 * assertEquals((await network.run("Write")).output, "a text without faults");
 * ```
 *
 * @param by A key of the data, or a function of the state.
 * @param table Who goes on for which value.
 * @throws {NetworkError} `INVALID_ARGUMENT` when the table is empty.
 */
export function stateRouter(
  by: string | ((state: RunState) => string | undefined),
  table: Readonly<Record<string, NextAgent>>,
): AgentRouter {
  // Values come from agents: "constructor" is none of the table's.
  const next = new Map(Object.entries(table));
  if (next.size === 0) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot create a router by state: its table is empty. Say which agent goes on for which value.",
    );
  }
  const valueIn = typeof by === "function" ? by : (state: RunState) => {
    const value = state.data.get(by);
    return value === undefined ? undefined : String(value);
  };
  return createRouter(({ state }) => {
    const value = valueIn(state);
    return value === undefined ? undefined : next.get(value);
  }, { name: "state" });
}
