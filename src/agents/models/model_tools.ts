/** Tools as models are told of them: under names that they take, with a schema of an object. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { jsonSchemaOf } from "../../base/standard_schema.ts";
import type { Tool } from "../tool.ts";
import type { ModelTool } from "./model.ts";

/** A tool, as a model is told of it. */
export interface OfferedTool {
  /** What the agent calls it. */
  readonly tool: string;
  /** What the model is told. */
  readonly told: ModelTool;
  /** Makes what the tool takes of what the model gives. */
  readonly take: (given: JsonValue) => JsonValue;
}

/** Where a tool takes something else than an object, it is the one member of one. */
const WRAP = "input";

/** By the names that the model knows. */
export function offeredTools(tools: readonly Tool[]): Map<string, OfferedTool> {
  const offered = new Map<string, OfferedTool>();
  for (const tool of tools) {
    // Labels may have dots, the names of functions may not.
    const base = tool.name.replaceAll(".", "_");
    let name = base;
    for (let count = 2; offered.has(name); count++) name = `${base.slice(0, 60)}_${count}`;
    offered.set(name, offer(name, tool));
  }
  return offered;
}

function offer(
  name: string,
  { name: tool, description, parameters, inputSchema }: Tool,
): OfferedTool {
  const schema = inputSchema ?? (parameters && jsonSchemaOf(parameters)) ?? { type: "object" };
  const isObject = schema.type === "object" ||
    (schema.type === undefined && "properties" in schema);
  const told = isObject
    ? { ...schema, type: "object" }
    : { type: "object", properties: { [WRAP]: schema }, required: [WRAP] };
  return {
    tool,
    told: { name, description, parameters: told as ModelTool["parameters"] },
    take: (given) => isObject ? given : wrapped(given),
  };
}

function wrapped(given: JsonValue): JsonValue {
  const isWrapped = typeof given === "object" && given !== null && WRAP in given;
  return isWrapped ? (given as Record<string, JsonValue>)[WRAP] : given;
}
