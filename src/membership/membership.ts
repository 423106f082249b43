/** The loop around the table of peers: feeds it what happens, dials and probes what it asks for. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { EventBus } from "../base/event_bus.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { type Connect, Dialler, type DialReason } from "./dialler.ts";
import { Missed } from "./missed.ts";
import type { NodeDescription } from "./node_description.ts";
import type { Peer, PeerAddress, PeerEvent } from "./peer.ts";
import { apply, type PeerTableOptions, type TableEvent } from "./peer_table.ts";
import { PingRound } from "./ping_round.ts";
import type { Rumour } from "./rumour.ts";
import { type Seed, Seeds, type SeedState } from "./seeds.ts";
import { Strangers } from "./strangers.ts";

/** What membership needs of the links, handed in by whoever composes the node. */
export interface MembershipPorts {
  /**
   * Opens a link; {@linkcode Membership.linked} has been told when it resolves, unless the peer had
   * a link already.
   *
   * @throws {NetworkError} When nobody can be linked there.
   */
  readonly connect: Connect;
  /** Closes the links to a peer that is given up. */
  disconnect(nodeId: string): void;
  /** The link to the peer, if one is open. */
  link(nodeId: string): PeerConnection | undefined;
  /** Sends a ping and resolves to its round trip in milliseconds, if an answer comes. */
  probe(nodeId: string): Promise<number>;
  /** Measures the way to an address without a link: its round trip in milliseconds. */
  measure(address: PeerAddress): Promise<number>;
  /** Tells one peer something. */
  tell(nodeId: string, rumour: Rumour): void;
  /** Tells every peer something. */
  tellAll(rumour: Rumour): void;
  /** Another node at `host` has this node's own label. */
  conflict(host: string, bootId: string): void;
  /** Nobody is linked, and this one answers again and again without letting this node in. */
  shunned(nodeId: string, reason: string): void;
}

/** A link as membership sees it. */
export interface PeerConnection {
  /** When something last arrived on it, on the local clock. */
  readonly lastHeard: number;
  /** The other side's host. */
  readonly remoteHost: string;
  /** Whether this node opened it. */
  readonly dialled: boolean;
}

/** What {@linkcode Membership} is made of. */
export interface MembershipOptions extends PeerTableOptions {
  readonly nodeId: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly ports: MembershipPorts;
  /** Between two rounds of pings, in milliseconds. */
  readonly heartbeatMs: number;
}

/** How often the table looks at the clock, as a share of the heartbeat. */
const TICKS_PER_HEARTBEAT = 4;
/** Others that are asked whether they reach a peer, as in SWIM (Das et al., 2002), which has 3. */
const HELPERS = 2;
/** Peers about which others are asked in one beat. */
const MAX_DOUBTS = 4;
/** Peers up to which beacons are sent more often while one is missed. */
const MAX_URGENT = 32;
/** Another address must be faster by this factor and by this much to be worth a new link. */
const FASTER_BY = 1.5;
const FASTER_BY_MS = 0.5;
/** Who answers without a link for so long does not just start, or end. */
const SHUNNED_AFTER_MS = 1_000;
/** A link is not moved again before this. */
const MOVE_PAUSE_MS = 30_000;

