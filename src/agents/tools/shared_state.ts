/** The tool `shared_state`: what all devices of the network share, for models. */

import { z } from "zod";
import type { JsonValue } from "../../base/bounded_json.ts";
import { NetworkError } from "../../base/errors.ts";
import { createTool, type Tool } from "../tool.ts";

/** What the tool needs of the state. */
export interface StateForTool {
  get(key: string): JsonValue | undefined;
  keys(prefix?: string): string[];
  set(key: string, value: JsonValue): Promise<void>;
  delete(key: string): Promise<boolean>;
  increment(key: string, by?: number): Promise<number>;
  append(key: string, ...items: readonly JsonValue[]): Promise<void>;
}

/** What {@linkcode createSharedStateTool} takes. */
export interface SharedStateToolOptions {
  readonly state: () => StateForTool;
  /** Keys that begin like this are not there for models: they are kept by the network itself. */
  readonly hidden: readonly string[];
}

const MAX_KEYS = 200;

const parameters = z.object({
  action: z.enum(["get", "keys", "set", "delete", "increment", "append"]),
  key: z.string().default("").describe("The key; for keys how they begin, or empty for all"),
  value: z.json().optional().describe("What to set or append; by how much to increment"),
});

/** Makes the tool. */
export function createSharedStateTool({ state, hidden }: SharedStateToolOptions): Tool {
  const isHidden = (key: string) => hidden.some((prefix) => key.startsWith(prefix));
  return createTool({
    name: "shared_state",
    description: "Reads and changes values by key that all devices of the network share and keep",
    parameters,
    inputSchema: INPUT_SCHEMA,
    handler: async ({ action, key, value }): Promise<JsonValue> => {
      const shared = state();
      if (action === "keys") {
        const keys = shared.keys(key).filter((one) => !isHidden(one));
        const left = keys.length - MAX_KEYS;
        return { keys: keys.slice(0, MAX_KEYS), ...(left > 0 && { more: left }) };
      }
      if (key === "") throw refusal(action, "there is no key", "Name one.");
      if (isHidden(key)) {
        throw refusal(action, `"${key}" is the network's own`, "Take another key.");
      }
      if (action === "get") return { key, value: shared.get(key) ?? null };
      if (action === "delete") return { key, deleted: await shared.delete(key) };
      if (action === "increment") return { key, value: await incremented(shared, key, value) };
      if (value === undefined) throw refusal(action, "there is no value", "Give one.");
      if (action === "append") await shared.append(key, value as JsonValue);
      else await shared.set(key, value as JsonValue);
      return { key, done: true };
    },
  });
}

/** Written out: what a schema says of any JSON refers to itself, which small models do not follow. */
const INPUT_SCHEMA = {
  type: "object",
  properties: {
    action: { type: "string", enum: ["get", "keys", "set", "delete", "increment", "append"] },
    key: { type: "string", description: "The key; for keys how they begin, or empty for all" },
    value: { description: "What to set or append; by how much to increment" },
  },
  required: ["action"],
} as const;

async function incremented(state: StateForTool, key: string, by: unknown): Promise<number> {
  if (by === undefined) return await state.increment(key);
  if (typeof by === "number") return await state.increment(key, by);
  throw refusal("increment", "its value is no number", "Give one.");
}

function refusal(action: string, why: string, mend: string): NetworkError {
  return new NetworkError("INVALID_ARGUMENT", `Cannot ${action}: ${why}. ${mend}`);
}
