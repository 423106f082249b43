/** Ollama's `/api/chat`. */

import type { ChatRequest } from "../chat.ts";
import type { ChatTranslation, Dialect, JsonObject, TranslationNeeds } from "../dialect.ts";
import { compact, isAbsent, listOf, optional, readAsked } from "../fields.ts";
import { watchLines } from "../stream_watch.ts";
import { type OllamaForm, OllamaPieces, wholeAnswer } from "./answer.ts";
import { breakOffOllama, judgeOllama, refuseOllama } from "./errors.ts";
import { loading } from "./loading.ts";
import { messagesOf, optionsOf, toolsOf, wantsThoughts } from "./request.ts";

/** See the top of the file. */
export const ollamaChat: Dialect = {
  name: "ollama-chat",
  path: "/api/chat",
  streamType: "application/x-ndjson",
  read(body) {
    optional(body.messages, "messages", listOf);
    return readAsked(named(body), { streams: true });
  },
  toChat,
  watch: () => watchLines(judgeOllama),
  refuse: refuseOllama,
  breakOff: breakOffOllama,
};

/** Older clients say `name` for `model`. */
export function named(body: JsonObject): JsonObject {
  return isAbsent(body.model) || body.model === "" ? { ...body, model: body.name } : body;
}

function toChat(body: JsonObject, needs: TranslationNeeds): ChatTranslation {
  const form: OllamaForm = {
    needs,
    askedAt: needs.now(),
    wantsThoughts: wantsThoughts(body),
    say: ({ text, thought, calls }) => ({
      message: {
        role: "assistant",
        content: text,
        ...(thought !== undefined && { thinking: thought }),
        ...(calls !== undefined && { tool_calls: calls }),
      },
    }),
  };
  const messages = messagesOf(body.messages);
  if (messages.length === 0) return loading(form, body);
  return {
    request: compact({ messages, tools: toolsOf(body.tools), ...optionsOf(body) }) as ChatRequest,
    whole: (completion) => wholeAnswer(form, completion),
    pieces: () => new OllamaPieces(form),
  };
}
