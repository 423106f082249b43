import { assert, assertEquals } from "@std/assert";
import { type Answer, fakeTools, fixture } from "./fake_tools.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { DeviceReader, type DeviceReaderOptions } from "../../src/device/reading.ts";
import type { SystemPort } from "../../src/device/system.ts";

const MEGABYTE = 2 ** 20;

/** A system whose cores are a quarter busy. */
function quarterBusy(clock: ManualClock): SystemPort {
  return {
    memory: () => Promise.resolve({ total: 1000 * MEGABYTE, available: 400 * MEGABYTE }),
    cpuTimes: () => Promise.resolve({ idle: clock.now() * 0.75, total: clock.now() }),
    loadAverage: () => Promise.resolve(1.5),
    uptime: () => Promise.resolve(3600),
    disk: () => Promise.resolve({ free: 5 * MEGABYTE, total: 10 * MEGABYTE }),
  };
}

const denied: SystemPort = {
  memory: () => Promise.reject(new Error("not allowed; grant it with --allow-sys")),
  cpuTimes: () => Promise.reject(new Error("not allowed; grant it with --allow-sys=cpus")),
  loadAverage: () => Promise.reject(new Error("not allowed")),
  uptime: () => Promise.reject(new Error("not allowed")),
  disk: () => Promise.reject(new Error("not allowed; grant it with --allow-read")),
};

/** A kernel that receives 1000 and sends 500 bytes a second. */
function traffic(clock: ManualClock): string {
  const lines = fixture("linux/proc_net_dev.txt");
  return lines.replace("82632148", String(82632148 + clock.now()))
    .replace("154374", String(154374 + clock.now() / 2));
}

function reader(
  clock: ManualClock,
  answers: Record<string, Answer>,
  more: DeviceReaderOptions = {},
): DeviceReader & { asked: string[] } {
  const fake = fakeTools(answers);
  const run: typeof fake = Object.assign(
    (...[command, args, options]: Parameters<typeof fake>) =>
      command === "cat"
        ? Promise.resolve({ code: 0, stdout: traffic(clock) })
        : fake(command, args, options),
    { asked: fake.asked },
  );
  const options = { run, clock, os: "linux", system: quarterBusy(clock), ...more };
  return Object.assign(new DeviceReader(options), { asked: fake.asked });
}

Deno.test("the first reading takes a short sample of its own", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, { "nvidia-smi": fixture("nvidia_smi/rtx_2060.csv") }).read();
  await clock.advance(200);
  assertEquals(await reading, {
    cpuPercent: 25,
    loadAverage1: 1.5,
    memoryUsed: 600,
    memoryTotal: 1000,
    gpus: [{
      name: "GeForce RTX 2060",
      utilizationPercent: 20,
      memoryUsed: 682,
      memoryTotal: 5934,
      temperatureC: 36,
    }],
    diskFree: 5,
    diskTotal: 10,
    networkReceivedBytesPerSecond: 1000,
    networkSentBytesPerSecond: 500,
    uptimeSeconds: 3600,
    missing: {},
  });
});

Deno.test("later readings measure since the last one and wait for nothing", async () => {
  const clock = new ManualClock();
  const device = reader(clock, {});
  const first = device.read();
  await clock.advance(200);
  await first;
  await clock.advance(5000);
  const before = clock.now();
  assertEquals((await device.read()).cpuPercent, 25);
  assertEquals(clock.now(), before);
});

Deno.test("after a pause of over a minute the old sample is not used", async () => {
  const clock = new ManualClock();
  const device = reader(clock, {});
  const first = device.read();
  await clock.advance(200);
  await first;
  await clock.advance(60_001);
  let done = false;
  const late = device.read().then(() => done = true);
  await clock.advance(199);
  assert(!done, "it answered from a sample of a minute ago");
  await clock.advance(1);
  await late;
});

Deno.test("readings that overlap are one reading", async () => {
  const clock = new ManualClock();
  const device = reader(clock, {});
  const both = Promise.all([device.read(), device.read()]);
  await clock.advance(200);
  const [one, other] = await both;
  assert(one === other);
});

Deno.test("a tool that is not installed is looked for once", async () => {
  const clock = new ManualClock();
  const device = reader(clock, {});
  for (let i = 0; i < 3; i++) {
    const reading = device.read();
    await clock.advance(1000);
    await reading;
  }
  const tools = device.asked.map((line) => line.split(" ")[0]);
  assertEquals(tools.toSorted(), ["nvidia-smi", "rocm-smi"]);
});

