/** A thread as people see it: what was said in it, its data, and what agents answered. */

import type { AgentResult, RunMessage } from "../../agents/run_state.ts";
import { RunStateStore } from "../../agents/run_state_store.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import { checkKey, keyName } from "../../base/bounded_value.ts";
import type { SharedState } from "../../state/shared_state.ts";
import { escapedDataKey, threadKeys } from "./thread_keys.ts";
import { messagesOf, toItems } from "./thread_log.ts";
import type { ThreadRuns } from "./thread_runs.ts";
import {
  deleteThread,
  openRun,
  readThread,
  readThreads,
  type StoredThread,
} from "./thread_store.ts";

/** The data of a thread, key by key, as it is on this device now. */
export interface ThreadData extends Iterable<[key: string, value: JsonValue]> {
  /** A copy of the value; undefined when the key has none. */
  get(key: string): JsonValue | undefined;
  /** Whether the key has a value. */
  has(key: string): boolean;
  /** All keys, in the order of their UTF-8. */
  keys(): string[];
  /**
   * Gives the key a value, for runs that begin later.
   *
   * @throws {NetworkError} As the shared state does.
   */
  set(key: string, value: JsonValue): Promise<void>;
  /** Takes the key's value away; resolves to whether there was one. */
  delete(key: string): Promise<boolean>;
}

/** The last run of a thread, as long as it has not ended. */
export interface UnfinishedRun {
  /** What it was asked. */
  readonly prompt: string;
  /** The agent, or network of agents, that was asked; undefined where a router says who goes on. */
  readonly agent: string | undefined;
  /** The node that it is, or was, run by. */
  readonly nodeId: string;
  /** Whether it is under way, as far as this node knows; else it can be resumed. */
  readonly isUnderWay: boolean;
  /** How many agents have answered. */
  readonly steps: number;
  /** The agent that is, or was, asked as the next one. */
  readonly calling: string | undefined;
  /** What it failed with, if it could say so. */
  readonly failure: string | undefined;
}

/**
 * A conversation that every device can go on with. Each property is as of now, as far as this device
 * has it, and a copy.
 */
export interface Thread {
  /** What it is called. */
  readonly name: string;
  /** What was said, in the same order on all devices. */
  readonly messages: readonly RunMessage[];
  /** What agents have set. */
  readonly data: ThreadData;
  /** What agents have answered, in the same order on all devices. */
  readonly agentResults: readonly AgentResult[];
  /** The last run, if it has not ended. */
  readonly unfinished: UnfinishedRun | undefined;
  /**
   * Says something, for all runs that begin later. Of those who say something at once none is lost.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is no message; as the shared state does.
   */
  addMessage(message: RunMessage): Promise<void>;
  /**
   * Takes it away, on all devices, but for what others add meanwhile. A run that is under way in it
   * stops before its next agent.
   *
   * @returns Whether there was anything.
   */
  delete(): Promise<boolean>;
}

/** A thread in a list. */
export interface ThreadSummary {
  /** What it is called. */
  readonly name: string;
  /** How many messages it has. */
  readonly messages: number;
  /** How many agents have answered in it. */
  readonly agentResults: number;
  /** The last run, if it has not ended. */
  readonly unfinished: UnfinishedRun | undefined;
}

/** What threads stand on. */
export interface ThreadSources {
  readonly shared: () => SharedState;
  readonly runs: Pick<ThreadRuns, "isUnderWay">;
  readonly newId: () => string;
}

/**
 * The thread with that name, whether there is anything in it or not.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is none.
 */
export function threadNamed(name: string, { shared, runs, newId }: ThreadSources): Thread {
  const keys = threadKeys(name, "read thread");
  const now = () => readThread(shared(), keys);
  const keyOf = (key: string, action: string) => {
    checkKey(key, `${action} "${keyName(key)}" in the data of thread "${name}"`);
    return keys.data + escapedDataKey(key);
  };
  const data: ThreadData = {
    get: (key) => shared().get(keyOf(key, "get")),
    has: (key) => shared().has(keyOf(key, "get")),
    keys: () => [...dataOf().keys()],
    set: async (key, value) => await shared().set(keyOf(key, "set"), value),
    delete: async (key) => await shared().delete(keyOf(key, "delete")),
    [Symbol.iterator]: () => dataOf()[Symbol.iterator](),
  };
  const dataOf = () => now().data;
  return Object.freeze({
    name,
    get messages() {
      return now().entries.flatMap(messagesOf);
    },
    data: Object.freeze(data),
    get agentResults() {
      return resultsOf(now());
    },
    get unfinished() {
      return unfinishedOf(now(), runs);
    },
    async addMessage(message: RunMessage) {
      // Said to nobody, it is checked.
      const checked = new RunStateStore();
      checked.addMessage(message);
      await shared().append(keys.log, ...toItems({ messages: checked.messages }, newId()));
    },
    delete: () => deleteThread(shared(), keys),
  });
}

/** All threads of which there is anything, in the order of their names. */
export function allThreads({ shared, runs }: ThreadSources): ThreadSummary[] {
  return [...readThreads(shared())].map(([name, thread]) => ({
    name,
    messages: thread.entries.reduce((sum, entry) => sum + messagesOf(entry).length, 0),
    agentResults: resultsOf(thread).length,
    unfinished: unfinishedOf(thread, runs),
  })).sort((one, other) => one.name < other.name ? -1 : 1);
}

function resultsOf({ entries }: StoredThread): AgentResult[] {
  return entries.flatMap(({ result }) => result === undefined ? [] : [result]);
}

function unfinishedOf(
  thread: StoredThread,
  runs: Pick<ThreadRuns, "isUnderWay">,
): UnfinishedRun | undefined {
  const open = openRun(thread);
  if (open === undefined) return undefined;
  const { entry, record: { asked, nodeId, steps, calling, failure } } = open;
  return {
    prompt: entry.asked ?? entry.prompt!,
    agent: asked.kind === "router" ? undefined : asked.name,
    nodeId,
    isUnderWay: runs.isUnderWay(open),
    steps,
    calling: calling?.agent,
    failure,
  };
}
