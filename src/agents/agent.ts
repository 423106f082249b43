/** Agents: named pieces of work that any device of the network can be asked to run. */

import { NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";
import type { AgentRun } from "./agent_context.ts";
import { NODE_TOOLS, type NodeToolName, READING_TOOLS } from "./agent_tools.ts";
import { checkMcpServers, type McpServerOptions } from "./mcp/server_options.ts";
import { modelRun, type ModelRunOptions } from "./models/model_agent.ts";
import { checkRequirements, type Requirements, type Workload, WORKLOADS } from "./requirements.ts";
import type { Tool } from "./tool.ts";

export type {
  AgentAnswer,
  AgentContext,
  AgentRun,
  CallAgentOptions,
  CallToolOptions,
} from "./agent_context.ts";

/** What {@linkcode createAgent} takes: an agent either has a function, or a model. */
export type AgentOptions = FunctionAgentOptions | ModelAgentOptions;

/** What every agent has. */
export interface CommonAgentOptions {
  /** A label: letters, digits, `.`, `_` and `-`, 63 at most; unique on its node. */
  name: string;
  /** What the agent does, for people and models. */
  description: string;
  /**
   * The tools that it may call: made with `createTool`, or by the name of one that comes with the
   * node on which it happens to run. `"http_request"` and `"web_search"` are there only where the
   * owner of the node has allowed it.
   */
  tools?: readonly (Tool | NodeToolName)[];
  /**
   * MCP servers whose tools it may call, by name. Each is started, or connected to, on the device
   * where the agent runs, when a run first needs it.
   */
  mcpServers?: Readonly<Record<string, McpServerOptions>>;
  /**
   * How its work weighs on a device.
   *
   * @default {"light"}
   */
  workload?: Workload;
  /** The least a device must have to run it. */
  requirements?: Requirements;
  /**
   * Whether it may be run again elsewhere when a device died and nobody knows how far it had come.
   * By default an agent may that changes nothing outside itself: without tools, or with no others
   * than `"calculator"`, `"device_info"` and `"web_search"`.
   */
  idempotent?: boolean;
}

/** An agent that a function makes. */
export interface FunctionAgentOptions extends CommonAgentOptions {
  /** The work itself. */
  run: AgentRun;
  /** Only agents without `run` have one. */
  model?: undefined;
}

/** An agent that a model drives. */
export interface ModelAgentOptions extends CommonAgentOptions, ModelRunOptions {
  /** Only agents without a model have one. */
  run?: undefined;
}

/** An agent, as {@linkcode createAgent} makes it. */
export interface Agent extends AgentDescription {
  /** The work itself. */
  readonly run: AgentRun;
  /** Its own tools by name. */
  readonly toolset: ReadonlyMap<string, Tool>;
  /** The tools of its node that it uses. */
  readonly nodeTools: readonly NodeToolName[];
  /** The MCP servers whose tools it uses, by name. */
  readonly mcpServers: Readonly<Record<string, McpServerOptions>>;
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
  /** The names of its tools; those of MCP servers come and go, and are not among them. */
  readonly tools: readonly string[];
}

/**
 * Makes an agent that any device of the network can be asked to run.
 *
 * @example A function
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
 * @example A model with tools: the agent runs on one device, its model on whichever has it
 * ```ts
 * import { createAgent, createTool } from "@hanzo/network";
 * import { z } from "zod";
 * import { assertEquals } from "@std/assert";
 *
 * const forecast = createTool({
 *   name: "forecast",
 *   description: "Tomorrow's weather in a town",
 *   parameters: z.object({ town: z.string() }),
 *   handler: ({ town }) => ({ town, celsius: 21, sky: "clear" }),
 * });
 * const weather = createAgent({
 *   name: "weather",
 *   description: "Knows the weather",
 *   model: "llama3.2",
 *   system: "Answer in one sentence.",
 *   tools: [forecast, "calculator"],
 * });
 * assertEquals(weather.tools, ["forecast", "calculator"]);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is not a label, two tools share one, there
 * is neither `run` nor `model`, or both, there is no description, a tool is none that comes with a
 * node, or another option says what there is not.
 */
export function createAgent(options: AgentOptions): Agent {
  const { name, description, workload = "light", requirements = {} } = options;
  if (typeof name !== "string" || !isLabel(name)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create agent ${
        JSON.stringify(name) ?? "without a name"
      }: a name is 1 to 63 letters, digits, ".", "_" ` +
        `or "-", and begins with a letter or digit.`,
    );
  }
  const action = `Cannot create agent "${name}"`;
  if (typeof description !== "string") {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: it has no "description". Say what it does.`,
    );
  }
  const run = runOf(options, action);
  // Modules of agents are loaded without a check of types.
  if (!WORKLOADS.includes(workload)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: workload is ${JSON.stringify(workload)}, expected ${WORKLOADS.join(", ")}.`,
    );
  }
  checkRequirements(requirements, action);
  const { tools, toolset, nodeTools } = toolsOf(options.tools ?? [], action);
  const mcpServers = options.mcpServers ?? {};
  checkMcpServers(mcpServers, action);
  return Object.freeze({
    name,
    description,
    run,
    toolset,
    nodeTools: Object.freeze(nodeTools),
    mcpServers: Object.freeze(structuredClone(mcpServers)),
    tools: Object.freeze(tools),
    workload,
    requirements: Object.freeze({ ...requirements }),
    idempotent: options.idempotent ??
      (tools.every((tool) => !toolset.has(tool) && READING_TOOLS.has(tool)) &&
        Object.keys(mcpServers).length === 0),
  });
}

/** What the network is told of `agent`: all of it that is data. */
export function describeAgent(agent: Agent): AgentDescription {
  const { name, description, workload, requirements, idempotent, tools } = agent;
  return { name, description, workload, requirements, idempotent, tools };
}

function runOf(options: AgentOptions, action: string): AgentRun {
  const { run, model } = options;
  if (run !== undefined && model !== undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: it has both "run" and "model". Leave one out; a run asks a model by ` +
        "context.model.",
    );
  }
  if (model !== undefined) return modelRun(options.name, options as ModelAgentOptions);
  if (typeof run === "function") return run;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `${action}: it has neither "run" nor "model". Give it a function that does its work, or a ` +
      'model: "default" is the best that the network has.',
  );
}

function toolsOf(
  given: readonly (Tool | NodeToolName)[],
  action: string,
): { tools: string[]; toolset: Map<string, Tool>; nodeTools: NodeToolName[] } {
  const toolset = new Map<string, Tool>();
  const nodeTools: NodeToolName[] = [];
  for (const tool of given) {
    if (typeof tool !== "string") toolset.set(tool.name, tool);
    else if (NODE_TOOLS.includes(tool)) nodeTools.push(tool);
    else {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `${action}: no tool ${JSON.stringify(tool)} comes with a node. Name one of ` +
          `${NODE_TOOLS.join(", ")}, or make one with createTool.`,
      );
    }
  }
  const tools = given.map((tool) => typeof tool === "string" ? tool : tool.name);
  if (new Set(tools).size < tools.length) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: two of its tools have the same name. Rename one.`,
    );
  }
  return { tools, toolset, nodeTools };
}
