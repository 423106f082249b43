/** What the agents of one run share: messages, data and the answers so far. */

import type { JsonValue } from "../base/bounded_json.ts";

/** One message of a run. */
export interface RunMessage {
  /** Who speaks: whoever asked, an agent, or who set the stage. */
  readonly role: "user" | "assistant" | "system";
  /** The agent that speaks, if one does. */
  readonly agent?: string;
  /** What is said. */
  readonly content: string;
}

/** What one agent of a run answered. */
export interface AgentResult {
  /** The agent. */
  readonly agent: string;
  /** The node that ran it. */
  readonly nodeId: string;
  /** The id of its task. */
  readonly taskId: string;
  /** The answer as text. */
  readonly output: string;
  /** The answer as data, from agents that give it. */
  readonly data?: JsonValue;
  /** From the call to the answer, in milliseconds, as the caller saw it. */
  readonly durationMs: number;
}

/**
 * The data of a run: JSON by key. What `get` returns is the reader's own copy; a change counts when
 * it is `set`. Keys may be any text, 512 bytes at most; values 1 MiB, nested 32 levels deep.
 */
export interface RunData extends Iterable<[key: string, value: JsonValue]> {
  /** How many keys there are. */
  readonly size: number;
  /** A copy of the value; undefined when the key has none. */
  get(key: string): JsonValue | undefined;
  /** Whether the key has a value. */
  has(key: string): boolean;
  /**
   * Gives the key a value.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when the value is no JSON or too deep;
   * `RESOURCE_EXHAUSTED` when key, value or state would be too large: nothing is set then.
   */
  set(key: string, value: JsonValue): void;
  /** Takes the key's value away, and says whether there was one. */
  delete(key: string): boolean;
  /** All keys, in the order in which they came. */
  keys(): IterableIterator<string>;
}

/**
 * What the agents of one run share; 8 MiB at most, as JSON.
 *
 * Each agent works on a copy. What it changes reaches the run with its answer; when it fails, or
 * its device is lost, nothing of it does. Of two that run at once and set the same key, the later
 * answer counts.
 */
export interface RunState {
  /** What was said, in order: the prompt first. */
  readonly messages: readonly RunMessage[];
  /** JSON by key. */
  readonly data: RunData;
  /** What the agents answered, in order. */
  readonly agentResults: readonly AgentResult[];
  /**
   * Says something, for all agents that come after.
   *
   * @throws {NetworkError} `RESOURCE_EXHAUSTED` when the state would be too large.
   */
  addMessage(message: RunMessage): void;
}
