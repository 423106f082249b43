/** How figures are drawn from values, and judged. */

import { assertEquals } from "@std/assert";
import { judge, type Quantity } from "./figures.ts";

const GONE: Quantity = {
  name: "gone",
  promise: "out of all tables",
  unit: "ms",
  limit: 100,
  judged: "p95",
};

/** 1, 2, … n. */
function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

Deno.test("the 95th percentile of twenty values is the nineteenth, whatever their order", () => {
  const { p50, p95, max, runs } = judge("kill", GONE, upTo(20).reverse());
  assertEquals({ p50, p95, max, runs }, { p50: 10, p95: 19, max: 20, runs: 20 });
});

Deno.test("a promise is judged by what it is promised of, and its limit is still kept", () => {
  const values = [...upTo(18), 100, 101];
  assertEquals(judge("kill", GONE, values).met, true);
  assertEquals(judge("kill", { ...GONE, judged: "max" }, values).met, false);
  assertEquals(judge("kill", { ...GONE, limit: undefined }, values).met, null);
});

Deno.test("what did not come is no figure, and a promise missed", () => {
  const { p50, p95, values, met } = judge("kill", GONE, [1, 2, Infinity]);
  assertEquals({ p50, p95, values, met }, { p50: 2, p95: null, values: [1, 2, null], met: false });
});

Deno.test("the ratio to bare nodes is that of the medians", () => {
  const { baseline } = judge("kill", GONE, [30, 20, 40], [4, 1, 5]);
  assertEquals(baseline, { p50: 4, p95: 5, ratio: 7.5 });
});
