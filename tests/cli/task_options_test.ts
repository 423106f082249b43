/** What the options of `run` and `map` ask of a device. */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../src/cli/command.ts";
import { command as run } from "../../src/cli/commands/run.ts";
import { readInvocation } from "../../src/cli/option_values.ts";
import { taskBody } from "../../src/cli/task_options.ts";

async function requirementsOf(...args: string[]) {
  const { options } = await readInvocation("run", run, ["prompt", ...args]);
  const { requirements } = await taskBody(options);
  return JSON.parse(JSON.stringify(requirements));
}

Deno.test("everything that an agent may ask of a device can be asked by an option, too", async () => {
  assertEquals(
    await requirementsOf(
      ...["--memory=8192", "--vram", "4096", "--gpu", "--chip=RTX 4090", "--vendor=nvidia"],
      ...["--tflops=20.5", "--tflops", "int8=40", "--model=llama3", "--tool=roll", "--tool=read"],
      "--label=gpu-room",
    ),
    {
      memory: 8192,
      vram: 4096,
      gpu: true,
      chip: "RTX 4090",
      vendor: "nvidia",
      flops: { fp16: 20.5, int8: 40 },
      model: "llama3",
      tools: ["roll", "read"],
      labels: ["gpu-room"],
    },
  );
  assertEquals(await requirementsOf("--tflops=fp32=3"), {
    flops: { fp32: 3 },
    tools: [],
    labels: [],
  });
});

Deno.test("a figure that cannot be one is told, and what would be", async () => {
  for (const text of ["many", "fp64=3", "=3", "fp16=", "-1"]) {
    await assertRejects(
      () => requirementsOf(`--tflops=${text}`),
      UsageError,
      `--tflops is "${text}", expected a number, or one with its precision: fp32=N, fp16=N, int8=N.`,
    );
  }
});
