/** How to choose among the devices that can do a task. */

import type { Requirements, Workload } from "../agents/requirements.ts";
import type { Candidate } from "./candidate.ts";
import type { ServiceTimes } from "./expectation.ts";

/** How to choose among the devices that can do a task. */
export const RoutingStrategy = {
  /**
   * Heavy work goes where it finishes first, light work to the smallest device that does it well,
   * background work to the smallest.
   */
  CapabilityBased: "capability-based",
  /** The device with the least running and waiting per slot. */
  LeastLoaded: "least-loaded",
  /** The device that can begin first: the nearest one that is free. */
  LatencyAware: "latency-aware",
  /** One after the other. */
  RoundRobin: "round-robin",
  /** Any, with equal chances. */
  Random: "random",
  /** This device, as long as it has a free slot; then as {@linkcode CapabilityBased}. */
  LocalFirst: "local-first",
} as const;

/** One of {@linkcode RoutingStrategy}'s values. */
export type RoutingStrategy = (typeof RoutingStrategy)[keyof typeof RoutingStrategy];

/** What a task asks for, as routing sees it. */
export interface RouteRequest {
  /** The agent's name. */
  readonly agent: string;
  readonly workload: Workload;
  readonly requirements: Readonly<Requirements>;
  /** Of a call of a model: which. */
  readonly model?: string;
  /** What was asked. */
  readonly query: string;
  /** The text beside the question; "" if there is none. */
  readonly context: string;
  /** Nodes that hold what the task works on: preferred as long as one of them is free. */
  readonly near: ReadonlySet<string>;
  /** The nodes that have failed at this very task. */
  readonly tried: ReadonlySet<string>;
  /** What was measured of tasks that have run. */
  readonly times: ServiceTimes;
}

/** What a {@linkcode CustomRouter} is told of the task. */
export interface RouterState {
  /** What was asked. */
  readonly query: string;
  /** The text beside the question; "" if there is none. */
  readonly context: string;
  /** The agent's name. */
  readonly agent: string;
  /** How its work weighs on a device. */
  readonly workload: Workload;
}

/**
 * Chooses a device itself; not asked about a run for which a node was named.
 *
 * @param agents The names of all agents of the network.
 * @param state The task.
 * @param peers The devices that can do it, this one included (`isLocal`).
 * @returns One of `peers`, or its node id; nothing: choose by capability. Whatever else it returns
 * or throws is reported in the log, and the choice is made by capability.
 */
export type CustomRouter = (
  agents: readonly string[],
  state: RouterState,
  peers: readonly Candidate[],
) => RouterChoice | Promise<RouterChoice>;

/** What a {@linkcode CustomRouter} may return. */
export type RouterChoice = Candidate | string | null | undefined | void;
