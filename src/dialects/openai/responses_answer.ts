/** Answers of a chat as OpenAI's Responses: the response itself, and its items. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatCompletion } from "../chat.ts";
import { checkedAnswer, firstSaid, type Said, type Used, usedIn } from "../chat_answer.ts";
import { type Block, blocksOf } from "../chat_blocks.ts";
import type { JsonObject, TranslationNeeds } from "../dialect.ts";

/** What of a request its answer depends on. */
export interface ResponseForm {
  readonly needs: TranslationNeeds;
  readonly body: JsonObject;
  /** Those that were taken. */
  readonly tools: readonly JsonObject[];
  readonly id: string;
  /** In seconds since 1970. */
  readonly createdAt: number;
}

/** How far it has come. */
export type ResponseStatus = "in_progress" | "completed" | "incomplete";

/** A whole answer. */
export function wholeResponse(form: ResponseForm, completion: ChatCompletion): JsonValue {
  const said = firstSaid(checkedAnswer(completion, "choices"));
  const end = endOf(said?.finish);
  const blocks = said === undefined ? [] : blocksOf(said, form.needs.newId);
  const output = blocks.map((block, i) => {
    const isCut = end.status === "incomplete" && i === blocks.length - 1;
    return itemOf(block, itemId(block, form.needs), isCut ? "incomplete" : "completed");
  });
  return responseOf(form, { ...end, output, usage: usageOf(usedIn(completion)) });
}

/** What a response says of itself. */
export interface ResponseState {
  readonly status: ResponseStatus;
  readonly reason?: string;
  readonly output: JsonObject[];
  readonly usage: JsonObject | null;
}

/** A response, with what was asked said again as OpenAI does. */
export function responseOf(
  { needs: { model, now }, body, tools, id, createdAt }: ResponseForm,
  { status, reason, output, usage }: ResponseState,
): JsonObject {
  return {
    id,
    object: "response",
    created_at: createdAt,
    completed_at: status === "completed" ? seconds(now()) : null,
    status,
    background: false,
    error: null,
    incomplete_details: reason === undefined ? null : { reason },
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    model,
    output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    service_tier: "default",
    store: false,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: [...tools],
    top_p: body.top_p ?? 1,
    truncation: "disabled",
    usage,
    user: body.user ?? null,
  };
}

/** Of milliseconds. */
export function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/** How it ends, and why before its time. */
export function endOf(
  finish: Said["finish"],
): { status: "completed" | "incomplete"; reason?: string } {
  switch (finish) {
    case "length":
      return { status: "incomplete", reason: "max_output_tokens" };
    case "content_filter":
      return { status: "incomplete", reason: "content_filter" };
    default:
      return { status: "completed" };
  }
}

/** A new id for the item of a block. */
export function itemId({ type }: Block, { newId }: TranslationNeeds): string {
  return `${type === "text" ? "msg" : type === "thought" ? "rs" : "fc"}_${newId()}`;
}

/** The item of a block; before anything is said in it its content is empty. */
export function itemOf(
  block: Block,
  id: string,
  status: ResponseStatus,
): JsonObject {
  const content = status === "in_progress" ? [] : [partOf(block)];
  switch (block.type) {
    case "text":
      return { type: "message", id, status, role: "assistant", content };
    case "thought":
      return { type: "reasoning", id, status, summary: [], content };
    case "call":
      return {
        type: "function_call",
        id,
        status,
        call_id: block.id,
        name: block.name,
        arguments: status === "in_progress" ? "" : argumentsText(block),
      };
  }
}

/** The one part of an item's content. */
export function partOf({ type, text }: Pick<Block, "type" | "text">): JsonObject {
  return type === "thought"
    ? { type: "reasoning_text", text }
    : { type: "output_text", text, annotations: [], logprobs: [] };
}

/** Clients parse it, also where a model gives none. */
export function argumentsText({ text }: Block): string {
  return text.trim() === "" ? "{}" : text;
}

/** What it took. */
export function usageOf(used: Used | undefined): JsonObject {
  const { input = 0, output = 0, cached = 0, reasoning = 0 } = used ?? {};
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}
