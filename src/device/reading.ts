/** What a device is doing at the moment: load, memory, GPUs, disk, network. */

import { type CommandRunner, runCommand } from "./command.ts";
import { parseDf, parseNetstat, parseProcNetDev, type TrafficCounters } from "./counters.ts";
import { type GpuReading, noteGpus, readGpus } from "./gpu_reading.ts";
import { ask, type Finding, megabytes, missing, type ProbeContext } from "./probe.ts";
import { busyPercent, type Sample, trafficRates } from "./rates.ts";
import { denoSystem, type DiskFigures, type SystemPort } from "./system.ts";
import { type Clock, sleep, systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";

export type { GpuReading } from "./gpu_reading.ts";

/** A device at the moment. What cannot be read is `null`, with the reason in `missing`. */
export interface DeviceReading {
  /** Busy time of all cores together, 0 to 100. */
  cpuPercent: number | null;
  /** Mean number of processes that ran or wanted to, over one minute; `null` on Windows. */
  loadAverage1: number | null;
  /** MB of RAM that programs cannot get. */
  memoryUsed: number | null;
  /** MB. */
  memoryTotal: number | null;
  /** Those whose tools can be asked. */
  gpus: GpuReading[];
  /** MB, of the file system that holds the reader's directory. */
  diskFree: number | null;
  /** MB. */
  diskTotal: number | null;
  /** Of all interfaces but the loopback together. */
  networkReceivedBytesPerSecond: number | null;
  /** Of all interfaces but the loopback together. */
  networkSentBytesPerSecond: number | null;
  /** Since the start of the system. */
  uptimeSeconds: number | null;
  /** By dotted field, such as `gpus.0.memoryUsed`: why it is `null` or empty. */
  missing: Record<string, string>;
}

/** What {@linkcode DeviceReader} takes. */
export interface DeviceReaderOptions {
  /** Runs the system's tools. @default {runCommand} */
  run?: CommandRunner;
  /** What needs no tool. @default {denoSystem} */
  system?: SystemPort;
  /** Keeps the time. @default {systemClock} */
  clock?: Clock;
  /** Which tools to ask. @default {Deno.build.os} */
  os?: string;
  /** Whose file system's space is read. @default {"."} */
  directory?: string;
  /**
   * How long each tool may take, in milliseconds.
   *
   * @default {2000}
   */
  timeoutMs?: number;
  /**
   * Over how long a time CPU and network are measured at least, in milliseconds. The system counts
   * CPU time in steps of 10 ms; 20 of them bound the error to 5 % of a core.
   *
   * @default {200}
   */
  sampleMs?: number;
}

// A mean over a longer time says nothing of the moment.
const MAX_SAMPLE_AGE_MS = 60_000;

/**
 * Reads what this device is doing. CPU and network are means over the time since the last reading;
 * the first reading, and one after a minute's pause, take a short sample of their own.
 *
 * @example
 * ```ts
 * import { DeviceReader } from "./reading.ts";
 * import { assert } from "@std/assert";
 *
 * const reading = await new DeviceReader().read();
 * assert(reading.memoryTotal !== null || "memoryTotal" in reading.missing);
 * ```
 */
export class DeviceReader {
  readonly #system: SystemPort;
  readonly #context: ProbeContext;
  readonly #os: string;
  readonly #directory: string;
  readonly #sampleMs: number;
  #last: Sample | undefined;
  #running: Promise<DeviceReading> | undefined;

  /** Makes a reader, which reads nothing yet. */
  constructor(options: DeviceReaderOptions = {}) {
    const { run = runCommand, clock = systemClock, timeoutMs = 2000 } = options;
    this.#system = options.system ?? denoSystem;
    this.#context = { run: rememberAbsent(run), clock, timeoutMs };
    this.#os = options.os ?? Deno.build.os;
    this.#directory = options.directory ?? ".";
    this.#sampleMs = options.sampleMs ?? 200;
  }

  /** Reads everything at the same time. Callers that overlap share one reading. Never rejects. */
  read(): Promise<DeviceReading> {
    return this.#running ??= this.#read().finally(() => this.#running = undefined);
  }

  async #read(): Promise<DeviceReading> {
    const system = this.#system;
    const [[earlier, later], memory, load, uptime, disk, gpus] = await Promise.all([
      this.#sampleTwice(),
      attempt(() => system.memory()),
      this.#os === "windows"
        ? missing("Windows has no load average")
        : attempt(() => system.loadAverage()),
      attempt(() => system.uptime()),
      this.#readDisk(),
      readGpus(this.#context, this.#os),
    ]);
    const noted: Record<string, string> = {};
    const value = <T extends NonNullable<unknown>>(finding: Finding<T>, ...fields: string[]) => {
      if (finding.reason !== undefined) {
        for (const field of fields) {
          noted[field] = finding.reason;
        }
      }
      return finding.value;
    };
    const ram = value(memory, "memoryUsed", "memoryTotal");
    const space = value(disk, "diskFree", "diskTotal");
    const traffic = value(
      trafficRates(earlier, later),
      "networkReceivedBytesPerSecond",
      "networkSentBytesPerSecond",
    );
    const cards = value(gpus, "gpus") ?? [];
    noteGpus(cards, noted);
    return {
      cpuPercent: value(busyPercent(earlier, later), "cpuPercent"),
      loadAverage1: value(load, "loadAverage1"),
      memoryUsed: ram === null ? null : megabytes(Math.max(0, ram.total - ram.available)),
      memoryTotal: ram === null ? null : megabytes(ram.total),
      gpus: cards,
      diskFree: space === null ? null : megabytes(space.free),
      diskTotal: space === null ? null : megabytes(space.total),
      networkReceivedBytesPerSecond: traffic?.received ?? null,
      networkSentBytesPerSecond: traffic?.sent ?? null,
      uptimeSeconds: value(uptime, "uptimeSeconds"),
      missing: noted,
    };
  }

  async #sampleTwice(): Promise<[Sample, Sample]> {
    const { clock } = this.#context;
    const last = this.#last;
    const isFresh = last !== undefined && clock.now() - last.at <= MAX_SAMPLE_AGE_MS;
    const earlier = isFresh ? last : await this.#sample();
    const wait = this.#sampleMs - (clock.now() - earlier.at);
    if (wait > 0) await sleep(clock, wait);
    const later = this.#last = await this.#sample();
    return [earlier, later];
  }

  async #sample(): Promise<Sample> {
    const at = this.#context.clock.now();
    const [cpu, network] = await Promise.all([
      attempt(() => this.#system.cpuTimes()),
      this.#readTraffic(),
    ]);
    return { at, cpu, network };
  }

  #readTraffic(): Promise<Finding<TrafficCounters>> {
    switch (this.#os) {
      case "linux":
        return ask(this.#context, {
          command: "cat",
          args: ["/proc/net/dev"],
          hint: "it is part of every Linux",
          parse: parseProcNetDev,
        });
      case "darwin":
        return ask(this.#context, {
          command: "netstat",
          args: ["-ib"],
          hint: "it is part of macOS, in /usr/sbin",
          parse: parseNetstat,
        });
      default:
        return Promise.resolve(missing(`traffic is not read on ${this.#os}`));
    }
  }

  async #readDisk(): Promise<Finding<DiskFigures>> {
    const direct = await attempt(() => this.#system.disk(this.#directory));
    if (direct.value !== null || this.#os === "windows") return direct;
    const asked = await ask(this.#context, {
      command: "df",
      args: ["-Pk", "--", this.#directory],
      hint: "it is part of every Unix",
      parse: parseDf,
    });
    return asked.value !== null ? asked : missing(`${direct.reason}; ${asked.reason}`);
  }
}

/** A tool that is not installed is looked for once, not at every reading. */
function rememberAbsent(run: CommandRunner): CommandRunner {
  const absent = new Map<string, NetworkError>();
  return async (command, args, options) => {
    const known = absent.get(command);
    if (known !== undefined) throw known;
    try {
      return await run(command, args, options);
    } catch (error) {
      if (error instanceof NetworkError && error.code === "NOT_FOUND") absent.set(command, error);
      throw error;
    }
  };
}

async function attempt<T extends NonNullable<unknown>>(
  read: () => Promise<T>,
): Promise<Finding<T>> {
  try {
    return { value: await read(), source: "Deno" };
  } catch (error) {
    return missing(describeError(error));
  }
}
