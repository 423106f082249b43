/**
 * What was measured, against what was promised.
 *
 * @module
 */

/** Something that is measured once in each repetition of an experiment. */
export interface Quantity {
  /** `"gone"`. */
  readonly name: string;
  /** What is promised of it, or what it is, in words. */
  readonly promise: string;
  readonly unit: "ms" | "times";
  /** The most that it may be; undefined for what is only told. */
  readonly limit?: number;
  /** What the limit is for. */
  readonly judged?: "p95" | "max";
}

/** The figures of a quantity. */
export interface Figures {
  readonly experiment: string;
  readonly quantity: string;
  readonly promise: string;
  readonly unit: "ms" | "times";
  readonly limit: number | null;
  readonly judged: "p95" | "max" | null;
  readonly runs: number;
  /** Null: what was awaited did not come. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly max: number | null;
  /** Null for what is not judged. */
  readonly met: boolean | null;
  /** The same of bare nodes, and how many times that it took. */
  readonly baseline: { p50: number | null; p95: number | null; ratio: number | null } | null;
  readonly values: readonly (number | null)[];
}

/**
 * Judges what was measured.
 *
 * @param experiment The name of the experiment.
 * @param quantity What was measured.
 * @param values One of each repetition; `Infinity` where it did not come.
 * @param baseline The same of bare nodes, where that makes sense.
 */
export function judge(
  experiment: string,
  quantity: Quantity,
  values: readonly number[],
  baseline?: readonly number[],
): Figures {
  const { name, promise, unit, limit, judged } = quantity;
  const statistics = {
    p50: percentile(values, 0.5),
    p95: percentile(values, 0.95),
    max: percentile(values, 1),
  };
  const isJudged = limit !== undefined && judged !== undefined;
  return {
    experiment,
    quantity: name,
    promise,
    unit,
    limit: limit ?? null,
    judged: judged ?? null,
    runs: values.length,
    p50: shown(statistics.p50),
    p95: shown(statistics.p95),
    max: shown(statistics.max),
    met: isJudged ? statistics[judged] <= limit : null,
    baseline: baseline === undefined ? null : {
      p50: shown(percentile(baseline, 0.5)),
      p95: shown(percentile(baseline, 0.95)),
      ratio: shown(statistics.p50 / percentile(baseline, 0.5)),
    },
    values: values.map(shown),
  };
}

/** The figures as a table for people. */
export function table(all: readonly Figures[]): string {
  const heading = ["", "p50", "p95", "max", "limit", "", "bare p50", "runs", ""];
  const rows = all.map((one) => [
    `${one.experiment}.${one.quantity}`,
    ...[one.p50, one.p95, one.max].map((value) => value === null ? "never" : `${value}`),
    one.limit === null ? "" : `${one.limit}`,
    one.met === null ? "" : one.met ? "met" : "MISSED",
    one.baseline === null ? "" : `${one.baseline.p50} (×${one.baseline.ratio})`,
    `${one.runs}`,
    `${one.promise}${one.judged === null ? "" : ` (${one.judged})`}`,
  ]);
  const widths = heading.map((_, column) =>
    Math.max(...[heading, ...rows].map((row) => row[column].length))
  );
  return [heading, ...rows].map((row) =>
    row.map((cell, column) => {
      const isText = column === 0 || column === row.length - 1;
      return isText ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
    }).join("  ").trimEnd()
  ).join("\n");
}

/** The nearest rank: the least value that so large a share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

function shown(value: number): number | null {
  return Number.isFinite(value) ? Math.round(10 * value) / 10 : null;
}
