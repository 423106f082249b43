import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { type Answer, fakeTools, fixture } from "./fake_tools.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import {
  type CapabilityOverrides,
  deviceCapabilitiesSchema,
} from "../../src/device/capabilities.ts";
import {
  detectDevice,
  detectDeviceCapabilities,
  type DetectOptions,
  type DeviceReport,
} from "../../src/device/detect.ts";
import { ConditionReader } from "../../src/device/condition.ts";
import { DeviceReader, type DeviceReading } from "../../src/device/reading.ts";
import { TOOLS } from "../../src/device/tools.ts";
import { anyText } from "../support/any_text.ts";
import { withTools } from "../support/tools.ts";

const GIGABYTE = 2 ** 30;

function options(os: string, answers: Record<string, Answer>): DetectOptions {
  return {
    os,
    arch: os === "darwin" ? "aarch64" : "x86_64",
    cores: 8,
    memoryInfo: () => ({ total: 16 * GIGABYTE }),
    run: fakeTools(answers),
  };
}

const denied = (command: string) =>
  new NetworkError("PERMISSION_DENIED", `Cannot run ${command}: not allowed.`);

Deno.test("a Mac is known with its chip, its unified memory and the specification's rates", async () => {
  const { capabilities } = await detectDevice(options("darwin", {
    system_profiler: fixture("macos/m2_pro.txt"),
    sysctl: fixture("macos/sysctl_m1_pro.txt").replace("M1 Pro", "M2 Pro"),
  }));
  assertEquals(capabilities, {
    model: "MacBook Pro (Mac14,10)",
    chip: "Apple M2 Pro",
    memory: 16384,
    vram: null,
    unifiedMemory: true,
    flops: { fp32: 6.75, fp16: 13.49, int8: 26.98 },
    cores: 8,
    gpus: [{
      name: "Apple M2 Pro",
      vendor: "apple",
      memory: null,
      unified: true,
      flops: { fp32: 6.75, fp16: 13.49, int8: 26.98 },
    }],
    os: "darwin",
    arch: "aarch64",
  });
});

Deno.test("a Mac without system_profiler still has its chip and rates, from sysctl", async () => {
  const { capabilities, missing } = await detectDevice(
    options("darwin", { sysctl: fixture("macos/sysctl_m1_pro.txt") }),
  );
  assertEquals(capabilities.chip, "Apple M1 Pro");
  assertEquals(capabilities.flops.fp16, 10.6);
  assertEquals([capabilities.unifiedMemory, capabilities.vram], [true, null]);
  assert(missing["gpus"].includes("system_profiler"));
});

Deno.test("a virtual Mac has no rates, because its GPU is not the chip's", async () => {
  const { capabilities, missing } = await detectDevice(
    options("darwin", { system_profiler: fixture("macos/virtual_hardware.txt") }),
  );
  assertEquals(capabilities.chip, "Apple M4 Max (Virtual)");
  assertEquals(capabilities.flops.fp16, null);
  assert(missing["flops.fp16"] !== undefined);
});

Deno.test("a GPU server's memory adds up and its rates are those of one card", async () => {
  const { capabilities, sources } = await detectDevice(options("linux", {
    "nvidia-smi": fixture("nvidia_smi/two_rtx_4090.csv"),
    lscpu: fixture("linux/lscpu_flat.txt"),
  }));
  assertEquals(capabilities.chip, "NVIDIA GeForce RTX 4090");
  assertEquals(capabilities.vram, 49128);
  assertEquals(capabilities.flops, { fp32: 82.58, fp16: 165.16, int8: 330.32 });
  assertEquals([capabilities.unifiedMemory, capabilities.memory], [false, 16384]);
  assertEquals(capabilities.gpus.length, 2);
  assert(sources["chip"].startsWith("nvidia-smi --query-gpu=name,memory.total"));
  assert(sources["flops.fp16"].startsWith("chip table: "));
  assertEquals(sources["memory"], "Deno.systemMemoryInfo");
});

