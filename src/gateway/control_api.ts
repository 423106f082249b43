/** The routes under `/control/v1`: what the command line and the dashboard use. */

import { z } from "zod";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import type { MapOptions, NodeOutcome, RunOptions } from "../network/run_options.ts";
import type { RunResult } from "../agents/run_event.ts";
import type { MapOrder, MapProgress } from "../tasks/map_prompts.ts";
import type { Priority } from "../tasks/waiting_line.ts";
import type { Requirements, Workload } from "../agents/requirements.ts";
import { RoutingStrategy } from "../routing/strategy.ts";
import { type ErrorBody, errorBody, errorResponse } from "./error_response.ts";
import type { JsonBodies } from "./json_bodies.ts";
import { keyRoutes } from "./key_routes.ts";
import { stateRoutes } from "./state_routes.ts";
import { streamed } from "./streamed.ts";
import { threadRoutes } from "./thread_routes.ts";
import type { HttpAnswer, HttpRequest } from "./http/service.ts";

export type { ErrorBody };

/** What a body says of where and how an agent runs. */
export interface TaskBody {
  agent?: string;
  /** Only this node. */
  node?: string;
  strategy?: RoutingStrategy;
  workload?: Workload;
  requirements?: Requirements;
  /** Nodes that hold what the task works on. */
  near?: string[];
  priority?: Priority;
  context?: string;
  timeoutMs?: number;
  hedgeAfterMs?: number;
}

/** What `POST /control/v1/run` takes. */
export interface RunBody extends TaskBody {
  /** Absent: the last run of the `thread` goes on. */
  prompt?: string;
  /** The thread that it is part of. */
  thread?: string;
  /** `false`: not even what broke off, and was asked the same, goes on. */
  resume?: boolean;
  /** Whether an agent that was under way, and may have done its work, is asked again. */
  rerun?: boolean;
  /** Whether to say what was thought of each device. */
  explain?: boolean;
  /** On every device that has the agent; the answer is then one {@linkcode RunAllLine} a line. */
  all?: boolean;
}

/** What one node of a run on every device came to, as the API tells it. */
export type NodeOutcomeBody =
  | { nodeId: string; result: RunResult }
  | { nodeId: string; error: { code: ErrorCode; message: string } };

/** A line of the answer when an agent runs on every device; the outcomes are the last. */
export type RunAllLine =
  | { type: "progress" } & MapProgress
  | { type: "outcomes"; outcomes: NodeOutcomeBody[] };

/** What `POST /control/v1/map` takes; `timeoutMs` is for each prompt. */
export interface MapBody extends TaskBody {
  agent: string;
  prompts: string[];
  concurrency?: number;
  order?: MapOrder;
}

/** A line of the answer to `POST /control/v1/map`. `index` is a prompt's place, from 0. */
export type MapLine =
  | { type: "progress" } & MapProgress
  | { type: "item"; index: number; result: RunResult }
  | { type: "item"; index: number } & ErrorBody;

const TASK_FIELDS = {
  agent: z.string().optional(),
  node: z.string().optional(),
  strategy: z.enum(RoutingStrategy).optional(),
  workload: z.enum(["heavy", "light", "background"]).optional(),
  // What it may hold is checked where it is used.
  requirements: z.record(z.string(), z.any()).optional(),
  near: z.array(z.string()).optional(),
  context: z.string().optional(),
  priority: z.enum(["high", "normal", "low"]).optional(),
  timeoutMs: z.number().optional(),
  hedgeAfterMs: z.number().optional(),
};

const runSchema: z.ZodType<RunBody> = z.strictObject({
  ...TASK_FIELDS,
  prompt: z.string().optional(),
  thread: z.string().optional(),
  resume: z.boolean().optional(),
  rerun: z.boolean().optional(),
  explain: z.boolean().optional(),
  all: z.boolean().optional(),
}).refine(({ prompt, thread, all }) => prompt !== undefined || thread !== undefined && !all, {
  path: ["prompt"],
  message: "expected a string; only a thread may go on without one",
});

/** What says nothing where every device is asked. */
const SURPLUS = ["node", "hedgeAfterMs", "explain", "thread", "rerun"] as const;

