/** What the network must be able to do for programs that speak MCP; the port of this folder. */

import type { AgentDescription } from "../../agents/agent.ts";
import type { RunEvent } from "../../agents/run_event.ts";
import type { NetworkModel } from "../../network/catalog.ts";
import type { EndedTask, NetworkStatus, TaskStatus } from "../../network/status.ts";
import type { CancelBody, RunBody } from "../control_api.ts";
import type { DeleteBody, SetBody, StateEntry } from "../state_routes.ts";

/** What is asked of a model: a body of OpenAI's `POST /v1/chat/completions`. */
export interface ChatBody {
  model: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  stream: boolean;
  stream_options?: { include_usage: boolean };
  max_tokens?: number;
  temperature?: number;
}

/** The shared state, as far as it is used here. */
export interface StatePort {
  entries(prefix: string, signal?: AbortSignal): Promise<StateEntry[]>;
  entry(key: string, signal?: AbortSignal): Promise<StateEntry>;
  set(body: SetBody, signal?: AbortSignal): Promise<StateEntry>;
  delete(body: DeleteBody, signal?: AbortSignal): Promise<{ deleted: boolean }>;
}

/** A node, as far as it is used here. */
export interface NetworkPort {
  status(signal?: AbortSignal): Promise<NetworkStatus>;
  agents(signal?: AbortSignal): Promise<{ agent: AgentDescription; nodes: string[] }[]>;
  models(signal?: AbortSignal): Promise<NetworkModel[]>;
  /** Runs an agent; the result is the last event, and the signal cancels the task. */
  run(body: RunBody, signal?: AbortSignal): AsyncIterable<RunEvent>;
  /** What a model answers, in OpenAI's shape. */
  chat(body: ChatBody, timeoutMs: number, signal?: AbortSignal): Promise<unknown>;
  readonly state: StatePort;
  tasks(signal?: AbortSignal): Promise<(TaskStatus | EndedTask)[]>;
  cancel(body: CancelBody, signal?: AbortSignal): Promise<TaskStatus>;
}

/**
 * Finds a node, anew for each call: nodes come and go while a client stays.
 *
 * @throws {NetworkError} When there is none, and what to do.
 */
export type FindNetwork = () => Promise<NetworkPort>;
