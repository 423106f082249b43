import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fixture } from "./fake_tools.ts";
import { parseDf, parseNetstat, parseProcNetDev } from "../../src/device/counters.ts";
import { parseDeviceTreeModel, parseDmi, parseLscpu, parseLspci } from "../../src/device/linux.ts";
import { parseSysctl, parseSystemProfiler } from "../../src/device/macos.ts";
import { parseNvidiaSmi, sharesMemory } from "../../src/device/nvidia_smi.ts";
import { parseAmdSmi, parseRocmSmi } from "../../src/device/rocm_smi.ts";
import { parseWindowsProfile } from "../../src/device/windows.ts";
import { anyText } from "../support/any_text.ts";

const noFigures = { utilizationPercent: null, memoryUsed: null, temperatureC: null };

Deno.test("nvidia-smi's cards are read with all their figures", () => {
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/two_rtx_4090.csv")), [
    {
      name: "NVIDIA GeForce RTX 4090",
      memory: 24564,
      utilizationPercent: 75,
      memoryUsed: 12282,
      temperatureC: 65,
    },
    {
      name: "NVIDIA GeForce RTX 4090",
      memory: 24564,
      utilizationPercent: 45,
      memoryUsed: 8192,
      temperatureC: 60,
    },
  ]);
});

Deno.test("figures that nvidia-smi has not are null, not 0", () => {
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/orin.csv")), [
    { name: "Orin (nvgpu)", memory: null, ...noFigures },
  ]);
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/gb10.csv")), [
    {
      name: "NVIDIA GB10",
      memory: null,
      utilizationPercent: 0,
      memoryUsed: null,
      temperatureC: 38,
    },
  ]);
  assertEquals(
    parseNvidiaSmi(fixture("nvidia_smi/a800_mig.csv"))?.[0].utilizationPercent,
    null,
  );
  assertEquals(parseNvidiaSmi("GeForce GT 710, 2004, [Not Supported], 0, 44\r\n")?.[0], {
    name: "GeForce GT 710",
    memory: 2004,
    utilizationPercent: null,
    memoryUsed: 0,
    temperatureC: 44,
  });
});

Deno.test("systems on a chip are known as such by nvidia-smi's names", () => {
  for (const name of ["Orin (nvgpu)", "NVIDIA Thor", "NVIDIA GB10"]) assert(sharesMemory(name));
  assert(!sharesMemory("NVIDIA GeForce RTX 4090"));
});

Deno.test("nvidia-smi without a GPU gives an empty list, with an error nothing", () => {
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/no_devices.txt")), []);
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/no_driver.txt")), null);
  assertEquals(parseNvidiaSmi(fixture("nvidia_smi/version_mismatch.txt")), null);
  assertEquals(parseNvidiaSmi(""), null);
  assertEquals(parseNvidiaSmi("NVIDIA GeForce RTX 4090, 245"), null);
});

Deno.test("a line that nvidia-smi broke off costs only itself", () => {
  const whole = fixture("nvidia_smi/two_rtx_4090.csv");
  assertEquals(parseNvidiaSmi(whole.slice(0, 60))?.length, 1);
});

Deno.test("a GPU's name cannot carry escape sequences or direction marks", () => {
  const gpus = parseNvidiaSmi("\x1b[31mRTX\u202e 4090\x07, 24564, 0, 0, 40");
  assertEquals(gpus?.[0].name, "[31mRTX 4090");
});

Deno.test("rocm-smi's cards are read, in the spelling of each version", () => {
  assertEquals(parseRocmSmi(fixture("amd/rocm_rx_7900_xt.txt")), [{
    name: "Radeon RX 7900 XT",
    memory: 20464,
    utilizationPercent: 0,
    memoryUsed: 27,
    temperatureC: null,
  }]);
  assertEquals(parseRocmSmi(fixture("amd/rocm_navi_31.txt")), [{
    name: "Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M",
    memory: null,
    utilizationPercent: 1,
    memoryUsed: null,
    temperatureC: 46,
  }]);
  assertEquals(parseRocmSmi(fixture("amd/rocm_phoenix.txt"))?.[0].name, "Phoenix3");
  assertEquals(
    parseRocmSmi(fixture("amd/rocm_mi200.txt"))?.[0].name,
    "AMD INSTINCT MI200 (MCM) OAM LC MBA HPE C2",
  );
  const old = `{"card0": {"Card series": "0x738c", "Card model": "0xc34"}}`;
  assertEquals(parseRocmSmi(old)?.[0].name, "AMD GPU");
});

