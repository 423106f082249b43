/**
 * What is asked of five nodes, and what is done to them meanwhile: all of it follows from a seed.
 *
 * @module
 */

import { seededRandom } from "../src/base/random.ts";

/** The nodes that are maltreated. */
export const WORKERS = ["A", "B", "C", "D", "E"];

/**
 * - `kill`: SIGKILL, and a new start after a while.
 * - `pause`: SIGSTOP, and SIGCONT after a while.
 * - `deaf`: nothing reaches it, what it sends gets out.
 * - `cut`: nothing gets in or out.
 */
export type FaultKind = "kill" | "pause" | "deaf" | "cut";

/** A fault that is to come. */
export interface PlannedFault {
  /** From the beginning of the tasks, in milliseconds. */
  readonly afterMs: number;
  readonly kind: FaultKind;
  readonly host: string;
  /** Until the node is let go on, or started again. */
  readonly forMs: number;
}

/** A task that is to be asked for. */
export interface PlannedTask {
  readonly index: number;
  /** `"work"` answers at its end, `"talk"` piece by piece; `-once` is not idempotent. */
  readonly agent: string;
  /** How long it takes. */
  readonly ms: number;
  /** Whether its events are read. */
  readonly isStreamed: boolean;
}

/** Milliseconds from piece to piece of what `talk` says. */
export const PIECE_MS = 50;

/** How many may be maltreated at a time, so that a device is left that can do it. */
const MOST_AT_ONCE = 2;
/** What a node is given to be a good one again: to start, and to be found. */
const RECOVERY_MS = 2_500;
const FIRST_FAULT_MS = 500;

/** Kinds and how long they last at least and at most, as often as each is to come. */
const KINDS: readonly { kind: FaultKind; share: number; least: number; most: number }[] = [
  { kind: "kill", share: 0.4, least: 200, most: 1_500 },
  { kind: "pause", share: 0.3, least: 500, most: 6_000 },
  { kind: "deaf", share: 0.15, least: 500, most: 5_000 },
  { kind: "cut", share: 0.15, least: 500, most: 5_000 },
];

/** Tasks, in the order in which they are asked for. */
export function planTasks(seed: number, count: number): PlannedTask[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const lot = random.next();
    const between = (least: number, most: number) =>
      Math.round(least + random.next() * (most - least));
    const ms = lot < 0.4 ? between(5, 50) : between(500, 3_000);
    const name = lot > 0.75 ? "talk" : "work";
    return {
      index,
      agent: random.next() < 0.3 ? `${name}-once` : name,
      ms,
      isStreamed: name === "talk" || random.next() < 0.7,
    };
  });
}

/** What a task answers; each piece tells whose it is and which. */
export function piecesOf({ index, ms }: Pick<PlannedTask, "index" | "ms">): string[] {
  const count = Math.ceil(ms / PIECE_MS);
  return Array.from({ length: count }, (_, i) => `${index}.${i} `);
}

/** The faults of so long a time, one after the other, `meanGapMs` apart on the average. */
export function planFaults(seed: number, durationMs: number, meanGapMs: number): PlannedFault[] {
  const random = seededRandom(seed ^ 0x5f5f5f);
  const busyUntil = new Map<string, number>();
  const faults: PlannedFault[] = [];
  let afterMs = FIRST_FAULT_MS;
  while (afterMs < durationMs) {
    let lot = random.next();
    const { kind, least, most } = KINDS.find(({ share }) => (lot -= share) < 0) ?? KINDS[0];
    const forMs = Math.round(least + random.next() * (most - least));
    const isBusy = (host: string) => (busyUntil.get(host) ?? 0) > afterMs;
    const free = WORKERS.filter((host) => !isBusy(host));
    const host = free[Math.floor(random.next() * free.length)];
    if (WORKERS.length - free.length < MOST_AT_ONCE) {
      busyUntil.set(host, afterMs + forMs + RECOVERY_MS);
      faults.push({ afterMs, kind, host, forMs });
    }
    afterMs += Math.round(meanGapMs * (0.4 + 1.2 * random.next()));
  }
  return faults;
}
