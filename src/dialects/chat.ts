/** OpenAI's chat completions: the form that every engine speaks, and that stands between dialects. */

import type { JsonValue } from "../base/bounded_json.ts";

/** A part of what is said. */
export type ChatPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** A call of a tool. */
export interface ChatToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** One message. */
export interface ChatMessage {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  readonly content?: string | readonly ChatPart[] | null;
  readonly tool_calls?: readonly ChatToolCall[];
  readonly tool_call_id?: string;
  /** What a model thought before it answered; not all engines have it. */
  readonly reasoning_content?: string | null;
}

/** What is asked; what is not named here is handed on as it is. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly [option: string]: unknown;
}

/** What an answer took. */
export interface ChatUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
}

/** Why an answer ends. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

/** A whole answer. */
export interface ChatCompletion {
  readonly id: string;
  readonly object: "chat.completion";
  /** In seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: ChatMessage;
    readonly finish_reason: FinishReason | null;
    readonly logprobs?: JsonValue;
  }[];
  readonly usage?: ChatUsage | null;
}

/** A piece of an answer. */
export interface ChatChunk {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: {
      readonly role?: ChatMessage["role"];
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
      readonly tool_calls?: readonly {
        readonly index: number;
        readonly id?: string;
        readonly type?: "function";
        readonly function?: { readonly name?: string; readonly arguments?: string };
      }[];
    };
    readonly finish_reason: FinishReason | null;
  }[];
  /** In the last one, where `stream_options.include_usage` asks for it. */
  readonly usage?: ChatUsage | null;
}
