/** OpenAI's `/v1/chat/completions`: the form that stands between dialects, said as it is. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatChunk, ChatCompletion, ChatRequest } from "../chat.ts";
import { checkedAnswer } from "../chat_answer.ts";
import { judgeChat } from "../chat_stream.ts";
import type {
  ChatTranslation,
  Dialect,
  JsonObject,
  PieceTranslator,
  TranslationNeeds,
} from "../dialect.ts";
import { DONE, eventText } from "../events.ts";
import { isObject, listOf, objectOf, optional, readAsked, without, wrongField } from "../fields.ts";
import { watchEvents } from "../stream_watch.ts";
import { breakOffOpenAi, refuseOpenAi } from "./errors.ts";

/** See the top of the file. */
export const openAiChat: Dialect = {
  name: "openai-chat",
  path: "/v1/chat/completions",
  streamType: "text/event-stream",
  read(body) {
    const asked = readAsked(body, { streams: false });
    listOf(body.messages, "messages");
    return asked;
  },
  toChat,
  watch: () => watchEvents(judgeChat),
  refuse: refuseOpenAi,
  breakOff: breakOffOpenAi,
};

function toChat(body: JsonObject, needs: TranslationNeeds): ChatTranslation {
  const messages = listOf(body.messages, "messages");
  if (messages.length === 0) throw wrongField("messages", messages, "at least one message");
  messages.forEach((message, i) => {
    const { role } = objectOf(message, `messages[${i}]`);
    if (typeof role !== "string") throw wrongField(`messages[${i}].role`, role, "a role");
  });
  return {
    // Whatever options there are, known or not, are the engine's to judge.
    request: withUsage(body) as unknown as ChatRequest,
    whole: (completion) => named(completion, needs),
    pieces: () => new ChatPieces(needs, wantsUsage(body)),
  };
}

/** The options without `model` and `stream`; of a stream it is to be told what it took. */
export function withUsage(body: JsonObject): JsonObject {
  const request = without(body, ["model", "stream"]);
  if (body.stream !== true) return without(request, ["stream_options"]);
  const given = optional(body.stream_options, "stream_options", objectOf);
  return { ...request, stream_options: { ...given, include_usage: true } };
}

/** Whether the client itself wants to be told what a stream took. */
export function wantsUsage({ stream_options }: JsonObject): boolean {
  return isObject(stream_options) && stream_options.include_usage === true;
}

/** The answer under the name that the client knows. */
function named(completion: ChatCompletion, { model }: TranslationNeeds): JsonValue {
  return { ...checkedAnswer(completion, "choices"), model } as unknown as JsonValue;
}

class ChatPieces implements PieceTranslator {
  readonly #model: string;
  readonly #wantsUsage: boolean;

  constructor({ model }: TranslationNeeds, wantsUsage: boolean) {
    this.#model = model;
    this.#wantsUsage = wantsUsage;
  }

  push(chunk: ChatChunk): string {
    if (this.#wantsUsage) return eventText({ ...chunk, model: this.#model });
    // A piece without choices is a surprise to who did not ask for it.
    const { usage: _, ...rest } = chunk;
    const saysNothing = !Array.isArray(chunk.choices) || chunk.choices.length === 0;
    return saysNothing ? "" : eventText({ ...rest, model: this.#model });
  }

  end(): string {
    return `data: ${DONE}\n\n`;
  }
}
