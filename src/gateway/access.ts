/** Who may use the HTTP API: programs of this machine that can read the node's token. */

import type { HttpRequest } from "./http/service.ts";

/** Why a request was refused: the status to answer with and what to say. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 415;
  readonly message: string;
}

/** Of a request, what is looked at before it is let in. */
export type Asked = Pick<HttpRequest, "method" | "headers">;

/**
 * Checks that a request is addressed to this API, and comes from no foreign page.
 *
 * @param port The port that the API listens on.
 * @returns Undefined when it may pass.
 */
export function foreignRefusalOf(request: Asked, port: number): Refusal | undefined {
  const origin = request.headers.get("origin");
  const isOwn = origin === null || ownHosts(port).some((host) => origin === `http://${host}`);
  return hostRefusalOf(request, port) ?? (isOwn ? undefined : OTHER_PAGE);
}

const OTHER_PAGE: Refusal = {
  status: 403,
  message: "Refused: this API does not answer to other pages.",
};

/** Exact: a page whose name was made to resolve to 127.0.0.1 names itself here. */
function hostRefusalOf({ headers }: Asked, port: number): Refusal | undefined {
  return ownHosts(port).includes(headers.get("host") ?? "")
    ? undefined
    : { status: 403, message: "Refused: this API answers only to its own address." };
}

function ownHosts(port: number): string[] {
  return [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`];
}

/** Whether a request bears the token: as OpenAI's clients send a key, or as Anthropic's do. */
export function bearsToken({ headers }: Asked, token: string): boolean {
  const key = headers.get("x-api-key");
  return isBearer(key === null ? headers.get("authorization") : `Bearer ${key}`, token);
}

/**
 * Checks a request to a model, which needs no token, as engines of models on the loopback need none:
 * programs that know nothing of this network use it. Its body may call itself what it likes; what a
 * page of the web sends has an origin, and is refused by that.
 *
 * @param port The port that the API listens on.
 * @returns Undefined when it may pass.
 */
export function modelRefusalOf(request: Asked, port: number): Refusal | undefined {
  const origin = request.headers.get("origin");
  const isForeign = origin !== null && !isOfThisMachine(origin);
  return hostRefusalOf(request, port) ?? (isForeign ? OTHER_PAGE : encodedRefusalOf(request));
}

/** What desktop programs call the pages that they are made of; no page of the web has such a one. */
const PROGRAMS =
  /^(app|tauri|vscode-webview|vscode-file):\/\/[\w.-]*$|^https?:\/\/tauri\.localhost$/;
/** Pages that a program of this machine serves, on whatever port. */
const LOCAL_PAGES = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/**
 * Whether an origin is a program of this machine: those are its engines' clients, too, and asked
 * Ollama until now, which lets the same ones in.
 */
export function isOfThisMachine(origin: string): boolean {
  return PROGRAMS.test(origin) || LOCAL_PAGES.test(origin);
}

/**
 * Checks a request before anything else looks at it.
 *
 * @param port The port that the API listens on.
 * @param token What the request must bear.
 * @returns Undefined when it may pass.
 */
export function refusalOf(request: Asked, port: number, token: string): Refusal | undefined {
  const foreign = foreignRefusalOf(request, port);
  if (foreign !== undefined) return foreign;
  const { headers, method } = request;
  if (!isBearer(headers.get("authorization"), token)) {
    return {
      status: 401,
      message: 'Refused: send "Authorization: Bearer TOKEN", with the content of the file ' +
        '"token" in the node\'s directory.',
    };
  }
  const isJson = /^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? "");
  if (method !== "GET" && method !== "HEAD" && !isJson) {
    return { status: 415, message: "Refused: the body must be application/json." };
  }
  return encodedRefusalOf(request);
}

/** A few bytes could become gigabytes. */
function encodedRefusalOf({ headers }: Asked): Refusal | undefined {
  return (headers.get("content-encoding") ?? "identity") === "identity"
    ? undefined
    : { status: 415, message: "Refused: send the body uncompressed." };
}

/** Compares in a time that does not depend on where the first difference is. */
function isBearer(header: string | null, token: string): boolean {
  const expected = `Bearer ${token}`;
  const given = header ?? "";
  let difference = given.length ^ expected.length;
  for (let i = 0; i < expected.length; i++) {
    difference |= expected.charCodeAt(i) ^ (given.charCodeAt(i) || 0);
  }
  return difference === 0;
}
