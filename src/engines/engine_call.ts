/**
 * One call of an engine: bytes there, status and bytes back as they come. It goes to the engine that
 * it is meant for and nowhere else, asks no proxy, and ends as soon as nobody wants it any more.
 */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { requestHeaders } from "./engine_client.ts";
import type { EngineHttp, EngineResponse } from "./http.ts";
import type { EnginePlace } from "./place.ts";

/** What is asked. */
export interface EngineCall {
  /**
   * The path with its query. What begins with `/v1/` goes where the engine has OpenAI's protocol,
   * anything else where it has its own: `/v1/chat/completions`, `/api/chat`.
   */
  readonly path: string;
  readonly method?: "GET" | "POST";
  readonly body?: Uint8Array;
  /** @default {"application/json"} with a body */
  readonly contentType?: string;
  /** @default {"application/json"} */
  readonly accept?: string;
  /** Closes the connection, so that the engine stops. */
  readonly signal?: AbortSignal;
}

/** What comes back. */
export interface EngineAnswer {
  /** As the engine gave it, errors of its own included. */
  readonly status: number;
  /** Those that say something of the answer itself, in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The body as it comes; it is read once, and leaving it closes the connection. It rejects with
   * `UNKNOWN_OUTCOME` when the engine breaks off, `DEADLINE_EXCEEDED` when it falls silent, and
   * `CANCELLED` when the signal aborts.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * All of the body, instead.
   *
   * @param maxBytes What is longer is refused.
   * @throws {NetworkError} As `body` does; `RESOURCE_EXHAUSTED` when it is too long.
   */
  bytes(maxBytes: number): Promise<Uint8Array>;
}

/** How long an engine may take, in milliseconds. */
export interface EngineLimits {
  /** To accept the connection. */
  readonly connectMs: number;
  /** To its first byte: it may have to read tens of gigabytes from a disk, and then the prompt. */
  readonly firstByteMs: number;
  /** From one piece to the next. */
  readonly idleMs: number;
}

/** What a call needs. */
export interface EngineCallNeeds {
  readonly place: EnginePlace;
  readonly http: EngineHttp;
  readonly clock: Clock;
  readonly key: () => string | undefined;
  readonly limits?: Partial<EngineLimits>;
  /** Is called when nobody accepts the connection: the engine is gone. */
  readonly onGone?: () => void;
}

/** Unless other limits are given. */
export const ENGINE_LIMITS: EngineLimits = {
  connectMs: 5_000,
  firstByteMs: 600_000,
  idleMs: 120_000,
};

/** The headers of an answer that are handed on. */
const HEADERS = ["content-type", "content-encoding", "retry-after"];

/**
 * Calls an engine; resolves with the head of its answer.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` for a path that is none; `UNAVAILABLE` when nobody
 * accepts the connection; `UNKNOWN_OUTCOME` when it breaks off; `DEADLINE_EXCEEDED` when it takes
 * too long; `PROTOCOL` when the engine sends elsewhere; `PERMISSION_DENIED`; `CANCELLED`, the
 * signal's reason as the cause.
 */
export async function askEngine(needs: EngineCallNeeds, call: EngineCall): Promise<EngineAnswer> {
  const url = urlOf(needs.place, call.path);
  const watch = new CallWatch(needs, call.signal, `Cannot ask the engine at ${url.host}`);
  let response: EngineResponse;
  try {
    const asking = needs.http({
      url,
      method: call.method ?? (call.body === undefined ? "GET" : "POST"),
      headers: requestHeaders(
        needs.key(),
        call.body === undefined ? undefined : call.contentType ?? "application/json",
        call.accept,
      ),
      body: call.body,
      signal: watch.signal,
      onConnected: () => watch.begin("firstByteMs"),
    });
    if (!watch.isConnected) watch.begin("connectMs");
    response = await asking;
  } catch (thrown) {
    throw watch.end(thrown);
  }
  const { status } = response;
  if (status >= 300 && status < 400) {
    response.close();
    throw watch.end(
      new NetworkError(
        "PROTOCOL",
        `Cannot ask the engine at ${url.host}: it answers ${status}, which sends elsewhere. Name ` +
          "the address itself with --engine URL.",
      ),
    );
  }
  return {
    status,
    headers: headersOf(response),
    body: read(response, watch),
    bytes: (maxBytes) => readAll(response, watch, url, maxBytes),
  };
}

function headersOf({ headers }: EngineResponse): Record<string, string> {
  const given: Record<string, string> = {};
  for (const name of HEADERS) {
    const value = headers.get(name);
    if (value !== null) given[name] = value;
  }
  return given;
}

