/**
 * The HTTP of a test's engine: it records what is asked and what became of it, keeps real time from
 * token to token, and fails in the ways that real ones do. It is made with Node's server, which sees
 * that a client has gone before the first byte, and can break off as a process does that dies.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How a generation goes wrong. Tokens count from 1; 0 is before the first. */
export type EngineFault =
  /** Refused before the first token, with a status and a body in the engine's own form. */
  | { readonly type: "fail"; readonly status?: number; readonly message?: string }
  /** Refused because it is full. */
  | { readonly type: "full"; readonly status: 429 | 503; readonly retryAfterSeconds?: number }
  /** It says no more, and keeps the connection. */
  | { readonly type: "stall"; readonly afterTokens: number }
  /** The connection ends in the middle. */
  | { readonly type: "drop"; readonly afterTokens: number }
  /** A piece that is no JSON stands between the others. */
  | { readonly type: "malformed"; readonly afterTokens: number; readonly text?: string }
  /** An error in the engine's own form takes the place of the rest. */
  | { readonly type: "error"; readonly afterTokens: number; readonly message?: string };

/** What became of a request. */
export type RequestOutcome = "answered" | "cancelled" | "dropped";

/** A request as it came. */
export interface RecordedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  /** The body as JSON; undefined where it was none. */
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  /** Whether a model is asked; else somebody looks what there is. */
  readonly isCall: boolean;
  /** Tokens that were said so far. */
  tokens: number;
  /** What became of it, as soon as that is known. */
  readonly outcome: Promise<RequestOutcome>;
}

/** What an engine takes. */
export interface EngineServerOptions {
  /** Where it listens, on 127.0.0.1. @default {0} any port that is free */
  port?: number;
  /** The key that it wants; without one it takes everybody. */
  key?: string;
  /** From the request to the first token, in milliseconds. @default {0} */
  firstTokenMs?: number;
  /** From one token to the next, in milliseconds. @default {0} */
  tokenMs?: number;
  /** How many generations go on at a time; others are told that it is full. @default {Infinity} */
  maxConcurrent?: number;
  /** What goes wrong with a generation, where nothing else is said. */
  faultOf?: (engine: EngineServer) => EngineFault | undefined;
}

/** One request while it is answered. */
export class Exchange {
  readonly recorded: RecordedRequest;
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  readonly #options: Required<Pick<EngineServerOptions, "firstTokenMs" | "tokenMs">>;
  /** What is to go wrong with it. */
  readonly fault: EngineFault | undefined;

