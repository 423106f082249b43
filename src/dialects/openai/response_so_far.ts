/** How an answer of `/v1/responses` that breaks off is ended: by what was said of it so far. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ErrorCode } from "../../base/errors.ts";
import type { CallError, Followed, JsonObject } from "../dialect.ts";
import { EventReader, eventText } from "../events.ts";
import { isObject } from "../fields.ts";
import { openAiError } from "./errors.ts";
import { partOf } from "./responses_answer.ts";

/** Of longer answers the end is told without what was said, in UTF-16 units. */
const MAX_KEPT = 16 * 1024 * 1024;

/** What a response that has failed calls it; anything else is `server_error`. */
const CODES: Readonly<Partial<Record<ErrorCode, string>>> = {
  RESOURCE_EXHAUSTED: "rate_limit_exceeded",
  INVALID_ARGUMENT: "invalid_prompt",
};

/** An item, and what was said in it: all, or piece by piece until it is said to be done. */
interface ItemSoFar {
  item: JsonObject;
  text: string;
  isDone: boolean;
}

/** See the top of the file. */
export class ResponseSoFar implements Followed {
  readonly #events = new EventReader();
  readonly #items: ItemSoFar[] = [];
  /** The newest that was told of the response itself. */
  #response: JsonObject | undefined;
  #number = 0;
  #kept = 0;

  push(text: string): void {
    this.#events.push(text, (data) => this.#take(data));
  }

  /**
   * `response.failed`, by which programs know that no more comes, and then `error`: libraries throw
   * that one as soon as they read it, and would not see the other behind it.
   */
  breakOff(error: CallError): string {
    const failed = this.#response === undefined ? "" : this.#failed(this.#response, error);
    return failed + errorEvent(error, this.#number);
  }

  #failed(response: JsonObject, { code, message }: CallError): string {
    const type = "response.failed";
    const told = {
      ...response,
      status: "failed",
      error: { code: CODES[code] ?? "server_error", message },
      output: this.#items.map(itemOf),
    };
    return eventText({ type, sequence_number: this.#number++, response: told }, type);
  }

  #take(data: string): void {
    let event: unknown;
    try {
      event = JSON.parse(data);
    } catch {
      return; // It is told by who watches over the stream.
    }
    if (!isObject(event)) return;
    const { type, sequence_number: number, response, output_index: at, item, delta } = event;
    if (typeof number === "number") this.#number = number + 1;
    this.#kept += data.length;
    if (this.#kept > MAX_KEPT) {
      this.#items.length = 0;
      return;
    }
    if (isObject(response)) this.#response = response;
    if (!isIndex(at, this.#items.length)) return;
    if (isObject(item)) {
      this.#items[at] = { item, text: "", isDone: type === "response.output_item.done" };
    } else if (typeof delta === "string" && SAID.has(type) && at < this.#items.length) {
      this.#items[at].text += delta;
    }
  }
}

/** An error in the middle of a response. */
export function errorEvent(error: CallError, number: number): string {
  const told = openAiError(error);
  const { message, code, param } = told;
  // Clients that look for an `error` throw it; the others know an event by this type.
  const event = { type: "error", sequence_number: number, code, message, param, error: told };
  return eventText(event, "error");
}

/** The events whose pieces are what an item says. */
const SAID: ReadonlySet<JsonValue | undefined> = new Set([
  "response.output_text.delta",
  "response.reasoning_text.delta",
  "response.function_call_arguments.delta",
]);

/** Items come one after the other. */
function isIndex(at: JsonValue | undefined, count: number): at is number {
  return typeof at === "number" && Number.isInteger(at) && at >= 0 && at <= count;
}

function itemOf({ item, text, isDone }: ItemSoFar): JsonObject {
  if (isDone) return item;
  const cut = { ...item, status: "incomplete" };
  if (text === "") return cut;
  switch (item.type) {
    case "message":
      return { ...cut, content: [partOf({ type: "text", text })] };
    case "reasoning":
      return { ...cut, content: [partOf({ type: "thought", text })] };
    case "function_call":
      return { ...cut, arguments: text };
    default:
      return cut;
  }
}
