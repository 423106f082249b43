/**
 * Who is here, as a pure function: what happened and the table give the next state of one peer and
 * the events to tell. Nothing here reads a clock, sends or waits.
 */

import { backOff, backOffAnswered } from "./back_off.ts";
import type { NodeDescription } from "./node_description.ts";
import type { KnownAddress, Peer, PeerAddress, PeerEvent } from "./peer.ts";

/** Peers by node id; holds those that are `discovered`, `alive` or `suspect`. */
export type PeerTable = ReadonlyMap<string, Peer>;

/** Something that happened to a peer. */
export type TableEvent =
  /** Discovery saw it. */
  | { type: "sighted"; nodeId: string; bootId: string; address: PeerAddress }
  /** Somebody lists this address, and it is its. */
  | { type: "listed"; nodeId: string; address: PeerAddress }
  /** A link to it is open. */
  | {
    type: "linked";
    description: NodeDescription;
    address: PeerAddress;
    clockAheadMs?: number;
  }
  /** It says something new of itself. */
  | { type: "described"; description: NodeDescription }
  /** It was sent a ping that it has not answered yet. */
  | { type: "pinged"; nodeId: string }
  /** Its link to `host` carried something at `at`; with a round trip if it answered a ping. */
  | { type: "heard"; nodeId: string; at: number; host?: string; roundTripMs?: number }
  /** Another node reaches it. */
  | { type: "vouched"; nodeId: string; bootId: string }
  /** Another node, `by`, tells that nobody reaches it. */
  | { type: "accused"; nodeId: string; bootId: string; incarnation: number; by: string }
  /** It denies that it is gone. */
  | { type: "denied"; nodeId: string; bootId: string; incarnation: number }
  /** The way to one of its addresses was measured; without a round trip it could not be reached. */
  | { type: "measured"; nodeId: string; address: PeerAddress; roundTripMs?: number }
  /** Its last link is gone, without a goodbye. */
  | { type: "link-lost"; nodeId: string; reason: string }
  /** It said goodbye. */
  | { type: "goodbye"; nodeId: string }
  /**
   * It could not be dialled; `refused` when its hosts say that nothing listens there, `unanswered`
   * when nobody said anything but that.
   */
  | {
    type: "dial-failed";
    nodeId: string;
    reason: string;
    refused: boolean;
    unanswered: boolean;
  }
  /** It dialled this node, and does not want it. */
  | { type: "refused"; description: NodeDescription; address: PeerAddress; reason: string }
  /** Something has changed here, which may be what was in its way. */
  | { type: "reconsidered"; nodeId: string }
  /** Time has passed. */
  | { type: "tick"; nodeId: string };

