/**
 * The models of the network, for programs that talk to OpenAI, Anthropic or Ollama: their paths,
 * their bodies, their errors.
 */

import { NetworkError } from "../../base/errors.ts";
import type { Dialect } from "../../dialects/dialect.ts";
import { dialectOf, DIALECTS } from "../../dialects/dialects.ts";
import type { DistributedNetwork } from "../../network/distributed_network.ts";
import { conversationKeys } from "../../network/models/conversations.ts";
import type { RawModelAnswer } from "../../network/models/model_calls.ts";
import type { JsonBodies } from "../json_bodies.ts";
import { agentNamed, askAgent } from "./agent_model.ts";
import { COUNT_TOKENS_PATH, countTokens } from "./count_tokens.ts";
import { KeptItems } from "./kept_items.ts";
import { listings } from "./model_lists.ts";
import { readModelRequest } from "./model_request.ts";
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

/** Whether a path is one of this API, or would be if there were such a one. */
export function isModelPath(pathname: string): boolean {
  return pathname.startsWith("/v1/") || pathname.startsWith("/api/");
}

/** See the top of the file. */
export function modelApi(needs: ModelApiNeeds): ModelApi {
  const lists = listings(needs);
  const kept = new KeptItems();
  return async (request, pathname, ending) => {
    const method = request.method === "HEAD" ? "GET" : request.method;
    const dialect = dialectOf(pathname);
    if (dialect !== undefined && method === "POST") {
      return await answered({ ...needs, kept }, dialect, request, ending);
    }
    if (pathname === COUNT_TOKENS_PATH && method === "POST") return await counted(needs, request);
    return await lists(request, method, pathname);
  };
}

async function answered(
  needs: ModelApiNeeds & { readonly kept: KeptItems },
  dialect: Dialect,
  request: Request,
  ending: AbortSignal,
): Promise<Response> {
  try {
    const { text, body: given } = await readModelRequest(needs.bodies, request);
    const body = needs.kept.restored(given);
    const asked = dialect.read(body);
    const only = { nodeId: request.headers.get("x-hanzo-node") || undefined, signal: ending };
    const agent = agentNamed(asked.model);
    if (agent !== undefined) {
      if (needs.isTrusted(request)) return await askAgent(needs, dialect, agent, body, only);
      throw new NetworkError(
        "PERMISSION_DENIED",
        `Cannot ask agent "${agent}": an agent does more than talk. Give the content of the file ` +
          '"token" in the node\'s directory as API key.',
      );
    }
    const answer = await needs.network.callModel({
      dialect: dialect.name,
      // Older clients of Ollama name it otherwise.
      body: body === given && body.model === asked.model
        ? text
        : JSON.stringify({ ...body, model: asked.model }),
      model: asked.model,
      stream: asked.stream,
      conversation: conversationKeys(body),
      ...only,
    });
    return responseOf(dialect, {
      ...answer,
      body: needs.kept.keep(dialect.name, body, answer.body),
    });
  } catch (thrown) {
    return refusalIn(dialect, NetworkError.from(thrown));
  }
}

async function counted({ bodies }: ModelApiNeeds, request: Request): Promise<Response> {
  try {
    const { body } = await readModelRequest(bodies, request);
    return Response.json(countTokens(body));
  } catch (thrown) {
    return refusalIn(DIALECTS["anthropic-messages"], NetworkError.from(thrown));
  }
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
