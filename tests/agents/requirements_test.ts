/** What an agent and one call of it ask of a device together. */

import { assertEquals } from "@std/assert";
import { bothRequirements } from "../../src/agents/requirements.ts";

Deno.test("of figures the greater counts, of lists all, and of names that of the call", () => {
  const agent = { memory: 8, vram: 4, flops: { fp16: 10 }, chip: "apple", labels: ["a"] };
  const call = { memory: 4, vram: 6, flops: { fp16: 5, int8: 1 }, chip: "m3", labels: ["b", "a"] };
  const { memory, vram, flops, chip, labels, gpu } = bothRequirements(agent, call);
  assertEquals(
    { memory, vram, flops, chip, labels, gpu },
    {
      memory: 8,
      vram: 6,
      flops: { fp32: undefined, fp16: 10, int8: 1 },
      chip: "m3",
      labels: ["a", "b"],
      gpu: undefined,
    },
  );
  assertEquals(bothRequirements({ gpu: true }, {}).gpu, true);
});
