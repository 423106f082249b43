/** The table of chips: NVIDIA data-centre and workstation cards, systems with unified memory. */

import { type ChipFamily, type NamedChip, publishedChips } from "./chip.ts";

function card(source: string): ChipFamily {
  return { vendor: "nvidia", kind: "gpu", unified: false, source };
}

// Data sheets give tensor rates with sparsity, or both; the dense rate is half of the sparse one.
const dataCentre = card("NVIDIA data sheet of the card, dense tensor rates");
const ampere = card("NVIDIA RTX A-series data sheets, FP32 and half of the sparse tensor rate");
const ada = card("NVIDIA RTX Ada Generation data sheets, FP32 and FP8 tensor rate");
const blackwell = card("NVIDIA RTX PRO Blackwell data sheets, FP32 and FP4 tensor rate");
const blackwellTops = card(
  "NVIDIA RTX PRO Blackwell data sheets, FP4 tensor rate (AI TOPS); FP16 an eighth and FP32 a " +
    "32nd of it, as on the RTX PRO 6000",
);
const turing = card("NVIDIA Turing GPU Architecture whitepaper, Quadro RTX");

const jetson: ChipFamily = {
  vendor: "nvidia",
  kind: "soc",
  unified: true,
  source: "NVIDIA Jetson module data sheets and technical briefs, GPU without DLA, dense",
};

const spark: ChipFamily = {
  ...jetson,
  source: "NVIDIA DGX Spark data sheet: 1 PFLOP sparse FP4, 6144 CUDA cores; FP16 an estimate: " +
    "an eighth of FP4, as on the RTX PRO cards (measured: 92, github.com/huggingface/kernels #283)",
};