/** The times after which something follows, in milliseconds. */
export interface PeerTableOptions {
  /** How long a peer may owe an answer before it is suspect. */
  readonly suspectAfterMs: number;
  /** How long it may owe one before it is dead, unless others reach it. */
  readonly deadAfterMs: number;
  /** For how long it counts that another node has reached a peer. */
  readonly vouchedForMs: number;
  /** How long a discovered peer is kept that neither sends beacons nor can be dialled. */
  readonly forgetAfterMs: number;
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
/** Pings that one may leave unanswered: they may wait behind all that a slow link has to carry. */
const MAX_PINGS_UNANSWERED = 5;
/** A link that was open for less is dialled again only when so much has passed. */
const LEAST_LINK_MS = 250;
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
  if (event.type === "sighted") return sighted(peer, event, now, self, options);
  if (event.type === "linked") return linked(peer, event, now);
  if (event.type === "refused") return refused(peer, event, now);
  if (peer === undefined) return { nodeId, peer, events: [] };
  switch (event.type) {
    case "listed":
      return changed({ ...peer, addresses: withAddress(peer.addresses, event.address) });
    case "described":
      return changed({ ...peer, description: event.description }, "peer-updated");
    case "pinged":
      return changed({
        ...peer,
        owesSince: peer.owesSince ?? now,
        pingsUnanswered: peer.pingsUnanswered + 1,
      });
    case "heard":
      return heard(peer, event, now);
    case "vouched":
      return changed(peer.bootId === event.bootId ? { ...peer, vouchedAt: now } : peer);
    case "accused":
      return accused(peer, event, now, options);
    case "denied":
      return changed(
        peer.bootId === event.bootId && event.incarnation > peer.incarnation
          ? { ...peer, incarnation: event.incarnation }
          : peer,
      );
    case "measured":
      return changed({ ...peer, addresses: measured(peer.addresses, event) });
    case "link-lost":
      return linkLost(peer, event.reason, now);
    case "goodbye":
      return gone(peer, "left", now);
    case "dial-failed":
      return dialFailed(peer, event, now);
    case "reconsidered":
      return changed(peer.dialAt === undefined ? peer : { ...peer, dialAt: now });
    case "tick":
      return tick(peer, now, options);
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
    const dialAt = self < nodeId ? now : now + options.politeDialMs;
    const met = { ...stranger(nodeId, bootId, address, now), sightedAt: now, dialAt };
    return changed(met, "peer-discovered");
  }
  if (peer.state === "alive") {
    // While it answers, only the link says what is true; another way to it is worth knowing.
    if (peer.bootId !== bootId) return changed(peer);
    return changed({
      ...peer,
      addresses: withAddress(peer.addresses, address),
      sightedAt: now,
    });
  }
  const restarted = peer.bootId !== bootId;
  const addresses = inFront(peer.addresses, address);
  const isAnswered = peer.failingSince !== undefined && !peer.unanswered;
  const moved = isAnswered
    // It was there, wherever it is: only what was not known yet may be another way.
    ? !peer.addresses.some((one) => isSame(one, address))
    : addresses[0] !== peer.addresses[0];
  // It is seen again: no reason to wait out a pause, nor, where a link is open, for TCP to notice.
  const isNews = restarted || moved || (peer.state === "suspect" && !isAnswered);
  return changed({
    ...peer,
    // Of a link that is still open only the link itself tells whose it is.
    bootId: peer.linked ? peer.bootId : bootId,
    addresses,
    sightedAt: now,
    lastHeard: peer.state === "discovered" ? now : peer.lastHeard,
    dialAt: isNews ? Math.min(peer.dialAt ?? now, now) : peer.dialAt,
  });
}

/** One of which nothing is known but where it is. */
function stranger(nodeId: string, bootId: string, address: PeerAddress, now: number): Peer {
  return {
    nodeId,
    bootId,
    incarnation: 0,
    state: "discovered",
    linked: false,
    linkedHost: undefined,
    addresses: [address],
    description: undefined,
    clockAheadMs: undefined,
    lastHeard: now,
    sightedAt: undefined,
    since: now,
    owesSince: undefined,
    pingsUnanswered: 0,
    vouchedAt: undefined,
    roundTripMs: undefined,
    dialAt: undefined,
    failingSince: undefined,
    lastFailure: undefined,
    unanswered: false,
  };
}

function linked(
  peer: Peer | undefined,
  { description, address, clockAheadMs }: TableEvent & { type: "linked" },
  now: number,
): TableChange {
  const { nodeId, bootId } = description;
  const isSameStart = peer?.bootId === bootId;
  const next: Peer = {
    nodeId,
    bootId,
    incarnation: isSameStart ? peer.incarnation : 0,
    state: "alive",
    linked: true,
    linkedHost: address.host,
    addresses: inFront(peer?.addresses ?? [], address),
    description,
    clockAheadMs,
    lastHeard: now,
    sightedAt: peer?.sightedAt,
    since: peer?.state === "alive" ? peer.since : now,
    owesSince: undefined,
    pingsUnanswered: 0,
    vouchedAt: undefined,
    roundTripMs: isSameStart ? peer.roundTripMs : undefined,
    dialAt: undefined,
    failingSince: undefined,
    lastFailure: undefined,
    unanswered: false,
  };
  if (peer?.state === "alive") return changed(next);
  return changed(next, peer?.state === "suspect" ? "peer-recovered" : "peer-joined");
}

