/** Talks to a running node of this machine through its HTTP API. */

import type { AgentDescription } from "../agents/agent.ts";
import type { RunEvent } from "../agents/run_event.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { withTimeLimit } from "../base/time_limit.ts";
import type {
  CancelBody,
  ErrorBody,
  MapBody,
  MapLine,
  NodeOutcomeBody,
  RunAllLine,
  RunBody,
} from "../gateway/control_api.ts";
import type { ChatBody } from "../gateway/mcp/network_port.ts";
import type { NetworkModel } from "../network/catalog.ts";
import { dataDirectory, runningNodes } from "../network/data_directory.ts";
import type { Finding } from "../network/diagnosis_facts.ts";
import type { ModelAlias } from "../network/models/model_names.ts";
import { DEFAULT_TIMEOUT_MS } from "../network/run_options.ts";
import type { EndedTask, NetworkStatus, PeerStatus, TaskStatus } from "../network/status.ts";
import type { MapProgress } from "../tasks/map_prompts.ts";
import { type ChatAnswer, chatAnswer } from "./chat_stream.ts";
import { CheckpointClient } from "./client/checkpoint_client.ts";
import { type ApiEndpoint, cancelled, NodeConnection } from "./client/connection.ts";
import { KeyClient } from "./client/key_client.ts";
import { StateClient } from "./client/state_client.ts";
import { ThreadClient } from "./client/thread_client.ts";
import type { OptionValues } from "./command.ts";
import { toError } from "./node_answers.ts";
import { environment } from "./option_values.ts";

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
  readonly state: StateClient;
  readonly checkpoints: CheckpointClient;
  readonly threads: ThreadClient;
  readonly keys: KeyClient;
  readonly #node: NodeConnection;
  readonly #clock: Clock;

  constructor(endpoint: ApiEndpoint, clock: Clock = systemClock) {
    this.#node = new NodeConnection(endpoint, clock);
    this.#clock = clock;
    this.state = new StateClient(this.#node);
    this.checkpoints = new CheckpointClient(this.#node);
    this.threads = new ThreadClient(this.#node);
    this.keys = new KeyClient(this.#node);
  }

  /** What a run fails with whose answer ends before its end. */
  brokenOff(cause?: unknown): NetworkError {
    return this.#node.brokenOff(cause);
  }

  /** What the node says of itself. */
  status(signal?: AbortSignal): Promise<NetworkStatus> {
    return this.#node.answer("status", signal);
  }

  /** The peers that it knows. */
  peers(signal?: AbortSignal): Promise<PeerStatus[]> {
    return this.#node.answer("peers", signal);
  }

  /** What it finds out about its way to its peers, and to one of them if it is named. */
  doctor(peer?: string, signal?: AbortSignal): Promise<Finding[]> {
    const query = peer === undefined ? "" : `?${new URLSearchParams({ peer })}`;
    return this.#node.answer(`doctor${query}`, signal);
  }

  /** The agents of its network. */
  agents(signal?: AbortSignal): Promise<{ agent: AgentDescription; nodes: string[] }[]> {
    return this.#node.answer("agents", signal);
  }

  /** The models of its network. */
  models(signal?: AbortSignal): Promise<NetworkModel[]> {
    return this.#node.answer("models", signal);
  }

  /** The other names that it has for models, and what each means now. */
  modelAliases(signal?: AbortSignal): Promise<ModelAlias[]> {
    return this.#node.answer("model-aliases", signal);
  }

  /**
   * What runs here or was asked for from here, and what the last tasks came to.
   *
   * @param explain Whether to tell what was thought of each device.
   */
  tasks(signal?: AbortSignal, explain = false): Promise<(TaskStatus | EndedTask)[]> {
    return this.#node.answer(explain ? "tasks?explain" : "tasks", signal);
  }

  /**
   * Stops a task, and resolves to it as it was.
   *
   * @throws {NetworkError} `NOT_FOUND` when the node neither runs it nor waits for it.
   */
  cancel(body: CancelBody, signal?: AbortSignal): Promise<TaskStatus> {
    return this.#node.answer("cancel", signal, body);
  }

  /** Lets it finish what runs there, and then stop. */
  drain(signal?: AbortSignal): Promise<NetworkStatus> {
    return this.#node.answer("drain", signal, {});
  }

  /**
   * Runs an agent; the result is the last event.
   *
   * @throws {NetworkError} What the run failed with.
   */
  async *run(body: RunBody, signal?: AbortSignal): AsyncGenerator<RunEvent, void, void> {
    for await (const line of this.#node.lines("run", signal, body, silenceOf(body))) {
      const event = JSON.parse(line) as RunEvent | ErrorBody;
      if ("error" in event) throw toError(event);
      yield event;
    }
  }

  /**
   * Asks a model; the answer is in OpenAI's shape.
   *
   * @param timeoutMs How long it may take.
   * @throws {NetworkError} `DEADLINE_EXCEEDED` when it takes longer, or what the node says.
   */
  async chat(
    body: ChatBody,
    timeoutMs: number,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<unknown> {
    const error = () => tooLate(body.model, timeoutMs);
    const limit = { clock: this.#clock, limitMs: timeoutMs, error, signal };
    return await withTimeLimit(limit, async (both) => {
      try {
        const response = await this.#node.fetch("/v1/chat/completions", both, body);
        return await this.#node.whole(() => response.json(), both);
      } catch (thrown) {
        throw both.aborted ? both.reason : thrown;
      }
    });
  }

  /**
   * Asks a model for an answer in pieces; resolves as soon as it has said something.
   *
   * @throws {NetworkError} `DEADLINE_EXCEEDED` when it takes longer than that, or what the node says.
   */
  async streamChat(
    body: ChatBody & { stream: true },
    { node, timeoutMs, signal }: { node?: string; timeoutMs: number; signal: AbortSignal },
  ): Promise<ChatAnswer> {
    const late = new AbortController();
    const both = AbortSignal.any([late.signal, signal]);
    const cancel = this.#clock.after(timeoutMs, () => late.abort(tooLate(body.model, timeoutMs)));
    const outcomeOf = (thrown: unknown) => late.signal.aborted ? late.signal.reason : thrown;
    const brokenOff = (cause: unknown) =>
      both.aborted ? cancelled(cause) : this.#node.brokenOff(cause);
    try {
      const headers: Record<string, string> = node === undefined ? {} : { "x-hanzo-node": node };
      const response = await this.#node.fetch("/v1/chat/completions", both, body, headers);
      const answer = chatAnswer(response, brokenOff);
      const pieces = async function* () {
        try {
          yield* answer.pieces;
        } catch (thrown) {
          throw outcomeOf(thrown);
        } finally {
          cancel();
        }
      };
      return { ...answer, pieces: pieces() };
    } catch (thrown) {
      cancel();
      throw outcomeOf(thrown);
    }
  }

  /**
   * Runs an agent on every device that has it.
   *
   * @param onProgress Told how far it has come.
   */
  async runAll(
    body: RunBody,
    signal?: AbortSignal,
    onProgress?: (progress: MapProgress) => void,
  ): Promise<NodeOutcomeBody[]> {
    const asked = { ...body, all: true };
    for await (const text of this.#node.lines("run", signal, asked, silenceOf(body))) {
      const line: RunAllLine = JSON.parse(text);
      if (line.type === "outcomes") return line.outcomes;
      onProgress?.(line);
    }
    throw this.#node.brokenOff();
  }

  /**
   * Runs an agent with many prompts: what each came to, and in between how far it has come.
   *
   * @throws {NetworkError} Why it cannot go on.
   */
  async *map(body: MapBody, signal?: AbortSignal): AsyncGenerator<MapLine, void, void> {
    for await (const line of this.#node.lines("map", signal, body, silenceOf(body))) {
      const value = JSON.parse(line) as MapLine | ErrorBody;
      if (!("type" in value)) throw toError(value);
      yield value;
    }
  }
}

/** How much later than that a node may say that the time is over. */
const GRACE_MS = 10_000;

/** How long a node may say nothing of runs: it ends each of them when its time is over. */
function silenceOf({ timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number }): number {
  return timeoutMs + GRACE_MS;
}

function tooLate(model: string, timeoutMs: number): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Cannot ask model "${model}": it has not answered within ${
      timeoutMs / 1000
    } s. Give it longer.`,
  );
}
