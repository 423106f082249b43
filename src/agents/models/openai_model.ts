/** Models behind a server that speaks OpenAI's protocol, which nearly every one does. */

import { type Clock, systemClock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { needGranted } from "../../base/permissions.ts";
import { stoppable } from "../../base/stoppable.ts";
import { chatModel, type SendToModel } from "./chat_model.ts";
import type { Model } from "./model.ts";

/** What {@linkcode createOpenAiModel} takes. */
export interface OpenAiModelOptions {
  /** The model's name at the server: `"llama3.2"`, `"gpt-4o-mini"`. */
  model: string;
  /** Where the server is, up to the version: `"http://127.0.0.1:11434/v1"`. */
  baseUrl: string;
  /** The key, where the server wants one. */
  apiKey?: string;
  /**
   * How long an answer may take, in milliseconds, 1 to 3,600,000; one that is streamed may take
   * longer, as long as the server is never silent for that long.
   *
   * @default {60000}
   */
  timeoutMs?: number;
}

/** Who speaks to a server himself can mend it himself. */
const MENDS: Readonly<Record<number, string>> = {
  0: "Is baseUrl right?",
  401: "Give the right key as apiKey.",
  403: "Give a key that may use this model as apiKey.",
  404: "Is the model there by this name, and does baseUrl end with the version, such as /v1?",
};
const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 3_600_000;

/**
 * A model behind a server that speaks OpenAI's protocol: OpenAI itself, Ollama, vLLM, llama.cpp,
 * LM Studio and most others.
 *
 * @example
 * ```ts
 * import { createOpenAiModel } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const model = createOpenAiModel({ model: "llama3.2", baseUrl: "http://127.0.0.1:11434/v1" });
 * assertEquals(model.name, "llama3.2");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when an option is not what it may be. When it is asked:
 * `UNAVAILABLE` when no server answers, or it has failed; `PERMISSION_DENIED` for a wrong key;
 * `NOT_FOUND` without the model; `RESOURCE_EXHAUSTED` when it was asked too often;
 * `DEADLINE_EXCEEDED`; `PROTOCOL` when the answer is none.
 */
export function createOpenAiModel(options: OpenAiModelOptions): Model {
  return openAiModel(options, { clock: systemClock, fetch });
}

/** The same on a given clock and network. */
export function openAiModel(
  { model, baseUrl, apiKey, timeoutMs = DEFAULT_TIMEOUT_MS }: OpenAiModelOptions,
  { clock, fetch }: { clock: Clock; fetch: typeof globalThis.fetch },
): Model {
  const url = URL.parse(`${baseUrl}`.replace(/\/*$/, "/chat/completions"));
  if (
    url === null || !/^https?:$/.test(url.protocol) || typeof model !== "string" || model === ""
  ) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot use model ${JSON.stringify(model)} at ${JSON.stringify(baseUrl)}: expected a name, ` +
        "and a URL that begins with http:// or https://.",
    );
  }
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot use model "${model}": timeoutMs is ${timeoutMs}, expected 1 to ${MAX_TIMEOUT_MS}.`,
    );
  }
  const action = `Cannot ask model "${model}" at ${url.origin}`;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const send: SendToModel = async ({ body, signal }) => {
    needGranted(action, { name: "net", host: `${url.hostname}:${port}` });
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        },
        body,
        signal,
      });
      const response = stoppable(answer, signal);
      const after = Number(response.headers.get("retry-after") ?? Number.NaN);
      return {
        status: response.status,
        ...(after >= 0 && after < 86_400 && { retryAfterMs: after * 1_000 }),
        body: response.body ?? ReadableStream.from<Uint8Array>([]),
      };
    } catch (thrown) {
      signal.throwIfAborted();
      throw new NetworkError(
        "UNAVAILABLE",
        `${action}: no server answers there (${
          describeError(thrown)
        }). Start it, or correct baseUrl.`,
        { cause: thrown },
      );
    }
  };
  // A server may repeat the key that it does not take.
  const censor = (said: string) => said.replaceAll(apiKey || "\0", "…");
  return chatModel({ name: model, send, action, timeoutMs, clock, mends: MENDS, censor });
}
