/** Devices that may be given a task, made up. */

import { type DeviceCapabilities, UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { AT_EASE } from "../../src/device/condition.ts";
import type { Candidate } from "../../src/routing/candidate.ts";
import { NO_SERVICE_TIMES } from "../../src/routing/expectation.ts";
import type { RouteRequest } from "../../src/routing/strategy.ts";

/** A device that is idle, near, on mains, and has the agent `work`. */
export function device(
  nodeId: string,
  capabilities: Partial<DeviceCapabilities> = {},
  others: Partial<Candidate> = {},
): Candidate {
  const { pending = 0, slots = 2 } = others;
  return {
    nodeId,
    isLocal: false,
    capabilities: { ...UNKNOWN_DEVICE, ...capabilities },
    labels: new Set(),
    agents: new Set(["work"]),
    tools: new Set(),
    models: new Map(),
    pending,
    slots,
    modelCalls: 0,
    currentLoad: pending / slots,
    roundTripMs: 1,
    condition: AT_EASE,
    isDoubtful: false,
    isDraining: false,
    ...others,
  };
}

/** Rates of a device by its FP16. */
export function flops(fp16: number | null): DeviceCapabilities["flops"] {
  return { fp32: fp16 && fp16 / 2, fp16, int8: fp16 && fp16 * 2 };
}

/** A task of the agent `work`, of which nothing was measured. */
export function request(overrides: Partial<RouteRequest> = {}): RouteRequest {
  return {
    agent: "work",
    workload: "light",
    requirements: {},
    query: "",
    context: "",
    near: new Set(),
    tried: new Set(),
    times: NO_SERVICE_TIMES,
    ...overrides,
  };
}
