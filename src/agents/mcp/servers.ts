/** The MCP servers of a node: each there once, for all runs of all agents that name it. */

import type { Tool as ListedTool } from "@modelcontextprotocol/client";
import { type Clock, systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { type Logger, silentLogger } from "../../base/log.ts";
import { safeText } from "../../base/safe_text.ts";
import { createTool, type Tool } from "../tool.ts";
import { McpConnection } from "./connection.ts";
import type { McpServerOptions } from "./server_options.ts";
import { freeLabel } from "./tool_names.ts";

/** Of what a model is told about a tool. */
const MAX_DESCRIPTION = 4_096;
const MAX_SCHEMA = 64 * 1024;

/** What {@linkcode McpServers} are made of. */
export interface McpServersOptions {
  /** @default {silentLogger} */
  readonly logger?: Logger;
  /** @default {systemClock} */
  readonly clock?: Clock;
}

/** For whom {@linkcode McpServers.tools} are. */
export interface McpToolsOptions {
  /** Names that are taken already: those of the agent's own tools. */
  readonly taken?: Iterable<string>;
  /** Gives up waiting for servers that start. */
  readonly signal?: AbortSignal;
}

/** See the top of the file. */
export class McpServers implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By what starts them: two agents that say the same mean the same. */
  readonly #connections = new Map<string, McpConnection>();
  #isClosed = false;

  constructor({ logger = silentLogger, clock = systemClock }: McpServersOptions = {}) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /**
   * The tools of servers, as tools of an agent: starts the servers that do not run. Lists change, so
   * ask before each turn of a model; what runs already costs nothing.
   *
   * @param servers By name, as {@linkcode checkMcpServers} has found them right.
   * @throws {NetworkError} Why one of the servers cannot be used.
   */
  async tools(
    servers: Readonly<Record<string, McpServerOptions>>,
    { taken = [], signal = new AbortController().signal }: McpToolsOptions = {},
  ): Promise<Tool[]> {
    const lists = await Promise.all(
      Object.entries(servers).map(async ([name, options]) => {
        const connection = this.#connection(name, options);
        return { name, connection, listed: await connection.tools(signal) };
      }),
    );
    const labels = new Set(taken);
    return lists.flatMap(({ name, connection, listed }) =>
      listed.flatMap((tool) => {
        if (!this.#isUsable(name, tool)) return [];
        return [agentTool(freeLabel(tool.name, name, labels), name, tool, connection)];
      })
    );
  }

  /** Ends all servers; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  /** The same as {@linkcode McpServers.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connection(name: string, server: McpServerOptions): McpConnection {
    if (this.#isClosed) {
      throw new NetworkError(
        "CANCELLED",
        `MCP server "${name}" is not started any more: the node stops.`,
      );
    }
    const key = JSON.stringify(server, Object.keys(server).sort().concat(innerKeys(server)));
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      const copy = structuredClone(server);
      const options = { name, server: copy, clock: this.#clock, logger: this.#logger };
      connection = new McpConnection(options);
      this.#connections.set(key, connection);
    }
    return connection;
  }

  /** Whether a model can be told of it. */
  #isUsable(server: string, { name, inputSchema, execution }: ListedTool): boolean {
    const why = JSON.stringify(inputSchema).length > MAX_SCHEMA
      ? "its schema is too large"
      : execution?.taskSupport === "required"
      ? "it answers only as a task of the protocol"
      : undefined;
    if (why === undefined) return true;
    this.#logger.debug('Tool "{name}" of MCP server "{server}" is left out: {why}', {
      name,
      server,
      why,
    });
    return false;
  }
}

/** So that the order in which somebody has written variables and headers says nothing. */
function innerKeys(server: McpServerOptions): string[] {
  const inner = "command" in server ? server.env : server.headers;
  return Object.keys(inner ?? {}).sort();
}

function agentTool(
  label: string,
  server: string,
  { name, title, description, inputSchema }: ListedTool,
  connection: McpConnection,
): Tool {
  return createTool<unknown>({
    name: label,
    description: safeText(description ?? title ?? name).slice(0, MAX_DESCRIPTION),
    inputSchema,
    handler: (args, { signal }) => connection.call(name, argumentsOf(args, label, server), signal),
  });
}

function argumentsOf(args: unknown, tool: string, server: string): Record<string, unknown> {
  if (args === undefined || args === null) return {};
  if (typeof args === "object" && !Array.isArray(args)) return args as Record<string, unknown>;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot call tool "${tool}" of MCP server "${server}": its arguments are no object. Pass them ` +
      "by name.",
  );
}
