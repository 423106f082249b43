/** OpenAI's old `/v1/completions`: a prompt, and the text that goes on from it. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { ChatChunk, ChatCompletion, ChatRequest, FinishReason } from "../chat.ts";
import { checkedAnswer, type Said, saidIn } from "../chat_answer.ts";
import { judgeChat } from "../chat_stream.ts";
import type {
  ChatTranslation,
  Dialect,
  JsonObject,
  PieceTranslator,
  TranslationNeeds,
} from "../dialect.ts";
import { DONE, eventText } from "../events.ts";
import { isAbsent, readAsked, stringOf, untranslatable, without, wrongField } from "../fields.ts";
import { watchEvents } from "../stream_watch.ts";
import { wantsUsage, withUsage } from "./chat.ts";
import { breakOffOpenAi, refuseOpenAi } from "./errors.ts";

/** See the top of the file. */
export const openAiCompletions: Dialect = {
  name: "openai-completions",
  path: "/v1/completions",
  streamType: "text/event-stream",
  read: (body) => readAsked(body, { streams: false }),
  toChat,
  watch: () => watchEvents(judgeChat),
  refuse: refuseOpenAi,
  breakOff: breakOffOpenAi,
};

const ELSEWHERE = "Leave it out, or ask a model of an engine that has /v1/completions.";

function toChat(body: JsonObject, needs: TranslationNeeds): ChatTranslation {
  const prompt = promptOf(body.prompt);
  const { suffix, logprobs, best_of, n } = body;
  if (!isAbsent(suffix) && suffix !== "") {
    throw untranslatable("suffix", "cannot be said in a chat", ELSEWHERE);
  }
  if (!isAbsent(logprobs) && logprobs !== 0 && logprobs !== false) {
    throw untranslatable("logprobs", "has another form in a chat", ELSEWHERE);
  }
  if (!isAbsent(best_of) && best_of !== 1 && best_of !== n) {
    throw untranslatable("best_of", "cannot be said in a chat", ELSEWHERE);
  }
  const options = withUsage(
    without(body, ["prompt", "suffix", "logprobs", "best_of", "echo"]),
  );
  const echoed = body.echo === true ? prompt : "";
  return {
    request: { ...options, messages: [{ role: "user", content: prompt }] } as ChatRequest,
    whole: (completion) => ({
      ...head(checkedAnswer(completion, "choices"), needs),
      choices: saidIn(completion).map((said) => choice(echoed + said.text, said, said.finish)),
      ...(completion.usage && { usage: completion.usage as unknown as JsonValue }),
    }),
    pieces: () => new CompletionPieces(needs, echoed, wantsUsage(body)),
  };
}

function promptOf(prompt: JsonValue | undefined): string {
  if (typeof prompt === "string") return prompt;
  if (!Array.isArray(prompt)) throw wrongField("prompt", prompt, "a text");
  if (prompt.length === 1 && typeof prompt[0] === "string") return prompt[0];
  if (prompt.length > 1 && typeof prompt[0] === "string") {
    throw untranslatable("prompt", "is several texts", "Ask one at a time.");
  }
  if (typeof prompt[0] === "number" || Array.isArray(prompt[0])) {
    throw untranslatable("prompt", "is made of tokens", "Give it as a text.");
  }
  return stringOf(prompt[0], "prompt[0]");
}

function head(
  { id, created }: ChatCompletion | ChatChunk,
  { model, now, newId }: TranslationNeeds,
) {
  return {
    id: typeof id === "string" && id !== "" ? id.replace(/^chatcmpl-/, "cmpl-") : `cmpl-${newId()}`,
    object: "text_completion",
    created: typeof created === "number" ? created : Math.floor(now() / 1_000),
    model,
  };
}

function choice(text: string, { index }: Said, finish: FinishReason | undefined) {
  const finish_reason = finish === "tool_calls" || finish === "function_call" ? "stop" : finish;
  return { text, index, logprobs: null, finish_reason: finish_reason ?? null };
}

class CompletionPieces implements PieceTranslator {
  readonly #needs: TranslationNeeds;
  readonly #echoed: string;
  readonly #wantsUsage: boolean;
  /** The choices that have begun. */
  readonly #begun = new Set<number>();

  constructor(needs: TranslationNeeds, echoed: string, wantsUsage: boolean) {
    // One id for all its pieces, also where the engine gives none.
    const id = needs.newId();
    this.#needs = { ...needs, newId: () => id };
    this.#echoed = echoed;
    this.#wantsUsage = wantsUsage;
  }

  push(chunk: ChatChunk): string {
    const choices = saidIn(chunk).flatMap((said) => {
      const isFirst = !this.#begun.has(said.index);
      this.#begun.add(said.index);
      const text = (isFirst ? this.#echoed : "") + said.text;
      return text === "" && said.finish === undefined ? [] : [choice(text, said, said.finish)];
    });
    const usage = this.#wantsUsage && chunk.usage ? { usage: chunk.usage } : {};
    if (choices.length === 0 && !("usage" in usage)) return "";
    return eventText({ ...head(chunk, this.#needs), choices, ...usage });
  }

  end(): string {
    return `data: ${DONE}\n\n`;
  }
}
