/** Asks an engine what it is and has: short questions, whose answers are bounded before they are read. */

import { parseBoundedJson } from "../base/bounded_json.ts";
import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { withTimeLimit } from "../base/time_limit.ts";
import { isAnthropicRefusal } from "./answers.ts";
import type { EngineHttp, EngineResponse } from "./http.ts";
import type { EnginePlace } from "./place.ts";

/** What came of a question. */
export interface EngineReply {
  readonly status: number;
  /** The JSON of the answer; undefined where it was none. */
  readonly value: unknown;
  /** What the server calls itself. */
  readonly server: string;
}

/** What an {@linkcode EngineClient} needs. */
export interface EngineClientNeeds {
  readonly place: EnginePlace;
  readonly http: EngineHttp;
  readonly clock: Clock;
  /** The key that is sent along, if there is one. */
  readonly key: () => string | undefined;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/** The longest answer that is read: a few thousand models. */
export const MAX_REPLY_BYTES = 4 * 1024 * 1024;
/** `/api/show` has lists of tokens in it; nothing of use is deeper. */
const MAX_DEPTH = 16;
/** For one question. */
const LOOPBACK_LIMIT_MS = 2_000;
const DISTANT_LIMIT_MS = 10_000;

/** Anthropic's API speaks OpenAI's protocol, but lists its models only to who asks in its own way. */
const ANTHROPIC_VERSION = "2023-06-01";
/** It lists twenty unless it is asked for more. */
const ANTHROPIC_LIMIT = "?limit=1000";

/** See the top of the file. */
export class EngineClient {
  readonly #needs: EngineClientNeeds;
  #isAnthropic = false;

  constructor(needs: EngineClientNeeds) {
    this.#needs = needs;
  }

  get place(): EnginePlace {
    return this.#needs.place;
  }

  /** Asks at a path of the engine's own: `/api/tags`. */
  own(path: string, body?: unknown): Promise<EngineReply> {
    return this.#ask(`${this.place.root}${path}`, body);
  }

  /**
   * Asks at a path of OpenAI's protocol: `/models`; Anthropic's API for what it lists as that wants
   * to be asked.
   */
  async openAi(path: string, body?: unknown): Promise<EngineReply> {
    const address = `${this.place.openAi}${path}`;
    const key = this.#needs.key();
    if (body !== undefined) return await this.#ask(address, body);
    if (!this.#isAnthropic) {
      const reply = await this.#ask(address);
      if (key === undefined || !isAnthropicRefusal(reply.value)) return reply;
      this.#isAnthropic = true;
    }
    const headers = { ...requestHeaders(undefined, undefined), ...anthropicHeaders(key) };
    return await this.#ask(`${address}${ANTHROPIC_LIMIT}`, undefined, headers);
  }

  /**
   * @throws {NetworkError} As {@linkcode EngineHttp} does; `DEADLINE_EXCEEDED` when it takes too
   * long; `PROTOCOL` when the answer is too large, or called JSON and none.
   */
  #ask(
    address: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<EngineReply> {
    const { http, clock, key, signal, place } = this.#needs;
    const limitMs = place.isLoopback ? LOOPBACK_LIMIT_MS : DISTANT_LIMIT_MS;
    const url = new URL(address);
    const error = () =>
      new NetworkError(
        "DEADLINE_EXCEEDED",
        `Cannot ask the engine at ${url.host}: no answer to ${url.pathname} within ${limitMs} ms.`,
      );
    return withTimeLimit({ clock, limitMs, error, signal }, async (signal) => {
      const json = body === undefined ? undefined : JSON.stringify(body);
      const response = await http({
        url,
        method: json === undefined ? "GET" : "POST",
        headers: headers ??
          requestHeaders(key(), json === undefined ? undefined : "application/json"),
        body: json === undefined ? undefined : new TextEncoder().encode(json),
        signal,
      });
      try {
        return {
          status: response.status,
          server: response.headers.get("server") ?? "",
          value: await valueOf(response, url),
        };
      } finally {
        response.close();
      }
    });
  }
}

function anthropicHeaders(key: string | undefined): Record<string, string> {
  return {
    "anthropic-version": ANTHROPIC_VERSION,
    ...(key !== undefined && { "x-api-key": key }),
  };
}

/** The headers of a request to an engine, with its key if it has one. */
export function requestHeaders(
  key: string | undefined,
  contentType: string | undefined,
  accept = "application/json",
): Record<string, string> {
  return {
    accept,
    // What comes is handed on as it is.
    "accept-encoding": "identity",
    ...(contentType !== undefined && { "content-type": contentType }),
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
}

/** Undefined for what does not call itself JSON: a page of a web server is not read. */
async function valueOf(response: EngineResponse, url: URL): Promise<unknown> {
  const isJson = /\bjson\b/i.test(response.headers.get("content-type") ?? "");
  if (!isJson) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > MAX_REPLY_BYTES) {
      throw new NetworkError(
        "PROTOCOL",
        `Cannot read the answer of ${url.host} to ${url.pathname}: it is longer than ` +
          `${MAX_REPLY_BYTES} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return parseBoundedJson(bytes, { maxBytes: MAX_REPLY_BYTES, maxDepth: MAX_DEPTH });
}
