/**
 * Peers of other programs: who was heard lately, and which of them answer. They are listed, and told
 * of to each other, and never given work.
 */

import { type CancelTimer, type Clock, doneWithin, every } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { safeName } from "../base/safe_text.ts";
import type { ForeignBeacon, ForeignCapabilities, ForeignKind } from "./foreign_beacon.ts";

/** What {@linkcode ForeignPeers} is made of. */
export interface ForeignPeersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Asks the peer at an address whether it is well; no, and no answer, are the same to existing
   * peers, but the error of a rejection is shown as the reason.
   */
  readonly check: (
    address: { host: string; port: number },
    signal: AbortSignal,
  ) => Promise<boolean>;
  /** Is told what becomes of them. */
  readonly onEvent?: (event: ForeignPeerEvent) => void;
}

/** A peer of another program. */
export interface ForeignPeer {
  /** Of its own kind there is no other with this label. */
  readonly nodeId: string;
  readonly kind: ForeignKind;
  /** The address that it was heard from. */
  readonly host: string;
  /** Where it answers calls; null: nowhere. */
  readonly port: number | null;
  readonly capabilities: ForeignCapabilities | null;
  /** The interface of its own by which it was heard. */
  readonly interfaceName: string | null;
  /** Whether it answered its last health check. */
  readonly healthy: boolean;
  /** When it was last heard, on the local monotonic clock, in milliseconds. */
  readonly lastSeen: number;
  /** Why it cannot be asked, if it cannot. */
  readonly problem: string | null;
}

/** What became of a peer of another program. */
export interface ForeignPeerEvent {
  /** It was heard for the first time, answers or does not any more, was not heard for long. */
  readonly type: "appeared" | "changed" | "gone";
  /** The peer after that. */
  readonly peer: ForeignPeer;
}

/** A peer of another program, as it appears in the topology that these collect. */
export interface ForeignNeighbour {
  readonly nodeId: string;
  readonly capabilities: ForeignCapabilities | null;
  /** By which interface it is reached. */
  readonly description: string | null;
  /** Where it can be asked for what it knows. */
  readonly askAt: { readonly host: string; readonly port: number };
}

/** Without a beacon for so long, a peer is gone: what existing peers use. */
const FORGET_AFTER_MS = 30_000;
/** Between two health checks, a tenth more or less at random, so that they do not come in step. */
const CHECK_INTERVAL_MS = 10_000;
/** An answer that takes longer is none: what existing peers use. */
const CHECK_TIMEOUT_MS = 5_000;
/** Another address is tried no sooner after a failed check: the interval of beacons. */
const RECHECK_AFTER_MS = 2_500;
const MAX_CHECKS_AT_A_TIME = 4;
/** How often what has become due is looked for. */
const TICK_MS = 1_000;
/** A house has tens; what is beyond is somebody's mischief. */
const MAX_PEERS = 1_024;
/** Several may run on one machine. */
const MAX_PEERS_PER_HOST = 64;

const OPENS_NO_PORT = "opens no port: it can be seen, not asked";
const NOT_ASKED_YET = "not asked yet";

type Health = "unasked" | "healthy" | "unhealthy";

interface Entry {
  readonly nodeId: string;
  readonly kind: ForeignKind;
  host: string;
  port: number | null;
  capabilities: ForeignCapabilities | null;
  interfaceName: string | null;
  lastSeen: number;
  health: Health;
  problem: string | null;
  checkedAt: number;
  /** When it is to be asked next; Infinity: never. */
  checkAt: number;
  /** Ends the check that runs. */
  checking: AbortController | undefined;
}

/** See the top of the file. */
export class ForeignPeers {
  readonly #options: ForeignPeersOptions;
  readonly #entries = new Map<string, Entry>();
  #ticking: CancelTimer | undefined;
  #checks = 0;
  #stopped = false;

  constructor(options: ForeignPeersOptions) {
    this.#options = options;
  }

