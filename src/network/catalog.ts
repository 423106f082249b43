/** The agents of the whole network: which there are, and which of them a run means. */

import type { Agent, AgentDescription } from "../agents/agent.ts";
import { NetworkError } from "../base/errors.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { NetworkParts } from "./parts.ts";

/** An agent, with the nodes that have it. */
export interface CatalogEntry {
  /** What the network is told of it. */
  agent: AgentDescription;
  /** The labels of the nodes that have it. */
  nodes: string[];
}

/** What the agents are found in. */
export type CatalogSources = Pick<NetworkParts, "self" | "membership" | "builtinAgents">;

/** The agents of the whole network by name. */
export function catalog(sources: CatalogSources): CatalogEntry[] {
  const byName = new Map<string, CatalogEntry>();
  for (const { nodeId, agents } of descriptions(sources)) {
    for (const agent of agents) {
      const known = byName.get(agent.name);
      if (known === undefined) byName.set(agent.name, { agent, nodes: [nodeId] });
      else known.nodes.push(nodeId);
    }
  }
  return [...byName.values()].sort((a, b) => a.agent.name < b.agent.name ? -1 : 1);
}

/**
 * What the network knows of the agent that a run names; without a name, of the only one that is not
 * built in.
 *
 * @throws {NetworkError} `NOT_FOUND` when no node has it, `INVALID_ARGUMENT` when there is a choice.
 */
export function findAgent(
  sources: CatalogSources,
  named: Agent | string | undefined,
): AgentDescription {
  const name = typeof named === "object" ? named.name : named;
  if (name !== undefined) {
    for (const { agents } of descriptions(sources)) {
      const found = agents.find((agent) => agent.name === name);
      if (found !== undefined) return found;
    }
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot run agent "${name}": no node of the network has it. There are: ${names(sources)}.`,
    );
  }
  const own = catalog(sources).filter(({ agent }) => !sources.builtinAgents.has(agent.name));
  if (own.length === 1) return own[0].agent;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot choose an agent: name one of ${names(sources)}.`,
  );
}

function names(sources: CatalogSources): string {
  return catalog(sources).slice(0, 20).map(({ agent }) => agent.name).join(", ");
}

function* descriptions({ self, membership }: CatalogSources): Generator<NodeDescription> {
  yield self();
  for (const { state, description } of membership.peers()) {
    if (state === "alive" && description !== undefined) yield description;
  }
}
