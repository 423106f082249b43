/** OpenAI's chat completions as far as agents need them: requests to JSON, answers from it. Pure. */

import { z } from "zod";
import { type JsonValue, parseBoundedJson } from "../../base/bounded_json.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { safeLine } from "../../base/safe_text.ts";
import { parseWith } from "../../base/schema.ts";
import type {
  ModelAnswer,
  ModelMessage,
  ModelRequest,
  ModelTool,
  ModelToolCall,
  ModelUsage,
} from "./model.ts";

/** The longest answer that is read, in bytes. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Of what a server says when it refuses, so much is told. */
const MAX_REASON_LENGTH = 300;

// Not all engines number their calls, and some give the arguments as they are.
const functionSchema = z.object({
  name: z.string().nullish(),
  arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
}).nullish();
const callSchema = z.object({ id: z.string().nullish(), function: functionSchema });
const usageSchema = z.object({
  prompt_tokens: z.number().nonnegative(),
  completion_tokens: z.number().nonnegative(),
}).nullish();

/** What a server's answer must have. */
const answerSchema = z.object({
  choices: z.array(z.object({
    message: z.object({
      content: z.string().nullish(),
      tool_calls: z.array(callSchema).nullish(),
    }),
    finish_reason: z.string().nullish(),
  })).min(1),
  usage: usageSchema,
});

/** What a piece of it must have: the last one may have no choices. */
const chunkSchema = z.object({
  choices: z.array(z.object({
    delta: z.object({
      content: z.string().nullish(),
      tool_calls: z.array(callSchema.extend({ index: z.number().int().nullish() })).nullish(),
    }).nullish(),
    finish_reason: z.string().nullish(),
  })).nullish(),
  usage: usageSchema,
  error: z.unknown().optional(),
});

