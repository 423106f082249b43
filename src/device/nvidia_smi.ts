/** What `nvidia-smi` says of NVIDIA's GPUs, on Linux and Windows. */

import { ask, type Finding, type ProbeContext, type Question } from "./probe.ts";
import { safeName } from "../base/safe_text.ts";

/** One line of `nvidia-smi`'s answer. A figure that it does not give is `null`. */
export interface NvidiaGpu {
  readonly name: string;
  /** MB; `null` where the GPU shares the RAM (Jetson, GB10). */
  readonly memory: number | null;
  /** Percent of the last sample in which a kernel ran; `null` with MIG. */
  readonly utilizationPercent: number | null;
  /** MB. */
  readonly memoryUsed: number | null;
  readonly temperatureC: number | null;
}

const question: Question<NvidiaGpu[]> = {
  command: "nvidia-smi",
  args: [
    "--query-gpu=name,memory.total,utilization.gpu,memory.used,temperature.gpu",
    "--format=csv,noheader,nounits",
  ],
  hint: "it comes with the NVIDIA driver",
  parse: parseNvidiaSmi,
};

/** Asks `nvidia-smi`; an empty list when there is no NVIDIA GPU. */
export function askNvidiaSmi(context: ProbeContext): Promise<Finding<NvidiaGpu[]>> {
  return ask(context, question);
}

/** Reads the lines of `nvidia-smi`; `null` when there is none to read. */
export function parseNvidiaSmi(stdout: string): NvidiaGpu[] | null {
  const gpus: NvidiaGpu[] = [];
  for (const line of stdout.split("\n")) {
    const fields = line.split(",");
    const figures = fields.slice(-4).map((field) => parseField(field.trim()));
    const name = safeName(fields.slice(0, -4).join(","));
    if (name === "" || figures.length < 4 || figures.includes(undefined)) continue;
    const [memory, utilizationPercent, memoryUsed, temperatureC] = figures as (number | null)[];
    gpus.push({ name, memory, utilizationPercent, memoryUsed, temperatureC });
  }
  if (gpus.length === 0 && !/no devices were found/i.test(stdout)) return null;
  return gpus;
}

/** A number; `null` for `[N/A]`, `[Not Supported]` and their like; `undefined` for all else. */
function parseField(field: string): number | null | undefined {
  if (/^\d+(?:\.\d+)?$/.test(field)) return Number(field);
  return /^\[.*\]$|^n\/a$|^not supported$/i.test(field) ? null : undefined;
}

/**
 * Whether a name is that of a system on a chip, whose GPU shares the RAM. `nvidia-smi` calls the
 * Jetsons `Orin (nvgpu)` or `NVIDIA Thor` and DGX Spark `NVIDIA GB10`.
 */
export function sharesMemory(name: string): boolean {
  return /\(nvgpu\)|\b(?:thor|gb10|tegra|orin|xavier)\b/i.test(name);
}
