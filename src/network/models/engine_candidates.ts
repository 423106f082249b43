/** Devices as a call of a model sees them: as busy as their engines, and as wide. */

import type { Candidate, CandidateModel } from "../../routing/candidate.ts";
import type { Circuits } from "../../tasks/circuits.ts";
import { ENGINE_AGENT } from "./engine_call.ts";

/** A device of a version that asks no engines has no models: that is what it lacks. */
const ASKS_ENGINES: ReadonlySet<string> = new Set([ENGINE_AGENT]);

/**
 * What a call of `model` sees of `devices`.
 *
 * @param circuits Which of them have failed at it.
 */
export function engineCandidates(
  devices: readonly Candidate[],
  model: string,
  circuits: Circuits,
): readonly Candidate[] {
  return devices.map((device) => new EngineCandidate(device, device.models.get(model), circuits));
}

/** Its figures are read when they are looked at, as those of the device itself. */
class EngineCandidate implements Candidate {
  readonly nodeId: string;
  readonly isLocal: boolean;
  readonly capabilities: Candidate["capabilities"];
  readonly labels: Candidate["labels"];
  readonly agents: ReadonlySet<string> = ASKS_ENGINES;
  readonly tools: Candidate["tools"];
  readonly models: Candidate["models"];
  readonly condition: Candidate["condition"];
  readonly isDraining: boolean;
  readonly slots: number;
  readonly #device: Candidate;
  readonly #circuits: Circuits;

  constructor(device: Candidate, model: CandidateModel | undefined, circuits: Circuits) {
    this.nodeId = device.nodeId;
    this.isLocal = device.isLocal;
    this.capabilities = device.capabilities;
    this.labels = device.labels;
    this.tools = device.tools;
    this.models = device.models;
    this.condition = device.condition;
    this.isDraining = device.isDraining;
    this.slots = model?.width ?? 1;
    this.#device = device;
    this.#circuits = circuits;
  }

  get pending(): number {
    return this.#device.modelCalls;
  }

  get modelCalls(): number {
    return this.#device.modelCalls;
  }

  get currentLoad(): number {
    return this.pending / this.slots;
  }

  get roundTripMs(): number {
    return this.#device.roundTripMs;
  }

  get isDoubtful(): boolean {
    return this.#device.isDoubtful || this.#circuits.isDoubtful(this.nodeId);
  }
}
