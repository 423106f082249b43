/** Which tools are asked on which operating system, and how their answers are put together. */

import type { HostFacts } from "./assemble.ts";
import { askDeviceTree, askDmi, askLscpu, askLspci } from "./linux.ts";
import { askSysctl, askSystemProfiler } from "./macos.ts";
import { askNvidiaSmi, sharesMemory } from "./nvidia_smi.ts";
import { allOf, type Finding, type FoundGpu, missing, type ProbeContext } from "./probe.ts";
import { askAmdTools } from "./rocm_smi.ts";
import { askPowerShell } from "./windows.ts";

/** The part of {@linkcode HostFacts} that depends on the operating system. */
export type SystemFacts =
  & Pick<HostFacts, "model" | "processor" | "gpus" | "gpuProblems">
  & Partial<Pick<HostFacts, "memory">>;

/** Asks the tools of the operating system, all at the same time. */
export function gatherSystem(
  context: ProbeContext,
  os: string,
  arch: string,
): Promise<SystemFacts> {
  switch (os) {
    case "linux":
      return gatherLinux(context, arch);
    case "darwin":
      return gatherMacos(context);
    case "windows":
      return gatherWindows(context);
    default:
      return gatherNothing();
  }
}

async function gatherLinux(context: ProbeContext, arch: string): Promise<SystemFacts> {
  const [nvidia, amd, pci, processor, board, dmi] = await allOf([
    nvidiaGpus(context),
    amdGpus(context),
    askLspci(context),
    askLscpu(context),
    askDeviceTree(context),
    askDmi(context),
  ]);
  const onBus: Finding<FoundGpu[]> = pci.value === null
    ? pci
    : { ...pci, value: pci.value.map((gpu) => ({ ...gpu, source: pci.source })) };
  const generic: Finding<string> = {
    value: `Linux ${arch}`,
    source: "Deno.build; " +
      (board.isForbidden ? board.reason : "neither device tree nor firmware names the machine"),
  };
  return {
    model: [board, dmi].find(({ value }) => value !== null) ?? generic,
    processor,
    ...mergeGpus([nvidia, amd], onBus),
  };
}

async function gatherMacos(context: ProbeContext): Promise<SystemFacts> {
  const [profile, sysctl] = await allOf([askSystemProfiler(context), askSysctl(context)]);
  return {
    model: firstOf(field(profile, "model"), field(sysctl, "model")),
    processor: firstOf(field(sysctl, "chip"), field(profile, "chip")),
    memory: firstOf(field(sysctl, "memory"), field(profile, "memory")),
    gpus: profile.value === null
      ? []
      : profile.value.gpus.map((gpu) => ({ ...gpu, source: profile.source })),
    gpuProblems: profile.value === null ? [profile.reason] : [],
  };
}

async function gatherWindows(context: ProbeContext): Promise<SystemFacts> {
  const [nvidia, pc] = await allOf([nvidiaGpus(context), askPowerShell(context)]);
  const video: Finding<FoundGpu[]> = pc.value === null
    ? pc
    : { ...pc, value: pc.value.gpus.map((gpu) => ({ ...gpu, source: pc.source })) };
  return {
    model: field(pc, "model"),
    processor: field(pc, "processor"),
    memory: field(pc, "memory"),
    ...mergeGpus([nvidia], video),
  };
}

function gatherNothing(): Promise<SystemFacts> {
  const reason = "it is not known how to ask this operating system";
  return Promise.resolve({
    model: missing(reason),
    processor: missing(reason),
    gpus: [],
    gpuProblems: [reason],
  });
}

/** One field of what a tool found, with the same origin. */
function field<T extends NonNullable<unknown>, K extends keyof T>(
  finding: Finding<T>,
  key: K,
): Finding<NonNullable<T[K]>> {
  if (finding.reason !== undefined) return finding;
  const value = finding.value[key];
  return value === null || value === undefined
    ? missing(`${finding.source} does not give it`)
    : { value, source: finding.source };
}

function firstOf<T extends NonNullable<unknown>>(...findings: Finding<T>[]): Finding<T> {
  return findings.find(({ reason }) => reason === undefined) ??
    missing(findings.map((finding) => finding.reason ?? "").join("; "));
}

async function nvidiaGpus(context: ProbeContext): Promise<Finding<FoundGpu[]>> {
  const answer = await askNvidiaSmi(context);
  if (answer.value === null) return answer;
  const gpus = answer.value.map(({ name, memory }): FoundGpu => ({
    name,
    vendor: "nvidia",
    memory,
    unified: memory === null && sharesMemory(name) ? true : null,
    source: answer.source,
    memoryReason: "nvidia-smi does not give the memory",
  }));
  return { value: gpus, source: answer.source };
}

async function amdGpus(context: ProbeContext): Promise<Finding<FoundGpu[]>> {
  const answer = await askAmdTools(context);
  if (answer.value === null) return answer;
  const gpus = answer.value.map(({ name, memory }): FoundGpu => ({
    name,
    vendor: "amd",
    memory,
    unified: null,
    source: answer.source,
    memoryReason: "AMD's tools do not give the memory",
  }));
  return { value: gpus, source: answer.source };
}

/** A maker's own tool knows its GPUs best; of the other makers' GPUs the system knows the names. */
function mergeGpus(
  byMaker: readonly Finding<FoundGpu[]>[],
  bySystem: Finding<FoundGpu[]>,
): Pick<HostFacts, "gpus" | "gpuProblems"> {
  const known = byMaker.flatMap(({ value }) => value ?? []);
  const makers = new Set(known.map(({ vendor }) => vendor));
  const others = (bySystem.value ?? []).filter(({ vendor }) => !makers.has(vendor));
  return {
    gpus: [...known, ...others],
    gpuProblems: [...byMaker, bySystem].filter((finding) => finding.value === null)
      .map(({ reason }) => reason),
  };
}