Deno.test("warnings around rocm-smi's JSON do not hide it", () => {
  const noisy = `WARNING: AMD GPU device(s) is/are in a low-power state.\n\n${
    fixture("amd/rocm_rx_7900_xt.txt")
  }\nbye`;
  assertEquals(parseRocmSmi(noisy)?.length, 1);
});

Deno.test("rocm-smi without a card gives an empty list, with no JSON nothing", () => {
  assertEquals(parseRocmSmi(`{"system": {"Driver version": "6.7.0"}}`), []);
  assertEquals(
    parseRocmSmi("ERROR:root:Driver not initialized (amdgpu not found in modules)"),
    null,
  );
  assertEquals(parseRocmSmi(fixture("amd/rocm_rx_7900_xt.txt").slice(0, 100)), null);
  assertEquals(parseRocmSmi(""), null);
});

Deno.test("amd-smi's cards are read, in a list or under gpu_data", () => {
  const expected = [{ name: "AMD Instinct MI210", memory: 65520, ...noFigures }];
  const text = fixture("amd/amd_smi_mi210.txt");
  assertEquals(parseAmdSmi(text), expected);
  assertEquals(parseAmdSmi(JSON.stringify(JSON.parse(text).gpu_data)), expected);
  assertEquals(parseAmdSmi(`[{"gpu": 2, "asic": "N/A", "vram": {"size": "N/A"}}]`), [
    { name: "AMD GPU", memory: null, ...noFigures },
  ]);
  assertEquals(parseAmdSmi("{}"), null);
});

Deno.test("a Mac is read from system_profiler", () => {
  assertEquals(parseSystemProfiler(fixture("macos/m2_pro.txt")), {
    model: "MacBook Pro (Mac14,10)",
    chip: "Apple M2 Pro",
    memory: 16384,
    gpus: [{ name: "Apple M2 Pro", vendor: "apple", memory: null, unified: true }],
  });
});

Deno.test("one section of system_profiler is enough for what it says", () => {
  assertEquals(parseSystemProfiler(fixture("macos/m4_hardware.txt")), {
    model: "MacBook Air (Mac16,12)",
    chip: "Apple M4",
    memory: 16384,
    gpus: [],
  });
  const displays = parseSystemProfiler(fixture("macos/m3_pro_displays.txt"));
  assertEquals(displays?.gpus.map(({ name }) => name), ["Apple M3 Pro"]);
  assertEquals(displays?.chip, null);
});

Deno.test("an internal key in the place of a GPU's name gives way to the model", () => {
  assertEquals(parseSystemProfiler(fixture("macos/m1_displays.txt"))?.gpus[0].name, "Apple M1");
});

Deno.test("an Intel Mac's card has memory of its own, its integrated graphics have none", () => {
  const profile = parseSystemProfiler(JSON.stringify({
    SPHardwareDataType: [{ cpu_type: "6-Core Intel Core i7", physical_memory: "1.5 TB" }],
    SPDisplaysDataType: [
      { sppci_model: "Intel UHD Graphics 630", spdisplays_vram_shared: "1536 MB" },
      { sppci_model: "AMD Radeon Pro 5300M", spdisplays_vram: "4 GB" },
      { sppci_model: "AMD Radeon Pro 560X", _spdisplays_vram: "4096 MB" },
      { sppci_model: "AMD Radeon Pro 580" },
    ],
  }));
  assertEquals(profile?.memory, 1.5 * 1024 * 1024);
  assertEquals(profile?.gpus.map(({ memory, unified }) => [memory, unified]), [
    [null, true],
    [4096, false],
    [4096, false],
    [null, false],
  ]);
  assert(profile?.gpus[3].memoryReason?.includes("system_profiler"));
});

Deno.test("system_profiler's output that is broken off or something else gives nothing", () => {
  assertEquals(parseSystemProfiler(fixture("macos/m2_pro.txt").slice(0, 200)), null);
  assertEquals(parseSystemProfiler("{}"), null);
  assertEquals(parseSystemProfiler(""), null);
  assertEquals(parseSystemProfiler(`{"SPHardwareDataType": [7], "SPDisplaysDataType": "x"}`), {
    model: null,
    chip: null,
    memory: null,
    gpus: [],
  });
});

