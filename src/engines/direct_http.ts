/**
 * The port to engines on the system's network. Node's client is used, because it asks none of the
 * proxies that the environment names, closes a connection as soon as it is told to, and keeps none;
 * gRPC has loaded it anyway.
 */

import type { IncomingMessage } from "node:http";
import { describeError, NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import type { EngineHttp, EngineRequest, EngineResponse } from "./http.ts";

/** Nobody is there, or lets anybody in. */
const NOBODY_THERE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EADDRNOTAVAIL",
]);

/** See {@linkcode EngineHttp}. */
export const directHttp: EngineHttp = async (request) => {
  const { url, method, headers, body, signal, onConnected } = request;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  needGranted(actionOf(request), { name: "net", host: `${url.hostname}:${port}` });
  const open = url.protocol === "https:"
    ? (await import("node:https")).request
    : (await import("node:http")).request;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<EngineResponse>();
  const length = body === undefined ? undefined : { "content-length": body.length };
  const asked = open(
    url,
    { method, headers: { ...headers, ...length }, agent: false },
    (answer) => {
      const close = () => {
        signal.removeEventListener("abort", abort);
        asked.destroy();
      };
      resolve({
        status: answer.statusCode ?? 0,
        headers: headersOf(answer),
        body: read(answer, request, close),
        close,
      });
    },
  );
  const abort = () => {
    asked.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  if (onConnected !== undefined) {
    asked.once("socket", (socket) => socket.once("connect", onConnected));
  }
  asked.on("error", (thrown) => {
    signal.removeEventListener("abort", abort);
    reject(signal.aborted ? signal.reason : errorOf(thrown, request));
  });
  asked.end(body);
  return await promise;
};

async function* read(
  answer: IncomingMessage,
  request: EngineRequest,
  close: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of answer) yield chunk;
    // A connection that ends before its time is an end for some versions of the client.
    if (!answer.complete) throw new Error("the connection was closed");
  } catch (thrown) {
    request.signal.throwIfAborted();
    throw errorOf(thrown, request);
  } finally {
    close();
  }
}

function headersOf({ headers }: IncomingMessage): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value].flat()) if (one !== undefined) result.append(name, one);
  }
  return result;
}

function errorOf(thrown: unknown, request: EngineRequest): NetworkError {
  const code = (thrown as { code?: unknown } | null)?.code;
  const isAbsent = typeof code === "string" && NOBODY_THERE.has(code);
  return new NetworkError(
    isAbsent ? "UNAVAILABLE" : "PROTOCOL",
    isAbsent
      ? `${actionOf(request)}: nobody answers there (${code}). Is it running?`
      : `${actionOf(request)}: its answer broke off: ${describeError(thrown)}.`,
    { cause: thrown },
  );
}

/** The beginning of what is said of a request that failed. */
export function actionOf({ url }: EngineRequest): string {
  return `Cannot ask the engine at ${url.host}`;
}
