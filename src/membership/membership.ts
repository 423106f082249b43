/** The loop around the table of peers: feeds it what happens, dials and probes what it asks for. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { EventBus } from "../base/event_bus.ts";
import type { Logger } from "../base/log.ts";
import type { NodeDescription } from "./node_description.ts";
import type { Peer, PeerAddress, PeerEvent } from "./peer.ts";
import { apply, type PeerTableOptions, type TableEvent } from "./peer_table.ts";

/** What membership needs of the links, handed in by whoever composes the node. */
export interface MembershipPorts {
  /**
   * Opens a link; {@linkcode Membership.linked} has been told when it resolves.
   *
   * @throws {NetworkError} When nobody can be linked there.
   */
  connect(nodeId: string, address: PeerAddress): Promise<void>;
  /** Closes the links to a peer that is given up. */
  disconnect(nodeId: string): void;
  /** When something last arrived from the peer, on the local clock; undefined without a link. */
  lastHeard(nodeId: string): number | undefined;
  /** Another node at `host` has this node's own label. */
  conflict(host: string): void;
  /** Sends a heartbeat and resolves to its round trip in milliseconds, if an answer comes. */
  probe(nodeId: string): Promise<number>;
}

/** What {@linkcode Membership} is made of. */
export interface MembershipOptions extends PeerTableOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ports: MembershipPorts;
  /** Between two heartbeats on a link, in milliseconds. */
  readonly heartbeatMs: number;
}

/** How often the table looks for silence, as a share of the heartbeat. */
const TICKS_PER_HEARTBEAT = 4;
/** Peers of one host that are kept without a link. */
const MAX_STRANGERS_PER_HOST = 64;
/** Dials at a time, each of which may hold a file descriptor for seconds. */
const MAX_DIALS = 16;
/** How long a dial beyond them waits before it looks again. */
const DIAL_PAUSE_MS = 50;

