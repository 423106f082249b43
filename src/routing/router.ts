/** Chooses a device for a task: by the owner's function if there is one, else by strategy. */

import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { safeName } from "../base/safe_text.ts";
import type { Candidate } from "./candidate.ts";
import { explain } from "./explain.ts";
import { pick, rank, type Ranking } from "./rank.ts";
import type { CustomRouter, RouterChoice, RouteRequest, RoutingStrategy } from "./strategy.ts";

/** Which device gets a task, and why. */
export class Route {
  readonly candidate: Candidate;
  /** One sentence without a full stop. */
  readonly reason: string;
  /** What it was chosen from. */
  readonly ranking: Ranking;

  constructor(candidate: Candidate, reason: string, ranking: Ranking) {
    this.candidate = candidate;
    this.reason = reason;
    this.ranking = ranking;
  }
}

/** What came of routing: a route, or why no device will do. */
export type RouteOutcome =
  | Route
  | { readonly candidate: undefined; readonly ranking: Ranking };

/** What a {@linkcode Router} is made of. */
export interface RouterOptions {
  readonly strategy: RoutingStrategy;
  readonly customRouter?: CustomRouter;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The names of all agents of the network, for the custom router. */
  readonly agents: () => string[];
}

/** How long a custom router may think; a device that waits for its router is of no use. */
const CUSTOM_ROUTER_TIMEOUT_MS = 1_000;

/** More than one node has links to: of those that never come back no turn is kept. */
const MOST_TURNS = 1_024;

/** Characters of what a custom router throws that are told. */
const MAX_FAILURE = 200;

/** See the top of the file. */
export class Router {
  readonly #options: RouterOptions;
  /** The number of the choice that a node was chosen with last. */
  readonly #lastChosen = new Map<string, number>();
  #choices = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /**
   * Chooses among `candidates`; at once, unless a custom router takes its time.
   *
   * @param strategy Instead of the router's own, for this task.
   */
  route(
    candidates: readonly Candidate[],
    request: RouteRequest,
    strategy: RoutingStrategy = this.#options.strategy,
  ): RouteOutcome | Promise<RouteOutcome> {
    const ranking = rank(candidates, request, strategy, this.#lastChosen);
    const byStrategy = (failure?: string): RouteOutcome => {
      const chosen = pick(ranking, this.#options.random);
      if (chosen === undefined) return { candidate: undefined, ranking };
      const { candidate } = chosen;
      this.#noteTurn(candidate.nodeId);
      const reason = explain(chosen, ranking);
      return new Route(
        candidate,
        failure === undefined ? reason : `the custom router failed (${failure}): ${reason}`,
        ranking,
      );
    };
    const { customRouter } = this.#options;
    if (customRouter === undefined) return byStrategy();
    const fitting = ranking.verdicts.filter(({ fits }) => fits).map(({ candidate }) => candidate);
    if (fitting.length === 0) return byStrategy();
    return this.#ask(customRouter, fitting, request).then((choice) =>
      typeof choice === "object"
        ? { candidate: choice, reason: "the custom router chose it", ranking }
        : byStrategy(choice)
    );
  }

  #noteTurn(nodeId: string): void {
    const turns = this.#lastChosen;
    turns.set(nodeId, ++this.#choices);
    if (turns.size <= MOST_TURNS) return;
    // Half of them at once: those whose turn is the longest ago.
    const inOrder = [...turns].sort(([, one], [, other]) => one - other);
    for (const [old] of inOrder.slice(0, MOST_TURNS / 2)) turns.delete(old);
  }

  /** The custom router's choice; undefined when it makes none, and why it has failed when it has. */
  async #ask(
    customRouter: CustomRouter,
    fitting: readonly Candidate[],
    { query, context, agent, workload }: RouteRequest,
  ): Promise<Candidate | string | undefined> {
    const { clock, logger, agents } = this.#options;
    let cancel = () => {};
    try {
      const timeout = new Promise<never>((_, reject) => {
        cancel = clock.after(CUSTOM_ROUTER_TIMEOUT_MS, () => {
          reject(new Error(`no choice within ${CUSTOM_ROUTER_TIMEOUT_MS} ms`));
        });
      });
      const asked = Promise.resolve(
        customRouter(agents(), { query, context, agent, workload }, fitting.map(asPlainData)),
      );
      const choice = await Promise.race([asked, timeout]);
      const candidate = fitting.find(({ nodeId }) => nodeId === idOf(choice));
      if (candidate !== undefined || choice === undefined || choice === null) return candidate;
      throw new Error("it returned neither one of the peers nor a node id of theirs");
    } catch (thrown) {
      const reason = safeName(describeError(thrown), MAX_FAILURE);
      logger.warn("The custom router failed; choosing by strategy: {reason}", { reason });
      return reason;
    } finally {
      cancel();
    }
  }
}

/** The figures as they are now: what is given to others must not change in their hands. */
function asPlainData(candidate: Candidate): Candidate {
  const { nodeId, isLocal, capabilities, labels, agents, tools, models } = candidate;
  const { pending, slots, modelCalls, currentLoad, roundTripMs, condition } = candidate;
  const { isDoubtful, isDraining } = candidate;
  return {
    nodeId,
    isLocal,
    capabilities,
    labels,
    agents,
    tools,
    models,
    pending,
    slots,
    modelCalls,
    currentLoad,
    roundTripMs,
    condition,
    isDoubtful,
    isDraining,
  };
}

function idOf(choice: RouterChoice): string | undefined {
  if (typeof choice === "string") return choice;
  return typeof choice === "object" && choice !== null ? choice.nodeId : undefined;
}
