/**
 * How far a network of agents has come that a run in a thread asks as one agent, on another device
 * than the run's own: so that whoever is asked again goes on after the last of its agents that has
 * answered. Whether it may be asked again at all is decided where the run is.
 */

import { z } from "zod";
import type { RunJournal, RunProgress } from "../../agents/networks/run_journal.ts";
import type { AgentResult } from "../../agents/run_state.ts";
import type { RunChanges, RunStateStore, ThreadRef } from "../../agents/run_state_store.ts";
import { MAX_STATE_BYTES } from "../../agents/run_state_store.ts";
import { type JsonValue, parseBoundedJson } from "../../base/bounded_json.ts";
import type { SharedState } from "../../state/shared_state.ts";
import { agentResultSchema, runChangesSchema } from "../../tasks/task_state.ts";
import { threadKeys } from "./thread_keys.ts";

/** What is kept of it. */
interface Inside {
  readonly network: string;
  /** What it was asked, and what its hooks have made of that. */
  readonly asked: string;
  readonly prompt: string;
  /** What its agents have changed of the state, one after the other. */
  readonly changes: readonly RunChanges[];
  readonly results: readonly AgentResult[];
}

const insideSchema: z.ZodType<Inside> = z.strictObject({
  network: z.string(),
  asked: z.string(),
  prompt: z.string(),
  changes: z.array(runChangesSchema),
  results: z.array(agentResultSchema),
});

const encoder = new TextEncoder();

/** What an {@linkcode InsideJournal} is made of. */
export interface InsideJournalOptions {
  readonly shared: () => SharedState;
  /** The run that asks. */
  readonly thread: ThreadRef;
  /** Which network is asked, and what. */
  readonly network: string;
  readonly asked: string;
  /** The state of its agents: what was kept is done to it again. */
  readonly state: RunStateStore;
}

/** See the top of the file. */
export class InsideJournal implements RunJournal {
  readonly progress: RunProgress | undefined;
  readonly #options: InsideJournalOptions;
  readonly #key: string;
  readonly #runKey: string;
  #inside: Inside;

  constructor(options: InsideJournalOptions) {
    this.#options = options;
    const { shared, thread, network, asked, state } = options;
    // What is changed counts from here on.
    state.takeChanges();
    const { inside, runs } = threadKeys(thread.name, "run in thread");
    this.#key = `${inside}${thread.run}`;
    this.#runKey = `${runs}${thread.run}`;
    this.#inside = { network, asked, prompt: asked, changes: [], results: [] };
    const kept = readInside(shared().get(this.#key));
    if (kept?.network !== network || kept.asked !== asked) return;
    this.#inside = kept;
    for (const changes of kept.changes) state.apply(changes);
    for (const result of kept.results) state.addResult(result);
    state.takeChanges();
    const { prompt, results } = kept;
    this.progress = { prompt, steps: results.length, last: results.at(-1), calling: undefined };
  }

  // deno-lint-ignore require-await
  async begun(prompt: string): Promise<void> {
    this.#inside = { ...this.#inside, prompt };
  }

  async calling(): Promise<void> {}

  async failed(): Promise<void> {}

  async answered(result: AgentResult): Promise<void> {
    const { changes, results } = this.#inside;
    const change = this.#options.state.takeChanges() ?? {};
    this.#inside = {
      ...this.#inside,
      changes: [...changes, change],
      results: [...results, result],
    };
    const text = JSON.stringify(this.#inside);
    const steps = this.#inside.results.length;
    try {
      await this.#options.shared().transact((tx) => {
        // Who was cut off may be late: the run may have ended, or be further elsewhere.
        if (!tx.has(this.#runKey)) return;
        const kept = readInside(tx.get(this.#key));
        if (kept === undefined || kept.results.length < steps) tx.set(this.#key, text);
      });
    } catch {
      // What cannot be kept is done again when the device is lost, as it is where there is no thread.
    }
  }

  async ended(): Promise<void> {}
}

function readInside(text: JsonValue | undefined): Inside | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const bounds = { maxBytes: 2 * MAX_STATE_BYTES, maxDepth: 64 };
    return insideSchema.safeParse(parseBoundedJson(encoder.encode(text), bounds)).data;
  } catch {
    return undefined;
  }
}
