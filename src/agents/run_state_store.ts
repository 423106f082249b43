/** The state of a run as it is kept: bounded, copied for each attempt, changed by what comes back. */

import type { JsonValue } from "../base/bounded_json.ts";
import {
  bytesOf,
  checkDepth,
  checkKey,
  jsonOf,
  jsonText,
  keyName,
  tooLarge,
} from "../base/bounded_value.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";
import type { RunJournal } from "./networks/run_journal.ts";
import type { AgentResult, RunData, RunMessage, RunState } from "./run_state.ts";

/** The largest state, in bytes of JSON: half of what a task may be, for there is a prompt, too. */
export const MAX_STATE_BYTES = 8 * 2 ** 20;
/** How deep a value of the data may be nested: some levels of the 64 of a task are its own. */
const MAX_DEPTH = 32;
/** The same for what agents answer. */
const MAX_RESULT_DEPTH = 48;

const ROLES: ReadonlySet<string> = new Set<RunMessage["role"]>(["user", "assistant", "system"]);

/** A state as plain data, on the wire and in JSON. */
export interface PlainRunState {
  readonly messages: readonly RunMessage[];
  readonly data: Readonly<Record<string, JsonValue>>;
  readonly agentResults: readonly AgentResult[];
  readonly thread?: ThreadRef;
}

/** The run in a thread that asks one agent, and whose state that agent is given. */
export interface ThreadRef {
  /** The name of the thread. */
  readonly name: string;
  /** The id of the run. */
  readonly run: string;
}

/** Opens the journal of a network that is asked as one agent; what was kept is done to `state`. */
export type OpenJournal = (
  asked: { readonly network: string; readonly prompt: string; readonly state: RunStateStore },
) => RunJournal;

/** What an attempt has changed, as it comes back with its answer. */
export interface RunChanges {
  /** What was set. */
  readonly data?: Readonly<Record<string, JsonValue>>;
  /** The keys that were deleted. */
  readonly deleted?: readonly string[];
  /** What was said. */
  readonly messages?: readonly RunMessage[];
}

/** The state of an agent that runs alone, which most never look at: it is made when one does. */
export class LoneRunState implements RunState {
  readonly #prompt: string;
  #made: RunStateStore | undefined;

  constructor(prompt: string) {
    this.#prompt = prompt;
  }

  /** The state itself. */
  get store(): RunStateStore {
    if (this.#made === undefined) {
      this.#made = new RunStateStore();
      this.#made.addMessage({ role: "user", content: this.#prompt });
    }
    return this.#made;
  }

  get messages(): readonly RunMessage[] {
    return this.store.messages;
  }

  get data(): RunData {
    return this.store.data;
  }

  get agentResults(): readonly AgentResult[] {
    return this.store.agentResults;
  }

  addMessage(message: RunMessage): void {
    this.store.addMessage(message);
  }

  toJSON(): PlainRunState {
    return this.store.toJSON();
  }
}

/**
 * The store behind a state that an agent was given.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is none.
 */
export function storeOf(state: RunState): RunStateStore {
  if (state instanceof RunStateStore) return state;
  if (state instanceof LoneRunState) return state.store;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot share a state that no run has made. Pass the agent's own: { state: context.state }.",
  );
}

/** A value, and what it and its key take. */
interface Entry {
  readonly json: string;
  readonly bytes: number;
}

/** See the top of the file. */
export class RunStateStore implements RunState {
  #messages: RunMessage[];
  #results: AgentResult[];
  #entries: Map<string, Entry>;
  #bytes: number;
  /** Messages that were there when it was forked. */
  #forkedAt = 0;
  readonly #touched = new Set<string>();
  /** The same since the changes were taken last. */
  #takenAt = 0;
  readonly #untaken = new Set<string>();
  readonly data: RunData = this.#dataView();
  /** The run that it is of, where one agent of a thread is asked. */
  thread: ThreadRef | undefined;
  /** On the device that runs that agent. */
  openJournal: OpenJournal | undefined;

  /** An empty one. */
  constructor() {
    this.#messages = [];
    this.#results = [];
    this.#entries = new Map();
    this.#bytes = 0;
  }

  /**
   * The state that plain data stands for.
   *
   * @throws {NetworkError} Where it is out of bounds.
   */
  static of({ messages, data, agentResults, thread }: PlainRunState): RunStateStore {
    const store = new RunStateStore();
    store.thread = thread;
    for (const message of messages) store.addMessage(message);
    for (const [key, value] of Object.entries(data)) store.#set(key, value);
    for (const result of agentResults) store.addResult(result);
    return store;
  }

  /** What it takes as JSON, but for some brackets. */
  get bytes(): number {
    return this.#bytes;
  }

  get messages(): readonly RunMessage[] {
    return this.#messages;
  }

  get agentResults(): readonly AgentResult[] {
    return this.#results;
  }

