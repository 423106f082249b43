/** The events of OpenAI's Responses. */

import type { ChatChunk } from "../chat.ts";
import { type Block, Blocks, type BlockTeller } from "../chat_blocks.ts";
import { Tally } from "../chat_tally.ts";
import type { JsonObject, PieceTranslator } from "../dialect.ts";
import { eventText } from "../events.ts";
import {
  argumentsText,
  endOf,
  itemId,
  itemOf,
  partOf,
  type ResponseForm,
  responseOf,
  usageOf,
} from "./responses_answer.ts";

/** An answer in pieces. */
export class ResponsePieces implements PieceTranslator, BlockTeller {
  readonly #form: ResponseForm;
  readonly #blocks: Blocks;
  readonly #output: JsonObject[] = [];
  #number = 0;
  #hasBegun = false;
  /** The item that is being said. */
  #item = "";
  readonly #tally = new Tally();
  /** Whether what is closed now was cut off. */
  #isCut = false;

  constructor(form: ResponseForm) {
    this.#form = form;
    this.#blocks = new Blocks(this, form.needs.newId);
  }

  push(chunk: ChatChunk): string {
    const begin = this.#begin();
    const said = this.#tally.take(chunk);
    return said === undefined ? begin : begin + this.#blocks.push(said);
  }

  end(): string {
    const begin = this.#begin();
    const end = endOf(this.#tally.finish);
    this.#isCut = end.status === "incomplete";
    const rest = this.#blocks.end();
    const usage = usageOf(this.#tally.used);
    const response = responseOf(this.#form, { ...end, output: this.#output, usage });
    return begin + rest + this.#event(end.status, { response });
  }

  open(block: Block): string {
    this.#item = itemId(block, this.#form.needs);
    const item = itemOf(block, this.#item, "in_progress");
    const added = this.#event("output_item.added", { output_index: this.#output.length, item });
    if (block.type === "call") return added;
    const part = partOf({ type: block.type, text: "" });
    return added + this.#inContent("content_part.added", { part });
  }

  add({ type }: Block, delta: string): string {
    switch (type) {
      case "text":
        return this.#inContent("output_text.delta", { delta, logprobs: [] });
      case "thought":
        return this.#inContent("reasoning_text.delta", { delta });
      case "call":
        return this.#inItem("function_call_arguments.delta", { delta });
    }
  }

  close(block: Block): string {
    const done = this.#done(block);
    const item = itemOf(block, this.#item, this.#isCut ? "incomplete" : "completed");
    const output_index = this.#output.push(item) - 1;
    return done + this.#event("output_item.done", { output_index, item });
  }

  #done(block: Block): string {
    const { type, text, name } = block;
    switch (type) {
      case "text":
        return this.#inContent("output_text.done", { text, logprobs: [] }) +
          this.#inContent("content_part.done", { part: partOf(block) });
      case "thought":
        return this.#inContent("reasoning_text.done", { text }) +
          this.#inContent("content_part.done", { part: partOf(block) });
      case "call": {
        const json = argumentsText(block);
        const missing = text === "" ? this.add(block, json) : "";
        return missing +
          this.#inItem("function_call_arguments.done", { name, arguments: json });
      }
    }
  }

  #begin(): string {
    if (this.#hasBegun) return "";
    this.#hasBegun = true;
    const response = responseOf(this.#form, { status: "in_progress", output: [], usage: null });
    return this.#event("created", { response }) + this.#event("in_progress", { response });
  }

  #inContent(name: string, rest: Record<string, unknown>): string {
    return this.#inItem(name, { content_index: 0, ...rest });
  }

  #inItem(name: string, rest: Record<string, unknown>): string {
    return this.#event(name, { item_id: this.#item, output_index: this.#output.length, ...rest });
  }

  #event(name: string, rest: Record<string, unknown>): string {
    const type = `response.${name}`;
    return eventText({ type, sequence_number: this.#number++, ...rest }, type);
  }
}
