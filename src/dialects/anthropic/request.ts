/** What Anthropic's clients ask, in OpenAI's words. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatMessage, ChatRequest } from "../chat.ts";
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
  stringsOf,
  untranslatable,
  wrongField,
} from "../fields.ts";
import { messagesOf, systemOf } from "./messages_in.ts";

/** @throws {NetworkError} `INVALID_ARGUMENT` naming what is wrong, or cannot be said. */
export function requestOf(body: JsonObject): ChatRequest {
  const given = listOf(body.messages, "messages");
  if (given.length === 0) throw wrongField("messages", given, "at least one message");
  const system = systemOf(body.system, "system");
  const messages: ChatMessage[] = [
    ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
    ...given.flatMap((message, i) => messagesOf(message, `messages[${i}]`)),
  ];
  const tools = toolsOf(body.tools);
  const stop = optional(body.stop_sequences, "stop_sequences", stringsOf);
  const { user_id } = optional(body.metadata, "metadata", objectOf) ?? {};
  return compact({
    messages,
    max_tokens: countOf(body.max_tokens, "max_tokens"),
    temperature: optional(body.temperature, "temperature", numberOf),
    top_p: optional(body.top_p, "top_p", numberOf),
    top_k: optional(body.top_k, "top_k", numberOf),
    stop: stop?.length === 0 ? undefined : stop,
    user: optional(user_id, "metadata.user_id", stringOf),
    tools,
    ...(tools !== undefined && choiceOf(body.tool_choice)),
    response_format: formatOf(body.output_config),
    // How much is thought is left to the model: engines refuse to be told of one that cannot think.
    reasoning_effort: thinkingOf(body) === "disabled" ? "none" : undefined,
    stream_options: body.stream === true ? { include_usage: true } : undefined,
  }) as unknown as ChatRequest;
}

/** Whether the client wants to be told what the model thinks: only if it says so. */
export function wantsThoughts(body: JsonObject): boolean {
  const type = thinkingOf(body);
  return type !== undefined && type !== "disabled";
}

function thinkingOf({ thinking }: JsonObject): string | undefined {
  const config = optional(thinking, "thinking", objectOf);
  return config && nameOf(config.type, "thinking.type");
}

/** Tools that Anthropic runs itself. A model need not use any, so that one does without. */
const ITS_OWN = /^(web_search|web_fetch|code_execution|tool_search_tool|mcp_toolset|advisor)/;

function toolsOf(tools: JsonValue | undefined): JsonObject[] | undefined {
  const taken = (optional(tools, "tools", listOf) ?? []).flatMap((given, i) => {
    const field = `tools[${i}]`;
    const tool = objectOf(given, field);
    const type = optional(tool.type, `${field}.type`, stringOf) ?? "custom";
    if (ITS_OWN.test(type)) return [];
    if (type !== "custom") {
      throw untranslatable(
        `${field}.type`,
        `is "${type}", a tool that only Anthropic's models know`,
        "Describe it with name, description and input_schema.",
      );
    }
    return [{ type: "function", function: functionOf(tool, field) }];
  });
  return taken.length === 0 ? undefined : taken;
}

function functionOf(tool: JsonObject, field: string): JsonObject {
  return compact({
    name: nameOf(tool.name, `${field}.name`),
    description: optional(tool.description, `${field}.description`, stringOf),
    parameters: objectOf(tool.input_schema, `${field}.input_schema`),
    strict: optional(tool.strict, `${field}.strict`, booleanOf),
  }) as JsonObject;
}

function choiceOf(given: JsonValue | undefined): JsonObject {
  const choice = optional(given, "tool_choice", objectOf);
  if (choice === undefined) return {};
  const isSingle = choice.disable_parallel_tool_use === true;
  return {
    tool_choice: toolChoiceOf(choice),
    ...(isSingle && { parallel_tool_calls: false }),
  };
}

function toolChoiceOf({ type, name }: JsonObject): JsonValue {
  switch (type) {
    case "auto":
    case "none":
      return type;
    case "any":
      return "required";
    case "tool":
      return { type: "function", function: { name: nameOf(name, "tool_choice.name") } };
    default:
      throw wrongField("tool_choice.type", type, "auto, any, tool or none");
  }
}

function formatOf(config: JsonValue | undefined): JsonObject | undefined {
  const { format } = optional(config, "output_config", objectOf) ?? {};
  if (isAbsent(format)) return undefined;
  if (!isObject(format) || format.type !== "json_schema") {
    throw wrongField("output_config.format", format, "an object of the type json_schema");
  }
  const schema = objectOf(format.schema, "output_config.format.schema");
  return { type: "json_schema", json_schema: { name: "answer", schema, strict: true } };
}
