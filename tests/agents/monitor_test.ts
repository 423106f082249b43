/** The agent `monitor`: one line for people, a record for tables, figures for programs. */

import { assertEquals, assertRejects } from "@std/assert";
import { createMonitorAgent, type DeviceActivity } from "../../src/agents/builtin/monitor.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ask } from "./calls.ts";

const BUSY: DeviceActivity = {
  cpuPercent: 11.6,
  memoryUsed: 3174,
  memoryTotal: 16_384,
  gpus: [{
    name: "RTX 4090",
    utilizationPercent: 71,
    memoryUsed: 12_288,
    memoryTotal: 24_576,
    temperatureC: 62,
  }],
  diskFree: 122_880,
  diskTotal: 512_000,
  networkReceivedBytesPerSecond: 1_234_567,
  networkSentBytesPerSecond: 30_200,
  uptimeSeconds: (3 * 24 + 4) * 3600 + 59,
  tasksRunning: 2,
  tasksQueued: 0,
};

const UNKNOWN: DeviceActivity = {
  cpuPercent: null,
  memoryUsed: null,
  memoryTotal: null,
  gpus: [],
  diskFree: null,
  diskTotal: null,
  networkReceivedBytesPerSecond: null,
  networkSentBytesPerSecond: null,
  uptimeSeconds: null,
  tasksRunning: null,
  tasksQueued: null,
  missing: { gpus: "nvidia-smi is not installed" },
};

function answer(activity: DeviceActivity) {
  return ask(createMonitorAgent(() => Promise.resolve(activity)), "what about the gpu?");
}

/** A cell of the table of `run --all --agent monitor`. */
async function cell(name: string, activity: Partial<DeviceActivity>): Promise<unknown> {
  const { data } = await answer({ ...BUSY, ...activity });
  return (data as Record<string, unknown>)[name];
}

Deno.test("the monitor is a background agent that may be rerun anywhere", () => {
  const { name, workload, idempotent } = createMonitorAgent(() => Promise.resolve(BUSY));

  assertEquals([name, workload, idempotent], ["monitor", "background", true]);
});

Deno.test("the answer is one line about everything", async () => {
  assertEquals(
    (await answer(BUSY)).output,
    "CPU 12 % · memory 3.1 of 16.0 GB · GPU RTX 4090 71 %, 12.0 of 24.0 GB, 62 °C · " +
      "disk 120 of 500 GB free · network 1.2 MB/s in, 30 kB/s out · 2 tasks running, 0 queued · " +
      "up 3 d 4 h",
  );
});

Deno.test("what is not known is called unknown, and nothing is left out", async () => {
  assertEquals(
    (await answer(UNKNOWN)).output,
    "CPU unknown · memory unknown · GPU unknown · disk unknown · network unknown · " +
      "unknown tasks running, unknown queued · up unknown",
  );
});

Deno.test("the data are cells of a table, the figures, and why some are not known", async () => {
  const { missing, ...figures } = UNKNOWN;

  assertEquals((await answer({ ...BUSY, missing })).data, {
    cpu: "12 %",
    memory: "3.1 of 16.0 GB",
    gpu: "RTX 4090 71 %, 12.0 of 24.0 GB, 62 °C",
    disk: "120 of 500 GB free",
    network: "1.2 MB/s in, 30 kB/s out",
    tasks: "2 running, 0 queued",
    uptime: "3 d 4 h",
    figures: { ...BUSY } as never,
    missing: { gpus: "nvidia-smi is not installed" },
  });
  const { data } = await answer(UNKNOWN);
  assertEquals((data as Record<string, unknown>).figures, figures as never);
});

Deno.test("figures that are known in part are shown in part", async () => {
  assertEquals(await cell("memory", { memoryUsed: null }), "unknown of 16.0 GB");
  assertEquals(await cell("disk", { diskTotal: null }), "120 of unknown GB free");
  assertEquals(
    await cell("network", { networkSentBytesPerSecond: null }),
    "1.2 MB/s in, unknown out",
  );
  assertEquals(await cell("tasks", { tasksQueued: null }), "2 running, unknown queued");
});

Deno.test("a device may have no GPU, or several, with gaps", async () => {
  const gaps = {
    utilizationPercent: null,
    memoryUsed: null,
    memoryTotal: 8192,
    temperatureC: null,
  };

  assertEquals(await cell("gpu", { gpus: [] }), "none");
  assertEquals(
    await cell("gpu", { gpus: [...BUSY.gpus, { name: "T4", ...gaps }] }),
    "RTX 4090 71 %, 12.0 of 24.0 GB, 62 °C; T4 unknown, unknown of 8.0 GB, unknown",
  );
});

Deno.test("one task is one task", async () => {
  const { output } = await answer({ ...BUSY, tasksRunning: 1 });

  assertEquals(output.includes(" · 1 task running, 0 queued · "), true, output);
});

for (
  const [bytes, text] of [
    [0, "0 B/s"],
    [999.4, "999 B/s"],
    [999.6, "1.0 kB/s"],
    [9_949, "9.9 kB/s"],
    [30_200, "30 kB/s"],
    [999_700, "1.0 MB/s"],
    [12_345_678_901, "12 GB/s"],
  ] as const
) {
  Deno.test(`${bytes} bytes a second are ${text}`, async () => {
    assertEquals(
      await cell("network", { networkReceivedBytesPerSecond: bytes }),
      `${text} in, 30 kB/s out`,
    );
  });
}

for (
  const [seconds, text] of [
    [12.7, "12 s"],
    [60, "1 min"],
    [3_599, "59 min"],
    [4 * 3600 + 12 * 60, "4 h 12 min"],
    [86_400, "1 d 0 h"],
  ] as const
) {
  Deno.test(`${seconds} seconds are ${text}`, async () => {
    assertEquals(await cell("uptime", { uptimeSeconds: seconds }), text);
  });
}

Deno.test("a device that cannot be read is the agent's failure", async () => {
  const agent = createMonitorAgent(() => Promise.reject(new Error("no /proc")));

  const error = await assertRejects(() => ask(agent, ""), NetworkError);

  assertEquals([error.code, error.message], ["AGENT_FAILED", 'Agent "monitor" failed: no /proc']);
});
