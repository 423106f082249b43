/** Capabilities with the origin of every figure: what a report is, and how overrides change it. */

import type {
  CapabilityOverrides,
  DeviceCapabilities,
  DeviceFlops,
  Gpu,
  GpuOverride,
} from "./capabilities.ts";
import { type Chip, lookupChip } from "./chips.ts";
import { vendorOf } from "./gpu.ts";

/** Where each figure comes from, and why others are missing; keys like `gpus.0.flops.fp16`. */
export interface Origins {
  /** By dotted field: the command, table or option that gave it. */
  sources: Record<string, string>;
  /** By dotted field: why it is `null`, and what would make it readable. */
  missing: Record<string, string>;
}

/** Capabilities and the {@linkcode Origins} of each of their figures. */
export interface Described extends Origins {
  capabilities: DeviceCapabilities;
}

/** The three rates of {@linkcode DeviceFlops}. */
export const RATES = ["fp32", "fp16", "int8"] as const;

/** No rate is known. */
export function unknownFlops(): DeviceFlops {
  return { fp32: null, fp16: null, int8: null };
}

/** Why `name` has no rates. */
export function notInTable(name: string): string {
  return `"${name}" is not in the table of chips; give flops in the device capabilities`;
}

/** Why a rate is `null` although the chip is known. */
export const NOT_PUBLISHED = "the chip's maker publishes no such rate";

/** The GPU whose rates stand for the device: the fastest by FP16, the first of equals. */
export function fastestGpu(gpus: readonly Gpu[]): Gpu | undefined {
  const rate = ({ flops }: Gpu) => flops.fp16 ?? flops.fp32 ?? -1;
  return gpus.filter((gpu) => rate(gpu) >= 0)
    .reduce<Gpu | undefined>(
      (best, gpu) => best === undefined || rate(gpu) > rate(best) ? gpu : best,
      undefined,
    );
}

/** What the GPUs have of their own together; `null` when none has any that is known. */
export function ownMemory(gpus: readonly Gpu[]): number | null {
  const known = gpus.map(({ memory }) => memory).filter((memory) => memory !== null);
  return known.length === 0 ? null : known.reduce((sum, memory) => sum + memory, 0);
}

/** Why {@linkcode ownMemory} is `null`. */
export function noOwnMemory(gpus: readonly Gpu[]): string {
  if (gpus.length === 0) return "no GPU with memory of its own was found";
  return gpus.every(({ unified }) => unified)
    ? "unified memory: the GPU uses the RAM"
    : "the memory of the GPUs is unknown";
}

/**
 * Puts what a person wrote in the place of what was found. With a `chip` alone, everything that
 * follows from the chip (`flops`, `gpus`, `vram`, `unifiedMemory`) is taken from the table.
 *
 * @example A node that stands for another device
 * ```ts
 * import { detectDeviceCapabilities } from "./detect.ts";
 * import { applyOverrides } from "./report.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const here = await detectDeviceCapabilities();
 * const there = applyOverrides(here, { chip: "Apple M3", memory: 16384 });
 * assertEquals(there.flops.fp16, 7.1);
 * assertEquals(there.unifiedMemory, true);
 * ```
 */
export function applyOverrides(
  capabilities: DeviceCapabilities,
  overrides: CapabilityOverrides,
): DeviceCapabilities {
  return describeOverrides({ capabilities, sources: {}, missing: {} }, overrides).capabilities;
}

/** {@linkcode applyOverrides} for a whole report: the origins follow. */
export function describeOverrides(found: Described, overrides: CapabilityOverrides): Described {
  const result = new Editor(found);
  if (overrides.chip !== undefined) result.setChip(overrides.chip);
  if (overrides.gpus !== undefined) result.setGpus(overrides.gpus.map(completeGpu), overrides.gpus);
  for (
    const field of ["model", "memory", "vram", "cores", "os", "arch", "unifiedMemory"] as const
  ) {
    if (overrides[field] !== undefined) result.set(field, overrides[field], OPTION, GIVEN_AS_NULL);
  }
  for (const rate of RATES) {
    const value = overrides.flops?.[rate];
    if (value !== undefined) result.setRate(rate, value, OPTION, GIVEN_AS_NULL);
  }
  return result.described;
}

const OPTION = "option";
const GIVEN_AS_NULL = "given as null in the option";

/** Fills in from the table of chips what was not written. */
function completeGpu(written: GpuOverride): Gpu {
  const chip = lookupChip(written.name);
  const unified = written.unified ?? chip?.unified ?? false;
  return {
    name: written.name,
    vendor: written.vendor ?? chip?.vendor ?? vendorOf(written.name),
    memory: written.memory !== undefined ? written.memory : unified ? null : chip?.memory ?? null,
    unified,
    flops: { ...unknownFlops(), ...chip?.flops, ...written.flops },
  };
}

