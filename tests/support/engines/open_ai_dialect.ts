/** OpenAI's protocol as engines speak it: chat, completions, embeddings, models; streamed or not. */

import type { Exchange } from "./engine_server.ts";
import {
  cutShort,
  embeddingOf,
  type TestModel,
  type TestPrompt,
  type TestReply,
  tokensOf,
} from "./test_model.ts";

/** What the dialect needs of its engine. */
export interface OpenAiHost {
  /** The model that a name means. */
  model(name: string): TestModel | undefined;
  reply(prompt: TestPrompt): TestReply;
  readonly dimensions: number;
  /** Whether it gives as many answers as `n` says; some give one. */
  readonly givesSeveral: boolean;
  generate(exchange: Exchange, work: () => Promise<void>): Promise<void>;
  /** What an error looks like: servers differ. */
  error(message: string, type: string, code: string | number | null, param?: string): unknown;
  /** Begins to use it. */
  load(model: TestModel): void;
}

const CREATED = 1_735_689_600;
const EVENT_STREAM = "text/event-stream; charset=utf-8";

/** Answers what is asked at `/v1/…`, but for the models; false where there is no such path. */
export async function answerOpenAi(host: OpenAiHost, exchange: Exchange): Promise<boolean> {
  const { method, path } = exchange.recorded;
  const route = `${method} ${path.split("?")[0]}`;
  const work = {
    "POST /v1/chat/completions": chat,
    "POST /v1/completions": complete,
    "POST /v1/embeddings": embed,
  }[route];
  if (work === undefined) return false;
  const { body } = exchange.recorded;
  if (typeof body !== "object" || body === null) {
    const message = "We could not parse the JSON body of your request.";
    exchange.json(host.error(message, "invalid_request_error", null), 400);
    return true;
  }
  const model = typeof body.model === "string" ? host.model(body.model) : undefined;
  if (model === undefined) {
    const message = `The model \`${body.model}\` does not exist or you do not have access to it.`;
    const error = host.error(message, "invalid_request_error", "model_not_found", "model");
    exchange.json(error, 404);
    return true;
  }
  await host.generate(exchange, async () => {
    host.load(model);
    await work(host, exchange, model);
  });
  return true;
}

