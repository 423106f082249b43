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
import type { StreamWatch } from "../../dialects/dialect.ts";
import type { EngineAnswer } from "../../engines/engine_call.ts";
import type { EngineWatch, FoundModel } from "../../engines/engine_watch.ts";
import {
  ENGINE_AGENT,
  type EngineFigures,
  type EngineHead,
  type EngineTask,
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
/** Of what an engine says when it fails, so much is told. */
const MAX_REASON_LENGTH = 500;
/** What an engine answers that another one may do better, and what that means to the caller. */
const FAILURES: Readonly<Record<number, ErrorCode>> = {
  404: "NOT_FOUND",
  408: "UNAVAILABLE",
  429: "RESOURCE_EXHAUSTED",
};

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One call. */
interface Call {
  readonly task: EngineTask;
  readonly body: string;
  readonly signal: AbortSignal;
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
      const call = { task: parseEngineTask(context), body: prompt, signal };
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
  const text = await textOf(answer, found);
  if (answer.status >= 400) return refusal(request, answer, text, found);
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
    yield first.value;
    // From here on the answer is this engine's.
    return yield* pieces;
  }
  throw failure!;
}

/** The head first, then what the client is told, as soon as anything was said. */
async function* askForPieces(
  needs: EngineAgentNeeds,
  call: Call,
  found: FoundModel,
): AsyncGenerator<string, AgentAnswer, void> {
  const began = needs.clock.now();
  const request = requestTo(needs, call, found);
  const answer = await ask(request, call, found);
  if (answer.status >= 400) {
    const text = await textOf(answer, found);
    return yield* told(refusal(request, answer, text, found));
  }
  if (/^application\/json/.test(answer.headers["content-type"] ?? "")) {
    // It takes no wish for pieces.
    return yield* told({
      output: await textOf(answer, found),
      data: { ...headOf(answer, request) },
    });
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
    firstMs = needs.clock.now() - began;
    yield JSON.stringify(headOf(answer, request));
    yield held.join("");
    held = undefined;
  }
  if (!watch.isComplete) throw brokenOff(found, "its answer ended in the middle");
  if (held !== undefined) {
    yield JSON.stringify(headOf(answer, request));
    yield held.join("");
  }
  const last = end();
  if (last !== "") yield last;
  const figures: EngineFigures = { firstMs, tokens: watch.tokens };
  return { output: "", data: { ...figures } };
}

/** A whole answer as if it came in pieces. */
function* told({ output, data }: AgentAnswer): Generator<string, AgentAnswer, void> {
  yield JSON.stringify(data);
  yield output;
  return { output: "" };
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

function enginesFor({ engines }: EngineAgentNeeds, { task: { model } }: Call): FoundModel[] {
  const found = engines.find(model);
  if (found.length > 0) return found;
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

/** All of an answer, or of a refusal. */
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

/** What a client did wrong is its to hear; all else another engine may do better. */
function refusal(
  { wording }: EngineRequest,
  { status, headers }: EngineAnswer,
  text: string,
  found: FoundModel,
): AgentAnswer {
  const said = reasonIn(text);
  const code = FAILURES[status] ?? (status >= 500 ? "UNAVAILABLE" : undefined);
  if (code !== undefined) {
    const retryAfterMs = 1_000 * Number(headers["retry-after"] ?? Number.NaN);
    throw new NetworkError(
      code,
      `Cannot ask ${nameOf(found)}: it answers ${status}${said && `, "${said}"`}.`,
      { ...(retryAfterMs >= 0 && { retryAfterMs }) },
    );
  }
  const head: EngineHead = { status, contentType: headers["content-type"] ?? "application/json" };
  if (wording.type === "same") return { output: text, data: { ...head } };
  const code4xx = status === 401 || status === 403 ? "PERMISSION_DENIED" : "INVALID_ARGUMENT";
  const { body } = wording.dialect.refuse({ code: code4xx, message: said });
  return { output: JSON.stringify(body), data: { ...head, contentType: "application/json" } };
}

/** What the client is told of a whole answer, and how many tokens it took. */
function read(
  wording: Wording,
  text: string,
  found: FoundModel,
): { output: string; tokens: number } {
  if (wording.type === "same" && text.length > MAX_READ_LENGTH) return { output: text, tokens: 0 };
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw brokenOff(found, `what it answers is no JSON (${describeError(thrown)})`);
  }
  const tokens = tokensIn(value);
  switch (wording.type) {
    case "same":
      return { output: text, tokens };
    case "chat":
      // deno-lint-ignore no-explicit-any -- what it is not is told as PROTOCOL.
      return { output: JSON.stringify(wording.translation.whole(value as any)), tokens };
    case "embeddings":
      // deno-lint-ignore no-explicit-any -- as above
      return { output: JSON.stringify(wording.translation.whole(value as any)), tokens };
  }
}

/** How many tokens an answer has, in whatever dialect; 0 where it does not say. */
function tokensIn(value: JsonValue): number {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return 0;
  const { usage, eval_count: count } = value;
  const used = typeof usage === "object" && usage !== null && !Array.isArray(usage) ? usage : {};
  const tokens = count ?? used.completion_tokens ?? used.output_tokens;
  return typeof tokens === "number" && Number.isInteger(tokens) && tokens > 0 ? tokens : 0;
}

function headOf({ status, headers }: EngineAnswer, { wording, stream }: EngineRequest): EngineHead {
  if (wording.type === "same") {
    return { status, contentType: headers["content-type"] ?? "application/json" };
  }
  return { status, contentType: stream ? wording.dialect.streamType : "application/json" };
}

/** What another engine may do instead, another device's included; anything else is thrown on. */
function mayGoOn(thrown: unknown, { signal }: Call): NetworkError {
  signal.throwIfAborted();
  const error = NetworkError.from(thrown);
  const { code } = error;
  if (code === "UNAVAILABLE" || code === "RESOURCE_EXHAUSTED" || code === "NOT_FOUND") return error;
  throw error;
}

/** Whatever becomes of a call before its first word, another engine may do it. */
function failed(found: FoundModel, thrown: unknown): NetworkError {
  const error = NetworkError.from(thrown);
  if (error.code === "CANCELLED") return error;
  // Of no use anywhere: it is as long everywhere.
  if (error.code === "RESOURCE_EXHAUSTED") {
    return new NetworkError("AGENT_FAILED", error.message, { cause: error });
  }
  return new NetworkError("UNAVAILABLE", `Cannot ask ${nameOf(found)}: ${error.message}`, {
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
