/** How figures and devices are written for people. */

import { systemClock } from "../base/clock.ts";
import { safeName } from "../base/safe_text.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";
import type {
  AddressStatus,
  NetworkStatus,
  PeerStatus,
  RefusedBy,
  SharedStateStatus,
  UnreachedStatus,
} from "../network/status.ts";
import { table } from "./table.ts";
import type { Style, Terminal } from "./terminal.ts";
import { cutToWidth, displayWidth, wrap } from "./width.ts";

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

/**
 * What `status` and the live view of `up` show: the node, its peers, and all that is in the way of
 * more. No line is wider than the terminal.
 *
 * @param now In milliseconds since 1970.
 */
export function statusReport(status: NetworkStatus, terminal: Terminal, now: number): string[] {
  const { lines, hasWays } = tableOf(status, terminal, now);
  const peers = byName(Object.values(status.peers));
  const refusers = new Set(status.refusedBy.map(({ nodeId }) => nodeId));
  return [
    statusLine(status, terminal),
    "",
    ...lines,
    ...modelNotes(status, terminal),
    ...stateNotes(status.sharedState, terminal, now),
    // What a refuser says is said once.
    ...peers.filter((peer) => peer.state !== "alive" && !refusers.has(peer.nodeId)).flatMap((
      peer,
    ) =>
      note(
        `${peer.nodeId} (${peer.state}, ${way(peer, now)}): ${trouble(peer)}`,
        terminal,
        "yellow",
      )
    ),
    ...unreachedNotes(status.unreached, terminal),
    ...status.nameConflicts.flatMap(({ nodeId, host, isOlder }) =>
      note(
        isOlder
          ? `A node at ${host} has been ${nodeId} for longer: others refuse this one. Start it ` +
            `with another --node-id.`
          : `A second node at ${host} calls itself ${nodeId} and was refused.`,
        terminal,
        "red",
      )
    ),
    ...refusalNotes(status.refusedBy, terminal),
    // Where the table has no room for it.
    ...hasWays
      ? []
      : peers.filter(({ state }) => state === "alive").flatMap((peer) =>
        note(`${peer.nodeId}: ${way(peer, now)}`, terminal, "dim")
      ),
  ];
}

/**
 * The table of a node and its peers.
 *
 * @param now In milliseconds since 1970.
 */
export function statusTable(
  status: NetworkStatus,
  terminal: Terminal,
  now: number = systemClock.wallTime(),
): string[] {
  return tableOf(status, terminal, now).lines;
}

/** The table, and whether it says where peers are and when they were last seen. */
function tableOf(
  status: NetworkStatus,
  terminal: Terminal,
  now: number,
): { lines: string[]; hasWays: boolean } {
  const { nodeId, address, capabilities, agents, activeTasks, queuedTasks, slots } = status;
  const peers = byName(Object.values(status.peers));
  const cells = (hasWays: boolean) => {
    const ways = (...texts: string[]) => hasWays ? texts : [];
    return [
      [
        ...["NODE", "STATE", "CHIP", "TFLOPS", "MEMORY", "LOAD"],
        ...ways("ADDRESS", "INTERFACE"),
        "ROUND TRIP",
        ...ways("LAST SEEN"),
        "AGENTS",
      ],
      [
        `${nodeId} (here)`,
        "alive",
        ...deviceCells(capabilities),
        showLoad((activeTasks + queuedTasks) / slots),
        ...ways(address ?? "–", "–"),
        "–",
        ...ways("–"),
        agents.map(({ name }) => name).join(", "),
      ],
      ...peers.map((peer) => [
        peer.nodeId,
        showState(peer),
        ...deviceCells(peer.capabilities),
        showLoad(peer.currentLoad),
        ...ways(peer.address, peer.interface ?? "–"),
        showMilliseconds(peer.latencyMs),
        ...ways(showAgo(peer.lastSeen, now)),
        peer.agents.join(", "),
      ]),
    ];
  };
  const lines = (hasWays: boolean, columns: number) => {
    const [headings, ...rows] = cells(hasWays);
    return table(headings, rows, columns);
  };
  const whole = lines(true, Infinity);
  if (whole.every((line) => displayWidth(line) <= terminal.columns)) {
    return { lines: whole, hasWays: true };
  }
  return { lines: lines(false, terminal.columns), hasWays: false };
}

/**
 * What `peers` shows: a line for each peer, below it its addresses if it has several, and what is
 * in its way.
 *
 * @param now In milliseconds since 1970.
 */
export function peersReport(
  peers: readonly PeerStatus[],
  terminal: Terminal,
  now: number,
): string[] {
  const sorted = byName(peers);
  const [headings, ...lines] = table(
    ["NODE", "STATE", "ADDRESS", "INTERFACE", "FOUND BY", "ROUND TRIP", "LAST SEEN"],
    sorted.map((peer) => [
      peer.nodeId,
      showState(peer),
      peer.address,
      peer.interface ?? "–",
      peer.via,
      showMilliseconds(peer.latencyMs),
      showAgo(peer.lastSeen, now),
    ]),
    terminal.columns,
  );
  return [
    headings,
    ...sorted.flatMap((peer, i) => [
      lines[i],
      ...peer.addresses.length < 2
        ? []
        : peer.addresses.flatMap((address) => note(`  ${showAddress(address)}`, terminal, "dim")),
      ...peer.problem === null ? [] : note(`  ${trouble(peer)}`, terminal, "yellow"),
    ]),
  ];
}

function byName(peers: readonly PeerStatus[]): PeerStatus[] {
  return peers.toSorted((a, b) => a.nodeId < b.nodeId ? -1 : 1);
}

/** `alive`, or `alive, exo` for a peer of another program. */
function showState({ state, kind }: PeerStatus): string {
  return kind === "node" ? state : `${state}, ${kind}`;
}

