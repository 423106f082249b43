/** What a device can do: the public types, their schema, and what people may write instead. */

import { z } from "zod";
import { GPU_VENDORS, type GpuVendor, MAX_GPUS } from "./gpu.ts";
import { parseWith } from "../base/schema.ts";
import { safeName } from "../base/safe_text.ts";

export type { GpuVendor } from "./gpu.ts";

/**
 * Peak arithmetic rates, in TFLOPS (10¹² operations a second; a multiply-add counts as two).
 * `null` is unknown, never 0. {@linkcode lookupChip} says by which convention they are given.
 */
export interface DeviceFlops {
  /** 32-bit floating point, TFLOPS. */
  fp32: number | null;
  /** 16-bit floating point, TFLOPS. */
  fp16: number | null;
  /** 8-bit integers, TOPS. */
  int8: number | null;
}

/** One graphics processor. */
export interface Gpu {
  /** As the tool that found it says, without control characters, 128 characters at most. */
  name: string;
  /** Its maker. */
  vendor: GpuVendor;
  /** Memory of its own in MB (2²⁰ bytes); `null` when it shares the RAM, or when unknown. */
  memory: number | null;
  /** Whether it shares the RAM with the processor. */
  unified: boolean;
  /** Its peak rates. */
  flops: DeviceFlops;
}

/** What a device is and can do. Plain JSON: it travels over the network as it is. */
export interface DeviceCapabilities {
  /** The machine, such as `MacBook Pro (Mac15,8)` or `Raspberry Pi 5 Model B Rev 1.0`. */
  model: string | null;
  /** The part that {@linkcode DeviceCapabilities.flops} speaks of; the processor if there is none. */
  chip: string | null;
  /** RAM in MB (2²⁰ bytes). */
  memory: number | null;
  /** The GPUs' own memory together, in MB; `null` when they share the RAM, or when unknown. */
  vram: number | null;
  /** Whether the GPU that {@linkcode DeviceCapabilities.flops} speaks of shares the RAM. */
  unifiedMemory: boolean;
  /**
   * The rates of the fastest single GPU (by FP16), not a sum: a model that is split over several
   * GPUs runs through them one after the other, so that their memory adds up and their speed does
   * not. Without a known GPU, those of the board or processor.
   */
  flops: DeviceFlops;
  /** Logical processor cores. */
  cores: number | null;
  /** 16 at most, in the order in which they were found. */
  gpus: Gpu[];
  /** `linux`, `darwin`, `windows`, … */
  os: string;
  /** `x86_64` or `aarch64`. */
  arch: string;
}

/** A {@linkcode Gpu} as people may write it: what is left out follows from the table of chips. */
export interface GpuOverride {
  /** Under this name the table is asked. */
  name: string;
  /** Its maker. */
  vendor?: GpuVendor;
  /** Memory of its own, in MB. */
  memory?: number | null;
  /** Whether it shares the RAM. */
  unified?: boolean;
  /** Its peak rates, in TFLOPS. */
  flops?: Partial<DeviceFlops>;
}

/** {@linkcode DeviceCapabilities} as people may write them, in an option or a JSON file. */
export interface CapabilityOverrides {
  /** The machine. */
  model?: string | null;
  /** Given alone, `flops`, `gpus`, `vram` and `unifiedMemory` follow from the table of chips. */
  chip?: string | null;
  /** RAM, in MB. */
  memory?: number | null;
  /** The GPUs' own memory together, in MB. */
  vram?: number | null;
  /** Whether the GPU shares the RAM. */
  unifiedMemory?: boolean;
  /** Peak rates, in TFLOPS; those that are left out stay. */
  flops?: Partial<DeviceFlops>;
  /** Logical processor cores. */
  cores?: number | null;
  /** All GPUs, 16 at most; they replace those that were found. */
  gpus?: GpuOverride[];
  /** The operating system. */
  os?: string;
  /** The processor's architecture. */
  arch?: string;
}

