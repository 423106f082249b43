/**
 * The models of the network, for programs that talk to OpenAI, Anthropic or Ollama: their paths,
 * their bodies, their errors.
 */

import { NetworkError } from "../../base/errors.ts";
import type { Dialect, JsonObject } from "../../dialects/dialect.ts";
import { dialectOf } from "../../dialects/dialects.ts";
import type { DistributedNetwork } from "../../network/distributed_network.ts";
import { conversationKeys } from "../../network/models/conversations.ts";
import type { RawModelAnswer } from "../../network/models/model_calls.ts";
import type { JsonBodies } from "../json_bodies.ts";
import { agentNamed, askAgent } from "./agent_model.ts";
import { listings } from "./model_lists.ts";
import { inDialect, piecesOf, refusalIn } from "./model_response.ts";

/** What the API is made of. */
export interface ModelApiNeeds {
  readonly network: DistributedNetwork;
  readonly bodies: JsonBodies;
  /** Whether a request bears the node's token: agents do more than talk. */
  readonly isTrusted: (request: Request) => boolean;
  /** Makes an id that nobody else has: a ULID. */
  readonly newId: () => string;
}

/** Answers a request that was let in. */
export type ModelApi = (
  request: Request,
  pathname: string,
  ending: AbortSignal,
) => Promise<Response>;

/** Levels of nesting of a body: schemas of tools are deep. */
const MAX_DEPTH = 128;

/** Whether a path is one of this API, or would be if there were such a one. */
export function isModelPath(pathname: string): boolean {
  return pathname.startsWith("/v1/") || pathname.startsWith("/api/");
}

/** See the top of the file. */
export function modelApi(needs: ModelApiNeeds): ModelApi {
  const lists = listings(needs);
  return async (request, pathname, ending) => {
    const method = request.method === "HEAD" ? "GET" : request.method;
    const dialect = dialectOf(pathname);
    if (dialect !== undefined && method === "POST") {
      return await answered(needs, dialect, request, ending);
    }
    return await lists(request, method, pathname);
  };
}

async function answered(
  needs: ModelApiNeeds,
  dialect: Dialect,
  request: Request,
  ending: AbortSignal,
): Promise<Response> {
  try {
    const { text, value } = await needs.bodies.readText(request, MAX_DEPTH);
    const body = checked(value);
    const asked = dialect.read(body);
    const agent = agentNamed(asked.model);
    if (agent !== undefined) {
      if (needs.isTrusted(request)) return await askAgent(needs, dialect, agent, body, ending);
      throw new NetworkError(
        "PERMISSION_DENIED",
        `Cannot ask agent "${agent}": an agent does more than talk. Give the content of the file ` +
          '"token" in the node\'s directory as API key.',
      );
    }
    const answer = await needs.network.callModel({
      dialect: dialect.name,
      body: text,
      model: asked.model,
      stream: asked.stream,
      conversation: conversationKeys(body),
      signal: ending,
    });
    return responseOf(dialect, answer);
  } catch (thrown) {
    return refusalIn(dialect, NetworkError.from(thrown));
  }
}

function checked(value: unknown): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot read the request: its body is no object of JSON.",
  );
}

function responseOf(dialect: Dialect, answer: RawModelAnswer): Response {
  const { status, contentType, nodeId, model, taskId, body } = answer;
  const headers = {
    "content-type": contentType,
    "x-hanzo-node": nodeId,
    "x-hanzo-model": encodeURI(model),
    "x-hanzo-task": taskId,
  };
  return typeof body === "string"
    ? new Response(body, { status, headers })
    : inDialect(piecesOf(dialect, body), { status, headers });
}