  /**
   * A beacon has come from `host`.
   *
   * @returns Whether there was room for its sender.
   */
  seen(beacon: ForeignBeacon, host: string): boolean {
    if (this.#stopped) return false;
    const { clock } = this.#options;
    const entry = this.#entries.get(keyOf(beacon));
    if (entry === undefined) return this.#add(beacon, host);
    entry.lastSeen = clock.now();
    const isThere = entry.host === host && entry.port === beacon.port;
    if (!isThere && this.#mayMove(entry, host)) this.#move(entry, beacon, host);
    else if (isThere) describe(entry, beacon);
    return true;
  }

  /** All of them, in the order in which they appeared. */
  list(): ForeignPeer[] {
    return [...this.#entries.values()].map(peerOf);
  }

  /** Those that answer: this node's connections in the topology that existing peers collect. */
  topology(): ForeignNeighbour[] {
    return this.list().flatMap(({ nodeId, capabilities, interfaceName, healthy, host, port }) =>
      healthy && port !== null
        ? [{ nodeId, capabilities, description: interfaceName, askAt: { host, port } }]
        : []
    );
  }

  /** Forgets all of them and asks no more; idempotent. Nothing is told afterwards. */
  stop(): void {
    this.#stopped = true;
    this.#ticking?.();
    for (const { checking } of this.#entries.values()) checking?.abort();
    this.#entries.clear();
  }

  #add(beacon: ForeignBeacon, host: string): boolean {
    if (this.#entries.size >= MAX_PEERS || this.#isFull(host)) return false;
    const { clock } = this.#options;
    const canBeAsked = beacon.port !== null;
    const entry: Entry = {
      nodeId: beacon.nodeId,
      kind: beacon.kind,
      host,
      port: beacon.port,
      capabilities: beacon.capabilities,
      interfaceName: beacon.interfaceName,
      lastSeen: clock.now(),
      health: "unasked",
      problem: canBeAsked ? NOT_ASKED_YET : OPENS_NO_PORT,
      checkedAt: -Infinity,
      checkAt: canBeAsked ? clock.now() : Infinity,
      checking: undefined,
    };
    this.#entries.set(keyOf(beacon), entry);
    this.#ticking ??= every(clock, TICK_MS, () => this.#tick());
    this.#tell("appeared", entry);
    this.#startChecks();
    return true;
  }

  /** An address that answers is kept; one that does not gives way to the next that is heard. */
  #mayMove(entry: Entry, host: string): boolean {
    const isNeeded = entry.kind === "hanzo-network" || entry.health === "unhealthy";
    return isNeeded && entry.checking === undefined && (host === entry.host || !this.#isFull(host));
  }

  #move(entry: Entry, beacon: ForeignBeacon, host: string): void {
    entry.host = host;
    entry.port = beacon.port;
    describe(entry, beacon);
    if (beacon.port === null) return;
    entry.checkAt = Math.min(entry.checkAt, entry.checkedAt + RECHECK_AFTER_MS);
    this.#startChecks();
  }

  #isFull(host: string): boolean {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.host === host) count++;
    return count >= MAX_PEERS_PER_HOST;
  }

  #tick(): void {
    const now = this.#options.clock.now();
    for (const [key, entry] of this.#entries) {
      if (now - entry.lastSeen < FORGET_AFTER_MS) continue;
      this.#entries.delete(key);
      entry.checking?.abort();
      this.#tell("gone", entry);
    }
    if (this.#entries.size === 0) {
      this.#ticking?.();
      this.#ticking = undefined;
    }
    this.#startChecks();
  }

  #startChecks(): void {
    const now = this.#options.clock.now();
    const due = [...this.#entries.values()]
      .filter(({ checkAt, checking }) => checking === undefined && checkAt <= now)
      // Whoever answered is asked first: many who never do must not hold that up.
      .sort((a, b) =>
        +(b.health === "healthy") - +(a.health === "healthy") || a.checkAt - b.checkAt
      );
    for (const entry of due.slice(0, MAX_CHECKS_AT_A_TIME - this.#checks)) void this.#check(entry);
  }

  async #check(entry: Entry): Promise<void> {
    const { clock, random, check } = this.#options;
    const controller = new AbortController();
    entry.checking = controller;
    this.#checks++;
    let problem: string | null;
    try {
      problem = await this.#problemOf(entry, check, controller);
    } finally {
      this.#checks--;
      entry.checking = undefined;
    }
    // It may be gone by now.
    if (this.#entries.get(keyOf(entry)) === entry) {
      entry.checkedAt = clock.now();
      entry.checkAt = entry.checkedAt + CHECK_INTERVAL_MS * (0.9 + 0.2 * random.next());
      this.#conclude(entry, problem);
    }
    this.#startChecks();
  }

  async #problemOf(
    { host, port }: Entry,
    check: ForeignPeersOptions["check"],
    controller: AbortController,
  ): Promise<string | null> {
    let healthy = false;
    try {
      const asking = check({ host, port: port! }, controller.signal)
        .then((answer) => healthy = answer);
      if (await doneWithin(this.#options.clock, CHECK_TIMEOUT_MS, asking)) {
        return healthy ? null : "says that it is not healthy";
      }
      controller.abort();
      return `did not answer its health check within ${CHECK_TIMEOUT_MS / 1_000} s`;
    } catch (thrown) {
      return safeName(describeError(thrown), 256);
    }
  }

  #conclude(entry: Entry, problem: string | null): void {
    const health = problem === null ? "healthy" : "unhealthy";
    const changed = entry.health !== health;
    entry.health = health;
    entry.problem = problem;
    if (changed) this.#tell("changed", entry);
  }

  #tell(type: ForeignPeerEvent["type"], entry: Entry): void {
    this.#options.onEvent?.({ type, peer: peerOf(entry) });
  }
}

function keyOf({ kind, nodeId }: { kind: ForeignKind; nodeId: string }): string {
  return `${kind}/${nodeId}`;
}

function describe(entry: Entry, { capabilities, interfaceName }: ForeignBeacon): void {
  entry.capabilities = capabilities ?? entry.capabilities;
  entry.interfaceName = interfaceName ?? entry.interfaceName;
}

function peerOf(entry: Entry): ForeignPeer {
  const { nodeId, kind, host, port, capabilities, interfaceName, lastSeen, problem } = entry;
  const healthy = entry.health === "healthy";
  return { nodeId, kind, host, port, capabilities, interfaceName, healthy, lastSeen, problem };
}
