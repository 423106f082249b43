import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { knownChips, lookupChip } from "../../src/device/chips.ts";
import { anyText } from "../support/any_text.ts";

Deno.test("the twelve devices of the specification have its figures to the digit", () => {
  const table: [string, number, number, number, number | null][] = [
    ["Apple M1", 2.29, 4.58, 9.16, null],
    ["Apple M1 Pro", 5.30, 10.60, 21.20, null],
    ["Apple M1 Max", 10.60, 21.20, 42.40, null],
    ["Apple M2", 3.55, 7.10, 14.20, null],
    ["Apple M3", 3.55, 7.10, 14.20, null],
    ["Apple M3 Max", 14.20, 28.40, 56.80, null],
    ["Apple M4", 4.26, 8.52, 17.04, null],
    ["RTX 4090", 82.58, 165.16, 330.32, 24],
    ["RTX 4080", 48.74, 97.48, 194.96, 16],
    ["RTX 4070", 29.0, 58.0, 116.0, 12],
    ["RTX 3090", 35.6, 71.2, 142.4, 24],
    ["RTX 3080", 29.8, 59.6, 119.2, 10],
  ];
  for (const [name, fp32, fp16, int8, gigabytes] of table) {
    const chip = lookupChip(name);
    assertEquals(chip?.flops, { fp32, fp16, int8 }, name);
    assertEquals(chip?.memory, gigabytes === null ? null : gigabytes * 1024, name);
    assertEquals(chip?.unified, gigabytes === null, name);
  }
});

Deno.test("a chip is found by whatever name a tool or a person gives it", () => {
  const names: [string, string][] = [
    ["NVIDIA GeForce RTX 4090", "RTX 4090"],
    ["NVIDIA GEFORCE RTX 4090", "RTX 4090"],
    ["nvidia geforce rtx4090", "RTX 4090"],
    ["GeForce  RTX™ 4090 24GB", "RTX 4090"],
    ["NVIDIA GeForce RTX 4070Ti", "RTX 4070 Ti"],
    ["NVIDIA GeForce RTX 4070 Ti SUPER", "RTX 4070 Ti SUPER"],
    ["NVIDIA GeForce RTX 3060 Laptop GPU", "RTX 3060 Laptop GPU"],
    ["GeForce RTX 3060 Mobile / Max-Q", "RTX 3060 Laptop GPU"],
    ["GA106 [GeForce RTX 3060 Lite Hash Rate]", "RTX 3060"],
    ["TU104 [GeForce RTX 2080 Rev. A]", "RTX 2080"],
    ["Tesla T4", "T4"],
    ["Tesla V100-SXM2-16GB", "V100 SXM2"],
    ["Tesla V100-PCIE-32GB", "V100 PCIe"],
    ["NVIDIA A100-SXM4-80GB", "A100"],
    ["NVIDIA A100 80GB PCIe", "A100"],
    ["A100-PCIE-40GB", "A100"],
    ["NVIDIA A10G", "A10G"],
    ["NVIDIA H100 80GB HBM3", "H100 SXM"],
    ["NVIDIA H100 PCIe", "H100 PCIe"],
    ["NVIDIA H100 NVL", "H100 NVL"],
    ["NVIDIA H200", "H200"],
    ["NVIDIA GH200 480GB", "GH200"],
    ["NVIDIA B200", "B200"],
    ["NVIDIA L40S", "L40S"],
    ["NVIDIA RTX A6000", "RTX A6000"],
    ["NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada Generation"],
    ["Quadro RTX 6000", "Quadro RTX 6000"],
    ["NVIDIA GB10", "GB10"],
    ["NVIDIA Thor", "Jetson Thor T5000"],
    ["NVIDIA Jetson AGX Orin Developer Kit", "Jetson AGX Orin"],
    ["NVIDIA Orin NX Developer Kit", "Jetson Orin NX"],
    ["NVIDIA Jetson Orin Nano Developer Kit", "Jetson Orin Nano"],
    [
      "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
      "Jetson Orin Nano Super",
    ],
    ["NVIDIA Jetson Nano Developer Kit", "Jetson Nano"],
    ["Jetson-AGX", "Jetson AGX Xavier"],
    ["AMD Radeon RX 7900 XTX", "RX 7900 XTX"],
    ["Radeon(TM) RX 6800 XT Graphics", "RX 6800 XT"],
    ["Arcturus GL-XL [AMD Instinct MI100]", "Instinct MI100"],
    ["AMD INSTINCT MI250 (MCM) OAM AC MBA", "Instinct MI250"],
    ["AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", "Radeon 8060S"],
    ["AMD RYZEN AI MAX+ PRO 395 w/ Radeon 8060S", "Radeon 8060S"],
    ["AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", "Radeon 780M"],
    ["Intel(R) Iris(R) Xe Graphics", "Iris Xe Graphics"],
    ["Intel(R) UHD Graphics 630", "UHD Graphics 630"],
    ["CometLake-U GT2 [UHD Graphics]", "UHD Graphics"],
    ["Intel(R) Arc(TM) A770 Graphics", "Arc A770"],
    ["Intel(R) Arc(TM) Graphics", "Arc Graphics"],
    ["Intel(R) Arc(TM) B580 Graphics", "Arc B580"],
    ["Apple M3 Max", "Apple M3 Max"],
    ["m4 pro", "Apple M4 Pro"],
    ["Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 5"],
    ["Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 4"],
    ["Raspberry Pi 3 Model B Plus Rev 1.3", "Raspberry Pi 3"],
    ["Raspberry Pi Compute Module 4 Rev 1.1", "Raspberry Pi 4"],
    ["Raspberry Pi Zero 2 W Rev 1.0", "Raspberry Pi Zero 2"],
    ["raspberry pi", "Raspberry Pi"],
  ];
  for (const [written, expected] of names) {
    assertEquals(lookupChip(written)?.name, expected, written);
  }
});

