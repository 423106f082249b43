/** Tools for the state that all devices share. */

import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { StateEntry } from "../state_routes.ts";
import type { FindNetwork } from "./network_port.ts";
import { anyJson, toolAnswer } from "./tool_answer.ts";

const READS = { readOnlyHint: true, openWorldHint: false } as const;
/** Writing what is there already changes nothing; what was there before is gone. */
const WRITES = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
} as const;

/** What a list shows at most: keys, and characters of their values. */
const MAX_LISTED = 1_000;
const MAX_LISTED_CHARACTERS = 512 * 1024;

const key = z.string().min(1).describe("a key of the shared state");
const entrySchema = z.object({ key: z.string(), value: anyJson });

/** Adds them to a server. */
export function addStateTools(server: McpServer, find: FindNetwork): void {
  server.registerTool(
    "get_state",
    {
      title: "Read shared state",
      description: "What the state that all devices share holds under a key.",
      inputSchema: z.strictObject({ key }),
      outputSchema: entrySchema,
      annotations: READS,
    },
    async ({ key }, { mcpReq: { signal } }) =>
      toolAnswer({ ...await (await find()).state.entry(key, signal) }),
  );
  server.registerTool("list_state", {
    title: "List shared state",
    description: "Keys of the state that all devices share, with their values.",
    inputSchema: z.strictObject({
      prefix: z.string().optional().describe("only keys that begin so"),
      limit: z.number().int().min(1).max(MAX_LISTED).optional().describe("how many; 100"),
    }),
    outputSchema: z.object({
      entries: z.array(entrySchema),
      total: z.number().describe("how many there are"),
    }),
    annotations: READS,
  }, async ({ prefix = "", limit = 100 }, { mcpReq: { signal } }) => {
    const all = await (await find()).state.entries(prefix, signal);
    return toolAnswer({ entries: firstOf(all, limit), total: all.length });
  });
  server.registerTool(
    "set_state",
    {
      title: "Write shared state",
      description: "Gives a key of the state that all devices share a value, on every device.",
      inputSchema: z.strictObject({ key, value: anyJson }),
      outputSchema: entrySchema,
      annotations: WRITES,
    },
    async (entry, { mcpReq: { signal } }) =>
      toolAnswer({ ...await (await find()).state.set(entry, signal) }),
  );
  server.registerTool("delete_state", {
    title: "Delete shared state",
    description: "Takes a key of the state that all devices share away, on every device.",
    inputSchema: z.strictObject({ key }),
    outputSchema: z.object({ key: z.string(), deleted: z.boolean() }),
    annotations: WRITES,
  }, async ({ key }, { mcpReq: { signal } }) => {
    const { deleted } = await (await find()).state.delete({ key }, signal);
    return toolAnswer({ key, deleted });
  });
}

/** As many as are wanted and fit; one that is too large for the room that is left is passed over. */
function firstOf(entries: readonly StateEntry[], limit: number): StateEntry[] {
  let room = MAX_LISTED_CHARACTERS;
  const shown: StateEntry[] = [];
  for (const { key, value } of entries.slice(0, limit)) {
    const length = key.length + JSON.stringify(value).length;
    if (length > room) continue;
    room -= length;
    shown.push({ key, value });
  }
  return shown;
}
