/**
 * An engine that speaks OpenAI's protocol, as llama.cpp, LM Studio, vLLM, exo, Jan and OpenAI itself
 * do; each with what it says of itself at paths of its own.
 *
 * @module
 */

import {
  EngineServer,
  type EngineServerOptions,
  type Exchange,
  type Refusal,
} from "./engine_server.ts";
import { answerOpenAi, type OpenAiHost } from "./open_ai_dialect.ts";
import { echo, type TestModel, testModel, type TestPrompt, type TestReply } from "./test_model.ts";

/** Whose ways it has. */
export type OpenAiFlavour = "openai" | "llama.cpp" | "lm-studio" | "vllm" | "exo" | "jan";

/** What it takes. */
export interface OpenAiEngineOptions extends EngineServerOptions {
  /** @default {"vllm"} */
  flavour?: OpenAiFlavour;
  /** @default one that chats */
  models?: TestModel[];
  /** What its models say. @default {echo} */
  reply?: (prompt: TestPrompt) => TestReply;
  /** Of embeddings. @default {8} */
  dimensions?: number;
}

const OWNERS: Readonly<Record<OpenAiFlavour, string>> = {
  "openai": "system",
  "llama.cpp": "llamacpp",
  "lm-studio": "organization_owner",
  "vllm": "vllm",
  "exo": "exo",
  "jan": "jan",
};
const CREATED = 1_735_689_600;

/**
 * See the top of the file.
 *
 * @example
 * ```ts ignore
 * await using engine = await new OpenAiEngine({ tokenMs: 20 }).start();
 * engine.nextFaults.push({ type: "drop", afterTokens: 3 });
 * ```
 */
export class OpenAiEngine extends EngineServer implements OpenAiHost {
  readonly flavour: OpenAiFlavour;
  readonly givesSeveral = true;
  models: TestModel[];
  reply: (prompt: TestPrompt) => TestReply;
  readonly dimensions: number;
  /** Of llama.cpp: it answers nothing until it has read its model. */
  isLoading = false;

  constructor(options: OpenAiEngineOptions = {}) {
    super(options);
    this.flavour = options.flavour ?? "vllm";
    this.models = options.models ?? [testModel("test-model")];
    this.reply = options.reply ?? echo;
    this.dimensions = options.dimensions ?? 8;
  }

  model(name: string): TestModel | undefined {
    // One that has a single model does not look at the name.
    return this.models.find((model) => model.name === name) ??
      (this.flavour === "llama.cpp" ? this.models[0] : undefined);
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
    if (this.isLoading) {
      return exchange.json(this.error("Loading model", "unavailable_error", 503), 503);
    }
    const { method, path } = exchange.recorded;
    const [pathname] = path.split("?");
    if (method === "GET" && pathname === "/v1/models") {
      return exchange.json({ object: "list", data: this.models.map((one) => this.#listed(one)) });
    }
    if (method === "GET" && pathname.startsWith("/v1/models/")) {
      const name = decodeURIComponent(pathname.slice("/v1/models/".length));
      const model = this.models.find((one) => one.name === name);
      if (model !== undefined) return exchange.json(this.#listed(model));
      const message = `The model '${name}' does not exist`;
      const error = this.error(message, "invalid_request_error", "model_not_found", "model");
      return exchange.json(error, 404);
    }
    const own = method === "GET" ? this.#own(pathname) : undefined;
    if (own !== undefined) return exchange.json(own);
    if (await answerOpenAi(this, exchange)) return;
    this.#notFound(exchange);
  }

  protected override refuse(exchange: Exchange, refusal: Refusal): void {
    if (refusal.type === "key") {
      const message = "Incorrect API key provided. Give the right one.";
      exchange.json(this.error(message, "invalid_request_error", "invalid_api_key"), 401);
      return;
    }
    if (refusal.type === "failed") {
      exchange.json(this.error(refusal.message, "server_error", null), refusal.status);
      return;
    }
    const { status, retryAfterSeconds } = refusal;
    const error = status === 429
      ? this.error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")
      : this.error("The engine is overloaded, try again later.", "server_error", null);
    const headers = retryAfterSeconds === undefined ? undefined : {
      "retry-after": `${retryAfterSeconds}`,
    };
    exchange.json(error, status, headers);
  }

  #listed({ name, ...model }: TestModel): Record<string, unknown> {
    const base = { id: name, object: "model", created: CREATED, owned_by: OWNERS[this.flavour] };
    switch (this.flavour) {
      case "llama.cpp":
        return {
          ...base,
          meta: {
            vocab_type: 2,
            n_vocab: 128_256,
            n_ctx_train: model.contextLength,
            n_embd: 4_096,
            n_params: model.parameters,
            size: model.sizeBytes,
          },
        };
      case "vllm":
        return { ...base, root: name, parent: null, max_model_len: model.contextLength };
      case "exo":
        return {
          ...base,
          name,
          context_length: model.contextLength,
          storage_size_megabytes: Math.round(model.sizeBytes / 2 ** 20),
          quantization: model.quantization,
          capabilities: ["text"],
          tasks: ["TextGeneration"],
        };
      default:
        return base;
    }
  }

  /** What it says at paths that the others do not have. */
  #own(pathname: string): unknown {
    const [first] = this.models;
    switch (`${this.flavour} ${pathname}`) {
      case "vllm /version":
        return { version: "0.11.0" };
      case "llama.cpp /health":
        return { status: "ok" };
      case "llama.cpp /props":
        return {
          default_generation_settings: { n_ctx: 8_192 },
          total_slots: 4,
          model_path: first?.name,
          chat_template: "…",
          chat_template_caps: { supports_tools: first?.capabilities.includes("tools") },
          modalities: { vision: first?.capabilities.includes("vision"), audio: false },
          build_info: "b9000-1234567",
        };
      case "lm-studio /api/v0/models":
        return { object: "list", data: this.models.map(lmStudioListed) };
      case "exo /state":
        return { instances: this.#instances(), runners: {}, topology: { nodes: [] } };
    }
  }

  /** Each under the name of its kind. */
  #instances(): Record<string, unknown> {
    const placed = this.models.filter(({ loaded }) => loaded);
    return Object.fromEntries(placed.map(({ name }, i) => [
      `instance-${i}`,
      { MlxRingInstance: { shardAssignments: { modelId: name, nodeToRunner: {} } } },
    ]));
  }

  #notFound(exchange: Exchange): void {
    const { method, path } = exchange.recorded;
    if (this.flavour === "lm-studio") {
      // With status 200.
      return exchange.json({ error: `Unexpected endpoint or method. (${method} ${path})` });
    }
    if (this.flavour === "vllm" || this.flavour === "exo") {
      return exchange.json({ detail: "Not Found" }, 404);
    }
    exchange.json(this.error("File Not Found", "not_found_error", 404), 404);
  }
}

function lmStudioListed({ name, capabilities, ...model }: TestModel): Record<string, unknown> {
  const type = capabilities.includes("embedding")
    ? "embeddings"
    : capabilities.includes("vision")
    ? "vlm"
    : "llm";
  return {
    id: name,
    object: "model",
    type,
    publisher: "test",
    arch: model.family,
    compatibility_type: "gguf",
    quantization: model.quantization,
    state: model.loaded ? "loaded" : "not-loaded",
    max_context_length: model.contextLength,
    ...(model.loaded && { loaded_context_length: 4_096 }),
    ...(capabilities.includes("tools") && { capabilities: ["tool_use"] }),
  };
}
