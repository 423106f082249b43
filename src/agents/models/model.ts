/** What thinks: the port behind which a language model stands, wherever it runs. */

import type { JsonValue } from "../../base/bounded_json.ts";

/** One message to a model. */
export type ModelMessage =
  /** How it is to behave, and what it is asked. */
  | { readonly role: "system" | "user"; readonly content: string }
  /** What it said before, and which tools it called then. */
  | {
    readonly role: "assistant";
    readonly content: string;
    readonly toolCalls?: readonly ModelToolCall[];
  }
  /** What a tool answered. */
  | { readonly role: "tool"; readonly toolCallId: string; readonly content: string };

/** A tool that a model may call. */
export interface ModelTool {
  /** Its name. */
  readonly name: string;
  /** What it does. */
  readonly description: string;
  /** The JSON Schema of its arguments: an object. */
  readonly parameters: Readonly<Record<string, JsonValue>>;
}

/** A call of a tool that a model wants. */
export interface ModelToolCall {
  /** What its answer refers to it by. */
  readonly id: string;
  /** The tool. */
  readonly name: string;
  /** What it is called with; a text where the model wrote no JSON. */
  readonly arguments: JsonValue;
}

/** What a model is asked. */
export interface ModelRequest {
  /** What was said so far. */
  readonly messages: readonly ModelMessage[];
  /** The tools that it may call. */
  readonly tools?: readonly ModelTool[];
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** What a model says. */
export interface ModelAnswer {
  /** What it says; "" where it only calls tools. */
  readonly text: string;
  /** The tools that it wants called, in order. */
  readonly toolCalls: readonly ModelToolCall[];
  /** How many tokens it read and wrote, where that is known. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
}

/**
 * A language model. An object with these two members is one, whatever it stands for: a server, an
 * engine of this device, or a function in a test.
 *
 * @example
 * ```ts
 * import type { Model } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const parrot: Model = {
 *   name: "parrot",
 *   generate: ({ messages }) =>
 *     Promise.resolve({ text: messages.at(-1)!.content, toolCalls: [] }),
 * };
 * const { text } = await parrot.generate({ messages: [{ role: "user", content: "Hello" }] });
 * assertEquals(text, "Hello");
 * ```
 */
export interface Model {
  /** What errors call it. */
  readonly name: string;
  /**
   * Asks it.
   *
   * @throws {NetworkError} Why it cannot answer, or the signal's reason.
   */
  generate(request: ModelRequest): Promise<ModelAnswer>;
}
