/**
 * An engine in memory whose time the test moves: it loads, queues and speaks by that clock, and
 * dies when it is told to.
 *
 * @module
 */

import { type Clock, sleep } from "../../../src/base/clock.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import type { EngineHttp, EngineRequest } from "../../../src/engines/http.ts";
import type { Platform } from "../../../src/network/platform.ts";

/** What it is. */
export interface ClockedEngineOptions {
  /** Ollama answers one call at a time, vLLM many. @default {"ollama"} */
  kind?: "ollama" | "vllm";
  /** @default {["m"]} */
  models?: string[];
  /** Those that are in memory. @default all */
  loaded?: string[];
  contextLength?: number;
  /** From when it begins to the first token, in milliseconds. @default {100} */
  firstTokenMs?: number;
  /** From one token to the next, in milliseconds. @default {10} */
  tokenMs?: number;
  /** How many tokens it says. @default {11} */
  tokens?: number;
}

/** The address that nodes are to be told. */
export const CLOCKED_URL = "http://127.0.0.1:9000";
const CALLS = ["/v1/chat/completions", "/api/chat"];

/** See the top of the file. */
export class ClockedEngine {
  readonly options: Required<Omit<ClockedEngineOptions, "contextLength">> & ClockedEngineOptions;
  /** What becomes of the next calls: the status of a refusal, or how many tokens come before it dies. */
  readonly faults: ({ status: number } | { afterTokens: number })[] = [];
  /** How many calls it was asked for. */
  asked = 0;
  /** Calls that it answers or that wait there, and the most that there ever were. */
  busy = 0;
  mostBusy = 0;
  cancelled = 0;
  readonly bodies: string[] = [];
  readonly #clock: Clock;
  #line: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, options: ClockedEngineOptions = {}) {
    const models = options.models ?? ["m"];
    this.#clock = clock;
    this.options = {
      kind: "ollama",
      loaded: models,
      firstTokenMs: 100,
      tokenMs: 10,
      tokens: 11,
      ...options,
      models,
    };
  }

  /** A node's platform with this engine, and no other. */
  get platform(): Partial<Platform> {
    const { http } = this;
    return {
      engines: { http, usualPorts: [], knownPorts: [], environment: () => undefined },
    };
  }

  readonly http: EngineHttp = (request) => {
    const { url: { pathname } } = request;
    if (CALLS.includes(pathname)) return this.#call(request);
    const known = this.#known(pathname);
    return Promise.resolve(responseOf(
      Response.json(known ?? { error: "not found" }, { status: known === undefined ? 404 : 200 }),
    ));
  };

  #known(pathname: string): unknown {
    const { kind, models, loaded, contextLength } = this.options;
    const list = (names: readonly string[]) => names.map((name) => ({ name, digest: name }));
    if (pathname === "/v1/models") {
      const owned_by = kind === "vllm" ? "vllm" : "library";
      return {
        object: "list",
        data: models.map((id) => ({ id, owned_by, max_model_len: contextLength })),
      };
    }
    if (kind === "vllm") return pathname === "/version" ? { version: "1" } : undefined;
    if (pathname === "/api/version") return { version: "1" };
    if (pathname === "/api/tags") return { models: list(models) };
    if (pathname === "/api/ps") return { models: list(loaded) };
    if (pathname === "/api/show") return { capabilities: ["completion"] };
    return undefined;
  }

  async #call({ body, signal, onConnected }: EngineRequest) {
    this.asked++;
    onConnected?.();
    const text = new TextDecoder().decode(body);
    this.bodies.push(text);
    const fault = this.faults.shift();
    if (fault !== undefined && "status" in fault) {
      return responseOf(Response.json({ error: "it fails" }, { status: fault.status }));
    }
    this.mostBusy = Math.max(this.mostBusy, ++this.busy);
    const end = () => {
      signal.removeEventListener("abort", onAbort);
      this.busy--;
    };
    const onAbort = () => this.cancelled++;
    signal.addEventListener("abort", onAbort, { once: true });
    const { promise: done, resolve: release } = Promise.withResolvers<void>();
    try {
      if (this.options.kind === "ollama") {
        const before = this.#line;
        this.#line = before.then(() => done);
        await Promise.race([before, aborted(signal)]);
      }
      await sleep(this.#clock, this.options.firstTokenMs, signal);
    } catch (thrown) {
      end();
      release();
      throw thrown;
    }
    const speak = this.#speak(JSON.parse(text).stream === true, fault?.afterTokens, signal);
    const over = () => {
      end();
      release();
    };
    return {
      status: 200,
      headers: new Headers({
        "content-type": JSON.parse(text).stream === true ? "text/event-stream" : "application/json",
      }),
      body: (async function* () {
        try {
          yield* speak;
        } finally {
          over();
        }
      })(),
      close: () => {},
    };
  }

  async *#speak(
    isStream: boolean,
    diesAfter: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { tokenMs, tokens } = this.options;
    const encoder = new TextEncoder();
    for (let i = 0; i < tokens; i++) {
      if (i === diesAfter) throw new NetworkError("PROTOCOL", "it died", { cause: "died" });
      if (i > 0) await sleep(this.#clock, tokenMs, signal);
      const choices = [{ index: 0, delta: { content: `${i} ` } }];
      if (isStream) yield encoder.encode(`data: ${JSON.stringify({ choices })}\n\n`);
    }
    if (isStream) {
      const choices = [{ index: 0, delta: {}, finish_reason: "stop" }];
      yield encoder.encode(`data: ${JSON.stringify({ choices })}\n\ndata: [DONE]\n\n`);
      return;
    }
    const content = Array.from({ length: tokens }, (_, i) => `${i} `).join("");
    const message = { role: "assistant", content };
    yield encoder.encode(JSON.stringify({
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 },
    }));
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function responseOf(response: Response) {
  return {
    status: response.status,
    headers: response.headers,
    body: response.body ?? (async function* () {})(),
    close: () => {},
  };
}
