/** Requests of Ollama's that ask nothing: the model is to be read into memory, or thrown out. */

import type { ChatTranslation, JsonObject } from "../dialect.ts";
import { lineText } from "../events.ts";
import { untranslatable } from "../fields.ts";
import { loadedAnswer, type OllamaForm } from "./answer.ts";

/**
 * Engines that have no words for it read a model when they are asked anything: for one token, which
 * nobody is told.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` where it is to be thrown out: for that, nothing helps.
 */
export function loading(form: OllamaForm, { keep_alive }: JsonObject): ChatTranslation {
  if (keep_alive === 0 || keep_alive === "0" || /^0+(\.0+)?[a-z]+$/.test(`${keep_alive}`)) {
    throw untranslatable(
      "keep_alive",
      "is 0, and only an Ollama can be told to forget a model",
      "Stop it in its own program.",
    );
  }
  return {
    request: { messages: [{ role: "user", content: "Hi" }], max_tokens: 1 },
    whole: () => loadedAnswer(form),
    pieces: () => ({ push: () => "", end: () => lineText(loadedAnswer(form)) }),
  };
}
