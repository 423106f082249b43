/** The tool `web_search`: a SearXNG of somebody's own, or Brave. */

import { z } from "zod";
import { parseBoundedJson } from "../../base/bounded_json.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { isGranted, needGranted } from "../../base/permissions.ts";
import { safeText } from "../../base/safe_text.ts";
import { parseWith } from "../../base/schema.ts";
import { stoppable } from "../../base/stoppable.ts";
import { createTool, type Tool } from "../tool.ts";

/** Who searches: a SearXNG that is there, or Brave with a key. */
export type WebSearchToolOptions =
  | {
    /** Its base URL: `"http://127.0.0.1:8888"`. Its settings must allow the format `json`. */
    searxng: string;
  }
  | {
    /** The variable of the environment that holds the key of Brave's search API. */
    braveKeyEnv: string;
    /** @default {"https://api.search.brave.com"} */
    braveUrl?: string;
  };

const BRAVE_URL = "https://api.search.brave.com";
const TIMEOUT_MS = 20_000;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_RESULTS = 20;
/** Of each title and summary. */
const MAX_TEXT = 1_000;

const parameters = z.object({
  query: z.string().min(1).max(400),
  count: z.number().int().min(1).max(MAX_RESULTS).default(8),
});
const text = z.string().nullish();
const searxngSchema = z.object({
  results: z.array(z.object({ title: text, url: z.string(), content: text })),
});
const braveSchema = z.object({
  web: z.object({
    results: z.array(z.object({ title: text, url: z.string(), description: text })),
  }).nullish(),
});

/**
 * Makes the tool `web_search`. Agents that name it as `"web_search"` get the one of their node, as
 * `--web-search` says it.
 *
 * @example
 * ```ts
 * import { createWebSearchTool } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const search = createWebSearchTool({ searxng: "http://127.0.0.1:8888" });
 * assertEquals(search.name, "web_search");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when there is no URL, or no name of a variable. When it is
 * called: `FAILED_PRECONDITION` without the key, `UNAVAILABLE` when nobody answers.
 */
export function createWebSearchTool(options: WebSearchToolOptions): Tool {
  const search = searcher(options);
  return createTool({
    name: "web_search",
    description: "Searches the web and returns titles, URLs and summaries of pages",
    parameters,
    handler: async ({ query, count }, { signal }) => {
      const found = await search(query, count, signal);
      const results = found.slice(0, count).map(({ title, url, summary }) => ({
        title: safeText(title ?? "").slice(0, MAX_TEXT),
        url,
        summary: safeText(summary ?? "").slice(0, MAX_TEXT),
      }));
      return { results };
    },
  });
}

/** A page that was found. */
interface Page {
  readonly title: string | null | undefined;
  readonly url: string;
  readonly summary: string | null | undefined;
}

type Search = (query: string, count: number, signal: AbortSignal) => Promise<Page[]>;

function searcher(options: WebSearchToolOptions): Search {
  if (typeof options === "object" && "braveKeyEnv" in options) {
    const { braveKeyEnv: variable, braveUrl = BRAVE_URL } = options;
    if (typeof variable !== "string" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
      throw refusal(`braveKeyEnv is ${JSON.stringify(variable)}, expected the name of a variable`);
    }
    const base = baseUrl(braveUrl);
    return async (query, count, signal) => {
      const url = new URL("res/v1/web/search", base);
      url.search = `${new URLSearchParams({ q: query, count: `${count}` })}`;
      const headers = { "x-subscription-token": keyIn(variable) };
      const answer = parseWith(braveSchema, await ask(url, headers, signal), "PROTOCOL", ACTION);
      return (answer.web?.results ?? []).map(({ title, url, description: summary }) => ({
        title,
        url,
        summary,
      }));
    };
  }
  const base = baseUrl(options?.searxng);
  return async (query, _, signal) => {
    const url = new URL("search", base);
    url.search = `${new URLSearchParams({ q: query, format: "json" })}`;
    const answer = parseWith(searxngSchema, await ask(url, {}, signal), "PROTOCOL", ACTION);
    return answer.results.map(({ title, url, content: summary }) => ({ title, url, summary }));
  };
}

const ACTION = "Cannot search the web";

function baseUrl(text: unknown): URL {
  const url = URL.parse(`${text}`.replace(/\/*$/, "/"));
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw refusal(`${JSON.stringify(text)} is no URL that begins with http:// or https://`);
}

function refusal(why: string): NetworkError {
  return new NetworkError("INVALID_ARGUMENT", `Cannot create tool "web_search": ${why}.`);
}

function keyIn(variable: string): string {
  const key = isGranted({ name: "env", variable }) ? Deno.env.get(variable) : undefined;
  if (key) return key;
  throw new NetworkError(
    "FAILED_PRECONDITION",
    `${ACTION}: the variable ${variable} has no key. Set it where the node is started.`,
  );
}

async function ask(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<unknown> {
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const action = `${ACTION} at ${url.host}`;
  needGranted(action, { name: "net", host: `${url.hostname}:${port}` });
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const either = AbortSignal.any([signal, timeout]);
    const answer = await fetch(url, {
      headers: { accept: "application/json", ...headers },
      // A key would go along.
      redirect: "error",
      signal: either,
    });
    const response = stoppable(answer, either);
    if (!response.ok) {
      await response.body?.cancel();
      const mend = response.status === 403
        ? "SearXNG must allow the format json in its settings."
        : "Is the address right, and the key?";
      throw new NetworkError("UNAVAILABLE", `${action}: status ${response.status}. ${mend}`);
    }
    const bytes = await bytesOf(response);
    try {
      return parseBoundedJson(bytes, { maxBytes: MAX_BYTES });
    } catch (thrown) {
      throw new NetworkError("PROTOCOL", `${action}: ${describeError(thrown)}`, { cause: thrown });
    }
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof NetworkError) throw thrown;
    const why = timeout.aborted ? `no answer within ${TIMEOUT_MS} ms` : describeError(thrown);
    throw new NetworkError("UNAVAILABLE", `${action}: ${why}. Is it there?`, { cause: thrown });
  }
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    length += piece.length;
    if (length > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`);
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}
