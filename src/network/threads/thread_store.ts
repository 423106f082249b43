/** Threads in the shared state: reads, lists and deletes them. */

import type { JsonValue } from "../../base/bounded_json.ts";
import type { SharedState } from "../../state/shared_state.ts";
import { readRecord, type RunRecord } from "./run_record.ts";
import type { ThreadContents } from "./thread_history.ts";
import { dataKeyOf, type ThreadKeys, threadKeys, threadOf, THREADS_PREFIX } from "./thread_keys.ts";
import { readLog, type ThreadEntry } from "./thread_log.ts";

/** A thread as it is in the shared state. */
export interface StoredThread extends ThreadContents {
  /** Runs that have not ended, by id. */
  readonly runs: ReadonlyMap<string, RunRecord>;
}

/** A run that has not ended, and what it was asked. */
export interface OpenRun {
  readonly id: string;
  readonly entry: ThreadEntry;
  readonly record: RunRecord;
}

/** A thread, by its keys. */
export function readThread(state: SharedState, keys: ThreadKeys): StoredThread {
  return gathered(state.entries(keys.prefix), keys);
}

/** All threads that have anything, by name. */
export function readThreads(state: SharedState): Map<string, StoredThread> {
  const byName = new Map<string, [string, JsonValue][]>();
  for (const entry of state.entries(THREADS_PREFIX)) {
    const name = threadOf(entry[0]);
    if (name === undefined) continue;
    const entries = byName.get(name);
    if (entries === undefined) byName.set(name, [entry]);
    else entries.push(entry);
  }
  return new Map(
    [...byName].map(([name, entries]) => [name, gathered(entries, threadKeys(name, "read"))]),
  );
}

/** Its prompts, messages, answers and data go, on all devices; resolves to whether there were any. */
export async function deleteThread(state: SharedState, keys: ThreadKeys): Promise<boolean> {
  // Not a transaction: that could not take a long one.
  const names = state.keys(keys.prefix);
  const deleted = await Promise.all(names.map((key) => state.delete(key)));
  return deleted.includes(true);
}

/** The last run of a thread, if it has not ended. */
export function openRun({ entries, runs }: StoredThread): OpenRun | undefined {
  const entry = lastPrompt(entries);
  const record = entry?.run === undefined ? undefined : runs.get(entry.run);
  return record && { id: entry!.run!, entry: entry!, record };
}

/** The entry that began the last run; undefined where there was none. */
export function lastPrompt(entries: readonly ThreadEntry[]): ThreadEntry | undefined {
  return entries.findLast(({ run, prompt }) => run !== undefined && prompt !== undefined);
}

function gathered(
  entries: readonly [string, JsonValue][],
  { log, data, runs }: ThreadKeys,
): StoredThread {
  const thread = {
    entries: [] as ThreadEntry[],
    data: new Map<string, JsonValue>(),
    runs: new Map<string, RunRecord>(),
  };
  for (const [key, value] of entries) {
    if (key === log) thread.entries = readLog(Array.isArray(value) ? value : []);
    else if (key.startsWith(data)) thread.data.set(dataKeyOf(key.slice(data.length)), value);
    else if (key.startsWith(runs)) {
      const record = readRecord(value);
      if (record !== undefined) thread.runs.set(key.slice(runs.length), record);
    }
  }
  return thread;
}
