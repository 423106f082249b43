/** What a node shows of itself and of its peers at a moment: plain data, made from its parts. */

import type { Consideration } from "../agents/run_event.ts";
import type { Clock } from "../base/clock.ts";
import { UNKNOWN_DEVICE } from "../device/capabilities.ts";
import type { ForeignPeer } from "../discovery/foreign_peers.ts";
import { formatAddress } from "../link/frame_stream.ts";
import type { Peer, PeerEvent, PeerState } from "../membership/peer.ts";
import { interfaceTo, type NetworkInterface } from "../transport/interfaces.ts";
import type { Candidate } from "../routing/candidate.ts";
import { considerations } from "../routing/explain.ts";
import type { Ranking } from "../routing/rank.ts";
import { HERE } from "../tasks/executor.ts";
import type { NetworkParts } from "./parts.ts";
import { trustMode, verifiesPeers } from "./trusts.ts";
import type {
  EndedTask,
  FailingStatus,
  NetworkEvent,
  NetworkState,
  NetworkStatus,
  PeerStatus,
  TaskStatus,
  UnreachedStatus,
} from "./status.ts";

/** How a node and its peers are now. */
export function networkStatus(
  parts: NetworkParts,
  state: NetworkState,
  explains = false,
): NetworkStatus {
  const { options, self, executor, membership, listenHost, conflicts } = parts;
  const description = self();
  const candidates = new Map(parts.candidates().map((one) => [one.nodeId, one]));
  const interfaces = parts.interfaces();
  const peers = membership.peers().map((peer) =>
    peerStatus(
      { ...peer, lastHeard: parts.pool.get(peer.nodeId)?.lastHeard ?? peer.lastHeard },
      candidates.get(peer.nodeId),
      parts,
      interfaces,
    )
  );
  const isUp = state === "running" || state === "stopping";
  return {
    name: description.network,
    nodeId: options.nodeId,
    state,
    security: {
      mode: trustMode(options),
      verifiesPeers: verifiesPeers(options),
      keyTag: parts.trust()?.keys()?.[0].tag ?? null,
      identity: parts.trust()?.identity ?? null,
    },
    version: description.version,
    address: isUp ? formatAddress({ host: listenHost, port: description.listenPort }) : null,
    peerCount: peers.filter(({ healthy }) => healthy).length,
    agentCount: description.agents.length,
    activeTasks: executor.running,
    queuedTasks: executor.queued,
    slots: executor.slots,
    capabilities: description.capabilities,
    agents: [...description.agents],
    models: [...description.models],
    tasks: tasksNow(parts, explains),
    recentTasks: recentTasks(parts, explains),
    sharedState: parts.state.status(),
    // A node of ours has the better claim to its label.
    peers: Object.fromEntries(
      [...parts.foreign().map((one) => foreignStatus(one, interfaces, parts.clock)), ...peers]
        .map((peer) => [peer.nodeId, peer]),
    ),
    unreached: unreached(parts),
    nameConflicts: conflicts(),
    refusedBy: parts.refusedBy(),
  };
}

/** What runs or waits here, and what this node has asked others for. */
export function tasksNow(
  { options: { nodeId: self }, ...parts }: NetworkParts,
  explains = false,
): TaskStatus[] {
  const { executor, dispatcher, clock } = parts;
  const now = clock.now();
  const asked = new Map(dispatcher.history.goesOn().map((task) => [task.taskId, task]));
  const here = executor.tasks().map(({ caller, since, ...task }): TaskStatus => ({
    ...task,
    nodeId: self,
    caller: caller === HERE ? self : caller,
    since: wallTimeOf(since, clock),
    ...(explains && considered(asked.get(task.taskId)?.ranking)),
  }));
  for (const { taskId } of here) asked.delete(taskId);
  const elsewhere = [...asked.values()];
  return [
    ...here,
    ...elsewhere.map((
      { taskId, agent, model, priority, nodeIds, isRunning, since, ranking },
    ): TaskStatus => ({
      taskId,
      attempt: Math.max(1, nodeIds.length),
      agent,
      ...(model !== undefined && { model }),
      runningMs: isRunning ? now - since : 0,
      state: isRunning ? "running" : "waiting",
      nodeId: nodeIds.at(-1) ?? null,
      caller: self,
      priority,
      since: wallTimeOf(since, clock),
      ...(explains && considered(ranking)),
    })),
  ];
}

function recentTasks({ dispatcher, clock }: NetworkParts, explains: boolean): EndedTask[] {
  return dispatcher.history.recent().map(({ endedAt, ranking, ...task }) => ({
    state: "ended",
    ...task,
    endedAt: wallTimeOf(endedAt, clock),
    ...(explains && considered(ranking)),
  }));
}

function considered(ranking: Ranking | undefined): { considered?: Consideration[] } {
  return ranking === undefined ? {} : { considered: considerations(ranking) };
}

/** What membership tells, as the network tells it. */
export function networkEvent(
  parts: NetworkParts,
  { type, nodeId, peer, reason }: PeerEvent,
): NetworkEvent {
  const candidate = parts.candidates().find((one) => one.nodeId === nodeId);
  const status = peerStatus(peer, candidate, parts, parts.interfaces());
  return { type, nodeId, peer: status, ...(reason && { reason }) };
}

