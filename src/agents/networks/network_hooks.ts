/** Hooks: what a program is told while a network of agents runs, and where it may step in. */

import type { NetworkError } from "../../base/errors.ts";
import type { AgentAnswer } from "../agent.ts";
import type { StoppedBy } from "../run_event.ts";
import type { AgentResult, RunState } from "../run_state.ts";
import type { NextAgent } from "./agent_router.ts";

/** What every hook is told. */
export interface HookContext {
  /** The name of the network. */
  readonly network: string;
  /** What the agents share; a hook may change it. */
  readonly state: RunState;
}

/**
 * Called while a network of agents runs; the run waits for each. One that throws fails the run,
 * with an error that names it.
 */
export interface NetworkHooks {
  /** Before the first choice. A text that it returns takes the prompt's place. */
  onStart?: (
    context: HookContext & { readonly prompt: string },
  ) => string | void | Promise<string | void>;
  /**
   * An agent is about to be asked, as `step`, from 1. Another one that it returns is asked instead;
   * `null` ends the run.
   */
  onRoute?: (
    context: HookContext & { readonly step: number; readonly agent: string },
  ) => NextAgent | null | void | Promise<NextAgent | null | void>;
  /**
   * An agent has answered, and nobody has seen it yet. An answer that it returns takes that one's
   * place.
   */
  onResponse?: (
    context: HookContext & { readonly step: number; readonly result: AgentResult },
  ) => AgentAnswer | void | Promise<AgentAnswer | void>;
  /** After the last answer. An answer that it returns is what the run comes to. */
  onFinish?: (
    context: HookContext & { readonly result: AgentResult; readonly stoppedBy: StoppedBy },
  ) => AgentAnswer | void | Promise<AgentAnswer | void>;
  /** The run has failed. What it returns changes nothing; what it throws is not told. */
  onError?: (context: HookContext & { readonly error: NetworkError }) => void | Promise<void>;
}
