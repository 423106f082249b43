/**
 * Who is here, as a pure function: what happened and the table give the next state of one peer and
 * the events to tell. Nothing here reads a clock, sends or waits.
 */

import type { NodeDescription } from "./node_description.ts";
import type { Peer, PeerAddress, PeerEvent } from "./peer.ts";

/** Peers by node id; holds those that are `discovered`, `alive` or `suspect`. */
export type PeerTable = ReadonlyMap<string, Peer>;

/** Something that happened to a peer. */
export type TableEvent =
  /** Discovery saw it. */
  | { type: "sighted"; nodeId: string; bootId: string; address: PeerAddress }
  /** A link to it is open. */
  | { type: "linked"; description: NodeDescription; address: PeerAddress }
  /** It says something new of itself. */
  | { type: "described"; description: NodeDescription }
  /** Its link carried something at `at`; with a round trip if it answered a heartbeat. */
  | { type: "heard"; nodeId: string; at: number; roundTripMs?: number }
  /** Its last link is gone, without a goodbye. */
  | { type: "link-lost"; nodeId: string; reason: string }
  /** It said goodbye. */
  | { type: "goodbye"; nodeId: string }
  /** It could not be dialled; `refused` when its host says that nothing listens there. */
  | { type: "dial-failed"; nodeId: string; reason: string; refused: boolean }
  /** Time has passed. */
  | { type: "tick"; nodeId: string };

/** The times after which something follows, in milliseconds. */
export interface PeerTableOptions {
  /** Silence on a link after which a peer is suspect: three heartbeats. */
  readonly suspectAfterMs: number;
  /** Silence after which it is dead. */
  readonly deadAfterMs: number;
  /** How long a discovered peer is kept that neither sends beacons nor can be dialled. */
  readonly forgetAfterMs: number;
  /** The first wait before dialling again; doubles with each failure up to `maxRedialMs`. */
  readonly redialMs: number;
  readonly maxRedialMs: number;
  /**
   * How long the node with the greater id waits for the other one's dial before it dials itself,
   * so that not both open a link at the same moment.
   */
  readonly politeDialMs: number;
}

/** What follows from an event: the peer's next state (undefined: it is out), and what to tell. */
export interface TableChange {
  readonly nodeId: string;
  readonly peer: Peer | undefined;
  readonly events: readonly PeerEvent[];
}

const MAX_ADDRESSES = 8;
/** The weight of the newest round trip in the smoothed one; RFC 6298 has 1/8 for a fuller stream. */
const ROUND_TRIP_WEIGHT = 0.25;

/**
 * What follows from `event` at `now`.
 *
 * @param self This node's id, which decides who dials first.
 */
export function apply(
  table: PeerTable,
  event: TableEvent,
  now: number,
  self: string,
  options: PeerTableOptions,
): TableChange {
  const nodeId = "description" in event ? event.description.nodeId : event.nodeId;
  const peer = table.get(nodeId);
  switch (event.type) {
    case "sighted":
      return sighted(peer, event, now, self, options);
    case "linked":
      return linked(peer, event, now);
    case "described":
      if (peer === undefined) return unchanged(nodeId, peer);
      return changed({ ...peer, description: event.description }, "peer-updated");
    case "heard":
      return heard(peer, event, now);
    case "link-lost":
      if (peer === undefined) return unchanged(nodeId, peer);
      return changed(
        { ...suspected(peer, now), linked: false, dialAt: now, lastFailure: event.reason },
        ...(peer.state === "suspect" ? [] : ["peer-suspect" as const]),
      );
    case "goodbye":
      return peer === undefined ? unchanged(nodeId, peer) : gone(peer, "left", now);
    case "dial-failed":
      return dialFailed(peer, event, now, options);
    case "tick":
      return tick(nodeId, peer, now, options);
  }
}

function sighted(
  peer: Peer | undefined,
  { nodeId, bootId, address }: TableEvent & { type: "sighted" },
  now: number,
  self: string,
  options: PeerTableOptions,
): TableChange {
  if (peer === undefined) {
    const discovered: Peer = {
      nodeId,
      bootId,
      state: "discovered",
      linked: false,
      addresses: [address],
      description: undefined,
      lastHeard: now,
      since: now,
      roundTripMs: undefined,
      dialAt: self < nodeId ? now : now + options.politeDialMs,
      dialFailures: 0,
      lastFailure: undefined,
    };
    return changed(discovered, "peer-discovered");
  }
  // While a link is open, only the link says what is true.
  if (peer.linked) return unchanged(nodeId, peer);
  const addresses = withAddress(peer.addresses, address);
  const restarted = peer.bootId !== bootId;
  const moved = addresses[0] !== peer.addresses[0];
  return changed({
    ...peer,
    bootId,
    addresses,
    lastHeard: now,
    // Something new there: no reason to wait out the pause of the last failure.
    dialAt: restarted || moved ? Math.min(peer.dialAt ?? now, now) : peer.dialAt,
  });
}