/** A moment of the monotonic clock, in milliseconds since 1970 by this machine's clock. */
export function wallTimeOf(monotonic: number, clock: Clock): number {
  return Math.round(clock.wallTime() - (clock.now() - monotonic));
}

/** A peer as it is shown; it is a candidate only while it is alive. */
function peerStatus(
  peer: Peer,
  candidate: Candidate | undefined,
  { clock, pool, evicted }: Pick<NetworkParts, "clock" | "pool" | "evicted">,
  interfaces: readonly NetworkInterface[],
): PeerStatus {
  const { nodeId, state, addresses, linkedHost, description, roundTripMs, lastHeard } = peer;
  const address = addresses.find(({ host }) => host === linkedHost) ?? addresses[0];
  const isEvicted = state !== "alive" && evicted.has(nodeId);
  return {
    nodeId,
    kind: "node",
    state,
    identity: pool.get(nodeId)?.credential?.identity ?? null,
    healthy: state === "alive",
    address: formatAddress(address),
    via: address.via,
    interface: interfaceTo(address.host, interfaces)?.name ?? null,
    addresses: addresses.map((one) => ({
      address: formatAddress(one),
      via: one.via,
      interface: interfaceTo(one.host, interfaces)?.name ?? null,
      latencyMs: one.roundTripMs ?? null,
      inUse: one.host === linkedHost,
      problem: one.problem ?? null,
    })),
    capabilities: description?.capabilities ?? null,
    agents: description?.agents.map(({ name }) => name) ?? [],
    models: [...new Set(description?.models.map(({ name }) => name))],
    currentLoad: candidate?.currentLoad ?? 0,
    latencyMs: roundTripMs ?? null,
    lastSeen: wallTimeOf(lastHeard, clock),
    evicted: isEvicted,
    problem: state === "alive" ? null : isEvicted ? EVICTED : peer.lastFailure ?? PROBLEMS[state],
    failing: isEvicted ? null : failing(peer, clock.now()),
  };
}

/** A peer of another program: seen, perhaps well, and never given work. */
function foreignStatus(
  { nodeId, kind, host, port, capabilities, healthy, lastSeen, problem }: ForeignPeer,
  interfaces: readonly NetworkInterface[],
  clock: Clock,
): PeerStatus {
  const address = port === null ? host : formatAddress({ host, port });
  const by = interfaceTo(host, interfaces)?.name ?? null;
  return {
    nodeId,
    kind,
    state: healthy ? "alive" : "discovered",
    identity: null,
    healthy: false,
    address,
    via: "udp",
    interface: by,
    addresses: [],
    capabilities: capabilities && { ...UNKNOWN_DEVICE, ...capabilities },
    agents: [],
    models: [],
    currentLoad: 0,
    latencyMs: null,
    lastSeen: wallTimeOf(lastSeen, clock),
    evicted: false,
    problem: problem ?? `a peer of ${kind}: it runs no agents`,
    failing: null,
  };
}

/** Two beacons: who was seen since then is heard here, whatever comes of dialling it. */
const SEEN_FOR_MS = 6_000;

function failing(
  { state, failingSince, lastFailure, unanswered, sightedAt = -Infinity, addresses }: Peer,
  now: number,
): FailingStatus | null {
  if (state === "alive" || failingSince === undefined || lastFailure === undefined) return null;
  // Where somebody has answered, not both directions are shut: the reason alone says what is wrong.
  if (!unanswered && now - sightedAt >= SEEN_FOR_MS) return null;
  // The one that failed has gone to the end, for the next attempt to begin with another.
  const dialled = addresses[addresses.length - 1];
  return {
    direction: now - sightedAt < SEEN_FOR_MS ? "to" : "both",
    address: formatAddress(dialled),
    reason: lastFailure,
    unanswered,
  };
}

/** What is listed and nobody is linked at. */
function unreached(
  { membership, evicted, options: { nodeId: self } }: Pick<
    NetworkParts,
    "membership" | "evicted" | "options"
  >,
): UnreachedStatus[] {
  return membership.seeds()
    // Nobody misses one that was evicted.
    .filter(({ seed, nodeId }) => !evicted.has(seed.nodeId ?? nodeId ?? ""))
    .filter(({ seed, nodeId }) =>
      nodeId === undefined || (seed.nodeId ?? nodeId) !== nodeId ||
      (nodeId !== self && membership.get(nodeId) === undefined)
    )
    .map(({ seed, via, nodeId, problem }) => ({
      address: formatAddress(seed),
      via,
      nodeId: seed.nodeId ?? nodeId ?? null,
      problem: problem ?? null,
    }));
}

/** By name, or beside one that was: whoever was not known well enough then has to join anew, too. */
const EVICTED =
  "it was evicted, and is not of this network any more. Nothing needs doing; to have " +
  "it back, let it join: hanzo-network invite here, hanzo-network join there";

/** What is wrong with a peer when nothing has failed. */
const PROBLEMS: Record<Exclude<PeerState, "alive">, string> = {
  discovered: "no link to it is open yet",
  suspect: "it does not answer",
  dead: "it does not answer",
  left: "it has left",
};
