/** The table of chips: AMD Radeon, Instinct, and processors with a Radeon on the chip. */

import {
  type ChipFamily,
  type NamedChip,
  publishedChips,
  type RelativeRates,
  shaderChips,
} from "./chip.ts";

function card(source: string): ChipFamily {
  return { vendor: "amd", kind: "gpu", unified: false, source };
}

const rdna1 = card("Stream processors and boost frequency: amd.com, Radeon RX 5000 specifications");
const rdna2 = card("Stream processors and boost frequency: amd.com, Radeon RX 6000 specifications");
// For laptops AMD names the game frequency alone, which is below the boost frequency.
const rdna2Laptops = card(
  "Stream processors and game frequency: amd.com, Radeon RX 6000M specifications",
);
const rdna3 = card("Peak rates: amd.com, Radeon RX 7000 and Radeon PRO W7000 specifications");
const rdna4 = card("Peak rates: amd.com, Radeon RX 9000 and Radeon AI PRO specifications, dense");
const instinct = card("Peak rates: AMD Instinct data sheets, dense matrix rates");
const apus: ChipFamily = {
  vendor: "amd",
  kind: "soc",
  unified: true,
  source: "Compute units and graphics frequency: amd.com, Ryzen processor specifications",
};

/** Navi 10 (gfx1010): packed FP16, no dot products (llvm.org, AMDGPU instruction syntax). */
const packedWithoutBytes: RelativeRates = { fp16: 2, int8: null };
/** Navi 14 (gfx1012) and RDNA 2: packed FP16, and dot products of four bytes a lane. */
const packed: RelativeRates = { fp16: 2, int8: 4 };
/**
 * RDNA 3: the WMMA instructions do 512 FP16 or INT8 operations a cycle and compute unit, which is
 * twice the dual-issue FP32 rate for both (gpuopen.com, "How to accelerate AI applications on
 * RDNA 3 using WMMA").
 */
const dualIssue: RelativeRates = { fp16: 2, int8: 2 };

