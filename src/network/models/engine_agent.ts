/**
 * Asks the engines of this device for whoever calls a model: a task like any other. Where an engine
 * speaks the client's dialect its bytes pass through; else they are translated here, where it is
 * known what the engine speaks.
 */

import { type Agent, type AgentAnswer, createAgent } from "../../agents/agent.ts";
import type { Clock } from "../../base/clock.ts";
import { type ErrorCode, NetworkError } from "../../base/errors.ts";
import { ChatStreamReader } from "../../dialects/chat_stream.ts";
import type { StreamWatch } from "../../dialects/dialect.ts";
import type { EngineAnswer } from "../../engines/engine_call.ts";
import type { EngineWatch, FoundModel } from "../../engines/engine_watch.ts";
import {
  bodyOf,
  brokenOff,
  failed,
  headOf,
  inOnePiece,
  read,
  refusal,
  textOf,
} from "./engine_answer.ts";
import {
  ENGINE_AGENT,
  type EngineFigures,
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

/** Before its first word an engine says a few hundred characters. */
const MAX_HELD_LENGTH = 1024 * 1024;
/** What an engine fails with before its first word, so that another one is asked. */
const NEXT_MAY: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "NOT_FOUND",
  "PERMISSION_DENIED",
]);

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
  const request = await requestTo(needs, call, found);
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
  const request = await requestTo(needs, call, found);
  const answer = await ask(request, call, found);
  if (answer.status >= 400) return yield* told(await refusal(request, answer, found));
  if (/^application\/json/.test(answer.headers["content-type"] ?? "")) {
    // It takes no wish for pieces.
    const text = await textOf(answer, found);
    const piece = inOnePiece(request.wording, text, found);
    const head = headOf(answer, request);
    return yield* told(
      piece === undefined ? { output: text, data: { ...head } } : {
        output: piece,
        data: { ...head, contentType: request.wording.dialect.streamType },
      },
    );
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
    return { watch, say, end: () => watch.missingEnd };
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

/** What another engine may do instead, another device's included; anything else is thrown on. */
function mayGoOn(thrown: unknown, { signal }: Call): NetworkError {
  signal.throwIfAborted();
  const error = NetworkError.from(thrown);
  if (NEXT_MAY.has(error.code)) return error;
  throw error;
}
