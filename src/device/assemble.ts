/** From what the tools found to a device's capabilities: the decisions, without any asking. */

import type { DeviceCapabilities, Gpu } from "./capabilities.ts";
import { type Chip, lookupChip } from "./chips.ts";
import { MAX_GPUS } from "./gpu.ts";
import type { Finding, FoundGpu } from "./probe.ts";
import {
  type Described,
  describeGpus,
  fastestGpu,
  noOwnMemory,
  NOT_PUBLISHED,
  notInTable,
  ownMemory,
  RATES,
  unknownFlops,
} from "./report.ts";

/** What the tools of one operating system found. */
export interface HostFacts {
  readonly os: string;
  readonly arch: string;
  /** The machine. */
  readonly model: Finding<string>;
  /** The processor; on a Mac with Apple silicon the chip. */
  readonly processor: Finding<string>;
  /** RAM in MB. */
  readonly memory: Finding<number>;
  readonly cores: Finding<number>;
  readonly gpus: readonly FoundGpu[];
  /** Why a GPU may have been overlooked. */
  readonly gpuProblems: readonly string[];
}

/** Decides what the device is and can do, and notes the origin of every figure. */
export function assemble(facts: HostFacts): Described {
  const host = hostChip(facts);
  const found = facts.gpus.slice(0, MAX_GPUS);
  const chips = found.map((gpu) => chipOf(gpu, host?.chip));
  const gpus = found.map((gpu, index) => toGpu(gpu, chips[index]));
  const fastest = fastestGpu(gpus);
  const measured = fastest === undefined ? host?.chip : chips[gpus.indexOf(fastest)];
  const described: Described = {
    capabilities: {
      model: facts.model.value,
      chip: null,
      memory: facts.memory.value,
      vram: ownMemory(gpus),
      unifiedMemory: (fastest ?? gpus[0])?.unified ?? host?.chip.unified ?? false,
      flops: { ...unknownFlops(), ...(fastest ?? host?.chip)?.flops },
      cores: facts.cores.value,
      gpus,
      os: facts.os,
      arch: facts.arch,
    },
    sources: { os: "Deno.build", arch: "Deno.build" },
    missing: {},
  };
  const note = noteIn(described);
  note("model", facts.model);
  note("memory", facts.memory);
  note("cores", facts.cores);
  described.capabilities.chip = describeChip(described, facts, host, fastest);
  describeGpus(
    described,
    gpus,
    (index, field) =>
      field.startsWith("flops") ? `chip table: ${chips[index]?.source}` : found[index].source,
    (index) => found[index].memoryReason,
  );
  describeSums(described, facts, measured ?? null);
  return described;
}

function noteIn(
  described: Described,
): (field: string, finding: Finding<NonNullable<unknown>>) => void {
  return (field, finding) => {
    if (finding.value === null) described.missing[field] = finding.reason;
    else described.sources[field] = finding.source;
  };
}

/** The chip that a machine is built around, under which name, and how that is known. */
interface Host {
  readonly chip: Chip;
  readonly name: string;
  readonly origin: Finding<string>;
}

/** A Jetson or Raspberry Pi by the model, else the processor when it has its GPU on the chip. */
function hostChip({ model, processor }: HostFacts): Host | null {
  // A model's or processor's name never means a card that is plugged in.
  const board = model.value === null ? null : lookupChip(model.value);
  if (board !== null && board.kind !== "gpu") {
    return { chip: board, name: board.name, origin: model };
  }
  const soc = processor.value === null ? null : lookupChip(processor.value);
  if (processor.value === null || soc === null || soc.kind === "gpu") return null;
  return { chip: soc, name: processor.value, origin: processor };
}

/**
 * The row of the table for a GPU. On a chip with a GPU, the chip says more exactly which GPU it is
 * than the GPU's own name does (`Orin (nvgpu)`, `AMD Radeon Graphics`).
 */
function chipOf(gpu: FoundGpu, host: Chip | undefined): Chip | null {
  const chip = lookupChip(gpu.name);
  const isHost = host?.kind === "soc" && host.vendor === gpu.vendor &&
    (gpu.unified === true || chip === null || chip.unified);
  return isHost ? host : chip;
}

function toGpu(found: FoundGpu, chip: Chip | null): Gpu {
  const unified = found.unified ?? chip?.unified ?? false;
  return {
    name: found.name,
    vendor: found.vendor,
    memory: unified ? null : found.memory,
    unified,
    flops: { ...unknownFlops(), ...chip?.flops },
  };
}

/** The GPU whose rates are given; else the board or processor; else whatever GPU there is. */
function describeChip(
  described: Described,
  facts: HostFacts,
  host: Host | null,
  fastest: Gpu | undefined,
): DeviceCapabilities["chip"] {
  const note = noteIn(described);
  const { gpus } = described.capabilities;
  const isOnHost = fastest?.unified === true && fastest.vendor === host?.chip.vendor;
  if (host !== null && (fastest === undefined || isOnHost)) {
    note("chip", host.origin);
    return host.name;
  }
  const gpu = fastest ?? (facts.processor.value === null ? gpus[0] : undefined);
  if (gpu === undefined) {
    note("chip", facts.processor);
    return facts.processor.value;
  }
  described.sources["chip"] = facts.gpus[gpus.indexOf(gpu)].source;
  return gpu.name;
}

/** Notes the origin of what follows from the GPUs together. */
function describeSums(described: Described, facts: HostFacts, chip: Chip | null): void {
  const { sources, missing, capabilities } = described;
  const { gpus, flops, vram } = capabilities;
  const looked = [...new Set(facts.gpus.map(({ source }) => source))].join("; ");
  const problems = facts.gpuProblems.join("; ");
  const noGpu = "no GPU was found (see gpus)";
  if (gpus.length === 0) {
    missing["gpus"] = `none was found${problems === "" ? "" : `: ${problems}`}`;
  } else sources["gpus"] = looked;
  sources["unifiedMemory"] = gpus.length > 0 ? looked : chip === null ? "no GPU was found" : "chip";
  if (vram === null) missing["vram"] = gpus.length === 0 ? noGpu : noOwnMemory(gpus);
  else sources["vram"] = looked;
  const unknown = gpus.length === 0 ? noGpu : notInTable(gpus[0].name);
  for (const rate of RATES) {
    const path = `flops.${rate}`;
    if (flops[rate] !== null) sources[path] = `chip table: ${chip?.source}`;
    else missing[path] = chip === null ? unknown : NOT_PUBLISHED;
  }
}
