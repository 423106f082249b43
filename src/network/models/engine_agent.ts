/**
 * Asks the engines of this device for whoever calls a model: a task like any other. Where an engine
 * speaks the client's dialect its bytes pass through; else they are translated here, where it is
 * known what the engine speaks.
 */

import { type Agent, type AgentAnswer, createAgent } from "../../agents/agent.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import type { Clock } from "../../base/clock.ts";
import { describeError, type ErrorCode, NetworkError } from "../../base/errors.ts";
import { safeLine } from "../../base/safe_text.ts";
import { ChatStreamReader } from "../../dialects/chat_stream.ts";
import type { ChatChunk, ChatCompletion } from "../../dialects/chat.ts";
import type { JsonObject, StreamWatch } from "../../dialects/dialect.ts";
import { isObject } from "../../dialects/fields.ts";
import { errorIn } from "../../dialects/stream_watch.ts";
import type { EngineAnswer } from "../../engines/engine_call.ts";
import type { EngineWatch, FoundModel } from "../../engines/engine_watch.ts";
import {
  ENGINE_AGENT,
  type EngineFigures,
  type EngineHead,
  type EngineTask,
  MAX_CONTENT_TYPE,
  parseEngineTask,
} from "./engine_call.ts";
import { type EngineRequest, engineRequest, type Wording } from "./engine_request.ts";

/** What the agent needs. */
export interface EngineAgentNeeds {
  readonly engines: Pick<EngineWatch, "find">;
  readonly clock: Clock;
  /** Makes a part of an id that nobody else has. */
  readonly newId: () => string;
}

/** The longest answer that comes whole: what a task may answer, with what stands beside it. */
const MAX_ANSWER_BYTES = 15 * 1024 * 1024;
/** Before its first word an engine says a few hundred characters. */
const MAX_HELD_LENGTH = 1024 * 1024;
/** Above this an answer is not read for what it took: it is a list of embeddings. */
const MAX_READ_LENGTH = 256 * 1024;
/** Of a refusal so much is read: it may be a page, and has no need of an end. */
const MAX_REFUSAL_LENGTH = 1024 * 1024;
/** Of what an engine says when it fails, so much is told. */
const MAX_REASON_LENGTH = 500;
/** No engine is so busy that nobody may ask again for longer. */
const MAX_RETRY_AFTER_MS = 3_600_000;
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

/** What an engine fails with before its first word, so that another one is asked. */
const NEXT_MAY: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "NOT_FOUND",
  "PERMISSION_DENIED",
]);

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One call. */
interface Call {
  readonly task: EngineTask;
  readonly body: string;
  readonly signal: AbortSignal;
  /** When it came, by the monotonic clock. */
  readonly began: number;
}

/** See the top of the file. */
export function createEngineAgent(needs: EngineAgentNeeds): Agent {
  return createAgent({
    name: ENGINE_AGENT,
    description: "Asks a model of the engines of this device",
    workload: "heavy",
    // Asked twice it says twice the same, or something as good.
    idempotent: true,
    run: ({ prompt, context, signal }) => {
      const began = needs.clock.now();
      const call = { task: parseEngineTask(context), body: prompt, signal, began };
      return call.task.stream ? inPieces(needs, call) : whole(needs, call);
    },
  });
}

async function whole(needs: EngineAgentNeeds, call: Call): Promise<AgentAnswer> {
  let failure: NetworkError | undefined;
  for (const found of enginesFor(needs, call)) {
    try {
      return await askForWhole(needs, call, found);
    } catch (thrown) {
      failure = mayGoOn(thrown, call);
    }
  }
  throw failure!;
}

async function askForWhole(
  needs: EngineAgentNeeds,
  call: Call,
  found: FoundModel,
): Promise<AgentAnswer> {
  const request = requestTo(needs, call, found);
  const answer = await ask(request, call, found);
  if (answer.status >= 400) return await refusal(request, answer, found);
  const text = await textOf(answer, found);
  const { output, tokens } = read(request.wording, text, found);
  const figures: EngineFigures = { firstMs: null, tokens };
  return { output, data: { ...headOf(answer, request), ...figures } };
}

