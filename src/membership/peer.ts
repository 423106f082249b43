/** A peer as this node knows it, and what can become of it. */

import type { NodeDescription } from "./node_description.ts";

/**
 * - `discovered`: its address is known, no link is open yet; nothing is sent there.
 * - `alive`: a link is open and it answers.
 * - `suspect`: its link is lost, or it owes an answer; it gets no new work, and is being probed.
 * - `dead`: neither this node nor others reached it; it is out of the table.
 * - `left`: it said goodbye; it is out of the table.
 */
export type PeerState = "discovered" | "alive" | "suspect" | "dead" | "left";

/** Where a peer accepts links. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  /** How it was found: `"udp"`, `"manual"`, …; `"link"` when the peer dialled us. */
  readonly via: string;
}

/** One of a peer's addresses, with what is known of the way there. */
export interface KnownAddress extends PeerAddress {
  /** The last measured round trip in milliseconds. */
  readonly roundTripMs?: number;
  /** Why it could not be reached the last time it was tried. */
  readonly problem?: string;
}

/** A peer as this node knows it. */
export interface Peer {
  readonly nodeId: string;
  /** Its current start, as far as known. */
  readonly bootId: string;
  /** How often it has denied, since that start, that it is gone. */
  readonly incarnation: number;
  readonly state: PeerState;
  /** Whether a link is open. */
  readonly linked: boolean;
  /** The host at the other end of the link, while one is open. */
  readonly linkedHost: string | undefined;
  /** Where it accepts links, the one to be dialled first at the front; at least one. */
  readonly addresses: readonly KnownAddress[];
  /** What it says of itself; known once a link was open. */
  readonly description: NodeDescription | undefined;
  /** How far its clock was ahead of this machine's when its link opened, in milliseconds. */
  readonly clockAheadMs: number | undefined;
  /** When it was last heard of, on the local monotonic clock, in milliseconds. */
  readonly lastHeard: number;
  /** When a beacon of it last came, on the same clock. */
  readonly sightedAt: number | undefined;
  /** Since when it is in its state, on the same clock. */
  readonly since: number;
  /** Since when it owes an answer: to a ping, or because its link is lost. */
  readonly owesSince: number | undefined;
  /** Pings since the last one that it answered, whatever else was heard of it. */
  readonly pingsUnanswered: number;
  /** When another node last said that it reaches it. */
  readonly vouchedAt: number | undefined;
  /** Smoothed round trip of its answers, in milliseconds. */
  readonly roundTripMs: number | undefined;
  /** When it is to be dialled, on the same clock; undefined while that is not needed. */
  readonly dialAt: number | undefined;
  /** Since when dialling it fails, and why it did the last time. */
  readonly failingSince: number | undefined;
  readonly lastFailure: string | undefined;
  /** Whether nobody answered at all when dialling it failed. */
  readonly unanswered: boolean;
}

/** What became of a peer. */
export type PeerEventType =
  | "peer-discovered"
  | "peer-joined"
  | "peer-suspect"
  | "peer-recovered"
  | "peer-died"
  | "peer-left"
  | "peer-updated";

/** One change in the table of peers. */
export interface PeerEvent {
  readonly type: PeerEventType;
  readonly nodeId: string;
  /** The peer after the change. */
  readonly peer: Peer;
  /** Why, where that is not plain from the type. */
  readonly reason?: string;
}
