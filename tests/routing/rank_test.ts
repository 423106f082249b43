/** Which device gets which work. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { type DeviceCapabilities, UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type Candidate, capacityOf } from "../../src/routing/candidate.ts";
import { explain, pick, rank } from "../../src/routing/rank.ts";
import { type RouteRequest, RoutingStrategy } from "../../src/routing/strategy.ts";

function device(
  nodeId: string,
  capabilities: Partial<DeviceCapabilities>,
  { pending = 0, slots = 2 } = {},
): Candidate {
  return {
    nodeId,
    isLocal: false,
    capabilities: { ...UNKNOWN_DEVICE, ...capabilities },
    agents: new Set(["work"]),
    pending,
    slots,
    currentLoad: pending / slots,
    roundTripMs: 1,
  };
}

const flops = (fp16: number | null) => ({ fp32: fp16 && fp16 / 2, fp16, int8: fp16 && fp16 * 2 });
const macbook = (load = {}) =>
  device(
    "macbook",
    { chip: "Apple M3", memory: 16_384, flops: flops(7.1), unifiedMemory: true },
    load,
  );
const server = (load = {}) =>
  device(
    "server",
    { chip: "NVIDIA GeForce RTX 4090", memory: 131_072, vram: 24_564, flops: flops(165.16) },
    load,
  );
const pi = (load = {}) =>
  device("pi", {
    chip: "Raspberry Pi 4",
    memory: 8_192,
    flops: { fp32: 0.1, fp16: null, int8: null },
  }, load);

function request(overrides: Partial<RouteRequest> = {}): RouteRequest {
  return {
    agent: "work",
    workload: "light",
    requirements: {},
    query: "",
    context: "",
    tried: new Set(),
    ...overrides,
  };
}

function chosen(
  candidates: Candidate[],
  overrides: Partial<RouteRequest>,
  strategy: RoutingStrategy = RoutingStrategy.CapabilityBased,
): string | undefined {
  const verdicts = rank(candidates, request(overrides), strategy);
  return pick(verdicts, seededRandom(1))?.candidate.nodeId;
}

Deno.test("heavy work goes to the RTX 4090, light to the MacBook, background to the Pi", () => {
  const fleet = [macbook(), server(), pi()];
  assertEquals(chosen(fleet, { workload: "heavy" }), "server");
  assertEquals(chosen(fleet, { workload: "light" }), "macbook");
  assertEquals(chosen(fleet, { workload: "background" }), "pi");
});

Deno.test("heavy work leaves the fastest device only when it would finish earlier elsewhere", () => {
  const second = device("second", { flops: flops(100) });
  assertEquals(chosen([server({ pending: 1 }), second], { workload: "heavy" }), "server");
  assertEquals(chosen([server({ pending: 2 }), second], { workload: "heavy" }), "second");
});

Deno.test("light work goes to the big device only when every device that does it well is full", () => {
  assertEquals(chosen([macbook({ pending: 1 }), server()], { workload: "light" }), "macbook");
  assertEquals(chosen([macbook({ pending: 2 }), server(), pi()], { workload: "light" }), "server");
  assertEquals(chosen([pi(), device("slow", { flops: flops(0.5) })], {}), "slow");
});

Deno.test("least loaded counts tasks per slot, not tasks", () => {
  const wide = server({ pending: 3, slots: 8 });
  const narrow = macbook({ pending: 1, slots: 2 });
  assertEquals(chosen([wide, narrow], {}, RoutingStrategy.LeastLoaded), "server");
});

Deno.test("requirements filter, with a reason for each device that does not meet them", () => {
  const fleet = [macbook(), server(), pi()];
  const cases: [RouteRequest["requirements"], string | undefined][] = [
    [{ memory: 100_000 }, "server"],
    [{ vram: 20_000 }, "server"],
    [{ vram: 12_000, chip: "apple" }, "macbook"],
    [{ flops: { fp16: 50 } }, "server"],
    [{ chip: "rtx 4090" }, "server"],
    [{ chip: "H100" }, undefined],
  ];
  for (const [requirements, expected] of cases) {
    assertEquals(chosen(fleet, { requirements }), expected, JSON.stringify(requirements));
  }
  const reasons = rank(fleet, request({ requirements: { flops: { fp16: 50 } } }), "least-loaded")
    .map((verdict) => verdict.fits ? "fits" : verdict.reason);
  assertEquals(reasons, [
    "has 7.1 TFLOPS of FP16, 50 are needed",
    "fits",
    "its FP16 is unknown, 50 TFLOPS are needed",
  ]);
});

Deno.test("a device without the agent is never chosen", () => {
  const without = { ...server(), agents: new Set<string>() };
  assertEquals(chosen([without, pi()], { workload: "heavy" }), "pi");
});

Deno.test("equal devices are chosen equally often", () => {
  const fleet = ["a", "b", "c", "d"].map((nodeId) => device(nodeId, { flops: flops(5) }));
  const random = seededRandom(7);
  const counts = new Map<string, number>();
  const verdicts = rank(fleet, request(), RoutingStrategy.CapabilityBased);
  for (let i = 0; i < 10_000; i++) {
    const { nodeId } = pick(verdicts, random)!.candidate;
    counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
  }
  for (const { nodeId } of fleet) assertAlmostEquals(counts.get(nodeId)! / 10_000, 0.25, 0.02);
});

Deno.test("a device of which nothing is known comes last for heavy work", () => {
  assertEquals(chosen([device("unknown", {}), pi()], { workload: "heavy" }), "pi");
});

Deno.test("the reason names the speed, the load, and what made the difference", () => {
  const fleet = [macbook(), server({ pending: 1 }), pi()];
  const why = (workload: RouteRequest["workload"]) => {
    const asked = request({ workload });
    const verdicts = rank(fleet, asked, RoutingStrategy.CapabilityBased);
    const best = pick(verdicts, seededRandom(1));
    assert(best !== undefined);
    return explain(best, verdicts, asked, RoutingStrategy.CapabilityBased);
  };
  assertStringIncludes(why("heavy"), "165.2 TFLOPS, 1 task on 2 slots");
  assertStringIncludes(why("light"), "smallest device that does light work well (7.1 TFLOPS");
  assertStringIncludes(why("background"), "smallest free device");
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
