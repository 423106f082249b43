/** Messages of Anthropic's clients, block by block, in OpenAI's words. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatMessage, ChatPart, ChatToolCall } from "../chat.ts";
import { contentOf, imagePart, textPart } from "../chat_parts.ts";
import type { JsonObject } from "../dialect.ts";
import {
  isAbsent,
  listOf,
  nameOf,
  objectOf,
  optional,
  stringOf,
  untranslatable,
  wrongField,
} from "../fields.ts";

/** A text, or blocks that are texts, as one text. */
export function systemOf(given: JsonValue | undefined, field: string): string {
  if (isAbsent(given)) return "";
  return blocksOf(given, field).map((block, i) => {
    if (block.type !== "text") throw wrongField(`${field}[${i}].type`, block.type, '"text"');
    return stringOf(block.text, `${field}[${i}].text`);
  }).join("\n");
}

/** What a message is there: one, or more where tools have answered in it. */
export function messagesOf(given: JsonValue, field: string): ChatMessage[] {
  const { role, content } = objectOf(given, field);
  switch (role) {
    case "user":
      return userMessages(blocksOf(content, `${field}.content`), `${field}.content`);
    case "assistant":
      return [assistantMessage(blocksOf(content, `${field}.content`), `${field}.content`)];
    case "system":
      return [{ role, content: systemOf(content, `${field}.content`) }];
    default:
      throw wrongField(`${field}.role`, role, "user or assistant");
  }
}

/** A text is a block of its own. */
function blocksOf(content: JsonValue | undefined, field: string): JsonObject[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return listOf(content, field).map((block, i) => objectOf(block, `${field}[${i}]`));
}

/** Tools' answers stand before all else: right after the message that called them. */
function userMessages(blocks: readonly JsonObject[], field: string): ChatMessage[] {
  const answers: ChatMessage[] = [];
  const parts: ChatPart[] = [];
  blocks.forEach((block, i) => {
    const at = `${field}[${i}]`;
    if (block.type !== "tool_result") return parts.push(...partsOf(block, at));
    const said = isAbsent(block.content)
      ? []
      : blocksOf(block.content, `${at}.content`).flatMap((one, j) =>
        partsOf(one, `${at}.content[${j}]`)
      );
    const texts = said.filter((part) => part.type === "text");
    const text = contentOf(texts) as string;
    answers.push({
      role: "tool",
      tool_call_id: nameOf(block.tool_use_id, `${at}.tool_use_id`),
      content: block.is_error === true ? `Error: ${text}` : text,
    });
    // Only who asks can show pictures there.
    parts.push(...said.filter((part) => part.type !== "text"));
  });
  const asks = parts.length > 0 || answers.length === 0;
  return asks ? [...answers, { role: "user", content: contentOf(parts) }] : answers;
}

function partsOf(block: JsonObject, field: string): ChatPart[] {
  switch (block.type) {
    case "text":
      return [textPart(stringOf(block.text, `${field}.text`))];
    case "image":
      return [imagePart(urlOf(objectOf(block.source, `${field}.source`), `${field}.source`))];
    case "document":
      return documentOf(block, field);
    case "search_result": {
      const { title, source, content } = block;
      const text = systemOf(content, `${field}.content`);
      return [textPart(`${[title, source].filter(Boolean).join(", ")}\n${text}`)];
    }
    default:
      throw untranslatable(
        `${field}.type`,
        `is ${JSON.stringify(block.type ?? null)}`,
        "Give it as text or image.",
      );
  }
}

function urlOf({ type, media_type, data, url }: JsonObject, field: string): string {
  if (type === "url") return nameOf(url, `${field}.url`);
  if (type !== "base64") {
    throw untranslatable(
      `${field}.type`,
      `is ${JSON.stringify(type ?? null)}`,
      "Give the picture as base64 or url.",
    );
  }
  return `data:${nameOf(media_type, `${field}.media_type`)};base64,${
    nameOf(data, `${field}.data`)
  }`;
}

function documentOf({ title, source: given }: JsonObject, field: string): ChatPart[] {
  const source = objectOf(given, `${field}.source`);
  const heading = typeof title === "string" && title !== "" ? [textPart(title)] : [];
  switch (source.type) {
    case "text":
      return [...heading, textPart(stringOf(source.data, `${field}.source.data`))];
    case "content": {
      const at = `${field}.source.content`;
      const parts = blocksOf(source.content, at).flatMap((block, i) =>
        partsOf(block, `${at}[${i}]`)
      );
      return [...heading, ...parts];
    }
    default:
      throw untranslatable(
        `${field}.source.type`,
        `is ${JSON.stringify(source.type ?? null)}`,
        "Give the document as text.",
      );
  }
}

function assistantMessage(blocks: readonly JsonObject[], field: string): ChatMessage {
  const texts: ChatPart[] = [];
  const calls: ChatToolCall[] = [];
  let thought = "";
  blocks.forEach((block, i) => {
    const at = `${field}[${i}]`;
    switch (block.type) {
      case "tool_use":
        calls.push({
          id: nameOf(block.id, `${at}.id`),
          type: "function",
          function: {
            name: nameOf(block.name, `${at}.name`),
            arguments: JSON.stringify(block.input ?? {}),
          },
        });
        break;
      case "thinking":
        thought += optional(block.thinking, `${at}.thinking`, stringOf) ?? "";
        break;
      case "redacted_thinking":
        // Only who has the key can read it.
        break;
      default:
        texts.push(...partsOf(block, at));
    }
  });
  const content = contentOf(texts);
  return {
    role: "assistant",
    content: content === "" && calls.length > 0 ? null : content,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(thought !== "" && { reasoning_content: thought }),
  };
}
