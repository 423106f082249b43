/** What a node says of its models, as its peers take it. */

import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { AT_EASE } from "../../src/device/condition.ts";
import type { ModelDescription } from "../../src/engines/model.ts";
import {
  MAX_DESCRIPTION_BYTES,
  type NodeDescription,
  parseNodeDescription,
  PROTOCOL_VERSION,
} from "../../src/membership/node_description.ts";
import { offeredModels } from "../../src/network/offered_models.ts";

const MODEL: ModelDescription = {
  name: "llama3.2:latest",
  engine: "ollama",
  sizeBytes: 2_019_393_189,
  parameters: 3_212_749_888,
  contextLength: 131_072,
  quantization: "Q4_K_M",
  capabilities: ["chat", "tools"],
  loaded: true,
  lastResort: false,
};
const NODE: NodeDescription = {
  protocol: PROTOCOL_VERSION,
  network: "home",
  nodeId: "a",
  bootId: "01J000000000000000000000AA",
  version: "1.0.0",
  listenPort: 5_681,
  capabilities: UNKNOWN_DEVICE,
  agents: [],
  models: [MODEL],
  labels: [],
  condition: AT_EASE,
};

function read(change: Record<string, unknown>): NodeDescription {
  return parseNodeDescription(new TextEncoder().encode(JSON.stringify({ ...NODE, ...change })));
}

Deno.test("a node's models are taken as they are told; of a node that knows no engines there are none", () => {
  assertEquals(read({}).models, [MODEL]);
  assertEquals(read({ models: undefined }).models, []);
});

Deno.test("what a later version says of a model costs that version's words only", () => {
  const later = { ...MODEL, engine: "mind", capabilities: ["chat", "smell"], colour: "red" };
  assertEquals(read({ models: [later] }).models, [
    { ...MODEL, engine: "openai", capabilities: ["chat"] },
  ]);
});

Deno.test("names of models are made safe, and what is out of bounds is refused", () => {
  const [{ name }] = read({ models: [{ ...MODEL, name: "\u001b[31mred\u202e" }] }).models;
  assertEquals(name, "[31mred");
  const wrong: Record<string, unknown>[] = [
    { name: "\u0007" },
    { name: "x".repeat(1_025) },
    { sizeBytes: -1 },
    { contextLength: 1.5 },
    { loaded: "yes" },
    { capabilities: Array(33).fill("chat") },
  ];
  for (const change of wrong) {
    assertThrows(() => read({ models: [{ ...MODEL, ...change }] }), NetworkError);
  }
  assertThrows(() => read({ models: Array(513).fill(MODEL) }), NetworkError);
});

Deno.test("a node tells as many models as its peers take with all else", () => {
  const name = (i: number, length: number) => `${i}`.padEnd(length, "é");
  const many = (length: number) =>
    Array.from({ length: 600 }, (_, i): ModelDescription => ({ ...MODEL, name: name(i, length) }));
  assertEquals(offeredModels(many(20), NODE).length, 512);
  const agents = Array.from({ length: 40 }, (_, i) => ({
    name: `agent-${i}`,
    description: "x".repeat(4_000),
    workload: "light" as const,
    idempotent: true,
    tools: [],
    requirements: {},
  }));
  for (const rest of [NODE, { ...NODE, agents }]) {
    const models = offeredModels(many(256), rest);
    const told = new TextEncoder().encode(JSON.stringify({ ...rest, models }));
    assertEquals(parseNodeDescription(told).models.length, models.length);
    assertEquals(told.length > MAX_DESCRIPTION_BYTES - 8_192, true, "there is no room left");
  }
  const full = { ...NODE, agents: Array(100).fill(agents[0]) };
  assertEquals(offeredModels(many(20), full), []);
});