Deno.test("the faster of two different cards gives the rates", async () => {
  const capabilities = await detectDeviceCapabilities(options("linux", {
    "nvidia-smi": "NVIDIA GeForce RTX 3080, 10240, 0, 1, 30\n" +
      "NVIDIA GeForce RTX 4090, 24564, 0, 1, 30\nNVIDIA Home-made, 99999, 0, 1, 30\n",
  }));
  assertEquals(capabilities.chip, "NVIDIA GeForce RTX 4090");
  assertEquals(capabilities.flops.fp32, 82.58);
});

Deno.test("a Jetson takes its rates from its board, and its GPU shares the RAM", async () => {
  const { capabilities, missing } = await detectDevice(options("linux", {
    "cat /proc/device-tree/model": "NVIDIA Orin NX Developer Kit\0",
    "nvidia-smi": fixture("nvidia_smi/orin.csv"),
  }));
  assertEquals(capabilities.model, "NVIDIA Orin NX Developer Kit");
  assertEquals(capabilities.chip, "Jetson Orin NX");
  assertEquals(capabilities.flops, { fp32: 1.88, fp16: 15, int8: 30 });
  assertEquals(capabilities.gpus[0], {
    name: "Orin (nvgpu)",
    vendor: "nvidia",
    memory: null,
    unified: true,
    flops: { fp32: 1.88, fp16: 15, int8: 30 },
  });
  assertEquals([capabilities.vram, capabilities.unifiedMemory], [null, true]);
  assert(missing["vram"].includes("unified memory"));
});

Deno.test("a GB10 is known by nvidia-smi alone", async () => {
  const capabilities = await detectDeviceCapabilities(options("linux", {
    "nvidia-smi": fixture("nvidia_smi/gb10.csv"),
    lscpu: fixture("linux/lscpu_nested.txt"),
  }));
  assertEquals(capabilities.chip, "NVIDIA GB10");
  assertEquals([capabilities.unifiedMemory, capabilities.flops.fp16], [true, 125]);
});

Deno.test("a Raspberry Pi has 0.1 TFLOPS and says why the other rates are unknown", async () => {
  const { capabilities, missing, sources } = await detectDevice(options("linux", {
    "cat /proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    lscpu: JSON.stringify({ lscpu: [{ field: "Model name:", data: "Cortex-A72" }] }),
  }));
  assertEquals(capabilities.model, "Raspberry Pi 4 Model B Rev 1.4");
  assertEquals(capabilities.chip, "Raspberry Pi 4");
  assertEquals(capabilities.flops, { fp32: 0.1, fp16: null, int8: null });
  assertEquals(missing["flops.fp16"], "the chip's maker publishes no such rate");
  assertEquals(sources["chip"], "cat /proc/device-tree/model");
});

Deno.test("an AMD card is known through rocm-smi, amd-smi or lspci, whichever is there", async () => {
  const rocm = options("linux", { "rocm-smi": fixture("amd/rocm_rx_7900_xt.txt") });
  const { gpus, vram } = await detectDeviceCapabilities(rocm);
  assertEquals([gpus[0].name, gpus[0].flops.fp32, vram], ["Radeon RX 7900 XT", 51.5, 20464]);

  const amd = options("linux", { "amd-smi": fixture("amd/amd_smi_mi210.txt") });
  assertEquals((await detectDeviceCapabilities(amd)).flops.fp16, 181);

  const pci = await detectDevice(options("linux", { lspci: fixture("linux/lspci_radeon.txt") }));
  assertEquals(pci.capabilities.flops.fp32, 51.5);
  assert(pci.sources["flops.fp32"].includes("the slowest of"));
  assert(pci.missing["gpus.0.memory"].includes("lspci"));
});

Deno.test("a processor with graphics says which graphics they are", async () => {
  const { capabilities } = await detectDevice(options("linux", {
    "rocm-smi": fixture("amd/rocm_phoenix.txt"),
    lscpu: JSON.stringify({
      lscpu: [{ field: "Model name:", data: "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics" }],
    }),
  }));
  assertEquals(capabilities.gpus[0].name, "Phoenix3");
  assertEquals([capabilities.unifiedMemory, capabilities.flops.fp32], [true, 8.29]);
  assertEquals(capabilities.chip, "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics");
});

