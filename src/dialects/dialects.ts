/** All dialects, by their names and by their paths. */

import type { Dialect, DialectName } from "./dialect.ts";
import { anthropicMessages } from "./anthropic/messages.ts";
import { ollamaChat } from "./ollama/chat.ts";
import { ollamaEmbed, ollamaEmbeddings } from "./ollama/embed.ts";
import { ollamaGenerate } from "./ollama/generate.ts";
import { openAiChat } from "./openai/chat.ts";
import { openAiCompletions } from "./openai/completions.ts";
import { openAiEmbeddings } from "./openai/embeddings.ts";
import { openAiResponses } from "./openai/responses.ts";

/** Every dialect. */
export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  "openai-chat": openAiChat,
  "openai-completions": openAiCompletions,
  "openai-embeddings": openAiEmbeddings,
  "openai-responses": openAiResponses,
  "anthropic-messages": anthropicMessages,
  "ollama-chat": ollamaChat,
  "ollama-generate": ollamaGenerate,
  "ollama-embed": ollamaEmbed,
  "ollama-embeddings": ollamaEmbeddings,
};

const BY_PATH: ReadonlyMap<string, Dialect> = new Map(
  Object.values(DIALECTS).map((dialect) => [dialect.path, dialect]),
);

/**
 * The dialect of a path; undefined where it is none of a call of a model.
 *
 * @param path Without a query: `/v1/chat/completions`.
 */
export function dialectOf(path: string): Dialect | undefined {
  return BY_PATH.get(path);
}
