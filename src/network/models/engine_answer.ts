/** What an engine answers: read, translated, and where it fails told in words that may be heard. */

import type { AgentAnswer } from "../../agents/agent.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import { describeError, type ErrorCode, NetworkError } from "../../base/errors.ts";
import { safeLine } from "../../base/safe_text.ts";
import type { ChatChunk, ChatCompletion } from "../../dialects/chat.ts";
import type { DialectName, JsonObject } from "../../dialects/dialect.ts";
import { DONE, eventText } from "../../dialects/events.ts";
import { isObject } from "../../dialects/fields.ts";
import { errorIn } from "../../dialects/stream_watch.ts";
import type { EngineAnswer } from "../../engines/engine_call.ts";
import type { FoundModel } from "../../engines/engine_watch.ts";
import { type EngineHead, isContentType } from "./engine_call.ts";
import type { EngineRequest, Wording } from "./engine_request.ts";

/** The longest answer that comes whole: what a task may answer, with what stands beside it. */
const MAX_ANSWER_BYTES = 15 * 1024 * 1024;
/** Above this an answer is not read for what it took: it is a list of embeddings. */
const MAX_READ_LENGTH = 256 * 1024;
/** Of a refusal so much is read: it may be a page, and has no need of an end. */
const MAX_REFUSAL_LENGTH = 1024 * 1024;
/** Of what an engine says when it fails, so much is told. */
const MAX_REASON_LENGTH = 500;
/** No engine is so busy that nobody may ask again for longer. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** The list without which a whole answer is none; Ollama's have another at each path. */
const LISTS: Readonly<Partial<Record<DialectName, string>>> = {
  "openai-chat": "choices",
  "openai-completions": "choices",
  "openai-embeddings": "data",
  "openai-responses": "output",
  "anthropic-messages": "content",
};
/** What an engine answers that another one may do better, and what that means to the caller. */
const FAILURES: Readonly<Record<number, ErrorCode>> = {
  // The key is the device's and not the client's, and so is what there is to pay.
  401: "PERMISSION_DENIED",
  402: "PERMISSION_DENIED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  408: "UNAVAILABLE",
  429: "RESOURCE_EXHAUSTED",
};

const decoder = new TextDecoder();

/** All of an answer. */
export async function textOf(answer: EngineAnswer, found: FoundModel): Promise<string> {
  try {
    return decoder.decode(await answer.bytes(MAX_ANSWER_BYTES));
  } catch (thrown) {
    throw failed(found, thrown);
  }
}

/** An answer as it comes. */
export async function* bodyOf(
  { body }: EngineAnswer,
  found: FoundModel,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (thrown) {
    throw failed(found, thrown);
  }
}

/** The beginning of what an engine says why it refuses. */
async function refusalText(answer: EngineAnswer, found: FoundModel): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of bodyOf(answer, found)) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length >= MAX_REFUSAL_LENGTH) return text.slice(0, MAX_REFUSAL_LENGTH);
  }
  return text;
}

/** What a client did wrong is its to hear; all else another engine may do better. */
export async function refusal(
  { wording }: EngineRequest,
  answer: EngineAnswer,
  found: FoundModel,
): Promise<AgentAnswer> {
  const { status, headers } = answer;
  const text = await refusalText(answer, found);
  const said = reasonIn(text);
  // That it cannot do this at all (501) is no failure: another one of its kind says the same.
  const isDown = status >= 500 && status !== 501;
  const code = FAILURES[status] ?? (isDown ? "UNAVAILABLE" : undefined);
  if (code !== undefined) {
    // What is said of a key may have some of it, so it is not told.
    const retryAfterMs = 1_000 * Number(headers["retry-after"] ?? Number.NaN);
    throw new NetworkError(
      code,
      code === "PERMISSION_DENIED"
        ? `Cannot ask ${nameOf(found)}: it does not take the key of its node (${status}).`
        : `Cannot ask ${nameOf(found)}: it answers ${status}${said && `, "${said}"`}.`,
      { ...(retryAfterMs >= 0 && { retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) }) },
    );
  }
  if (wording.type === "same") {
    return { output: text, data: { status, contentType: contentTypeOf(answer) } };
  }
  const { body } = wording.dialect.refuse({ code: "INVALID_ARGUMENT", message: said });
  const head: EngineHead = { status, contentType: "application/json" };
  return { output: JSON.stringify(body), data: { ...head } };
}

/** What the client is told of a whole answer, and how many tokens it took. */
export function read(
  wording: Wording,
  text: string,
  found: FoundModel,
): { output: string; tokens: number } {
  if (wording.type === "same" && text.length > MAX_READ_LENGTH) return { output: text, tokens: 0 };
  const value = objectIn(text, found);
  const tokens = tokensIn(value);
  switch (wording.type) {
    case "same":
      answerWith(LISTS[wording.dialect.name], value, found);
      return { output: text, tokens };
    case "chat": {
      const completion = answerWith("choices", value, found) as unknown as ChatCompletion;
      return { output: JSON.stringify(wording.translation.whole(completion)), tokens };
    }
    case "embeddings": {
      const answer = answerWith("data", value, found);
      return { output: JSON.stringify(wording.translation.whole(answer)), tokens };
    }
  }
}