Deno.test("sysctl's lines are read, each for itself", () => {
  assertEquals(parseSysctl(fixture("macos/sysctl_m1_pro.txt")), {
    model: "MacBookPro18,1",
    chip: "Apple M1 Pro",
    memory: 16384,
  });
  assertEquals(parseSysctl("hw.memsize: lots\n"), { model: null, chip: null, memory: null });
  assertEquals(parseSysctl("sysctl: unknown oid 'hw.model'"), null);
});

Deno.test("lscpu gives the processor's name, flat or nested", () => {
  assertEquals(parseLscpu(fixture("linux/lscpu_flat.txt")), "Intel(R) Xeon(R) Processor");
  assertEquals(parseLscpu(fixture("linux/lscpu_nested.txt")), "Cortex-X925 + Cortex-A725");
  assertEquals(parseLscpu(`{"lscpu": [{"field": "Model name:", "data": "-"}]}`), null);
  assertEquals(parseLscpu(fixture("linux/lscpu_flat.txt").slice(0, 500)), null);
  assertEquals(parseLscpu(""), null);
});

Deno.test("a device tree's model ends at its NUL", () => {
  assertEquals(
    parseDeviceTreeModel("Raspberry Pi 5 Model B Rev 1.0\0"),
    "Raspberry Pi 5 Model B Rev 1.0",
  );
  assertEquals(
    parseDeviceTreeModel("NVIDIA Orin NX Developer Kit\0junk"),
    "NVIDIA Orin NX Developer Kit",
  );
  assertEquals(parseDeviceTreeModel("\0"), null);
  assertEquals(parseDeviceTreeModel(""), null);
});

Deno.test("what a PC's maker left unfilled is no model", () => {
  assertEquals(parseDmi("HP\nHP EliteDesk 800 G4 SFF\n"), "HP EliteDesk 800 G4 SFF");
  assertEquals(
    parseDmi("QEMU\nStandard PC (Q35 + ICH9, 2009)\n"),
    "QEMU Standard PC (Q35 + ICH9, 2009)",
  );
  assertEquals(parseDmi("To Be Filled By O.E.M.\nTo Be Filled By O.E.M.\n"), null);
  assertEquals(parseDmi("System manufacturer\nSystem Product Name\n"), null);
});

Deno.test("lspci gives the GPUs of a laptop, a desktop and a Radeon", () => {
  const names = (file: string) => parseLspci(fixture(file))?.map(({ name }) => name);
  assertEquals(names("linux/lspci_laptop.txt"), ["Intel UHD Graphics"]);
  assertEquals(names("linux/lspci_desktop.txt"), [
    "Intel AlderLake-S GT1",
    "NVIDIA GeForce RTX 3080 Ti",
  ]);
  assertEquals(names("linux/lspci_radeon.txt"), ["AMD Radeon RX 7900 XT/7900 XTX"]);
});

Deno.test("a server's console chip is no GPU, and no output is no answer", () => {
  const console =
    "07:00.0 VGA compatible controller: ASPEED Technology, Inc. ASPEED Graphics Family";
  assertEquals(parseLspci(console), []);
  assertEquals(parseLspci(" \n"), null);
});

Deno.test("an Intel card has memory of its own", () => {
  const [gpu] = parseLspci(
    "03:00.0 VGA compatible controller: Intel Corporation DG2 [Arc A770] (rev 08)",
  ) ?? [];
  assertEquals([gpu.name, gpu.unified], ["Intel Arc A770", false]);
});

Deno.test("a PC is read from PowerShell, and 4 GB of AdapterRAM is not believed", () => {
  assertEquals(parseWindowsProfile(fixture("windows/laptop.txt")), {
    model: "LENOVO 82RG",
    processor: "12th Gen Intel(R) Core(TM) i5-12450H",
    memory: 16106,
    gpus: [
      { name: "Intel(R) UHD Graphics", vendor: "intel", memory: null, unified: true },
      {
        name: "NVIDIA GeForce RTX 3050 Laptop GPU",
        vendor: "nvidia",
        memory: null,
        unified: null,
        memoryReason: "Win32_VideoController cannot express 4 GB or more",
      },
    ],
  });
});

