/** One row of the table of chips, and how a maker's published data become its rates. */

import type { DeviceFlops } from "./capabilities.ts";
import type { GpuVendor } from "./gpu.ts";

/** What is known of a chip by its name alone. */
export interface Chip {
  /** The name under which the table holds it, such as `RTX 4090`. */
  readonly name: string;
  /** Its maker. */
  readonly vendor: GpuVendor;
  /** A card or integrated GPU, a processor with its GPU on one chip, or a whole board. */
  readonly kind: "gpu" | "soc" | "board";
  /** Memory of its own in MB; `null` when it shares the RAM, or is sold with several sizes. */
  readonly memory: number | null;
  /** Whether it shares the RAM with the processor. */
  readonly unified: boolean;
  /** Peak rates, by the convention of {@linkcode lookupChip}'s table. */
  readonly flops: Readonly<DeviceFlops>;
  /** Where the figures come from. */
  readonly source: string;
}

/** A chip and the names by which tools and people know it. */
export interface NamedChip {
  readonly chip: Chip;
  readonly names: readonly string[];
}

/** What the rows of one table have in common. */
export interface ChipFamily {
  vendor: GpuVendor;
  kind: Chip["kind"];
  unified: boolean;
  source: string;
}

/** Name, FP32, FP16, INT8 as published, memory in GB, further names. */
export type PublishedRow = readonly [
  name: string,
  fp32: number | null,
  fp16: number | null,
  int8: number | null,
  memoryGb: number | null,
  ...names: string[],
];

/** Name, FP32 lanes, boost clock in MHz, memory in GB, further names. */
export type ShaderRow = readonly [
  name: string,
  lanes: number,
  boostMhz: number,
  memoryGb: number | null,
  ...names: string[],
];

/** How many times FP32's rate FP16 and INT8 have; `null` where the hardware has no such unit. */
export interface RelativeRates {
  fp16: number;
  int8: number | null;
}

/** Rows whose three rates are published. */
export function publishedChips(
  family: ChipFamily,
  rows: readonly PublishedRow[],
): NamedChip[] {
  return rows.map(([name, fp32, fp16, int8, memoryGb, ...names]) => ({
    chip: {
      ...family,
      name,
      memory: memoryGb === null ? null : memoryGb * 1024,
      flops: { fp32, fp16, int8 },
    },
    names: [name, ...names],
  }));
}

/**
 * Rows of which lanes and clock are published: FP32 = 2 × lanes × boost clock, a multiply-add
 * being two operations, rounded to 0.01 TFLOPS; the others are multiples of it.
 */
export function shaderChips(
  family: ChipFamily,
  rates: RelativeRates,
  rows: readonly ShaderRow[],
): NamedChip[] {
  return publishedChips(
    family,
    rows.map(([name, lanes, boostMhz, memoryGb, ...names]) => {
      const fp32 = hundredths(2 * lanes * boostMhz / 1e6);
      return [
        name,
        fp32,
        hundredths(fp32 * rates.fp16),
        rates.int8 === null ? null : hundredths(fp32 * rates.int8),
        memoryGb,
        ...names,
      ];
    }),
  );
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
