/** Where a run of agents notes how far it has come: the port by which it outlives its process. */

import type { NetworkError } from "../../base/errors.ts";
import type { AgentResult } from "../run_state.ts";

/** An agent that is about to be asked. */
export interface JournalCall {
  readonly agent: string;
  /** What it is asked instead of the run's prompt. */
  readonly prompt: string | undefined;
}

/** How far a run had come when it broke off. */
export interface RunProgress {
  /** What the run was asked, as its hooks have made it. */
  readonly prompt: string;
  /** How many agents have answered. */
  readonly steps: number;
  /** The answer of the last of them. */
  readonly last: AgentResult | undefined;
  /** Who was being asked, and is to be asked again. */
  readonly calling: JournalCall | undefined;
}

/** See the top of the file. What it throws fails the run. */
export interface RunJournal {
  /** Where the run is to go on; undefined where it begins. */
  readonly progress: RunProgress | undefined;
  /** The run begins, with this prompt. */
  begun(prompt: string): Promise<void>;
  /** An agent is about to be asked; it is when this has resolved. */
  calling(call: JournalCall): Promise<void>;
  /** It has not done it, and says so. */
  failed(error: NetworkError): Promise<void>;
  /** It has answered; the state has its answer. */
  answered(result: AgentResult): Promise<void>;
  /** Nobody is to be asked any more. */
  ended(): Promise<void>;
}
