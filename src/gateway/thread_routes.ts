/** The routes under `/control/v1` for threads. */

import { z } from "zod";
import type { AgentResult, RunMessage } from "../agents/run_state.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import type { UnfinishedRun } from "../network/threads/thread.ts";
import type { JsonBodies } from "./json_bodies.ts";
import type { StateRoute } from "./state_routes.ts";

/** What `GET /control/v1/threads?name=NAME` answers. */
export interface ThreadBody {
  name: string;
  messages: readonly RunMessage[];
  data: Record<string, JsonValue>;
  agentResults: readonly AgentResult[];
  /** The last run, if it has not ended. */
  unfinished?: UnfinishedRun;
}

/** What `POST /control/v1/threads/delete` takes; it answers `{ deleted }`. */
export interface DeleteThreadBody {
  name: string;
}

const deleteSchema: z.ZodType<DeleteThreadBody> = z.strictObject({ name: z.string() });

/** The routes of `network`. */
export function threadRoutes(
  network: DistributedNetwork,
  bodies: JsonBodies,
): Record<string, StateRoute> {
  return {
    // deno-lint-ignore require-await
    "GET /control/v1/threads": async ({ url }) => {
      const name = url.searchParams.get("name");
      return Response.json(name === null ? network.listThreads() : threadBody(network, name));
    },
    "POST /control/v1/threads/delete": async (request) => {
      const body = await bodies.read(request);
      const { name } = parseWith(deleteSchema, body, "INVALID_ARGUMENT", "Cannot read the body");
      return Response.json({ deleted: await network.thread(name).delete() });
    },
  };
}

function threadBody(network: DistributedNetwork, name: string): ThreadBody {
  const { messages, data, agentResults, unfinished } = network.thread(name);
  const body: ThreadBody = {
    name,
    messages,
    data: Object.fromEntries(data),
    agentResults,
    unfinished,
  };
  if (messages.length > 0 || Object.keys(body.data).length > 0) return body;
  throw new NetworkError(
    "NOT_FOUND",
    `There is no thread ${JSON.stringify(name)} here. See: hanzo-network threads`,
  );
}
