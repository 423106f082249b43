/** What this node can run: the built-in agents, its owner's, and what takes the place of these. */

import { type Agent, type AgentDescription, describeAgent } from "../agents/agent.ts";
import type { AgentLoop } from "../agents/networks/agent_loop.ts";
import { type AgentNetwork, agentsOf, loopsOf } from "../agents/networks/agent_network.ts";
import { NetworkError } from "../base/errors.ts";

/** What they are made of. */
export interface OwnAgentsNeeds {
  readonly builtin: readonly Agent[];
  /** Those that the node begins with. */
  readonly agents: readonly Agent[];
  /** How the networks among these go on, by name. */
  readonly loops: ReadonlyMap<string, AgentLoop>;
  /**
   * Tells the network what this node can run now.
   *
   * @throws {NetworkError} When that is more than peers take; nothing is told then.
   */
  readonly offer: (agents: AgentDescription[], action: string) => void;
  /** Is told which agents there are, at first and whenever they have been replaced. */
  readonly changed: (agents: Iterable<Agent>) => void;
}

const ACTION = "Cannot replace agents";

/** See the top of the file. */
export class OwnAgents {
  /** What this node can run, by name; programs put theirs here, too. */
  readonly all: Map<string, Agent>;
  readonly #builtin: readonly Agent[];
  readonly #tell: OwnAgentsNeeds["offer"];
  readonly #changed: OwnAgentsNeeds["changed"];
  #agents: readonly Agent[];
  #loops: ReadonlyMap<string, AgentLoop>;

  constructor({ builtin, agents, loops, offer, changed }: OwnAgentsNeeds) {
    this.#builtin = builtin;
    this.#tell = offer;
    this.#changed = changed;
    this.#agents = agents;
    this.#loops = loops;
    this.all = byName([...builtin, ...agents]);
    changed(this.all.values());
  }

  /** How a network of agents that this node has goes on; undefined for what is none. */
  loop(name: string): AgentLoop | undefined {
    return this.#loops.get(name);
  }

  /** Tells the network what this node can run now. */
  offer(action: string): void {
    this.#tell([...this.all.values()].map(describeAgent), action);
  }

  /**
   * Puts others in the place of the owner's. What runs goes on as it has begun.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when names collide, or peers would not take them:
   * nothing has changed then.
   */
  replace(members: readonly (Agent | AgentNetwork)[]): void {
    const agents = agentsOf(members);
    checkAgentNames(ACTION, agents);
    const before = new Map(this.all);
    const old = new Set([...this.#builtin, ...this.#agents]);
    const programs = [...before.values()].filter((agent) => !old.has(agent));
    const taken = programs.find(({ name }) => agents.some((agent) => agent.name === name));
    if (taken !== undefined) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `${ACTION}: a program serves an agent "${taken.name}" here already. Rename one.`,
      );
    }
    this.#fill([...this.#builtin, ...agents, ...programs]);
    try {
      this.offer(ACTION);
    } catch (thrown) {
      this.#fill([...before.values()]);
      throw thrown;
    }
    this.#agents = agents;
    this.#loops = loopsOf(members);
    this.#changed(this.all.values());
  }

  #fill(agents: readonly Agent[]): void {
    this.all.clear();
    for (const [name, agent] of byName(agents)) this.all.set(name, agent);
  }
}

/**
 * Throws when two agents are called the same.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT`.
 */
export function checkAgentNames(action: string, agents: readonly Agent[]): void {
  const names = agents.map((agent) => agent.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `${action}: two agents are called "${twice}". Rename one.`,
  );
}

/** Of one name the last. */
function byName(agents: readonly Agent[]): Map<string, Agent> {
  return new Map(agents.map((agent) => [agent.name, agent]));
}
