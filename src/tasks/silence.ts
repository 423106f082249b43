/** Devices that do not answer while they have tasks: what may be done elsewhere is not to wait. */

import type { CancelTimer, Clock } from "../base/clock.ts";
import type { Deadlines } from "../base/deadlines.ts";
import type { PeerLink } from "../link/peer_link.ts";

/** What is asked of a link. */
export type ProbedLink = Pick<PeerLink, "ping" | "lastHeard" | "isSending">;

/** An attempt on another device. */
export interface WatchedAttempt {
  readonly nodeId: string;
  readonly link: ProbedLink;
  /** The device does not answer: goes elsewhere, if it may. */
  onSilence(): void;
}

/** What a {@linkcode SilenceWatch} is made of. */
export interface SilenceWatchOptions {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** Those that are on other devices now. */
  readonly attempts: () => readonly WatchedAttempt[];
  /** Between two pings of the membership, in milliseconds: what its owner thinks of the network. */
  readonly heartbeatMs: number;
  /** Told at each look while a device does not answer. */
  readonly onSilent: (nodeId: string) => void;
}

/** Looks in a heartbeat. */
const LOOKS = 5;
/** So many looks without an answer are silence; nothing else may have come in the last two. */
const MISSED = 4;
const UNHEARD = 2;

interface Probe {
  isAnswered: boolean;
  /** Looks since it was sent. Not time: a process that was stopped itself has read no answers. */
  missed: number;
}

/**
 * Pings the devices that have tasks of this node, five times in a heartbeat, and notices within 1.2
 * of them who does not answer. Membership takes longer, since it pings everybody, always.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  readonly #lookMs: number;
  #probes = new Map<ProbedLink, Probe>();
  #cancel: CancelTimer | undefined;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
    this.#lookMs = options.heartbeatMs / LOOKS;
  }

  /** A task has gone to another device; costs nothing while it is awake. */
  wake(): void {
    this.#cancel ??= this.#options.deadlines.after(this.#lookMs, () => this.#look());
  }

  /** Looks no more, until it is woken. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#probes.clear();
  }

  #look(): void {
    this.#cancel = undefined;
    const { onSilent } = this.#options;
    const silent = new Set<ProbedLink>();
    const before = this.#probes;
    this.#probes = new Map();
    const attempts = this.#options.attempts();
    for (const { link, nodeId } of attempts) {
      if (this.#probes.has(link)) continue;
      const probe = before.get(link);
      this.#probes.set(link, this.#next(link, probe));
      if (probe === undefined || !this.#isSilent(link, probe)) continue;
      silent.add(link);
      onSilent(nodeId);
    }
    if (attempts.length > 0) this.wake();
    for (const attempt of attempts) if (silent.has(attempt.link)) attempt.onSilence();
  }

  #next(link: ProbedLink, probe: Probe | undefined): Probe {
    if (probe === undefined || probe.isAnswered) {
      const next: Probe = { isAnswered: false, missed: 0 };
      void link.ping().then(() => next.isAnswered = true);
      return next;
    }
    // Behind much that is being sent a ping waits, too.
    if (!link.isSending) probe.missed++;
    return probe;
  }

  #isSilent({ lastHeard }: ProbedLink, { isAnswered, missed }: Probe): boolean {
    const unheardMs = this.#options.clock.now() - lastHeard;
    return !isAnswered && missed >= MISSED && unheardMs >= UNHEARD * this.#lookMs;
  }
}
