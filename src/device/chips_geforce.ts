/** The table of chips: NVIDIA GeForce and TITAN cards, for desktops and laptops. */

import {
  type ChipFamily,
  type NamedChip,
  publishedChips,
  type RelativeRates,
  shaderChips,
} from "./chip.ts";

function geforce(source: string): ChipFamily {
  return { vendor: "nvidia", kind: "gpu", unified: false, source };
}

const specification = geforce("this network's specification, table of devices");
const blackwell = geforce(
  "CUDA cores and boost clock: NVIDIA RTX Blackwell GPU Architecture whitepaper; nvidia.com, " +
    "GeForce RTX 50 Series specifications",
);
const ada = geforce(
  "CUDA cores and boost clock: NVIDIA Ada GPU Architecture whitepaper; nvidia.com, GeForce RTX " +
    "40 Series specifications",
);
const ampere = geforce(
  "CUDA cores and boost clock: NVIDIA Ampere GA102 GPU Architecture whitepaper; nvidia.com, " +
    "GeForce RTX 30 Series specifications",
);
const turing = geforce(
  "CUDA cores and boost clock: NVIDIA Turing GPU Architecture whitepaper; nvidia.com, GeForce " +
    "RTX 20 and GTX 16 Series specifications",
);
const volta = geforce(
  "CUDA cores × boost clock, and the published tensor rate: nvidia.com, TITAN V specifications",
);
const pascal = geforce(
  "CUDA cores and boost clock: nvidia.com, GeForce 10 Series and TITAN specifications",
);
const laptops = geforce(
  "CUDA cores and highest boost clock: nvidia.com, compare GeForce laptop GPUs",
);

/**
 * Ampere and later: the whitepapers give dense FP16 tensor operations with FP32 accumulation as
 * twice FP32 (RTX 4090: 82.6 and 165.2). INT8 is twice that by the specification's rule; the
 * whitepapers' own dense INT8 is twice as much, because GeForce cards halve FP32 accumulation only.
 */
const tensor: RelativeRates = { fp16: 2, int8: 4 };
/** Turing: dense FP16 tensor operations with FP32 accumulation (RTX 2080 Ti: 13.4 and 53.8). */
const turingTensor: RelativeRates = { fp16: 4, int8: 8 };
/** Turing without tensor cores: packed FP16, and DP4A of four bytes a lane. */
const turingShaders: RelativeRates = { fp16: 2, int8: 4 };

/**
 * Pascal but for the P100: DP4A of four bytes a lane (TITAN X: 11 and 44). It has FP16 at a 64th
 * of the rate of FP32, for which nobody uses it.
 */
function pascalChips(rows: Parameters<typeof shaderChips>[2]): NamedChip[] {
  return shaderChips(pascal, { fp16: 1, int8: 4 }, rows).map(({ chip, names }) => ({
    chip: { ...chip, flops: { ...chip.flops, fp16: null } },
    names,
  }));
}