function heard(
  peer: Peer,
  { at, host, roundTripMs }: TableEvent & { type: "heard" },
  now: number,
): TableChange {
  if (!peer.linked) return changed(peer);
  const hasAnswered = peer.owesSince !== undefined && at >= peer.owesSince;
  const next = {
    ...peer,
    lastHeard: Math.max(peer.lastHeard, at),
    linkedHost: host ?? peer.linkedHost,
    owesSince: hasAnswered ? undefined : peer.owesSince,
    pingsUnanswered: roundTripMs === undefined ? peer.pingsUnanswered : 0,
    roundTripMs: roundTripMs === undefined
      ? peer.roundTripMs
      : peer.roundTripMs === undefined
      ? roundTripMs
      : peer.roundTripMs + ROUND_TRIP_WEIGHT * (roundTripMs - peer.roundTripMs),
  };
  if (peer.state !== "suspect" || at <= peer.since || isDeaf(next)) return changed(next);
  return changed(
    {
      ...next,
      state: "alive",
      since: now,
      owesSince: undefined,
      dialAt: undefined,
      failingSince: undefined,
      lastFailure: undefined,
      unanswered: false,
    },
    "peer-recovered",
  );
}

/** Hearsay counts only against a peer that has not spoken to this node lately. */
function accused(
  peer: Peer,
  { bootId, incarnation, by }: TableEvent & { type: "accused" },
  now: number,
  { suspectAfterMs }: PeerTableOptions,
): TableChange {
  const isOld = peer.bootId !== bootId || incarnation < peer.incarnation;
  const hasSpoken = now - peer.lastHeard <= suspectAfterMs;
  if (isOld || peer.state !== "alive" || hasSpoken) return changed(peer);
  const reason = `"${by}" and those that it asked do not reach it`;
  return changed({ ...suspected(peer, now), incarnation, lastFailure: reason }, "peer-suspect");
}

function linkLost(peer: Peer, reason: string, now: number): TableChange {
  return changed(
    {
      ...suspected(peer, now),
      linked: false,
      linkedHost: undefined,
      owesSince: peer.owesSince ?? now,
      // One that ends its links as soon as they are open is not to be dialled without a pause.
      dialAt: Math.max(now, peer.since + LEAST_LINK_MS),
      failingSince: undefined,
      lastFailure: reason,
    },
    ...(peer.state === "suspect" ? [] : ["peer-suspect" as const]),
  );
}

function dialFailed(
  peer: Peer,
  { reason, refused, unanswered }: TableEvent & { type: "dial-failed" },
  now: number,
): TableChange {
  if (peer.state === "alive") return changed({ ...peer, dialAt: undefined });
  // It had a link, and its hosts say that no process listens any more: no doubt is left.
  if (peer.state === "suspect" && refused) return gone(peer, "dead", now, reason);
  const failingSince = peer.failingSince ?? now;
  return changed({
    ...peer,
    // The next attempt begins with another address, if one is known.
    addresses: [...peer.addresses.slice(1), peer.addresses[0]],
    dialAt: now + (unanswered ? backOff : backOffAnswered)(failingSince, now),
    failingSince,
    lastFailure: reason,
    unanswered,
  });
}

function refused(
  before: Peer | undefined,
  { description: { nodeId, bootId }, address, reason }: TableEvent & { type: "refused" },
  now: number,
): TableChange {
  // A link that is open says more.
  if (before?.linked) return changed(before);
  const peer = before ?? stranger(nodeId, bootId, address, now);
  const failingSince = peer.failingSince ?? now;
  return changed(
    {
      ...peer,
      bootId,
      addresses: withAddress(peer.addresses, address),
      lastHeard: peer.state === "discovered" ? now : peer.lastHeard,
      // What it has just said it would say again.
      dialAt: now + backOffAnswered(failingSince, now),
      failingSince,
      lastFailure: reason,
      unanswered: false,
    },
    ...(before === undefined ? ["peer-discovered" as const] : []),
  );
}

