/** The items of OpenAI's Responses, one by one, as messages of a chat. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatMessage, ChatPart, ChatToolCall } from "../chat.ts";
import { textOf } from "../chat_answer.ts";
import { contentOf, imagePart, textPart } from "../chat_parts.ts";
import type { JsonObject } from "../dialect.ts";
import {
  isAbsent,
  listOf,
  nameOf,
  objectOf,
  stringOf,
  untranslatable,
  wrongField,
} from "../fields.ts";

/**
 * What was said so far.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming what is wrong, or cannot be said.
 */
export function messagesOf(body: JsonObject): ChatMessage[] {
  const conversation = new Conversation();
  if (!isAbsent(body.instructions)) {
    conversation.system(stringOf(body.instructions, "instructions"));
  }
  if (typeof body.input === "string") conversation.ask([textPart(body.input)]);
  else {
    listOf(body.input, "input").forEach((item, i) => {
      takeItem(conversation, objectOf(item, `input[${i}]`), `input[${i}]`);
    });
  }
  const messages = conversation.end();
  if (messages.length === 0) throw wrongField("input", body.input, "at least one item");
  return messages;
}

function takeItem(conversation: Conversation, item: JsonObject, field: string): void {
  const { type = "message" } = item;
  switch (type) {
    case "message":
      return takeMessage(conversation, item, field);
    case "reasoning":
      return conversation.think(textOf(item.content) || textOf(item.summary));
    case "function_call":
      return conversation.call({
        id: nameOf(item.call_id, `${field}.call_id`),
        type: "function",
        function: {
          name: nameOf(item.name, `${field}.name`),
          arguments: stringOf(item.arguments, `${field}.arguments`),
        },
      });
    case "function_call_output":
      return conversation.answer(
        nameOf(item.call_id, `${field}.call_id`),
        partsOf(item.output, `${field}.output`),
      );
    case "item_reference":
      throw untranslatable(
        `${field}.type`,
        'is "item_reference", and no such answer is kept here',
        "Send the item itself.",
      );
    default:
      throw untranslatable(
        `${field}.type`,
        `is ${JSON.stringify(type)}`,
        "Leave it out, or ask a model of an engine that has /v1/responses.",
      );
  }
}

function takeMessage(conversation: Conversation, item: JsonObject, field: string): void {
  const parts = () => partsOf(item.content, `${field}.content`);
  switch (item.role) {
    case "user":
      return conversation.ask(parts());
    case "assistant":
      return conversation.say(parts());
    case "system":
    case "developer":
      // Templates of models know the one, and not all the other.
      return conversation.system(
        parts().map((part) => part.type === "text" ? part.text : "").join("\n"),
      );
    default:
      throw wrongField(`${field}.role`, item.role, "user, assistant, system or developer");
  }
}

function partsOf(content: JsonValue | undefined, field: string): ChatPart[] {
  if (typeof content === "string") return [textPart(content)];
  return listOf(content, field).map((given, i) => {
    const at = `${field}[${i}]`;
    const { type, text, refusal, image_url } = objectOf(given, at);
    switch (type) {
      case "input_text":
      case "output_text":
      case "text":
        return textPart(stringOf(text, `${at}.text`));
      case "refusal":
        return textPart(stringOf(refusal, `${at}.refusal`));
      case "input_image":
        if (typeof image_url === "string" && image_url !== "") return imagePart(image_url);
        throw untranslatable(at, "has no image_url", "Give the picture as image_url.");
      default:
        throw untranslatable(
          `${at}.type`,
          `is ${JSON.stringify(type ?? null)}`,
          "Give it as input_text or input_image.",
        );
    }
  });
}

/** Puts together what belongs together: what one side says, before the other one does. */
class Conversation {
  readonly #messages: ChatMessage[] = [];
  #thought = "";
  #said: ChatPart[] = [];
  #calls: ChatToolCall[] = [];
  /** What tools have shown: only who asks can show pictures in a chat. */
  #shown: ChatPart[] = [];

  system(text: string): void {
    this.#close();
    const last = this.#messages.at(-1);
    // Some templates take one only.
    if (last?.role !== "system") this.#messages.push({ role: "system", content: text });
    else this.#messages.splice(-1, 1, { ...last, content: `${last.content}\n\n${text}` });
  }

  ask(parts: readonly ChatPart[]): void {
    this.#closeAssistant();
    const shown = this.#shown;
    this.#shown = [];
    this.#messages.push({ role: "user", content: contentOf([...shown, ...parts]) });
  }

  think(thought: string): void {
    if (this.#said.length > 0 || this.#calls.length > 0) this.#closeAssistant();
    this.#closeShown();
    this.#thought += thought;
  }

  say(parts: readonly ChatPart[]): void {
    if (this.#said.length > 0 || this.#calls.length > 0) this.#closeAssistant();
    this.#closeShown();
    this.#said.push(...parts);
  }

  call(call: ChatToolCall): void {
    this.#closeShown();
    this.#calls.push(call);
  }

  answer(tool_call_id: string, parts: readonly ChatPart[]): void {
    this.#closeAssistant();
    const texts = parts.filter((part) => part.type === "text");
    this.#messages.push({ role: "tool", tool_call_id, content: contentOf(texts) });
    this.#shown.push(...parts.filter((part) => part.type !== "text"));
  }

  end(): ChatMessage[] {
    this.#close();
    return this.#messages;
  }

  #close(): void {
    this.#closeAssistant();
    this.#closeShown();
  }

  #closeShown(): void {
    if (this.#shown.length > 0) this.ask([]);
  }

  #closeAssistant(): void {
    const calls = this.#calls;
    const content = contentOf(this.#said);
    const thought = this.#thought;
    const isSaid = this.#said.length > 0;
    this.#calls = [];
    this.#said = [];
    this.#thought = "";
    // A thought that led to nothing is nobody's message.
    if (calls.length === 0 && !isSaid) return;
    this.#messages.push({
      role: "assistant",
      content: isSaid ? content : null,
      ...(calls.length > 0 && { tool_calls: calls }),
      ...(thought !== "" && { reasoning_content: thought }),
    });
  }
}