async function* inPieces(
  needs: EngineAgentNeeds,
  call: Call,
): AsyncGenerator<string, AgentAnswer, void> {
  let failure: NetworkError | undefined;
  for (const found of enginesFor(needs, call)) {
    const pieces = askForPieces(needs, call, found);
    let first: IteratorResult<string, AgentAnswer>;
    try {
      first = await pieces.next();
    } catch (thrown) {
      failure = mayGoOn(thrown, call);
      continue;
    }
    if (first.done) return first.value;
    try {
      yield first.value;
      // From here on the answer is this engine's.
      return yield* pieces;
    } finally {
      // Who leaves at the head leaves the rest, too.
      await pieces.return({ output: "" });
    }
  }
  throw failure!;
}

/** The head first, then what the client is told, as soon as anything was said. */
async function* askForPieces(
  needs: EngineAgentNeeds,
  call: Call,
  found: FoundModel,
): AsyncGenerator<string, AgentAnswer, void> {
  const request = requestTo(needs, call, found);
  const answer = await ask(request, call, found);
  if (answer.status >= 400) return yield* told(await refusal(request, answer, found));
  if (/^application\/json/.test(answer.headers["content-type"] ?? "")) {
    // It takes no wish for pieces.
    const output = inOnePiece(request.wording, await textOf(answer, found), found);
    return yield* told({ output, data: { ...headOf(answer, request) } });
  }
  const { watch, say, end } = sayings(request.wording);
  const decoder = new TextDecoder();
  let held: string[] | undefined = [];
  let heldLength = 0;
  let firstMs = 0;
  for await (const bytes of bodyOf(answer, found)) {
    const out = say(decoder.decode(bytes, { stream: true }));
    if (watch.fault !== undefined) throw brokenOff(found, watch.fault);
    if (held === undefined) {
      if (out !== "") yield out;
      continue;
    }
    held.push(out);
    heldLength += out.length;
    if (!watch.hasSpoken && heldLength < MAX_HELD_LENGTH) continue;
    // From when the call came: what went by with an engine that failed is waited for, too.
    firstMs = needs.clock.now() - call.began;
    yield JSON.stringify(headOf(answer, request));
    yield* some(held.join(""));
    held = undefined;
  }
  if (!watch.isComplete) throw brokenOff(found, "its answer ended in the middle");
  if (held !== undefined) {
    yield JSON.stringify(headOf(answer, request));
    yield* some(held.join(""));
  }
  yield* some(end());
  const figures: EngineFigures = { firstMs, tokens: watch.tokens };
  return { output: "", data: { ...figures } };
}

/** A whole answer as if it came in pieces. */
function* told({ output, data }: AgentAnswer): Generator<string, AgentAnswer, void> {
  yield JSON.stringify(data);
  yield* some(output);
  return { output: "" };
}

function* some(text: string): Generator<string, void, void> {
  if (text !== "") yield text;
}

/** Watches over what an engine says, and turns it into what the client is told. */
function sayings(wording: Wording): {
  watch: StreamWatch;
  say: (text: string) => string;
  end: () => string;
} {
  if (wording.type === "same") {
    const watch = wording.dialect.watch();
    const say = (text: string) => {
      watch.push(text);
      return text;
    };
    return { watch, say, end: () => "" };
  }
  if (wording.type !== "chat") throw new Error("Embeddings come whole.");
  const watch = new ChatStreamReader();
  const pieces = wording.translation.pieces();
  const say = (text: string) => watch.push(text).map((chunk) => pieces.push(chunk)).join("");
  return { watch, say, end: () => pieces.end() };
}

/**
 * Those of this device that have it, the best first. One that is somebody else's stands not in for
 * one that fails here: another device may have it, and what is said stays among the owner's.
 */
function enginesFor({ engines }: EngineAgentNeeds, { task: { model } }: Call): FoundModel[] {
  const found = engines.find(model);
  const [first] = found;
  if (first !== undefined) {
    const { lastResort } = first.description;
    return found.filter(({ description }) => description.lastResort === lastResort);
  }
  throw new NetworkError(
    "NOT_FOUND",
    `Cannot ask model "${model}": no engine of this device has it any more.`,
  );
}

