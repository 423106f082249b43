/** Runs in threads: whether one begins or goes on, or why it cannot. */

import type { RunStateStore } from "../../agents/run_state_store.ts";
import type { RunProgress } from "../../agents/networks/run_journal.ts";
import type { JsonValue } from "../../base/bounded_json.ts";
import { bytesOf, MAX_VALUE_BYTES } from "../../base/bounded_value.ts";
import { NetworkError } from "../../base/errors.ts";
import { safeName } from "../../base/safe_text.ts";
import type { SharedState } from "../../state/shared_state.ts";
import type { Asked, RunOwner, RunRecord } from "./run_record.ts";
import { stateOf } from "./thread_history.ts";
import { ThreadJournal } from "./thread_journal.ts";
import { threadKeys } from "./thread_keys.ts";
import {
  lastPrompt,
  type OpenRun,
  openRun,
  readThread,
  type StoredThread,
} from "./thread_store.ts";

/** What {@linkcode ThreadRuns} stand on. */
export interface ThreadRunsOptions {
  readonly shared: () => SharedState;
  /** This start of this node. */
  readonly self: () => RunOwner;
  /** Whether another node is there, in the same start. */
  readonly isThere: (owner: RunOwner) => boolean;
  readonly isIdempotent: (agent: string) => boolean;
  readonly newId: () => string;
}

/** What is asked of a thread. */
export interface ThreadRequest {
  readonly thread: string;
  /** Undefined: the last run is to go on. */
  readonly prompt: string | undefined;
  /** Who is asked; undefined: whoever was asked before. */
  readonly asked: Asked | undefined;
  /** The text beside the prompt; "" if there is none. */
  readonly context: string;
  /** What the data is given when the run begins. */
  readonly data: Readonly<Record<string, JsonValue>>;
  /** Whether the last run may go on when it was asked the same. */
  readonly resume: boolean;
  /** Whether an agent that was under way and may have done its work is to be asked again. */
  readonly rerun: boolean;
}

/** A run that is to be made: the journal has to be told how it goes, and be given back. */
export interface ThreadRun {
  readonly asked: Asked;
  readonly prompt: string;
  readonly context: string;
  /** What the agents find. */
  readonly state: RunStateStore;
  readonly journal: ThreadJournal;
  /** It is over. */
  readonly close: () => void;
}

/** See the top of the file. */
export class ThreadRuns {
  readonly #options: ThreadRunsOptions;
  /** Runs that are under way in this process, by id. */
  readonly #running = new Map<string, Pick<ThreadRequest, "thread" | "prompt" | "asked">>();

  constructor(options: ThreadRunsOptions) {
    this.#options = options;
  }