async function chat(host: OpenAiHost, exchange: Exchange, model: TestModel): Promise<void> {
  const { body } = exchange.recorded;
  if (!Array.isArray(body.messages) || body.messages.length === 0) {
    const message = "Missing required parameter: 'messages'.";
    const error = host.error(message, "invalid_request_error", "missing_required_parameter");
    return exchange.json(error, 400);
  }
  const prompt = promptOf(model, body);
  const reply = host.reply(prompt);
  const said = cutShort(reply.text ?? "", { stop: body.stop, maxTokens: prompt.maxTokens });
  const indices = Array.from({ length: host.givesSeveral ? body.n ?? 1 : 1 }, (_, index) => index);
  const calls = (reply.toolCalls ?? []).map((call, index) => ({
    index,
    id: `call_${index + 1}`,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  }));
  const finish = calls.length > 0 ? "tool_calls" : said.isCut ? "length" : "stop";
  const usage = usageOf(prompt, indices.length * (said.tokens.length + calls.length));
  const head = { id: "chatcmpl-1", created: CREATED, model: body.model };
  if (!body.stream) {
    let text = "";
    const isWhole = await exchange.speak(said.tokens, (token) => text += token, {
      malformed: (odd) => exchange.text(odd, 200, "application/json"),
      error: (message) => exchange.json(host.error(message, "server_error", null), 500),
    });
    if (!isWhole) return;
    return exchange.json({
      ...head,
      object: "chat.completion",
      choices: indices.map((index) => ({
        index,
        message: {
          role: "assistant",
          content: calls.length > 0 && text === "" ? null : text,
          ...(reply.thinking !== undefined && { reasoning_content: reply.thinking }),
          ...(calls.length > 0 && { tool_calls: calls.map(({ index: _, ...call }) => call) }),
          refusal: null,
        },
        logprobs: null,
        finish_reason: finish,
      })),
      usage,
    });
  }
  const tellsUsage = body.stream_options?.include_usage === true;
  const stream = new EventStream(exchange, {
    ...head,
    object: "chat.completion.chunk",
    ...(tellsUsage && { usage: null }),
  });
  const delta = (delta: unknown, finish_reason: string | null = null) => {
    for (const index of indices) {
      stream.send({ choices: [{ index, delta, logprobs: null, finish_reason }] });
    }
  };
  stream.open(() => delta({ role: "assistant", content: "" }));
  for (const token of tokensOf(reply.thinking ?? "")) delta({ reasoning_content: token });
  const isWhole = await exchange.speak(
    said.tokens,
    (content) => delta({ content }),
    stream.odd(host),
  );
  if (!isWhole) return;
  for (const { index, id, type, function: { name, arguments: json } } of calls) {
    delta({ tool_calls: [{ index, id, type, function: { name, arguments: "" } }] });
    // As it is made: in pieces that are no JSON of their own.
    for (const piece of json.match(/.{1,8}/gs) ?? []) {
      delta({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }
  delta({}, finish);
  if (tellsUsage) stream.send({ choices: [], usage });
  stream.close();
}

async function complete(host: OpenAiHost, exchange: Exchange, model: TestModel): Promise<void> {
  const { body } = exchange.recorded;
  const text = [body.prompt ?? ""].flat().join("\n");
  const messages = [{ role: "user", text }];
  const prompt: TestPrompt = {
    model,
    messages,
    tools: [],
    maxTokens: body.max_tokens ?? undefined,
  };
  const { maxTokens } = prompt;
  const said = cutShort(host.reply(prompt).text ?? "", { stop: body.stop, maxTokens });
  const finish = said.isCut ? "length" : "stop";
  const usage = usageOf(prompt, said.tokens.length);
  const head = { id: "cmpl-1", object: "text_completion", created: CREATED, model: body.model };
  const choice = (text: string, finish_reason: string | null) => ({
    choices: [{ text, index: 0, logprobs: null, finish_reason }],
  });
  if (!body.stream) {
    let whole = "";
    const isWhole = await exchange.speak(said.tokens, (token) => whole += token, {
      malformed: (odd) => exchange.text(odd, 200, "application/json"),
      error: (message) => exchange.json(host.error(message, "server_error", null), 500),
    });
    if (isWhole) exchange.json({ ...head, ...choice(whole, finish), usage });
    return;
  }
  const stream = new EventStream(exchange, head);
  stream.open(() => {});
  const isWhole = await exchange.speak(
    said.tokens,
    (token) => stream.send(choice(token, null)),
    stream.odd(host),
  );
  if (!isWhole) return;
  stream.send(choice("", finish));
  if (body.stream_options?.include_usage === true) stream.send({ choices: [], usage });
  stream.close();
}

async function embed(host: OpenAiHost, exchange: Exchange, model: TestModel): Promise<void> {
  const { body } = exchange.recorded;
  if (!model.capabilities.includes("embedding")) {
    const message = "This model does not support embeddings.";
    return exchange.json(host.error(message, "invalid_request_error", null, "model"), 400);
  }
  // A list of numbers is one text, in tokens.
  const isOne = !Array.isArray(body.input) || typeof body.input[0] === "number";
  const inputs: unknown[] = isOne ? [body.input] : body.input;
  const texts = inputs.map((one) => typeof one === "string" ? one : JSON.stringify(one));
  const dimensions = body.dimensions ?? host.dimensions;
  // It takes its time, too, and may break off.
  const isWhole = await exchange.speak([""], () => {}, {
    malformed: (odd) => exchange.text(odd, 200, "application/json"),
    error: (message) => exchange.json(host.error(message, "server_error", null), 500),
  });
  if (!isWhole) return;
  const tokens = texts.reduce((sum, text) => sum + tokensOf(text).length, 0);
  exchange.json({
    object: "list",
    data: texts.map((text, index) => {
      const values = embeddingOf(text, dimensions);
      const embedding = body.encoding_format === "base64" ? base64Of(values) : values;
      return { object: "embedding", index, embedding };
    }),
    model: body.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** Server-sent events, as these engines send them. */
class EventStream {
  readonly #exchange: Exchange;
  readonly #head: Record<string, unknown>;

  constructor(exchange: Exchange, head: Record<string, unknown>) {
    this.#exchange = exchange;
    this.#head = head;
  }

  /** With what comes before the first token. The head comes at once, as of most engines. */
  open(first: () => void): void {
    const { fault } = this.#exchange;
    // What stands still before its first byte has no head, either.
    if (fault?.type === "stall" && fault.afterTokens === 0) return;
    this.#exchange.begin(EVENT_STREAM);
    first();
  }

  send(chunk: Record<string, unknown>): void {
    this.#exchange.write(`data: ${JSON.stringify({ ...this.#head, ...chunk })}\n\n`);
  }

  odd(host: OpenAiHost) {
    return {
      malformed: (text: string) => this.#exchange.write(`data: ${text}\n\n`),
      error: (message: string) => {
        const error = host.error(message, "server_error", null);
        this.#exchange.write(`data: ${JSON.stringify(error)}\n\n`);
        this.#exchange.end();
      },
    };
  }

  close(): void {
    this.#exchange.write("data: [DONE]\n\n");
    this.#exchange.end();
  }
}

// deno-lint-ignore no-explicit-any
function promptOf(model: TestModel, body: any): TestPrompt {
  return {
    model,
    messages: body.messages.map((one: { role?: unknown; content?: unknown }) => ({
      role: `${one.role}`,
      text: textOf(one.content),
    })),
    tools: (body.tools ?? []).map((tool: { function?: { name?: string } }) => tool.function?.name),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    format: body.response_format ?? undefined,
  };
}

/** A text, or parts of which those are texts that say so. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => part?.type === "text" ? part.text : `[${part?.type}]`).join(" ");
}

function usageOf({ messages }: TestPrompt, completion_tokens: number) {
  const prompt_tokens = messages.reduce((sum, { text }) => sum + tokensOf(text).length, 0);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/** Numbers of four bytes, the least first: what OpenAI's own client asks for. */
function base64Of(values: readonly number[]): string {
  return new Uint8Array(new Float32Array(values).buffer).toBase64();
}