function requestTo(needs: EngineAgentNeeds, { task, body }: Call, found: FoundModel) {
  return engineRequest(task, body, found, {
    model: task.asked,
    now: () => needs.clock.wallTime(),
    newId: needs.newId,
  });
}

async function ask(
  { path, body, accept }: EngineRequest,
  { signal }: Call,
  found: FoundModel,
): Promise<EngineAnswer> {
  try {
    return await found.ask({ path, body: encoder.encode(body), accept, signal });
  } catch (thrown) {
    throw failed(found, thrown);
  }
}

/** All of an answer. */
async function textOf(answer: EngineAnswer, found: FoundModel): Promise<string> {
  try {
    return decoder.decode(await answer.bytes(MAX_ANSWER_BYTES));
  } catch (thrown) {
    throw failed(found, thrown);
  }
}

async function* bodyOf({ body }: EngineAnswer, found: FoundModel): AsyncGenerator<Uint8Array> {
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
async function refusal(
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
function read(
  wording: Wording,
  text: string,
  found: FoundModel,
): { output: string; tokens: number } {
  if (wording.type === "same" && text.length > MAX_READ_LENGTH) return { output: text, tokens: 0 };
  const value = objectIn(text, found);
  const tokens = tokensIn(value);
  switch (wording.type) {
    case "same":
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

/** A whole answer where pieces were asked for: one piece, and the end of them. */
function inOnePiece(wording: Wording, text: string, found: FoundModel): string {
  const value = objectIn(text, found);
  if (wording.type !== "chat") return text;
  const { choices, ...rest } = answerWith("choices", value, found);
  const chunk = {
    ...rest,
    object: "chat.completion.chunk",
    choices: choices.filter(isObject).map(({ message, ...choice }) => ({
      ...choice,
      delta: message,
    })),
  } as unknown as ChatChunk;
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

/** An answer as translations take it, with the list that every one has. */
function answerWith(
  list: "choices" | "data",
  value: JsonObject,
  found: FoundModel,
): JsonObject & Record<typeof list, JsonValue[]> {
  if (Array.isArray(value[list])) return value as JsonObject & Record<typeof list, JsonValue[]>;
  throw brokenOff(found, `it has no ${list}`);
}

/** How many tokens an answer has, in whatever dialect; 0 where it does not say. */
function tokensIn({ usage, eval_count: count }: JsonObject): number {
  const used = isObject(usage) ? usage : {};
  const tokens = count ?? used.completion_tokens ?? used.output_tokens;
  return typeof tokens === "number" && Number.isInteger(tokens) && tokens > 0 ? tokens : 0;
}

function headOf(answer: EngineAnswer, { wording, stream }: EngineRequest): EngineHead {
  const { status } = answer;
  if (wording.type === "same") return { status, contentType: contentTypeOf(answer) };
  return { status, contentType: stream ? wording.dialect.streamType : "application/json" };
}

function contentTypeOf({ headers }: EngineAnswer): string {
  const given = headers["content-type"] ?? "";
  return given !== "" && given.length <= MAX_CONTENT_TYPE ? given : "application/json";
}

/** What another engine may do instead, another device's included; anything else is thrown on. */
function mayGoOn(thrown: unknown, { signal }: Call): NetworkError {
  signal.throwIfAborted();
  const error = NetworkError.from(thrown);
  if (NEXT_MAY.has(error.code)) return error;
  throw error;
}

/** What became of a call, in words that do not say where the engine is: that stays on its node. */
const REASONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAVAILABLE: "nobody answers there",
  UNKNOWN_OUTCOME: "its answer broke off",
  DEADLINE_EXCEEDED: "it has fallen silent",
  PERMISSION_DENIED: "its node is not permitted to",
};

/** Whatever becomes of a call before its first word, another engine may do it. */
function failed(found: FoundModel, thrown: unknown): NetworkError {
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

function brokenOff(found: FoundModel, why: string): NetworkError {
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