/** NVIDIA cards other than GeForce, GB10 and the Jetson modules. */
export const NVIDIA_CHIPS: readonly NamedChip[] = [
  ...publishedChips(dataCentre, [
    // HGX B300: eight for 36 PFLOPS of sparse FP16. INT8 is all but gone, and only rounded.
    ["B300", 75, 2250, null, 288, "B300 SXM6"],
    ["B200", 75, 2250, 4500, 180],
    ["GB200", 80, 2500, 5000, 186],
    ["H200", 67, 989.5, 1979, 141],
    ["H200 NVL", 60, 835.5, 1670.5, 141],
    ["GH200", 67, 989.5, 1979, null],
    ["H100 SXM", 67, 989.5, 1979, 80, "H100", "H100 SXM5", "H100 HBM3"],
    ["H100 PCIe", 51, 756.5, 1513, 80],
    ["H100 NVL", 60, 835.5, 1670.5, 94],
    ["H800", 67, 989.5, 1979, 80, "H800 SXM5"],
    ["H20", 44, 148, 296, 96],
    ["A100", 19.5, 312, 624, null, "A100 SXM4", "A100 PCIe", "A100 SXM", "A100X"],
    ["A800", 19.5, 312, 624, null, "A800 SXM4", "A800 PCIe"],
    ["A30", 10.3, 165, 330, 24],
    ["A40", 37.4, 149.7, 299.3, 48],
    ["A10", 31.2, 125, 250, 24],
    ["A10G", 31.5, 70, 140, 24],
    ["A16", 4.5, 17.9, 35.9, 16],
    ["A2", 4.5, 18, 36, 16],
    ["L40S", 91.6, 362.05, 733, 48],
    ["L40", 90.5, 181.05, 362, 48],
    ["L20", 59.8, 119.5, 239, 48],
    ["L4", 30.3, 121, 242.5, 24],
    ["T4", 8.1, 65, 130, 16],
    // Volta's tensor cores have no integers, and NVIDIA publishes no rate for its DP4A.
    ["V100 SXM2", 15.7, 125, null, null, "V100", "V100 SXM3"],
    ["V100 PCIe", 14, 112, null, null],
    ["V100S", 16.4, 130, null, 32, "V100S PCIe"],
    // Pascal: packed FP16 on the P100 alone, DP4A on the others.
    ["P100 SXM2", 10.6, 21.2, null, 16],
    ["P100 PCIe", 9.3, 18.7, null, null, "P100"],
    ["P40", 12, null, 47, 24],
    ["P4", 5.5, null, 22, 8],
  ]),
  ...publishedChips(blackwell, [
    ["RTX PRO 6000 Blackwell Workstation Edition", 125, 500, 1000, 96, "RTX PRO 6000 Blackwell"],
    ["RTX PRO 6000 Blackwell Max-Q Workstation Edition", 110, 438.9, 877.8, 96],
    ["RTX PRO 6000 Blackwell Server Edition", 120, 500, 1000, 96],
  ]),
  ...publishedChips(blackwellTops, [
    // 2064, 1687, 1178 and 545 TOPS; the RTX PRO 5000 has 48 or 72 GB.
    ["RTX PRO 5000 Blackwell", 64.5, 258, 516, null],
    ["RTX PRO 4500 Blackwell", 52.7, 210.9, 421.8, 32],
    ["RTX PRO 4000 Blackwell", 36.8, 147.3, 294.5, 24],
    ["RTX PRO 2000 Blackwell", 17, 68.1, 136.3, 16],
  ]),
  ...publishedChips(ada, [
    ["RTX 6000 Ada Generation", 91.1, 364.25, 728.5, 48],
    ["RTX 5880 Ada Generation", 69.3, 277.1, 554.2, 48],
    ["RTX 5000 Ada Generation", 65.3, 261.1, 522.2, 32],
    ["RTX 4500 Ada Generation", 39.6, 158.5, 317, 24],
    ["RTX 4000 Ada Generation", 26.7, 106.9, 213.8, 20],
    ["RTX 4000 SFF Ada Generation", 19.2, 76.7, 153.4, 20],
    ["RTX 2000 Ada Generation", 12, 48, 96, 16],
  ]),
  ...publishedChips(ampere, [
    ["RTX A6000", 38.7, 154.8, 309.7, 48],
    ["RTX A5500", 34.1, 136.4, 272.8, 24],
    ["RTX A5000", 27.8, 111.1, 222.2, 24],
    ["RTX A4500", 23.7, 94.6, 189.2, 20],
    ["RTX A4000", 19.2, 76.7, 153.4, 16],
    ["RTX A2000", 8, 31.95, 63.9, null],
    ["RTX A1000", 6.7, 26.9, 53.8, 8],
    ["RTX A400", 2.7, 10.85, 21.7, 4],
  ]),
  ...publishedChips(turing, [
    ["Quadro RTX 8000", 16.3, 130.5, 261, 48],
    ["Quadro RTX 6000", 16.3, 130.5, 261, 24],
    ["Quadro RTX 5000", 11.2, 89.2, 178.4, 16],
    ["Quadro RTX 4000", 7.1, 57, 114, 8],
  ]),
  ...publishedChips(spark, [["GB10", 31, 125, 250, null, "DGX Spark"]]),
  ...publishedChips(jetson, [
    // 2070 and 1200 TFLOPS of sparse FP4; dense FP16 is an eighth.
    ["Jetson Thor T5000", 8.06, 258.75, 517.5, null, "Jetson AGX Thor", "Thor"],
    ["Jetson Thor T4000", 4.7, 150, 300, null],
    ["Jetson AGX Orin", 5.3, 42.5, 85, null, "AGX Orin"],
    ["Jetson Orin NX", 1.88, 15, 30, null, "Orin NX"],
    ["Jetson Orin Nano Super", 2.09, 16.75, 33.5, null, "Orin Nano Super"],
    ["Jetson Orin Nano", 1.28, 10, 20, null, "Orin Nano"],
    ["Jetson AGX Xavier", 1.41, 11, 22, null, "Jetson AGX", "Jetson Xavier", "AGX Xavier"],
    ["Jetson Xavier NX", 0.85, 6, 12.3, null, "Xavier NX"],
    // Pascal and Maxwell: packed FP16, no byte operations (TX2's GP10B has no DP4A).
    ["Jetson TX2", 0.67, 1.33, null, null, "quill"],
    ["Jetson TX1", 0.51, 1.02, null, null],
    ["Jetson Nano", 0.24, 0.47, null, null],
  ]),
];