  constructor(
    recorded: RecordedRequest,
    response: ServerResponse,
    fault: EngineFault | undefined,
    options: EngineServerOptions,
  ) {
    this.recorded = recorded;
    this.#response = response;
    this.fault = fault;
    this.#options = { firstTokenMs: 0, tokenMs: 0, ...options };
    response.on("close", () => this.#gone.abort());
  }

  /** The client has gone, or was dropped. */
  get isGone(): boolean {
    return this.#gone.signal.aborted;
  }

  /** An answer that comes whole. */
  json(value: unknown, status = 200, headers: Record<string, string> = {}): void {
    if (this.isGone) return;
    this.#response.writeHead(status, { "content-type": "application/json", ...headers });
    this.#response.end(JSON.stringify(value));
  }

  text(text: string, status = 200, contentType = "text/plain; charset=utf-8"): void {
    if (this.isGone) return;
    this.#response.writeHead(status, { "content-type": contentType });
    this.#response.end(text);
  }

  /** The head of an answer that comes in pieces. */
  begin(contentType: string): void {
    if (this.isGone || this.#response.headersSent) return;
    this.#response.writeHead(200, { "content-type": contentType, "cache-control": "no-cache" });
  }

  write(text: string): void {
    if (!this.isGone) this.#response.write(text);
  }

  end(): void {
    if (!this.isGone) this.#response.end();
  }

  /** As a process that dies. */
  drop(): void {
    this.#response.destroy();
  }

  /**
   * Says tokens one by one, in real time, and does what is to go wrong.
   *
   * @param say Is told each token.
   * @param odd Is told what is to stand in the place of a piece, and what ends it with an error.
   * @returns Whether all were said.
   */
  async speak(
    tokens: readonly string[],
    say: (token: string) => void,
    odd: { malformed: (text: string) => void; error: (message: string) => void },
  ): Promise<boolean> {
    await this.#pause(this.#options.firstTokenMs);
    for (let said = 0; !this.isGone; said++) {
      if (this.fault !== undefined && "afterTokens" in this.fault) {
        const { fault } = this;
        if (fault.afterTokens === said) {
          if (fault.type === "malformed") odd.malformed(fault.text ?? '{"choices": [{"del');
          if (fault.type === "error") {
            odd.error(fault.message ?? "the model has crashed");
            return false;
          }
          // Written pieces are to arrive before the connection ends.
          if (fault.type === "drop") {
            await this.#pause(5);
            this.drop();
          }
          if (fault.type === "stall") await new Promise<void>((resolve) => this.#onGone(resolve));
          if (this.isGone) return false;
        }
      }
      if (said === tokens.length) return true;
      if (said > 0) await this.#pause(this.#options.tokenMs);
      if (this.isGone) return false;
      this.recorded.tokens = said + 1;
      say(tokens[said]);
    }
    return false;
  }

  /** Cut short when the client goes. */
  async #pause(ms: number): Promise<void> {
    // Each piece is one of its own on the wire, however fast.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onGone(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #onGone(callback: () => void): void {
    if (this.isGone) callback();
    else this.#gone.signal.addEventListener("abort", callback, { once: true });
  }
}

/** See the top of the file. */
export abstract class EngineServer implements AsyncDisposable {
  /** What it was asked, in order. */
  readonly requests: RecordedRequest[] = [];
  /** What goes wrong with every generation. */
  fault: EngineFault | undefined;
  /** What goes wrong with the next ones, each once. */
  readonly nextFaults: EngineFault[] = [];
  readonly options: EngineServerOptions;
  #server: Server | undefined;
  #port = 0;
  #running = 0;

  constructor(options: EngineServerOptions = {}) {
    this.options = options;
  }

  /** Where it is: `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Begins to listen, on the port that it had if it had one. */
  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port || (this.options.port ?? 0), "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Ends as a process that dies: whatever it was saying breaks off. Idempotent. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The requests to a path, without what is asked by who looks what is there. */
  asked(path: string): RecordedRequest[] {
    return this.requests.filter((one) => one.path.split("?")[0] === path);
  }

  /** Answers what is asked. */
  protected abstract answer(exchange: Exchange): void | Promise<void>;
  /** Refuses in the engine's own form. */
  protected abstract refuse(exchange: Exchange, refusal: Refusal): void;

  /**
   * Generates something, unless it is full or is to fail.
   *
   * @param work Says it.
   */
  protected async generate(exchange: Exchange, work: () => Promise<void>): Promise<void> {
    const { fault } = exchange;
    if (fault?.type === "full" || this.#running >= (this.options.maxConcurrent ?? Infinity)) {
      const { status = 503, retryAfterSeconds = undefined } = fault?.type === "full" ? fault : {};
      return this.refuse(exchange, { type: "full", status, retryAfterSeconds });
    }
    if (fault?.type === "fail") {
      const { status = 500, message = "the model could not be started" } = fault;
      return this.refuse(exchange, { type: "failed", status, message });
    }
    this.#running++;
    try {
      await work();
    } finally {
      this.#running--;
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { promise: outcome, resolve } = Promise.withResolvers<RequestOutcome>();
    const chunks: Uint8Array[] = [];
    let exchange: Exchange | undefined = undefined;
    response.on("close", () => {
      const wasDropped = exchange?.fault?.type === "drop" || this.#server === undefined;
      resolve(response.writableFinished ? "answered" : wasDropped ? "dropped" : "cancelled");
    });
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // Who asked has gone, or this engine has stopped.
    }
    const bytes = new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    const { method = "", url: path = "" } = request;
    const body = jsonOf(bytes) as RecordedRequest["body"];
    const isCall = method === "POST" && path !== "/api/show" && body?.model !== undefined;
    const recorded: RecordedRequest = {
      method,
      path,
      headers: Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, `${value}`]),
      ),
      bytes,
      body,
      isCall,
      tokens: 0,
      outcome,
    };
    this.requests.push(recorded);
    const fault = isCall
      ? this.nextFaults.shift() ?? this.fault ?? this.options.faultOf?.(this)
      : undefined;
    exchange = new Exchange(recorded, response, fault, this.options);
    const { key } = this.options;
    if (key !== undefined && recorded.headers.authorization !== `Bearer ${key}`) {
      return this.refuse(exchange, { type: "key" });
    }
    try {
      await this.answer(exchange);
    } catch (thrown) {
      this.refuse(exchange, { type: "failed", status: 500, message: String(thrown) });
    }
  }
}

/** Why an engine refuses. */
export type Refusal =
  | { readonly type: "key" }
  | { readonly type: "full"; readonly status: 429 | 503; readonly retryAfterSeconds?: number }
  | { readonly type: "failed"; readonly status: number; readonly message: string };

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
