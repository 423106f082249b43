/** What a node shows of itself and of its peers at a moment: plain data, made from its parts. */

import type { Clock } from "../base/clock.ts";
import { formatAddress } from "../link/frame_stream.ts";
import type { Peer, PeerEvent, PeerState } from "../membership/peer.ts";
import type { Candidate } from "../routing/candidate.ts";
import type { NetworkParts } from "./parts.ts";
import type { NetworkEvent, NetworkState, NetworkStatus, PeerStatus } from "./status.ts";

/** How a node and its peers are now. */
export function networkStatus(parts: NetworkParts, state: NetworkState): NetworkStatus {
  const { options, self, executor, membership, listenHost, conflicts } = parts;
  const description = self();
  const candidates = new Map(parts.candidates().map((one) => [one.nodeId, one]));
  const peers = membership.peers().map((peer) =>
    peerStatus(peer, candidates.get(peer.nodeId), parts.clock)
  );
  const isUp = state === "running" || state === "stopping";
  return {
    name: options.name,
    nodeId: options.nodeId,
    state,
    version: description.version,
    address: isUp ? formatAddress({ host: listenHost, port: description.listenPort }) : null,
    peerCount: peers.filter(({ state }) => state === "alive").length,
    agentCount: description.agents.length,
    activeTasks: executor.running,
    queuedTasks: executor.queued,
    slots: executor.slots,
    capabilities: description.capabilities,
    agents: [...description.agents],
    tasks: executor.tasks(),
    peers: Object.fromEntries(peers.map((peer) => [peer.nodeId, peer])),
    nameConflicts: conflicts(),
  };
}

/** What membership tells, as the network tells it. */
export function networkEvent(
  parts: NetworkParts,
  { type, nodeId, peer, reason }: PeerEvent,
): NetworkEvent {
  const candidate = parts.candidates().find((one) => one.nodeId === nodeId);
  const status = peerStatus(peer, candidate, parts.clock);
  return { type, nodeId, peer: status, ...(reason && { reason }) };
}

/** A moment of the monotonic clock, in milliseconds since 1970 by this machine's clock. */
export function wallTimeOf(monotonic: number, clock: Clock): number {
  return Math.round(clock.wallTime() - (clock.now() - monotonic));
}

/** A peer as it is shown; it is a candidate only while it is alive. */
function peerStatus(peer: Peer, candidate: Candidate | undefined, clock: Clock): PeerStatus {
  const { nodeId, state, addresses: [address], description, roundTripMs, lastHeard } = peer;
  return {
    nodeId,
    state,
    healthy: state === "alive",
    address: formatAddress(address),
    via: address.via,
    capabilities: description?.capabilities ?? null,
    agents: description?.agents.map(({ name }) => name) ?? [],
    currentLoad: candidate?.currentLoad ?? 0,
    latencyMs: roundTripMs ?? null,
    lastSeen: wallTimeOf(lastHeard, clock),
    problem: state === "alive" ? null : peer.lastFailure ?? PROBLEMS[state],
  };
}

/** What is wrong with a peer when nothing has failed. */
const PROBLEMS: Record<Exclude<PeerState, "alive">, string> = {
  discovered: "no link to it is open yet",
  suspect: "it does not answer",
  dead: "it does not answer",
  left: "it has left",
};
