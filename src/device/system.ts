/** What Deno itself knows of the machine, each figure behind its own permission. */

import { NetworkError } from "../base/errors.ts";

/** RAM, in bytes. */
export interface MemoryFigures {
  /** All that there is. */
  total: number;
  /** What programs can still get without swapping. */
  available: number;
}

/** Time that all cores together have spent since the start of the system; any unit. */
export interface CpuTimes {
  /** With nothing to do. */
  idle: number;
  /** In all. */
  total: number;
}

/** A file system, in bytes. */
export interface DiskFigures {
  /** For this user. */
  free: number;
  /** In all. */
  total: number;
}

/** The figures of the machine that need no tool. Each rejects when it cannot be had. */
export interface SystemPort {
  /** The RAM. */
  memory(): Promise<MemoryFigures>;
  /** What the processor has done. */
  cpuTimes(): Promise<CpuTimes>;
  /** Mean number of processes that ran or wanted to, over one minute. */
  loadAverage(): Promise<number>;
  /** Seconds since the start of the system. */
  uptime(): Promise<number>;
  /** Of the file system that holds `directory`. */
  disk(directory: string): Promise<DiskFigures>;
}

/** {@linkcode SystemPort} on Deno. It never asks for a permission. */
export const denoSystem: SystemPort = {
  async memory() {
    await needSys("systemMemoryInfo");
    const { total, available } = Deno.systemMemoryInfo();
    return { total, available };
  },
  async cpuTimes() {
    await needSys("cpus");
    const { cpus } = await import("node:os");
    let idle = 0;
    let total = 0;
    for (const { times } of cpus()) {
      idle += times.idle;
      total += times.user + times.nice + times.sys + times.idle + times.irq;
    }
    return { idle, total };
  },
  async loadAverage() {
    await needSys("loadavg");
    return Deno.loadavg()[0];
  },
  async uptime() {
    await needSys("osUptime");
    return Deno.osUptime();
  },
  async disk(directory) {
    await needSys("statfs");
    const { state } = await Deno.permissions.query({ name: "read", path: directory });
    if (state !== "granted") throw notAllowed(`--allow-read=${directory}`);
    const { statfs } = await import("node:fs/promises");
    const { bsize, blocks, bavail } = await statfs(directory);
    return { free: bavail * bsize, total: blocks * bsize };
  },
};

async function needSys(kind: Deno.SysPermissionDescriptor["kind"]): Promise<void> {
  const { state } = await Deno.permissions.query({ name: "sys", kind });
  if (state !== "granted") throw notAllowed(`--allow-sys=${kind}`);
}

function notAllowed(flag: string): NetworkError {
  return new NetworkError("PERMISSION_DENIED", `not allowed; grant it with ${flag}`);
}