  /**
   * The run that is asked for, under way from now on until it is closed. Nothing is noted yet.
   *
   * @throws {NetworkError} `NOT_FOUND` and `FAILED_PRECONDITION` when there is nothing to resume;
   * `FAILED_PRECONDITION` when that is under way; `UNKNOWN_OUTCOME` when an agent may have done its
   * work and must not be asked twice; `RESOURCE_EXHAUSTED` when the data is too much.
   */
  open(request: ThreadRequest): ThreadRun {
    const stored = readThread(this.#options.shared(), threadKeys(request.thread, "run in thread"));
    const open = this.#toResume(request, stored);
    return open === undefined ? this.#begun(request, stored) : this.#resumed(request, stored, open);
  }

  /** Whether a run is under way, here or elsewhere. */
  isUnderWay({ id, record }: OpenRun): boolean {
    if (record.failure !== undefined) return false;
    const { nodeId, bootId } = this.#options.self();
    if (record.nodeId !== nodeId) return this.#options.isThere(record);
    return record.bootId === bootId && this.#running.has(id);
  }

  /** The run that is to go on; undefined where one is to begin. */
  #toResume(request: ThreadRequest, stored: StoredThread): OpenRun | undefined {
    const { thread, prompt, asked, resume } = request;
    const open = openRun(stored);
    // One that has just begun is not in the shared state yet.
    if (resume && [...this.#running.values()].some((one) => isSameRequest(one, request))) {
      throw underWay(request, this.#options.self());
    }
    if (prompt === undefined) {
      if (open !== undefined) return open;
      const isThere = lastPrompt(stored.entries) !== undefined;
      throw new NetworkError(
        isThere ? "FAILED_PRECONDITION" : "NOT_FOUND",
        `Cannot resume thread "${thread}": ` +
          (isThere ? "its last run has ended. Give it a new prompt." : noRun()),
      );
    }
    if (!resume || open === undefined || asked === undefined) return undefined;
    const isSamePrompt = (open.entry.asked ?? open.entry.prompt) === prompt;
    return isSamePrompt && isSameAsked(open.record.asked, asked) ? open : undefined;
  }

  #begun(
    { thread, prompt, asked, context, data }: ThreadRequest,
    stored: StoredThread,
  ): ThreadRun {
    const state = stateOf(stored, thread, { reserve: bytesOf(prompt!) });
    for (const [key, value] of Object.entries(data)) state.data.set(key, value);
    const lacksContext = bytesOf(JSON.stringify(context)) > MAX_VALUE_BYTES;
    const record: RunRecord = {
      ...this.#options.self(),
      asked: asked!,
      steps: 0,
      ...(lacksContext && { lacksContext }),
    };
    const kept = context === "" || lacksContext ? undefined : context;
    return this.#run(thread, this.#options.newId(), {
      record,
      asked: asked!,
      given: prompt!,
      prompt: prompt!,
      context,
      kept,
      state,
      progress: undefined,
    });
  }

  #resumed(request: ThreadRequest, stored: StoredThread, open: OpenRun): ThreadRun {
    const { thread, rerun } = request;
    const { id, entry, record: { failure: _, ...record } } = open;
    if (this.isUnderWay(open)) throw underWay(request, record);
    const { calling } = record;
    if (calling !== undefined && !calling.idempotent && !rerun) throw mayBeDone(thread, record);
    const last = stored.entries.findLast(({ run, result }) => run === id && result !== undefined);
    const prompt = entry.prompt!;
    return this.#run(thread, id, {
      record: { ...record, ...this.#options.self() },
      asked: record.asked,
      given: entry.asked ?? prompt,
      prompt,
      context: this.#contextOf(request, record, id),
      kept: undefined,
      state: stateOf(stored, thread, { run: id }),
      progress: {
        prompt,
        steps: record.steps,
        last: last?.result,
        calling: calling && { agent: calling.agent, prompt: calling.prompt },
      },
    });
  }

  #contextOf({ thread, context }: ThreadRequest, record: RunRecord, run: string): string {
    if (context !== "") return context;
    if (record.lacksContext) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot resume thread "${thread}": the text beside the prompt was too long to be kept. ` +
          "Give it again as the context.",
      );
    }
    const kept = this.#options.shared().get(
      `${threadKeys(thread, "resume thread").contexts}${run}`,
    );
    return typeof kept === "string" ? kept : "";
  }

  #run(
    thread: string,
    run: string,
    { record, asked, given, prompt, context, kept, state, progress }: {
      readonly record: RunRecord;
      readonly asked: Asked;
      /** The prompt as it was before hooks. */
      readonly given: string;
      readonly prompt: string;
      readonly context: string;
      readonly kept: string | undefined;
      readonly state: RunStateStore;
      readonly progress: RunProgress | undefined;
    },
  ): ThreadRun {
    const { shared, isIdempotent, newId } = this.#options;
    this.#running.set(run, { thread, prompt: given, asked });
    const journal = new ThreadJournal({
      thread,
      keys: threadKeys(thread, "run in thread"),
      run,
      record,
      asked: given,
      context: kept,
      state,
      shared,
      progress,
      isIdempotent,
      newId,
    });
    const close = () => void this.#running.delete(run);
    return { asked, prompt, context, state, journal, close };
  }
}

function isSameRequest(
  one: Pick<ThreadRequest, "thread" | "prompt" | "asked">,
  { thread, prompt, asked }: ThreadRequest,
): boolean {
  return asked !== undefined && one.thread === thread && one.prompt === prompt &&
    isSameAsked(one.asked!, asked);
}

function isSameAsked(one: Asked, other: Asked): boolean {
  if (one.kind === "router" || other.kind === "router") return one.kind === other.kind;
  // Where the network itself is not at hand it is an agent; the record says as what it was begun.
  return one.name === other.name;
}

function noRun(): string {
  return "there is no run in it, as far as this device knows. See: hanzo-network threads";
}

function underWay({ thread, prompt }: ThreadRequest, { nodeId }: RunOwner): NetworkError {
  const what = prompt === undefined
    ? `Cannot resume thread "${thread}": its last run`
    : `Cannot run in thread "${thread}": its last run, which was asked the same,`;
  return new NetworkError(
    "FAILED_PRECONDITION",
    `${what} is under way on node "${nodeId}". Wait for its end, or begin another one beside it ` +
      "with resume: false (--anew).",
  );
}

function mayBeDone(thread: string, { calling, nodeId }: RunRecord): NetworkError {
  const agent = safeName(calling!.agent);
  return new NetworkError(
    "UNKNOWN_OUTCOME",
    `Cannot resume thread "${thread}": agent "${agent}" was under way for node "${nodeId}" when ` +
      "that broke off, is not idempotent, and may have done its work. Look whether it has, and ask " +
      "it again with rerun: true (--rerun), or give the thread another prompt.",
  );
}
