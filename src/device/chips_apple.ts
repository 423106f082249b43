/** The table of chips: Apple silicon. */

import { type ChipFamily, type NamedChip, publishedChips } from "./chip.ts";

const apple: ChipFamily = {
  vendor: "apple",
  kind: "soc",
  unified: true,
  source: "this network's specification, table of devices",
};

/**
 * Apple publishes the number of GPU cores and no clock. A chip that the specification does not
 * name gets its generation's rate per core there times its largest number of cores.
 */
const perCore: ChipFamily = {
  ...apple,
  source: "estimate: GPU cores (apple.com, technical specifications) × the rate per core of the " +
    "same generation in this network's specification",
};

/**
 * The M5 generation has a matrix unit in each GPU core. Measured by T. Zakharko, "Investigating
 * the GPU Neural Accelerators on Apple A19/M5" (2025): 256 FP32 and 1024 FP16 operations per core
 * and cycle, INT8 at most twice that; about 1.75 GHz.
 */
const matrixUnits: ChipFamily = {
  ...apple,
  source: "estimate: GPU cores (apple.com, technical specifications) × measured operations per " +
    "core and cycle at 1.75 GHz (tzakharko.github.io/apple-neural-accelerators-benchmark)",
};

/** Apple silicon; sold with several sizes of memory, which is the RAM. */
export const APPLE_CHIPS: readonly NamedChip[] = [
  ...publishedChips(apple, [
    ["Apple M1", 2.29, 4.58, 9.16, null],
    ["Apple M1 Pro", 5.30, 10.60, 21.20, null],
    ["Apple M1 Max", 10.60, 21.20, 42.40, null],
    ["Apple M2", 3.55, 7.10, 14.20, null],
    ["Apple M3", 3.55, 7.10, 14.20, null],
    ["Apple M3 Max", 14.20, 28.40, 56.80, null],
    ["Apple M4", 4.26, 8.52, 17.04, null],
  ]),
  ...publishedChips(perCore, [
    // 64 cores; the M1 Max of the specification has 32.
    ["Apple M1 Ultra", 21.20, 42.40, 84.80, null],
    // 19, 38 and 76 cores; the M2 of the specification has 10.
    ["Apple M2 Pro", 6.75, 13.49, 26.98, null],
    ["Apple M2 Max", 13.49, 26.98, 53.96, null],
    ["Apple M2 Ultra", 26.98, 53.96, 107.92, null],
    // 18 and 80 cores; the M3 Max of the specification has 40.
    ["Apple M3 Pro", 6.39, 12.78, 25.56, null],
    ["Apple M3 Ultra", 28.40, 56.80, 113.60, null],
    // 20 and 40 cores; the M4 of the specification has 10.
    ["Apple M4 Pro", 8.52, 17.04, 34.08, null],
    ["Apple M4 Max", 17.04, 34.08, 68.16, null],
  ]),
  ...publishedChips(matrixUnits, [
    // 10, 20 and 40 cores.
    ["Apple M5", 4.48, 17.92, 35.84, null],
    ["Apple M5 Pro", 8.96, 35.84, 71.68, null],
    ["Apple M5 Max", 17.92, 71.68, 143.36, null],
  ]),
];
