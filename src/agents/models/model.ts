/** What thinks: the port behind which a language model stands, wherever it runs. */

import type { JsonValue } from "../../base/bounded_json.ts";

/** One message to a model. */
export type ModelMessage =
  /** How it is to behave. */
  | { readonly role: "system"; readonly content: string }
  /** What it is asked. */
  | {
    readonly role: "user";
    readonly content: string;
    /** Pictures beside the text, for models that see: URLs, `data:` ones included. */
    readonly images?: readonly string[];
  }
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
  /** Whether it may, must not, or has to call one of them. @default {"auto"} */
  readonly toolChoice?: "auto" | "none" | "required";
  /** What its answer must be, where the engine can hold it to that: JSON of a schema. */
  readonly responseFormat?: ModelResponseFormat;
  /** How many tokens it may write; by default as many as the engine lets it. */
  readonly maxTokens?: number;
  /** How freely it chooses its words, 0 to 2; by default as the engine has it. */
  readonly temperature?: number;
  /**
   * Takes each piece of the text as soon as it is there; while a returned promise is pending the
   * model waits. The answer has all of the text nevertheless.
   */
  readonly onToken?: (text: string) => Promise<void> | void;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** What an answer must be. */
export interface ModelResponseFormat {
  /** What the schema is called: letters, digits, `_` and `-`. */
  readonly name: string;
  /** The JSON Schema. */
  readonly schema: Readonly<Record<string, JsonValue>>;
}

/** What a model says. */
export interface ModelAnswer {
  /** What it says; "" where it only calls tools. */
  readonly text: string;
  /** The tools that it wants called, in order. */
  readonly toolCalls: readonly ModelToolCall[];
  /** How many tokens it read and wrote, where that is known. */
  readonly usage?: ModelUsage;
  /** Whether it was cut off, because it came to `maxTokens` or to the end of what the model holds. */
  readonly isCut?: boolean;
}

/** What an answer took, in tokens. */
export interface ModelUsage {
  /** What the model read. */
  readonly inputTokens: number;
  /** What it wrote. */
  readonly outputTokens: number;
}

/** What the models of a run took together, as far as they tell it. */
export interface AgentUsage extends ModelUsage {
  /** How often a model was asked. */
  readonly modelCalls: number;
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
