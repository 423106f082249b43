/** The agent `monitor`: what the device that runs it is doing, on every node, without a model. */

import { type Agent, createAgent } from "../agent.ts";

/** A device at the moment; `null` is what is not known. Memory and disk are in MB (2²⁰ bytes). */
export interface DeviceActivity {
  /** Busy time of all cores together, 0 to 100. */
  cpuPercent: number | null;
  memoryUsed: number | null;
  memoryTotal: number | null;
  /** Its GPUs, as far as they can be read. */
  gpus: readonly GpuActivity[];
  diskFree: number | null;
  diskTotal: number | null;
  /** Of all interfaces but the loopback together. */
  networkReceivedBytesPerSecond: number | null;
  networkSentBytesPerSecond: number | null;
  /** Since the start of the system. */
  uptimeSeconds: number | null;
  tasksRunning: number | null;
  tasksQueued: number | null;
  /** By field, such as `gpus`: why it is `null` or empty. */
  missing?: Readonly<Record<string, string>>;
}

/** One GPU of a {@linkcode DeviceActivity}. */
export interface GpuActivity {
  name: string;
  /** Percent of the time in which it computed. */
  utilizationPercent: number | null;
  memoryUsed: number | null;
  memoryTotal: number | null;
  /** Degrees Celsius. */
  temperatureC: number | null;
}

/**
 * Makes the agent `monitor`. Its answer is one line; its data are the parts of that line by name,
 * which make a table of many devices, under `figures` the numbers, and under `missing` why some are
 * not known. The prompt plays no part.
 *
 * @param read Reads the device on which the agent runs.
 */
export function createMonitorAgent(read: () => Promise<DeviceActivity>): Agent {
  return createAgent({
    name: "monitor",
    description: "Says what its device is doing: CPU, memory, GPUs, disk, network and tasks",
    workload: "background",
    idempotent: true,
    run: async () => {
      const activity = await read();
      const parts = describe(activity);
      const { missing = {}, gpus, ...scalars } = activity;
      const output = [
        `CPU ${parts.cpu}`,
        `memory ${parts.memory}`,
        `GPU ${parts.gpu}`,
        `disk ${parts.disk}`,
        `network ${parts.network}`,
        describeTasks(activity, activity.tasksRunning === 1 ? " task" : " tasks"),
        `up ${parts.uptime}`,
      ].join(" · ");
      const figures = { ...scalars, gpus: gpus.map((gpu) => ({ ...gpu })) };
      return { output, data: { ...parts, figures, missing: { ...missing } } };
    },
  });
}

const UNKNOWN = "unknown";

/** The parts of the line, each fit for a cell of a table. */
function describe(activity: DeviceActivity) {
  return {
    cpu: percent(activity.cpuPercent),
    memory: share(activity.memoryUsed, activity.memoryTotal),
    gpu: describeGpus(activity),
    disk: share(activity.diskFree, activity.diskTotal, " free"),
    network: traffic(activity.networkReceivedBytesPerSecond, activity.networkSentBytesPerSecond),
    tasks: describeTasks(activity),
    uptime: duration(activity.uptimeSeconds),
  };
}

function describeGpus({ gpus, missing }: DeviceActivity): string {
  if (gpus.length === 0) return missing?.gpus === undefined ? "none" : UNKNOWN;
  return gpus.map(({ name, utilizationPercent, memoryUsed, memoryTotal, temperatureC }) => {
    const temperature = temperatureC === null ? UNKNOWN : `${Math.round(temperatureC)} °C`;
    return `${name} ${percent(utilizationPercent)}, ${share(memoryUsed, memoryTotal)}, ` +
      temperature;
  }).join("; ");
}

function describeTasks({ tasksRunning, tasksQueued }: DeviceActivity, noun = ""): string {
  return `${tasksRunning ?? UNKNOWN}${noun} running, ${tasksQueued ?? UNKNOWN} queued`;
}

function percent(value: number | null): string {
  return value === null ? UNKNOWN : `${Math.round(value)} %`;
}

/** `3.1 of 16.0 GB`, of two figures in MB. */
function share(part: number | null, total: number | null, suffix = ""): string {
  if (part === null && total === null) return UNKNOWN;
  // Tenths matter for the memory of a Raspberry Pi, not for a disk.
  const decimals = (total ?? part!) < 100 * 1024 ? 1 : 0;
  const text = (value: number | null) =>
    value === null ? UNKNOWN : (value / 1024).toFixed(decimals);
  return `${text(part)} of ${text(total)} GB${suffix}`;
}

function traffic(received: number | null, sent: number | null): string {
  if (received === null && sent === null) return UNKNOWN;
  return `${rate(received)} in, ${rate(sent)} out`;
}

function rate(bytesPerSecond: number | null): string {
  if (bytesPerSecond === null) return UNKNOWN;
  let value = Math.round(bytesPerSecond);
  let unit = "B/s";
  for (const larger of ["kB/s", "MB/s", "GB/s"]) {
    if (Math.round(value) < 1000) break;
    value /= 1000;
    unit = larger;
  }
  return `${value < 10 && unit !== "B/s" ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

function duration(seconds: number | null): string {
  if (seconds === null) return UNKNOWN;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}
