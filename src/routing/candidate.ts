/** A device that may be given a task, as routing and custom routers see it. */

import type { DeviceCapabilities } from "../device/capabilities.ts";
import type { DeviceCondition } from "../device/condition.ts";

/** A device that may be given a task: this one or a peer, by the same rules. */
export interface Candidate {
  /** The label of the node. */
  readonly nodeId: string;
  /** Whether it is the device that asks. */
  readonly isLocal: boolean;
  /** What the device is. */
  readonly capabilities: DeviceCapabilities;
  /** What its owner calls it. */
  readonly labels: ReadonlySet<string>;
  /** The names of the agents that it can run. */
  readonly agents: ReadonlySet<string>;
  /** The names of the tools that these have. */
  readonly tools: ReadonlySet<string>;
  /** The models that it can run, by name. */
  readonly models: ReadonlyMap<string, CandidateModel>;
  /** Tasks that run or wait there, with those just sent that its own figure cannot contain yet. */
  readonly pending: number;
  /** How many tasks it runs at a time; 1 or more. */
  readonly slots: number;
  /** Calls of models that are under way at its engines, with those just sent: they take no slot. */
  readonly modelCalls: number;
  /** `pending / slots`: 0 is idle, 1 is full, above 1 tasks wait. */
  readonly currentLoad: number;
  /** Smoothed round trip in milliseconds; 0 for this device. */
  readonly roundTripMs: number;
  /** What holds it back now; a figure that cannot be read holds nothing back. */
  readonly condition: DeviceCondition;
  /** Whether it failed lately, so that it is asked only when nobody else can. */
  readonly isDoubtful: boolean;
  /** Whether it finishes what it has and takes no new tasks. */
  readonly isDraining: boolean;
}

/** A model that a device can run. */
export interface CandidateModel {
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** Whether it is asked only when no other device has it: what is said to it leaves the device. */
  readonly lastResort?: boolean;
  /** What it takes on the disk, in bytes; null where that is unknown. */
  readonly sizeBytes?: number | null;
  /** How many tokens it takes together with its answer; null where that is unknown. */
  readonly contextLength?: number | null;
  /** How many calls of it are answered at a time before others wait. @default {1} */
  readonly width?: number;
}

/** What a device of unknown chip is taken for, per core: AVX2 or NEON at about 3 GHz, halved. */
const TFLOPS_PER_CORE = 0.05;
/** Below all real devices: one of which nothing is known is the last to get heavy work. */
const LEAST_TFLOPS = 0.01;
/** Nobody is believed to be slower or faster: what is measured is multiplied by it, and kept. */
const SLOWEST_TFLOPS = 1e-6;
const FASTEST_TFLOPS = 1e6;

/**
 * How fast a device is for what agents mostly do, in TFLOPS: FP16 where known, else FP32, else
 * half of INT8, else an estimate by its cores.
 */
export function capacityOf({ capabilities: { flops, cores } }: Pick<Candidate, "capabilities">): {
  tflops: number;
  estimated: boolean;
} {
  const known = knownTflops(flops);
  return known === undefined
    ? { tflops: estimatedTflops(cores), estimated: true }
    : { tflops: known, estimated: false };
}

/** The figure of {@linkcode capacityOf} alone. */
export function tflopsOf({ flops, cores }: DeviceCapabilities): number {
  return knownTflops(flops) ?? estimatedTflops(cores);
}

function knownTflops(flops: DeviceCapabilities["flops"]): number | undefined {
  // Cards that have integer dot products and no fast FP16 (Pascal) are no faster than their FP32.
  const known = flops.fp16 ?? flops.fp32 ?? (flops.int8 === null ? null : flops.int8 / 2);
  if (known === null || !(known > 0)) return undefined;
  return Math.min(FASTEST_TFLOPS, Math.max(SLOWEST_TFLOPS, known));
}

function estimatedTflops(cores: number | null): number {
  return Math.max(LEAST_TFLOPS, (cores ?? 0) * TFLOPS_PER_CORE);
}
