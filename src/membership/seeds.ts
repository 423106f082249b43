/** Addresses that are to be tried as long as somebody lists them, whoever may be there. */

import { backOff, backOffAnswered } from "./back_off.ts";

/** One node that somebody has listed. */
export interface Seed {
  /** As it was written: a host name or an IP address. */
  readonly host: string;
  /** Where links are accepted, 1 to 65,535. */
  readonly port: number;
  /** The IP addresses of the host, best first; empty while its name cannot be resolved. */
  readonly addresses: readonly string[];
  /** The label that is expected there, if one is. */
  readonly nodeId?: string;
  /** Why it cannot be dialled at all, if that is so: its name is unknown, it is offline. */
  readonly problem?: string;
}

/** A seed with what came of trying it. */
export interface SeedState {
  readonly seed: Seed;
  /** Who lists it: `"manual"`. */
  readonly via: string;
  /** Who answered there last, or is expected there. */
  readonly nodeId: string | undefined;
  /** When it is to be dialled, if nobody is linked who is there; on the local clock. */
  readonly dialAt: number;
  readonly failingSince: number | undefined;
  /** Why it could not be reached the last time. */
  readonly problem: string | undefined;
}

/** See the top of the file. */
export class Seeds {
  /** By who lists it and where it is. */
  #states: ReadonlyMap<string, SeedState> = new Map();

  /** All that is listed. */
  all(): SeedState[] {
    return [...this.#states.values()];
  }

  /** Replaces what `via` has listed before; what stays is not tried any sooner for it. */
  list(via: string, seeds: readonly Seed[], now: number): void {
    const states = new Map([...this.#states].filter(([, state]) => state.via !== via));
    for (const seed of seeds) {
      const key = keyOf(via, seed);
      const before = this.#states.get(key);
      const isSame = before !== undefined &&
        before.seed.addresses.join() === seed.addresses.join() &&
        before.seed.nodeId === seed.nodeId && before.seed.problem === seed.problem;
      states.set(
        key,
        isSame ? before : {
          seed,
          via,
          nodeId: seed.nodeId,
          dialAt: now,
          failingSince: undefined,
          problem: seed.problem,
        },
      );
    }
    this.#states = states;
  }

  /** How the address was listed, if it was. */
  viaOf(host: string, port: number): string | undefined {
    return this.all()
      .find(({ seed }) => seed.port === port && seed.addresses.includes(host))?.via;
  }

  /** A node answered at a seed. */
  reached({ via, seed }: SeedState, nodeId: string, now: number): void {
    const isAnother = seed.nodeId !== undefined && seed.nodeId !== nodeId;
    const problem = isAnother ? `node "${nodeId}" answers there` : undefined;
    this.#change(via, seed, { nodeId, dialAt: now, failingSince: undefined, problem });
  }

  /** Nobody answered at a seed, or nobody who wants a link. */
  failed(
    { via, seed, failingSince = Infinity }: SeedState,
    { problem, unanswered }: { problem: string; unanswered: boolean },
    now: number,
  ): void {
    const since = Math.min(failingSince, now);
    const pause = (unanswered ? backOff : backOffAnswered)(since, now);
    this.#change(via, seed, { dialAt: now + pause, failingSince: since, problem });
  }

  /** What has failed is tried at once. */
  reconsider(now: number): void {
    for (const { via, seed, failingSince } of this.all()) {
      if (failingSince !== undefined) this.#change(via, seed, { dialAt: now });
    }
  }

  #change(via: string, seed: Seed, change: Partial<SeedState>): void {
    const key = keyOf(via, seed);
    const state = this.#states.get(key);
    // It may have been listed anew, or no more, while it was dialled.
    if (state?.seed !== seed) return;
    this.#states = new Map(this.#states).set(key, { ...state, ...change });
  }
}

function keyOf(via: string, { nodeId, host, port }: Seed): string {
  return `${via} ${nodeId ?? ""} ${host} ${port}`;
}
