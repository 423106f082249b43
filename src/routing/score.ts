/** What each strategy thinks of a device that can do a task: a tier and in it a cost. */

import { type Candidate, tflopsOf } from "./candidate.ts";
import { type Expectation, PATIENCE_MS } from "./expectation.ts";
import { type RouteRequest, RoutingStrategy } from "./strategy.ts";

/** The lower the better: first the tier, then the cost. */
export interface Score {
  readonly tier: number;
  readonly cost: number;
}

/** What a score is made of. */
export interface Scored {
  readonly candidate: Candidate;
  readonly expected: Expectation;
  readonly request: RouteRequest;
  /** When it was chosen last, as a number that grows with each choice; 0 when never. */
  readonly lastChosen: number;
}

/** Below this a device should keep what is in its battery for its owner. */
const LOW_BATTERY_PERCENT = 20;
/** What an owner would rather wait than drain a battery. */
const ON_BATTERY = 1.5;
/** Above every tier of a strategy: whoever failed lately comes after all others. */
export const DOUBTFUL_TIER = 10;
/** Above these: where the task's model is somebody else's, who would read what is said to it. */
export const LAST_RESORT_TIER = 20;

/** What `strategy` thinks of a device. */
export function score(strategy: RoutingStrategy, scored: Scored): Score {
  const { tier, cost } = SCORES[strategy](scored);
  const { candidate, request: { requirements: { model } } } = scored;
  const isLast = model !== undefined && candidate.models.get(model)?.lastResort === true;
  const above = (isLast ? LAST_RESORT_TIER : 0) + (candidate.isDoubtful ? DOUBTFUL_TIER : 0);
  return { tier: tier + above, cost };
}

/**
 * Costs that differ by less are the same: figures are never exact, and of several nodes that choose
 * at the same moment not all must choose the same device.
 */
export function slackOf(strategy: RoutingStrategy): number {
  return strategy === RoutingStrategy.RoundRobin ? 0 : 0.05;
}

const SCORES: Record<RoutingStrategy, (scored: Scored) => Score> = {
  [RoutingStrategy.CapabilityBased]: byCapability,
  [RoutingStrategy.LeastLoaded]: ({ candidate }) => ({ tier: 0, cost: candidate.currentLoad }),
  [RoutingStrategy.LatencyAware]: ({ candidate: { roundTripMs }, expected: { waitMs } }) => ({
    tier: 0,
    cost: roundTripMs + waitMs,
  }),
  [RoutingStrategy.RoundRobin]: ({ lastChosen }) => ({ tier: 0, cost: lastChosen }),
  [RoutingStrategy.Random]: () => ({ tier: 0, cost: 0 }),
  [RoutingStrategy.LocalFirst]: (scored) => {
    const { candidate: { isLocal, currentLoad } } = scored;
    if (isLocal && currentLoad < 1) return { tier: 0, cost: 0 };
    const { tier, cost } = byCapability(scored);
    return { tier: tier + 1, cost };
  },
};

/** Tiers of {@linkcode byCapability} on a free device, and of one where the task would wait. */
export const Tier = { Near: 0, Well: 1, Poorly: 2, Waits: 3, Spared: 4 } as const;

function byCapability({ candidate, expected, request }: Scored): Score {
  const { currentLoad, condition } = candidate;
  const { workload, near } = request;
  const isFree = currentLoad < 1;
  const { finishMs, serviceMs } = expected;
  const spares = condition.onBattery && workload !== "light";
  const cost = spares ? finishMs * ON_BATTERY : finishMs;
  if (condition.onBattery && (condition.batteryPercent ?? 100) < LOW_BATTERY_PERCENT) {
    return { tier: Tier.Spared, cost };
  }
  if (isFree && near.has(candidate.nodeId)) return { tier: Tier.Near, cost };
  if (workload === "heavy") return { tier: Tier.Well, cost };
  if (!isFree) return { tier: Tier.Waits, cost };
  if (workload === "light" && serviceMs > PATIENCE_MS) return { tier: Tier.Poorly, cost };
  if (workload === "background" && condition.onBattery) return { tier: Tier.Poorly, cost };
  return { tier: Tier.Well, cost: size(candidate) };
}

/** Within a size the emptier one: the share of a slot breaks the tie between equal devices. */
function size({ capabilities, currentLoad }: Candidate): number {
  return tflopsOf(capabilities) * (1 + currentLoad / 4);
}
