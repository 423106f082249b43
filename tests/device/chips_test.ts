import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import type { NamedChip } from "../../src/device/chip.ts";
import { knownChips, lookupChip } from "../../src/device/chips.ts";
import { AMD_CHIPS } from "../../src/device/chips_amd.ts";
import { APPLE_CHIPS } from "../../src/device/chips_apple.ts";
import { GEFORCE_CHIPS } from "../../src/device/chips_geforce.ts";
import { NVIDIA_CHIPS } from "../../src/device/chips_nvidia.ts";
import { OTHER_CHIPS } from "../../src/device/chips_other.ts";
import { anyText } from "../support/any_text.ts";

const ROWS: readonly NamedChip[] = [
  ...APPLE_CHIPS,
  ...GEFORCE_CHIPS,
  ...NVIDIA_CHIPS,
  ...AMD_CHIPS,
  ...OTHER_CHIPS,
];

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
  const WORKSTATION = "RTX PRO 6000 Blackwell Workstation Edition";
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
    ["NVIDIA GeForce GTX 1080 Ti", "GTX 1080 Ti"],
    ["GP106M [GeForce GTX 1060 Mobile]", "GTX 1060 Laptop GPU"],
    ["TU117M [GeForce GTX 1650 Mobile / Max-Q]", "GTX 1650 Laptop GPU"],
    ["TU106M [GeForce RTX 2060 Mobile]", "RTX 2060 Laptop GPU"],
    ["NVIDIA GeForce RTX 2050", "RTX 2050"],
    ["NVIDIA TITAN X (Pascal)", "TITAN X (Pascal)"],
    ["NVIDIA TITAN Xp", "TITAN Xp"],
    ["NVIDIA TITAN V", "TITAN V"],
    ["NVIDIA RTX PRO 6000 Blackwell Workstation Edition", WORKSTATION],
    ["NVIDIA RTX PRO 5000 72GB Blackwell", "RTX PRO 5000 Blackwell"],
    ["NVIDIA RTX PRO 4500 Blackwell", "RTX PRO 4500 Blackwell"],
    ["NVIDIA B300 SXM6 AC", "B300"],
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
    ["AMD Radeon RX 5700 XT", "RX 5700 XT"],
    ["AMD Radeon PRO W7500", "Radeon PRO W7500"],
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
    ["Intel(R) Arc(TM) B390 GPU", "Arc B390"],
    ["Intel(R) Arc(TM) 140V GPU (16GB)", "Arc 140V"],
    ["DG2 [Arc A770M]", "Arc A770M"],
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

