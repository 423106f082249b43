/** The journal of a run in a thread: each step is durable in the shared state before it counts. */

import type { AgentResult } from "../../agents/run_state.ts";
import type { RunChanges, RunStateStore } from "../../agents/run_state_store.ts";
import type { JournalCall, RunJournal, RunProgress } from "../../agents/networks/run_journal.ts";
import { describeError, type ErrorCode, NetworkError } from "../../base/errors.ts";
import type { SharedState, StateTransaction } from "../../state/shared_state.ts";
import { readRecord, recordValue, type RunOwner, type RunRecord } from "./run_record.ts";
import { escapedDataKey, type ThreadKeys } from "./thread_keys.ts";
import { type ThreadEntry, toItems } from "./thread_log.ts";

/** What a {@linkcode ThreadJournal} is made of. */
export interface ThreadJournalOptions {
  /** The name of the thread, for errors. */
  readonly thread: string;
  readonly keys: ThreadKeys;
  /** The id of the run. */
  readonly run: string;
  /** What is noted when the run begins. */
  readonly record: RunRecord;
  /** What the run was asked. */
  readonly asked: string;
  /** The text beside the prompt, where it is to be kept. */
  readonly context: string | undefined;
  readonly state: RunStateStore;
  readonly shared: () => SharedState;
  readonly progress: RunProgress | undefined;
  readonly isIdempotent: (agent: string) => boolean;
  readonly newId: () => string;
}

/** An agent that ends so has not done its work, or says itself that it could not. */
const NOT_DONE: ReadonlySet<ErrorCode> = new Set([
  "AGENT_FAILED",
  "FAILED_PRECONDITION",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "RESOURCE_EXHAUSTED",
  "UNAVAILABLE",
]);
/** Of what a run failed with, so much is kept. */
const MAX_FAILURE_LENGTH = 1_000;

/** See the top of the file. */
export class ThreadJournal implements RunJournal {
  readonly progress: RunProgress | undefined;
  readonly #options: ThreadJournalOptions;
  readonly #runKey: string;
  readonly #contextKey: string;
  readonly #insideKey: string;

  constructor(options: ThreadJournalOptions) {
    this.#options = options;
    this.progress = options.progress;
    this.#runKey = `${options.keys.runs}${options.run}`;
    this.#contextKey = `${options.keys.contexts}${options.run}`;
    this.#insideKey = `${options.keys.inside}${options.run}`;
  }

  /** The id of the run. */
  get run(): string {
    return this.#options.run;
  }

  /** The run is this start's from now on; it was another one's. */
  async taken(): Promise<void> {
    const { record, shared } = this.#options;
    await shared().set(this.#runKey, recordValue(record));
  }

  async begun(prompt: string): Promise<void> {
    const { record, asked, context } = this.#options;
    await this.#write((tx, changes) => {
      // The last message is the prompt, which stands for itself.
      const messages = changes.messages!.slice(0, -1);
      this.#append(tx, { messages, prompt, ...(asked !== prompt && { asked }) });
      if (context !== undefined) tx.set(this.#contextKey, context);
      tx.set(this.#runKey, recordValue(record));
    });
  }

  async calling({ agent, prompt }: JournalCall): Promise<void> {
    const idempotent = this.#isIdempotent(agent);
    await this.#write((tx, { messages = [] }) => {
      if (messages.length > 0) this.#append(tx, { messages });
      this.#advance(tx, { calling: { agent, prompt, idempotent } });
    });
  }

  async failed(error: NetworkError): Promise<void> {
    if (!NOT_DONE.has(error.code)) return;
    // What an agent has failed with matters more than that this cannot be noted.
    await this.#options.shared().transact((tx) => this.#advance(tx, { calling: undefined }))
      .catch(() => {});
  }

  /** @param isLast Nobody is to be asked any more: whoever finds the answer finds the run ended. */
  async answered(result: AgentResult, isLast = false): Promise<void> {
    await this.#write((tx, changes) => {
      const { steps } = this.#own(tx);
      // The last message is the answer, which stands for itself.
      this.#append(tx, { messages: changes.messages!.slice(0, -1), result });
      if (isLast) this.#end(tx);
      else this.#advance(tx, { steps: steps + 1, calling: undefined });
    }, `Agent "${result.agent}" has answered, and its answer cannot be kept`);
  }

  async ended(): Promise<void> {
    await this.#write((tx, { messages = [] }) => {
      this.#own(tx);
      if (messages.length > 0) this.#append(tx, { messages });
      this.#end(tx);
    });
  }

  /** The run has failed: whoever wants goes on with it. */
  async released(error: unknown): Promise<void> {
    const failure = describeError(error).slice(0, MAX_FAILURE_LENGTH).toWellFormed();
    // Where this cannot be noted, as when the node has stopped, its end says the same.
    try {
      await this.#options.shared().transact((tx) => this.#advance(tx, { failure }));
    } catch {
      // See above.
    }
  }

  /** Writes what the run has changed since it was written last, and what `work` adds. */
  async #write(
    work: (tx: StateTransaction, changes: RunChanges) => void,
    action = "Cannot go on",
  ): Promise<void> {
    const { state, shared, keys, thread } = this.#options;
    const changes = state.takeChanges() ?? {};
    try {
      await shared().transact((tx) => {
        work(tx, changes);
        for (const key of changes.deleted ?? []) tx.delete(keys.data + escapedDataKey(key));
        for (const [key, value] of Object.entries(changes.data ?? {})) {
          tx.set(keys.data + escapedDataKey(key), value);
        }
      });
    } catch (thrown) {
      if (thrown instanceof NotOurs) throw thrown;
      const error = NetworkError.from(thrown);
      throw new NetworkError(
        error.code,
        `${action} in thread "${thread}": ${error.message}`,
        { cause: error },
      );
    }
  }

  /** An agent that nobody has any more cannot be asked at all, which is told then. */
  #isIdempotent(agent: string): boolean {
    try {
      return this.#options.isIdempotent(agent);
    } catch {
      return false;
    }
  }

  #append(tx: StateTransaction, entry: ThreadEntry): void {
    const { keys, run, newId } = this.#options;
    const { messages = [], ...rest } = entry;
    const kept: ThreadEntry = { run, ...(messages.length > 0 && { messages }), ...rest };
    tx.append(keys.log, ...toItems(kept, newId()));
  }

  #end(tx: StateTransaction): void {
    tx.delete(this.#runKey);
    tx.delete(this.#contextKey);
    tx.delete(this.#insideKey);
  }

  #advance(tx: StateTransaction, change: Partial<RunRecord>): void {
    tx.set(this.#runKey, recordValue({ ...this.#own(tx), failure: undefined, ...change }));
  }

  /** The record, as long as it is this run's. */
  #own(tx: StateTransaction): RunRecord {
    const record = readRecord(tx.get(this.#runKey));
    if (record !== undefined && isSame(record, this.#options.record)) return record;
    throw new NotOurs(this.#options.thread, record);
  }
}

/** Whether both are one start of one node. */
export function isSame(one: RunOwner, other: RunOwner): boolean {
  return one.nodeId === other.nodeId && one.bootId === other.bootId;
}

/** Somebody else goes on with the run, or has ended it. */
class NotOurs extends NetworkError {
  constructor(thread: string, record: RunRecord | undefined) {
    const why = record === undefined
      ? "it was ended elsewhere, or the thread was deleted"
      : `node "${record.nodeId}" has resumed it`;
    super(
      "FAILED_PRECONDITION",
      `The run in thread "${thread}" was stopped here: ${why}. See: hanzo-network threads`,
    );
  }
}
