/**
 * The MCP servers of a node: each there once, for all runs of all agents that name it, and no longer
 * than an agent names it or a run uses it.
 */

import type { Tool as ListedTool } from "@modelcontextprotocol/client";
import { type Clock, systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { type Logger, silentLogger } from "../../base/log.ts";
import { safeText } from "../../base/safe_text.ts";
import type { ServerTools, ServerToolsOptions } from "../agent_tools.ts";
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

/** One of them. */
interface Held {
  readonly connection: McpConnection;
  /** How many runs use it. */
  users: number;
}

/** One of them, as one run knows it. */
interface Used {
  readonly held: Held;
  /** The tools that it had when the run last asked. */
  listed?: readonly ListedTool[];
}

/** See the top of the file. */
export class McpServers implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By what starts them: two agents that say the same mean the same. */
  readonly #held = new Map<string, Held>();
  /** Those that agents of this node name; the others end with the last run that uses them. */
  #named: ReadonlySet<string> = new Set();
  /** Those that nobody has any more, until they have ended. */
  readonly #ending = new Set<Promise<void>>();
  #isClosed = false;

  constructor({ logger = silentLogger, clock = systemClock }: McpServersOptions = {}) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /**
   * Says which servers the agents of the node name now. What no agent names any more is ended, as
   * soon as no run uses it.
   *
   * @param servers By name, of each agent.
   */
  keep(servers: Iterable<Readonly<Record<string, McpServerOptions>>>): void {
    this.#named = new Set([...servers].flatMap((named) => Object.values(named)).map(keyOf));
    for (const key of [...this.#held.keys()]) this.#endUnlessNeeded(key);
  }

  /**
   * What one run has of servers until it calls `end`. They are started when it asks for their tools.
   *
   * @param servers By name, as {@linkcode checkMcpServers} has found them right.
   */
  use(servers: Readonly<Record<string, McpServerOptions>>): ServerTools {
    const used = new Map<string, Used>();
    let hasEnded = false;
    return {
      tools: async (options) => {
        if (this.#isClosed || hasEnded) throw notStarted(Object.keys(servers));
        for (const [name, server] of Object.entries(servers)) {
          if (used.has(name)) continue;
          const held = this.#hold(name, server);
          held.users++;
          used.set(name, { held });
        }
        return await this.#tools(used, options);
      },
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        for (const { held } of used.values()) held.users--;
        for (const server of Object.values(servers)) this.#endUnlessNeeded(keyOf(server));
      },
    };
  }

  /** Ends all servers; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = [...this.#held.values()].map(({ connection }) => connection.close());
    await Promise.all([...closed, ...this.#ending]);
  }

  /** The same as {@linkcode McpServers.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #tools(
    used: ReadonlyMap<string, Used>,
    { taken = [], signal = new AbortController().signal }: ServerToolsOptions = {},
  ): Promise<Tool[]> {
    const lists = await Promise.all(
      [...used].map(async ([name, one]) => {
        const { held: { connection } } = one;
        try {
          one.listed = await connection.tools(signal);
        } catch (thrown) {
          // A run that has begun with it goes on without it: whoever calls its tools is told why.
          if (one.listed === undefined || signal.aborted || connection.state === "closed") {
            throw thrown;
          }
        }
        return { name, connection, listed: one.listed };
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

  #hold(name: string, server: McpServerOptions): Held {
    const key = keyOf(server);
    let held = this.#held.get(key);
    if (held === undefined) {
      const copy = structuredClone(server);
      const options = { name, server: copy, clock: this.#clock, logger: this.#logger };
      held = { connection: new McpConnection(options), users: 0 };
      this.#held.set(key, held);
    }
    return held;
  }

  #endUnlessNeeded(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined || held.users > 0 || this.#named.has(key)) return;
    this.#held.delete(key);
    const ended = held.connection.close().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
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

/** What is the same for two servers that are started, or reached, in the same way. */
function keyOf(server: McpServerOptions): string {
  return JSON.stringify(server, Object.keys(server).sort().concat(innerKeys(server)));
}

function notStarted(names: readonly string[]): NetworkError {
  return new NetworkError(
    "CANCELLED",
    `MCP server "${
      names.join('", "')
    }" is not started any more: the run has ended, or the node stops.`,
  );
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