/** Who is here. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #table = new Map<string, Peer>();
  readonly #events = new EventBus<PeerEvent>();
  readonly #seeds = new Seeds();
  readonly #missed = new Missed();
  readonly #round: PingRound;
  readonly #strangers = new Strangers();
  readonly #dialler: Dialler;
  readonly #movedAt = new Map<string, number>();
  #beats: CancelTimer[] = [];
  #incarnation = 0;
  #version = 0;
  /** Whether it was told who shuns this node, which is then alone. */
  #hasToldShunned = false;
  #stopped = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#round = new PingRound(options.random);
    this.#dialler = new Dialler(options.clock, options.ports.connect);
  }

  /** Begins to ping and to notice silence. */
  start(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#beats = [
      every(clock, heartbeatMs, () => this.#beat()),
      every(clock, heartbeatMs / TICKS_PER_HEARTBEAT, () => this.#tick()),
    ];
  }

  /** Stops dialling and probing, and ends the events; idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#beats.splice(0)) cancel();
    this.#dialler.stop();
    this.#events.close();
  }

  /** Grows with every event: who keeps something made of the table compares it. */
  get version(): number {
    return this.#version;
  }

  /**
   * Whether somebody is missed, so that it is worth being seen more often. In a large network it is
   * not: everybody would have to read the beacons of everybody.
   */
  get misses(): boolean {
    if (this.#table.size > MAX_URGENT) return false;
    const isSuspect = ({ state }: Peer) => state === "suspect";
    return this.#missed.size > 0 || this.#table.values().some(isSuspect);
  }

  /** The peers that are discovered, alive or suspect. */
  peers(): Peer[] {
    return [...this.#table.values()];
  }

  /** One peer, if it is in the table. */
  get(nodeId: string): Peer | undefined {
    return this.#table.get(nodeId);
  }

  /** What is listed, with what came of it. */
  seeds(): SeedState[] {
    return this.#seeds.all();
  }

  /** What becomes of peers from now on. */
  events(options?: { signal?: AbortSignal }): AsyncIterableIterator<PeerEvent> {
    return this.#events.subscribe(options);
  }

  /** Discovery saw a node; says whether it is one that is not linked yet. */
  observe(sighting: { nodeId: string; bootId: string; address: PeerAddress }): boolean {
    const { nodeId: self, ports } = this.#options;
    const { nodeId, address } = sighting;
    if (nodeId === self) {
      ports.conflict(address.host, sighting.bootId);
      return false;
    }
    if (!this.#table.has(nodeId) && this.#strangers.isFullOf(address.host)) return false;
    this.#apply({ type: "sighted", ...sighting });
    this.#dialler.giveUpStale(nodeId);
    return this.#table.get(nodeId)?.state !== "alive";
  }

  /** A node has dialled this one, and does not want it: whatever its beacons say, it is there. */
  refused(description: NodeDescription, address: PeerAddress, reason: string): void {
    const isKnown = this.#table.has(description.nodeId);
    if (!isKnown && this.#strangers.isFullOf(address.host)) return;
    this.#apply({ type: "refused", description, address, reason });
  }

  /** Who is of the network, or what this node shows, has changed: who had failed is tried at once. */
  reconsider(): void {
    for (const { nodeId, state } of this.peers()) {
      if (state !== "alive") this.#apply({ type: "reconsidered", nodeId });
    }
    this.#seeds.reconsider(this.#options.clock.now());
    this.#dialSeeds();
  }

  /** These are to be dialled as long as they are listed; replaces what `via` listed before. */
  list(via: string, seeds: readonly Seed[]): void {
    this.#seeds.list(via, seeds, this.#options.clock.now());
    this.#dialSeeds();
  }

  /** A peer has its first link. */
  linked(description: NodeDescription, address: PeerAddress): void {
    const via = this.#seeds.viaOf(address.host, address.port) ?? address.via;
    const { wallTime } = description;
    const clockAheadMs = wallTime && wallTime - this.#options.clock.wallTime();
    this.#missed.forget(description.nodeId);
    this.#hasToldShunned = false;
    this.#apply({ type: "linked", description, address: { ...address, via }, clockAheadMs });
  }

  /** A peer that has a link has opened another one: whatever was suspected, it is there. */
  relinked(nodeId: string): void {
    this.#hear(nodeId);
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

  /** The peer `from` says something about another one, or about itself. */
  heardRumour(from: { nodeId: string; bootId: string }, rumour: Rumour): void {
    const { nodeId: self, bootId, ports, heartbeatMs } = this.#options;
    switch (rumour.say) {
      case "reach?": {
        const { nodeId, bootId } = rumour;
        // Of those that are not in the table nothing is known: silence is the answer.
        if (this.#table.get(nodeId)?.bootId !== bootId) return;
        return void this.probe(nodeId, heartbeatMs).then((roundTripMs) => {
          if (roundTripMs !== undefined) {
            ports.tell(from.nodeId, { say: "reached", nodeId, bootId });
          }
        });
      }
      case "reached":
        return this.#apply({ type: "vouched", nodeId: rumour.nodeId, bootId: rumour.bootId });
      case "suspect":
        if (rumour.nodeId === self) {
          if (rumour.bootId !== bootId || rumour.incarnation < this.#incarnation) return;
          this.#incarnation = rumour.incarnation + 1;
          return ports.tellAll({ say: "alive", incarnation: this.#incarnation });
        }
        this.#hear(rumour.nodeId);
        return this.#apply({
          type: "accused",
          nodeId: rumour.nodeId,
          bootId: rumour.bootId,
          incarnation: rumour.incarnation,
          by: from.nodeId,
        });
      case "alive":
        return this.#apply({ type: "denied", ...from, incarnation: rumour.incarnation });
    }
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
        this.#answered(nodeId, roundTripMs);
        resolve(roundTripMs);
      });
    });
  }

  #beat(): void {
    const peers = this.peers();
    for (const { nodeId } of this.#round.next(peers)) {
      this.#hear(nodeId);
      this.#apply({ type: "pinged", nodeId });
      // An answer that never comes costs nothing: what is owed is noticed by the tick.
      void this.#options.ports.probe(nodeId).then((roundTripMs) => {
        this.#answered(nodeId, roundTripMs);
      });
    }
    this.#askOthers(peers);
    void this.#measureOne(peers);
  }

  #answered(nodeId: string, roundTripMs: number): void {
    this.#apply({ type: "heard", nodeId, at: this.#options.clock.now(), roundTripMs });
  }

  /** Asks others about peers that owe an answer. */
  #askOthers(peers: readonly Peer[]): void {
    const { clock, heartbeatMs, ports, random } = this.#options;
    const now = clock.now();
    // What was pinged a beat ago, by a timer that may be late.
    const owes = ({ owesSince = now }: Peer) => now - owesSince >= 0.9 * heartbeatMs;
    const doubted = peers.filter(owes).slice(0, MAX_DOUBTS);
    const helpers = peers.filter((one) => one.state === "alive" && !owes(one));
    for (const { nodeId, bootId } of doubted) {
      const first = Math.floor(random.next() * helpers.length);
      for (let i = 0; i < Math.min(HELPERS, helpers.length); i++) {
        const helper = helpers[(first + i) % helpers.length];
        ports.tell(helper.nodeId, { say: "reach?", nodeId, bootId });
      }
    }
  }

  /** Measures one address of one peer that has several, and moves the link if that is worth it. */
  async #measureOne(peers: readonly Peer[]): Promise<void> {
    const next = this.#round.nextAddress(peers);
    if (next === undefined) return;
    const { nodeId, address } = next;
    let roundTripMs: number | undefined;
    try {
      roundTripMs = await this.#options.ports.measure(address);
    } catch {
      // Not every address of a peer can be reached from here; that is why there are several.
    }
    this.#apply({ type: "measured", nodeId, address, roundTripMs });
    this.#moveIfFaster(nodeId);
  }

  #moveIfFaster(nodeId: string): void {
    const { ports, clock } = this.#options;
    const peer = this.#table.get(nodeId);
    const link = ports.link(nodeId);
    // The one that dialled decides, so that not both do.
    if (peer?.state !== "alive" || link?.dialled !== true || this.#dialler.isDialling(nodeId)) {
      return;
    }
    const [best] = peer.addresses;
    const used = peer.addresses.find(({ host }) => host === link.remoteHost);
    if (best.roundTripMs === undefined || used?.roundTripMs === undefined) return;
    const saved = used.roundTripMs - best.roundTripMs;
    if (saved < FASTER_BY_MS || used.roundTripMs < FASTER_BY * best.roundTripMs) return;
    const now = clock.now();
    if (now - (this.#movedAt.get(nodeId) ?? -Infinity) < MOVE_PAUSE_MS) return;
    this.#movedAt.set(nodeId, now);
    this.#dialler.dial(nodeId, "suspect", [best]).catch(() => {
      // The link in use goes on.
    });
  }

  #tick(): void {
    for (const { nodeId, state, owesSince, pingsUnanswered } of this.peers()) {
      // Of one that owes nothing, time changes nothing: most, in a large network.
      if (state === "alive" && owesSince === undefined && pingsUnanswered === 0) continue;
      this.#hear(nodeId);
      this.#apply({ type: "tick", nodeId });
    }
    this.#missed.expire(this.#options.clock.now());
    this.#seeds.list(Missed.via, this.#missed.seeds(), this.#options.clock.now());
    this.#dialSeeds();
  }

  /** Takes over what the link to a peer knows. */
  #hear(nodeId: string): void {
    const peer = this.#table.get(nodeId);
    const link = this.#options.ports.link(nodeId);
    if (peer === undefined || link === undefined) return;
    const { lastHeard: at, remoteHost: host } = link;
    if (at > peer.lastHeard || host !== peer.linkedHost) {
      this.#apply({ type: "heard", nodeId, at, host });
    }
  }

  #apply(event: TableEvent): void {
    if (this.#stopped) return;
    const { clock, nodeId: self, ports, logger } = this.#options;
    const { nodeId, peer, events } = apply(this.#table, event, clock.now(), self, this.#options);
    this.#strangers.replaced(this.#table.get(nodeId), peer);
    if (peer === undefined) {
      const wasHere = this.#table.delete(nodeId);
      this.#dialler.cancel(nodeId);
      this.#movedAt.delete(nodeId);
      if (wasHere) ports.disconnect(nodeId);
    } else {
      const before = this.#table.get(nodeId);
      this.#table.set(nodeId, peer);
      if (peer.dialAt !== before?.dialAt) this.#scheduleDial(peer);
    }
    this.#version += events.length;
    for (const told of events) {
      logger.debug("{type} {nodeId}", { type: told.type, nodeId, reason: told.reason });
      this.#react(told, event);
      this.#events.emit(told);
    }
  }

  #react({ type, peer }: PeerEvent, because: TableEvent): void {
    const { ports, clock } = this.#options;
    const { nodeId, bootId, incarnation, owesSince = -Infinity, vouchedAt = -Infinity } = peer;
    // Who has found it out tells the others; not whoever only repeats it, or hears it all the same.
    const isOwnEvidence = because.type === "tick" && vouchedAt < owesSince;
    if (type === "peer-suspect" && isOwnEvidence) {
      ports.tellAll({ say: "suspect", nodeId, bootId, incarnation });
    }
    // One whose host has said that it does not run is not missed: it will be heard of.
    if (type === "peer-died" && because.type === "tick") this.#missed.add(peer, clock.now());
  }

  #scheduleDial({ nodeId, state, dialAt }: Peer): void {
    if (dialAt === undefined) this.#dialler.cancel(nodeId);
    else {
      const reason = state === "suspect" ? "suspect" : "stranger";
      this.#dialler.schedule(nodeId, reason, dialAt, () => void this.#dial(nodeId, reason));
    }
  }

  async #dial(nodeId: string, reason: DialReason): Promise<void> {
    const peer = this.#table.get(nodeId);
    if (peer === undefined || peer.state === "alive") return;
    try {
      const found = await this.#dialler.dial(nodeId, reason, peer.addresses);
      if (found === undefined) {
        throw new NetworkError("UNAVAILABLE", "no answer since the beacon before the last one", {
          unanswered: true,
        });
      }
      if (found.nodeId !== nodeId) {
        throw new NetworkError("UNAVAILABLE", `Node "${found.nodeId}" answers there now.`);
      }
      this.#hear(nodeId);
    } catch (thrown) {
      const error = NetworkError.from(thrown);
      this.#apply({
        type: "dial-failed",
        nodeId,
        reason: describeError(thrown),
        refused: thrown instanceof NetworkError && /refused/.test(error.message),
        unanswered: error.unanswered ?? false,
      });
      return this.#tellIfShunned(nodeId, error);
    }
    // The link may be lost again already, or it was seen meanwhile.
    const now = this.#table.get(nodeId);
    if (now !== undefined) this.#scheduleDial(now);
  }

  #tellIfShunned(nodeId: string, { code, message, unanswered }: NetworkError): void {
    const { clock, ports } = this.#options;
    const { failingSince = Infinity } = this.#table.get(nodeId) ?? {};
    // Who says why is told by the link, and not only to a node that is alone.
    if (code !== "UNAVAILABLE" || unanswered || this.#hasToldShunned) return;
    if (clock.now() - failingSince < SHUNNED_AFTER_MS) return;
    if (this.peers().some(({ state }) => state === "alive")) return;
    this.#hasToldShunned = true;
    ports.shunned(nodeId, message);
  }

  #dialSeeds(): void {
    const now = this.#options.clock.now();
    for (const state of this.#seeds.all()) {
      const { seed, nodeId, dialAt } = state;
      if (this.#dialler.isFullOf("seed")) return;
      if (dialAt > now || seed.addresses.length === 0 || this.#dialler.isDialling(seed)) continue;
      const isCared = nodeId !== undefined &&
        (nodeId === this.#options.nodeId || this.#table.get(nodeId)?.state === "alive" ||
          this.#dialler.isDialling(nodeId));
      if (!isCared) void this.#dialSeed(state);
    }
  }

  async #dialSeed(state: SeedState): Promise<void> {
    const { seed, via } = state;
    const { clock } = this.#options;
    const addresses = seed.addresses.map((host) => ({ host, port: seed.port, via }));
    try {
      const found = await this.#dialler.dial(seed, "seed", addresses);
      if (found === undefined) return;
      const { nodeId } = found;
      this.#seeds.reached(state, nodeId, clock.now());
      for (const address of addresses) this.#apply({ type: "listed", nodeId, address });
    } catch (thrown) {
      const isSelf = thrown instanceof NetworkError && thrown.code === "FAILED_PRECONDITION";
      if (isSelf) this.#seeds.reached(state, this.#options.nodeId, clock.now());
      else {
        const { unanswered = false } = NetworkError.from(thrown);
        this.#seeds.failed(state, { problem: describeError(thrown), unanswered }, clock.now());
      }
    }
  }
}
