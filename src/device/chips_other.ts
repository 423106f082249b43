/** The table of chips: Intel graphics, and boards whose rate is that of the board. */

import {
  type ChipFamily,
  type NamedChip,
  publishedChips,
  type RelativeRates,
  shaderChips,
} from "./chip.ts";

function intel(unified: boolean, source: string): ChipFamily {
  return { vendor: "intel", kind: "gpu", unified, source };
}

// XMX units do FP16 at half the rate of INT8 (Intel Xe-HPG and Xe2 architecture documentation).
const cards = intel(
  false,
  "Xe-cores, graphics clock and peak INT8 TOPS: Intel Arc product specifications (ark.intel.com)",
);
const alchemist = intel(
  false,
  "estimate: 128 FP32 lanes a Xe-core × graphics clock (ark.intel.com), INT8 sixteen and FP16 " +
    "eight times it on the XMX units",
);
const withMatrixUnits = intel(
  true,
  "Xe-cores, graphics clock and GPU peak TOPS: Intel Core Ultra product specifications",
);
const xe3 = intel(
  true,
  "estimate: 128 FP32 lanes a Xe-core × 2.5 GHz (Core Ultra X9 388H), INT8 sixteen and FP16 " +
    "eight times it on the XMX units, as on the Arc 140V",
);
const integrated = intel(
  true,
  "Execution units (16 FP32 operations a cycle each) and highest graphics frequency of one " +
    "processor of several with this name: Intel processor specifications (ark.intel.com)",
);

/** Xe-cores: an XMX unit does 16 times the FP32 operations of its vector engine in INT8. */
const xmx: RelativeRates = { fp16: 8, int8: 16 };
/** Gen12 on: packed FP16, and DP4A. */
const xe: RelativeRates = { fp16: 2, int8: 4 };
/** Gen9: packed FP16, no byte dot products. */
const gen9: RelativeRates = { fp16: 2, int8: null };

const raspberryPi: ChipFamily = {
  vendor: "other",
  kind: "board",
  unified: false,
  source: "this network's specification (Raspberry Pi: 0.1 TFLOPS)",
};

/** Intel's graphics and the Raspberry Pi. */
export const OTHER_CHIPS: readonly NamedChip[] = [
  ...publishedChips(cards, [
    ["Arc A770", 17.2, 131, 262, null],
    ["Arc A750", 14.7, 114.5, 229, 8],
    ["Arc A580", 10.4, 98.5, 197, 8],
    ["Arc B580", 13.67, 116.5, 233, 12],
    ["Arc B570", 11.52, 101.5, 203, 10],
    ["Arc Pro B70", 22.94, 183.5, 367, 32],
    ["Arc Pro B65", 12.28, 98.5, 197, 32],
    ["Arc Pro B60", 12.28, 98.5, 197, 24],
    ["Arc Pro B50", 10.65, 85, 170, 16],
  ]),
  ...shaderChips(alchemist, xmx, [
    ["Arc A380", 8 * 128, 2000, 6],
    ["Arc A310", 6 * 128, 2000, 4],
    ["Arc A770M", 32 * 128, 1650, 16],
    ["Arc A730M", 24 * 128, 1100, 12],
    ["Arc A550M", 16 * 128, 900, 8],
    ["Arc A370M", 8 * 128, 1550, 4],
    ["Arc A350M", 6 * 128, 1150, 4],
  ]),
  ...shaderChips(xe3, xmx, [["Arc B390", 12 * 128, 2500, null]]),
  ...publishedChips(withMatrixUnits, [
    ["Arc 140V", 4.2, 33.5, 67, null],
    ["Arc 130V", 3.3, 26.5, 53, null],
    ["Arc 140T", 4.81, 38.5, 77, null],
    ["Arc 130T", 3.94, 31.5, 63, null],
  ]),
  // Lanes: execution units × 8.
  ...shaderChips(integrated, xe, [
    // Core Ultra 100 (Meteor Lake), 8 Xe-cores; it names no number.
    ["Arc Graphics", 128 * 8, 2250, null],
    // 96 units as in the Core i7-1165G7; the i5 has 80 under the same name.
    ["Iris Xe Graphics", 96 * 8, 1300, null],
    // As in the Core i9-12900K, i7-11700K and i5-11400.
    ["UHD Graphics 770", 32 * 8, 1550, null],
    ["UHD Graphics 750", 32 * 8, 1300, null],
    ["UHD Graphics 730", 24 * 8, 1300, null],
    // Many parts carry the bare name; the Processor N100 is the slowest that is sold now.
    ["UHD Graphics", 24 * 8, 750, null],
  ]),
  ...shaderChips(integrated, gen9, [
    // As in the Core i5-9600K, i7-8650U, Pentium Gold G5420, i7-7500U, i7-6700K and i7-6500U.
    ["UHD Graphics 630", 24 * 8, 1150, null, "HD Graphics 630"],
    ["UHD Graphics 620", 24 * 8, 1150, null],
    ["UHD Graphics 610", 12 * 8, 1050, null],
    ["HD Graphics 620", 24 * 8, 1050, null],
    ["HD Graphics 530", 24 * 8, 1150, null],
    ["HD Graphics 520", 24 * 8, 1050, null],
  ]),
  ...publishedChips(raspberryPi, [
    [
      "Raspberry Pi 5",
      0.1,
      null,
      null,
      null,
      "Raspberry Pi 500",
      "Raspberry Pi 500+",
      "Raspberry Pi Compute Module 5",
    ],
    [
      "Raspberry Pi 4",
      0.1,
      null,
      null,
      null,
      "Raspberry Pi 400",
      "Raspberry Pi Compute Module 4",
      "Raspberry Pi Compute Module 4S",
    ],
    ["Raspberry Pi 3", 0.1, null, null, null, "Raspberry Pi Compute Module 3"],
    ["Raspberry Pi Zero 2", 0.1, null, null, null, "Raspberry Pi Zero 2 W"],
    ["Raspberry Pi", 0.1, null, null, null],
  ]),
];
