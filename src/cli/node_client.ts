/** Talks to a running node of this machine through its HTTP API. */

import type { AgentDescription } from "../agents/agent.ts";
import type { RunEvent } from "../agents/run_event.ts";
import { type Clock, doneWithin, systemClock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { isGranted, needGranted } from "../base/permissions.ts";
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
import type {
  ClientBody,
  EvictAnswer,
  EvictBody,
  InviteBody,
  NodeBody,
  RotateBody,
} from "../gateway/key_routes.ts";
import type {
  AddBody,
  AppendBody,
  CheckpointBody,
  DeleteBody,
  SetBody,
  StateChangeLine,
  StateEntry,
} from "../gateway/state_routes.ts";
import type { ChatBody } from "../gateway/mcp/network_port.ts";
import type { DeleteThreadBody, ThreadBody } from "../gateway/thread_routes.ts";
import type { NetworkModel } from "../network/catalog.ts";
import { dataDirectory, type RunningNode, runningNodes } from "../network/data_directory.ts";
import type { Finding } from "../network/diagnosis_facts.ts";
import type { JoinQrFields } from "../network/join_qr.ts";
import type { KeyList } from "../network/network_keys.ts";
import type { ClientCertificate } from "../security/client_certificate.ts";
import type { EndedTask, NetworkStatus, PeerStatus, TaskStatus } from "../network/status.ts";
import type { ThreadSummary } from "../network/threads/thread.ts";
import type { Checkpoint, Restored } from "../state/checkpoints.ts";
import type { Imported, ImportOptions } from "../state/state_import.ts";
import type { MapProgress } from "../tasks/map_prompts.ts";
import { type ChatAnswer, chatAnswer } from "./chat_stream.ts";
import type { OptionValues } from "./command.ts";
import { directFetch } from "./direct_fetch.ts";
import { lines, toError } from "./node_answers.ts";
import { environment } from "./option_values.ts";

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

/** How long a node may take to answer a question about itself. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The same where it reads or writes all of the shared state, from and to a slow disk. */
const LONG_ANSWER_TIMEOUT_MS = 600_000;

/** See the top of the file. */
export class NodeClient {
  readonly #endpoint: ApiEndpoint;
  readonly #clock: Clock;

  constructor(endpoint: ApiEndpoint, clock: Clock = systemClock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** What the node says of itself. */
  status(signal?: AbortSignal): Promise<NetworkStatus> {
    return this.#answer("status", signal);
  }

  /** The peers that it knows. */
  peers(signal?: AbortSignal): Promise<PeerStatus[]> {
    return this.#answer("peers", signal);
  }

  /** What it finds out about its way to its peers, and to one of them if it is named. */
  doctor(peer?: string, signal?: AbortSignal): Promise<Finding[]> {
    const query = peer === undefined ? "" : `?${new URLSearchParams({ peer })}`;
    return this.#answer(`doctor${query}`, signal);
  }

  /** The agents of its network. */
  agents(signal?: AbortSignal): Promise<{ agent: AgentDescription; nodes: string[] }[]> {
    return this.#answer("agents", signal);
  }

  /** The models of its network. */
  models(signal?: AbortSignal): Promise<NetworkModel[]> {
    return this.#answer("models", signal);
  }

  /**
   * What runs here or was asked for from here, and what the last tasks came to.
   *
   * @param explain Whether to tell what was thought of each device.
   */
  tasks(signal?: AbortSignal, explain = false): Promise<(TaskStatus | EndedTask)[]> {
    return this.#answer(explain ? "tasks?explain" : "tasks", signal);
  }

  /**
   * Stops a task, and resolves to it as it was.
   *
   * @throws {NetworkError} `NOT_FOUND` when the node neither runs it nor waits for it.
   */
  cancel(body: CancelBody, signal?: AbortSignal): Promise<TaskStatus> {
    return this.#answer("cancel", signal, body);
  }

  /** Lets it finish what runs there, and then stop. */
  drain(signal?: AbortSignal): Promise<NetworkStatus> {
    return this.#answer("drain", signal, {});
  }

  /** A code by which one device may join. */
  invite(body: InviteBody, signal?: AbortSignal): Promise<JoinQrFields> {
    return this.#answer("invite", signal, body);
  }

  /** The keys of its network. */
  keys(signal?: AbortSignal): Promise<KeyList> {
    return this.#answer("keys", signal);
  }

  /** Moves its network to a new key. */
  rotateKey(body: RotateBody, signal?: AbortSignal): Promise<KeyList> {
    return this.#answer("keys/rotate", signal, body);
  }

  /** Moves all but some nodes to a new key. */
  evict(body: EvictBody, signal?: AbortSignal): Promise<EvictAnswer> {
    return this.#answer("keys/evict", signal, body);
  }

  /** Certifies that a program may call. */
  certifyClient(body: ClientBody, signal?: AbortSignal): Promise<ClientCertificate> {
    return this.#answer("keys/client", signal, body);
  }

  /** Lets another device have a label. */
  forget(body: NodeBody, signal?: AbortSignal): Promise<KeyList> {
    return this.#answer("keys/forget", signal, body);
  }

  /** What the shared state holds under keys that begin so. */
  stateEntries(prefix: string, signal?: AbortSignal): Promise<StateEntry[]> {
    return this.#answer(`state?${new URLSearchParams({ prefix })}`, signal);
  }

  /**
   * What the shared state holds under a key.
   *
   * @throws {NetworkError} `NOT_FOUND` when it is nothing.
   */
  stateEntry(key: string, signal?: AbortSignal): Promise<StateEntry> {
    return this.#answer(`state?${new URLSearchParams({ key })}`, signal);
  }

  /** Gives a key of the shared state a value. */
  setState(body: SetBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#answer("state/set", signal, body);
  }

  /** Takes a key of the shared state away. */
  deleteState(body: DeleteBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#answer("state/delete", signal, body);
  }

  /** Adds to a number of the shared state. */
  addState(body: AddBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#answer("state/add", signal, body);
  }

  /** Appends to a list of the shared state. */
  appendState(body: AppendBody, signal?: AbortSignal): Promise<StateEntry> {
    return this.#answer("state/append", signal, body);
  }

  /** What was kept of the shared state. */
  checkpoints(signal?: AbortSignal): Promise<Checkpoint[]> {
    return this.#answer("checkpoints", signal);
  }

  /** Keeps the shared state as it is. */
  saveCheckpoint(body: CheckpointBody, signal?: AbortSignal): Promise<Checkpoint> {
    return this.#answer("checkpoints/save", signal, body, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Brings the shared state back as it was. */
  restoreCheckpoint(body: CheckpointBody, signal?: AbortSignal): Promise<Restored> {
    return this.#answer("checkpoints/restore", signal, body, LONG_ANSWER_TIMEOUT_MS);
  }

  /** Removes what was kept. */
  deleteCheckpoint(body: CheckpointBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#answer("checkpoints/delete", signal, body);
  }

  /** All of the shared state as one document. */
  exportState(signal?: AbortSignal): Promise<string> {
    return this.#within(LONG_ANSWER_TIMEOUT_MS, signal, async (both) => {
      const response = await this.#fetch("state/export", both);
      return await this.#whole(() => response.text(), signal);
    });
  }

  /** Writes what such a document holds. */
  importState(
    document: string,
    { replace, dryRun }: ImportOptions,
    signal?: AbortSignal,
  ): Promise<Imported> {
    const query = new URLSearchParams({
      ...(replace && { replace: "" }),
      ...(dryRun && { "dry-run": "" }),
    });
    return this.#answer(`state/import?${query}`, signal, document, LONG_ANSWER_TIMEOUT_MS);
  }

  /** The threads of its network. */
  threads(signal?: AbortSignal): Promise<ThreadSummary[]> {
    return this.#answer("threads", signal);
  }

  /**
   * One of them, whole.
   *
   * @throws {NetworkError} `NOT_FOUND` when there is none.
   */
  thread(name: string, signal?: AbortSignal): Promise<ThreadBody> {
    return this.#answer(`threads?${new URLSearchParams({ name })}`, signal);
  }

  /** Takes one of them away. */
  deleteThread(body: DeleteThreadBody, signal?: AbortSignal): Promise<{ deleted: boolean }> {
    return this.#answer("threads/delete", signal, body);
  }

  /** Changes of the keys that begin so, from now on; the first line says that it has begun. */
  async *watchState(
    prefix: string,
    signal?: AbortSignal,
  ): AsyncGenerator<StateChangeLine | undefined, void, void> {
    const response = await this.#fetch(`state/watch?${new URLSearchParams({ prefix })}`, signal);
    for await (const line of this.#lines(response, signal)) {
      yield line === "" ? undefined : JSON.parse(line) as StateChangeLine;
    }
  }

  /**
   * Runs an agent; the result is the last event.
   *
   * @throws {NetworkError} What the run failed with.
   */
  async *run(body: RunBody, signal?: AbortSignal): AsyncGenerator<RunEvent, void, void> {
    const response = await this.#fetch("run", signal, body);
    for await (const line of this.#lines(response, signal)) {
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
        const response = await this.#fetch("/v1/chat/completions", both, body);
        return await this.#whole(() => response.json(), both);
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
    const brokenOff = (cause: unknown) => both.aborted ? cancelled(cause) : this.brokenOff(cause);
    try {
      const headers: Record<string, string> = node === undefined ? {} : { "x-hanzo-node": node };
      const response = await this.#fetch("/v1/chat/completions", both, body, headers);
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
    const response = await this.#fetch("run", signal, { ...body, all: true });
    for await (const text of this.#lines(response, signal)) {
      const line: RunAllLine = JSON.parse(text);
      if (line.type === "outcomes") return line.outcomes;
      onProgress?.(line);
    }
    throw this.brokenOff();
  }

  /**
   * Runs an agent with many prompts: what each came to, and in between how far it has come.
   *
   * @throws {NetworkError} Why it cannot go on.
   */
  async *map(body: MapBody, signal?: AbortSignal): AsyncGenerator<MapLine, void, void> {
    const response = await this.#fetch("map", signal, body);
    for await (const line of this.#lines(response, signal)) {
      const value = JSON.parse(line) as MapLine | ErrorBody;
      if (!("type" in value)) throw toError(value);
      yield value;
    }
  }

  /** The lines of an answer, however it ends: a node may die in the middle of it. */
  async *#lines(response: Response, signal?: AbortSignal): AsyncGenerator<string, void, void> {
    try {
      yield* lines(response);
    } catch (cause) {
      throw signal?.aborted ? cancelled(cause) : this.brokenOff(cause);
    }
  }

  /** What a run fails with whose answer ends before its end. */
  brokenOff(cause?: unknown): NetworkError {
    return new NetworkError(
      "UNKNOWN_OUTCOME",
      `The node at ${this.#endpoint.api} ended in the middle of its answer, so how the rest of the ` +
        "work went is not known. Look whether it runs, and whether the work was done, before you " +
        "run it again.",
      { cause },
    );
  }

  async #answer<T>(
    path: string,
    signal?: AbortSignal,
    body?: object | string,
    patienceMs = ANSWER_TIMEOUT_MS,
  ): Promise<T> {
    return await this.#within(patienceMs, signal, async (both) => {
      const response = await this.#fetch(path, both, body);
      return await this.#whole(() => response.json() as Promise<T>, signal);
    });
  }

  /** What `work` comes to, if that does not take longer; it is told to stop then. */
  async #within<T>(
    patienceMs: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const impatience = new AbortController();
    const both = AbortSignal.any([impatience.signal, ...(signal === undefined ? [] : [signal])]);
    const answer = work(both);
    if (await doneWithin(this.#clock, patienceMs, answer)) return await answer;
    answer.catch(() => {});
    impatience.abort();
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot reach the node at ${this.#endpoint.api}: it runs, but has not answered within ` +
        `${patienceMs / 1000} s. Is it stopped, or very busy?`,
    );
  }

  async #whole<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot reach the node at ${this.#endpoint.api}: it ended in the middle of its answer. ` +
          "Is it still running?",
        { cause },
      );
    }
  }

  async #fetch(
    path: string,
    signal?: AbortSignal,
    body?: object | string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const { api, token } = this.#endpoint;
    const url = new URL(path.startsWith("/") ? path : `/control/v1/${path}`, api);
    if (!isGranted({ name: "net", host: url.host })) {
      // Not just this port: the next node has another one.
      needGranted(`Cannot reach the node at ${api}`, { name: "net", host: url.hostname });
    }
    let response: Response;
    try {
      response = await directFetch(url, {
        signal,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          ...headers,
        },
        ...(body === undefined
          ? { method: "GET" }
          : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot reach the node at ${api}: it does not answer. Is it still running?`,
        { cause },
      );
    }
    if (!response.ok) {
      const body = await this.#whole(() => response.json() as Promise<ErrorBody>, signal);
      throw toError(body, response.status);
    }
    return response;
  }
}

function tooLate(model: string, timeoutMs: number): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Cannot ask model "${model}": it has not answered within ${
      timeoutMs / 1000
    } s. Give it longer.`,
  );
}

function cancelled(cause: unknown): NetworkError {
  return new NetworkError("CANCELLED", "Cancelled: what was asked for is stopped.", { cause });
}
