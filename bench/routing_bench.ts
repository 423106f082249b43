/** What the choice of a device costs; the baseline is one pass over the candidates' load. */

import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/log.ts";
import { seededRandom } from "../src/base/random.ts";
import type { Candidate } from "../src/routing/candidate.ts";
import { Router } from "../src/routing/router.ts";
import { RoutingStrategy } from "../src/routing/strategy.ts";
import { device, flops, request as task } from "../tests/support/candidates.ts";

const random = seededRandom(1);
const router = new Router({
  strategy: RoutingStrategy.CapabilityBased,
  clock: systemClock,
  random,
  logger: silentLogger,
  agents: () => ["work"],
});
const request = task({ workload: "heavy", requirements: { memory: 4_096 } });

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
  const capabilities = { memory: 8_192, flops: flops(random.next() * 100), cores: 8 };
  return device(nodeId, capabilities, { pending: Math.floor(random.next() * 4), slots: 4 });
}
