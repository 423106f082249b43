/** Where a call of a model goes: what is loaded, what fits, what takes so much, and why. */

import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { seededRandom } from "../../src/base/random.ts";
import type { DeviceCapabilities } from "../../src/device/capabilities.ts";
import type { Candidate, CandidateModel } from "../../src/routing/candidate.ts";
import { expectation } from "../../src/routing/expectation.ts";
import { considerations, explain } from "../../src/routing/explain.ts";
import { pick, rank } from "../../src/routing/rank.ts";
import { RoutingStrategy } from "../../src/routing/strategy.ts";
import type { RouteRequest } from "../../src/routing/strategy.ts";
import { device, flops, request } from "../support/candidates.ts";

const GB = 1e9;
const GPU = { name: "GPU", vendor: "nvidia", memory: 8_192, unified: false, flops: flops(10) };

/** A device of 10 TFLOPS with the model `m`. */
function withModel(
  nodeId: string,
  model: CandidateModel,
  capabilities: Partial<DeviceCapabilities> = {},
  others: Partial<Candidate> = {},
): Candidate {
  return device(nodeId, { flops: flops(10), memory: 16_384, ...capabilities }, {
    models: new Map([["m", model]]),
    slots: 1,
    ...others,
  });
}

function ranking(candidates: Candidate[], asked: Partial<RouteRequest> = {}) {
  const requirements = { model: "m", ...asked.requirements };
  const call = request({ workload: "heavy", model: "m", ...asked, requirements });
  return rank(candidates, call, RoutingStrategy.CapabilityBased);
}

function chosen(candidates: Candidate[], asked: Partial<RouteRequest> = {}): string | undefined {
  return pick(ranking(candidates, asked), seededRandom(1))?.candidate.nodeId;
}

function why(candidates: Candidate[], asked: Partial<RouteRequest> = {}): string {
  const all = ranking(candidates, asked);
  return explain(pick(all, seededRandom(1))!, all);
}

/** How long an answer takes where nothing was measured, in milliseconds. */
function serviceMs(model: CandidateModel, capabilities: Partial<DeviceCapabilities> = {}): number {
  const task = { workload: "heavy", model: "m", length: 0 } as const;
  return expectation(withModel("a", model, capabilities), task, undefined, () => undefined)
    .serviceMs;
}

Deno.test("a model that is not in memory has to be read first, and that takes as long as it is large", () => {
  const loaded = serviceMs({ loaded: true, sizeBytes: 5 * GB });
  const load = (sizeBytes: number | null) => serviceMs({ loaded: false, sizeBytes }) - loaded;
  assertAlmostEquals(load(1 * GB), 2_000, 1e-6);
  assertAlmostEquals(load(10 * GB), 20_000, 1e-6);
  // Of unknown size it is taken for one of the usual.
  assertAlmostEquals(load(null), 10_000, 1e-6);
  const two = (small: number, large: number) => [
    withModel("small", { loaded: false, sizeBytes: small }),
    withModel("large", { loaded: false, sizeBytes: large }),
  ];
  assertEquals(chosen(two(1 * GB, 9 * GB)), "small");
});

Deno.test("a model that is larger than fast memory is the last to be asked there", () => {
  const model = { loaded: false, sizeBytes: 12 * GB };
  const gpu = { gpus: [{ ...GPU, vendor: "nvidia" as const }], memory: 65_536, vram: 8_192 };
  const fits = serviceMs(model);
  assertEquals(serviceMs(model, { memory: 8_192 }) > 5 * fits / 2, true);
  // Of a card it is its own memory that counts, and of unified memory all of it.
  assert(serviceMs(model, gpu) > 2 * fits);
  assertEquals(serviceMs(model, { ...gpu, vram: 24_576 }), fits);
  assertEquals(serviceMs(model, { ...gpu, unifiedMemory: true }), fits);
  // What is unknown is enough; what is loaded fits, whatever the figures say.
  assertEquals(serviceMs(model, { ...gpu, vram: null }), fits);
  assertEquals(serviceMs(model, { memory: 0 }), fits);
  assertEquals(
    serviceMs({ ...model, loaded: true }, gpu),
    serviceMs({ ...model, loaded: true }),
  );
  const fast = withModel("fast", model, { ...gpu, flops: flops(20) });
  assertEquals(chosen([fast, withModel("roomy", model)]), "roomy");
});

Deno.test("a model is asked where it takes so many tokens, and what is unknown is not enough", () => {
  const fleet = [
    withModel("short", { loaded: true, contextLength: 4_096 }, { flops: flops(100) }),
    withModel("long", { loaded: true, contextLength: 131_072 }),
    withModel("unknown", { loaded: true, contextLength: null }, { flops: flops(100) }),
  ];
  const needs = (contextLength: number) => ({ requirements: { contextLength } });
  assertEquals(chosen(fleet, needs(4_097)), "long");
  assertEquals(chosen([fleet[0]], needs(4_096)), "short");
  assertEquals(chosen(fleet, needs(200_000)), undefined);
  assertEquals(
    considerations(ranking(fleet, needs(8_000))).map(({ nodeId, reason }) =>
      nodeId === "long" ? nodeId : reason
    ),
    [
      "long",
      "has 4096 tokens of context, 8000 are needed",
      "does not say its context, 8000 tokens are needed",
    ],
  );
  // Without a model there is none whose context could be too short.
  const any = rank(fleet, request({ requirements: { contextLength: 1e9 } }), "capability-based");
  assert(any.verdicts.every(({ fits }) => fits));
});

Deno.test("the reason speaks of calls and of what is loaded, where a model is called", () => {
  const free = withModel("free", { loaded: true });
  const cold = withModel("cold", { loaded: false });
  const busy = withModel("busy", { loaded: true }, {}, { pending: 3 });
  assertEquals(
    why([free, cold, busy]),
    "the answer is done first there (10 TFLOPS, loaded, 0 calls under way)",
  );
  const [, ...others] = considerations(ranking([free, cold, busy])).map(({ reason }) => reason);
  assertEquals(others, [
    "10 TFLOPS, not loaded, 0 calls under way",
    "10 TFLOPS, loaded, 3 calls under way, 1 at a time: it waits",
  ]);
  assertMatch(
    why([free, cold], { near: new Set(["cold"]) }),
    /^the conversation was there, and it is free \(10 TFLOPS, not loaded/,
  );
  // An agent that needs the model is told of as ever.
  assertMatch(
    why([free, cold], { model: undefined }),
    /^heavy work finishes first there \(10 TFLOPS, 0 tasks on 1 slot/,
  );
});
