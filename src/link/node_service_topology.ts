/**
 * The topology that existing peers collect from each other: what this node knows by itself, and what
 * those behind it report.
 */

import { type Clock, doneWithin } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Address } from "./frame_stream.ts";
import {
  MAX_CONNECTIONS,
  MAX_NODES,
  type NodeCapabilities,
  type NodeConnection,
  type NodeTopology,
  type TopologyQuery,
} from "./node_service_codec.ts";

/** What a node knows by itself. */
export interface LocalTopology {
  readonly nodeId: string;
  readonly capabilities: NodeCapabilities;
  readonly neighbours: readonly Neighbour[];
}

/** A node to which this one has a connection. */
export interface Neighbour {
  readonly nodeId: string;
  readonly capabilities: NodeCapabilities | null;
  /** For people: over which interface. */
  readonly description: string | null;
  /** Where it can be asked for what it knows, if it can. */
  readonly askAt?: Address;
}

/** What {@linkcode TopologyCollector} is made of. */
export interface TopologyCollectorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What this node knows by itself, now. */
  readonly topology: () => LocalTopology;
  /** Asks an existing peer for what it knows. */
  readonly collect: (
    address: Address,
    query: TopologyQuery,
    signal: AbortSignal,
  ) => Promise<NodeTopology>;
}

/** Existing peers ask that deep. */
const MAX_DEPTH = 4;
/** Questions that are under way at a time; beyond them a caller gets what is known without. */
const MAX_ASKING = 64;

/** Answers `CollectTopology`. */
export class TopologyCollector {
  readonly #options: TopologyCollectorOptions;
  #asking = 0;

  constructor(options: TopologyCollectorOptions) {
    this.#options = options;
  }

  /**
   * What this node knows, with what its neighbours report unless they were visited before. Who does
   * not answer within `timeoutMs` is left out.
   */
  async collect(
    { visited, maxDepth }: TopologyQuery,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<NodeTopology> {
    const { clock, topology } = this.#options;
    const local = topology();
    const asked = maxDepth > 0
      ? local.neighbours
        .filter(({ nodeId, askAt }) => askAt !== undefined && !visited.includes(nodeId))
        .slice(0, MAX_ASKING - this.#asking)
      : [];
    if (asked.length === 0) return mergeTopologies(local, []);
    const ids = [local.nodeId, ...local.neighbours.map(({ nodeId }) => nodeId)];
    const query = {
      visited: [...new Set([...visited, ...ids])],
      maxDepth: Math.min(maxDepth, MAX_DEPTH) - 1,
    };
    const late = new AbortController();
    const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
    // In the order of the neighbours, whoever answers first: the same twice is the same.
    const reports: NodeTopology[] = [];
    const asking = asked.map((neighbour, i) =>
      this.#ask(neighbour, query, either, (report) => reports[i] = report)
    );
    await doneWithin(clock, timeoutMs, Promise.all(asking));
    late.abort();
    return mergeTopologies(local, Object.values(reports));
  }

  async #ask(
    { nodeId, askAt }: Neighbour,
    query: TopologyQuery,
    signal: AbortSignal,
    take: (report: NodeTopology) => void,
  ): Promise<void> {
    this.#asking++;
    try {
      take(await this.#options.collect(askAt!, query, signal));
    } catch (thrown) {
      this.#options.logger.debug("No topology from {nodeId}: {reason}", {
        nodeId,
        reason: describeError(thrown),
      });
    } finally {
      this.#asking--;
    }
  }
}

const UNKNOWN: NodeCapabilities = {
  model: null,
  chip: null,
  memory: null,
  flops: { fp32: null, fp16: null, int8: null },
};

/**
 * One topology of what a node knows and what others report. Of a node, what is known first holds: a
 * report cannot change what this node says of itself and its neighbours. What is beyond the bounds
 * of a topology is left out.
 */
export function mergeTopologies(
  local: LocalTopology,
  reports: readonly NodeTopology[],
): NodeTopology {
  const nodes = new Map([[local.nodeId, local.capabilities]]);
  const connections = new Map<string, Map<string, NodeConnection>>();
  let count = 0;

  const addNode = (id: string, capabilities: NodeCapabilities) => {
    if (nodes.size < MAX_NODES && !nodes.has(id)) nodes.set(id, capabilities);
  };
  const addConnection = (from: string, connection: NodeConnection) => {
    if (count >= MAX_CONNECTIONS || (connections.size >= MAX_NODES && !connections.has(from))) {
      return;
    }
    const known = connections.get(from) ?? new Map<string, NodeConnection>();
    const key = JSON.stringify([connection.to, connection.description]);
    if (known.has(key)) return;
    connections.set(from, known.set(key, connection));
    count++;
  };

  for (const { nodeId, capabilities, description } of local.neighbours) {
    if (capabilities !== null) addNode(nodeId, capabilities);
    addConnection(local.nodeId, { to: nodeId, description });
  }
  for (const report of reports) {
    for (const [id, capabilities] of report.nodes) addNode(id, capabilities);
    for (const [from, list] of report.connections) {
      if (from === local.nodeId) continue;
      for (const connection of list) addConnection(from, connection);
    }
  }
  for (const { nodeId } of local.neighbours) addNode(nodeId, UNKNOWN);
  return {
    nodes,
    connections: new Map([...connections].map(([from, known]) => [from, [...known.values()]])),
  };
}
