/** Answers of engines in OpenAI's form, as they really are: fields missing, null, or otherwise named. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import type { ChatChunk, ChatCompletion, FinishReason } from "./chat.ts";
import type { JsonObject } from "./dialect.ts";
import { isObject } from "./fields.ts";
import { errorIn } from "./stream_watch.ts";

/** A call of a tool, or a piece of one. */
export interface SaidCall {
  /** The place that the engine gives it, where it gives one. */
  readonly index: number | undefined;
  /** "" where it has none. */
  readonly id: string;
  readonly name: string;
  /** JSON, or a piece of it. */
  readonly json: string;
}

/** What one choice says, whole or in a piece. */
export interface Said {
  readonly index: number;
  readonly text: string;
  readonly thought: string;
  readonly calls: readonly SaidCall[];
  /** Why it ends; undefined as long as it does not. */
  readonly finish: FinishReason | undefined;
  /** The sequence that ended it, where the engine names it: vLLM does. */
  readonly stoppedBy: string | undefined;
  /** How likely each token was, where that was asked. */
  readonly logprobs: readonly JsonObject[] | undefined;
}

/** What an answer took, in tokens. */
export interface Used {
  readonly input: number;
  readonly output: number;
  /** Of the input: what was known from before. */
  readonly cached: number;
  /** Of the output: what was thought. */
  readonly reasoning: number;
}

const FINISHES: readonly string[] = [
  "stop",
  "length",
  "tool_calls",
  "content_filter",
  "function_call",
];

/**
 * The answer of an engine, where it is one: engines have told errors with status 200.
 *
 * @param list The field that every such answer has.
 * @throws {NetworkError} `PROTOCOL` with what the engine says.
 */
export function checkedAnswer<T>(answer: T, list: "choices" | "data"): T {
  const told = errorIn(answer);
  if (told === undefined && isObject(answer) && Array.isArray(answer[list])) return answer;
  throw new NetworkError(
    "PROTOCOL",
    `Cannot read the engine's answer: ${told ?? `it has no ${list}`}. Is it the engine that its ` +
      "address says, and has it this model?",
  );
}

/** What each choice of an answer, or of a piece of one, says. */
export function saidIn(answer: ChatCompletion | ChatChunk): Said[] {
  const choices: unknown = answer?.choices;
  if (!Array.isArray(choices)) return [];
  return choices.filter(isObject).map((choice) => {
    const { delta, message, index, finish_reason, stop_reason, logprobs } = choice;
    const said = isObject(delta) ? delta : isObject(message) ? message : {};
    return {
      index: typeof index === "number" ? index : 0,
      text: textOf(said.content) || textOf(said.refusal),
      thought: textOf(said.reasoning_content) || textOf(said.reasoning),
      calls: callsOf(said),
      finish: finishOf(finish_reason),
      stoppedBy: typeof stop_reason === "string" ? stop_reason : undefined,
      logprobs: isObject(logprobs) && Array.isArray(logprobs.content)
        ? logprobs.content.filter(isObject)
        : undefined,
    };
  });
}

/** What the first choice says: the only one that other dialects have. */
export function firstSaid(answer: ChatCompletion | ChatChunk): Said | undefined {
  return saidIn(answer).find(({ index }) => index === 0);
}

/** What an answer took; undefined where the engine does not say. */
export function usedIn(answer: ChatCompletion | ChatChunk): Used | undefined {
  const usage: unknown = answer?.usage;
  if (!isObject(usage)) return undefined;
  const { prompt_tokens_details: given, completion_tokens_details: taken } = usage;
  return {
    input: count(usage.prompt_tokens),
    output: count(usage.completion_tokens),
    cached: isObject(given) ? count(given.cached_tokens) : 0,
    reasoning: isObject(taken) ? count(taken.reasoning_tokens) : 0,
  };
}

/** Why an answer ended, where the engine does not say, or calls it an end like any other. */
export function finishOr(said: FinishReason | undefined, hasCalls: boolean): FinishReason {
  return said === undefined || said === "stop" ? hasCalls ? "tool_calls" : "stop" : said;
}

/** The arguments of a call as an object: models write what is no JSON, too, and nothing at all. */
export function argumentsOf(json: string): JsonObject {
  if (json.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : { value: value as JsonValue };
  } catch {
    return { arguments: json };
  }
}

function callsOf({ tool_calls, function_call }: JsonObject): SaidCall[] {
  // The way of 2023 has one call only, and no ids.
  if (!Array.isArray(tool_calls) || tool_calls.length === 0) {
    return isObject(function_call) ? [callOf({ index: 0, function: function_call })] : [];
  }
  return tool_calls.filter(isObject).map(callOf);
}

function callOf({ index, id, function: called }: JsonObject): SaidCall {
  const { name, arguments: given } = isObject(called) ? called : {} as JsonObject;
  return {
    index: typeof index === "number" ? index : undefined,
    id: typeof id === "string" ? id : "",
    name: typeof name === "string" ? name : "",
    json: typeof given === "string" ? given : isObject(given) ? JSON.stringify(given) : "",
  };
}

function finishOf(reason: JsonValue | undefined): FinishReason | undefined {
  if (typeof reason !== "string" || reason === "") return undefined;
  // What engines have beside these (`eos`, `abort`) is an end like any other.
  return FINISHES.includes(reason) ? reason as FinishReason : "stop";
}

/** A text, or the texts of the parts that it comes in. */
export function textOf(content: JsonValue | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => isObject(part) ? textOf(part.text) : "").join("");
}

function count(value: JsonValue | undefined): number {
  return typeof value === "number" && value > 0 && Number.isFinite(value) ? Math.floor(value) : 0;
}
