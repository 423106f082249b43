/** What OpenAI's Responses ask, in the words of a chat. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatRequest } from "../chat.ts";
import type { JsonObject } from "../dialect.ts";
import {
  booleanOf,
  compact,
  countOf,
  isAbsent,
  isObject,
  listOf,
  nameOf,
  numberOf,
  objectOf,
  optional,
  stringOf,
  untranslatable,
  wrongField,
} from "../fields.ts";
import { messagesOf } from "./responses_items.ts";

/** A request, and of its tools those that are taken, as the client gave them. */
export interface ResponsesRequest {
  readonly request: ChatRequest;
  readonly tools: readonly JsonObject[];
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming what is wrong, or cannot be said. */
export function requestOf(body: JsonObject): ResponsesRequest {
  refuseKept(body);
  const { names, ...choice } = choiceOf(body.tool_choice);
  const tools = toolsOf(body.tools).filter(({ name }) => names?.includes(`${name}`) ?? true);
  const { effort } = optional(body.reasoning, "reasoning", objectOf) ?? {};
  const { format } = optional(body.text, "text", objectOf) ?? {};
  const request = compact({
    messages: messagesOf(body),
    max_tokens: optional(body.max_output_tokens, "max_output_tokens", countOf),
    temperature: optional(body.temperature, "temperature", numberOf),
    top_p: optional(body.top_p, "top_p", numberOf),
    user: optional(body.user, "user", stringOf),
    reasoning_effort: optional(effort, "reasoning.effort", nameOf),
    response_format: formatOf(format),
    ...(tools.length > 0 && {
      tools: tools.map(functionOf),
      ...choice,
      parallel_tool_calls: optional(body.parallel_tool_calls, "parallel_tool_calls", booleanOf),
    }),
    stream_options: body.stream === true ? { include_usage: true } : undefined,
  });
  return { request: request as unknown as ChatRequest, tools };
}

/** Of what OpenAI keeps, nothing is here. */
function refuseKept(body: JsonObject): void {
  const kept = {
    previous_response_id: "Send the whole conversation as input.",
    conversation: "Send the whole conversation as input.",
    prompt: "Send the prompt itself as instructions and input.",
    background: "Wait for the answer, or take it as a stream.",
  };
  for (const [name, mend] of Object.entries(kept)) {
    const value = body[name];
    if (isAbsent(value) || value === false) continue;
    throw untranslatable(name, "means something that OpenAI keeps", mend);
  }
}

/** Tools that OpenAI runs itself. A model need not use any, so that one does without. */
const ITS_OWN = /^(web_search|file_search|code_interpreter|image_generation|mcp$|tool_search)/;

function toolsOf(tools: JsonValue | undefined): JsonObject[] {
  return (optional(tools, "tools", listOf) ?? []).flatMap((given, i) => {
    const field = `tools[${i}]`;
    const tool = objectOf(given, field);
    const type = stringOf(tool.type, `${field}.type`);
    if (ITS_OWN.test(type)) return [];
    if (type !== "function") {
      throw untranslatable(
        `${field}.type`,
        `is ${JSON.stringify(type)}`,
        "Describe it as a function, or ask a model of an engine that has /v1/responses.",
      );
    }
    nameOf(tool.name, `${field}.name`);
    optional(tool.parameters, `${field}.parameters`, objectOf);
    return [tool];
  });
}

function functionOf({ name, description, parameters, strict }: JsonObject): JsonObject {
  return {
    type: "function",
    function: compact({
      name,
      description: description ?? undefined,
      parameters: parameters ?? { type: "object", properties: {} },
      strict: strict ?? undefined,
    }) as JsonObject,
  };
}

/** Which tools may be called at all, and which must. */
function choiceOf(
  choice: JsonValue | undefined,
): { names?: string[]; tool_choice?: JsonValue } {
  if (isAbsent(choice)) return {};
  if (choice === "auto" || choice === "none" || choice === "required") {
    return { tool_choice: choice };
  }
  if (!isObject(choice)) {
    throw wrongField("tool_choice", choice, "auto, none, required or an object");
  }
  switch (choice.type) {
    case "function": {
      const name = nameOf(choice.name, "tool_choice.name");
      return { tool_choice: { type: "function", function: { name } } };
    }
    case "allowed_tools":
      return {
        names: listOf(choice.tools, "tool_choice.tools").map((tool, i) =>
          `${objectOf(tool, `tool_choice.tools[${i}]`).name}`
        ),
        tool_choice: choice.mode === "required" ? "required" : "auto",
      };
    default:
      throw untranslatable(
        "tool_choice.type",
        `is ${JSON.stringify(choice.type ?? null)}`,
        "Choose a function, or leave it to the model.",
      );
  }
}

function formatOf(given: JsonValue | undefined): JsonObject | undefined {
  const format = optional(given, "text.format", objectOf);
  switch (format?.type) {
    case undefined:
    case "text":
      return undefined;
    case "json_object":
      return { type: "json_object" };
    case "json_schema": {
      const { name, schema, strict, description } = format;
      return {
        type: "json_schema",
        json_schema: compact({
          name: nameOf(name, "text.format.name"),
          schema: objectOf(schema, "text.format.schema"),
          strict: strict ?? undefined,
          description: description ?? undefined,
        }) as JsonObject,
      };
    }
    default:
      throw wrongField("text.format.type", format?.type, "text, json_object or json_schema");
  }
}
