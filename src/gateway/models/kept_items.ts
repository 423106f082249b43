/**
 * What OpenAI's Responses have answered here lately, item by item: clients that believe it to be kept
 * (the AI SDK does) name an item by its id when they go on, instead of sending it again.
 */

import type { DialectName, JsonObject } from "../../dialects/dialect.ts";
import { EventReader } from "../../dialects/events.ts";
import { isObject } from "../../dialects/fields.ts";

/** So many items, and characters of them, are kept; those that came first go first. */
const MAX_ITEMS = 4_096;
const MAX_CHARACTERS = 8 * 1024 * 1024;
/** The events at whose end all items are known. */
const ENDS: ReadonlySet<string> = new Set(["response.completed", "response.incomplete"]);

/** See the top of the file. Nothing of it outlives the node. */
export class KeptItems {
  /** As JSON, by their ids. */
  readonly #items = new Map<string, string>();
  #characters = 0;

  /** The request with items in the place of what refers to them; itself where nothing does. */
  restored(body: JsonObject): JsonObject {
    const { input } = body;
    if (!Array.isArray(input) || !input.some((item) => this.#referred(item) !== undefined)) {
      return body;
    }
    return {
      ...body,
      input: input.map((item) => {
        const kept = this.#referred(item);
        return kept === undefined ? item : JSON.parse(kept);
      }),
    };
  }

  /** The same answer, of which is kept what it says, unless its client wants nothing kept. */
  keep<Answer extends string | AsyncGenerator<string, void, void>>(
    dialect: DialectName,
    { store }: JsonObject,
    answer: Answer,
  ): Answer {
    if (dialect !== "openai-responses" || store === false) return answer;
    if (typeof answer !== "string") return this.#watched(answer) as typeof answer;
    this.#take(answer);
    return answer;
  }

  async *#watched(pieces: AsyncGenerator<string, void, void>): AsyncGenerator<string, void, void> {
    const reader = new EventReader();
    const take = (data: string, name: string) => {
      if (ENDS.has(name)) this.#take(data);
    };
    for await (const piece of pieces) {
      // Before it is told: who has heard the end may go on at once.
      reader.push(piece, take);
      yield piece;
    }
  }

  /** A response, or the event that has one in it. */
  #take(json: string): void {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      return; // Whoever asked sees what it is.
    }
    const response = isObject(value) && isObject(value.response) ? value.response : value;
    const output = isObject(response) && Array.isArray(response.output) ? response.output : [];
    for (const item of output) {
      if (isObject(item) && typeof item.id === "string") this.#add(item.id, JSON.stringify(item));
    }
  }

  #add(id: string, json: string): void {
    if (json.length > MAX_CHARACTERS) return;
    // Ids that engines make need not be unlike any other: who goes on does so soon.
    this.#characters -= this.#items.get(id)?.length ?? 0;
    this.#items.delete(id);
    this.#items.set(id, json);
    this.#characters += json.length;
    for (const [oldest, { length }] of this.#items) {
      if (this.#items.size <= MAX_ITEMS && this.#characters <= MAX_CHARACTERS) return;
      this.#items.delete(oldest);
      this.#characters -= length;
    }
  }

  #referred(item: unknown): string | undefined {
    if (!isObject(item) || item.type !== "item_reference") return undefined;
    return typeof item.id === "string" ? this.#items.get(item.id) : undefined;
  }
}