Deno.test("a size of memory counts where it tells two cards apart, and nowhere else", () => {
  const names: [string, string][] = [
    ["NVIDIA GeForce GTX 1060 3GB", "GTX 1060 3GB"],
    ["GP106 [GeForce GTX 1060 3 GB]", "GTX 1060 3GB"],
    ["NVIDIA GeForce GTX 1060 6GB", "GTX 1060"],
    ["GA107 [GeForce RTX 3050 6GB]", "RTX 3050 6GB"],
    ["NVIDIA GeForce RTX 3050 6GB Laptop GPU", "RTX 3050 6GB Laptop GPU"],
    ["NVIDIA GeForce RTX 3050 8GiB", "RTX 3050"],
    ["GA102 [GeForce RTX 3080 12GB]", "RTX 3080 12GB"],
    ["RTX 3080 10GB", "RTX 3080"],
    ["TU106 [GeForce RTX 2060 12GB]", "RTX 2060 12GB"],
    ["AMD Radeon RX 6750 GRE 12GB", "RX 6750 GRE 12GB"],
    ["AMD Radeon RX 6750 GRE", "RX 6750 GRE 10GB"],
    ["NVIDIA A100 80GB PCIe", "A100"],
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

Deno.test("the look-up knows every row by each of its names, and no two rows share one", () => {
  assertEquals(knownChips().length, ROWS.length);
  const spellings = new Map<string, string>();
  for (const { chip, names } of ROWS) {
    assertEquals(names[0], chip.name);
    for (const name of names) {
      assertEquals(lookupChip(name), chip, `${name} leads to another row`);
      const spelling = name.toLowerCase().replace(/[^a-z0-9+]/g, "");
      assertEquals(spellings.get(spelling), undefined, `${name} is there twice`);
      spellings.set(spelling, chip.name);
    }
  }
});

Deno.test("names are written as the table writes them: no maker, no sign, single spaces", () => {
  for (const { names } of ROWS) {
    for (const name of names) {
      assert(/^[A-Za-z0-9+()-]+(?: [A-Za-z0-9+()-]+)*$/.test(name), `"${name}" has odd signs`);
      assert(!/^(?:nvidia|geforce|tesla|amd|ati|intel)\b/i.test(name), `"${name}" has its maker`);
      assert(!/\((?:r|tm|c)\)|\d g(?:i?b)\b/i.test(name), `"${name}" is as a tool writes it`);
    }
  }
});

Deno.test("no chip is slower the fewer bits its numbers have, nor faster than hardware is", () => {
  for (const { name, flops: { fp32, fp16, int8 } } of knownChips()) {
    assert(fp32 !== null && fp32 >= 0.1 && fp32 < 200, `${name}: FP32 ${fp32}`);
    // Packed operations give twice FP32; no tensor core gives more than 33 times it.
    if (fp16 !== null) within(fp16 / fp32, 1.9, 33, `${name}: FP16 to FP32`);
    if (int8 !== null) within(int8 / (fp16 ?? fp32), 1, fp16 === null ? 4.1 : 2.1, `${name}: INT8`);
  }
});

Deno.test("a chip with matrix units has them counted in FP16", () => {
  const withMatrixUnits =
    /^(?:RTX [2-5]\d{3}|RTX (?:A|PRO)|TITAN (?:RTX|V)|[ABHLTV]\d+|G[BH]\d|Arc [AB]|Instinct|RX 9)/;
  const chips = knownChips().filter(({ name }) => withMatrixUnits.test(name));
  assert(chips.length > 100);
  for (const { name, flops: { fp32, fp16 } } of chips) {
    assert(fp32 !== null && fp16 !== null && fp16 >= 1.98 * fp32, `${name}: ${fp16} of ${fp32}`);
  }
});

Deno.test("only cards have memory of their own, and what is derived for Apple says so", () => {
  for (const { name, kind, memory, source } of knownChips()) {
    if (memory !== null) {
      assertEquals(kind, "gpu", `${name} has memory of its own`);
      assert(memory % 1024 === 0 && memory >= 2048 && memory <= 288 * 1024, `${name}: ${memory}`);
    }
    if (name.startsWith("Apple")) {
      assertEquals(source.startsWith("estimate"), !source.includes("table of devices"), name);
    }
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
    ["GTX 1050", "GTX 1050 Ti", "GTX 1060", "GTX 1070", "GTX 1070 Ti", "GTX 1080", "GTX 1080 Ti"],
    ["GTX 1650", "GTX 1660", "GTX 1660 Ti", "RTX 2060 Laptop GPU", "RTX 2080 Laptop GPU"],
    [
      "RTX PRO 2000 Blackwell",
      "RTX PRO 4000 Blackwell",
      "RTX PRO 4500 Blackwell",
      "RTX PRO 5000 Blackwell",
      "RTX PRO 6000 Blackwell",
    ],
    ["RX 5500 XT", "RX 5600 XT", "RX 5700", "RX 5700 XT", "RX 6800", "RX 7900 XTX", "RX 9070 XT"],
    ["Arc A310", "Arc A380", "Arc A580", "Arc A750", "Arc A770", "Arc Pro B70"],
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

function within(value: number, least: number, most: number, what: string): void {
  assert(value >= least && value <= most, `${what}: ${value}`);
}