Deno.test("a laptop's chip is never taken for the desktop's, nor a virtual one for the real", () => {
  assertNotEquals(lookupChip("RTX 4090 Laptop GPU"), lookupChip("RTX 4090"));
  for (
    const name of [
      "NVIDIA GeForce RTX 2070 with Max-Q Design",
      "Apple M4 Max (Virtual)",
      "NVIDIA GeForce RTX 4090 Ti",
      "AMD Radeon Graphics",
      "AMD Ryzen 5 5600G with Radeon Graphics",
      "Phoenix3",
      "Orin (nvgpu)",
      "Microsoft Basic Display Adapter",
      "4090",
      "Apple",
      "",
    ]
  ) assertEquals(lookupChip(name), null, name);
});

Deno.test("a name that stands for several cards gives the slowest of them and says so", () => {
  const chip = lookupChip("Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M");
  assertEquals(chip?.name, "RX 7900M");
  assertEquals(chip?.memory, null);
  assert(chip?.source.includes("RX 7900M, the slowest of"));
  assertEquals(lookupChip("Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]")?.name, "RX 6800");
  assertEquals(lookupChip("Radeon RX 1/2/3"), null);
});

Deno.test("every chip is found under its own name, with a source and no impossible figure", () => {
  const chips = knownChips();
  assert(chips.length > 150);
  for (const chip of chips) {
    assertEquals(lookupChip(chip.name), chip, `${chip.name} is hidden by another row`);
    assert(chip.source.length > 10, chip.name);
    assert(chip.memory === null || !chip.unified, `${chip.name} has unified and own memory`);
    for (const rate of Object.values(chip.flops)) assert(rate === null || rate > 0, chip.name);
  }
});

Deno.test("INT8 is twice FP16 on every NVIDIA card with tensor cores for integers", () => {
  for (const { name, vendor, flops } of knownChips()) {
    if (vendor !== "nvidia" || flops.fp16 === null || flops.int8 === null) continue;
    const ratio = flops.int8 / flops.fp16;
    assert(Math.abs(ratio - 2) < 0.06, `${name}: ${ratio}`);
  }
});

Deno.test("chips of one family rank as their makers rank them", () => {
  const rising = [
    ["Apple M1", "Apple M1 Pro", "Apple M1 Max", "Apple M1 Ultra"],
    ["Apple M2", "Apple M2 Pro", "Apple M2 Max", "Apple M2 Ultra"],
    ["Apple M3", "Apple M3 Pro", "Apple M3 Max", "Apple M3 Ultra"],
    ["Apple M4", "Apple M4 Pro", "Apple M4 Max"],
    ["Apple M4", "Apple M5", "Apple M5 Pro", "Apple M5 Max"],
    ["RTX 2060", "RTX 2070", "RTX 2080", "RTX 2080 Ti", "RTX 3090", "RTX 4080", "RTX 4090"],
    ["RTX 5050", "RTX 5060", "RTX 5070", "RTX 5080", "RTX 5090"],
    ["RTX 4050 Laptop GPU", "RTX 4070 Laptop GPU", "RTX 4090 Laptop GPU", "RTX 4090"],
    ["T4", "A10", "RTX 4090", "A100", "H100 SXM", "B200"],
    ["Raspberry Pi 5", "Jetson Nano", "Jetson Orin Nano", "Jetson AGX Orin"],
    ["Instinct MI100", "Instinct MI250X", "Instinct MI300X", "Instinct MI355X"],
  ];
  for (const names of rising) {
    const rates = names.map((name) => {
      const flops = lookupChip(name)?.flops;
      return flops?.fp16 ?? flops?.fp32 ?? NaN;
    });
    assertEquals(rates, rates.toSorted((a, b) => a - b), names.join(" < "));
  }
});

Deno.test("no text whatever breaks the look-up", () => {
  fc.assert(fc.property(anyText({ maxLength: 300 }), (name) => {
    lookupChip(name);
  }));
  fc.assert(fc.property(
    fc.constantFrom(...knownChips().map(({ name }) => name)),
    fc.constantFrom("", " ", "(TM) ", "® ", "  "),
    fc.boolean(),
    (name, noise, upper) => {
      const written = `${noise}${upper ? name.toUpperCase() : name.toLowerCase()} ${noise}`;
      assertEquals(lookupChip(written)?.name, name);
    },
  ));
});
