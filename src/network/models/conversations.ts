/**
 * Where conversations were: an engine keeps what it has read of one, and reads only the rest when
 * it goes on there. A conversation is known by its messages up to the last one that was sent.
 */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { JsonObject } from "../../dialects/dialect.ts";

/** So many are remembered; one that goes on is remembered anew. */
const MAX_CONVERSATIONS = 4_096;
/** Of a message so much is looked at, at its beginning and at its end, in UTF-16 units. */
const LOOKED_AT = 512;
/** Messages from the end that may be new: an answer, results of tools, and what is asked now. */
const MAX_NEW = 32;

/** See the top of the file. */
export class Conversations {
  readonly #nodes = new Map<string, string>();

  /** The node that has read most of it; undefined where none has read any. */
  find(model: string, keys: readonly string[]): string | undefined {
    for (let i = keys.length - 1; i >= Math.max(0, keys.length - MAX_NEW); i--) {
      const nodeId = this.#nodes.get(`${model} ${keys[i]}`);
      if (nodeId !== undefined) return nodeId;
    }
    return undefined;
  }

  /** A node has read all of it. */
  note(model: string, keys: readonly string[], nodeId: string): void {
    const last = keys.at(-1);
    if (last === undefined) return;
    const key = `${model} ${last}`;
    this.#nodes.delete(key);
    this.#nodes.set(key, nodeId);
    if (this.#nodes.size > MAX_CONVERSATIONS) {
      this.#nodes.delete(this.#nodes.keys().next().value!);
    }
  }
}

/**
 * What a conversation is known by after each of its messages, from the first one on; empty for what
 * is none. It is the same in each dialect that has messages.
 */
export function conversationKeys(body: JsonObject): string[] {
  const messages = body.messages ?? body.input;
  if (!Array.isArray(messages) || messages.some((one) => !isMessage(one))) return [];
  let [high, low] = [0x811c9dc5, 0x01000193];
  // What it begins with is part of it, wherever that stands.
  const content = body.system ?? body.instructions ?? "";
  if (content !== "") [high, low] = mixed(high, low, glance({ role: "system", content }));
  return messages.map((message) => {
    [high, low] = mixed(high, low, glance(message));
    return String.fromCharCode(high >>> 16, high & 0xffff, low >>> 16, low & 0xffff);
  });
}

function isMessage(value: JsonValue): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Pictures and documents are long, and differ at their ends. */
function glance(message: JsonValue): string {
  const { role = "", content } = message as JsonObject;
  const text = typeof content === "string"
    ? content
    : Array.isArray(content) && content.length > 0
    ? content.map(textOf).join("")
    : JSON.stringify(message);
  return text.length <= 2 * LOOKED_AT
    ? `${role}${text}`
    : `${role}${text.length}${text.slice(0, LOOKED_AT)}${text.slice(-LOOKED_AT)}`;
}

/** A text is the same as a part; what is to be kept in a cache is said of another part each time. */
function textOf(part: JsonValue): string {
  if (isMessage(part) && typeof (part as JsonObject).text === "string") {
    return (part as JsonObject).text as string;
  }
  return JSON.stringify(part, (key, value) => key === "cache_control" ? undefined : value);
}

/** Two lanes of FNV-1a: no secret depends on it, and a mistake costs a cache. */
function mixed(high: number, low: number, text: string): [number, number] {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x01000193) >>> 0;
    low = Math.imul(low ^ unit ^ (high >>> 15), 0x85ebca6b) >>> 0;
  }
  return [high, low];
}
