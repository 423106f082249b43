/** What AMD's tools say of AMD's GPUs: `rocm-smi`, and `amd-smi` where that has replaced it. */

import {
  asFigure,
  ask,
  asList,
  asName,
  asRecord,
  type Finding,
  jsonObjectIn,
  megabytes,
  missing,
  type ProbeContext,
  type Question,
} from "./probe.ts";

/** One card as AMD's tools describe it. A figure that they do not give is `null`. */
export interface AmdGpu {
  readonly name: string;
  /** MB; with graphics on the processor, the part of the RAM that the firmware set aside. */
  readonly memory: number | null;
  readonly utilizationPercent: number | null;
  /** MB. */
  readonly memoryUsed: number | null;
  readonly temperatureC: number | null;
}

const rocmSmi: Question<AmdGpu[]> = {
  command: "rocm-smi",
  args: ["--showproductname", "--showmeminfo", "vram", "--json"],
  hint: "it comes with ROCm",
  parse: parseRocmSmi,
};

const rocmSmiReading: Question<AmdGpu[]> = {
  ...rocmSmi,
  args: ["--showproductname", "--showmeminfo", "vram", "--showuse", "--showtemp", "--json"],
};

const amdSmi: Question<AmdGpu[]> = {
  command: "amd-smi",
  args: ["static", "--asic", "--vram", "--json"],
  hint: "it comes with ROCm 6 and later",
  parse: parseAmdSmi,
};

/** Asks `rocm-smi`, and when that has nothing to say, `amd-smi` in the time that is left. */
export async function askAmdTools(context: ProbeContext): Promise<Finding<AmdGpu[]>> {
  const { clock, timeoutMs } = context;
  const deadline = clock.now() + timeoutMs;
  const first = await ask(context, rocmSmi);
  const left = deadline - clock.now();
  if (first.value !== null || left <= 0) return first;
  const second = await ask({ ...context, timeoutMs: left }, amdSmi);
  return second.value !== null ? second : missing(`${first.reason}; ${second.reason}`);
}

/** Asks `rocm-smi` also for what changes: use and temperature. */
export function askRocmSmiReading(context: ProbeContext): Promise<Finding<AmdGpu[]>> {
  return ask(context, rocmSmiReading);
}

/** Reads `rocm-smi --json`: `{"card0": {…}, "system": {…}}`; `null` when it is not that. */
export function parseRocmSmi(stdout: string): AmdGpu[] | null {
  const cards = jsonObjectIn(stdout);
  if (cards === null) return null;
  const gpus: AmdGpu[] = [];
  for (const [key, value] of Object.entries(cards)) {
    const fields = asRecord(value);
    if (!/^card\d+$/.test(key) || fields === null) continue;
    gpus.push({
      // ROCm 6 writes "Card Series", ROCm 5 "Card series"; the model is a PCI id in most versions.
      name: marketName(fields["Card Series"]) ?? marketName(fields["Card series"]) ??
        marketName(fields["Device Name"]) ?? "AMD GPU",
      memory: megabytes(asFigure(fields["VRAM Total Memory (B)"])),
      utilizationPercent: asFigure(fields["GPU use (%)"]),
      memoryUsed: megabytes(asFigure(fields["VRAM Total Used Memory (B)"])),
      temperatureC: asFigure(fields["Temperature (Sensor edge) (C)"]) ??
        asFigure(fields["Temperature (Sensor junction) (C)"]),
    });
  }
  return gpus;
}

/** Reads `amd-smi static --json`: a list, in ROCm 7 under `gpu_data`; `null` when it is not that. */
export function parseAmdSmi(stdout: string): AmdGpu[] | null {
  // A bare list is wrapped, so that both are objects.
  const text = stdout.trimStart().startsWith("[") ? `{"gpu_data":${stdout}}` : stdout;
  const list = jsonObjectIn(text)?.["gpu_data"];
  if (!Array.isArray(list)) return null;
  const gpus: AmdGpu[] = [];
  for (const item of asList(list)) {
    const fields = asRecord(item);
    if (fields === null) continue;
    const size = asRecord(asRecord(fields["vram"])?.["size"]);
    gpus.push({
      name: marketName(asRecord(fields["asic"])?.["market_name"]) ?? "AMD GPU",
      // AMD writes MB and means 2²⁰ bytes: an MI210 of 64 GiB has 65520.
      memory: size?.["unit"] === "MB" ? asFigure(size["value"]) : null,
      utilizationPercent: null,
      memoryUsed: null,
      temperatureC: null,
    });
  }
  return gpus;
}

/** `Navi 31 [Radeon RX 7900 XT/7900 XTX]` is a die and its cards; a PCI id is no name. */
function marketName(value: unknown): string | null {
  const name = asName(value);
  if (name === null || /^0x[0-9a-f]+$/i.test(name)) return null;
  return asName(/\[([^\]]+)\]/.exec(name)?.[1]) ?? name;
}
