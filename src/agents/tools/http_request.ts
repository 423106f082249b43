/** The tool `http_request`: the web, as far as the owner of the node allows it. */

import { z } from "zod";
import { NetworkError } from "../../base/errors.ts";
import { needGranted } from "../../base/permissions.ts";
import { createTool, type Tool } from "../tool.ts";
import { AllowedHosts } from "./allowed_hosts.ts";
import { exchangeHttp, type HttpAnswer, type HttpExchange } from "./http_exchange.ts";

/** What {@linkcode createHttpRequestTool} takes. */
export interface HttpRequestToolOptions {
  /**
   * The hosts that may be asked: `"api.example.com"`, or `"*.example.com"` for all below it; with a
   * port behind it where that is not the scheme's own: `"192.168.1.5:8123"`. A host at a private
   * address must be listed itself, and the loopback by its address or as `localhost`.
   */
  allowHosts: readonly string[];
  /**
   * How long a request may take with all its redirections, in milliseconds, 1 to 600,000.
   *
   * @default {30000}
   */
  timeoutMs?: number;
  /**
   * How much of a body is read, in bytes, 1 to 16,777,216; the rest is left.
   *
   * @default {262144}
   */
  maxBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 600_000;
/** As text it is four times what a model is told of a result. */
const DEFAULT_MAX_BYTES = 256 * 1024;
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_SENT = 1024 * 1024;
const MAX_REDIRECTS = 5;
/** What the connection needs is not the model's to say. */
const OWN_HEADERS =
  /^(host|content-length|connection|transfer-encoding|upgrade|te|trailer|expect|accept-encoding|keep-alive|proxy-.*)$/i;
/** These go along to another origin. Others may hold a key, whatever they are called. */
const HARMLESS = /^(accept.*|content-.*|if-.*|range|user-agent)$/;
/** Of the answer a model has use for these. */
const TOLD_HEADERS = ["content-type", "last-modified", "etag", "retry-after", "link", "location"];

const parameters = z.object({
  url: z.url({ protocol: /^https?$/ }).max(8_192),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]).default("GET"),
  headers: z.record(z.string().regex(/^[!#$%&'*+.^_`|~0-9a-z-]{1,200}$/i), z.string().max(8_192))
    .optional(),
  body: z.string().max(MAX_SENT).optional(),
});

/**
 * Makes the tool `http_request`, which asks hosts of a list and no others: redirections stay within
 * it, names that lead into the house are refused, proxies of the environment are not used. Agents
 * that name it as `"http_request"` get the one of their node, with the hosts of `--allow-host`.
 *
 * @example
 * ```ts
 * import { createAgent, createHttpRequestTool } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const docs = createAgent({
 *   name: "docs",
 *   description: "Reads the documentation of Deno",
 *   model: "default",
 *   tools: [createHttpRequestTool({ allowHosts: ["docs.deno.com", "*.jsr.io"] })],
 * });
 * assertEquals(docs.tools, ["http_request"]);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when a host is none, or a bound is out of range.
 */
export function createHttpRequestTool(options: HttpRequestToolOptions): Tool {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = DEFAULT_MAX_BYTES } = options;
  const action = 'Cannot create tool "http_request"';
  const hosts = new AllowedHosts(options.allowHosts, action);
  checkBound(action, "timeoutMs", timeoutMs, MAX_TIMEOUT_MS);
  checkBound(action, "maxBytes", maxBytes, MAX_BYTES);
  const names = hosts.names.slice(0, 50).join(", ");
  return createTool({
    name: "http_request",
    description: `Sends an HTTP request and returns status, headers and body. Hosts: ${names}`,
    parameters,
    handler: async ({ url, method, headers = {}, body }, { signal }) => {
      const timeout = AbortSignal.timeout(timeoutMs);
      const request = {
        url: new URL(url),
        method,
        headers: { "user-agent": "hanzo-network", ...ownHeaders(headers) },
        body: body === undefined ? undefined : new TextEncoder().encode(body),
        signal: AbortSignal.any([signal, timeout]),
      };
      try {
        return toResult(...await follow(request, hosts, maxBytes));
      } catch (thrown) {
        signal.throwIfAborted();
        if (!timeout.aborted) throw thrown;
        throw new NetworkError(
          "DEADLINE_EXCEEDED",
          `Cannot ask ${request.url.host}: no answer within ${timeoutMs} ms.`,
        );
      }
    },
  });
}

/** Asks, and goes where it is sent to, as long as that is allowed. */
async function follow(
  request: HttpExchange,
  hosts: AllowedHosts,
  maxBytes: number,
): Promise<[answer: HttpAnswer, url: URL]> {
  for (let redirects = 0;; redirects++) {
    const { url, method } = request;
    if (!hosts.allows(url)) {
      throw new NetworkError(
        "PERMISSION_DENIED",
        `Cannot ask ${url.host}: ${
          redirects > 0 ? "it was sent there, and " : ""
        }only these hosts ` +
          `are allowed: ${hosts.names.join(", ")}. Ask one of them.`,
      );
    }
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    needGranted(`Cannot ask ${url.host}`, { name: "net", host: `${url.hostname}:${port}` });
    const answer = await exchangeHttp(request, hosts, maxBytes);
    const { status, headers: { location } } = answer;
    const next = [301, 302, 303, 307, 308].includes(status) && location !== undefined
      ? URL.parse(location, url)
      : null;
    if (next === null) return [answer, url];
    if (redirects === MAX_REDIRECTS) {
      throw new NetworkError("UNAVAILABLE", `Cannot ask ${url.host}: it sends in circles.`);
    }
    const isRead = method === "GET" || method === "HEAD";
    const becomesGet = status === 303 ? !isRead : status < 303 && method === "POST";
    const kept = Object.entries(request.headers).filter(([name]) =>
      (next.origin === url.origin || HARMLESS.test(name)) &&
      (!becomesGet || !name.startsWith("content-"))
    );
    request = {
      ...request,
      url: next,
      headers: Object.fromEntries(kept),
      ...(becomesGet && { method: "GET", body: undefined }),
    };
  }
}

function toResult({ status, headers, body, isCut }: HttpAnswer, url: URL) {
  const told = TOLD_HEADERS.flatMap((name) => name in headers ? [[name, headers[name]]] : []);
  return {
    url: url.href,
    status,
    headers: Object.fromEntries(told) as Record<string, string>,
    body: textOf(body, headers["content-type"] ?? ""),
    ...(isCut && { note: `Only the first ${body.length} bytes of the body.` }),
  };
}

/** Models here take text. */
function textOf(body: Uint8Array, type: string): string {
  if (/^(image|audio|video|font)\/|octet-stream|\bpdf\b|\bzip\b/i.test(type)) {
    return `[${body.length} bytes of ${type}]`;
  }
  const label = /charset="?([\w-]+)/i.exec(type)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(label).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}

function ownHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const given = Object.entries(headers).filter(([name]) => !OWN_HEADERS.test(name));
  return Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value]));
}

function checkBound(action: string, name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `${action}: ${name} is ${value}, expected a whole number from 1 to ${most}.`,
  );
}
