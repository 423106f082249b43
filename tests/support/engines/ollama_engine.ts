/** Ollama as its clients know it: its own API, and OpenAI's beside it. */

import {
  EngineServer,
  type EngineServerOptions,
  type Exchange,
  type Refusal,
} from "./engine_server.ts";
import { answerOpenAi, type OpenAiHost } from "./open_ai_dialect.ts";
import {
  cutShort,
  echo,
  embeddingOf,
  type TestModel,
  testModel,
  type TestPrompt,
  type TestReply,
  tokensOf,
} from "./test_model.ts";

/** What it takes. */
export interface OllamaEngineOptions extends EngineServerOptions {
  /** @default one that chats */
  models?: TestModel[];
  /** What its models say. @default {echo} */
  reply?: (prompt: TestPrompt) => TestReply;
  /** Of embeddings. @default {8} */
  dimensions?: number;
  /** @default {"0.12.3"} */
  version?: string;
}

const NDJSON = "application/x-ndjson";
const MODIFIED_AT = "2025-01-01T00:00:00.000000000Z";

/** See the top of the file. */
export class OllamaEngine extends EngineServer implements OpenAiHost {
  readonly givesSeveral = false;
  models: TestModel[];
  reply: (prompt: TestPrompt) => TestReply;
  readonly dimensions: number;
  readonly version: string;

  constructor(options: OllamaEngineOptions = {}) {
    super(options);
    this.models = options.models ?? [testModel("llama3.2:latest")];
    this.reply = options.reply ?? echo;
    this.dimensions = options.dimensions ?? 8;
    this.version = options.version ?? "0.12.3";
  }

  /** A name without a tag means the latest. */
  model(name: string): TestModel | undefined {
    const full = name.includes(":") ? name : `${name}:latest`;
    return this.models.find((model) => model.name === full);
  }

  load(model: TestModel): void {
    model.loaded = true;
  }

  error(message: string, type: string, code: string | number | null, param?: string): unknown {
    return { error: { message, type, param: param ?? null, code } };
  }

  override generate(exchange: Exchange, work: () => Promise<void>): Promise<void> {
    return super.generate(exchange, work);
  }

  protected override async answer(exchange: Exchange): Promise<void> {
    const { method, path } = exchange.recorded;
    const [pathname] = path.split("?");
    const { body } = exchange.recorded;
    switch (`${method} ${pathname}`) {
      case "GET /":
        return exchange.text("Ollama is running");
      case "GET /api/version":
        return exchange.json({ version: this.version });
      case "GET /api/tags":
        return exchange.json({ models: this.models.map(listed) });
      case "GET /api/ps": {
        const running = this.models.filter(({ loaded }) => loaded);
        return exchange.json({ models: running.map(runningListed) });
      }
      case "POST /api/show":
        return this.#show(exchange);
      case "GET /v1/models": {
        const data = this.models.map(({ name }) => ({
          id: name,
          object: "model",
          created: 1_735_689_600,
          owned_by: "library",
        }));
        return exchange.json({ object: "list", data: data.length === 0 ? null : data });
      }
      case "POST /api/chat":
        return await this.#generate(exchange, messagesOf(body?.messages), chatPiece, true);
      case "POST /api/generate": {
        const text = typeof body?.prompt === "string" ? body.prompt : "";
        const system = typeof body?.system === "string" && body.system !== ""
          ? [{ role: "system", text: body.system }]
          : [];
        const messages = text === "" ? [] : [...system, { role: "user", text }];
        return await this.#generate(exchange, messages, generatePiece, false);
      }
      case "POST /api/embed":
      case "POST /api/embeddings":
        return await this.#embed(exchange, pathname === "/api/embed");
    }
    if (await answerOpenAi(this, exchange)) return;
    exchange.text("404 page not found", 404);
  }

  protected override refuse(exchange: Exchange, refusal: Refusal): void {
    const isOpenAi = exchange.recorded.path.startsWith("/v1/");
    const refuse = (message: string, status: number, headers?: Record<string, string>) =>
      exchange.json(
        isOpenAi ? this.error(message, "api_error", null) : { error: message },
        status,
        headers,
      );
    if (refusal.type === "key") return refuse("unauthorized", 401);
    if (refusal.type === "failed") return refuse(refusal.message, refusal.status);
    const { status, retryAfterSeconds } = refusal;
    const headers = retryAfterSeconds === undefined ? undefined : {
      "retry-after": `${retryAfterSeconds}`,
    };
    refuse("server busy, please try again.  maximum pending requests exceeded", status, headers);
  }

