/** The routes under `/control/v1`: what the command line and the dashboard use. */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork, RunOptions } from "../network/distributed_network.ts";
import { RoutingStrategy } from "../routing/strategy.ts";

/** The longest body that is read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** What `POST /control/v1/run` takes. */
export interface RunBody {
  prompt: string;
  agent?: string;
  /** Only this node. */
  node?: string;
  strategy?: RoutingStrategy;
  context?: string;
  timeoutMs?: number;
  /** On every device that has the agent; the answer is then one array of outcomes. */
  all?: boolean;
}

/** An error as it is told to clients. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; retryAfterMs?: number };
}

const runSchema: z.ZodType<RunBody> = z.strictObject({
  prompt: z.string(),
  agent: z.string().optional(),
  node: z.string().optional(),
  strategy: z.enum(RoutingStrategy).optional(),
  context: z.string().optional(),
  timeoutMs: z.number().optional(),
  all: z.boolean().optional(),
});

const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  PROTOCOL: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  FAILED_PRECONDITION: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 503,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

/** Answers a request that was let in. */
export type ControlApi = (request: Request, pathname: string) => Promise<Response>;

/** Whoever has asked. */
interface Client {
  /** Aborts when it is gone, and when the API stops. */
  readonly gone: AbortSignal;
  /** Tells that it is gone. */
  leave(): void;
}

type Route = (request: Request, client: Client) => Response | Promise<Response>;

/**
 * The routes of `network`.
 *
 * @param stopping Ends answers that would go on for ever.
 */
export function controlApi(network: DistributedNetwork, stopping: AbortSignal): ControlApi {
  const routes: Record<string, Route> = {
    "GET /control/v1/status": () => Response.json(network.getNetworkStatus()),
    "GET /control/v1/peers": () => Response.json(Object.values(network.getNetworkStatus().peers)),
    "GET /control/v1/agents": () => Response.json(network.agents()),
    "GET /control/v1/doctor": async ({ url }) =>
      Response.json(await network.diagnose(new URL(url).searchParams.get("peer") ?? undefined)),
    "GET /control/v1/tasks": () => Response.json(network.getNetworkStatus().tasks),
    "GET /control/v1/events": (_, client) => events(network, client),
    "POST /control/v1/run": (request, client) => run(network, request, client),
  };
  return async (request, pathname) => {
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) {
      return errorResponse(404, "NOT_FOUND", `There is no ${request.method} ${pathname}.`);
    }
    try {
      const left = new AbortController();
      return await route(request, {
        gone: AbortSignal.any([left.signal, stopping]),
        leave: () => left.abort(new NetworkError("CANCELLED", "Cancelled: the client went away.")),
      });
    } catch (thrown) {
      const error = NetworkError.from(thrown);
      return errorResponse(
        STATUS_BY_CODE[error.code] ?? 500,
        error.code,
        error.message,
        error.retryAfterMs,
      );
    }
  };
}

/** An error as JSON. */
export function errorResponse(
  status: number,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): Response {
  const headers = new Headers();
  if (retryAfterMs !== undefined) headers.set("retry-after", `${Math.ceil(retryAfterMs / 1000)}`);
  return Response.json(errorBody({ code, message, retryAfterMs }), { status, headers });
}

function errorBody(
  { code, message, retryAfterMs }: Pick<NetworkError, "code" | "message" | "retryAfterMs">,
): ErrorBody {
  return { error: { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
}

/**
 * Runs an agent. The answer is one JSON value a line: the events of the run, the result last, or
 * an {@linkcode ErrorBody} in its place. What is wrong with the request itself is told by the
 * status.
 */
async function run(
  network: DistributedNetwork,
  request: Request,
  client: Client,
): Promise<Response> {
  const { prompt, agent, node, all, ...rest } = await readRunBody(request);
  const options: RunOptions = { ...rest, initialAgent: agent, nodeId: node, signal: client.gone };
  if (all) return await runAll(network, prompt, options, client);
  const stream = network.stream(prompt, options);
  // The status is known with the first event.
  const first = await stream.next();
  return streamed(
    (async function* () {
      if (first.done) return;
      yield `${JSON.stringify(first.value)}\n`;
      try {
        for await (const event of stream) yield `${JSON.stringify(event)}\n`;
      } catch (thrown) {
        yield `${JSON.stringify(errorBody(NetworkError.from(thrown)))}\n`;
      }
    })(),
    "application/x-ndjson",
    client,
  );
}

/** Runs an agent on every device that has it: one array, when all of them have ended. */
async function runAll(
  network: DistributedNetwork,
  prompt: string,
  options: RunOptions,
  client: Client,
): Promise<Response> {
  const outcomes = network.runAll(prompt, options);
  // What is wrong with the request has made it fail by now. For the rest the answer must have
  // begun: only then does the server tell when the client goes away.
  await Promise.race([outcomes, Promise.resolve()]);
  return streamed(
    (async function* () {
      const told = (await outcomes).map((outcome) =>
        "result" in outcome ? outcome : { nodeId: outcome.nodeId, ...errorBody(outcome.error) }
      );
      yield JSON.stringify(told);
    })(),
    "application/json",
    client,
  );
}

async function readRunBody(request: Request): Promise<RunBody> {
  const body = parseBoundedJson(await readBody(request), { maxBytes: MAX_BODY_BYTES });
  return parseWith(runSchema, body, "INVALID_ARGUMENT", "Cannot read the body");
}

/** Reads the body up to the bound, without trusting its `content-length`. */
async function readBody(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot read the request: its body is longer than ${MAX_BODY_BYTES} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** What happens in the network, as server-sent events. */
function events(network: DistributedNetwork, client: Client): Response {
  const events = network.events({ signal: client.gone });
  return streamed(
    (async function* () {
      // So that a client knows that it is connected before anything happens.
      yield ": connected\n\n";
      for await (const event of events) {
        yield `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      }
    })(),
    "text/event-stream",
    client,
  );
}

function streamed(
  chunks: AsyncGenerator<string>,
  contentType: string,
  client: Client,
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      // First of all: while something is awaited that may never come, `return` has to wait, too.
      client.leave();
      await chunks.return(undefined);
    },
  });
  return new Response(body, {
    headers: { "content-type": contentType, "cache-control": "no-store" },
  });
}
