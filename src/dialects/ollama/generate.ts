/** Ollama's `/api/generate`: a prompt, and what comes of it. */

import type { ChatMessage, ChatRequest } from "../chat.ts";
import type { ChatTranslation, Dialect, JsonObject, TranslationNeeds } from "../dialect.ts";
import { compact, isAbsent, optional, readAsked, stringOf } from "../fields.ts";
import { watchLines } from "../stream_watch.ts";
import { type OllamaForm, OllamaPieces, wholeAnswer } from "./answer.ts";
import { named } from "./chat.ts";
import { breakOffOllama, judgeOllama, refuseOllama } from "./errors.ts";
import { loading } from "./loading.ts";
import { contentOf, optionsOf, refuseOwn, wantsThoughts } from "./request.ts";

/** See the top of the file. */
export const ollamaGenerate: Dialect = {
  name: "ollama-generate",
  path: "/api/generate",
  streamType: "application/x-ndjson",
  read(body) {
    optional(body.prompt, "prompt", stringOf);
    return readAsked(named(body), { streams: true });
  },
  toChat,
  watch: () => watchLines(judgeOllama),
  refuse: refuseOllama,
  breakOff: breakOffOllama,
};

function toChat(body: JsonObject, needs: TranslationNeeds): ChatTranslation {
  refuseOwn(body, ["suffix", "template", "context", "raw"]);
  const form: OllamaForm = {
    needs,
    askedAt: needs.now(),
    wantsThoughts: wantsThoughts(body),
    // It has no tools.
    say: ({ text, thought }) => ({
      response: text,
      ...(thought !== undefined && { thinking: thought }),
    }),
  };
  const prompt = optional(body.prompt, "prompt", stringOf) ?? "";
  const content = contentOf(prompt, body.images, "images");
  if (content === "") return loading(form, body);
  const system = isAbsent(body.system) ? "" : stringOf(body.system, "system");
  const messages: ChatMessage[] = [
    ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
    { role: "user", content },
  ];
  return {
    request: compact({ messages, ...optionsOf(body) }) as ChatRequest,
    whole: (completion) => wholeAnswer(form, completion),
    pieces: () => new OllamaPieces(form),
  };
}
