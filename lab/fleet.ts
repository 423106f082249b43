/**
 * Ten thousand mixed tasks on three MacBooks M3, two servers with an RTX 4090 and a Raspberry Pi:
 * how long does each strategy take for all of them, beside the least that any plan could take? And
 * when several nodes send at once, does any device get more than its share?
 *
 * Prints a table and one JSON value; the exit status is 1 when a promise was missed.
 *
 *     deno task lab:fleet [--tasks 10000] [--seed 1]
 */

import { parseArgs } from "@std/cli/parse-args";
import { seededRandom } from "../src/base/random.ts";
import { RoutingStrategy } from "../src/routing/strategy.ts";
import {
  runFleet,
  type SimulatedAgent,
  type SimulatedDevice,
  type SimulatedTask,
} from "./simulated_fleet.ts";

/** FP16 of the table of chips. */
const M3 = 7.1;
const RTX_4090 = 165.16;
const PI = 0.1;
const DEVICES: readonly SimulatedDevice[] = [
  ...[1, 2, 3].map((i) => ({ nodeId: `m3-${i}`, tflops: M3, slots: 2 })),
  ...[1, 2].map((i) => ({ nodeId: `rtx-${i}`, tflops: RTX_4090, slots: 2 })),
  { nodeId: "pi", tflops: PI, slots: 2 },
];
/** Mean work of each, in TFLOPS times ms; of a task it is between half and three halves of that. */
const AGENTS: readonly (SimulatedAgent & { mean: number; share: number })[] = [
  { name: "generate", workload: "heavy", mean: 20_000, share: 0.3 },
  { name: "embed", workload: "heavy", mean: 2_000, share: 0.2 },
  { name: "answer", workload: "light", mean: 500, share: 0.3 },
  { name: "tidy", workload: "background", mean: 50, share: 0.2 },
];
/** Tasks at a time: twice as many as there are slots. */
const CONCURRENCY = 2 * DEVICES.reduce((sum, { slots }) => sum + slots, 0);
/** Of the least that any plan could take. */
const LIMIT = 1.15;
/** Of what each device would get if the senders knew of each other. */
const CROWDING_LIMIT = 1.3;

const args = parseArgs(Deno.args, { string: ["tasks", "seed"] });
const seed = Number(args.seed ?? 1);
const tasks = makeTasks(Number(args.tasks ?? 10_000));
const least = leastMs();
const rows: Record<string, { "total s": number; ratio: number; refusals: number; done: string }> =
  {};
for (const strategy of ["capability-based", "least-loaded", "round-robin", "random"] as const) {
  const plan = { strategy, callers: 1, concurrency: CONCURRENCY, seed };
  const { totalMs, done, refusals } = await runFleet(DEVICES, AGENTS, tasks, plan);
  rows[strategy] = {
    "total s": Math.round(totalMs / 100) / 10,
    ratio: Number((totalMs / least).toFixed(3)),
    refusals,
    done: DEVICES.map(({ nodeId }) => done[nodeId] ?? 0).join(" "),
  };
}
console.table(rows);
const ours = rows[RoutingStrategy.CapabilityBased].ratio;
const others = Object.values(rows).slice(1).map(({ ratio }) => ratio);
const crowding = await burst();
const met = ours <= LIMIT && others.every((ratio) => ratio > ours) && crowding <= CROWDING_LIMIT;
console.log(
  JSON.stringify({ seed, tasks: tasks.length, leastMs: Math.round(least), rows, crowding, met }),
);
Deno.exit(met ? 0 : 1);

/** Five nodes send twenty tasks each, at once, to five equal devices: the most over the mean. */
async function burst(): Promise<number> {
  const equal = [1, 2, 3, 4, 5].map((i) => ({ nodeId: `m3-${i}`, tflops: M3, slots: 4 }));
  const same = Array.from({ length: 100 }, () => ({ agent: "embed", work: 2_000 }));
  const plan = { strategy: RoutingStrategy.CapabilityBased, callers: 5, concurrency: 20, seed };
  const { done } = await runFleet(equal, AGENTS, same, plan);
  return Math.max(...Object.values(done)) / (same.length / equal.length);
}

function makeTasks(count: number): SimulatedTask[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    let lot = random.next();
    const { name: agent, mean } = AGENTS.find(({ share }) => (lot -= share) < 0) ?? AGENTS[0];
    return { agent, work: mean * (0.5 + random.next()) };
  });
}

/** All devices busy with useful work to the very end: no plan of whole tasks is better. */
function leastMs(): number {
  const work = tasks.reduce((sum, { work }) => sum + work, 0);
  return work / DEVICES.reduce((sum, { tflops }) => sum + tflops, 0);
}
