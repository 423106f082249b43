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
  // Deno 2.9 forgets the signal of a request with the first collection of garbage after its head.
  const { promise: taken, reject: takeBack } = Promise.withResolvers<never>();
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const leave = () => {
    signal.removeEventListener("abort", abort);
    reader?.cancel().catch(() => {});
  };
  const abort = () => {
    takeBack(signal.reason);
    leave();
  };
  taken.catch(() => {});
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  const soon = <T>(promise: Promise<T>) => told(Promise.race([promise, taken]));
  return {
    status: answer.status,
    headers: answer.headers,
    body: pieces(() => reader ??= answer.body?.getReader(), soon, leave),
    bytes: () => soon(answer.bytes()).finally(leave),
    close: () => {
      reader ??= answer.bodyUsed ? undefined : answer.body?.getReader();
      leave();
    },
  };
};

/** Leaving it closes the connection, unless it has come to its end: then that is kept. */
async function* pieces(
  begin: () => ReadableStreamDefaultReader<Uint8Array> | undefined,
  soon: <T>(promise: Promise<T>) => Promise<T>,
  leave: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = begin();
  try {
    while (reader !== undefined) {
      const { done, value } = await soon(reader.read());
      if (done) return;
      yield value;
    }
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