/** The shared state in a line, and what is in its way. */
function stateNotes(state: SharedStateStatus | null, terminal: Terminal, now: number): string[] {
  if (state === null) return [];
  const { path, keys, bytes, maxBytes, differing, lastCheckpoint, checkpointProblem } = state;
  const figures = [plural(keys, "key"), `${showBytes(bytes)} of ${showBytes(maxBytes)}`];
  if (path === null) figures.push("in memory");
  figures.push(
    lastCheckpoint === null
      ? "no checkpoint"
      : `last checkpoint ${showAgo(lastCheckpoint.createdAt, now)}`,
  );
  return [
    ...note(`Shared state: ${figures.join(", ")}.`, terminal, "dim"),
    ...(differing.length === 0
      ? []
      : note(`It is not like that of ${differing.join(", ")}.`, terminal, "yellow")),
    ...(checkpointProblem === null
      ? []
      : note(`No checkpoint could be made: ${checkpointProblem}`, terminal, "yellow")),
  ];
}

/** How many models there are, here and on peers. */
function modelNotes({ models, peers, tasks, nodeId }: NetworkStatus, terminal: Terminal): string[] {
  const names = new Set(models.map(({ name }) => name));
  const loaded = models.filter((model) => model.loaded).length;
  const elsewhere = new Set(
    Object.values(peers).filter(({ healthy }) => healthy).flatMap((peer) => peer.models),
  ).difference(names).size;
  if (models.length + elsewhere === 0) return [];
  const calls = tasks.filter((task) => task.model !== undefined && task.nodeId === nodeId).length;
  const states = [
    ...loaded === 0 ? [] : [`${loaded} loaded`],
    ...calls === 0 ? [] : [`${plural(calls, "call")} under way`],
  ];
  const here = `${models.length} here${states.length === 0 ? "" : ` (${states.join(", ")})`}`;
  const others = elsewhere === 0 ? "" : `, ${elsewhere} more on peers`;
  return note(`Models: ${here}${others}. See: hanzo-network models`, terminal, "dim");
}

/** `2 GB` of what was downloaded, or a dash when it is unknown. */
export function showSize(bytes: number | null): string {
  if (bytes === null) return "–";
  const [value, unit] = bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${Number(value.toPrecision(2))} ${unit}`;
}

/** `8B`, `128k`, or a dash when it is unknown. */
export function showCount(count: number | null, thousand = 1_000): string {
  if (count === null) return "–";
  const units = ["", "k", "M", "B", "T"];
  let value = count;
  let unit = 0;
  while (value >= thousand && unit < units.length - 1) {
    value /= thousand;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}

/** `512 B`, `1.5 KiB`, `64 MiB`. */
function showBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  const [value, unit] = bytes < 2 ** 20 ? [bytes / 1_024, "KiB"] : [bytes / 2 ** 20, "MiB"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** Where nobody is linked, and why. */
export function unreachedNotes(
  unreached: readonly UnreachedStatus[],
  terminal: Terminal,
): string[] {
  return unreached.flatMap(({ address, via, nodeId, problem }) =>
    note(
      `Nobody is linked at ${address}${nodeId === null ? "" : ` (${nodeId})`}, listed by ${via}` +
        `${problem === null ? "." : `: ${problem}`}`,
      terminal,
      "dim",
    )
  );
}

/** Who refuses this node, and why. */
export function refusalNotes(refusedBy: readonly RefusedBy[], terminal: Terminal): string[] {
  return refusedBy.flatMap(({ nodeId, address, code, reason }) =>
    note(
      `${
        nodeId === null ? "The node" : nodeId
      } at ${address} refuses this node (${code}): ${reason}`,
      terminal,
      "red",
    )
  );
}

/** `10.0.0.2:5681 by eth0, 1.2 ms, last seen 4.2 s ago`. */
function way({ address, interface: by, latencyMs, lastSeen }: PeerStatus, now: number): string {
  return [
    by === null ? address : `${address} by ${by}`,
    ...latencyMs === null ? [] : [showMilliseconds(latencyMs)],
    `last seen ${showAgo(lastSeen, now)}`,
  ].join(", ");
}

function showAddress(
  { address, via, interface: by, latencyMs, inUse, problem }: AddressStatus,
): string {
  const where = by === null ? address : `${address} by ${by}`;
  const figures = [where, `found by ${via}`];
  if (latencyMs !== null) figures.push(showMilliseconds(latencyMs));
  return `${figures.join(", ")}: ${inUse ? "in use" : problem ?? "not in use"}`;
}

/** What is in the way of a peer. */
function trouble({ failing, problem, state }: PeerStatus): string {
  if (failing === null) return problem ?? state;
  const { direction, address, reason } = failing;
  return direction === "to"
    ? `its beacons arrive, dialling ${address} fails: ${reason}`
    : `nothing reaches ${address} in either direction: ${reason}`;
}

/** `4.2 s ago`. */
function showAgo(moment: number, now: number): string {
  // Two processes may read the clock in the other order.
  const seconds = Math.max(0, now - moment) / 1000;
  return seconds < 100 ? `${seconds.toFixed(1)} s ago` : `${Math.round(seconds / 60)} min ago`;
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

/** A note is not longer than this, however long the reason. */
const MOST_NOTE = 1_000;

/** A sentence in as many lines as it takes; only a word that is wider than a line is cut. */
function note(text: string, terminal: Terminal, style: Style): string[] {
  const indent = text.startsWith("  ") ? "  " : "";
  const sentence = safeName(text.replaceAll(/\s+/g, " "), MOST_NOTE);
  return wrap(sentence, terminal.columns, indent, `${indent}  `)
    .map((line) => terminal.style(style, line));
}
