/** Models that say what a test has written. */

import type { JsonValue } from "../../../src/base/bounded_json.ts";
import type { Model, ModelAnswer, ModelRequest } from "../../../src/agents/models/model.ts";

/** One answer: a text, calls of tools, or what is made of the request. */
export type Line =
  | string
  | Partial<ModelAnswer>
  | ((request: ModelRequest) => Partial<ModelAnswer> | Promise<Partial<ModelAnswer>>);

/** A model that says the lines in turn, and what it was asked. */
export class ScriptedModel implements Model {
  readonly name = "scripted";
  readonly asked: ModelRequest[] = [];
  readonly #lines: readonly Line[];

  /** The last line is said again and again. */
  constructor(...lines: readonly Line[]) {
    this.#lines = lines;
  }

  async generate(request: ModelRequest): Promise<ModelAnswer> {
    request.signal?.throwIfAborted();
    const line = this.#lines[Math.min(this.asked.push(request), this.#lines.length) - 1];
    const said = typeof line === "function" ? await line(request) : line;
    const answer = typeof said === "string" ? { text: said } : said;
    // As models stream: a word at a time.
    for (const word of answer.text?.match(/\s*\S+/g) ?? []) await request.onToken?.(word);
    return { text: "", toolCalls: [], ...answer };
  }
}

/** An answer that calls tools. */
export function calling(...calls: readonly [name: string, args?: JsonValue][]) {
  return {
    toolCalls: calls.map(([name, args = {}], i) => ({ id: `call-${i}`, name, arguments: args })),
  };
}