  addMessage({ role, agent, content }: RunMessage): void {
    // No compiler checks what an agent says.
    const isNamed = agent === undefined || typeof agent === "string" && isLabel(agent);
    if (!ROLES.has(role) || typeof content !== "string" || !isNamed) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        'Cannot add a message to the state of the run: it needs a "role" ' +
          `(${
            [...ROLES].join(", ")
          }), a text as its "content", and if it has an "agent", the name ` +
          "of one.",
      );
    }
    const message = Object.freeze({ role, ...(agent !== undefined && { agent }), content });
    this.#grow(bytesOf(JSON.stringify(message)), "add a message to the state of the run");
    this.#messages.push(message);
  }

  /** Keeps an agent's answer. */
  addResult(result: AgentResult): void {
    const { agent, nodeId, taskId, output, data, durationMs } = result;
    const kept: AgentResult = Object.freeze({
      agent,
      nodeId,
      taskId,
      output,
      ...(data !== undefined && { data }),
      durationMs,
    });
    const action = `keep the answer of agent "${agent}" in the state of the run`;
    const json = jsonText(kept, action);
    checkDepth(json, MAX_RESULT_DEPTH, action);
    this.#grow(bytesOf(json), action);
    this.#results.push(kept);
  }

  /** A copy whose changes are its own. */
  fork(): RunStateStore {
    const copy = new RunStateStore();
    copy.#messages = [...this.#messages];
    copy.#results = [...this.#results];
    copy.#entries = new Map(this.#entries);
    copy.#bytes = this.#bytes;
    copy.#forkedAt = this.#messages.length;
    copy.thread = this.thread;
    return copy;
  }

  /** What was changed since it was forked; undefined if nothing was. */
  changes(): RunChanges | undefined {
    return this.#changesOf(this.#touched, this.#forkedAt);
  }

  /** What was changed since this was asked last; undefined if nothing was. */
  takeChanges(): RunChanges | undefined {
    const changes = this.#changesOf(this.#untaken, this.#takenAt);
    this.#untaken.clear();
    this.#takenAt = this.#messages.length;
    return changes;
  }

  /**
   * Takes over what an attempt has changed: all of it or, when it throws, nothing.
   *
   * @throws {NetworkError} `RESOURCE_EXHAUSTED` when the state would be too large.
   */
  apply({ data = {}, deleted = [], messages = [] }: RunChanges): void {
    const [entries, bytes, length] = [new Map(this.#entries), this.#bytes, this.#messages.length];
    try {
      for (const key of deleted) this.#delete(key);
      for (const [key, value] of Object.entries(data)) this.#set(key, value);
      for (const message of messages) this.addMessage(message);
    } catch (thrown) {
      this.#entries = entries;
      this.#bytes = bytes;
      this.#messages.length = length;
      throw thrown;
    }
  }

  /** As plain data. */
  toJSON(): PlainRunState {
    return {
      messages: this.#messages,
      data: Object.fromEntries(this.data),
      agentResults: this.#results,
      ...(this.thread !== undefined && { thread: this.thread }),
    };
  }

  #changesOf(touched: ReadonlySet<string>, since: number): RunChanges | undefined {
    const messages = this.#messages.slice(since);
    const keys = [...touched];
    const set = keys.filter((key) => this.#entries.has(key));
    const deleted = keys.filter((key) => !this.#entries.has(key));
    if (keys.length === 0 && messages.length === 0) return undefined;
    return {
      ...(set.length > 0 && {
        data: Object.fromEntries(set.map((key) => [key, JSON.parse(this.#entries.get(key)!.json)])),
      }),
      ...(deleted.length > 0 && { deleted }),
      ...(messages.length > 0 && { messages }),
    };
  }

  #dataView(): RunData {
    // Not its fields: they are others after changes that did not fit.
    const entries = () => this.#entries;
    const view: RunData = {
      get size() {
        return entries().size;
      },
      get: (key) => {
        const entry = entries().get(key);
        return entry === undefined ? undefined : JSON.parse(entry.json);
      },
      has: (key) => entries().has(key),
      set: (key, value) => this.#set(key, value),
      delete: (key) => this.#delete(key),
      keys: () => entries().keys(),
      *[Symbol.iterator]() {
        for (const [key, { json }] of entries()) {
          yield [key, JSON.parse(json)] satisfies [string, JsonValue];
        }
      },
    };
    return Object.freeze(view);
  }

  #set(key: string, value: JsonValue): void {
    const action = `set "${keyName(key)}" in the data of the run`;
    const json = jsonOf(value, action, MAX_DEPTH);
    checkKey(key, action);
    const bytes = bytesOf(JSON.stringify(key)) + bytesOf(json);
    this.#grow(bytes - (this.#entries.get(key)?.bytes ?? 0), action);
    this.#entries.set(key, { json, bytes });
    this.#touch(key);
  }

  #delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#bytes -= entry.bytes;
    this.#entries.delete(key);
    this.#touch(key);
    return true;
  }

  #touch(key: string): void {
    this.#touched.add(key);
    this.#untaken.add(key);
  }

  #grow(bytes: number, action: string): void {
    if (this.#bytes + bytes <= MAX_STATE_BYTES || bytes <= 0) return void (this.#bytes += bytes);
    throw tooLarge(
      action,
      `with it the state would take ${this.#bytes + bytes} bytes, at most ${MAX_STATE_BYTES} may ` +
        "be. Delete what nobody needs any more, or let the agents answer less",
    );
  }
}