/**
 * A whole answer where pieces were asked for: one piece, and the end of them, or its client hears
 * nothing. Undefined where there is no such piece.
 */
export function inOnePiece(wording: Wording, text: string, found: FoundModel): string | undefined {
  const value = objectIn(text, found);
  const isChat = wording.type === "chat" || wording.dialect.name === "openai-chat";
  if (!isChat) return undefined;
  const { choices, ...rest } = answerWith("choices", value, found);
  const chunk = {
    ...rest,
    object: "chat.completion.chunk",
    choices: choices.filter(isObject).map(({ message, ...choice }) => ({
      ...choice,
      delta: message,
    })),
  } as unknown as ChatChunk;
  if (wording.type !== "chat") return `${eventText(chunk)}data: ${DONE}\n\n`;
  const pieces = wording.translation.pieces();
  return pieces.push(chunk) + pieces.end();
}

/** The object that a whole answer is; some tell with status 200 that they have failed. */
function objectIn(text: string, found: FoundModel): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw brokenOff(found, `what it answers is no JSON (${describeError(thrown)})`);
  }
  const failure = errorIn(value);
  if (failure !== undefined) throw brokenOff(found, failure);
  if (isObject(value)) return value;
  throw brokenOff(found, "what it answers is no object of JSON");
}

/** An answer as translations take it, with the list that every one has; without a name any will do. */
function answerWith<T extends string>(
  list: T | undefined,
  value: JsonObject,
  found: FoundModel,
): JsonObject & Record<T, JsonValue[]> {
  if (list === undefined || Array.isArray(value[list])) {
    return value as JsonObject & Record<T, JsonValue[]>;
  }
  throw brokenOff(found, `it has no ${list}`);
}

/** How many tokens an answer has, in whatever dialect; 0 where it does not say. */
function tokensIn({ usage, eval_count: count }: JsonObject): number {
  const used = isObject(usage) ? usage : {};
  const tokens = count ?? used.completion_tokens ?? used.output_tokens;
  return typeof tokens === "number" && Number.isInteger(tokens) && tokens > 0 ? tokens : 0;
}

/** How the client's answer begins. */
export function headOf(answer: EngineAnswer, { wording, stream }: EngineRequest): EngineHead {
  const { status } = answer;
  if (wording.type === "same") return { status, contentType: contentTypeOf(answer) };
  return { status, contentType: stream ? wording.dialect.streamType : "application/json" };
}

function contentTypeOf({ headers }: EngineAnswer): string {
  const given = headers["content-type"] ?? "";
  return given !== "" && isContentType(given) ? given : "application/json";
}

/** What became of a call, in words that do not say where the engine is: that stays on its node. */
const REASONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAVAILABLE: "nobody answers there",
  UNKNOWN_OUTCOME: "its answer broke off",
  DEADLINE_EXCEEDED: "it has fallen silent",
  PERMISSION_DENIED: "its node is not permitted to",
};

/** Whatever becomes of a call before its first word, another engine may do it. */
export function failed(found: FoundModel, thrown: unknown): NetworkError {
  const error = NetworkError.from(thrown);
  if (error.code === "CANCELLED") return error;
  if (error.code === "RESOURCE_EXHAUSTED") {
    // Of no use anywhere: it is as long everywhere.
    return new NetworkError(
      "AGENT_FAILED",
      `Cannot take the answer of ${nameOf(found)}: it is longer than ` +
        `${MAX_ANSWER_BYTES / 2 ** 20} MiB. Ask for less at a time.`,
      { cause: error },
    );
  }
  const reason = REASONS[error.code] ?? "it gives no answer that can be read";
  return new NetworkError("UNAVAILABLE", `Cannot ask ${nameOf(found)}: ${reason}.`, {
    cause: error,
  });
}

/** What an answer is not that ends before its end, or says what none says. */
export function brokenOff(found: FoundModel, why: string): NetworkError {
  return new NetworkError("UNAVAILABLE", `Cannot take the answer of ${nameOf(found)}: ${why}.`);
}

function nameOf({ description: { name, engine } }: FoundModel): string {
  return `model "${name}" of ${engine}`;
}

/** What an engine says why it refuses: in whatever form. */
function reasonIn(text: string): string {
  let said = text.slice(0, 8 * MAX_REASON_LENGTH);
  try {
    const { error, message } = JSON.parse(text);
    const told = error?.message ?? error ?? message;
    if (typeof told === "string") said = told;
  } catch {
    // A page, or the beginning of a long text.
  }
  return safeLine(said).slice(0, MAX_REASON_LENGTH);
}
