/** The tools that come with a node, by name, as far as its owner allows them. */

import { NetworkError } from "../../base/errors.ts";
import type { NodeToolName, ToolSource } from "../agent_tools.ts";
import type { McpServers } from "../mcp/servers.ts";
import type { Tool } from "../tool.ts";
import { createHttpRequestTool, type HttpRequestToolOptions } from "./http_request.ts";
import { createWebSearchTool, type WebSearchToolOptions } from "./web_search.ts";

/** What the agents of a node may reach outside of the network. */
export interface NodeToolOptions {
  /** Which hosts `"http_request"` may ask; without it there is no such tool. */
  httpRequest?: HttpRequestToolOptions;
  /** What `"web_search"` searches with; without it there is no such tool. */
  webSearch?: WebSearchToolOptions;
}

/** What {@linkcode nodeTools} are made of. */
export interface NodeToolsOptions {
  readonly nodeId: string;
  readonly allowed: NodeToolOptions;
  /** Those that every node has. */
  readonly always: readonly Tool[];
  readonly mcpServers: Pick<McpServers, "use">;
}

/** What allows them. */
const ALLOWING: Readonly<Partial<Record<NodeToolName, string>>> = {
  http_request: "--allow-host HOST, or tools: { httpRequest: { allowHosts: [HOST] } }",
  web_search: "--web-search URL, or tools: { webSearch: { searxng: URL } }",
};

/**
 * The source of a node's tools.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when what is allowed is no host, or no URL.
 */
export function nodeTools({ nodeId, allowed, always, mcpServers }: NodeToolsOptions): ToolSource {
  const { httpRequest, webSearch } = allowed;
  const tools = [
    ...always,
    ...(httpRequest === undefined ? [] : [createHttpRequestTool(httpRequest)]),
    ...(webSearch === undefined ? [] : [createWebSearchTool(webSearch)]),
  ];
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  return {
    named(name) {
      const tool = byName.get(name);
      if (tool !== undefined) return tool;
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot use tool "${name}" on node "${nodeId}": its owner has not allowed it. Allow it ` +
          `there with ${ALLOWING[name]}.`,
      );
    },
    ofServers: (servers) => mcpServers.use(servers),
  };
}
