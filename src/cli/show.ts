/** How figures and devices are written for people. */

import type { DeviceCapabilities } from "../device/capabilities.ts";
import type { NetworkStatus, PeerStatus } from "../network/status.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { cutToWidth } from "./width.ts";

/** `7.1`, in TFLOPS of half precision or else of single, or a dash when both are unknown. */
export function showTflops({ flops: { fp16, fp32 } }: DeviceCapabilities): string {
  const value = fp16 ?? fp32;
  return value === null ? "–" : `${Number(value.toPrecision(4))}`;
}

/** `16 GB`, or a dash when it is unknown. */
export function showGigabytes(megabytes: number | null): string {
  return megabytes === null ? "–" : `${Number((megabytes / 1024).toFixed(1))} GB`;
}

/** `1.2 ms`, or a dash when it is unknown. */
export function showMilliseconds(milliseconds: number | null): string {
  return milliseconds === null ? "–" : `${Number(milliseconds.toPrecision(2))} ms`;
}

/** `1 peer`, `2 peers`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** What a node says of itself in one line. */
export function statusLine(status: NetworkStatus, terminal: Terminal): string {
  const { name, nodeId, address, peerCount, activeTasks, queuedTasks } = status;
  const line = `in network ${name}, links at ${address}: ${plural(peerCount, "peer")}, ` +
    `${plural(activeTasks, "task")} running, ${queuedTasks} waiting`;
  const label = cutToWidth(nodeId, terminal.columns);
  const rest = cutToWidth(` ${line}`, terminal.columns - label.length);
  return terminal.style("bold", label) + rest;
}

/** The table of a node and its peers. */
export function statusTable(status: NetworkStatus, terminal: Terminal): string[] {
  const { nodeId, capabilities, agents, activeTasks, queuedTasks, slots } = status;
  const self = [
    `${nodeId} (here)`,
    "alive",
    ...deviceCells(capabilities),
    showLoad((activeTasks + queuedTasks) / slots),
    "–",
    agents.map(({ name }) => name).join(", "),
  ];
  const peers = Object.values(status.peers).sort((a, b) => a.nodeId < b.nodeId ? -1 : 1);
  return table(
    ["NODE", "STATE", "CHIP", "TFLOPS", "MEMORY", "LOAD", "ROUND TRIP", "AGENTS"],
    [self, ...peers.map(peerCells)],
    terminal.columns,
  );
}

function peerCells(peer: PeerStatus): string[] {
  return [
    peer.nodeId,
    peer.state,
    ...deviceCells(peer.capabilities),
    showLoad(peer.currentLoad),
    showMilliseconds(peer.latencyMs),
    peer.problem ?? peer.agents.join(", "),
  ];
}

function deviceCells(capabilities: DeviceCapabilities | null): string[] {
  if (capabilities === null) return ["–", "–", "–"];
  return [
    capabilities.chip ?? capabilities.model ?? "–",
    showTflops(capabilities),
    showGigabytes(capabilities.memory),
  ];
}

function showLoad(load: number): string {
  return `${Math.round(load * 100)} %`;
}
