/** How MCP servers are said: what is started or where it is, what it is given, how long it may take. */

import { z } from "zod";
import { NetworkError } from "../../base/errors.ts";
import { isGranted, needGranted } from "../../base/permissions.ts";
import { isLabel } from "../../base/safe_text.ts";
import { parseWith } from "../../base/schema.ts";

/** How long a server of either kind may take. */
export interface McpTimes {
  /**
   * How long it may take to start and to say what tools it has, in milliseconds.
   *
   * @default {60000} what `npx` and `uvx` fetch at the first start takes a while
   */
  startTimeoutMs?: number;
  /**
   * How long a call of a tool may take, in milliseconds; never longer than the run has left.
   *
   * @default {120000}
   */
  callTimeoutMs?: number;
}

/** An MCP server that is started on the device and spoken to on its standard input and output. */
export interface McpCommand extends McpTimes {
  /** The program: a name that is looked for in `PATH`, or a path. */
  command: string;
  /** What it is given. */
  args?: readonly string[];
  /**
   * Its environment, beside `PATH` and `HOME`: it gets nothing else. `${NAME}` in a value stands for
   * the variable of that name of this process: so no secret is written down.
   */
  env?: Readonly<Record<string, string>>;
  /** Where it runs; by default where this process does. */
  cwd?: string;
}

/** An MCP server that is there already, spoken to by streamable HTTP. */
export interface McpAddress extends McpTimes {
  /** Where it is: `http://127.0.0.1:3001/mcp`. */
  url: string;
  /** What is sent with each request; `${NAME}` as in {@linkcode McpCommand.env}. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * An MCP server whose tools an agent may use.
 *
 * @example One that is started, and one that is there
 * ```ts
 * import type { McpServerOptions } from "@hanzo/network";
 *
 * const mcpServers: Record<string, McpServerOptions> = {
 *   files: { command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "notes"] },
 *   tickets: { url: "https://tickets.example/mcp", headers: { authorization: "Bearer ${TICKETS}" } },
 * };
 * ```
 */
export type McpServerOptions = McpCommand | McpAddress;

/** Both at once are more than a device does well, and a model chooses badly among so many tools. */
const MAX_SERVERS = 32;
const MAX_TIMEOUT_MS = 24 * 3_600_000;

const times = {
  startTimeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).optional(),
  callTimeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).optional(),
};
const commandSchema: z.ZodType<McpCommand> = z.strictObject({
  command: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
  ...times,
});
const addressSchema: z.ZodType<McpAddress> = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), z.string()).optional(),
  ...times,
});

/**
 * Checks what somebody has written: modules of agents are loaded without a check of types.
 *
 * @param action What cannot be done otherwise: `Cannot create agent "x"`.
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the server and what is wrong with it.
 */
export function checkMcpServers(
  servers: unknown,
  action: string,
): asserts servers is Readonly<Record<string, McpServerOptions>> {
  if (typeof servers !== "object" || servers === null || Array.isArray(servers)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: mcpServers is no record of servers by name. Write { NAME: { command } } or ` +
        "{ NAME: { url } }.",
    );
  }
  const entries = Object.entries(servers);
  if (entries.length > MAX_SERVERS) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: it has ${entries.length} MCP servers, at most ${MAX_SERVERS} are taken.`,
    );
  }
  for (const [name, server] of entries) {
    if (!isLabel(name)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `${action}: an MCP server is called ${JSON.stringify(name)}, and a name is 1 to 63 ` +
          `letters, digits, ".", "_" or "-", and begins with a letter or digit.`,
      );
    }
    const hasUrl = typeof server === "object" && server !== null && "url" in server;
    const schema: z.ZodType<McpServerOptions> = hasUrl ? addressSchema : commandSchema;
    parseWith(schema, server, "INVALID_ARGUMENT", `${action}: MCP server "${name}"`);
  }
}

/** What a started server gets of this process's environment, on each system. */
const INHERITED = Deno.build.os === "windows"
  ? ["PATH", "PATHEXT", "SystemRoot", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP"]
  : ["PATH", "HOME"];

/**
 * All of the environment of a server that is started.
 *
 * @throws {NetworkError} As {@linkcode withVariables}.
 */
export function environmentOf(
  env: Readonly<Record<string, string>> = {},
  action: string,
): Record<string, string> {
  const inherited = INHERITED.flatMap((name): [string, string][] => {
    const value = isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined;
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(inherited), ...withVariables(env, action) };
}

/**
 * The values with what `${NAME}` stands for.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION` when there is no such variable, `PERMISSION_DENIED`
 * when it may not be read.
 */
export function withVariables(
  values: Readonly<Record<string, string>>,
  action: string,
): Record<string, string> {
  const expanded = Object.entries(values).map(([key, text]) => [
    key,
    text.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      needGranted(action, { name: "env", variable: name });
      const value = Deno.env.get(name);
      if (value !== undefined) return value;
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `${action}: there is no environment variable ${name}. Set it where the node is started.`,
      );
    }),
  ]);
  return Object.fromEntries(expanded);
}
