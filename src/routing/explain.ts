/** Why a device got a task, and what was thought of each of the others: figures in words. */

import type { Consideration } from "../agents/run_event.ts";
import { type Candidate, capacityOf } from "./candidate.ts";
import type { Expectation } from "./expectation.ts";
import type { FittingVerdict, Ranking } from "./rank.ts";
import { DOUBTFUL_TIER, LAST_RESORT_TIER, Tier } from "./score.ts";
import { RoutingStrategy } from "./strategy.ts";

/** Why `chosen` got the task, in one sentence without a full stop. */
export function explain(
  { candidate, tier, expected }: FittingVerdict,
  { verdicts, model, workload, strategy }: Ranking,
): string {
  if (tier >= LAST_RESORT_TIER) {
    return "the last resort: no other device that can be asked has the model";
  }
  const fitting = verdicts.reduce((count, { fits }) => fits ? count + 1 : count, 0);
  if (fitting === 1) {
    return verdicts.length === 1
      ? "the only device there is"
      : `the only one of ${verdicts.length} devices that can do it`;
  }
  const figures = `(${figuresOf(candidate, tier, expected, model)})`;
  const load = model === undefined ? tasksOn(expected) : callsOn(expected);
  if (tier >= DOUBTFUL_TIER) {
    return `all that can do it have failed lately; the best of them ${figures}`;
  }
  switch (strategy) {
    case RoutingStrategy.LeastLoaded:
      return `the least loaded of ${fitting} devices (${load})`;
    case RoutingStrategy.LatencyAware:
      return `can begin first of ${fitting} devices ${figures}`;
    case RoutingStrategy.RoundRobin:
      return `its turn, of ${fitting} devices`;
    case RoutingStrategy.Random:
      return `drawn by lot from ${fitting} devices`;
    case RoutingStrategy.LocalFirst:
      if (tier === 0) return `this device has a free slot (${load})`;
      return `this device is not free or cannot do it; ${byCapability(tier - 1)} ${figures}`;
    case RoutingStrategy.CapabilityBased:
      return `${byCapability(tier)} ${figures}`;
  }

  function byCapability(tier: number): string {
    if (tier === Tier.Near) {
      return model === undefined
        ? "it holds what the task works on, and is free"
        : "the conversation was there, and it is free";
    }
    if (tier === Tier.Spared) return "every other device is low on battery, too";
    if (model !== undefined) return "the answer is done first there";
    if (workload === "heavy") return "heavy work finishes first there";
    if (tier === Tier.Waits) return `every device is busy; ${workload} work finishes first there`;
    if (workload === "background") {
      return tier === Tier.Well
        ? "the smallest free device, which is enough for background work"
        : "no free device runs on mains; background work finishes first there";
    }
    return tier === Tier.Well
      ? "the smallest device that does light work well"
      : "no free device does light work well; it finishes first there";
  }
}

/**
 * What was thought of every device, the best first, those that cannot do it at the end: by the
 * figures as they were then, whenever it is asked for.
 */
export function considerations({ verdicts, model }: Ranking): Consideration[] {
  const fitting = verdicts.filter((verdict) => verdict.fits)
    .sort((a, b) => a.tier - b.tier || a.cost - b.cost);
  return [
    ...fitting.map(({ candidate, tier, expected }, i): Consideration => ({
      nodeId: candidate.nodeId,
      place: i + 1,
      finishMs: expected.finishMs,
      reason: figuresOf(candidate, tier, expected, model),
    })),
    ...verdicts.filter((verdict) => !verdict.fits).map(({ candidate, reason }): Consideration => ({
      nodeId: candidate.nodeId,
      place: null,
      finishMs: null,
      reason,
    })),
  ];
}

function figuresOf(
  candidate: Candidate,
  tier: number,
  expected: Expectation,
  model: string | undefined,
): string {
  const { tflops, estimated } = capacityOf(candidate);
  const { condition } = candidate;
  const { batteryPercent } = condition;
  return [
    `${estimated ? "about " : ""}${Number(tflops.toPrecision(4))} TFLOPS`,
    ...model === undefined
      ? [tasksOn(expected)]
      : [candidate.models.get(model)?.loaded ? "loaded" : "not loaded", callsOn(expected)],
    // A guess is only there to compare with other guesses.
    ...expected.basis === "guessed" ? [] : [`done in about ${duration(expected.finishMs)}`],
    ...condition.throttled ? ["throttled"] : [],
    ...condition.onBattery
      ? [batteryPercent === null ? "on battery" : `on battery, ${batteryPercent} %`]
      : [],
    ...tier >= LAST_RESORT_TIER ? ["last resort"] : [],
    ...candidate.isDoubtful ? ["failed lately"] : [],
  ].join(", ");
}

function tasksOn({ pending, slots }: Expectation): string {
  return `${pending} task${pending === 1 ? "" : "s"} on ${slots} slot${slots === 1 ? "" : "s"}`;
}

/** Calls of models wait for the engine. */
function callsOn({ pending, slots }: Expectation): string {
  const waits = pending < slots ? "" : `, ${slots} at a time: it waits`;
  return `${pending} call${pending === 1 ? "" : "s"} under way${waits}`;
}

function duration(ms: number): string {
  return ms < 1_000
    ? `${Number(ms.toPrecision(2))} ms`
    : `${Number((ms / 1_000).toPrecision(2))} s`;
}