/** Who is here. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #table = new Map<string, Peer>();
  readonly #events = new EventBus<PeerEvent>();
  readonly #dials = new Map<string, CancelTimer>();
  readonly #dialling = new Set<string>();
  #timers: CancelTimer[] = [];
  #version = 0;
  #stopped = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Begins to send heartbeats and to notice silence. */
  start(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#timers = [
      every(clock, heartbeatMs, () => this.#heartbeat()),
      every(clock, heartbeatMs / TICKS_PER_HEARTBEAT, () => this.#tick()),
    ];
  }

  /** Stops dialling and probing, and ends the events; idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#timers.splice(0)) cancel();
    for (const cancel of this.#dials.values()) cancel();
    this.#dials.clear();
    this.#events.close();
  }

  /** Grows with every event: who keeps something made of the table compares it. */
  get version(): number {
    return this.#version;
  }

  /** The peers that are discovered, alive or suspect. */
  peers(): Peer[] {
    return [...this.#table.values()];
  }

  /** One peer, if it is in the table. */
  get(nodeId: string): Peer | undefined {
    return this.#table.get(nodeId);
  }

  /** What becomes of peers from now on. */
  events(options?: { signal?: AbortSignal }): AsyncIterableIterator<PeerEvent> {
    return this.#events.subscribe(options);
  }

  /** Discovery saw a node; says whether it is one that is not linked yet. */
  observe(sighting: { nodeId: string; bootId: string; address: PeerAddress }): boolean {
    const { nodeId: self, ports } = this.#options;
    if (sighting.nodeId === self) {
      ports.conflict(sighting.address.host);
      return false;
    }
    if (!this.#table.has(sighting.nodeId) && this.#isFullOf(sighting.address.host)) return false;
    this.#apply({ type: "sighted", ...sighting });
    return this.#table.get(sighting.nodeId)?.linked === false;
  }

  /** Whether a host has sent enough strangers: anybody can make up names and ports. */
  #isFullOf(host: string): boolean {
    let strangers = 0;
    for (const { state, addresses: [address] } of this.#table.values()) {
      if (state === "discovered" && address.host === host) strangers++;
    }
    return strangers >= MAX_STRANGERS_PER_HOST;
  }

  /** A link is open. */
  linked(description: NodeDescription, address: PeerAddress): void {
    this.#apply({ type: "linked", description, address });
  }

  /** A peer says something new of itself. */
  described(description: NodeDescription): void {
    this.#apply({ type: "described", description });
  }

  /** A peer's last link is gone. */
  unlinked(nodeId: string, how: { goodbye: boolean; reason: string }): void {
    this.#apply(
      how.goodbye ? { type: "goodbye", nodeId } : { type: "link-lost", nodeId, reason: how.reason },
    );
  }

  /**
   * Probes one peer now.
   *
   * @param timeoutMs How long to wait for the answer.
   * @returns The round trip in milliseconds, or undefined when it did not answer in time.
   */
  probe(nodeId: string, timeoutMs: number): Promise<number | undefined> {
    const { clock, ports } = this.#options;
    return new Promise((resolve) => {
      const cancel = clock.after(timeoutMs, () => resolve(undefined));
      ports.probe(nodeId).then((roundTripMs) => {
        cancel();
        this.#apply({ type: "heard", nodeId, at: clock.now(), roundTripMs });
        resolve(roundTripMs);
      });
    });
  }

  #heartbeat(): void {
    const { clock, ports } = this.#options;
    for (const { nodeId, linked } of this.#table.values()) {
      if (!linked) continue;
      // An answer that never comes costs nothing: silence is noticed by the tick.
      void ports.probe(nodeId).then((roundTripMs) => {
        this.#apply({ type: "heard", nodeId, at: clock.now(), roundTripMs });
      });
    }
  }

  #tick(): void {
    const { ports } = this.#options;
    for (const { nodeId, lastHeard } of [...this.#table.values()]) {
      const at = ports.lastHeard(nodeId);
      if (at !== undefined && at > lastHeard) this.#apply({ type: "heard", nodeId, at });
      this.#apply({ type: "tick", nodeId });
    }
  }

  #apply(event: TableEvent): void {
    if (this.#stopped) return;
    const { clock, nodeId: self, ports, logger } = this.#options;
    const { nodeId, peer, events } = apply(this.#table, event, clock.now(), self, this.#options);
    if (peer === undefined) {
      const wasHere = this.#table.delete(nodeId);
      this.#cancelDial(nodeId);
      if (wasHere) ports.disconnect(nodeId);
    } else {
      this.#table.set(nodeId, peer);
      this.#scheduleDial(peer);
    }
    this.#version += events.length;
    for (const told of events) {
      logger.debug("{type} {nodeId}", { type: told.type, nodeId, reason: told.reason });
      this.#events.emit(told);
    }
  }

  #scheduleDial({ nodeId, dialAt }: Peer): void {
    this.#cancelDial(nodeId);
    if (dialAt === undefined || this.#dialling.has(nodeId)) return;
    const { clock } = this.#options;
    this.#dials.set(
      nodeId,
      clock.after(Math.max(0, dialAt - clock.now()), () => void this.#dial(nodeId)),
    );
  }

  #cancelDial(nodeId: string): void {
    this.#dials.get(nodeId)?.();
    this.#dials.delete(nodeId);
  }

  async #dial(nodeId: string): Promise<void> {
    this.#dials.delete(nodeId);
    const peer = this.#table.get(nodeId);
    if (peer === undefined || peer.linked) return;
    if (this.#dialling.size >= MAX_DIALS) {
      const { clock } = this.#options;
      this.#dials.set(nodeId, clock.after(DIAL_PAUSE_MS, () => void this.#dial(nodeId)));
      return;
    }
    this.#dialling.add(nodeId);
    let failure: TableEvent | undefined;
    try {
      await this.#options.ports.connect(nodeId, peer.addresses[0]);
    } catch (thrown) {
      failure = {
        type: "dial-failed",
        nodeId,
        reason: describeError(thrown),
        refused: thrown instanceof NetworkError && /refused/.test(thrown.message),
      };
    } finally {
      this.#dialling.delete(nodeId);
    }
    if (failure !== undefined) return this.#apply(failure);
    // The link may be lost again already, in which case the table asked for a dial meanwhile.
    const now = this.#table.get(nodeId);
    if (now !== undefined) this.#scheduleDial(now);
  }
}
