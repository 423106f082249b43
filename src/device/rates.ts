/** Rates from two samples of counters: how busy the processor and the network were in between. */

import type { TrafficCounters } from "./counters.ts";
import { type Finding, missing } from "./probe.ts";
import type { CpuTimes } from "./system.ts";

/** The counters of which the differences are the rates. */
export interface Sample {
  /** Milliseconds of the clock. */
  readonly at: number;
  readonly cpu: Finding<CpuTimes>;
  readonly network: Finding<TrafficCounters>;
}

/** Percent of the cores' time that was not idle, to one decimal. */
export function busyPercent(earlier: Sample, later: Sample): Finding<number> {
  if (earlier.cpu.reason !== undefined) return earlier.cpu;
  if (later.cpu.reason !== undefined) return later.cpu;
  const total = later.cpu.value.total - earlier.cpu.value.total;
  const idle = later.cpu.value.idle - earlier.cpu.value.idle;
  if (total <= 0) return missing("the system's CPU times did not move between two samples");
  const percent = 100 * (1 - Math.min(Math.max(idle, 0), total) / total);
  return { value: Math.round(percent * 10) / 10, source: later.cpu.source };
}

/** Bytes per second of all interfaces together. */
export function trafficRates(
  earlier: Sample,
  later: Sample,
): Finding<{ received: number; sent: number }> {
  if (earlier.network.reason !== undefined) return earlier.network;
  if (later.network.reason !== undefined) return later.network;
  const seconds = (later.at - earlier.at) / 1000;
  if (seconds <= 0) return missing("no time passed between two samples");
  const sum = { received: 0, sent: 0 };
  for (const [name, now] of later.network.value) {
    const then = earlier.network.value.get(name);
    // An interface that came, or that was reset, counts from the next reading on.
    if (then === undefined || now.received < then.received || now.sent < then.sent) continue;
    sum.received += now.received - then.received;
    sum.sent += now.sent - then.sent;
  }
  return {
    value: {
      received: Math.round(sum.received / seconds),
      sent: Math.round(sum.sent / seconds),
    },
    source: later.network.source,
  };
}
