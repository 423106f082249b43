/**
 * Anthropic's `/v1/messages/count_tokens`: programs ask it to see when a conversation becomes too
 * long. Only the model itself can count, and few engines tell; so it is estimated.
 */

import type { ChatMessage } from "../../dialects/chat.ts";
import type { JsonObject } from "../../dialects/dialect.ts";
import { DIALECTS } from "../../dialects/dialects.ts";
import { CHARACTERS_PER_TOKEN } from "../../network/models/prompt_length.ts";

/** Where it is asked. */
export const COUNT_TOKENS_PATH = "/v1/messages/count_tokens";

/** What Anthropic's models take a picture for at most; others less. */
const PICTURE_TOKENS = 1_600;
/** Of `[]`. */
const EMPTY_LIST_LENGTH = 2;

/**
 * About how many tokens a request has: a token for each four characters, rounded up.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is none that a message could answer.
 */
export function countTokens(body: JsonObject): { input_tokens: number } {
  const dialect = DIALECTS["anthropic-messages"];
  const { model } = dialect.read(body);
  const needs = { model, now: () => 0, newId: () => "" };
  const { request } = dialect.toChat!({ ...body, max_tokens: 1, stream: false }, needs);
  const { messages, tools = [] } = request;
  const parts = messages.flatMap(partsOf);
  const characters = parts.reduce((sum, text) => sum + (text?.length ?? 0), 0) +
    JSON.stringify(tools).length - EMPTY_LIST_LENGTH;
  const pictures = parts.filter((part) => part === undefined).length;
  return {
    input_tokens: Math.ceil(characters / CHARACTERS_PER_TOKEN) + pictures * PICTURE_TOKENS,
  };
}

/** Its texts; undefined stands for a picture. */
function partsOf({ content, tool_calls: calls = [] }: ChatMessage): (string | undefined)[] {
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  return [
    ...(parts ?? []).map((part) => part.type === "text" ? part.text : undefined),
    ...calls.map(({ function: called }) => called.name + called.arguments),
  ];
}