function linked(
  peer: Peer | undefined,
  { description, address }: TableEvent & { type: "linked" },
  now: number,
): TableChange {
  const { nodeId, bootId } = description;
  const next: Peer = {
    nodeId,
    bootId,
    state: "alive",
    linked: true,
    addresses: withAddress(peer?.addresses ?? [], address),
    description,
    lastHeard: now,
    since: peer?.state === "alive" ? peer.since : now,
    roundTripMs: peer?.bootId === bootId ? peer.roundTripMs : undefined,
    dialAt: undefined,
    dialFailures: 0,
    lastFailure: undefined,
  };
  if (peer?.state === "alive") return changed(next);
  return changed(next, peer?.state === "suspect" ? "peer-recovered" : "peer-joined");
}

function heard(
  peer: Peer | undefined,
  { nodeId, at, roundTripMs }: TableEvent & { type: "heard" },
  now: number,
): TableChange {
  if (peer === undefined || !peer.linked) return unchanged(nodeId, peer);
  const next = {
    ...peer,
    lastHeard: Math.max(peer.lastHeard, at),
    roundTripMs: roundTripMs === undefined
      ? peer.roundTripMs
      : peer.roundTripMs === undefined
      ? roundTripMs
      : peer.roundTripMs + ROUND_TRIP_WEIGHT * (roundTripMs - peer.roundTripMs),
  };
  if (peer.state !== "suspect" || at <= peer.since) return changed(next);
  return changed({ ...next, state: "alive", since: now }, "peer-recovered");
}

function dialFailed(
  peer: Peer | undefined,
  { nodeId, reason, refused }: TableEvent & { type: "dial-failed" },
  now: number,
  options: PeerTableOptions,
): TableChange {
  if (peer === undefined || peer.linked) return unchanged(nodeId, peer);
  // It had a link, lost it, and its host says that no process listens any more: no doubt is left.
  if (peer.state === "suspect" && refused) return gone(peer, "dead", now, reason);
  const pause = Math.min(options.maxRedialMs, options.redialMs * 2 ** peer.dialFailures);
  return changed({
    ...peer,
    // The next attempt goes to another address, if one is known.
    addresses: [...peer.addresses.slice(1), peer.addresses[0]],
    dialAt: now + pause,
    dialFailures: peer.dialFailures + 1,
    lastFailure: reason,
  });
}

function tick(
  nodeId: string,
  peer: Peer | undefined,
  now: number,
  { suspectAfterMs, deadAfterMs, forgetAfterMs }: PeerTableOptions,
): TableChange {
  if (peer === undefined) return unchanged(nodeId, peer);
  const silence = now - peer.lastHeard;
  switch (peer.state) {
    case "discovered":
      return silence > forgetAfterMs
        ? gone(peer, "dead", now, peer.lastFailure ?? "it sends no more beacons")
        : unchanged(nodeId, peer);
    case "alive":
      return silence > suspectAfterMs
        ? changed(suspected(peer, now), "peer-suspect")
        : unchanged(nodeId, peer);
    case "suspect":
      return silence > deadAfterMs
        ? gone(peer, "dead", now, `silent for ${Math.round(silence / 1000)} s`)
        : unchanged(nodeId, peer);
    default:
      return unchanged(nodeId, peer);
  }
}

function suspected(peer: Peer, now: number): Peer {
  return peer.state === "suspect" ? peer : { ...peer, state: "suspect", since: now };
}

function gone(peer: Peer, state: "dead" | "left", now: number, reason?: string): TableChange {
  const last: Peer = { ...peer, state, linked: false, since: now, dialAt: undefined };
  const type = state === "left" ? "peer-left" : "peer-died";
  const event: PeerEvent = { type, nodeId: peer.nodeId, peer: last, ...(reason && { reason }) };
  return { nodeId: peer.nodeId, peer: undefined, events: [event] };
}

function changed(peer: Peer, type?: PeerEvent["type"]): TableChange {
  const events: PeerEvent[] = type === undefined ? [] : [{
    type,
    nodeId: peer.nodeId,
    peer,
    ...(type === "peer-suspect" && {
      reason: peer.linked ? "it is silent" : peer.lastFailure ?? "its link is lost",
    }),
  }];
  return { nodeId: peer.nodeId, peer, events };
}

function unchanged(nodeId: string, peer: Peer | undefined): TableChange {
  return { nodeId, peer, events: [] };
}

/** The known addresses with `address` first, each once. */
function withAddress(known: readonly PeerAddress[], address: PeerAddress): readonly PeerAddress[] {
  const isSame = (other: PeerAddress) => other.host === address.host && other.port === address.port;
  if (known.length > 0 && isSame(known[0])) return known;
  // A known one keeps the way in which it was found.
  const first = known.find(isSame) ?? address;
  return [first, ...known.filter((other) => other !== first)].slice(0, MAX_ADDRESSES);
}
