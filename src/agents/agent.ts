/** Agents: named pieces of work that any device of the network can be asked to run. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";
import { checkRequirements, type Requirements, type Workload, WORKLOADS } from "./requirements.ts";
import type { RunResult } from "./run_event.ts";
import type { RunState } from "./run_state.ts";
import type { Tool } from "./tool.ts";

/** What {@linkcode createAgent} takes. */
export interface AgentOptions {
  /** A label: letters, digits, `.`, `_` and `-`, 63 at most; unique on its node. */
  name: string;
  /** What the agent does, for people and models. */
  description: string;
  /** The work itself. */
  run: AgentRun;
  /** The tools that `run` may call. */
  tools?: readonly Tool[];
  /**
   * How its work weighs on a device.
   *
   * @default {"light"}
   */
  workload?: Workload;
  /** The least a device must have to run it. */
  requirements?: Requirements;
  /**
   * Whether it may be run again elsewhere when a device died and nobody knows how far it had
   * come. By default an agent without tools may: it changes nothing outside itself.
   */
  idempotent?: boolean;
}

/** An agent, as {@linkcode createAgent} makes it. */
export interface Agent extends AgentDescription {
  /** The work itself. */
  readonly run: AgentRun;
  /** Its tools by name. */
  readonly toolset: ReadonlyMap<string, Tool>;
}

/** What the network is told of an agent. */
export interface AgentDescription {
  /** A label, unique on its node. */
  readonly name: string;
  /** What it does, for people and models. */
  readonly description: string;
  /** How its work weighs on a device. */
  readonly workload: Workload;
  /** The least a device must have to run it. */
  readonly requirements: Readonly<Requirements>;
  /** Whether it may be run again elsewhere when nobody knows how far it had come. */
  readonly idempotent: boolean;
  /** The names of its tools. */
  readonly tools: readonly string[];
}

/**
 * Makes an agent that any device of the network can be asked to run.
 *
 * @example
 * ```ts
 * import { createAgent } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const shout = createAgent({
 *   name: "shout",
 *   description: "Says it louder",
 *   run: ({ prompt }) => prompt.toUpperCase(),
 * });
 * assertEquals(shout.workload, "light");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is not a label, two tools share one, there
 * is no `run` or no description, or `workload` or `requirements` say what there is not.
 */
export function createAgent(options: AgentOptions): Agent {
  const { name, description, run, tools = [], workload = "light", requirements = {} } = options;
  if (typeof name !== "string" || !isLabel(name)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent ${
        JSON.stringify(name) ?? "without a name"
      }: a name is 1 to 63 letters, digits, ".", "_" ` +
        `or "-", and begins with a letter or digit.`,
    );
  }
  if (typeof run !== "function") {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent "${name}": it has no "run", and no model is available that could do ` +
        `its work. Give it a function that does.`,
    );
  }
  if (typeof description !== "string") {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent "${name}": it has no "description". Say what it does.`,
    );
  }
  // Modules of agents are loaded without a check of types.
  if (!WORKLOADS.includes(workload)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent "${name}": workload is ${JSON.stringify(workload)}, expected ` +
        `${WORKLOADS.join(", ")}.`,
    );
  }
  checkRequirements(requirements, `Cannot create agent "${name}"`);
  const toolset = new Map(tools.map((tool) => [tool.name, tool]));
  if (toolset.size < tools.length) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent "${name}": two of its tools have the same name. Rename one.`,
    );
  }
  return Object.freeze({
    name,
    description,
    run,
    toolset,
    tools: Object.freeze([...toolset.keys()]),
    workload,
    requirements: Object.freeze({ ...requirements }),
    idempotent: options.idempotent ?? tools.length === 0,
  });
}

/** What the network is told of `agent`: all of it that is data. */
export function describeAgent(agent: Agent): AgentDescription {
  const { name, description, workload, requirements, idempotent, tools } = agent;
  return { name, description, workload, requirements, idempotent, tools };
}
