/** Which device gets which work. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { silentLogger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { AT_EASE } from "../../src/device/condition.ts";
import { type Candidate, capacityOf, tflopsOf } from "../../src/routing/candidate.ts";
import { considerations, explain } from "../../src/routing/explain.ts";
import { pick, rank } from "../../src/routing/rank.ts";
import { Router } from "../../src/routing/router.ts";
import { type RouteRequest, RoutingStrategy } from "../../src/routing/strategy.ts";
import { ServiceTimeTable } from "../../src/tasks/service_times.ts";
import { device, flops, request } from "../support/candidates.ts";

const macbook = (others: Partial<Candidate> = {}) =>
  device(
    "macbook",
    { chip: "Apple M3", memory: 16_384, flops: flops(7.1), unifiedMemory: true },
    others,
  );
const RTX = { name: "NVIDIA GeForce RTX 4090", vendor: "nvidia", memory: 24_564 } as const;
const server = (others: Partial<Candidate> = {}) =>
  device("server", {
    chip: "NVIDIA GeForce RTX 4090",
    memory: 131_072,
    vram: 24_564,
    flops: flops(165.16),
    gpus: [{ ...RTX, unified: false, flops: flops(165.16) }],
  }, others);
const pi = (others: Partial<Candidate> = {}) =>
  device("pi", {
    chip: "Raspberry Pi 4",
    memory: 8_192,
    flops: { fp32: 0.1, fp16: null, int8: null },
  }, others);

function chosen(
  candidates: Candidate[],
  overrides: Partial<RouteRequest>,
  strategy: RoutingStrategy = RoutingStrategy.CapabilityBased,
): string | undefined {
  return pick(rank(candidates, request(overrides), strategy), seededRandom(1))?.candidate.nodeId;
}

function why(
  candidates: Candidate[],
  overrides: Partial<RouteRequest>,
  strategy: RoutingStrategy = RoutingStrategy.CapabilityBased,
): string {
  const ranking = rank(candidates, request(overrides), strategy);
  const best = pick(ranking, seededRandom(1));
  assert(best !== undefined);
  return explain(best, ranking);
}

Deno.test("heavy work goes to the RTX 4090, light to the MacBook, background to the Pi", () => {
  const fleet = [macbook(), server(), pi()];
  assertEquals(chosen(fleet, { workload: "heavy" }), "server");
  assertEquals(chosen(fleet, { workload: "light" }), "macbook");
  assertEquals(chosen(fleet, { workload: "background" }), "pi");
});

Deno.test("heavy work leaves the fastest device only when it would finish earlier elsewhere", () => {
  const second = device("second", { flops: flops(100) });
  for (const [pending, expected] of [[1, "server"], [2, "server"], [3, "second"]] as const) {
    assertEquals(chosen([server({ pending }), second], { workload: "heavy" }), expected);
  }
});

Deno.test("light work goes to the big device only when every device that does it well is full", () => {
  assertEquals(chosen([macbook({ pending: 1 }), server()], { workload: "light" }), "macbook");
  assertEquals(chosen([macbook({ pending: 2 }), server(), pi()], { workload: "light" }), "server");
  assertEquals(chosen([pi(), device("slow", { flops: flops(0.5) })], {}), "slow");
});

Deno.test("what was measured counts, and what follows from it elsewhere", () => {
  const times = new ServiceTimeTable();
  const fleet = [macbook(), server(), pi()];
  // Two seconds on a MacBook: no light work for it, nor for a Pi.
  times.note("work", "macbook", 2_000, 7.1);
  assertEquals(chosen(fleet, { times }), "server");
  // It turns out that a Pi does it at once, whatever its figures: it waits for somebody else.
  times.note("work", "pi", 50, 0.1);
  assertEquals(chosen(fleet, { times }), "pi");
  // Heavy work is done first where it was done fastest, not where the figures are best.
  times.note("work", "server", 500, 165);
  assertEquals(chosen(fleet, { times, workload: "heavy" }), "pi");
  // What was measured of other agents says nothing of this one.
  assertEquals(chosen(fleet, { times: new ServiceTimeTable(), workload: "heavy" }), "server");
});

Deno.test("a device that is far away must be faster by more than the way", () => {
  const times = new ServiceTimeTable();
  times.note("work", "macbook", 40, 7.1);
  times.note("work", "server", 10, 165);
  const asked = { times, workload: "heavy" } as const;
  assertEquals(chosen([macbook({ roundTripMs: 0 }), server({ roundTripMs: 20 })], asked), "server");
  assertEquals(
    chosen([macbook({ roundTripMs: 0 }), server({ roundTripMs: 50 })], asked),
    "macbook",
  );
  // 10 MB take most of a second on a cable: what is here already is done here.
  const context = "x".repeat(10_000_000);
  const here = macbook({ isLocal: true, roundTripMs: 0 });
  assertEquals(chosen([here, server()], { ...asked, context }), "macbook");
});

Deno.test("a device that is throttled, or drains its battery, is spared", () => {
  const heavy = { workload: "heavy" } as const;
  const near = device("near", { flops: flops(100) });
  const throttled = { ...AT_EASE, throttled: true };
  assertEquals(chosen([server({ condition: throttled }), near], heavy), "near");
  const onBattery = { onBattery: true, batteryPercent: 80, throttled: false };
  assertEquals(
    chosen([pi({ condition: onBattery }), macbook()], { workload: "background" }),
    "macbook",
  );
  assertEquals(
    chosen([macbook({ condition: onBattery }), server()], {}),
    "macbook",
    "a person asks",
  );
  const low = { ...onBattery, batteryPercent: 15 };
  assertEquals(chosen([macbook({ condition: low }), server()], {}), "server");
  assertEquals(chosen([macbook({ condition: low })], {}), "macbook", "there is no other");
  assertStringIncludes(
    why([macbook({ condition: low }), pi({ condition: low })], {}),
    "on battery, 15 %",
  );
});

Deno.test("who holds what the work is on gets it as long as it is free", () => {
  const near = new Set(["pi"]);
  assertEquals(chosen([server(), pi()], { workload: "heavy", near }), "pi");
  assertEquals(chosen([server(), pi({ pending: 2 })], { workload: "heavy", near }), "server");
  assertStringIncludes(why([server(), pi()], { workload: "heavy", near }), "holds what the task");
});

Deno.test("a device where the model is in memory comes before one that has to load it", () => {
  const models = (loaded: boolean) => new Map([["llama", { loaded }]]);
  const [cold, warm] = [server({ models: models(false) }), macbook({ models: models(true) })];
  const asked = { workload: "heavy", requirements: { model: "llama" } } as const;
  assertEquals(chosen([cold, warm], asked), "macbook");
  assertEquals(chosen([server({ models: models(true) }), warm], asked), "server");
});

Deno.test("a model that is somebody else's is the last resort, by every strategy", () => {
  const has = (lastResort: boolean) => new Map([["llama", { loaded: !lastResort, lastResort }]]);
  const cloud = server({ models: new Map([["llama", { loaded: true, lastResort: true }]]) });
  const asked = { workload: "heavy", requirements: { model: "llama" } } as const;
  for (const strategy of Object.values(RoutingStrategy)) {
    const own = pi({ models: has(false), pending: 7, isDoubtful: true });
    assertEquals(chosen([cloud, own], asked, strategy), "pi", strategy);
    assertEquals(chosen([cloud], asked, strategy), "server", strategy);
  }
  assertStringIncludes(why([cloud, server({ nodeId: "other" })], asked), "the last resort");
  // What is asked without a model is not.
  assertEquals(chosen([cloud, pi()], { workload: "heavy" }), "server");
});

Deno.test("who failed lately is asked when nobody else can", () => {
  const doubtful = server({ isDoubtful: true });
  for (const strategy of Object.values(RoutingStrategy)) {
    assertEquals(chosen([doubtful, pi()], { workload: "heavy" }, strategy), "pi", strategy);
    assertEquals(chosen([doubtful], { workload: "heavy" }, strategy), "server", strategy);
  }
  assertStringIncludes(why([doubtful, pi({ isDoubtful: true })], {}), "have failed lately");
});

Deno.test("each strategy chooses by its own rule", () => {
  const strategies = RoutingStrategy;
  const wide = server({ pending: 3, slots: 8, roundTripMs: 9 });
  const narrow = macbook({ pending: 1, slots: 2, roundTripMs: 3 });
  assertEquals(chosen([wide, narrow], {}, strategies.LeastLoaded), "server", "tasks per slot");
  assertEquals(chosen([wide, narrow], {}, strategies.LatencyAware), "macbook");
  const full = macbook({ pending: 9, roundTripMs: 3 });
  assertEquals(chosen([wide, full], {}, strategies.LatencyAware), "server", "waiting is latency");
  const here = pi({ isLocal: true, roundTripMs: 0 });
  assertEquals(chosen([wide, here], { workload: "heavy" }, strategies.LocalFirst), "pi");
  const busy = pi({ isLocal: true, pending: 2 });
  assertEquals(chosen([wide, busy], { workload: "heavy" }, strategies.LocalFirst), "server");
});

Deno.test("requirements filter, with a reason for each device that does not meet them", () => {
  const fleet = [macbook({ labels: new Set(["desk"]) }), server({ tools: new Set(["web"]) }), pi()];
  const cases: [RouteRequest["requirements"], string | undefined][] = [
    [{ memory: 100_000 }, "server"],
    [{ vram: 20_000 }, "server"],
    [{ vram: 12_000, chip: "apple" }, "macbook"],
    [{ flops: { fp16: 50 } }, "server"],
    [{ chip: "rtx 4090" }, "server"],
    [{ chip: "H100" }, undefined],
    [{ vendor: "NVIDIA" }, "server"],
    [{ vendor: "apple" }, "macbook"],
    [{ gpu: true }, "server"],
    [{ labels: ["desk"] }, "macbook"],
    [{ labels: ["desk", "garden"] }, undefined],
    [{ tools: ["web"] }, "server"],
    [{ model: "llama" }, undefined],
  ];
  for (const [requirements, expected] of cases) {
    assertEquals(chosen(fleet, { requirements }), expected, JSON.stringify(requirements));
  }
  const reasons = (requirements: RouteRequest["requirements"]) =>
    rank(fleet, request({ requirements }), "least-loaded").verdicts
      .map((verdict) => verdict.fits ? "fits" : verdict.reason);
  assertEquals(reasons({ flops: { fp16: 50 } }), [
    "has 7.1 TFLOPS of FP16, 50 are needed",
    "fits",
    "does not say its FP16, 50 TFLOPS are needed",
  ]);
  assertEquals(reasons({ labels: ["desk"] })[1], "does not have the label desk");
  assertEquals(reasons({ vendor: "amd" })[0], "has nothing made by amd");
  assertEquals(reasons({ model: "llama" })[2], "does not have the model llama");
});

Deno.test("a device without the agent is never chosen", () => {
  const without = server({ agents: new Set<string>() });
  assertEquals(chosen([without, pi()], { workload: "heavy" }), "pi");
});

Deno.test("equal devices, and those that differ by less than figures are off, are chosen equally often", () => {
  const fleet = [5, 5, 5.1, 5.2].map((fp16, i) => device(`${i}`, { flops: flops(fp16) }));
  const random = seededRandom(7);
  const counts = new Map<string, number>();
  for (const workload of ["light", "heavy"] as const) {
    counts.clear();
    const ranking = rank(fleet, request({ workload }), RoutingStrategy.CapabilityBased);
    for (let i = 0; i < 10_000; i++) {
      const { nodeId } = pick(ranking, random)!.candidate;
      counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    }
    for (const { nodeId } of fleet) assertAlmostEquals(counts.get(nodeId)! / 10_000, 0.25, 0.02);
  }
});

Deno.test("a device of which nothing is known comes last for heavy work", () => {
  assertEquals(chosen([device("unknown", {}), pi()], { workload: "heavy" }), "pi");
});

Deno.test("the reason names the speed, the load, and what made the difference", () => {
  const fleet = [macbook(), server({ pending: 1 }), pi()];
  assertStringIncludes(why(fleet, { workload: "heavy" }), "165.2 TFLOPS, 1 task on 2 slots");
  assertStringIncludes(why(fleet, {}), "smallest device that does light work well (7.1 TFLOPS");
  assertStringIncludes(why(fleet, { workload: "background" }), "smallest free device");
  const times = new ServiceTimeTable();
  times.note("work", "server", 1_234, 165);
  assertStringIncludes(why(fleet, { workload: "heavy", times }), "done in about 1.2 s");
});

Deno.test("what was thought of every device is kept, the best first", () => {
  const fleet = [pi(), macbook(), server({ agents: new Set() })];
  const ranking = rank(fleet, request({ workload: "heavy" }), RoutingStrategy.CapabilityBased);
  const considered = considerations(ranking);
  assertEquals(considered.map(({ nodeId, place }) => [nodeId, place]), [
    ["macbook", 1],
    ["pi", 2],
    ["server", null],
  ]);
  assertEquals(considered[2].reason, "does not have the agent");
  assert(considered[0].finishMs! < considered[1].finishMs!);
});

Deno.test("a device is as fast as its FP16, else as its FP32, whatever its INT8 is", () => {
  const capacity = (fp32: number | null, fp16: number | null, int8: number | null) =>
    capacityOf({
      capabilities: { ...UNKNOWN_DEVICE, flops: { fp32, fp16, int8 }, cores: 4 },
    });
  assertEquals(capacity(11.3, null, 45.4), { tflops: 11.3, estimated: false }, "GTX 1080 Ti");
  assertEquals(capacity(82.6, 165.2, 660.6), { tflops: 165.2, estimated: false });
  assertEquals(capacity(null, null, 26), { tflops: 13, estimated: false }, "only an NPU's figure");
  assertEquals(capacity(null, null, null), { tflops: 0.2, estimated: true });
});

Deno.test("whatever a device says of its speed, what was measured of others stays of use", () => {
  for (const fp16 of [Number.MAX_VALUE, Number.MIN_VALUE]) {
    const liar = device("liar", { flops: { fp32: null, fp16, int8: null } });
    const times = new ServiceTimeTable();
    times.note("work", "liar", 60_000, tflopsOf(liar.capabilities));
    for (let i = 0; i < 200; i++) {
      times.note("work", "server", 100, tflopsOf(server().capabilities));
    }
    const { verdicts } = rank([macbook()], request({ times }), RoutingStrategy.CapabilityBased);
    assert(verdicts[0].fits && verdicts[0].expected.basis === "scaled");
    const { serviceMs } = verdicts[0].expected;
    assert(serviceMs > 100 && serviceMs < 10_000, `${serviceMs} ms`);
  }
});

Deno.test("round robin is fair to those who are here, however many came and went", () => {
  const router = new Router({
    strategy: RoutingStrategy.RoundRobin,
    clock: new ManualClock(),
    random: seededRandom(1),
    logger: silentLogger,
    agents: () => [],
  });
  const choose = (candidates: Candidate[]) => {
    const outcome = router.route(candidates, request());
    assert(!(outcome instanceof Promise));
    return outcome.candidate!.nodeId;
  };
  for (let i = 0; i < 5_000; i++) choose([device(`passing-${i}`)]);
  const fleet = ["a", "b", "c"].map((name) => device(name));
  const turns = Array.from({ length: 30 }, () => choose(fleet));
  for (let i = 0; i < 30; i += 3) assertEquals(new Set(turns.slice(i, i + 3)).size, 3);
});