function gpuOf(chip: Chip): Gpu {
  const { name, vendor, memory, unified, flops } = chip;
  return { name, vendor, memory, unified, flops: { ...flops } };
}

/** A copy of a report that changes field by field, each with its origin. */
class Editor {
  readonly described: Described;

  constructor(found: Described) {
    this.described = structuredClone(found);
  }

  set<K extends keyof DeviceCapabilities>(
    field: K,
    value: DeviceCapabilities[K],
    source: string,
    reason: string,
  ): void {
    this.described.capabilities[field] = value;
    this.#note(field, value, source, reason);
  }

  setRate(rate: keyof DeviceFlops, value: number | null, source: string, reason: string): void {
    this.described.capabilities.flops[rate] = value;
    this.#note(`flops.${rate}`, value, source, reason);
  }

  setChip(name: string | null): void {
    const chip = name === null ? null : lookupChip(name);
    this.set("chip", name, OPTION, GIVEN_AS_NULL);
    const reason = name === null ? "the chip is given as null in the option" : notInTable(name);
    const source = `chip table: ${chip?.source}`;
    const gpus = chip === null || chip.kind === "board" ? [] : [gpuOf(chip)];
    this.#replaceGpus(gpus, source, () => source, chip === null ? reason : "the chip has no GPU");
    this.#setFlops(chip?.flops ?? unknownFlops(), source, chip === null ? reason : NOT_PUBLISHED);
  }

  setGpus(gpus: Gpu[], written: readonly GpuOverride[]): void {
    const sourceOf = (index: number, field: string) => {
      const given = written[index];
      const rate = RATES.find((name) => field === `flops.${name}`);
      const isGiven = rate === undefined
        ? given[field as keyof GpuOverride] !== undefined
        : given.flops?.[rate] !== undefined;
      const chip = lookupChip(given.name);
      return isGiven || chip === null ? OPTION : `chip table: ${chip.source}`;
    };
    this.#replaceGpus(gpus, OPTION, sourceOf, "given as empty in the option");
    const fastest = fastestGpu(gpus);
    if (fastest === undefined) return;
    const source = sourceOf(gpus.indexOf(fastest), "flops.fp16");
    this.#setFlops(fastest.flops, source, NOT_PUBLISHED);
  }

  #setFlops(flops: Readonly<DeviceFlops>, source: string, reason: string): void {
    for (const rate of RATES) this.setRate(rate, flops[rate], source, reason);
  }

  #replaceGpus(
    gpus: Gpu[],
    source: string,
    sourceOf: (index: number, field: string) => string,
    emptyReason: string,
  ): void {
    this.#forget("gpus");
    this.set("gpus", gpus, source, "");
    if (gpus.length === 0) this.described.missing["gpus"] = emptyReason;
    describeGpus(this.described, gpus, sourceOf);
    this.set("unifiedMemory", (fastestGpu(gpus) ?? gpus[0])?.unified ?? false, source, "");
    this.set("vram", ownMemory(gpus), source, noOwnMemory(gpus));
  }

  #note(path: string, value: unknown, source: string, reason: string): void {
    this.#forget(path);
    if (value === null) this.described.missing[path] = reason;
    else this.described.sources[path] = source;
  }

  #forget(path: string): void {
    for (const record of [this.described.sources, this.described.missing]) {
      for (const key of Object.keys(record)) {
        if (key === path || key.startsWith(`${path}.`)) delete record[key];
      }
    }
  }
}

/** Notes the origin of every field of every GPU. */
export function describeGpus(
  origins: Origins,
  gpus: readonly Gpu[],
  sourceOf: (index: number, field: string) => string,
  memoryReason: (index: number) => string | undefined = () => undefined,
): void {
  gpus.forEach((gpu, index) => {
    const note = (field: string, value: unknown, reason: string) => {
      const path = `gpus.${index}.${field}`;
      if (value === null) origins.missing[path] = reason;
      else origins.sources[path] = sourceOf(index, field);
    };
    note("name", gpu.name, "");
    note("vendor", gpu.vendor, "");
    note("unified", gpu.unified, "");
    note(
      "memory",
      gpu.memory,
      gpu.unified
        ? "unified memory: the GPU uses the RAM"
        : memoryReason(index) ?? "sold with several sizes of memory; give it in the option",
    );
    const known = lookupChip(gpu.name) !== null || RATES.some((rate) => gpu.flops[rate] !== null);
    for (const rate of RATES) {
      note(`flops.${rate}`, gpu.flops[rate], known ? NOT_PUBLISHED : notInTable(gpu.name));
    }
  });
}