Deno.test("what the firmware sets aside for a processor's graphics is no memory of their own", async () => {
  const { capabilities, missing } = await detectDevice(options("linux", {
    "rocm-smi": JSON.stringify({
      card0: { "Card Series": "AMD Radeon Graphics", "VRAM Total Memory (B)": "536870912" },
    }),
    lscpu: JSON.stringify({
      lscpu: [{ field: "Model name:", data: "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S" }],
    }),
  }));
  assertEquals(capabilities.gpus[0].memory, null);
  assertEquals([capabilities.vram, capabilities.unifiedMemory], [null, true]);
  assertEquals(capabilities.flops.fp32, 29.7);
  assert(missing["vram"].includes("unified memory"));
});

Deno.test("a card beside a processor with graphics keeps its own rates and memory", async () => {
  const { gpus, vram, unifiedMemory } = await detectDeviceCapabilities(options("linux", {
    "rocm-smi": fixture("amd/rocm_rx_7900_xt.txt"),
    lscpu: JSON.stringify({
      lscpu: [{ field: "Model name:", data: "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics" }],
    }),
  }));
  assertEquals([gpus[0].flops.fp32, vram, unifiedMemory], [51.5, 20464, false]);
});

Deno.test("a laptop's NVIDIA GPU and Intel graphics are told apart on Windows", async () => {
  const { capabilities } = await detectDevice(options("windows", {
    "nvidia-smi": "NVIDIA GeForce RTX 3050 Laptop GPU, 4096, 0, 0, 45\r\n",
    powershell: fixture("windows/laptop.txt"),
  }));
  assertEquals(capabilities.model, "LENOVO 82RG");
  assertEquals(capabilities.gpus.map(({ name, memory }) => [name, memory]), [
    ["NVIDIA GeForce RTX 3050 Laptop GPU", 4096],
    ["Intel(R) UHD Graphics", null],
  ]);
  assertEquals([capabilities.vram, capabilities.unifiedMemory], [4096, false]);
});

Deno.test("a Windows PC without nvidia-smi keeps its card's name and rates", async () => {
  const { capabilities, missing } = await detectDevice(
    options("windows", { powershell: fixture("windows/laptop.txt") }),
  );
  assertEquals(capabilities.chip, "NVIDIA GeForce RTX 3050 Laptop GPU");
  assert((capabilities.flops.fp32 ?? 0) > 5);
  assertEquals(capabilities.vram, null);
  assert(missing["gpus.1.memory"].includes("4 GB"));
});

Deno.test("nvidia-smi that hangs costs only its own figures", async () => {
  const clock = new ManualClock();
  const detecting = detectDevice({
    ...options("linux", {
      "nvidia-smi": "never",
      lspci: fixture("linux/lspci_desktop.txt"),
      lscpu: fixture("linux/lscpu_flat.txt"),
    }),
    clock,
  });
  await clock.advance(2500);
  const { capabilities, missing, durationMs } = await detecting;
  assertEquals(capabilities.chip, "NVIDIA GeForce RTX 3080 Ti");
  assert(capabilities.flops.fp32 !== null);
  assertEquals(capabilities.memory, 16384);
  assertEquals(capabilities.gpus.map(({ memory }) => memory), [null, null]);
  assert(missing["gpus.1.memory"].includes("lspci"));
  assert(durationMs <= 2500, `took ${durationMs} ms`);
});

Deno.test("with every tool hanging, detection still ends, after one timeout", async () => {
  for (const os of ["linux", "darwin", "windows"]) {
    const clock = new ManualClock();
    const tools = ["nvidia-smi", "rocm-smi", "amd-smi", "lscpu", "lspci", "cat", "sysctl"];
    const hung = [...tools, "system_profiler", "powershell"].map((tool) => [tool, "never"]);
    const detecting = detectDevice({
      ...options(os, Object.fromEntries(hung)),
      clock,
      timeoutMs: 100,
    });
    // 250 ms are for a runner that does not keep the time itself; PowerShell has three times 100.
    await clock.advance(os === "windows" ? 550 : 350);
    const { capabilities, missing } = await detecting;
    assertEquals(capabilities.gpus, []);
    assert(missing["gpus"].includes("did not answer within"), missing["gpus"]);
    assertExplained({ capabilities, missing, sources: {}, durationMs: 0 }, "missing only");
  }
});

