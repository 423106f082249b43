/** The routes under `/control/v1`: what the command line and the dashboard use. */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
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
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

/**
 * Answers a request that was let in.
 *
 * @param completed Rejects when the client is gone before it has the answer.
 */
export type ControlApi = (
  request: Request,
  pathname: string,
  completed: Promise<void>,
) => Promise<Response>;

/**
 * The routes of `network`.
 *
 * @param stopping Ends answers that would go on for ever.
 */
export function controlApi(network: DistributedNetwork, stopping: AbortSignal): ControlApi {
  type Route = (request: Request, gone: AbortSignal) => Response | Promise<Response>;
  const routes: Record<string, Route> = {
    "GET /control/v1/status": () => Response.json(network.getNetworkStatus()),
    "GET /control/v1/peers": () => Response.json(Object.values(network.getNetworkStatus().peers)),
    "GET /control/v1/agents": () => Response.json(network.agents()),
    "GET /control/v1/tasks": () => Response.json(network.getNetworkStatus().tasks),
    "GET /control/v1/events": (_, gone) => events(network, gone),
    "POST /control/v1/run": (request, gone) => run(network, request, gone),
  };
  return async (request, pathname, completed) => {
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) {
      return errorResponse(404, "NOT_FOUND", `There is no ${request.method} ${pathname}.`);
    }
    try {
      const client = new AbortController();
      completed.catch(() => {
        client.abort(new NetworkError("CANCELLED", "Cancelled: the client went away."));
      });
      return await route(request, AbortSignal.any([client.signal, stopping]));
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
  const body: ErrorBody = {
    error: { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  };
  const headers = new Headers();
  if (retryAfterMs !== undefined) headers.set("retry-after", `${Math.ceil(retryAfterMs / 1000)}`);
  return Response.json(body, { status, headers });
}

/**
 * Runs an agent. The answer is one JSON value a line: the events of the run, the result last, or
 * an {@linkcode ErrorBody} in its place.
 */
async function run(
  network: DistributedNetwork,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const { prompt, agent, node, all, ...rest } = await readRunBody(request);
  const options: RunOptions = { ...rest, initialAgent: agent, nodeId: node, signal };
  if (all) {
    const outcomes = await network.runAll(prompt, options);
    return Response.json(outcomes.map((outcome) => {
      if ("result" in outcome) return outcome;
      const { code, message } = outcome.error;
      return { nodeId: outcome.nodeId, error: { code, message } };
    }));
  }
  const stream = network.stream(prompt, options);
  // What is wrong with the request itself is told by the status: that needs the first event.
  const first = await stream.next();
  return streamed(
    (async function* () {
      if (first.done) return;
      yield `${JSON.stringify(first.value)}\n`;
      try {
        for await (const event of stream) yield `${JSON.stringify(event)}\n`;
      } catch (thrown) {
        const { code, message } = NetworkError.from(thrown);
        yield `${JSON.stringify({ error: { code, message } } satisfies ErrorBody)}\n`;
      }
    })(),
    "application/x-ndjson",
  );
}

async function readRunBody(request: Request): Promise<RunBody> {
  const parsed = runSchema.safeParse(
    parseBoundedJson(await readBody(request), { maxBytes: MAX_BODY_BYTES }),
  );
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot run: ${path.join(".") || "the body"}: ${message}.`,
  );
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
function events(network: DistributedNetwork, signal: AbortSignal): Response {
  return streamed(
    (async function* () {
      // So that a client knows that it is connected before anything happens.
      yield ": connected\n\n";
      for await (const event of network.events({ signal })) {
        yield `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      }
    })(),
    "text/event-stream",
  );
}

function streamed(chunks: AsyncGenerator<string>, contentType: string): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
  return new Response(body, {
    headers: { "content-type": contentType, "cache-control": "no-store" },
  });
}
