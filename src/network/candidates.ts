/** The devices that may be given tasks now, kept ready so that a task need not build the list. */

import type { DeviceCondition } from "../device/condition.ts";
import { ENGINE_WIDTHS } from "../engines/model.ts";
import { type Load, NO_LOAD } from "../link/frame.ts";
import type { PeerLink } from "../link/peer_link.ts";
import type { Membership } from "../membership/membership.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { Candidate, CandidateModel } from "../routing/candidate.ts";

/** What the list is made of. */
export interface CandidateSources {
  readonly membership: Pick<Membership, "version" | "peers" | "get">;
  readonly link: (nodeId: string) => PeerLink | undefined;
  readonly self: () => NodeDescription;
  readonly load: () => Load;
  /** Whether a node failed lately. */
  readonly isDoubtful: (nodeId: string) => boolean;
}

/**
 * A function that returns the devices that may be given tasks now: this one, and every peer that is
 * alive. Their figures are read when they are looked at.
 */
export function candidateList(sources: CandidateSources): () => readonly Candidate[] {
  const { membership, link, self, load, isDoubtful } = sources;
  let list: Candidate[] = [];
  let madeFrom: { version: number; self: NodeDescription } | undefined;
  return () => {
    const description = self();
    if (madeFrom?.version !== membership.version || madeFrom.self !== description) {
      madeFrom = { version: membership.version, self: description };
      const local = new LiveCandidate(description, true, load, () => 0, () => 0, isDoubtful);
      const peers = membership.peers()
        .filter(({ state, description }) => state === "alive" && description !== undefined)
        .map(({ nodeId, description }) =>
          new LiveCandidate(
            description!,
            false,
            () => link(nodeId)?.remoteLoad ?? NO_LOAD,
            () => link(nodeId)?.unreflectedCalls ?? 0,
            () => membership.get(nodeId)?.roundTripMs ?? 0,
            isDoubtful,
          )
        );
      list = [local, ...peers];
    }
    return list;
  };
}

class LiveCandidate implements Candidate {
  readonly nodeId: string;
  readonly capabilities: NodeDescription["capabilities"];
  readonly labels: ReadonlySet<string>;
  readonly agents: ReadonlySet<string>;
  readonly tools: ReadonlySet<string>;
  readonly models: Candidate["models"];
  readonly condition: DeviceCondition;
  readonly isLocal: boolean;
  readonly isDraining: boolean;
  readonly #load: () => Load;
  readonly #justSent: () => number;
  readonly #roundTripMs: () => number;
  readonly #isDoubtful: (nodeId: string) => boolean;

  constructor(
    description: NodeDescription,
    isLocal: boolean,
    load: () => Load,
    justSent: () => number,
    roundTripMs: () => number,
    isDoubtful: (nodeId: string) => boolean,
  ) {
    this.nodeId = description.nodeId;
    this.capabilities = description.capabilities;
    this.labels = new Set(description.labels);
    this.agents = new Set(description.agents.map(({ name }) => name));
    this.models = modelsByName(description.models);
    this.tools = new Set(description.agents.flatMap(({ tools }) => tools));
    this.condition = description.condition;
    this.isLocal = isLocal;
    // What this node asks of itself while it drains is asked by tasks that it finishes.
    this.isDraining = !isLocal && (description.draining ?? false);
    this.#load = load;
    this.#justSent = justSent;
    this.#roundTripMs = roundTripMs;
    this.#isDoubtful = isDoubtful;
  }

  get pending(): number {
    const { running, queued } = this.#load();
    return running + queued + this.#justSent();
  }

  get modelCalls(): number {
    return this.#load().modelCalls + this.#justSent();
  }

  get slots(): number {
    return Math.max(1, this.#load().slots);
  }

  get currentLoad(): number {
    return this.pending / this.slots;
  }

  get isDoubtful(): boolean {
    return this.#isDoubtful(this.nodeId);
  }

  get roundTripMs(): number {
    return this.#roundTripMs();
  }
}

/** Of several engines that have one by the same name, the best counts: which is the first told. */
function modelsByName(models: NodeDescription["models"]): Candidate["models"] {
  const byName = new Map<string, CandidateModel>();
  for (const { name, engine, loaded, lastResort, sizeBytes, contextLength } of models) {
    if (byName.has(name)) continue;
    const width = ENGINE_WIDTHS[engine];
    byName.set(name, { loaded, lastResort, sizeBytes, contextLength, width });
  }
  return byName;
}
