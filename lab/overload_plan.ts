/**
 * What the processes of `overload.ts` tell each other: the agent, the phases, and the figures.
 *
 * @module
 */

/** The nodes that work. */
export const WORKERS = ["w1", "w2", "w3"];
/** Tasks that each of them runs at a time, and how long one takes. */
export const SLOTS = 4;
export const SERVICE_MS = 40;

/** Callers with their shares of what is offered: one is greedy, each offers more than its due. */
export const CALLERS = [
  { name: "greedy", share: 0.7 },
  { name: "eager", share: 0.2 },
  { name: "modest", share: 0.1 },
];

/** Of the tasks, how many are for the background, and how many go to one node that is named. */
export const BACKGROUND = 0.1;
export const DIRECT = 0.05;

/** What a caller is to do next: a file that appears. */
export interface Phase {
  readonly durationMs: number;
  /** Tasks a second, whatever becomes of them; or so many at a time. */
  readonly perSecond?: number;
  readonly concurrency?: number;
}

/** What came of it. */
export interface PhaseFigures {
  readonly offered: number;
  readonly done: number;
  /** Of each full second. */
  readonly doneBySecond: number[];
  readonly refused: number;
  /** By code: neither done nor refused. */
  readonly failed: Record<string, number>;
  readonly mostInFlight: number;
  /** From the call to the refusal, by kind. */
  readonly refusal: Record<RefusalKind, Histogram>;
  /** From the call to the answer. */
  readonly answer: Histogram;
}

/**
 * - `direct`: of a task for one node: one executor has refused it.
 * - `routed`: the best one and, while the retry budget lasts, the next best have.
 * - `background`: the same of work that has to make room for other work.
 */
export type RefusalKind = "direct" | "routed" | "background";

const BUCKET_MS = 0.5;
const BUCKETS = 4_000;

/** Counts of milliseconds: bounded, whatever the number of values. */
export class Histogram {
  readonly counts: number[];

  /** @param counts Of another one. */
  constructor(counts: readonly number[] = []) {
    this.counts = Array.from({ length: BUCKETS }, (_, i) => counts[i] ?? 0);
  }

  /** Takes a value; those beyond two seconds count as two seconds. */
  add(ms: number): void {
    this.counts[Math.min(BUCKETS - 1, Math.floor(ms / BUCKET_MS))]++;
  }

  /** All of several. */
  static sum(all: readonly { counts: readonly number[] }[]): Histogram {
    return new Histogram(
      Array.from(
        { length: BUCKETS },
        (_, i) => all.reduce((sum, { counts }) => sum + (counts[i] ?? 0), 0),
      ),
    );
  }

  /** How many. */
  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** What so large a share does not exceed. */
  percentile(share: number): number {
    let left = Math.ceil(share * this.total);
    const at = this.counts.findIndex((count) => (left -= count) <= 0);
    return (at + 1) * BUCKET_MS;
  }
}