async function readAll(
  response: EngineResponse,
  watch: CallWatch,
  url: URL,
  maxBytes: number,
): Promise<Uint8Array> {
  const tooLong = () =>
    new NetworkError(
      "RESOURCE_EXHAUSTED",
      `Cannot take the answer of the engine at ${url.host}: it is longer than ${maxBytes} bytes. ` +
        "Ask for less at a time.",
    );
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (length > maxBytes) {
    response.close();
    throw watch.end(tooLong());
  }
  if (response.bytes !== undefined && length <= maxBytes) {
    try {
      return await response.bytes();
    } catch (thrown) {
      throw watch.end(thrown);
    } finally {
      watch.end(undefined);
    }
  }
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of read(response, watch)) {
    total += piece.length;
    if (total > maxBytes) throw tooLong();
    pieces.push(piece);
  }
  return concat(pieces, total);
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function* read(
  response: EngineResponse,
  watch: CallWatch,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of response.body) {
      // Who reads slowly is not the engine's fault.
      watch.pause();
      yield chunk;
      watch.begin("idleMs");
    }
  } catch (thrown) {
    throw watch.end(thrown);
  } finally {
    watch.end(undefined);
    response.close();
  }
}

/** Watches over one call: its limits, and whoever takes it back. */
class CallWatch {
  readonly #needs: EngineCallNeeds;
  readonly #limits: EngineLimits;
  readonly #action: string;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onAbort = () => this.#controller.abort(this.#cancelled());
  #cancelTimer: CancelTimer = () => {};
  /** Whether somebody has accepted the connection. */
  isConnected = false;

  constructor(needs: EngineCallNeeds, caller: AbortSignal | undefined, action: string) {
    this.#needs = needs;
    this.#limits = needs.limits === undefined
      ? ENGINE_LIMITS
      : { ...ENGINE_LIMITS, ...needs.limits };
    this.#action = action;
    this.#caller = caller;
    if (caller?.aborted) throw this.#cancelled();
    caller?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on this limit counts. */
  begin(limit: keyof EngineLimits): void {
    if (limit !== "connectMs") this.isConnected = true;
    this.#cancelTimer();
    const ms = this.#limits[limit];
    this.#cancelTimer = this.#needs.clock.after(
      ms,
      () => this.#controller.abort(this.#late(limit)),
    );
  }

  /** None counts for a while. */
  pause(): void {
    this.#cancelTimer();
  }

  /** The call is over; an error becomes what the caller is told. */
  end(thrown: unknown): unknown {
    this.#cancelTimer();
    this.#caller?.removeEventListener("abort", this.#onAbort);
    if (thrown === undefined || this.signal.aborted) return this.signal.reason;
    const error = NetworkError.from(thrown, "PROTOCOL", this.#action);
    if (error.code === "UNAVAILABLE") this.#needs.onGone?.();
    // What was begun there may have gone on.
    const isBrokenOff = error.code === "PROTOCOL" && error.cause !== undefined && this.isConnected;
    return isBrokenOff ? this.#error("UNKNOWN_OUTCOME", error.message, error.cause) : error;
  }

  #late(limit: keyof EngineLimits): NetworkError {
    const seconds = `${Math.round(this.#limits[limit] / 100) / 10} s`;
    if (limit === "connectMs") {
      this.#needs.onGone?.();
      const text = `${this.#action}: nobody accepted the connection within ${seconds}.`;
      return this.#error("UNAVAILABLE", text);
    }
    const what = limit === "firstByteMs" ? "no answer came" : "its answer stood still";
    return this.#error("DEADLINE_EXCEEDED", `${this.#action}: ${what} for ${seconds}.`);
  }

  #cancelled(): NetworkError {
    const cause = this.#caller?.reason;
    return this.#error("CANCELLED", `${this.#action}: whoever asked has taken it back.`, cause);
  }

  #error(code: ErrorCode, message: string, cause?: unknown): NetworkError {
    return new NetworkError(code, message, { cause });
  }
}

/** The URLs of paths that were asked before: a few for each engine. */
const urls = new WeakMap<EnginePlace, Map<string, URL>>();
const MAX_PATHS = 32;

function urlOf(place: EnginePlace, path: string): URL {
  let known = urls.get(place);
  if (known === undefined) urls.set(place, known = new Map());
  let url = known.get(path);
  if (url === undefined) {
    url = newUrl(place, path);
    if (known.size < MAX_PATHS) known.set(path, url);
  }
  return url;
}

/** No path leads away from the engine. */
function newUrl({ root, openAi }: EnginePlace, path: string): URL {
  const isOpenAi = path.startsWith("/v1/");
  const base = isOpenAi ? openAi : root;
  const url = URL.parse(`${base}${isOpenAi ? path.slice(3) : path}`);
  const isWithin = url !== null && path.startsWith("/") && !path.includes("#") &&
    url.origin === new URL(base).origin && url.href.startsWith(`${base}/`);
  if (isWithin) return url;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ask an engine: ${JSON.stringify(path)} is no path, such as /v1/chat/completions.`,
  );
}
