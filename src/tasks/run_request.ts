/** What a dispatcher is asked to get run. */

import type { AgentDescription } from "../agents/agent.ts";
import type { Requirements, Workload } from "../agents/requirements.ts";
import type { RunStateStore } from "../agents/run_state_store.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { ServiceTimes } from "../routing/expectation.ts";
import type { RoutingStrategy } from "../routing/strategy.ts";
import type { Circuits } from "./circuits.ts";
import type { Priority } from "./waiting_line.ts";

/** How a task sees the devices, where it sees them otherwise: a call of a model waits for an engine. */
export interface DeviceView {
  /** The model that is called: what people are told instead of the agent's name. */
  readonly model: string;
  /** What it sees of them. */
  candidates(devices: readonly Candidate[]): readonly Candidate[];
  /** What was measured of tasks like it; whoever makes the view notes that, too. */
  readonly times: ServiceTimes;
  /** Which devices have failed at tasks like it. */
  readonly circuits: Circuits;
}

/** What is to be run. */
export interface RunRequest {
  readonly agent: AgentDescription;
  readonly prompt: string;
  readonly context: string;
  /** Only this node; by default the one that routing chooses. */
  readonly nodeId?: string;
  /** Instead of the network's own strategy. */
  readonly strategy?: RoutingStrategy;
  /** Instead of the agent's own. */
  readonly workload?: Workload;
  /** Beside the agent's own. */
  readonly requirements?: Requirements;
  /** Nodes that hold what the task works on. */
  readonly near?: readonly string[];
  /** Its place among those that wait; by default low for background work. */
  readonly priority?: Priority;
  /** Whether the event of the choice is to say what was thought of each device. */
  readonly explain?: boolean;
  /** How long it may take in all, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * When a second device is asked for the same, in milliseconds, as long as the first has said
   * nothing: the first answer counts. Only for agents that are idempotent.
   */
  readonly hedgeAfterMs?: number;
  readonly signal?: AbortSignal;
  /** How many agents have asked each other until it came to this one; 0 where none has. */
  readonly hops?: number;
  /** The span that it belongs to, where traces are recorded. */
  readonly traceparent?: string;
  /** Only for calls of models. */
  readonly view?: DeviceView;
  /** What the agents of its run share: the one that answers changes it. */
  readonly state?: RunStateStore;
}