/** A request as its body; streamed where somebody takes the pieces. */
export function chatBody(model: string, request: ModelRequest): string {
  const { messages, tools = [], toolChoice, responseFormat, maxTokens, temperature } = request;
  return JSON.stringify({
    model,
    messages: messages.map(toWire),
    ...(tools.length > 0 && { tools: tools.map(toolToWire) }),
    ...(tools.length > 0 && toolChoice !== undefined && { tool_choice: toolChoice }),
    ...(responseFormat !== undefined && {
      response_format: { type: "json_schema", json_schema: responseFormat },
    }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(request.onToken !== undefined && {
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
}

/**
 * Reads a whole answer.
 *
 * @param action What cannot be done otherwise: `Cannot ask model "m"`.
 * @throws {NetworkError} `PROTOCOL` when it is none.
 */
export function readAnswer(bytes: Uint8Array, action: string): ModelAnswer {
  let value: unknown;
  try {
    value = parseBoundedJson(bytes, { maxBytes: MAX_ANSWER_BYTES });
  } catch (thrown) {
    throw new NetworkError(
      "PROTOCOL",
      `${action}: what answers there speaks another protocol. ${describeError(thrown)} ` +
        "Is that the URL of its OpenAI-compatible API?",
      { cause: thrown },
    );
  }
  const { choices: [{ message, finish_reason: finish }], usage } = parseWith(
    answerSchema,
    value,
    "PROTOCOL",
    action,
  );
  const calls = (message.tool_calls ?? []).map(({ id, function: called }) =>
    toCall(id, called?.name, called?.arguments)
  );
  return toAnswer(message.content ?? "", calls, usage, finish);
}

/** A call of a tool that is not said to its end. */
interface CallInPieces {
  id: string;
  name: string;
  arguments: string;
}

/** Puts an answer together that comes in pieces. */
export class AnswerInPieces {
  readonly #action: string;
  #text = "";
  readonly #calls: CallInPieces[] = [];
  /** The last one of each number. */
  readonly #byIndex = new Map<number, CallInPieces>();
  #usage: z.output<typeof usageSchema>;
  #finish: string | null | undefined;

  /** @param action What cannot be done otherwise. */
  constructor(action: string) {
    this.#action = action;
  }

  /**
   * Takes a piece.
   *
   * @returns What it says; "" where it says nothing.
   * @throws {NetworkError} `PROTOCOL` when it is none, `UNAVAILABLE` when it is an error.
   */
  push(json: string): string {
    let value: unknown;
    try {
      const bytes = new TextEncoder().encode(json);
      value = parseBoundedJson(bytes, { maxBytes: MAX_ANSWER_BYTES });
    } catch (thrown) {
      throw new NetworkError(
        "PROTOCOL",
        `${this.#action}: a piece of its answer is no JSON. ${describeError(thrown)}`,
        { cause: thrown },
      );
    }
    const chunk = parseWith(chunkSchema, value, "PROTOCOL", this.#action);
    if (chunk.error !== undefined && chunk.error !== null) {
      const said = reasonOf(value) ?? "";
      throw new NetworkError(
        "UNAVAILABLE",
        `${this.#action}: it failed while it answered${said && `, "${said}"`}. Try again.`,
      );
    }
    this.#usage = chunk.usage ?? this.#usage;
    const choice = chunk.choices?.[0];
    this.#finish = choice?.finish_reason ?? this.#finish;
    for (const call of choice?.delta?.tool_calls ?? []) this.#addCall(call);
    const said = choice?.delta?.content ?? "";
    this.#text += said;
    return said;
  }

  /**
   * The whole.
   *
   * @throws {NetworkError} `UNAVAILABLE` when the end is missing.
   */
  answer(isEnded: boolean): ModelAnswer {
    if (!isEnded && typeof this.#finish !== "string") {
      throw new NetworkError(
        "UNAVAILABLE",
        `${this.#action}: its answer broke off. Try again, or look into the server's log.`,
      );
    }
    const calls = this.#calls.map(({ id, name, arguments: json }) => toCall(id, name, json));
    return toAnswer(this.#text, calls, this.#usage, this.#finish);
  }

  #addCall(
    { index, id, function: called }: z.output<typeof callSchema> & { index?: number | null },
  ): void {
    const last = this.#calls.at(-1);
    // Without a number a new id is a new call, and so is a second name.
    const isNew = last === undefined || (id ? id !== last.id : called?.name && last.name);
    const at = index ?? (isNew ? this.#calls.length : this.#calls.length - 1);
    let call = this.#byIndex.get(at);
    // Some engines give every call the number 0, and an id of its own.
    if (call === undefined || (id && call.id !== "" && id !== call.id)) {
      call = { id: "", name: "", arguments: "" };
      this.#calls.push(call);
      this.#byIndex.set(at, call);
    }
    call.id ||= id ?? "";
    call.name ||= called?.name ?? "";
    const more = called?.arguments ?? "";
    call.arguments += typeof more === "string" ? more : JSON.stringify(more);
  }
}

/** What a server says why it refuses: in the protocol's form, or whatever it wrote. */
export function reasonIn(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 8 * MAX_REASON_LENGTH));
  let said: string | undefined;
  try {
    said = reasonOf(JSON.parse(text));
  } catch {
    // A page, or the beginning of a long text.
  }
  return said ?? short(text);
}

// deno-lint-ignore no-explicit-any
function reasonOf(value: any): string | undefined {
  const error = value?.error;
  const message = typeof error === "object" ? error?.message : error;
  return typeof message === "string" ? short(message) : undefined;
}

function short(text: string): string {
  return safeLine(text).slice(0, MAX_REASON_LENGTH);
}

function toAnswer(
  text: string,
  toolCalls: readonly ModelToolCall[],
  usage: z.output<typeof usageSchema>,
  finish: string | null | undefined,
): ModelAnswer {
  return {
    text,
    toolCalls: toldApart(toolCalls),
    ...(usage && { usage: toUsage(usage) }),
    ...(finish === "length" && { isCut: true }),
  };
}

function toUsage(usage: NonNullable<z.output<typeof usageSchema>>): ModelUsage {
  return { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
}

function toCall(
  id: string | null | undefined,
  name: string | null | undefined,
  args: string | Record<string, unknown> | null | undefined,
): ModelToolCall {
  return { id: id ?? "", name: name ?? "", arguments: argumentsIn(args ?? "") };
}

/** Results are told by the ids of their calls; some engines give none, and some the same to all. */
function toldApart(calls: readonly ModelToolCall[]): ModelToolCall[] {
  const given = new Set(calls.map(({ id }) => id));
  const taken = new Set([""]);
  let made = 0;
  return calls.map((call) => {
    let { id } = call;
    while (taken.has(id) || (id !== call.id && given.has(id))) id = `call_${++made}`;
    taken.add(id);
    return id === call.id ? call : { ...call, id };
  });
}

/** What a model writes as JSON need not be any; whoever called it judges what it wrote. */
function argumentsIn(args: string | Record<string, unknown>): JsonValue {
  if (typeof args !== "string") return args as JsonValue;
  // A tool without parameters is called with nothing by some, with `{}` by others.
  if (args.trim() === "") return {};
  try {
    const bytes = new TextEncoder().encode(args);
    return parseBoundedJson(bytes, { maxBytes: MAX_ANSWER_BYTES }) as JsonValue;
  } catch {
    return args;
  }
}

function toWire(message: ModelMessage): JsonValue {
  const { role, content } = message;
  if (role === "tool") return { role, tool_call_id: message.toolCallId, content };
  if (role === "user" && message.images?.length) {
    const images = message.images.map((url) => ({ type: "image_url", image_url: { url } }));
    return { role, content: [{ type: "text", text: content }, ...images] };
  }
  if (role !== "assistant" || !message.toolCalls?.length) return { role, content };
  const calls = message.toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: "function",
    // What was no JSON stays what the model wrote.
    function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
  }));
  return { role, content, tool_calls: calls };
}

function toolToWire({ name, description, parameters }: ModelTool): JsonValue {
  return { type: "function", function: { name, description, parameters: { ...parameters } } };
}
