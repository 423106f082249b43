/** Filter, score, pick: which device gets a task, decided by pure functions. */

import type { Workload } from "../agents/requirements.ts";
import type { Random } from "../base/random.ts";
import type { Candidate } from "./candidate.ts";
import { type Expectation, expectation } from "./expectation.ts";
import { shortcoming } from "./filter.ts";
import { type Score, score, slackOf } from "./score.ts";
import type { RouteRequest, RoutingStrategy } from "./strategy.ts";

/**
 * What routing thinks of one device. Of those that fit, the one of the lowest tier and in it of the
 * lowest cost gets the task.
 */
export type Verdict = UnfitVerdict | FittingVerdict;

// Classes, where literals would do: what is made for every task must not be taken for what lasts
// (docs/decisions/0013-the-right-device.md, What a run costs).

/** A {@linkcode Verdict} on a device that cannot do the task. */
export class UnfitVerdict {
  readonly candidate: Candidate;
  readonly fits = false;
  /** What it lacks. */
  readonly reason: string;

  constructor(candidate: Candidate, reason: string) {
    this.candidate = candidate;
    this.reason = reason;
  }
}

/** A {@linkcode Verdict} on a device that can do the task. */
export class FittingVerdict {
  readonly candidate: Candidate;
  readonly fits = true;
  readonly tier: number;
  readonly cost: number;
  readonly expected: Expectation;

  constructor(candidate: Candidate, { tier, cost }: Score, expected: Expectation) {
    this.candidate = candidate;
    this.tier = tier;
    this.cost = cost;
    this.expected = expected;
  }
}

/** What a choice was made of. It is remembered, and holds no text of the caller's. */
export class Ranking {
  /** The name of the agent that was asked for. */
  readonly agent: string;
  /** Of a call of a model: which. */
  readonly model: string | undefined;
  readonly workload: Workload;
  readonly strategy: RoutingStrategy;
  /** In the order of the candidates. */
  readonly verdicts: readonly Verdict[];

  constructor(
    { agent, model, workload }: Pick<RouteRequest, "agent" | "model" | "workload">,
    strategy: RoutingStrategy,
    verdicts: readonly Verdict[],
  ) {
    this.agent = agent;
    this.model = model;
    this.workload = workload;
    this.strategy = strategy;
    this.verdicts = verdicts;
  }
}

/**
 * What routing thinks of each device, in the order given.
 *
 * @param lastChosen When a node was chosen last, as a number that grows with each choice.
 */
export function rank(
  candidates: readonly Candidate[],
  request: RouteRequest,
  strategy: RoutingStrategy,
  lastChosen: ReadonlyMap<string, number> = new Map(),
): Ranking {
  const { workload, requirements: { model }, query, context, times } = request;
  const task = { workload, model, length: query.length + context.length };
  const measured = times.of(request.agent);
  const meanMs = (nodeId: string) => times.mean(nodeId);
  const verdicts = candidates.map((candidate): Verdict => {
    const reason = shortcoming(candidate, request);
    if (reason !== undefined) return new UnfitVerdict(candidate, reason);
    const expected = expectation(candidate, task, measured, meanMs);
    const scored = score(strategy, {
      candidate,
      expected,
      request,
      lastChosen: lastChosen.get(candidate.nodeId) ?? 0,
    });
    return new FittingVerdict(candidate, scored, expected);
  });
  return new Ranking(request, strategy, verdicts);
}

/** The best of those that fit; those that are as good are chosen with equal chance. */
export function pick({ verdicts, strategy }: Ranking, random: Random): FittingVerdict | undefined {
  let tier = Infinity;
  let least = Infinity;
  for (const verdict of verdicts) {
    if (!verdict.fits || verdict.tier > tier) continue;
    if (verdict.tier < tier || verdict.cost < least) least = verdict.cost;
    tier = verdict.tier;
  }
  const most = least * (1 + slackOf(strategy));
  let chosen: FittingVerdict | undefined;
  let equals = 0;
  for (const verdict of verdicts) {
    if (!verdict.fits || verdict.tier !== tier || verdict.cost > most) continue;
    // The n-th of n equals replaces the one before with chance 1/n: each ends up with the same.
    if (random.next() * ++equals < 1) chosen = verdict;
  }
  return chosen;
}
