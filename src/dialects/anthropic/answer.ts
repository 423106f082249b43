/** Answers of a chat as Anthropic's clients know them: whole, and as events. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatChunk, ChatCompletion } from "../chat.ts";
import {
  argumentsOf,
  checkedAnswer,
  finishOr,
  firstSaid,
  type Said,
  type Used,
  usedIn,
} from "../chat_answer.ts";
import { type Block, Blocks, blocksOf, type BlockTeller } from "../chat_blocks.ts";
import { Tally } from "../chat_tally.ts";
import type { JsonObject, PieceTranslator, TranslationNeeds } from "../dialect.ts";
import { eventText } from "../events.ts";

/** What of a request its answer depends on. */
export interface AnthropicForm {
  readonly needs: TranslationNeeds;
  readonly wantsThoughts: boolean;
  readonly stopSequences: readonly string[];
}

/** A whole answer. */
export function wholeMessage(form: AnthropicForm, completion: ChatCompletion): JsonValue {
  const said = firstSaid(checkedAnswer(completion, "choices"));
  const blocks = said === undefined ? [] : blocksOf(heard(form, said), form.needs.newId);
  const hasCalls = blocks.some(({ type }) => type === "call");
  return {
    ...head(form.needs),
    content: blocks.map(blockOf),
    ...stopOf(form, said, hasCalls),
    usage: usageOf(usedIn(completion)),
  };
}

function head({ model, newId }: TranslationNeeds) {
  return { id: `msg_${newId()}`, type: "message", role: "assistant", model };
}

/** What of it the client wants to be told. */
function heard({ wantsThoughts }: AnthropicForm, said: Said): Said {
  return wantsThoughts || said.thought === "" ? said : { ...said, thought: "" };
}

function blockOf({ type, id, name, text }: Block): JsonObject {
  switch (type) {
    case "text":
      return { type: "text", text, citations: null };
    case "thought":
      return { type: "thinking", thinking: text, signature: "" };
    case "call":
      return { type: "tool_use", id, name, input: argumentsOf(text) };
  }
}

function stopOf(
  { stopSequences }: AnthropicForm,
  said: Pick<Said, "finish" | "stoppedBy"> | undefined,
  hasCalls: boolean,
) {
  const sequence = said?.stoppedBy;
  if (sequence !== undefined && stopSequences.includes(sequence)) {
    return { stop_reason: "stop_sequence", stop_sequence: sequence };
  }
  return { stop_reason: REASONS[finishOr(said?.finish, hasCalls)], stop_sequence: null };
}

const REASONS = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "refusal",
} as const;

/** What was known from before is no input there. */
function usageOf(used: Used | undefined) {
  const { input = 0, output = 0, cached = 0 } = used ?? {};
  return {
    input_tokens: Math.max(0, input - cached),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: output,
  };
}

/** An answer in pieces. */
export class AnthropicPieces implements PieceTranslator, BlockTeller {
  readonly #form: AnthropicForm;
  readonly #blocks: Blocks;
  #hasBegun = false;
  #index = -1;
  readonly #tally = new Tally();

  constructor(form: AnthropicForm) {
    this.#form = form;
    this.#blocks = new Blocks(this, form.needs.newId);
  }

  push(chunk: ChatChunk): string {
    const begin = this.#begin();
    const said = this.#tally.take(chunk);
    return said === undefined ? begin : begin + this.#blocks.push(heard(this.#form, said));
  }

  end(): string {
    const begin = this.#begin();
    const rest = this.#blocks.end();
    return begin + rest + event("message_delta", {
      delta: stopOf(this.#form, this.#tally, this.#blocks.hasCalls),
      usage: usageOf(this.#tally.used),
    }) + event("message_stop", {});
  }

  open({ type, id, name }: Block): string {
    const content_block = blockOf({ type, id, name, text: "" });
    return event("content_block_start", { index: ++this.#index, content_block });
  }

  add({ type }: Block, piece: string): string {
    return event("content_block_delta", { index: this.#index, delta: deltaOf(type, piece) });
  }

  close(): string {
    return event("content_block_stop", { index: this.#index });
  }

  #begin(): string {
    if (this.#hasBegun) return "";
    this.#hasBegun = true;
    return event("message_start", {
      message: {
        ...head(this.#form.needs),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: usageOf(undefined),
      },
    });
  }
}

function deltaOf(type: Block["type"], piece: string): JsonObject {
  switch (type) {
    case "text":
      return { type: "text_delta", text: piece };
    case "thought":
      return { type: "thinking_delta", thinking: piece };
    case "call":
      return { type: "input_json_delta", partial_json: piece };
  }
}

function event(type: string, rest: Record<string, unknown>): string {
  return eventText({ type, ...rest }, type);
}