function tick(
  peer: Peer,
  now: number,
  { suspectAfterMs, deadAfterMs, vouchedForMs, forgetAfterMs }: PeerTableOptions,
): TableChange {
  const { state, owesSince = now, vouchedAt = -Infinity } = peer;
  if (state === "discovered") {
    return now - peer.lastHeard > forgetAfterMs
      ? gone(peer, "dead", now, peer.lastFailure ?? "it sends no more beacons")
      : changed(peer);
  }
  const owesFor = now - owesSince;
  if (state === "alive" && owesFor > suspectAfterMs) {
    // A new connection may come through where the old one waits for TCP to try again.
    return changed({ ...suspected(peer, now), dialAt: now }, "peer-suspect");
  }
  if (state === "alive" && isDeaf(peer)) {
    const lastFailure = "it is heard, and answers nothing: it may not hear this node";
    return changed({ ...suspected(peer, now), dialAt: now, lastFailure }, "peer-suspect");
  }
  if (state === "suspect" && owesFor > deadAfterMs && now - vouchedAt > vouchedForMs) {
    return gone(peer, "dead", now, `no answer for ${Math.round(owesFor / 1000)} s`);
  }
  return changed(peer);
}

/** Whether it does not seem to hear this node, though it may be heard. */
function isDeaf({ pingsUnanswered }: Peer): boolean {
  return pingsUnanswered > MAX_PINGS_UNANSWERED;
}

function suspected(peer: Peer, now: number): Peer {
  return peer.state === "suspect" ? peer : { ...peer, state: "suspect", since: now };
}

function gone(peer: Peer, state: "dead" | "left", now: number, reason?: string): TableChange {
  const last: Peer = {
    ...peer,
    state,
    linked: false,
    linkedHost: undefined,
    since: now,
    dialAt: undefined,
  };
  const type = state === "left" ? "peer-left" : "peer-died";
  const event: PeerEvent = { type, nodeId: peer.nodeId, peer: last, ...(reason && { reason }) };
  return { nodeId: peer.nodeId, peer: undefined, events: [event] };
}

function changed(peer: Peer, type?: PeerEvent["type"]): TableChange {
  const events: PeerEvent[] = type === undefined ? [] : [{
    type,
    nodeId: peer.nodeId,
    peer,
    ...(type === "peer-suspect" && { reason: peer.lastFailure ?? "it does not answer" }),
  }];
  return { nodeId: peer.nodeId, peer, events };
}

const isSame = (one: PeerAddress, other: PeerAddress) =>
  one.host === other.host && one.port === other.port;

/** The known addresses and `address`, each once; a new one waits at the end. */
function withAddress(
  known: readonly KnownAddress[],
  address: PeerAddress,
): readonly KnownAddress[] {
  if (known.some((one) => isSame(one, address))) return known;
  return [...known.slice(0, MAX_ADDRESSES - 1), address];
}

/** The known addresses with `address` first, each once. */
function inFront(known: readonly KnownAddress[], address: PeerAddress): readonly KnownAddress[] {
  if (known.length > 0 && isSame(known[0], address)) return known;
  // A known one keeps the way in which it was found.
  const first = known.find((one) => isSame(one, address)) ?? address;
  return [first, ...known.filter((other) => other !== first)].slice(0, MAX_ADDRESSES);
}

/** The fastest first, then those of which nothing is known, then those that cannot be reached. */
function measured(
  known: readonly KnownAddress[],
  { address, roundTripMs }: TableEvent & { type: "measured" },
): readonly KnownAddress[] {
  const problem = roundTripMs === undefined ? "it does not answer" : undefined;
  return known
    .map((one) => isSame(one, address) ? { ...one, roundTripMs, problem } : one)
    .toSorted((one, other) => costOf(one) - costOf(other));
}

const UNKNOWN_COST = 1e6;

function costOf({ roundTripMs, problem }: KnownAddress): number {
  return problem === undefined ? roundTripMs ?? UNKNOWN_COST : 2 * UNKNOWN_COST;
}
