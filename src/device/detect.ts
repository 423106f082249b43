/** Finding out what this device is and can do: which tools are asked on which system. */

import { assemble, type HostFacts } from "./assemble.ts";
import type { CapabilityOverrides, DeviceCapabilities } from "./capabilities.ts";
import { type CommandRunner, runCommand } from "./command.ts";
import { gatherSystem } from "./hosts.ts";
import { allOf, type Finding, missing, type ProbeContext } from "./probe.ts";
import { describeOverrides } from "./report.ts";
import { denoSystem } from "./system.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";

/** What {@linkcode detectDevice} takes. Everything that it reads can be put in from outside. */
export interface DetectOptions {
  /** What to put in the place of what is found. */
  overrides?: CapabilityOverrides;
  /** Runs the system's tools. @default {runCommand} */
  run?: CommandRunner;
  /** Which tools to ask: those of `linux`, `darwin` or `windows`. @default {Deno.build.os} */
  os?: string;
  /** The processor's architecture. @default {Deno.build.arch} */
  arch?: string;
  /** The RAM, in bytes. @default {Deno.systemMemoryInfo} */
  memoryInfo?: () => { total: number } | Promise<{ total: number }>;
  /** Logical processor cores. @default {navigator.hardwareConcurrency} */
  cores?: number;
  /**
   * How long each tool may take, in milliseconds; PowerShell has three times as long. The tools
   * are asked at the same time.
   *
   * @default {2000}
   */
  timeoutMs?: number;
  /** Gives up. */
  signal?: AbortSignal;
  /** Keeps the time. @default {systemClock} */
  clock?: Clock;
}

/** What a device is and can do, and where that is known from. */
export interface DeviceReport {
  /** What it is and can do. */
  capabilities: DeviceCapabilities;
  /** By dotted field, such as `flops.fp16` or `gpus.0.memory`: the command, table or option. */
  sources: Record<string, string>;
  /** By dotted field: why it is `null`, and the flag or tool that would make it readable. */
  missing: Record<string, string>;
  /** How long it took, in milliseconds. */
  durationMs: number;
}

/**
 * Finds out what this device is and can do. A tool that is absent, forbidden, broken or too slow
 * costs only its own figures: they are `null`. Nothing is asked of the user.
 *
 * @example
 * ```ts
 * import { detectDeviceCapabilities } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const capabilities = await detectDeviceCapabilities();
 * assertEquals(capabilities.os, Deno.build.os);
 * ```
 *
 * @throws {NetworkError} `CANCELLED` when the signal aborts.
 */
export async function detectDeviceCapabilities(
  options: DetectOptions = {},
): Promise<DeviceCapabilities> {
  return (await detectDevice(options)).capabilities;
}

/**
 * {@linkcode detectDeviceCapabilities} with the origin of every figure, and the reason for every
 * one that is missing.
 *
 * @throws {NetworkError} `CANCELLED` when the signal aborts.
 */
export async function detectDevice(options: DetectOptions = {}): Promise<DeviceReport> {
  const { run = runCommand, timeoutMs = 2000, clock = systemClock, signal } = options;
  const started = clock.now();
  const context = { run, timeoutMs, clock, ...(signal === undefined ? {} : { signal }) };
  const facts = await gatherFacts(context, options);
  const { capabilities, sources, missing } = describeOverrides(
    assemble(facts),
    options.overrides ?? {},
  );
  return { capabilities, sources, missing, durationMs: clock.now() - started };
}

async function gatherFacts(context: ProbeContext, options: DetectOptions): Promise<HostFacts> {
  const { os = Deno.build.os, arch = Deno.build.arch } = options;
  const { cores = navigator.hardwareConcurrency } = options;
  const [memory, facts] = await allOf([
    readMemory(options),
    gatherSystem(context, os, arch),
  ]);
  return {
    ...facts,
    os,
    arch,
    cores: { value: cores, source: "navigator.hardwareConcurrency" },
    memory: memory.value === null && facts.memory?.value ? facts.memory : memory,
  };
}

async function readMemory(options: DetectOptions): Promise<Finding<number>> {
  try {
    const { total } = await (options.memoryInfo ?? denoSystem.memory)();
    return { value: Math.round(total / 2 ** 20), source: "Deno.systemMemoryInfo" };
  } catch (error) {
    return missing(`Deno.systemMemoryInfo: ${describeError(error)}`);
  }
}
