/** Filter, score, pick: which device gets a task, decided by pure functions that can say why. */

import type { Requirements } from "../agents/requirements.ts";
import type { Random } from "../base/random.ts";
import { type Candidate, capacityOf } from "./candidate.ts";
import { type RouteRequest, RoutingStrategy } from "./strategy.ts";

/**
 * What routing thinks of one device. Of those that fit, the one of the lowest tier and in it of the
 * lowest cost gets the task.
 */
export type Verdict =
  | { readonly candidate: Candidate; readonly fits: false; readonly reason: string }
  | {
    readonly candidate: Candidate;
    readonly fits: true;
    readonly tier: number;
    readonly cost: number;
  };

/** A {@linkcode Verdict} on a device that can do the task. */
export type FittingVerdict = Verdict & { fits: true };

/** From here on a device answers light work without a wait that a person would notice. */
export const LIGHT_WORK_TFLOPS = 1;

/** What routing thinks of each device, in the order given. */
export function rank(
  candidates: readonly Candidate[],
  request: RouteRequest,
  strategy: RoutingStrategy,
): Verdict[] {
  return candidates.map((candidate) => {
    const reason = shortcoming(candidate, request);
    if (reason !== undefined) return { candidate, fits: false, reason };
    const [tier, cost] = score(candidate, request, strategy);
    return { candidate, fits: true, tier, cost };
  });
}

/** The best of those that fit; equals are chosen with equal chance. */
export function pick(verdicts: readonly Verdict[], random: Random): FittingVerdict | undefined {
  let best: FittingVerdict | undefined;
  let equals = 0;
  for (const verdict of verdicts) {
    if (!verdict.fits) continue;
    const order = best === undefined ? -1 : verdict.tier - best.tier || verdict.cost - best.cost;
    if (order < 0) {
      best = verdict;
      equals = 1;
    } else if (order === 0 && random.next() * ++equals < 1) {
      // The n-th of n equals replaces the one before with chance 1/n: each ends up with the same.
      best = verdict;
    }
  }
  return best;
}

/** Why the device cannot do it, or undefined when it can. */
function shortcoming(candidate: Candidate, request: RouteRequest): string | undefined {
  if (!candidate.agents.has(request.agent)) return "does not have the agent";
  if (request.tried.has(candidate.nodeId)) return "has failed at it";
  return unmet(candidate, request.requirements);
}

function unmet(candidate: Candidate, needs: Readonly<Requirements>): string | undefined {
  const { capabilities: has } = candidate;
  // Unified memory is main memory that the GPU can use.
  const vram = has.unifiedMemory ? has.memory : has.vram;
  const precisions = needs.flops;
  return tooLittle("memory", needs.memory, has.memory, "MB") ??
    tooLittle("video memory", needs.vram, vram, "MB") ??
    (precisions &&
      (tooLittle("FP32", precisions.fp32, has.flops.fp32, "TFLOPS") ??
        tooLittle("FP16", precisions.fp16, has.flops.fp16, "TFLOPS") ??
        tooLittle("INT8", precisions.int8, has.flops.int8, "TOPS"))) ??
    (needs.gpu === true && has.gpus.length === 0 ? "has no GPU" : undefined) ??
    (needs.chip !== undefined && !chipMatches(candidate, needs.chip)
      ? `its chip is not ${needs.chip}`
      : undefined);
}

function tooLittle(
  what: string,
  needed: number | undefined,
  has: number | null,
  unit: string,
): string | undefined {
  if (needed === undefined || (has !== null && has >= needed)) return undefined;
  return has === null
    ? `its ${what} is unknown, ${needed} ${unit} are needed`
    : `has ${has} ${unit} of ${what}, ${needed} are needed`;
}

function chipMatches({ capabilities: { chip, gpus } }: Candidate, wanted: string): boolean {
  const needle = wanted.toLowerCase();
  return [chip ?? "", ...gpus.map(({ name }) => name)]
    .some((name) => name.toLowerCase().includes(needle));
}

/** Tier and cost; the lower the better. */
function score(
  candidate: Candidate,
  { workload }: RouteRequest,
  strategy: RoutingStrategy,
): [tier: number, cost: number] {
  const { currentLoad } = candidate;
  if (strategy === RoutingStrategy.LeastLoaded) return [0, currentLoad];
  const { tflops } = capacityOf(candidate);
  // In proportion to when it would be done: what is before it, and itself, by the speed.
  const finishesAfter = (1 + currentLoad) / tflops;
  const isFree = currentLoad < 1;
  switch (workload) {
    case "heavy":
      return [0, finishesAfter];
    case "light":
      if (!isFree) return [2, finishesAfter];
      // Within a size the emptier one: the share of a slot breaks the tie between equal devices.
      return tflops >= LIGHT_WORK_TFLOPS ? [0, tflops * (1 + currentLoad / 4)] : [1, finishesAfter];
    case "background":
      return isFree ? [0, tflops * (1 + currentLoad / 4)] : [1, finishesAfter];
  }
}

/** Why `chosen` got the task, in one sentence without a full stop. */
export function explain(
  chosen: FittingVerdict,
  verdicts: readonly Verdict[],
  request: RouteRequest,
  strategy: RoutingStrategy,
): string {
  const { candidate, tier } = chosen;
  const fitting = verdicts.filter(({ fits }) => fits).length;
  if (fitting === 1) {
    return verdicts.length === 1
      ? "the only device there is"
      : `the only one of ${verdicts.length} devices that can do it`;
  }
  const busy =
    `${candidate.pending} task${candidate.pending === 1 ? "" : "s"} on ${candidate.slots} ` +
    `slot${candidate.slots === 1 ? "" : "s"}`;
  if (strategy === RoutingStrategy.LeastLoaded) {
    return `the least loaded of ${fitting} devices (${busy})`;
  }
  const { tflops, estimated } = capacityOf(candidate);
  const speed = `${estimated ? "about " : ""}${Number(tflops.toPrecision(4))} TFLOPS, ${busy}`;
  switch (request.workload) {
    case "heavy":
      return `heavy work finishes first there (${speed})`;
    case "light":
      if (tier === 0) return `the smallest device that does light work well (${speed})`;
      if (tier === 1) {
        return `no free device has ${LIGHT_WORK_TFLOPS} TFLOPS for light work; ` +
          `it finishes first there (${speed})`;
      }
      return `every device is busy; light work finishes first there (${speed})`;
    case "background":
      return tier === 0
        ? `the smallest free device, which is enough for background work (${speed})`
        : `every device is busy; background work finishes first there (${speed})`;
  }
}