  /** The model that is asked for; undefined where there is none, which was told then. */
  #asked(exchange: Exchange): TestModel | undefined {
    const { body } = exchange.recorded;
    if (typeof body !== "object" || body === null) {
      exchange.json({ error: "invalid JSON in the body of the request" }, 400);
      return undefined;
    }
    const name = body.model ?? body.name;
    if (typeof name !== "string" || name === "") {
      exchange.json({ error: "model is required" }, 400);
      return undefined;
    }
    const model = this.model(name);
    if (model === undefined) exchange.json({ error: `model '${name}' not found` }, 404);
    return model;
  }

  #show(exchange: Exchange): void {
    const model = this.#asked(exchange);
    if (model === undefined) return;
    const { family, capabilities } = model;
    exchange.json({
      license: "…",
      modelfile: "…",
      parameters: 'stop "<|eot_id|>"',
      template: "{{ .Prompt }}",
      details: detailsOf(model),
      model_info: {
        "general.architecture": family,
        "general.file_type": 15,
        "general.parameter_count": model.parameters,
        [`${family}.block_count`]: 28,
        [`${family}.context_length`]: model.contextLength,
        [`${family}.embedding_length`]: 3_072,
        "tokenizer.ggml.tokens": null,
      },
      capabilities,
      modified_at: MODIFIED_AT,
    });
  }

  async #generate(
    exchange: Exchange,
    messages: TestPrompt["messages"],
    piece: Piece,
    takesTools: boolean,
  ): Promise<void> {
    const model = this.#asked(exchange);
    if (model === undefined) return;
    const { body } = exchange.recorded;
    const tools = takesTools ? toolsOf(body.tools) : [];
    if (!model.capabilities.includes("completion")) {
      const what = takesTools ? "chat" : "generate";
      return exchange.json({ error: `"${body.model}" does not support ${what}` }, 400);
    }
    if (tools.length > 0 && !model.capabilities.includes("tools")) {
      return exchange.json({ error: `${body.model} does not support tools` }, 400);
    }
    if (messages.length === 0) {
      // Nothing is asked: it is read into memory, or thrown out of it.
      model.loaded = body.keep_alive !== 0;
      const done_reason = model.loaded ? "load" : "unload";
      return exchange.json({ ...piece(body.model, {}), done: true, done_reason });
    }
    await this.generate(exchange, async () => {
      this.load(model);
      const maxTokens = body.options?.num_predict > 0 ? body.options.num_predict : undefined;
      const format = body.format || undefined;
      const reply = this.reply({ model, messages, tools, maxTokens, format });
      await speak(exchange, piece, reply, { messages, maxTokens });
      if (body.keep_alive === 0) model.loaded = false;
    });
  }

  async #embed(exchange: Exchange, isNew: boolean): Promise<void> {
    const model = this.#asked(exchange);
    if (model === undefined) return;
    const { body } = exchange.recorded;
    if (!model.capabilities.includes("embedding")) {
      return exchange.json({ error: "this model does not support embeddings" }, 501);
    }
    await this.generate(exchange, async () => {
      this.load(model);
      const texts: string[] = [isNew ? body.input ?? "" : body.prompt ?? ""].flat();
      const isWhole = await exchange.speak([""], () => {}, {
        malformed: (odd) => exchange.text(odd, 200, "application/json"),
        error: (error) => exchange.json({ error }, 500),
      });
      if (!isWhole) return;
      const embeddings = texts.map((text) => embeddingOf(text, body.dimensions ?? this.dimensions));
      if (!isNew) return exchange.json({ embedding: embeddings[0] });
      exchange.json({
        model: body.model,
        embeddings,
        total_duration: 14_143_917,
        load_duration: 1_019_500,
        prompt_eval_count: texts.reduce((sum, text) => sum + tokensOf(text).length, 0),
      });
    });
  }
}

/** What a piece of an answer says. */
interface Said extends Pick<TestReply, "thinking" | "toolCalls"> {
  content?: string;
}
type Piece = (model: string, said: Said) => Record<string, unknown>;

function chatPiece(model: string, { content = "", thinking, toolCalls }: Said) {
  return {
    model,
    created_at: new Date().toISOString(),
    message: {
      role: "assistant",
      content,
      ...(thinking !== undefined && { thinking }),
      ...(toolCalls !== undefined && {
        tool_calls: toolCalls.map((call, index) => ({
          id: `call_${index + 1}`,
          function: { index, ...call },
        })),
      }),
    },
    done: false,
  };
}