const mapSchema: z.ZodType<MapBody> = z.strictObject({
  ...TASK_FIELDS,
  agent: z.string(),
  prompts: z.array(z.string()),
  concurrency: z.number().optional(),
  order: z.enum(["input", "completion"]).optional(),
});

/** What `POST /control/v1/cancel` takes; it answers the task as it was. */
export interface CancelBody {
  taskId: string;
}

const emptySchema: z.ZodType<Record<string, never>> = z.strictObject({});

const cancelSchema: z.ZodType<CancelBody> = z.strictObject({ taskId: z.string() });

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

/**
 * Answers a request that was let in.
 *
 * @param ending Ends what would go on for ever: the client is gone, or the API stops.
 */
export type ControlApi = (
  request: HttpRequest,
  ending: AbortSignal,
) => Promise<HttpAnswer>;

type Route = (request: HttpRequest, ending: AbortSignal) => HttpAnswer | Promise<HttpAnswer>;

/** The routes of `network`. */
export function controlApi(network: DistributedNetwork, bodies: JsonBodies): ControlApi {
  const routes: Record<string, Route> = {
    "GET /control/v1/status": (request) =>
      Response.json(network.getNetworkStatus({ explain: explains(request) })),
    "GET /control/v1/peers": () => Response.json(Object.values(network.getNetworkStatus().peers)),
    "GET /control/v1/agents": () => Response.json(network.agents()),
    "GET /control/v1/models": () => Response.json(network.models()),
    "GET /control/v1/model-aliases": () => Response.json(network.modelAliases()),
    "GET /control/v1/doctor": async ({ url }) =>
      Response.json(await network.diagnose(url.searchParams.get("peer") ?? undefined)),
    "GET /control/v1/tasks": (request) => {
      const { tasks, recentTasks } = network.getNetworkStatus({ explain: explains(request) });
      return Response.json([...tasks, ...recentTasks]);
    },
    "POST /control/v1/cancel": async (request) => {
      const body = await bodies.read(request);
      const { taskId } = parseWith(cancelSchema, body, "INVALID_ARGUMENT", "Cannot read the body");
      return Response.json(network.cancel(taskId));
    },
    "POST /control/v1/drain": async (request) => {
      const body = await bodies.read(request);
      parseWith(emptySchema, body, "INVALID_ARGUMENT", "Cannot read the body");
      // Told at once: whoever asks sees by its end when it is done.
      network.drain().catch(() => {});
      return Response.json(network.getNetworkStatus());
    },
    "GET /control/v1/events": (_, ending) => events(network, ending),
    "POST /control/v1/run": async (request, ending) =>
      run(network, await runBody(request, bodies), ending),
    "POST /control/v1/map": async (request, ending) => {
      const body = await bodies.read(request);
      const read = parseWith(mapSchema, body, "INVALID_ARGUMENT", "Cannot read the body");
      return map(network, read, ending);
    },
    ...keyRoutes(network, bodies),
    ...stateRoutes(network, bodies),
    ...threadRoutes(network, bodies),
  };
  return async (request, ending) => {
    const { pathname } = request.url;
    const method = request.method === "HEAD" ? "GET" : request.method;
    const route = routes[`${method} ${pathname}`];
    if (route === undefined) {
      return errorResponse(404, "NOT_FOUND", `There is no ${request.method} ${pathname}.`);
    }
    try {
      return await route(request, ending);
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

/** Whether what was thought of each device is to be told: `?explain`. */
function explains({ url }: HttpRequest): boolean {
  return url.searchParams.has("explain");
}

async function runBody(request: HttpRequest, bodies: JsonBodies): Promise<RunBody> {
  const body = await bodies.read(request);
  return parseWith(runSchema, body, "INVALID_ARGUMENT", "Cannot read the body");
}

/**
 * Runs an agent. The answer is one JSON value a line: the events of the run, the result last, or
 * an {@linkcode ErrorBody} in its place. What is wrong with the request itself is told by the
 * status.
 */
async function run(
  network: DistributedNetwork,
  body: RunBody,
  ending: AbortSignal,
): Promise<HttpAnswer> {
  const { prompt, agent, node, all, ...rest } = body;
  const options: RunOptions = { ...rest, initialAgent: agent, nodeId: node, signal: ending };
  if (all) {
    const surplus = SURPLUS.find((key) => body[key] !== undefined && body[key] !== false);
    if (surplus !== undefined) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot run an agent: "all" asks every device that has it. Leave out "${surplus}".`,
      );
    }
    return runAll(network, prompt!, options);
  }
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
  );
}

/** Runs an agent on every device that has it, and tells how far that has come. */
async function runAll(
  network: DistributedNetwork,
  prompt: string,
  options: RunOptions,
): Promise<HttpAnswer> {
  const told: MapProgress[] = [];
  let wake = () => {};
  const running = network.runAll(prompt, {
    ...options,
    onProgress: (progress) => {
      told.push(progress);
      wake();
    },
  });
  // What is wrong with the request itself is told by the status, and nobody has been asked then.
  if (told.length === 0) await running;
  let outcomes: NodeOutcome[] | undefined;
  running.then((all) => outcomes = all).finally(() => wake());
  return streamed(
    (async function* () {
      for (;;) {
        const progress = told.shift();
        if (progress !== undefined) {
          yield `${JSON.stringify({ type: "progress", ...progress } satisfies RunAllLine)}\n`;
        } else if (outcomes !== undefined) {
          const line: RunAllLine = { type: "outcomes", outcomes: outcomes.map(outcomeBody) };
          yield `${JSON.stringify(line)}\n`;
          return;
        } else await new Promise<void>((resolve) => wake = resolve);
      }
    })(),
    "application/x-ndjson",
  );
}

function outcomeBody(outcome: NodeOutcome): NodeOutcomeBody {
  return "result" in outcome ? outcome : { nodeId: outcome.nodeId, ...errorBody(outcome.error) };
}

/**
 * Runs an agent with many prompts. The answer is one {@linkcode MapLine} a line: items, and in
 * between how far it has come; an {@linkcode ErrorBody} at the end if it cannot go on.
 */
function map(
  network: DistributedNetwork,
  { prompts, agent, node, ...rest }: MapBody,
  ending: AbortSignal,
): HttpAnswer {
  let progress: MapProgress | undefined;
  let wake = () => {};
  const options: MapOptions = {
    ...rest,
    nodeId: node,
    signal: ending,
    onProgress: (now) => {
      progress = now;
      wake();
    },
  };
  const items = network.map(agent, prompts, options);
  return streamed(
    (async function* () {
      try {
        let next = items.next();
        for (;;) {
          // While a line is written nobody waits for it; why it failed is seen below.
          next.catch(() => {});
          if (progress !== undefined) {
            const line: MapLine = { type: "progress", ...progress };
            // Those that came meanwhile are left out but for the last.
            progress = undefined;
            yield `${JSON.stringify(line)}\n`;
            continue;
          }
          const comes = new Promise<undefined>((resolve) => wake = () => resolve(undefined));
          const read = await Promise.race([next, comes]);
          if (read === undefined) continue;
          if (read.done) break;
          const { value } = read;
          const outcome = "result" in value ? { result: value.result } : errorBody(value.error);
          yield `${JSON.stringify({ type: "item", index: value.index, ...outcome })}\n`;
          next = items.next();
        }
        // The last item may have come before what was told of it.
        if (progress !== undefined) {
          yield `${JSON.stringify({ type: "progress", ...progress as MapProgress })}\n`;
        }
      } catch (thrown) {
        yield `${JSON.stringify(errorBody(NetworkError.from(thrown)))}\n`;
      } finally {
        await items.return();
      }
    })(),
    "application/x-ndjson",
  );
}

/** What happens in the network, as server-sent events. */
function events(network: DistributedNetwork, ending: AbortSignal): HttpAnswer {
  const events = network.events({ signal: ending });
  return streamed(
    (async function* () {
      // So that a client knows that it is connected before anything happens.
      yield ": connected\n\n";
      for await (const event of events) {
        yield `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      }
    })(),
    "text/event-stream",
  );
}