/** A device of which nothing is known, yet or at all. */
export const UNKNOWN_DEVICE: DeviceCapabilities = Object.freeze({
  model: null,
  chip: null,
  memory: null,
  vram: null,
  unifiedMemory: false,
  flops: Object.freeze({ fp32: null, fp16: null, int8: null }),
  cores: null,
  gpus: [],
  os: "",
  arch: "",
});

const text = z.string().transform((value) => safeName(value));
const figure = z.number().nonnegative().nullable();
const flops = z.object({ fp32: figure, fp16: figure, int8: figure });

/**
 * Reads {@linkcode DeviceCapabilities} off the wire. Names lose control characters and are cut to
 * 128 characters; figures must be finite and not negative; unknown fields are dropped.
 */
export const deviceCapabilitiesSchema: z.ZodType<DeviceCapabilities> = z.object({
  model: text.nullable(),
  chip: text.nullable(),
  memory: figure,
  vram: figure,
  unifiedMemory: z.boolean(),
  flops,
  cores: figure,
  gpus: z.array(z.object({
    name: text,
    vendor: z.enum(GPU_VENDORS),
    memory: figure,
    unified: z.boolean(),
    flops,
  })).max(MAX_GPUS),
  os: text,
  arch: text,
});

const writtenText = z.string("expected a text").transform((value) => safeName(value))
  .refine((value) => value !== "", "expected a text that is not empty");
const writtenFlag = z.boolean("expected true or false");

/** What to say of something else, and of a field that is misspelt: it must not pass unnoticed. */
function expecting(what: string) {
  return {
    error: (issue: { code: string; keys?: string[] }) =>
      issue.code === "unrecognized_keys"
        ? `there is no ${issue.keys?.map((key) => JSON.stringify(safeName(key))).join(", ")}`
        : `expected ${what}`,
  };
}

function writtenFigure(unit: string): z.ZodType<number | null> {
  const message = `expected a number of ${unit}, 0 or more, or null`;
  return z.number(message).nonnegative(message).nullable();
}

const writtenFlops: z.ZodType<Partial<DeviceFlops>> = z.strictObject({
  fp32: writtenFigure("TFLOPS"),
  fp16: writtenFigure("TFLOPS"),
  int8: writtenFigure("TOPS"),
}, expecting("an object with fp32, fp16 and int8, each optional")).partial();

const writtenGpu: z.ZodType<GpuOverride> = z.strictObject({
  name: writtenText,
  vendor: z.enum(GPU_VENDORS, `expected one of ${GPU_VENDORS.join(", ")}`).optional(),
  memory: writtenFigure("MB").optional(),
  unified: writtenFlag.optional(),
  flops: writtenFlops.optional(),
}, expecting("an object with at least a name"));

const writtenCapabilities: z.ZodType<CapabilityOverrides> = z.strictObject({
  model: writtenText.nullable(),
  chip: writtenText.nullable(),
  memory: writtenFigure("MB"),
  vram: writtenFigure("MB"),
  unifiedMemory: writtenFlag,
  flops: writtenFlops,
  cores: writtenFigure("cores"),
  gpus: z.array(writtenGpu, "expected a list of GPUs")
    .max(MAX_GPUS, `expected at most ${MAX_GPUS} GPUs`),
  os: writtenText,
  arch: writtenText,
}, expecting("an object")).partial();

/**
 * Reads the capabilities that a person wrote in place of what would be detected. Every field is
 * optional; the `capabilities` of `detect --json` can be edited and given back.
 *
 * @param value Parsed JSON, or the option as it was given.
 *
 * @example A GPU server, described by its card alone
 * ```ts
 * import { parseCapabilityOverrides } from "./capabilities.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const overrides = parseCapabilityOverrides({ chip: "RTX 4090", memory: 65536 });
 * assertEquals(overrides, { chip: "RTX 4090", memory: 65536 });
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming each field that does not fit, and what would.
 */
export function parseCapabilityOverrides(value: unknown): CapabilityOverrides {
  return parseWith(
    writtenCapabilities,
    value,
    "INVALID_ARGUMENT",
    `Cannot use the device capabilities that were given ` +
      `(these would do: {"chip": "RTX 4090", "memory": 65536})`,
  );
}
