/** The tools of an agent: its own, those of the node by name, and those of MCP servers. */

import { NetworkError } from "../base/errors.ts";
import type { McpServerOptions } from "./mcp/server_options.ts";
import type { Tool } from "./tool.ts";

/** A tool that comes with the node on which an agent runs. */
export type NodeToolName =
  | "calculator"
  | "device_info"
  | "http_request"
  | "shared_state"
  | "web_search";

/** Every {@linkcode NodeToolName}. */
export const NODE_TOOLS: readonly NodeToolName[] = [
  "calculator",
  "device_info",
  "http_request",
  "shared_state",
  "web_search",
];

/** Those that change nothing, however often they are called. */
export const READING_TOOLS: ReadonlySet<string> = new Set<NodeToolName>([
  "calculator",
  "device_info",
  "web_search",
]);

/** Where a run finds the tools that its agent does not bring itself. */
export interface ToolSource {
  /**
   * One that comes with the node.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when the node does not allow it.
   */
  named(name: NodeToolName): Tool;
  /** Those of MCP servers, for one run, which says when it has ended. */
  ofServers(servers: Readonly<Record<string, McpServerOptions>>): ServerTools;
}

/** The tools of the MCP servers that one run uses. */
export interface ServerTools {
  /**
   * Those that there are now: starts the servers that do not run. Lists change, so ask before each
   * turn of a model; what runs already costs nothing. Of a server that has died meanwhile they are
   * those that it had: they fail when they are called.
   *
   * @throws {NetworkError} Why one of the servers cannot be used, from the beginning.
   */
  tools(options?: ServerToolsOptions): Promise<readonly Tool[]>;
  /** The run has ended: servers that nobody else has a use for are ended. Idempotent. */
  end(): void;
}

/** For whom {@linkcode ServerTools.tools} are. */
export interface ServerToolsOptions {
  /** Names that are taken already: those of the agent's own tools. */
  readonly taken?: Iterable<string>;
  /** Gives up waiting for servers that start. */
  readonly signal?: AbortSignal;
}

/** Whose tools they are. */
export interface ToolUser {
  readonly name: string;
  /** What people are told: all but those of MCP servers. */
  readonly tools: readonly string[];
  /** Its own. */
  readonly toolset: ReadonlyMap<string, Tool>;
  /** Those of its node. */
  readonly nodeTools: readonly NodeToolName[];
  readonly mcpServers: Readonly<Record<string, McpServerOptions>>;
}

/** The tools of one run. */
export class RunTools {
  readonly #agent: ToolUser;
  readonly #source: ToolSource | undefined;
  readonly #signal: () => AbortSignal;
  #servers: ServerTools | undefined;
  #ofServers: ReadonlyMap<string, Tool> | undefined;

  /** @param signal Gives up waiting for servers that start. */
  constructor(agent: ToolUser, source: ToolSource | undefined, signal: () => AbortSignal) {
    this.#agent = agent;
    this.#source = source;
    this.#signal = signal;
  }

  /**
   * All of them, as they are now: the tools of a server come and go.
   *
   * @throws {NetworkError} As {@linkcode ToolSource}.
   */
  async list(): Promise<Tool[]> {
    const { toolset, nodeTools, mcpServers } = this.#agent;
    const own = [...toolset.values(), ...nodeTools.map((name) => this.#ofNode().named(name))];
    if (Object.keys(mcpServers).length === 0) return own;
    this.#servers ??= this.#ofNode().ofServers(mcpServers);
    const found = await this.#servers.tools({
      taken: own.map(({ name }) => name),
      signal: this.#signal(),
    });
    this.#ofServers = new Map(found.map((tool) => [tool.name, tool]));
    return [...own, ...found];
  }

  /**
   * One of them; at once where it is the agent's own.
   *
   * @throws {NetworkError} `NOT_FOUND` when there is none; as {@linkcode ToolSource}.
   */
  find(name: string): Tool | Promise<Tool> {
    const { toolset, nodeTools, mcpServers } = this.#agent;
    const own = toolset.get(name);
    if (own !== undefined) return own;
    if ((nodeTools as readonly string[]).includes(name)) {
      return this.#ofNode().named(name as NodeToolName);
    }
    const listed = this.#ofServers?.get(name);
    if (listed !== undefined) return listed;
    if (Object.keys(mcpServers).length > 0) return this.#findNow(name);
    throw this.#missing(name, this.#agent.tools);
  }

  /** The run has ended. */
  end(): void {
    this.#servers?.end();
  }

  async #findNow(name: string): Promise<Tool> {
    const all = await this.list();
    const found = all.find((tool) => tool.name === name);
    if (found !== undefined) return found;
    throw this.#missing(name, all.map((tool) => tool.name));
  }

  #missing(name: string, there: readonly string[]): NetworkError {
    return new NetworkError(
      "NOT_FOUND",
      `Cannot call tool "${name}": agent "${this.#agent.name}" has ` +
        (there.length === 0 ? "no tools." : `only ${there.join(", ")}.`),
    );
  }

  #ofNode(): ToolSource {
    if (this.#source !== undefined) return this.#source;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Agent "${this.#agent.name}" uses tools of the node that it runs on, and it runs on none. ` +
        "Run it with createDistributedNetwork, or give it tools that createTool makes.",
    );
  }
}