function generatePiece(model: string, { content = "", thinking }: Said) {
  return {
    model,
    created_at: new Date().toISOString(),
    response: content,
    ...(thinking !== undefined && { thinking }),
    done: false,
  };
}

/** One JSON value a line, unless the client wants it whole. */
async function speak(
  exchange: Exchange,
  piece: Piece,
  reply: TestReply,
  { messages, maxTokens }: Pick<TestPrompt, "messages" | "maxTokens">,
): Promise<void> {
  const { body } = exchange.recorded;
  const started = performance.now();
  const { stop } = body.options ?? {};
  const { tokens: said, isCut } = cutShort(reply.text ?? "", { stop, maxTokens });
  const thoughts = body.think === false ? [] : tokensOf(reply.thinking ?? "");
  const toolCalls = reply.toolCalls?.length ? reply.toolCalls : undefined;
  const isStreamed = body.stream !== false;
  let text = "";
  const line = (value: unknown) => exchange.write(`${JSON.stringify(value)}\n`);
  const send = (said: Said) => {
    // Its head comes with the first token.
    exchange.begin(NDJSON);
    line(piece(body.model, said));
  };
  if (isStreamed) { for (const thinking of thoughts) send({ thinking }); }
  const isWhole = await exchange.speak(said, (content) => {
    text += content;
    if (isStreamed) send({ content });
  }, {
    malformed: (odd) => {
      if (!isStreamed) return exchange.text(odd, 200, "application/json; charset=utf-8");
      exchange.begin(NDJSON);
      exchange.write(`${odd}\n`);
    },
    error: (error) => {
      if (!isStreamed) return exchange.json({ error }, 500);
      exchange.begin(NDJSON);
      line({ error });
      exchange.end();
    },
  });
  if (!isWhole) return;
  if (isStreamed && toolCalls !== undefined) send({ toolCalls });
  const nanoseconds = Math.round((performance.now() - started) * 1e6);
  const last = {
    done: true,
    done_reason: isCut ? "length" : "stop",
    total_duration: nanoseconds + 2_000_000,
    load_duration: 1_000_000,
    prompt_eval_count: messages.reduce((sum, { text }) => sum + tokensOf(text).length, 0),
    prompt_eval_duration: 1_000_000,
    eval_count: said.length,
    eval_duration: nanoseconds,
  };
  if (!isStreamed) {
    const thinking = thoughts.length > 0 ? thoughts.join("") : undefined;
    exchange.json({ ...piece(body.model, { content: text, thinking, toolCalls }), ...last });
    return;
  }
  exchange.begin(NDJSON);
  line({ ...piece(body.model, {}), ...last });
  exchange.end();
}

function messagesOf(messages: unknown): TestPrompt["messages"] {
  if (!Array.isArray(messages)) return [];
  return messages.map(({ role, content, images }) => ({
    role: `${role}`,
    text: `${content ?? ""}${Array.isArray(images) ? ` [${images.length} images]` : ""}`,
  }));
}

function toolsOf(tools: unknown): string[] {
  if (!Array.isArray(tools)) return [];
  return tools.map((tool) => `${tool?.function?.name}`);
}

function listed(model: TestModel): Record<string, unknown> {
  const { name, sizeBytes, remoteHost } = model;
  return {
    name,
    model: name,
    modified_at: MODIFIED_AT,
    size: sizeBytes,
    digest: digestOf(model),
    details: detailsOf(model),
    ...(remoteHost !== undefined && { remote_host: remoteHost, remote_model: name }),
  };
}

function runningListed(model: TestModel): Record<string, unknown> {
  const { modified_at: _, ...rest } = listed(model);
  return {
    ...rest,
    expires_at: new Date(Date.now() + 300_000).toISOString(),
    size_vram: model.sizeBytes,
    context_length: 4_096,
  };
}

function detailsOf({ family, parameters, quantization }: TestModel): Record<string, unknown> {
  return {
    parent_model: "",
    format: "gguf",
    family,
    families: [family],
    parameter_size: `${(parameters / 1e9).toFixed(1)}B`,
    quantization_level: quantization,
  };
}

/** What is pulled anew has another one. */
function digestOf({ name, sizeBytes, contextLength }: TestModel): string {
  return embeddingOf(`${name} ${sizeBytes} ${contextLength}`, 8)
    .map((value) => Math.round((value + 1) * 2 ** 30).toString(16).padStart(8, "0")).join("");
}
