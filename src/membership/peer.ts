/** A peer as this node knows it, and what can become of it. */

import type { NodeDescription } from "./node_description.ts";

/**
 * - `discovered`: its address is known, no link is open yet; nothing is sent there.
 * - `alive`: a link is open and it answers.
 * - `suspect`: its link is lost or silent; it gets no new work, and is being probed.
 * - `dead`: it did not answer the probes; it is out of the table.
 * - `left`: it said goodbye; it is out of the table.
 */
export type PeerState = "discovered" | "alive" | "suspect" | "dead" | "left";

/** Where a peer accepts links. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  /** How it was found: `"udp"`, or `"link"` when the peer dialled us. */
  readonly via: string;
}

/** A peer as this node knows it. */
export interface Peer {
  readonly nodeId: string;
  /** Its current start, as far as known. */
  readonly bootId: string;
  readonly state: PeerState;
  /** Whether a link is open. */
  readonly linked: boolean;
  /** Where it accepts links, best first; at least one. */
  readonly addresses: readonly PeerAddress[];
  /** What it says of itself; known once a link was open. */
  readonly description: NodeDescription | undefined;
  /** When it was last heard of, on the local monotonic clock, in milliseconds. */
  readonly lastHeard: number;
  /** Since when it is in its state, on the same clock. */
  readonly since: number;
  /** Smoothed round trip of its heartbeats, in milliseconds. */
  readonly roundTripMs: number | undefined;
  /** When it is to be dialled, on the same clock; undefined while that is not needed. */
  readonly dialAt: number | undefined;
  /** How often dialling it has failed in a row, and why the last time. */
  readonly dialFailures: number;
  readonly lastFailure: string | undefined;
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
