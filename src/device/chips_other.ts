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
const withMatrixUnits = intel(
  true,
  "Xe-cores, graphics clock and GPU peak TOPS: Intel Core Ultra product specifications",
);
const integrated = intel(
  true,
  "Execution units (16 FP32 operations a cycle each) and highest graphics frequency: Intel " +
    "processor specifications (ark.intel.com)",
);

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
    // 128 and 96 XMX units × 256 INT8 operations × 2.0 GHz, the arithmetic of the three above.
    ["Arc A380", 4.1, 32.8, 65.5, 6],
    ["Arc A310", 3.07, 24.6, 49.2, 4],
    ["Arc B580", 13.67, 116.5, 233, 12],
    ["Arc B570", 11.52, 101.5, 203, 10],
    ["Arc Pro B60", 12.28, 98.5, 197, 24],
    ["Arc Pro B50", 10.65, 85, 170, 16],
  ]),
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
    ["UHD Graphics 770", 32 * 8, 1550, null],
    ["UHD Graphics 750", 32 * 8, 1300, null],
    ["UHD Graphics 730", 24 * 8, 1300, null],
    // Many parts carry the bare name; the Processor N100 is the slowest that is sold now.
    ["UHD Graphics", 24 * 8, 750, null],
  ]),
  ...shaderChips(integrated, gen9, [
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