Deno.test("a driver that is not loaded is named in the reason", async () => {
  const { missing } = await detectDevice(options("linux", {
    "nvidia-smi": { code: 9, stdout: fixture("nvidia_smi/no_driver.txt") },
  }));
  assert(missing["gpus"].includes("exit code 9: NVIDIA-SMI has failed because"), missing["gpus"]);
});

Deno.test("a reason names the flag that would grant a tool, or where the tool comes from", async () => {
  const { capabilities, missing } = await detectDevice({
    ...options("linux", {
      "nvidia-smi": denied("nvidia-smi"),
      lscpu: denied("lscpu"),
      cat: denied("cat"),
    }),
    memoryInfo: () => Promise.reject(new Error("not allowed; grant it with --allow-sys")),
  });
  assertEquals([capabilities.chip, capabilities.memory, capabilities.vram], [null, null, null]);
  assert(missing["gpus"].includes("--allow-run=nvidia-smi"));
  assert(missing["gpus"].includes("lspci is not installed"));
  assert(missing["gpus"].includes("pciutils"));
  assert(missing["chip"].includes("--allow-run=lscpu"));
  assert(missing["memory"].includes("--allow-sys"));
});

Deno.test("the RAM comes from the system's tool when Deno may not say", async () => {
  const { capabilities, sources } = await detectDevice({
    ...options("darwin", { sysctl: fixture("macos/sysctl_m1_pro.txt") }),
    memoryInfo: () => Promise.reject(new Error("not allowed")),
  });
  assertEquals(capabilities.memory, 16384);
  assert(sources["memory"].startsWith("sysctl"));
});

Deno.test("an operating system that is not known is said to be so", async () => {
  const run = fakeTools({});
  const { capabilities, missing } = await detectDevice({ ...options("plan9", {}), run });
  assertEquals([capabilities.os, capabilities.model, run.asked], ["plan9", null, []]);
  assert(missing["gpus"].includes("not known how to ask"));
});

Deno.test("an override takes the place of what was found, and its origin says so", async () => {
  const { capabilities, sources } = await detectDevice({
    ...options("linux", { "nvidia-smi": fixture("nvidia_smi/rtx_2060.csv") }),
    overrides: { chip: "Apple M3 Max", memory: 65536 },
  });
  assertEquals(capabilities.gpus.map(({ name }) => name), ["Apple M3 Max"]);
  assertEquals([capabilities.memory, capabilities.unifiedMemory], [65536, true]);
  assertEquals([sources["memory"], sources["chip"]], ["option", "option"]);
});

Deno.test("a caller that gives up gets CANCELLED", async () => {
  const controller = new AbortController();
  const detecting = detectDevice({ signal: controller.signal });
  controller.abort();
  assertEquals((await assertRejects(() => detecting, NetworkError)).code, "CANCELLED");
});

Deno.test("this machine is detected, in a form that passes the wire", async () => {
  const report = await detectDevice();
  const wire = JSON.parse(JSON.stringify(report.capabilities));
  assertEquals(deviceCapabilitiesSchema.parse(wire), report.capabilities);
  assertExplained(report);
});

Deno.test("the tools that are named as such are those that are asked", async () => {
  for (const [os, tools] of Object.entries(TOOLS)) {
    const run = fakeTools({});
    const clock = new ManualClock();
    await detectDevice({ ...options(os, {}), run });
    const reading = new DeviceReader({ os, run, clock }).read();
    await clock.advance(1_000);
    await reading;
    await new ConditionReader({ os, run, clock }).read();
    const asked = new Set(run.asked.map((line) => line.split(" ")[0]));
    assertEquals([...asked].sort(), [...tools], os);
  }
});

