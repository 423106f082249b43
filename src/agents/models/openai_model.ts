/** Models behind a server that speaks OpenAI's protocol, which nearly every one does. */

import { z } from "zod";
import { type JsonValue, parseBoundedJson } from "../../base/bounded_json.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { describeError, type ErrorCode, NetworkError } from "../../base/errors.ts";
import { needGranted } from "../../base/permissions.ts";
import { safeLine } from "../../base/safe_text.ts";
import { parseWith } from "../../base/schema.ts";
import { withTimeLimit } from "../../base/time_limit.ts";
import type { Model, ModelAnswer, ModelMessage, ModelRequest, ModelTool } from "./model.ts";

/** What {@linkcode createOpenAiModel} takes. */
export interface OpenAiModelOptions {
  /** The model's name at the server: `"llama3.2"`, `"gpt-4o-mini"`. */
  model: string;
  /** Where the server is, up to the version: `"http://127.0.0.1:11434/v1"`. */
  baseUrl: string;
  /** The key, where the server wants one. */
  apiKey?: string;
  /**
   * How long an answer may take, in milliseconds, 1 to 3,600,000.
   *
   * @default {60000}
   */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 3_600_000;
/** The longest answer that is read. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Of what a server says when it refuses, so much is told. */
const MAX_REASON_LENGTH = 300;

/** What a server's answer must have. */
const answerSchema = z.object({
  choices: z.array(z.object({
    message: z.object({
      content: z.string().nullish(),
      tool_calls: z.array(z.object({
        id: z.string(),
        function: z.object({ name: z.string(), arguments: z.string() }),
      })).nullish(),
    }),
  })).min(1),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

/** What refusals mean, and what helps. */
const REFUSALS: Readonly<Record<number, { code: ErrorCode; mend: string }>> = {
  400: { code: "INVALID_ARGUMENT", mend: "Does this model take tools, and so long a text?" },
  401: { code: "PERMISSION_DENIED", mend: "Give the right key as apiKey." },
  403: { code: "PERMISSION_DENIED", mend: "Give a key that may use this model as apiKey." },
  404: {
    code: "NOT_FOUND",
    mend: "Is the model there by this name, and does baseUrl end with the version, such as /v1?",
  },
  413: { code: "INVALID_ARGUMENT", mend: "Send it less." },
  422: { code: "INVALID_ARGUMENT", mend: "Does this model take tools?" },
  429: { code: "RESOURCE_EXHAUSTED", mend: "Try again later, or use another key or model." },
};

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
  const late = () =>
    new NetworkError(
      "DEADLINE_EXCEEDED",
      `${action}: no answer within ${timeoutMs} ms. Allow more with timeoutMs.`,
    );
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const call = async (body: string, signal: AbortSignal): Promise<Uint8Array> => {
    needGranted(action, { name: "net", host: `${url.hostname}:${port}` });
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body,
      signal,
    });
    const bytes = await readBody(response, action);
    if (response.ok) return bytes;
    throw refused(action, response, bytes, apiKey);
  };

  return Object.freeze({
    name: model,
    async generate(request: ModelRequest): Promise<ModelAnswer> {
      const { messages, tools = [], signal = new AbortController().signal } = request;
      signal.throwIfAborted();
      const body = JSON.stringify({
        model,
        messages: messages.map(toWire),
        ...(tools.length > 0 && { tools: tools.map(toolToWire) }),
      });
      let bytes: Uint8Array;
      try {
        const limit = { clock, limitMs: timeoutMs, error: late, signal };
        bytes = await withTimeLimit(limit, (both) => call(body, both));
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof NetworkError) throw thrown;
        throw unreached(action, thrown);
      }
      return toAnswer(action, bytes);
    },
  });
}

/** The body of an answer, but no more than so much of it. */
async function readBody(response: Response, action: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    length += piece.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new NetworkError(
        "PROTOCOL",
        `${action}: its answer is longer than ${MAX_ANSWER_BYTES} bytes.`,
      );
    }
    pieces.push(piece);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function toAnswer(action: string, bytes: Uint8Array): ModelAnswer {
  let value: unknown;
  try {
    value = parseBoundedJson(bytes, { maxBytes: MAX_ANSWER_BYTES });
  } catch (thrown) {
    throw new NetworkError(
      "PROTOCOL",
      `${action}: what answers there speaks another protocol. ${describeError(thrown)} ` +
        "Is baseUrl the one of its OpenAI-compatible API?",
      { cause: thrown },
    );
  }
  const { choices: [{ message }], usage } = parseWith(answerSchema, value, "PROTOCOL", action);
  return {
    text: message.content ?? "",
    toolCalls: (message.tool_calls ?? []).map(({ id, function: { name, arguments: json } }) => ({
      id,
      name,
      arguments: parsedOr(json),
    })),
    ...(usage && {
      usage: { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens },
    }),
  };
}

/** What a model writes as JSON need not be any; whoever called it judges what it wrote. */
function parsedOr(json: string): JsonValue {
  try {
    return parseBoundedJson(new TextEncoder().encode(json), {
      maxBytes: MAX_ANSWER_BYTES,
    }) as JsonValue;
  } catch {
    return json;
  }
}

function toWire(message: ModelMessage): JsonValue {
  if (message.role === "tool") {
    return { role: "tool", tool_call_id: message.toolCallId, content: message.content };
  }
  const { role, content } = message;
  if (message.role !== "assistant" || !message.toolCalls?.length) return { role, content };
  const calls = message.toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));
  return { role, content, tool_calls: calls };
}

function toolToWire({ name, description, parameters }: ModelTool): JsonValue {
  return { type: "function", function: { name, description, parameters: { ...parameters } } };
}

function refused(
  action: string,
  { status, headers }: Response,
  bytes: Uint8Array,
  apiKey: string | undefined,
): NetworkError {
  const { code, mend } = REFUSALS[status] ?? {
    code: status >= 500 ? "UNAVAILABLE" : "PROTOCOL",
    mend: status >= 500 ? "Look into the server's log." : "Is baseUrl right?",
  };
  const said = reasonIn(bytes).replaceAll(apiKey || "\0", "…");
  const after = Number(headers.get("retry-after") ?? Number.NaN);
  return new NetworkError(code, `${action}: status ${status}${said && `, "${said}"`}. ${mend}`, {
    ...(after >= 0 && after < 86_400 && { retryAfterMs: after * 1_000 }),
  });
}

/** What a server says why it refuses: in the protocol's form, or whatever it wrote. */
function reasonIn(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 8 * MAX_REASON_LENGTH));
  let said = text;
  try {
    const { error } = JSON.parse(text);
    const message = typeof error === "object" ? error?.message : error;
    if (typeof message === "string") said = message;
  } catch {
    // A page, or the beginning of a long text.
  }
  return safeLine(said).slice(0, MAX_REASON_LENGTH);
}

function unreached(action: string, thrown: unknown): NetworkError {
  return new NetworkError(
    "UNAVAILABLE",
    `${action}: no server answers there (${describeError(thrown)}). Start it, or correct baseUrl.`,
    { cause: thrown },
  );
}
