/** What the choice of a device costs; the baseline is one pass over the candidates' load. */

import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/log.ts";
import { seededRandom } from "../src/base/random.ts";
import type { Candidate } from "../src/routing/candidate.ts";
import { Router } from "../src/routing/router.ts";
import { type RouteRequest, RoutingStrategy } from "../src/routing/strategy.ts";

const random = seededRandom(1);
const router = new Router({
  strategy: RoutingStrategy.CapabilityBased,
  clock: systemClock,
  random,
  logger: silentLogger,
  agents: () => ["work"],
});
const request: RouteRequest = {
  agent: "work",
  workload: "heavy",
  requirements: { memory: 4_096 },
  query: "",
  context: "",
  tried: new Set(),
};

for (const count of [3, 100, 10_000]) {
  const candidates = Array.from({ length: count }, (_, i) => candidate(`node-${i}`));
  const group = `choose among ${count} devices`;
  Deno.bench({
    name: `least load, nothing else (${count})`,
    group,
    baseline: true,
    fn() {
      let least = candidates[0];
      for (const one of candidates) if (one.currentLoad < least.currentLoad) least = one;
    },
  });
  Deno.bench({
    name: `filter, score, pick, explain (${count})`,
    group,
    fn() {
      router.route(candidates, request);
    },
  });
}

function candidate(nodeId: string): Candidate {
  const fp16 = random.next() * 100;
  const pending = Math.floor(random.next() * 4);
  return {
    nodeId,
    isLocal: false,
    capabilities: {
      model: null,
      chip: null,
      memory: 8_192,
      vram: null,
      unifiedMemory: false,
      flops: { fp32: fp16 / 2, fp16, int8: fp16 * 2 },
      cores: 8,
      gpus: [],
      os: "linux",
      arch: "x86_64",
    },
    agents: new Set(["work"]),
    pending,
    slots: 4,
    currentLoad: pending / 4,
    roundTripMs: 1,
  };
}