/** GeForce and TITAN. */
export const GEFORCE_CHIPS: readonly NamedChip[] = [
  ...publishedChips(specification, [
    ["RTX 4090", 82.58, 165.16, 330.32, 24],
    ["RTX 4080", 48.74, 97.48, 194.96, 16],
    ["RTX 4070", 29.0, 58.0, 116.0, 12],
    ["RTX 3090", 35.6, 71.2, 142.4, 24],
    ["RTX 3080", 29.8, 59.6, 119.2, 10],
  ]),
  ...shaderChips(blackwell, tensor, [
    ["RTX 5090", 21760, 2407, 32],
    ["RTX 5080", 10752, 2617, 16],
    ["RTX 5070 Ti", 8960, 2452, 16],
    ["RTX 5070", 6144, 2512, 12],
    ["RTX 5060 Ti", 4608, 2572, null],
    ["RTX 5060", 3840, 2497, 8],
    ["RTX 5050", 2560, 2572, 8],
  ]),
  ...shaderChips(ada, tensor, [
    ["RTX 4090 D", 14592, 2520, 24],
    ["RTX 4080 SUPER", 10240, 2550, 16],
    ["RTX 4070 Ti SUPER", 8448, 2610, 16],
    ["RTX 4070 Ti", 7680, 2610, 12],
    ["RTX 4070 SUPER", 7168, 2475, 12],
    ["RTX 4060 Ti", 4352, 2535, null],
    ["RTX 4060", 3072, 2460, 8],
  ]),
  ...shaderChips(ampere, tensor, [
    ["RTX 3090 Ti", 10752, 1860, 24],
    ["RTX 3080 Ti", 10240, 1665, 12],
    ["RTX 3080 12GB", 8960, 1710, 12],
    ["RTX 3070 Ti", 6144, 1770, 8],
    ["RTX 3070", 5888, 1725, 8],
    ["RTX 3060 Ti", 4864, 1665, 8],
    ["RTX 3060", 3584, 1777, 12],
    ["RTX 3050", 2560, 1777, 8],
    ["RTX 3050 6GB", 2304, 1470, 6],
  ]),
  ...shaderChips(turing, turingTensor, [
    ["RTX 2080 Ti", 4352, 1545, 11],
    ["RTX 2080 SUPER", 3072, 1815, 8],
    ["RTX 2080", 2944, 1710, 8],
    ["RTX 2070 SUPER", 2560, 1770, 8],
    ["RTX 2070", 2304, 1620, 8],
    ["RTX 2060 SUPER", 2176, 1650, 8],
    ["RTX 2060 12GB", 2176, 1650, 12],
    ["RTX 2060", 1920, 1680, 6],
  ]),
  // TITAN RTX accumulates at the full rate.
  ...publishedChips(turing, [["TITAN RTX", 16.3, 130.5, 261, 24]]),
  ...shaderChips(turing, turingShaders, [
    ["GTX 1660 Ti", 1536, 1770, 6],
    ["GTX 1660 SUPER", 1408, 1785, 6],
    ["GTX 1660", 1408, 1785, 6],
    ["GTX 1650 SUPER", 1280, 1725, 4],
    ["GTX 1650", 896, 1665, 4],
    ["GTX 1630", 512, 1785, 4],
  ]),
  // Volta's tensor cores have no integers, and NVIDIA publishes no rate for its DP4A.
  ...publishedChips(volta, [["TITAN V", 14.9, 110, null, 12]]),
  ...pascalChips([
    ["TITAN Xp", 3840, 1582, 12],
    ["TITAN X (Pascal)", 3584, 1531, 12, "TITAN X"],
    ["GTX 1080 Ti", 3584, 1582, 11],
    ["GTX 1080", 2560, 1733, 8],
    ["GTX 1070 Ti", 2432, 1683, 8],
    ["GTX 1070", 1920, 1683, 8],
    ["GTX 1060", 1280, 1708, 6],
    ["GTX 1060 3GB", 1152, 1708, 3],
    ["GTX 1050 Ti", 768, 1392, 4],
    ["GTX 1050 3GB", 768, 1518, 3],
    ["GTX 1050", 640, 1455, 2],
    ["GT 1030", 384, 1468, 2],
    ["GTX 1080 Laptop GPU", 2560, 1733, 8],
    ["GTX 1070 Laptop GPU", 2048, 1645, 8],
    ["GTX 1060 Laptop GPU", 1280, 1670, null],
    ["GTX 1050 Ti Laptop GPU", 768, 1620, null],
    ["GTX 1050 Laptop GPU", 640, 1493, null],
  ]),
  ...shaderChips(laptops, tensor, [
    ["RTX 5090 Laptop GPU", 10496, 2160, 24],
    ["RTX 5080 Laptop GPU", 7680, 2287, 16],
    ["RTX 5070 Ti Laptop GPU", 5888, 2220, 12],
    ["RTX 5070 Laptop GPU", 4608, 2347, 8],
    ["RTX 5060 Laptop GPU", 3328, 2497, 8],
    ["RTX 5050 Laptop GPU", 2560, 2662, 8],
    ["RTX 4090 Laptop GPU", 9728, 2040, 16],
    ["RTX 4080 Laptop GPU", 7424, 2280, 12],
    ["RTX 4070 Laptop GPU", 4608, 2175, 8],
    ["RTX 4060 Laptop GPU", 3072, 2370, 8],
    ["RTX 4050 Laptop GPU", 2560, 2370, 6],
    ["RTX 3080 Ti Laptop GPU", 7424, 1590, 16],
    ["RTX 3080 Laptop GPU", 6144, 1710, null],
    ["RTX 3070 Ti Laptop GPU", 5888, 1485, 8],
    ["RTX 3070 Laptop GPU", 5120, 1620, 8],
    ["RTX 3060 Laptop GPU", 3840, 1703, 6],
    ["RTX 3050 Ti Laptop GPU", 2560, 1695, 4],
    ["RTX 3050 6GB Laptop GPU", 2560, 1492, 6],
    ["RTX 3050 Laptop GPU", 2048, 1740, 4],
    // Sold for laptops alone, and of the Ampere generation.
    ["RTX 2050", 2048, 1477, 4, "RTX 2050 Laptop GPU"],
  ]),
  ...shaderChips(laptops, turingTensor, [
    ["RTX 2080 SUPER Laptop GPU", 3072, 1560, 8],
    ["RTX 2080 Laptop GPU", 2944, 1590, 8],
    ["RTX 2070 SUPER Laptop GPU", 2560, 1380, 8],
    ["RTX 2070 Laptop GPU", 2304, 1440, 8],
    ["RTX 2060 Laptop GPU", 1920, 1560, 6],
  ]),
  ...shaderChips(laptops, turingShaders, [
    ["GTX 1660 Ti Laptop GPU", 1536, 1590, 6],
    ["GTX 1650 Ti Laptop GPU", 1024, 1485, 4],
    ["GTX 1650 Laptop GPU", 1024, 1560, 4],
  ]),
];
