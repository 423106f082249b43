/** One connection with an MCP server, from its start to its end. */

import type {
  Client,
  JsonSchemaValidator,
  jsonSchemaValidator,
  StreamableHTTPClientTransport,
  Tool as ListedTool,
  Transport,
} from "@modelcontextprotocol/client";
import { type Clock, doneWithin } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { withTimeLimit } from "../../base/time_limit.ts";
import { boundedFetch } from "./http_fetch.ts";
import { ProcessTransport } from "./process_transport.ts";
import { reasonOf } from "./reason.ts";
import { type McpServerOptions, withVariables } from "./server_options.ts";

/** Of a list of tools. */
const MAX_TOOLS = 256;
/** A page may have one tool. */
const MAX_PAGES = MAX_TOOLS;
/** The library's own limits: ours come first, by the node's clock. */
const NO_LIMIT_MS = 2 ** 31 - 1;
const START_TIMEOUT_MS = 60_000;
/** How long a server over HTTP may take to hear that a session is over. */
const GOODBYE_MS = 1_000;

/** What {@linkcode openSession} needs. */
export interface SessionOptions {
  readonly name: string;
  readonly server: McpServerOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gives the start up. */
  readonly signal: AbortSignal;
  /** Called once, when it has ended by itself or was closed; after it is open only. */
  readonly onEnd: (why: string) => void;
}

/** A server that has said what tools it has. */
export interface Session {
  readonly client: Client;
  /** The newest list of its tools; another array for another list. */
  tools(): readonly ListedTool[];
  close(): Promise<void>;
}

/**
 * Starts or reaches a server.
 *
 * @throws {NetworkError} Why that fails: `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `PERMISSION_DENIED`, or
 * `FAILED_PRECONDITION` when a variable is missing.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { name, server, clock, logger, signal } = options;
  const library = await import("@modelcontextprotocol/client");
  let tools: readonly ListedTool[] = [];
  const client = new library.Client({ name: "hanzo-network", version: "1" }, {
    listMaxPages: MAX_PAGES,
    // A schema from elsewhere is no program to be run here: who asks reads what is answered.
    jsonSchemaValidator: acceptsAll,
    listChanged: {
      tools: {
        onChanged: (error, items) => {
          if (items) tools = items.slice(0, MAX_TOOLS);
          else {logger.warn(
              'MCP server "{name}" has other tools and does not say which: {reason}',
              {
                name,
                reason: describeError(error),
              },
            );}
        },
      },
    },
  });
  const transport = transportOf(options, library);
  let isOpen = false;
  client.onerror = (error) =>
    logger.debug('MCP server "{name}": {reason}', { name, reason: describeError(error) });
  client.onclose = () => {
    if (isOpen) options.onEnd(obituary(transport));
  };
  const limitMs = server.startTimeoutMs ?? START_TIMEOUT_MS;
  const error = () =>
    new NetworkError(
      "DEADLINE_EXCEEDED",
      `Cannot use MCP server "${name}": it was not ready within ${limitMs / 1000} s.` +
        `${obituary(transport)} Give it longer by startTimeoutMs. ${mendOf(server)}`,
    );
  try {
    await withTimeLimit({ clock, limitMs, error, signal }, async (signal) => {
      const request = { signal, timeout: NO_LIMIT_MS };
      // What the library does not give up in time is given up all the same.
      const aborted = Promise.withResolvers<never>();
      const onAbort = () => aborted.reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const opening = (async () => {
        await client.connect(transport, request);
        const list = await client.listTools(undefined, request);
        tools = list.tools.slice(0, MAX_TOOLS);
      })();
      try {
        await Promise.race([opening, aborted.promise]);
      } catch (thrown) {
        throw signal.aborted ? signal.reason : thrown;
      } finally {
        signal.removeEventListener("abort", onAbort);
        opening.catch(() => {});
      }
    });
  } catch (thrown) {
    await closed(client, transport, clock);
    throw failure(name, server, thrown, transport);
  }
  isOpen = true;
  return { client, tools: () => tools, close: () => closed(client, transport, clock) };
}

function transportOf(
  { name, server, clock, logger }: SessionOptions,
  { StreamableHTTPClientTransport, parseJSONRPCMessage }:
    typeof import("@modelcontextprotocol/client"),
): Transport {
  if ("command" in server) {
    return new ProcessTransport({ name, server, clock, logger, parse: parseJSONRPCMessage });
  }
  const action = `Cannot use MCP server "${name}"`;
  const tooLarge = () => {
    logger.warn('MCP server "{name}" is left: it answered too much', { name });
    transport.close().catch(() => {});
  };
  const transport = new StreamableHTTPClientTransport(new URL(server.url), {
    fetch: boundedFetch(name, tooLarge),
    requestInit: { headers: withVariables(server.headers ?? {}, action) },
  });
  return transport;
}

/** Closes both: a transport whose start failed is not yet the client's. */
async function closed(client: Client, transport: Transport, clock: Clock): Promise<void> {
  if (transport.sessionId !== undefined && "terminateSession" in transport) {
    // The server keeps something for it, and is told that it need not, if it is there to hear it.
    const { terminateSession } = transport as StreamableHTTPClientTransport;
    await doneWithin(clock, GOODBYE_MS, terminateSession.call(transport).catch(() => {}));
  }
  await client.close().catch(() => {});
  await transport.close().catch(() => {});
}

function obituary(transport: Transport): string {
  return transport instanceof ProcessTransport ? transport.obituary() : "";
}

function mendOf(server: McpServerOptions): string {
  return "command" in server
    ? "Start it by hand to see why."
    : `Is it running at ${server.url}, and does it let this device in?`;
}

function failure(
  name: string,
  server: McpServerOptions,
  thrown: unknown,
  transport: Transport,
): NetworkError {
  if (thrown instanceof NetworkError) return thrown;
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot use MCP server "${name}": ${reasonOf(thrown)}.${obituary(transport)} ${mendOf(server)}`,
    { cause: thrown },
  );
}

const acceptsAll: jsonSchemaValidator = {
  getValidator<T>(): JsonSchemaValidator<T> {
    return (data) => ({ valid: true, data: data as T, errorMessage: undefined });
  },
};
