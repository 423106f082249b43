/** Ollama's `/api/embed`, and `/api/embeddings` from before there were lists of texts. */

import type { Dialect, JsonObject } from "../dialect.ts";
import { isObject, numberOf, optional, readAsked, stringOf, stringsOf } from "../fields.ts";
import { vectorsOf } from "../openai/embeddings.ts";
import { watchLines } from "../stream_watch.ts";
import { nanoseconds } from "./answer.ts";
import { named } from "./chat.ts";
import { breakOffOllama, judgeOllama, refuseOllama } from "./errors.ts";

/** An answer of these never comes in pieces. */
const COMMON = {
  streamType: "application/x-ndjson",
  read: (body: JsonObject) => ({
    model: readAsked(named({ ...body, stream: false }), { streams: false }).model,
    stream: false,
  }),
  watch: () => watchLines(judgeOllama),
  refuse: refuseOllama,
  breakOff: breakOffOllama,
} as const;

/** Texts, and a vector for each. */
export const ollamaEmbed: Dialect = {
  ...COMMON,
  name: "ollama-embed",
  path: "/api/embed",
  toEmbeddings(body, { model, now }) {
    const { input } = body;
    const askedAt = now();
    const dimensions = optional(body.dimensions, "dimensions", numberOf);
    return {
      request: {
        input: typeof input === "string" ? [input] : stringsOf(input, "input"),
        encoding_format: "float",
        ...(dimensions !== undefined && { dimensions }),
      },
      whole: (answer) => ({
        model,
        embeddings: vectorsOf(answer),
        total_duration: nanoseconds(now() - askedAt),
        load_duration: 0,
        prompt_eval_count: tokensOf(answer),
      }),
    };
  },
};

/** One text, and its vector. */
export const ollamaEmbeddings: Dialect = {
  ...COMMON,
  name: "ollama-embeddings",
  path: "/api/embeddings",
  toEmbeddings: (body) => ({
    request: { input: [stringOf(body.prompt, "prompt")], encoding_format: "float" },
    whole: (answer) => ({ embedding: vectorsOf(answer)[0] ?? [] }),
  }),
};

function tokensOf({ usage }: JsonObject): number {
  const tokens = isObject(usage) ? usage.prompt_tokens : 0;
  return typeof tokens === "number" ? tokens : 0;
}
