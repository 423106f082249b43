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
  "CUDA cores and boost clock: NVIDIA Ada GPU Architecture whitepaper; nvidia.com, GeForce RTX 40 " +
    "Series specifications",
);
const ampere = geforce(
  "CUDA cores and boost clock: NVIDIA Ampere GA102 GPU Architecture whitepaper; nvidia.com, " +
    "GeForce RTX 30 Series specifications",
);
const turing = geforce(
  "CUDA cores and boost clock: NVIDIA Turing GPU Architecture whitepaper; nvidia.com, GeForce RTX " +
    "20 and GTX 16 Series specifications",
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
    ["RTX 3070 Ti", 6144, 1770, 8],
    ["RTX 3070", 5888, 1725, 8],
    ["RTX 3060 Ti", 4864, 1665, 8],
    ["RTX 3060", 3584, 1777, 12],
    ["RTX 3050", 2560, 1777, 8],
  ]),
  ...shaderChips(turing, turingTensor, [
    ["RTX 2080 Ti", 4352, 1545, 11],
    ["RTX 2080 SUPER", 3072, 1815, 8],
    ["RTX 2080", 2944, 1710, 8],
    ["RTX 2070 SUPER", 2560, 1770, 8],
    ["RTX 2070", 2304, 1620, 8],
    ["RTX 2060 SUPER", 2176, 1650, 8],
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
    ["RTX 3050 Laptop GPU", 2048, 1740, 4],
  ]),
];
