/** When a task would be done on a device: round trip, wait and service, in milliseconds. */

import type { Workload } from "../agents/requirements.ts";
import { type Candidate, type CandidateModel, tflopsOf } from "./candidate.ts";

/** What was measured of tasks that have run. */
export interface ServiceTimes {
  /** Of an agent; undefined when it has never run. */
  of(agent: string): AgentTimes | undefined;
  /** Mean time of all that has run on that node. */
  mean(nodeId: string): number | undefined;
}

/** What was measured of one agent. */
export interface AgentTimes {
  /** Mean time on all nodes, in ms. */
  readonly ms: number;
  /** Mean work, in ms times TFLOPS of where it ran. */
  readonly work: number;
  /** Mean time on that node; undefined when it has not run there. */
  on(nodeId: string): number | undefined;
}

/** Nothing was measured. */
export const NO_SERVICE_TIMES: ServiceTimes = { of: () => undefined, mean: () => undefined };

/** What is expected of a device. */
export class Expectation {
  /** How long the task itself takes. */
  readonly serviceMs: number;
  /** Whether it was measured there, scaled from other devices, or guessed by speed alone. */
  readonly basis: "measured" | "scaled" | "guessed";
  /** Until it has a slot. */
  readonly waitMs: number;
  /** All of it, with the way there and back and what has to be sent. */
  readonly finishMs: number;
  /** Tasks that run or wait there, as it was then. */
  readonly pending: number;
  readonly slots: number;

  constructor(
    serviceMs: number,
    basis: Expectation["basis"],
    waitMs: number,
    finishMs: number,
    { pending, slots }: { readonly pending: number; readonly slots: number },
  ) {
    this.serviceMs = serviceMs;
    this.basis = basis;
    this.waitMs = waitMs;
    this.finishMs = finishMs;
    this.pending = pending;
    this.slots = slots;
  }
}

/** What a task is to be sent with, and what it needs there. */
export interface ExpectedTask {
  readonly workload: Workload;
  readonly model?: string;
  /** What has to be sent, in UTF-16 units. */
  readonly length: number;
}

/**
 * Work of an agent that has never run, in ms times TFLOPS. For light work it says that a device of
 * one TFLOPS does it in {@linkcode PATIENCE_MS}.
 */
const GUESSED_WORK: Record<Workload, number> = { light: 1_000, background: 10_000, heavy: 60_000 };
/** What a person waits for an answer without noticing that it was a small device's. */
export const PATIENCE_MS = 1_000;
/** Reading a model from a disk, 500 MB/s, and its size where nobody says it: 5 GB. */
const READ_BYTES_PER_MS = 500_000;
const USUAL_MODEL_BYTES = 5_000_000_000;
/** What does not fit into memory is read again and again, or computed by the processor. */
const TOO_LARGE = 10;
/** A LAN of 100 Mbit/s. */
const CHARACTERS_PER_MS = 12_500;
/** Below this the time on the wire is less than what figures are off by. */
const SHORT_LENGTH = 64 * 1024;
/** A throttled device runs at half its clock or less. */
const THROTTLED = 2;

/**
 * What is expected of `candidate`.
 *
 * @param agent What was measured of the agent.
 * @param meanMs What all that has run on a node took.
 */
export function expectation(
  candidate: Candidate,
  { workload, model, length }: ExpectedTask,
  agent: AgentTimes | undefined,
  meanMs: ServiceTimes["mean"],
): Expectation {
  const { nodeId, isLocal, pending, slots, condition } = candidate;
  let basis: Expectation["basis"] = "measured";
  let serviceMs = agent?.on(nodeId);
  if (serviceMs === undefined) {
    const tflops = tflopsOf(candidate.capabilities);
    basis = agent === undefined ? "guessed" : "scaled";
    serviceMs = (agent?.work ?? GUESSED_WORK[workload]) / tflops;
    // Light work is often no arithmetic at all: halfway between the two, on a scale of ratios, so
    // that a small device is tried, once, and then it is known.
    if (agent !== undefined && workload === "light") {
      serviceMs = Math.sqrt(serviceMs * agent.ms);
    }
    // What was measured has the throttling in it.
    if (condition.throttled) serviceMs *= THROTTLED;
  }
  const asked = model === undefined ? undefined : candidate.models.get(model);
  if (asked?.loaded === false) {
    if (basis !== "measured" && isTooLarge(asked, candidate)) serviceMs *= TOO_LARGE;
    serviceMs += (asked.sizeBytes ?? USUAL_MODEL_BYTES) / READ_BYTES_PER_MS;
  }
  const rounds = pending < slots ? 0 : (pending - slots + 1) / slots;
  const waitMs = rounds === 0 ? 0 : rounds * (meanMs(nodeId) ?? serviceMs);
  const transferMs = isLocal || length < SHORT_LENGTH ? 0 : length / CHARACTERS_PER_MS;
  const finishMs = candidate.roundTripMs + transferMs + waitMs + serviceMs;
  return new Expectation(serviceMs, basis, waitMs, finishMs, candidate);
}

/** Whether a model is larger than the memory where it would be fast; what is unknown is enough. */
function isTooLarge({ sizeBytes }: CandidateModel, { capabilities }: Candidate): boolean {
  const { gpus, unifiedMemory, memory, vram } = capabilities;
  const fast = gpus.length > 0 && !unifiedMemory ? vram : memory;
  return sizeBytes != null && fast !== null && fast > 0 && sizeBytes > fast * 2 ** 20;
}
