/** Reading the tables in which systems count their network traffic and their disk space. */

import type { DiskFigures } from "./system.ts";

/** Bytes since the start of the system, by interface, the loopback left out. */
export type TrafficCounters = ReadonlyMap<string, { received: number; sent: number }>;

/** Reads Linux's `/proc/net/dev`; `null` when it is not that. */
export function parseProcNetDev(stdout: string): TrafficCounters | null {
  const counters = new Map<string, { received: number; sent: number }>();
  let known = false;
  for (const line of stdout.split("\n")) {
    // eth0: eight columns of receiving, bytes first, then eight of sending.
    const match = /^\s*([^\s:]+):\s*(\d+)(?:\s+\d+){7}\s+(\d+)(?:\s+\d+){7}\s*$/.exec(line);
    if (match === null) continue;
    known = true;
    if (match[1] !== "lo") {
      counters.set(match[1], { received: Number(match[2]), sent: Number(match[3]) });
    }
  }
  return known ? counters : null;
}

/**
 * Reads macOS's `netstat -ib`, which has a line for each address of an interface, with the same
 * counters: that of the link itself counts. `null` when it is not that.
 */
export function parseNetstat(stdout: string): TrafficCounters | null {
  const counters = new Map<string, { received: number; sent: number }>();
  let known = false;
  for (const line of stdout.split("\n")) {
    const columns = line.trim().split(/\s+/);
    if (!/^<Link#\d+>$/.test(columns[2] ?? "")) continue;
    // Some links have no address, so that only the columns from the right are in their places:
    // Ipkts Ierrs Ibytes Opkts Oerrs Obytes Coll.
    const [, , received, , , sent] = columns.slice(-7).map(Number);
    if (!Number.isFinite(received) || !Number.isFinite(sent)) continue;
    known = true;
    // A star marks an interface that is down.
    const name = columns[0].replace(/\*$/, "");
    if (!/^lo\d*$/.test(name)) counters.set(name, { received, sent });
  }
  return known ? counters : null;
}

/** Reads `df -Pk` of one directory; `null` when it is not that. */
export function parseDf(stdout: string): DiskFigures | null {
  // The name of a file system may have spaces; the four numbers may not.
  const match = /\s(\d+)\s+\d+\s+(\d+)\s+\d+%\s/.exec(stdout);
  if (match === null) return null;
  return { total: Number(match[1]) * 1024, free: Number(match[2]) * 1024 };
}
