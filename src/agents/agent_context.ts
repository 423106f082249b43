/** What an agent is given when it runs, and what it answers. */

import type { JsonValue } from "../base/bounded_json.ts";
import type { AgentUsage, Model } from "./models/model.ts";
import type { Requirements, Workload } from "./requirements.ts";
import type { RunResult } from "./run_event.ts";
import type { RunState } from "./run_state.ts";
import type { Tool } from "./tool.ts";

/** What an agent answers: text, or text with data. */
export interface AgentAnswer {
  /** The answer as text. */
  output: string;
  /** The answer as data, for programs and tables. */
  data?: JsonValue;
  /**
   * What its models took. By default that is counted for those asked by `context.model`; of agents
   * that it has asked each tells its own.
   */
  usage?: AgentUsage;
}

/** What an agent that asks another one can say of it. */
export interface CallAgentOptions {
  /** Text beside the prompt, such as a document. */
  readonly context?: string;
  /** Only this node; by default the one that routing chooses. */
  readonly nodeId?: string;
  /** How the work weighs on a device, instead of what the agent says. */
  readonly workload?: Workload;
  /** What the device must have, beside what the agent asks. */
  readonly requirements?: Requirements;
  /** Nodes that hold what the task works on: preferred as long as one of them is free. */
  readonly near?: readonly string[];
  /** How long it may take, in milliseconds; never longer than the run that asks has left. */
  readonly timeoutMs?: number;
  /**
   * The asking agent's `state`, to be shared: what the other one changes is changed here as soon as
   * it has answered. By default it begins with one of its own. Of several that are asked at once
   * each begins with the state as it is then; of what two set under one key the later answer counts.
   */
  readonly state?: RunState;
}

/** What an agent that calls a tool can say of it. */
export interface CallToolOptions {
  /**
   * What the call is known by elsewhere, such as the id that a model gave it: 1 to 64 printable
   * characters of ASCII without spaces. The events of the run have it unless another call of the
   * run does; by default, and then, the call gets an id of its own.
   */
  readonly callId?: string;
}

/** What an agent's `run` is given. */
export interface AgentContext {
  /** What was asked. */
  readonly prompt: string;
  /** The text beside the prompt, such as a document; "" if there is none. */
  readonly context: string;
  /** Aborts when the caller cancels or is lost, or the deadline passes: stop working then. */
  readonly signal: AbortSignal;
  /** The task's id: a ULID, also its idempotency key. */
  readonly taskId: string;
  /** The node on which this runs. */
  readonly nodeId: string;
  /**
   * What it shares with the other agents of its run. An agent that runs alone finds the prompt
   * there, and what it adds ends with it.
   */
  readonly state: RunState;
  /**
   * Calls one of the agent's tools; the caller of the run sees the call, and its result or what it
   * failed with, as events.
   *
   * @throws {NetworkError} `NOT_FOUND` when the agent has no such tool; `INVALID_ARGUMENT` when
   * the arguments do not fit; whatever the tool throws.
   */
  callTool(name: string, args: JsonValue, options?: CallToolOptions): Promise<JsonValue>;
  /**
   * Asks another agent, on whatever device of the network suits it best, as if it were here. It is
   * stopped when this run is, and has no more time than this run has left. Meanwhile this run takes
   * no slot of its device.
   *
   * @param agent The agent, or its name.
   * @throws {NetworkError} As `network.run` does; `FAILED_PRECONDITION` when agents have called each
   * other 16 deep, or when an agent that is idempotent asks one that is not: this one could be run
   * again elsewhere, and the other one with it.
   */
  callAgent(
    agent: { readonly name: string } | string,
    prompt: string,
    options?: CallAgentOptions,
  ): Promise<RunResult>;
  /**
   * A model of the network, on whatever device suits it best; nothing is asked before `generate`.
   * Meanwhile this run takes no slot of its device; the model is stopped when this run is, and has no
   * more time than this run has left.
   *
   * @param name As `hanzo-network models` lists it, or another name of it; several with commas
   * between them are tried in turn. Without one it is `"default"`, the best that is there.
   * @throws {NetworkError} `INVALID_ARGUMENT` for what is no name. When it is asked: `NOT_FOUND` when
   * no node has it, and why it cannot answer.
   */
  model(name?: string): Model;
  /**
   * The tools that `callTool` calls: the agent's own, those of this node that it names, and those of
   * its MCP servers, which are started if they do not run.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when this node does not allow one of them; why an
   * MCP server cannot be used.
   */
  tools(): Promise<readonly Tool[]>;
}

/**
 * The work itself. Return the answer, or be an async generator: each string that it yields is
 * streamed to the caller, and what it returns is the answer (by default all that it yielded).
 */
export type AgentRun = (
  context: AgentContext,
) =>
  | string
  | AgentAnswer
  | Promise<string | AgentAnswer>
  | AsyncGenerator<string, string | AgentAnswer | void>;
