/** What the GPUs of a device are doing at the moment. */

import { askNvidiaSmi } from "./nvidia_smi.ts";
import { type Finding, missing, type ProbeContext } from "./probe.ts";
import { askRocmSmiReading } from "./rocm_smi.ts";

/** A GPU at the moment. */
export interface GpuReading {
  /** As its tool calls it. */
  name: string;
  /** Percent of the last second or so in which it computed. */
  utilizationPercent: number | null;
  /** MB (2²⁰ bytes). */
  memoryUsed: number | null;
  /** MB. */
  memoryTotal: number | null;
  /** Degrees Celsius. */
  temperatureC: number | null;
}

/** Asks the makers' tools that the operating system can have. */
export async function readGpus(context: ProbeContext, os: string): Promise<Finding<GpuReading[]>> {
  if (os === "darwin") {
    return missing("macOS shows the use of its GPU to root only (powermetrics)");
  }
  const [nvidia, amd] = await Promise.all([
    askNvidiaSmi(context),
    os === "linux"
      ? askRocmSmiReading(context)
      : missing(`the use of AMD's and Intel's GPUs is not read on ${os}`),
  ]);
  const found = [...nvidia.value ?? [], ...amd.value ?? []];
  if (found.length === 0) {
    const reasons = [nvidia, amd].map(({ reason }) => reason).filter((text) => text !== undefined);
    return missing(["no GPU can be read", ...reasons].join("; "));
  }
  const value = found.map(({ memory, ...gpu }) => ({ ...gpu, memoryTotal: memory }));
  return { value, source: "nvidia-smi, rocm-smi" };
}

/** Why a GPU's tool leaves a figure out, by dotted field. */
export function noteGpus(gpus: readonly GpuReading[], noted: Record<string, string>): void {
  gpus.forEach((gpu, index) => {
    for (const [field, value] of Object.entries(gpu)) {
      if (value === null) noted[`gpus.${index}.${field}`] = "the GPU's tool does not give it";
    }
  });
}