Deno.test("without any permission nothing is asked and every figure says which flag it needs", async () => {
  const names = Deno.build.os === "linux" ? TOOLS.linux : [];
  const { stdout, code } = await withTools(names, (PATH) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-lock",
        "--quiet",
        new URL("./print_report.ts", import.meta.url).href,
      ],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...(names.length > 0 && { PATH }) },
      stderr: "inherit",
    }).output());
  assertEquals(code, 0);
  const { report, reading }: { report: DeviceReport; reading: DeviceReading } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  assertEquals(report.capabilities.memory, null);
  assert(report.missing["memory"].includes("--allow-sys=systemMemoryInfo"));
  if (Deno.build.os === "linux") {
    assert(report.missing["gpus"].includes("--allow-run=nvidia-smi"));
    assert(report.missing["chip"].includes("--allow-run=lscpu"));
    assert(reading.missing["networkSentBytesPerSecond"].includes("--allow-run=cat"));
  }
  assertExplained(report);
  assertEquals([reading.cpuPercent, reading.diskFree, reading.uptimeSeconds], [null, null, null]);
  assert(reading.missing["cpuPercent"].includes("--allow-sys=cpus"));
  assert(reading.missing["diskFree"].includes("--allow-sys=statfs"));
});

Deno.test("whatever the tools do, each figure has an origin and each null a reason", async () => {
  const answer = fc.oneof(
    fc.constantFrom<Answer>(
      "",
      "{}",
      { code: 1, stdout: "failed" },
      denied("x"),
      new NetworkError("NOT_FOUND", "x"),
      new NetworkError("DEADLINE_EXCEEDED", "x"),
      ...[
        "nvidia_smi/two_rtx_4090.csv",
        "nvidia_smi/orin.csv",
        "nvidia_smi/no_devices.txt",
        "amd/rocm_rx_7900_xt.txt",
        "amd/rocm_phoenix.txt",
        "amd/amd_smi_mi210.txt",
        "macos/m2_pro.txt",
        "macos/m1_displays.txt",
        "macos/m4_hardware.txt",
        "macos/sysctl_m1_pro.txt",
        "linux/lscpu_flat.txt",
        "linux/lspci_laptop.txt",
        "linux/lspci_radeon.txt",
        "windows/laptop.txt",
        "windows/radeon.txt",
      ].map(fixture),
      "Raspberry Pi 5 Model B Rev 1.0\0",
    ),
    anyText(),
  );
  const tools = ["nvidia-smi", "rocm-smi", "amd-smi", "lspci", "lscpu", "cat", "sysctl"];
  const tool = fc.constantFrom(...tools, "system_profiler", "powershell");
  const answers = fc.dictionary(tool, answer);
  const flops = fc.record({
    fp16: fc.constantFrom(1, null),
    int8: fc.constant(2),
  }, { requiredKeys: [] });
  const overrides: fc.Arbitrary<CapabilityOverrides> = fc.record({
    chip: fc.constantFrom("RTX 4090", "Raspberry Pi", "Apple M3", "Abacus", null),
    memory: fc.constantFrom(1, null),
    vram: fc.constantFrom(7, null),
    flops,
    gpus: fc.array(
      fc.record({ name: fc.constantFrom("RTX 3080", "Abacus"), flops }, { requiredKeys: ["name"] }),
      { maxLength: 2 },
    ),
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("linux", "darwin", "windows"),
      answers,
      overrides,
      async (os, found, written) => {
        const report = await detectDevice({ ...options(os, found), overrides: written });
        assertExplained(report);
        assert(deviceCapabilitiesSchema.safeParse(report.capabilities).success);
      },
    ),
    { numRuns: 300 },
  );
});

/** Each leaf has a source or, when it is null, a reason; nothing else has either. */
function assertExplained(report: DeviceReport, only?: "missing only"): void {
  const { capabilities, sources, missing } = report;
  const leaves = new Map<string, unknown>();
  const walk = (value: unknown, path: string) => {
    if (typeof value === "object" && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        walk(inner, path === "" ? key : `${path}.${key}`);
      }
    } else leaves.set(path, value);
  };
  walk(capabilities, "");
  for (const [path, value] of leaves) {
    if (value === null) assert(missing[path], `${path} is null without a reason`);
    else {
      assert(missing[path] === undefined, `${path} is ${value} and missing: ${missing[path]}`);
      if (only === undefined) assert(sources[path], `${path} is ${value} without a source`);
    }
  }
  if (capabilities.gpus.length === 0) assert(missing["gpus"], "no GPU, and no reason");
  for (const path of [...Object.keys(sources), ...Object.keys(missing)]) {
    assert(path === "gpus" || leaves.has(path), `${path} is explained and not there`);
  }
}
