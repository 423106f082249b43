/** Whom to ping next: everybody in turn, a few at a time, whatever the size of the network. */

import type { Random } from "../base/random.ts";
import type { KnownAddress, Peer } from "./peer.ts";

/** Peers that are pinged in one beat because it is their turn. */
const PINGS_PER_BEAT = 4;
/** Suspects that are pinged in one beat besides. */
const SUSPECTS_PER_BEAT = 4;

/**
 * A round through the peers in an order that is shuffled anew each time, so that the pings of many
 * nodes spread evenly over them; every peer has its turn once a round (SWIM, Das et al., 2002).
 */
export class PingRound {
  readonly #random: Random;
  #turns: string[] = [];
  #suspectTurn = 0;
  #addressTurn = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The peers to ping in this beat; each must be linked. */
  next(peers: readonly Peer[]): Peer[] {
    const suspects = peers.filter(({ linked, state }) => linked && state === "suspect");
    const others = new Map(
      peers.filter(({ linked, state }) => linked && state !== "suspect")
        .map((peer) => [peer.nodeId, peer]),
    );
    const chosen = this.#inTurn(suspects, SUSPECTS_PER_BEAT);
    const wanted = chosen.length + Math.min(PINGS_PER_BEAT, others.size);
    while (chosen.length < wanted) {
      if (this.#turns.length === 0) this.#turns = this.#shuffled([...others.keys()]);
      const id = this.#turns.pop()!;
      const peer = others.get(id);
      others.delete(id);
      // It may have gone since the round began; who has come since has the next one.
      if (peer !== undefined) chosen.push(peer);
    }
    return chosen;
  }

  /** The address to measure in this beat: peers with only one have nothing to choose. */
  nextAddress(peers: readonly Peer[]): { nodeId: string; address: KnownAddress } | undefined {
    const all = peers
      .filter(({ state, addresses }) => state === "alive" && addresses.length > 1)
      .flatMap(({ nodeId, addresses }) => addresses.map((address) => ({ nodeId, address })));
    // One that is not known yet comes first.
    const unknown = all.find(({ address }) =>
      address.roundTripMs === undefined && address.problem === undefined
    );
    return unknown ?? all[this.#addressTurn++ % Math.max(1, all.length)];
  }

  #inTurn(suspects: readonly Peer[], count: number): Peer[] {
    const first = this.#suspectTurn;
    const chosen = Math.min(count, suspects.length);
    this.#suspectTurn += chosen;
    return Array.from({ length: chosen }, (_, i) => suspects[(first + i) % suspects.length]);
  }

  /** Fisher and Yates. */
  #shuffled(ids: string[]): string[] {
    for (let i = ids.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random.next() * (i + 1));
      [ids[i], ids[j]] = [ids[j], ids[i]];
    }
    return ids;
  }
}
