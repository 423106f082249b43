/**
 * A dialect is one of the ways in which programs talk to models: what a request says, what an answer
 * looks like whole and in pieces, and how errors are told. All of it is text in and text out.
 *
 * Between two dialects stands one form that every engine speaks: OpenAI's chat completions.
 */

import type { JsonValue } from "../base/bounded_json.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { ChatChunk, ChatCompletion, ChatRequest } from "./chat.ts";

/** A dialect: each is one path of an API. */
export type DialectName =
  | "openai-chat"
  | "openai-completions"
  | "openai-embeddings"
  | "openai-responses"
  | "anthropic-messages"
  | "ollama-chat"
  | "ollama-generate"
  | "ollama-embed"
  | "ollama-embeddings";

/** Every {@linkcode DialectName}. */
export const DIALECT_NAMES: readonly DialectName[] = [
  "openai-chat",
  "openai-completions",
  "openai-embeddings",
  "openai-responses",
  "anthropic-messages",
  "ollama-chat",
  "ollama-generate",
  "ollama-embed",
  "ollama-embeddings",
];

/** An object of JSON. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** What has to be known of a request before it goes anywhere. */
export interface Asked {
  /** As the client calls it; never "". */
  readonly model: string;
  /** Whether the answer is to come in pieces. */
  readonly stream: boolean;
}

/** An error of a call, to be told in a dialect. */
export interface CallError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** An error before the first piece of an answer. */
export interface Refusal {
  readonly status: number;
  readonly body: JsonValue;
}

/** See the top of the file. */
export interface Dialect {
  readonly name: DialectName;
  /** Where an engine takes it: `/v1/chat/completions`. */
  readonly path: string;
  /** The type of an answer that comes in pieces. */
  readonly streamType: "text/event-stream" | "application/x-ndjson";
  /**
   * Reads a request.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` naming what is missing.
   */
  read(body: JsonObject): Asked;
  /**
   * Says the same in the form that stands between dialects; undefined where that has no words for
   * it (embeddings).
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` naming what cannot be said there.
   */
  toChat?(body: JsonObject, needs: TranslationNeeds): ChatTranslation;
  /**
   * The same for embeddings: a request of `/v1/embeddings`, and its answer in this dialect.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` naming what cannot be said there.
   */
  toEmbeddings?(body: JsonObject, needs: TranslationNeeds): EmbeddingTranslation;
  /** Watches over an answer in pieces. */
  watch(): StreamWatch;
  /** An error in place of an answer. */
  refuse(error: CallError): Refusal;
  /** An error in the middle of an answer that comes in pieces: the text that ends it. */
  breakOff(error: CallError): string;
  /** Follows an answer in pieces, where the error that ends it tells what was said before. */
  follow?(): Followed;
}

/** An answer in pieces that is followed as it goes by. */
export interface Followed {
  /** Takes the next portion of what the client is told. */
  push(text: string): void;
  /** As the dialect's own. */
  breakOff(error: CallError): string;
}

/** What a translation needs from outside. */
export interface TranslationNeeds {
  /** The model as the client calls it, which is what it is told. */
  readonly model: string;
  /** The time now in milliseconds since 1970. */
  readonly now: () => number;
  /** Makes a part of an id that nobody else has: letters and digits. */
  readonly newId: () => string;
}

/** A request in the common form, and the way back. */
export interface ChatTranslation {
  /** Without `model` and `stream`, which whoever sends it sets. */
  readonly request: ChatRequest;
  /**
   * A whole answer in the client's dialect.
   *
   * @throws {NetworkError} `PROTOCOL` when what the engine says is none.
   */
  whole(completion: ChatCompletion): JsonValue;
  /** An answer in pieces in the client's dialect. */
  pieces(): PieceTranslator;
}

/** Turns the pieces of an answer into those of another dialect. */
export interface PieceTranslator {
  /** What a piece becomes: text to be sent as it is; "" where it says nothing there. */
  push(chunk: ChatChunk): string;
  /** What ends the answer. */
  end(): string;
}

/** A request for embeddings in OpenAI's form, and the way back. */
export interface EmbeddingTranslation {
  /** Without `model`. */
  readonly request: JsonObject;
  /**
   * The answer in the client's dialect.
   *
   * @throws {NetworkError} `PROTOCOL` when what the engine says is none.
   */
  whole(answer: JsonObject): JsonValue;
}

/**
 * Watches over the text of an answer in pieces as it goes by, in whatever portions it comes, and
 * changes nothing of it.
 */
export interface StreamWatch {
  /** Takes the next portion. */
  push(text: string): void;
  /**
   * Whether something was said that a client could have shown, or acted on: a word, a thought, a
   * call of a tool, the reason why it ends. Until then the whole call may be made again elsewhere.
   */
  readonly hasSpoken: boolean;
  /** How many tokens were said: as the engine counts them where it does, else the pieces. */
  readonly tokens: number;
  /**
   * Whether the answer has come to its proper end. Of a chat that is so, too, where all has been
   * said and only OpenAI's last event is missing: not every engine has it.
   */
  readonly isComplete: boolean;
  /** What such an engine has left out, for clients that wait for it; else "". */
  readonly missingEnd: string;
  /** What is wrong with it, if anything is: no JSON, or an error that the engine tells. */
  readonly fault: string | undefined;
}
