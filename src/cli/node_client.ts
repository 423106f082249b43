/** Talks to a running node of this machine through its HTTP API. */

import type { AgentDescription } from "../agents/agent.ts";
import type { RunEvent, RunResult } from "../agents/run_event.ts";
import { ERROR_CODES, type ErrorCode, NetworkError } from "../base/errors.ts";
import type { ErrorBody, RunBody } from "../gateway/control_api.ts";
import { dataDirectory, type RunningNode, runningNodes } from "../network/data_directory.ts";
import type { NetworkStatus, PeerStatus } from "../network/status.ts";
import type { OptionValues } from "./command.ts";
import { environment } from "./option_values.ts";

/** What one node of a run on every device came to, as the API tells it. */
export type NodeOutcomeBody =
  | { nodeId: string; result: RunResult }
  | { nodeId: string; error: { code: ErrorCode; message: string } };

/** Where an API is and what it asks for. */
export type ApiEndpoint = Pick<RunningNode, "api" | "token">;

/**
 * The node that the options choose, by default the one that runs longest.
 *
 * @throws {NetworkError} `UNAVAILABLE` when none runs, `NOT_FOUND` when the chosen one does not.
 */
export async function findNode(options: OptionValues): Promise<NodeClient> {
  const directory = dataDirectory(options.text("data-dir"), environment);
  const nodes = await runningNodes(directory);
  const nodeId = options.text("node-id");
  const api = options.text("api")?.replace(/\/+$/, "");
  if (nodes.length === 0) {
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot reach a node: none runs on this machine with the data directory ${directory}. ` +
        `Start one: hanzo-network up`,
    );
  }
  const node = nodes.find((one) =>
    (nodeId === undefined || one.nodeId === nodeId) && (api === undefined || one.api === api)
  );
  if (node === undefined) {
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot reach ${nodeId === undefined ? api : `node "${nodeId}"`}: it does not run on this ` +
        `machine. There are: ${nodes.map((one) => `${one.nodeId} (${one.api})`).join(", ")}.`,
    );
  }
  return new NodeClient(node);
}

/** See the top of the file. */
export class NodeClient {
  readonly #endpoint: ApiEndpoint;

  constructor(endpoint: ApiEndpoint) {
    this.#endpoint = endpoint;
  }

  /** What the node says of itself. */
  status(signal?: AbortSignal): Promise<NetworkStatus> {
    return this.#get("status", signal);
  }

  /** The peers that it knows. */
  peers(): Promise<PeerStatus[]> {
    return this.#get("peers");
  }

  /** The agents of its network. */
  agents(): Promise<{ agent: AgentDescription; nodes: string[] }[]> {
    return this.#get("agents");
  }

  /**
   * Runs an agent; the result is the last event.
   *
   * @throws {NetworkError} What the run failed with.
   */
  async *run(body: RunBody, signal?: AbortSignal): AsyncGenerator<RunEvent, void, void> {
    const response = await this.#fetch("run", signal, body);
    for await (const line of lines(response)) {
      const event = JSON.parse(line) as RunEvent | ErrorBody;
      if ("error" in event) throw toError(event);
      yield event;
    }
  }

  /** Runs an agent on every device that has it. */
  async runAll(body: RunBody, signal?: AbortSignal): Promise<NodeOutcomeBody[]> {
    return await (await this.#fetch("run", signal, { ...body, all: true })).json();
  }

  async #get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return await (await this.#fetch(path, signal)).json();
  }

  async #fetch(path: string, signal?: AbortSignal, body?: RunBody): Promise<Response> {
    const { api, token } = this.#endpoint;
    let response: Response;
    try {
      response = await fetch(`${api}/control/v1/${path}`, {
        signal,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      });
    } catch (cause) {
      if (signal?.aborted) throw new NetworkError("CANCELLED", "Cancelled.", { cause });
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot reach the node at ${api}: it does not answer. Is it still running?`,
        { cause },
      );
    }
    if (!response.ok) throw toError(await response.json());
    return response;
  }
}

async function* lines(response: Response): AsyncGenerator<string> {
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}

function toError({ error: { code, message, retryAfterMs } }: ErrorBody): NetworkError {
  return new NetworkError(ERROR_CODES.includes(code) ? code : "INTERNAL", message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
