/** What of a thread the agents of a run are given. */

import { MAX_STATE_BYTES, RunStateStore } from "../../agents/run_state_store.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import { bytesOf } from "../../base/bounded_value.ts";
import { NetworkError } from "../../base/errors.ts";
import { messagesOf, type ThreadEntry } from "./thread_log.ts";

/** Of what was before the run: messages and results, as JSON. More than any model reads. */
export const MAX_HISTORY_BYTES = 2 * 2 ** 20;
/** Of the data, of which nothing is left out. What the run itself brings needs room, too. */
export const MAX_DATA_BYTES = MAX_STATE_BYTES / 2;

/** What there is of a thread. */
export interface ThreadContents {
  readonly entries: readonly ThreadEntry[];
  readonly data: ReadonlyMap<string, JsonValue>;
}

/**
 * The state that a run begins, or goes on, with: all data, all that it has said itself, and of what
 * was before the newest that fits.
 *
 * @param options `run` goes on; one that begins will bring `reserve` bytes.
 * @throws {NetworkError} `RESOURCE_EXHAUSTED` when the data, or what it has said itself, is too much.
 */
export function stateOf(
  { entries, data }: ThreadContents,
  name: string,
  { run, reserve = 0 }: { readonly run?: string; readonly reserve?: number },
): RunStateStore {
  const state = new RunStateStore();
  for (const [key, value] of data) state.data.set(key, value);
  if (state.bytes > MAX_DATA_BYTES) {
    throw new NetworkError(
      "RESOURCE_EXHAUSTED",
      `Cannot run in thread "${name}": its data takes ${state.bytes} bytes, at most ` +
        `${MAX_DATA_BYTES} may be. Delete what nobody needs any more: ` +
        `network.thread("${name}").data.delete(KEY)`,
    );
  }
  for (const entry of given(entries, run, reserve)) {
    for (const message of messagesOf(entry)) state.addMessage(message);
    if (entry.result !== undefined) state.addResult(entry.result);
  }
  // What is changed counts from here on.
  state.takeChanges();
  return state;
}

/** Those that the state takes, in their order. */
function given(
  entries: readonly ThreadEntry[],
  run: string | undefined,
  reserve: number,
): ThreadEntry[] {
  const isOwn = (entry: ThreadEntry) => run !== undefined && entry.run === run;
  const own = entries.filter(isOwn).reduce((sum, entry) => sum + sizeOf(entry), 0);
  let room = Math.min(MAX_HISTORY_BYTES, MAX_STATE_BYTES - MAX_DATA_BYTES - own - reserve);
  const taken: ThreadEntry[] = [];
  for (const entry of entries.toReversed()) {
    if (!isOwn(entry)) {
      const size = sizeOf(entry);
      // What is older than what does not fit would stand beside what it does not belong to.
      room = size > room ? -1 : room - size;
      if (room < 0) continue;
    }
    taken.push(entry);
  }
  return taken.reverse();
}

function sizeOf(entry: ThreadEntry): number {
  const messages = messagesOf(entry).reduce((sum, one) => sum + bytesOf(JSON.stringify(one)), 0);
  return messages + (entry.result === undefined ? 0 : bytesOf(JSON.stringify(entry.result)));
}
