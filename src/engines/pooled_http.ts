/**
 * The port to engines of this machine where the environment names no proxy: the runtime's own client,
 * which keeps connections, and takes half the time of Node's.
 */

import { describeError, NetworkError } from "../base/errors.ts";
import { isGranted, needGranted } from "../base/permissions.ts";
import { actionOf, directHttp } from "./direct_http.ts";
import type { EngineHttp, EngineRequest } from "./http.ts";

/** What `fetch` would hand the words of a call to; it reads them before its first request. */
const PROXIES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/** That nobody accepts the connection, as the client says it. */
const REFUSED = /\(Connect\)|tcp connect error|dns error/i;

/** See the top of the file; whoever is not on this machine is asked by {@linkcode directHttp}. */
export function engineHttp(): EngineHttp {
  let isProxied: boolean | undefined;
  const here = new Set<string>();
  return (request) => {
    const { protocol, hostname, host, port } = request.url;
    if (!here.has(host)) {
      isProxied ??= hasProxy();
      const isHere = protocol === "http:" && /^(127(\.\d+){3}|\[::1\])$/.test(hostname);
      if (!isHere || isProxied) return directHttp(request);
      // Once is enough: a person takes no permission back.
      needGranted(actionOf(request), { name: "net", host: `${hostname}:${port || "80"}` });
      here.add(host);
    }
    return pooledHttp(request);
  };
}

/** What may not be read may be there. */
function hasProxy(): boolean {
  return PROXIES.some((variable) =>
    !isGranted({ name: "env", variable }) || Boolean(Deno.env.get(variable))
  );
}

const pooledHttp: EngineHttp = async (request) => {
  const { url, method, headers, body, signal, onConnected } = request;
  signal.throwIfAborted();
  // On this machine a connection is accepted at once, or refused.
  onConnected?.();
  const told = async <T>(promise: Promise<T>): Promise<T> => {
    try {
      return await promise;
    } catch (thrown) {
      signal.throwIfAborted();
      throw errorOf(thrown, request);
    }
  };
  const answer = await told(fetch(url, {
    method,
    headers: headers as Record<string, string>,
    body: body as Uint8Array<ArrayBuffer> | undefined,
    redirect: "manual",
    signal,
  }));
  const reader = answer.body?.getReader();
  // Deno 2.9 forgets the signal of a request with the first collection of garbage after its head.
  const close = () => void reader?.cancel().catch(() => {});
  if (signal.aborted) close();
  signal.addEventListener("abort", close, { once: true });
  const leave = () => {
    signal.removeEventListener("abort", close);
    close();
  };
  const next = async () => {
    const { value } = await told(reader!.read());
    signal.throwIfAborted();
    return value;
  };
  return {
    status: answer.status,
    headers: answer.headers,
    body: reader === undefined ? read(() => Promise.resolve(undefined), leave) : read(next, leave),
    bytes: () => reader === undefined ? Promise.resolve(new Uint8Array()) : all(next, leave),
    close: leave,
  };
};

type Next = () => Promise<Uint8Array | undefined>;

/** Leaving it closes the connection, unless it has come to its end: then that is kept. */
async function* read(next: Next, leave: () => void): AsyncGenerator<Uint8Array, void, void> {
  try {
    for (let piece = await next(); piece !== undefined; piece = await next()) yield piece;
  } finally {
    leave();
  }
}

async function all(next: Next, leave: () => void): Promise<Uint8Array> {
  try {
    const first = await next() ?? new Uint8Array();
    let piece = await next();
    // Nearly all answers come in one piece.
    if (piece === undefined) return first;
    const pieces = [first];
    for (; piece !== undefined; piece = await next()) pieces.push(piece);
    return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  } finally {
    leave();
  }
}

function errorOf(thrown: unknown, request: EngineRequest): NetworkError {
  // What went wrong is told by the error underneath.
  const said = describeError((thrown as { cause?: unknown } | null)?.cause ?? thrown);
  return REFUSED.test(said)
    ? new NetworkError(
      "UNAVAILABLE",
      `${actionOf(request)}: nobody answers there. Is it running?`,
      { cause: thrown },
    )
    : new NetworkError("PROTOCOL", `${actionOf(request)}: its answer broke off: ${said}.`, {
      cause: thrown,
    });
}
