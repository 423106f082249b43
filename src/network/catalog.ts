/** The agents of the whole network: which there are, and which of them a run means. */

import type { AgentDescription } from "../agents/agent.ts";
import type { ModelDescription } from "../engines/model.ts";
import { NetworkError } from "../base/errors.ts";
import { named } from "../base/named.ts";
import type { Membership } from "../membership/membership.ts";
import type { ModelSpeed } from "./models/model_times.ts";
import type { NodeDescription } from "../membership/node_description.ts";

/** An agent, with the nodes that have it. */
export interface CatalogEntry {
  /** What the network is told of it. */
  agent: AgentDescription;
  /** The labels of the nodes that have it. */
  nodes: string[];
}

/**
 * Finds the agent that a run means.
 *
 * @throws {NetworkError} `NOT_FOUND` when no node has it, `INVALID_ARGUMENT` when there is a choice.
 */
export type FindAgent = (
  named: { readonly name: string } | string | undefined,
) => AgentDescription;

/** What the agents are found in. */
export interface CatalogSources {
  readonly self: () => NodeDescription;
  readonly builtinAgents: ReadonlySet<string>;
  readonly membership: Pick<Membership, "version" | "peers">;
}

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

/** A model of the network, with the devices that have it. */
export interface NetworkModel {
  /** By this name it is asked for. */
  name: string;
  /** Each device's own, for they may differ; this device's first. */
  devices: ModelOnDevice[];
}

/** A model as a device has it. */
export interface ModelOnDevice extends ModelDescription {
  /** The label of the node. */
  nodeId: string;
  /** Until its first token, in milliseconds, of what this node has asked; null where it has not. */
  firstTokenMs: number | null;
  /** How fast it goes on then; null where this node has not asked it, or nobody has counted. */
  tokensPerSecond: number | null;
}

/** A model and the devices that have it, as these tell it. */
export interface OfferedModel {
  readonly name: string;
  readonly devices: readonly (ModelDescription & { readonly nodeId: string })[];
}

/** A function that returns the models of the whole network by name, made anew when any changes. */
export function modelCatalog(
  sources: Pick<CatalogSources, "self" | "membership">,
): () => readonly OfferedModel[] {
  let list: readonly OfferedModel[] = [];
  let madeFrom: { version: number; self: NodeDescription } | undefined;
  return () => {
    const { self, membership: { version } } = sources;
    const description = self();
    if (madeFrom?.version !== version || madeFrom.self !== description) {
      madeFrom = { version, self: description };
      const all = [...descriptions(sources)].flatMap(({ nodeId, models }) =>
        models.map((model) => ({ nodeId, ...model }))
      );
      list = [...Map.groupBy(all, ({ name }) => name)].map(([name, devices]) => ({ name, devices }))
        .sort((a, b) => a.name < b.name ? -1 : 1);
    }
    return list;
  };
}

/** The same with how fast each is, of what this node has asked. */
export function withSpeeds(
  models: readonly OfferedModel[],
  speed: (model: string, nodeId: string) => ModelSpeed | undefined,
): NetworkModel[] {
  return models.map(({ name, devices }) => ({
    name,
    devices: devices.map((device): ModelOnDevice => {
      const { firstTokenMs = null, tokensPerSecond = null } = speed(name, device.nodeId) ?? {};
      return { ...device, firstTokenMs, tokensPerSecond };
    }),
  }));
}

/**
 * A function that finds what the network knows of the agent that a run names; without a name, of the
 * only one that is not built in. It keeps an index, so that a task need not look through all nodes.
 */
export function agentFinder(sources: CatalogSources): FindAgent {
  let index = new Map<string, AgentDescription>();
  let madeFrom: { version: number; self: NodeDescription } | undefined;
  return (wanted) => {
    const { self, membership: { version } } = sources;
    const description = self();
    if (madeFrom?.version !== version || madeFrom.self !== description) {
      madeFrom = { version, self: description };
      index = new Map();
      for (const { agents } of descriptions(sources)) {
        for (const agent of agents) if (!index.has(agent.name)) index.set(agent.name, agent);
      }
    }
    const name = typeof wanted === "object" ? wanted.name : wanted;
    if (name === undefined) return theOnlyOne(sources);
    const found = index.get(name);
    if (found !== undefined) return found;
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot run agent "${name}": no node of the network has it. There are: ${names(sources)}.`,
    );
  };
}

function theOnlyOne(sources: CatalogSources): AgentDescription {
  const own = catalog(sources).filter(({ agent }) => !sources.builtinAgents.has(agent.name));
  if (own.length === 1) return own[0].agent;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot choose an agent: name one of ${names(sources)}.`,
  );
}

function names(sources: CatalogSources): string {
  return named(catalog(sources).map(({ agent }) => agent.name));
}

function* descriptions(
  { self, membership }: Pick<CatalogSources, "self" | "membership">,
): Generator<NodeDescription> {
  yield self();
  for (const { state, description } of membership.peers()) {
    if (state === "alive" && description !== undefined) yield description;
  }
}
