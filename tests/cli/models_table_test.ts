/** `models`: a table in which names can be read. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { modelTable } from "../../src/cli/commands/models.ts";
import { displayWidth } from "../../src/cli/width.ts";
import type { NetworkModel } from "../../src/network/catalog.ts";

const model = (name: string): NetworkModel => ({
  name,
  devices: [{
    nodeId: "gpu-server",
    name,
    engine: "ollama",
    sizeBytes: 2_019_393_189,
    parameters: 3_212_749_888,
    contextLength: 131_072,
    quantization: "Q4_K_M",
    capabilities: ["chat", "tools", "vision"],
    loaded: true,
    lastResort: false,
    firstTokenMs: 120,
    tokensPerSecond: 41.5,
  }],
});

Deno.test("names by which models are asked stay whole on a usual terminal, long ones for half of it", () => {
  const long = "hf.co/" + "very-".repeat(30) + "long";
  const lines = modelTable([model("qwen2.5-coder:14b"), model("模型-日本語:7b"), model(long)], 80);

  assertStringIncludes(lines[1], "qwen2.5-coder:14b  ");
  assertStringIncludes(lines[2], "模型-日本語:7b  ");
  assertStringIncludes(lines[3], `${long.slice(0, 39)}…  gpu-ser…`);
  assertEquals(lines.filter((line) => displayWidth(line) > 80), []);
  assertStringIncludes(modelTable([model(long)], Infinity)[1], `${long}  gpu-server`);
});
