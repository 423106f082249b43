/** What clients may read without calling a tool: `hanzo://devices` and the like. */

import {
  type McpServer,
  type ReadResourceResult,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { NetworkError } from "../../base/errors.ts";
import { safeJson } from "../../base/safe_text.ts";
import { agents, devices, models } from "./device_tools.ts";
import type { FindNetwork, NetworkPort } from "./network_port.ts";

const MIME_TYPE = "application/json";
/** Keys of the shared state that are listed. */
const MAX_KEYS = 200;

type Read = (network: NetworkPort, signal: AbortSignal) => Promise<unknown>;

/** Adds them to a server. */
export function addResources(server: McpServer, find: FindNetwork): void {
  const lists: Record<string, { description: string; read: Read }> = {
    devices: { description: "The devices of the network", read: devices },
    agents: { description: "The agents of the network", read: agents },
    models: { description: "The models of the network", read: models },
  };
  for (const [name, { description, read }] of Object.entries(lists)) {
    const about = { title: description, description, mimeType: MIME_TYPE };
    server.registerResource(
      name,
      `hanzo://${name}`,
      about,
      async (uri, { mcpReq: { signal } }) => contents(uri, await read(await find(), signal)),
    );
  }
  const template = new ResourceTemplate("hanzo://state/{key}", {
    list: async ({ mcpReq: { signal } }) => {
      // The other resources are there without a node, too.
      const entries = await find().then((network) => network.state.entries("", signal)).catch(
        () => [],
      );
      return {
        resources: entries.slice(0, MAX_KEYS).map(({ key }) => ({
          name: key,
          uri: `hanzo://state/${encodeURIComponent(key)}`,
          mimeType: MIME_TYPE,
        })),
      };
    },
  });
  server.registerResource(
    "state",
    template,
    {
      title: "Shared state",
      description: "What the state that all devices share holds under a key",
      mimeType: MIME_TYPE,
    },
    async (uri, { key }, { mcpReq: { signal } }) => {
      const network = await find();
      return contents(uri, (await network.state.entry(decoded(String(key)), signal)).value);
    },
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the shared state: ${JSON.stringify(text)} is no key as it stands in a URI. ` +
        "Percent-encode it.",
      { cause },
    );
  }
}

function contents(uri: URL, value: unknown): ReadResourceResult {
  const text = safeJson(JSON.stringify(value));
  return { contents: [{ uri: uri.href, mimeType: MIME_TYPE, text }] };
}