/** AMD's GPUs, accelerators and processors with graphics. */
export const AMD_CHIPS: readonly NamedChip[] = [
  ...publishedChips(rdna4, [
    ["RX 9070 XT", 48.7, 195, 389, 16],
    ["RX 9070", 36.1, 145, 289, 16],
    ["RX 9070 GRE", 34.3, 137, 274, 12],
    ["RX 9060 XT", 25.6, 103, 205, null],
    ["RX 9060", 21.4, 86, 171, 8],
    ["Radeon AI PRO R9700", 47.8, 191, 383, 32],
  ]),
  ...publishedChips(rdna3, [
    ["RX 7900 XTX", 61.4, 122.8, 122.8, 24],
    ["RX 7900 XT", 51.5, 103, 103, 20],
    ["RX 7900 GRE", 46, 92, 92, 16],
    ["RX 7900M", 38.5, 77, 77, 16],
    ["RX 7800 XT", 37.3, 74.7, 74.7, 16],
    ["RX 7800M", 35.9, 71.7, 71.7, 12],
    ["RX 7700 XT", 35.2, 70.3, 70.3, 12],
    ["RX 7700", 26.6, 53.2, 53.2, 16],
    ["RX 7700S", 20.5, 41, 41, 8],
    ["RX 7650 GRE", 22.1, 44.2, 44.2, 8],
    ["RX 7600 XT", 22.6, 45.1, 45.1, 16],
    ["RX 7600", 21.8, 43.5, 43.5, 8],
    ["RX 7600M XT", 20.2, 40.5, 40.5, 8],
    ["RX 7600M", 17.3, 34.5, 34.5, 8],
    ["RX 7600S", 15.8, 31.5, 31.5, 8],
    ["RX 7400", 16.5, 33, 33, 8],
    ["Radeon PRO W7900", 61.3, 122.6, 122.6, 48],
    // 32 or 48 GB, of the same units.
    ["Radeon PRO W7800", 45.2, 90.5, 90.5, null],
    ["Radeon PRO W7600", 20, 40, 40, 8],
    ["Radeon PRO W7500", 12.2, 24.4, 24.4, 8],
  ]),
  ...shaderChips(rdna2, packed, [
    ["RX 6950 XT", 5120, 2310, 16],
    ["RX 6900 XT", 5120, 2250, 16],
    ["RX 6800 XT", 4608, 2250, 16],
    ["RX 6800", 3840, 2105, 16],
    ["RX 6750 XT", 2560, 2600, 12],
    ["RX 6750 GRE 12GB", 2560, 2581, 12],
    ["RX 6750 GRE 10GB", 2304, 2450, 10, "RX 6750 GRE"],
    ["RX 6700 XT", 2560, 2581, 12],
    ["RX 6700", 2304, 2450, 10],
    ["RX 6650 XT", 2048, 2635, 8],
    ["RX 6600 XT", 2048, 2589, 8],
    ["RX 6600", 1792, 2491, 8],
    ["RX 6500 XT", 1024, 2815, 4],
    ["RX 6400", 768, 2321, 4],
    ["Radeon PRO W6800", 3840, 2322, 32],
  ]),
  ...shaderChips(rdna2Laptops, packed, [
    ["RX 6800M", 2560, 2300, 12],
    ["RX 6800S", 2048, 1975, 8],
    ["RX 6700M", 2304, 2300, 10],
    ["RX 6600M", 1792, 2177, 8],
  ]),
  ...shaderChips(rdna1, packedWithoutBytes, [
    ["RX 5700 XT 50th Anniversary", 2560, 1980, 8],
    ["RX 5700 XT", 2560, 1905, 8],
    ["RX 5700", 2304, 1725, 8],
    ["RX 5700M", 2304, 1720, 8],
    ["RX 5600 XT", 2304, 1560, 6],
    ["RX 5600", 2048, 1560, 6, "RX 5600 OEM"],
    ["RX 5600M", 2304, 1265, 6],
  ]),
  ...shaderChips(rdna1, packed, [
    ["RX 5500 XT", 1408, 1845, null],
    ["RX 5500", 1408, 1845, 4, "RX 5500 OEM"],
    ["RX 5500M", 1408, 1645, 4],
    ["RX 5300", 1408, 1645, 3, "RX 5300 OEM"],
  ]),
  ...publishedChips(instinct, [
    ["Instinct MI355X", 157.3, 2516.6, 5033.2, 288, "MI355X"],
    ["Instinct MI350X", 144.2, 2306.9, 4613.7, 288, "MI350X"],
    ["Instinct MI325X", 163.4, 1307.4, 2614.9, 256, "MI325X"],
    ["Instinct MI300X", 163.4, 1307.4, 2614.9, 192, "MI300X"],
    // CDNA 1 and 2: INT8 at the rate of FP16.
    ["Instinct MI250X", 47.9, 383, 383, 128, "MI250X"],
    ["Instinct MI250", 45.3, 362.1, 362.1, 128, "MI250"],
    ["Instinct MI210", 22.6, 181, 181, 64, "MI210"],
    ["Instinct MI100", 23.1, 184.6, 184.6, 32, "MI100"],
  ]),
  ...publishedChips({ ...instinct, kind: "soc", unified: true }, [
    ["Instinct MI300A", 122.6, 980.6, 1961.2, null, "MI300A"],
  ]),
  // 128 FP32 lanes a compute unit when both instructions of a pair issue (RDNA 3 and 3.5).
  ...shaderChips(apus, dualIssue, [
    [
      "Radeon 8060S",
      40 * 128,
      2900,
      null,
      "Ryzen AI Max+ 395",
      "Ryzen AI Max+ PRO 395",
      "Ryzen AI Max+ 392",
      "Ryzen AI Max+ 388",
    ],
    [
      "Radeon 8050S",
      32 * 128,
      2800,
      null,
      "Ryzen AI Max 390",
      "Ryzen AI Max PRO 390",
      "Ryzen AI Max 385",
      "Ryzen AI Max PRO 385",
    ],
    ["Radeon 8040S", 16 * 128, 2800, null, "Ryzen AI Max PRO 380"],
    ["Radeon 890M", 16 * 128, 2900, null],
    ["Radeon 880M", 12 * 128, 2900, null],
    ["Radeon 860M", 8 * 128, 3000, null],
    ["Radeon 780M", 12 * 128, 2700, null],
    ["Radeon 760M", 8 * 128, 2600, null],
    ["Radeon 740M", 4 * 128, 2500, null],
  ]),
  ...shaderChips(apus, packed, [
    ["Radeon 680M", 12 * 64, 2400, null],
    ["Radeon 660M", 6 * 64, 1900, null],
    ["Radeon 610M", 2 * 64, 2200, null],
  ]),
];
