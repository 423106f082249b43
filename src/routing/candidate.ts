/** A device that may be given a task, as routing and custom routers see it. */

import type { DeviceCapabilities } from "../device/capabilities.ts";

/** A device that may be given a task: this one or a peer, by the same rules. */
export interface Candidate {
  /** The label of the node. */
  readonly nodeId: string;
  /** Whether it is the device that asks. */
  readonly isLocal: boolean;
  /** What the device is. */
  readonly capabilities: DeviceCapabilities;
  /** The names of the agents that it can run. */
  readonly agents: ReadonlySet<string>;
  /** Tasks that run or wait there, with those just sent that its own figure cannot contain yet. */
  readonly pending: number;
  /** How many tasks it runs at a time; 1 or more. */
  readonly slots: number;
  /** `pending / slots`: 0 is idle, 1 is full, above 1 tasks wait. */
  readonly currentLoad: number;
  /** Smoothed round trip in milliseconds; 0 for this device. */
  readonly roundTripMs: number;
}

/** What a device of unknown chip is taken for, per core: AVX2 or NEON at about 3 GHz, halved. */
const TFLOPS_PER_CORE = 0.05;
/** Below all real devices: one of which nothing is known is the last to get heavy work. */
const LEAST_TFLOPS = 0.01;

/**
 * How fast a device is for what agents mostly do, in TFLOPS: FP16 where known, else FP32, else
 * half of INT8, else an estimate by its cores.
 */
export function capacityOf({ capabilities: { flops, cores } }: Pick<Candidate, "capabilities">): {
  tflops: number;
  estimated: boolean;
} {
  // Cards that have integer dot products and no fast FP16 (Pascal) are no faster than their FP32.
  const known = flops.fp16 ?? flops.fp32 ?? (flops.int8 === null ? null : flops.int8 / 2);
  if (known !== null && known > 0) return { tflops: known, estimated: false };
  return { tflops: Math.max(LEAST_TFLOPS, (cores ?? 0) * TFLOPS_PER_CORE), estimated: true };
}
