/** Answers of a chat as Ollama's clients know them: whole, and as lines of JSON. */

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
import { lineText } from "../events.ts";

/** What is said in an answer, or in a piece of it. */
export interface OllamaSaid {
  readonly text: string;
  readonly thought?: string;
  readonly calls?: JsonObject[];
}

/** How one of the two ways of asking has it in its answers. */
export interface OllamaForm {
  readonly needs: TranslationNeeds;
  /** When it was asked, in milliseconds since 1970. */
  readonly askedAt: number;
  readonly wantsThoughts: boolean;
  /** The field, or the fields, that have what is said. */
  say(said: OllamaSaid): JsonObject;
}

/** A whole answer. */
export function wholeAnswer(form: OllamaForm, completion: ChatCompletion): JsonValue {
  const said = firstSaid(checkedAnswer(completion, "choices"));
  const blocks = said === undefined ? [] : blocksOf(said, form.needs.newId);
  const calls = blocks.filter(({ type }) => type === "call").map(callOf);
  const { thought = "" } = said ?? {};
  return {
    ...head(form, {
      text: said?.text ?? "",
      ...(form.wantsThoughts && thought !== "" && { thought }),
      ...(calls.length > 0 && { calls }),
    }),
    ...(said?.logprobs && { logprobs: logprobsOf(said.logprobs) }),
    ...last(form, said?.finish, usedIn(completion), undefined),
  };
}

/** An answer of which nothing was to be said: the model was to be read into memory. */
export function loadedAnswer(form: OllamaForm): JsonObject {
  return { ...head(form, { text: "" }), done: true, done_reason: "load" };
}

function head(form: OllamaForm, said: OllamaSaid): JsonObject {
  const { needs: { model, now } } = form;
  return { model, created_at: new Date(now()).toISOString(), ...form.say(said), done: false };
}

/** Clients divide tokens by durations: none of these is zero. */
function last(
  { needs, askedAt }: OllamaForm,
  finish: Said["finish"],
  used: Used | undefined,
  spokeAt: number | undefined,
): JsonObject {
  const now = needs.now();
  const total = nanoseconds(now - askedAt);
  return {
    done: true,
    done_reason: finishOr(finish, false) === "length" ? "length" : "stop",
    total_duration: total,
    load_duration: 0,
    prompt_eval_count: used?.input ?? 0,
    prompt_eval_duration: spokeAt === undefined ? 0 : nanoseconds(spokeAt - askedAt),
    eval_count: used?.output ?? 0,
    eval_duration: spokeAt === undefined ? total : nanoseconds(now - spokeAt),
  };
}

/** Of milliseconds, and at least one: a clock may stand still, or be set back. */
export function nanoseconds(ms: number): number {
  return Math.max(1, Math.round(ms * 1e6));
}

function callOf({ id, name, text }: Block, index: number): JsonObject {
  return { id, function: { index, name, arguments: argumentsOf(text) } };
}

/** Both have the same; OpenAI's may have fields beside. */
function logprobsOf(given: readonly JsonObject[]): JsonObject[] {
  const one = ({ token, logprob, bytes }: JsonObject): JsonObject => ({
    token: token ?? "",
    logprob: logprob ?? 0,
    ...(Array.isArray(bytes) && { bytes }),
  });
  return given.map((token) => ({
    ...one(token),
    ...(Array.isArray(token.top_logprobs) && {
      top_logprobs: token.top_logprobs.map((other) => one(other as JsonObject)),
    }),
  }));
}

/** An answer in pieces. */
export class OllamaPieces implements PieceTranslator, BlockTeller {
  readonly #form: OllamaForm;
  readonly #blocks: Blocks;
  #calls = 0;
  readonly #tally = new Tally();
  #spokeAt: number | undefined;
  #logprobs: readonly JsonObject[] | undefined;

  constructor(form: OllamaForm) {
    this.#form = form;
    this.#blocks = new Blocks(this, form.needs.newId);
  }

  push(chunk: ChatChunk): string {
    const said = this.#tally.take(chunk);
    if (said === undefined) return "";
    if (this.#tally.hasSpoken) this.#spokeAt ??= this.#form.needs.now();
    this.#logprobs = said.logprobs;
    return this.#blocks.push(this.#form.wantsThoughts ? said : { ...said, thought: "" });
  }

  end(): string {
    const rest = this.#blocks.end();
    const { finish, used } = this.#tally;
    return rest + lineText({
      ...head(this.#form, { text: "" }),
      ...last(this.#form, finish, used, this.#spokeAt),
    });
  }

  open(): string {
    return "";
  }

  add({ type }: Block, piece: string): string {
    // The arguments of a call are one object, and cannot come in pieces.
    if (type === "call") return "";
    const said = type === "text" ? { text: piece } : { text: "", thought: piece };
    const logprobs = this.#logprobs && { logprobs: logprobsOf(this.#logprobs) };
    this.#logprobs = undefined;
    return lineText({ ...head(this.#form, said), ...logprobs });
  }

  close(block: Block): string {
    if (block.type !== "call") return "";
    const calls = [callOf(block, this.#calls++)];
    return lineText(head(this.#form, { text: "", calls }));
  }
}