Deno.test("on Windows the driver's own figure counts, as a number or as bytes", () => {
  const profile = parseWindowsProfile(fixture("windows/radeon.txt"));
  assertEquals(profile?.gpus, [
    { name: "AMD Radeon RX 9070", vendor: "amd", memory: 16304, unified: null },
  ]);
  const asBytes = parseWindowsProfile(JSON.stringify({
    video: { Name: "AMD Radeon RX 580", AdapterRAM: null },
    drivers: {
      DriverDesc: "AMD Radeon RX 580",
      "HardwareInformation.qwMemorySize": [0, 0, 0, 0, 2, 0, 0, 0],
    },
  }));
  assertEquals(asBytes?.gpus[0].memory, 8192);
  const small = parseWindowsProfile(
    `{"video": [{"Name": "AMD Radeon R7", "AdapterRAM": 2147483648}]}`,
  );
  assertEquals(small?.gpus[0].memory, 2048);
});

Deno.test("PowerShell's output that is broken off or empty gives nothing", () => {
  assertEquals(parseWindowsProfile(fixture("windows/laptop.txt").slice(0, 90)), null);
  assertEquals(parseWindowsProfile(""), null);
  assertEquals(parseWindowsProfile("{}"), { model: null, processor: null, memory: null, gpus: [] });
});

Deno.test("traffic is counted by interface, without the loopback", () => {
  assertEquals(
    parseProcNetDev(fixture("linux/proc_net_dev.txt")),
    new Map([
      ["ifb0", { received: 0, sent: 0 }],
      ["eth0", { received: 82632148, sent: 154374 }],
    ]),
  );
  assertEquals(
    parseNetstat(fixture("macos/netstat_ib.txt")),
    new Map([
      ["gif0", { received: 0, sent: 0 }],
      ["stf0", { received: 0, sent: 0 }],
      ["en0", { received: 13309516362, sent: 11363839527 }],
    ]),
  );
  assertEquals(parseProcNetDev("Inter-| Receive"), null);
  assertEquals(parseNetstat("netstat: sysctl: net.routetable.0: Operation not permitted"), null);
});

Deno.test("disk space is read from df, of Linux and of macOS", () => {
  assertEquals(parseDf(fixture("linux/df.txt")), {
    total: 264212084 * 1024,
    free: 83549076 * 1024,
  });
  assertEquals(parseDf(fixture("macos/df.txt"))?.free, 119970448 * 1024);
  assertEquals(parseDf("Filesystem 1024-blocks Used Available Capacity Mounted on\n"), null);
});

const PARSERS: Record<string, (stdout: string) => unknown> = {
  parseNvidiaSmi,
  parseRocmSmi,
  parseAmdSmi,
  parseSystemProfiler,
  parseSysctl,
  parseLscpu,
  parseLspci,
  parseDeviceTreeModel,
  parseDmi,
  parseWindowsProfile,
  parseProcNetDev,
  parseNetstat,
  parseDf,
};

for (const [name, parse] of Object.entries(PARSERS)) {
  Deno.test(`${name} never throws, whatever the tool prints`, () => {
    fc.assert(fc.property(anyText({ maxLength: 400 }), (text) => {
      parse(text);
    }));
    fc.assert(fc.property(fc.json(), (text) => {
      parse(text);
    }));
    const keys = ["lscpu", "gpu_data", "card0", "video", "drivers", "SPDisplaysDataType", "data"];
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()), (report) => {
      parse(JSON.stringify(report));
    }));
  });

  Deno.test(`${name} never throws on a recorded output that was cut anywhere`, () => {
    const files = [
      "nvidia_smi/two_rtx_4090.csv",
      "amd/rocm_rx_7900_xt.txt",
      "amd/amd_smi_mi210.txt",
      "macos/m2_pro.txt",
      "macos/netstat_ib.txt",
      "linux/lscpu_nested.txt",
      "linux/lspci_desktop.txt",
      "linux/proc_net_dev.txt",
      "windows/radeon.txt",
    ].map(fixture);
    fc.assert(fc.property(fc.constantFrom(...files), fc.nat(2000), fc.nat(2000), (text, a, b) => {
      parse(text.slice(Math.min(a, b), Math.max(a, b)));
    }));
  });
}

Deno.test("output nested a hundred thousand deep is refused, not walked", () => {
  const deep = `{"lscpu": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  assertEquals(parseLscpu(deep), null);
});