Deno.test("what may not be read is null, with the flag that grants it", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, { df: { code: 1, stdout: "" } }, { system: denied }).read();
  await clock.advance(200);
  const { missing, ...figures } = await reading;
  assertEquals(figures, {
    cpuPercent: null,
    loadAverage1: null,
    memoryUsed: null,
    memoryTotal: null,
    gpus: [],
    diskFree: null,
    diskTotal: null,
    networkReceivedBytesPerSecond: 1000,
    networkSentBytesPerSecond: 500,
    uptimeSeconds: null,
  });
  assert(missing["cpuPercent"].includes("--allow-sys=cpus"));
  assert(missing["memoryUsed"].includes("--allow-sys"));
  assert(missing["diskFree"].includes("--allow-read"));
  assert(missing["diskFree"].includes("df failed with exit code 1"));
  assert(missing["gpus"].includes("nvidia-smi is not installed"));
});

Deno.test("the disk is read through df where Deno may not", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, { "df -Pk -- /data": fixture("linux/df.txt") }, {
    system: denied,
    directory: "/data",
  }).read();
  await clock.advance(200);
  assertEquals((await reading).diskFree, Math.round(83549076 / 1024));
});

Deno.test("on Windows there is no load average and no traffic, and the reasons say so", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, {}, { os: "windows" }).read();
  await clock.advance(200);
  const { loadAverage1, networkSentBytesPerSecond, missing } = await reading;
  assertEquals([loadAverage1, networkSentBytesPerSecond], [null, null]);
  assertEquals(missing["loadAverage1"], "Windows has no load average");
  assert(missing["networkSentBytesPerSecond"].includes("windows"));
});

Deno.test("on a Mac the traffic comes from netstat", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, { netstat: fixture("macos/netstat_ib.txt") }, { os: "darwin" })
    .read();
  await clock.advance(200);
  const { networkReceivedBytesPerSecond, missing } = await reading;
  assertEquals(networkReceivedBytesPerSecond, 0);
  assert(missing["gpus"].includes("powermetrics"));
});

Deno.test("figures that a GPU's tool leaves out have a reason each", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, {
    "nvidia-smi": fixture("nvidia_smi/orin.csv"),
    "rocm-smi": fixture("amd/rocm_navi_31.txt"),
  }).read();
  await clock.advance(200);
  const { gpus, missing } = await reading;
  assertEquals(gpus.map(({ temperatureC }) => temperatureC), [null, 46]);
  assert(missing["gpus.0.temperatureC"]);
  assert(missing["gpus.1.memoryTotal"]);
  assert(missing["gpus.1.temperatureC"] === undefined);
});

Deno.test("a tool that hangs holds a reading up for its timeout and no longer", async () => {
  const clock = new ManualClock();
  const reading = reader(clock, { "nvidia-smi": "never" }, { timeoutMs: 500 }).read();
  await clock.advance(750);
  const { gpus, cpuPercent, missing } = await reading;
  assertEquals([gpus, cpuPercent], [[], 25]);
  assert(missing["gpus"].includes("did not answer within 500 ms"));
});

Deno.test("counters that went back are not a negative rate", async () => {
  const clock = new ManualClock();
  let bytes = 1_000_000;
  const run = fakeTools({});
  const device = new DeviceReader({
    run: (command, args, options) =>
      command === "cat"
        ? Promise.resolve({
          code: 0,
          stdout: fixture("linux/proc_net_dev.txt").replace("82632148", String(bytes)),
        })
        : run(command, args, options),
    clock,
    os: "linux",
    system: quarterBusy(clock),
  });
  const first = device.read();
  await clock.advance(200);
  await first;
  bytes = 10;
  await clock.advance(1000);
  const { networkReceivedBytesPerSecond } = await device.read();
  assertEquals(networkReceivedBytesPerSecond, 0);
});

Deno.test("this machine can be read", async () => {
  const reading = await new DeviceReader({ sampleMs: 20 }).read();
  for (const [field, value] of Object.entries(reading)) {
    assert(value !== null || field in reading.missing, `${field} is null without a reason`);
  }
  assert(reading.memoryTotal !== null && reading.memoryTotal > 0);
});
