/** What Windows says of a machine: CIM classes and the registry, through PowerShell. */

import { isIntelCard, vendorOf } from "./gpu.ts";
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

/** A PC as CIM describes it. */
export interface WindowsProfile {
  readonly model: string | null;
  readonly processor: string | null;
  /** MB. */
  readonly memory: number | null;
  readonly gpus: readonly Omit<FoundGpu, "source">[];
}

// One process for all: starting PowerShell is what takes the time. The registry's key is that of
// the setup class "display adapters"; the drivers of NVIDIA, AMD and Intel leave there how much
// memory a card has, in 64 bits.
const SCRIPT = [
  "$ErrorActionPreference='SilentlyContinue'",
  "$class='HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Class\\" +
  "{4d36e968-e325-11ce-bfc1-08002be10318}\\0*'",
  "$system=Get-CimInstance Win32_ComputerSystem|Select-Object Manufacturer,Model,TotalPhysicalMemory",
  "$processors=@(Get-CimInstance Win32_Processor|Select-Object Name)",
  "$video=@(Get-CimInstance Win32_VideoController|Select-Object Name,AdapterRAM)",
  "$drivers=@(Get-ItemProperty $class|Select-Object DriverDesc,HardwareInformation.qwMemorySize)",
  "@{system=$system;processors=$processors;video=$video;drivers=$drivers}|" +
  "ConvertTo-Json -Depth 4 -Compress",
].join(";");

const question: Question<WindowsProfile> = {
  command: "powershell",
  args: ["-NoProfile", "-NonInteractive", "-Command", SCRIPT],
  hint: "it is part of Windows",
  parse: parseWindowsProfile,
};

const SOURCE = "powershell Get-CimInstance Win32_ComputerSystem, Win32_Processor, " +
  "Win32_VideoController; registry class of display adapters";

// PowerShell takes over a second for its first start after a boot.
const TIMES_SLOWER = 3;

/** Asks PowerShell, which gets three times as long as other tools. */
export async function askPowerShell(context: ProbeContext): Promise<Finding<WindowsProfile>> {
  const patient = { ...context, timeoutMs: context.timeoutMs * TIMES_SLOWER };
  const answer = await ask(patient, question);
  return answer.value === null ? answer : { value: answer.value, source: SOURCE };
}

/** Reads what {@linkcode askPowerShell}'s script prints; `null` when it is not that. */
export function parseWindowsProfile(stdout: string): WindowsProfile | null {
  const report = jsonObjectIn(stdout);
  if (report === null) return null;
  const system = asRecord(report["system"]);
  const maker = asName(system?.["Manufacturer"]);
  const product = asName(system?.["Model"]);
  const memories = readDrivers(report["drivers"]);
  return {
    model: asName([maker, product].filter((part) => part !== null).join(" ")),
    processor: asName(asRecord(asList(report["processors"])[0])?.["Name"]),
    memory: megabytes(asFigure(system?.["TotalPhysicalMemory"])),
    gpus: asList(report["video"])
      .map((item) => parseController(item, memories))
      .filter((gpu) => gpu !== null),
  };
}

/** Memory in bytes by the adapter's name, as the drivers wrote it. */
function readDrivers(value: unknown): Map<string, number> {
  const memories = new Map<string, number>();
  for (const item of asList(value)) {
    const fields = asRecord(item);
    const name = asName(fields?.["DriverDesc"]);
    const size = fields?.["HardwareInformation.qwMemorySize"];
    const bytes = Array.isArray(size) ? littleEndian(size) : asFigure(size);
    if (name !== null && bytes !== null && bytes > 0) memories.set(name, bytes);
  }
  return memories;
}

/** Some drivers write the number as eight bytes. */
function littleEndian(bytes: unknown[]): number | null {
  let value = 0;
  for (const byte of bytes.slice(0, 8).reverse()) {
    if (typeof byte !== "number" || !Number.isInteger(byte) || byte < 0 || byte > 255) return null;
    value = value * 256 + byte;
  }
  return value;
}

// AdapterRAM has 32 bits: a card of 4 GiB or more shows 4095 MiB (4293918720) or 4 GiB − 1.
const ADAPTER_RAM_CAP = 4095 * 2 ** 20;

function parseController(
  value: unknown,
  memories: Map<string, number>,
): Omit<FoundGpu, "source"> | null {
  const fields = asRecord(value);
  const name = asName(fields?.["Name"]);
  if (fields === null || name === null) return null;
  const vendor = vendorOf(name);
  // Remote desktops, virtual monitors and the basic driver are controllers, too.
  if (vendor === "other" && !/adreno/i.test(name)) return null;
  const unified = vendor === "other" || vendor === "intel" && !isIntelCard(name);
  if (unified) return { name, vendor, memory: null, unified };
  const ram = asFigure(fields["AdapterRAM"]);
  const bytes = memories.get(name) ??
    (ram !== null && ram > 0 && ram < ADAPTER_RAM_CAP ? ram : null);
  return {
    name,
    vendor,
    memory: megabytes(bytes),
    unified: vendor === "intel" ? false : null,
    ...(bytes === null
      ? { memoryReason: "Win32_VideoController cannot express 4 GB or more" }
      : {}),
  };
}
