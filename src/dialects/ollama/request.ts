/** What Ollama's clients ask, in OpenAI's words. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatMessage, ChatPart, ChatToolCall } from "../chat.ts";
import { imagePart, textPart } from "../chat_parts.ts";
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

/** What both ways of asking have, but for what is said. */
export function optionsOf(body: JsonObject): JsonObject {
  const given = optional(body.options, "options", objectOf) ?? {};
  const number = (name: string) => optional(given[name], `options.${name}`, numberOf);
  const most = number("num_predict");
  const { stop } = given;
  // The others say how a model is kept in memory, or are known to Ollama alone.
  return compact({
    temperature: number("temperature"),
    top_p: number("top_p"),
    top_k: number("top_k"),
    min_p: number("min_p"),
    seed: number("seed"),
    presence_penalty: number("presence_penalty"),
    frequency_penalty: number("frequency_penalty"),
    // Less than one is no bound.
    max_tokens: most === undefined || most < 1 ? undefined : Math.floor(most),
    stop: typeof stop === "string" ? [stop] : optional(stop, "options.stop", stringsOf),
    response_format: formatOf(body.format),
    reasoning_effort: effortOf(body.think),
    logprobs: optional(body.logprobs, "logprobs", booleanOf) || undefined,
    top_logprobs: body.logprobs === true
      ? optional(body.top_logprobs || undefined, "top_logprobs", countOf)
      : undefined,
    stream_options: body.stream === false ? undefined : { include_usage: true },
  }) as JsonObject;
}

function formatOf(format: JsonValue | undefined): JsonObject | undefined {
  if (isAbsent(format) || format === "") return undefined;
  if (format === "json") return { type: "json_object" };
  if (!isObject(format)) throw wrongField("format", format, '"json" or a schema of JSON');
  return { type: "json_schema", json_schema: { name: "answer", schema: format } };
}

/** Models that think do so by themselves. */
function effortOf(think: JsonValue | undefined): string | undefined {
  if (isAbsent(think) || think === true || think === "") return undefined;
  if (think === false) return "none";
  if (typeof think !== "string") throw wrongField("think", think, "true, false or how much");
  return think;
}

/** Whether the client wants to be told what the model thinks. */
export function wantsThoughts({ think }: JsonObject): boolean {
  return think !== false;
}

/** The tools, which are in OpenAI's words already. */
export function toolsOf(tools: JsonValue | undefined): JsonObject[] | undefined {
  const given = optional(tools, "tools", listOf);
  if (given === undefined || given.length === 0) return undefined;
  return given.map((tool, i) => {
    const called = objectOf(objectOf(tool, `tools[${i}]`).function, `tools[${i}].function`);
    nameOf(called.name, `tools[${i}].function.name`);
    return { type: "function", function: called };
  });
}

/** What was said so far. */
export function messagesOf(messages: JsonValue | undefined): ChatMessage[] {
  // Calls that no tool has answered yet: Ollama's have no ids, OpenAI's must.
  const open: ChatToolCall[] = [];
  let calls = 0;
  return (optional(messages, "messages", listOf) ?? []).map((given, i) => {
    const field = `messages[${i}]`;
    const message = objectOf(given, field);
    const content = optional(message.content, `${field}.content`, stringOf) ?? "";
    switch (message.role) {
      case "system":
        return { role: "system", content };
      case "user":
        return { role: "user", content: contentOf(content, message.images, `${field}.images`) };
      case "assistant": {
        const called = optional(message.tool_calls, `${field}.tool_calls`, listOf) ?? [];
        const tool_calls = called.map((call, j) =>
          callOf(call, `${field}.tool_calls[${j}]`, `call_${++calls}`)
        );
        open.push(...tool_calls);
        const thought = optional(message.thinking, `${field}.thinking`, stringOf);
        return {
          role: "assistant",
          content,
          ...(tool_calls.length > 0 && { tool_calls }),
          ...(thought && { reasoning_content: thought }),
        };
      }
      case "tool": {
        const { tool_call_id: id, tool_name: name } = message;
        let at = open.findIndex((one) => one.id === id);
        if (at === -1) at = open.findIndex((one) => one.function.name === name);
        const [answered] = open.splice(Math.max(at, 0), 1);
        return { role: "tool", tool_call_id: answered?.id ?? `call_${++calls}`, content };
      }
      default:
        throw wrongField(`${field}.role`, message.role, "system, user, assistant or tool");
    }
  });
}

function callOf(call: JsonValue, field: string, newId: string): ChatToolCall {
  const { id, function: called } = objectOf(call, field);
  const { name, arguments: given } = objectOf(called, `${field}.function`);
  return {
    id: typeof id === "string" && id !== "" ? id : newId,
    type: "function",
    function: {
      name: nameOf(name, `${field}.function.name`),
      arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}),
    },
  };
}

/** A text with the pictures that belong to it. */
export function contentOf(
  text: string,
  images: JsonValue | undefined,
  field: string,
): string | ChatPart[] {
  const given = optional(images, field, stringsOf) ?? [];
  if (given.length === 0) return text;
  return [
    ...(text === "" ? [] : [textPart(text)]),
    ...given.map((image) => imagePart(urlOf(image))),
  ];
}

/** How pictures begin, in Base64. */
const IMAGES: readonly (readonly [start: string, type: string])[] = [
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
  ["Qk", "image/bmp"],
];

function urlOf(base64: string): string {
  if (base64.startsWith("data:")) return base64;
  const type = IMAGES.find(([start]) => base64.startsWith(start))?.[1] ?? "image/png";
  return `data:${type};base64,${base64}`;
}

/** Refuses what only Ollama itself can do. */
export function refuseOwn(body: JsonObject, names: readonly string[]): void {
  for (const name of names) {
    const value = body[name];
    const saysNothing = isAbsent(value) || value === "" || value === false ||
      Array.isArray(value) && value.length === 0;
    if (!saysNothing) {
      throw untranslatable(
        name,
        "cannot be said in a chat",
        "Leave it out, or ask a model that an Ollama has.",
      );
    }
  }
}
