/** What macOS's tools say of a Mac: `system_profiler` and `sysctl`. */

import { vendorOf } from "./gpu.ts";
import {
  asFigure,
  ask,
  asList,
  asName,
  asRecord,
  type Finding,
  type FoundGpu,
  jsonObjectIn,
  megabytes,
  type ProbeContext,
  type Question,
} from "./probe.ts";

/** A Mac as `system_profiler` describes it. */
export interface MacProfile {
  /** `MacBook Pro (Mac15,8)`. */
  readonly model: string | null;
  /** `Apple M3 Max`, or the processor of an Intel Mac. */
  readonly chip: string | null;
  /** MB. */
  readonly memory: number | null;
  readonly gpus: readonly Omit<FoundGpu, "source">[];
}

/** A Mac as `sysctl` describes it: less, but in 2 ms where `system_profiler` takes 300. */
export interface MacSysctl {
  /** `Mac15,8`. */
  readonly model: string | null;
  readonly chip: string | null;
  /** MB. */
  readonly memory: number | null;
}

const profiler: Question<MacProfile> = {
  command: "system_profiler",
  args: ["SPHardwareDataType", "SPDisplaysDataType", "-json"],
  hint: "it is part of macOS, in /usr/sbin",
  parse: parseSystemProfiler,
};

const sysctl: Question<MacSysctl> = {
  command: "sysctl",
  args: ["hw.model", "hw.memsize", "machdep.cpu.brand_string"],
  hint: "it is part of macOS, in /usr/sbin",
  parse: parseSysctl,
};

/** Asks `system_profiler` for the machine and its GPUs. */
export function askSystemProfiler(context: ProbeContext): Promise<Finding<MacProfile>> {
  return ask(context, profiler);
}

/** Asks `sysctl` for the machine. */
export function askSysctl(context: ProbeContext): Promise<Finding<MacSysctl>> {
  return ask(context, sysctl);
}

/** Reads `system_profiler -json`; `null` when neither section is there. */
export function parseSystemProfiler(stdout: string): MacProfile | null {
  const report = jsonObjectIn(stdout);
  const hardware = report?.["SPHardwareDataType"];
  const displays = report?.["SPDisplaysDataType"];
  if (!Array.isArray(hardware) && !Array.isArray(displays)) return null;
  const machine = asRecord(asList(hardware)[0]) ?? {};
  const name = asName(machine["machine_name"]);
  const identifier = asName(machine["machine_model"]);
  return {
    model: name !== null && identifier !== null ? `${name} (${identifier})` : name ?? identifier,
    chip: asName(machine["chip_type"]) ?? asName(machine["cpu_type"]),
    memory: parseSize(machine["physical_memory"]),
    gpus: asList(displays).map(parseDisplay).filter((gpu) => gpu !== null),
  };
}

function parseDisplay(value: unknown): Omit<FoundGpu, "source"> | null {
  const fields = asRecord(value);
  // `_name` can be an internal key such as kHW_AppleM1Item.
  const name = asName(fields?.["sppci_model"]) ?? asName(fields?.["_name"]);
  if (fields === null || name === null) return null;
  const vendor = vendorOf(name);
  const unified = vendor === "apple" || vendor === "intel" ||
    fields["spdisplays_vram_shared"] !== undefined;
  // macOS 10.13 and later put an underscore before the key on some Macs.
  const memory = unified
    ? null
    : parseSize(fields["spdisplays_vram"]) ?? parseSize(fields["_spdisplays_vram"]);
  return {
    name,
    vendor,
    memory,
    unified,
    ...(unified || memory !== null ? {} : { memoryReason: "system_profiler gives no VRAM for it" }),
  };
}

/** `16 GB`, `1.5 TB` or `1536 MB`, as MB. */
function parseSize(value: unknown): number | null {
  const match = typeof value === "string" ? /^\s*(\d+(?:\.\d+)?) *([MGT])B\s*$/.exec(value) : null;
  if (match === null) return null;
  return Number(match[1]) * { M: 1, G: 1024, T: 1024 * 1024 }[match[2] as "M" | "G" | "T"];
}

/** Reads the lines `key: value` of `sysctl`; `null` when there is none. */
export function parseSysctl(stdout: string): MacSysctl | null {
  const values = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const match = /^([a-z]\w*(?:\.\w+)+): (.*)$/.exec(line);
    if (match !== null) values.set(match[1], match[2]);
  }
  if (values.size === 0) return null;
  return {
    model: asName(values.get("hw.model")),
    chip: asName(values.get("machdep.cpu.brand_string")),
    memory: megabytes(asFigure(values.get("hw.memsize"))),
  };
}
