/** Who refuses this node, and why: told once in the log, and shown for as long as it goes on. */

import type { Clock } from "../base/clock.ts";
import type { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { formatAddress } from "../link/frame_stream.ts";
import type { Refuser } from "../link/link_pool.ts";
import type { RefusedBy } from "./status.ts";

/** One of the two dials the other within half a minute. */
const SHOWN_FOR_MS = 45_000;
/** Beyond it the one that was not heard for the longest time is forgotten. */
const MAX_REFUSERS = 64;

/** What it is made of. */
export interface RefusersNeeds {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who is known to accept links there, `host:port`. */
  readonly nodeAt: (address: string) => string | undefined;
}

/** See the top of the file. */
export class Refusers {
  readonly #needs: RefusersNeeds;
  /** By who it is, or else by where it is; the last that was heard at the end. */
  readonly #refusals = new Map<string, RefusedBy & { readonly seenAt: number }>();

  constructor(needs: RefusersNeeds) {
    this.#needs = needs;
  }

  /** A node has refused this one. */
  note({ address: where, peer }: Refuser, { code, message: reason }: NetworkError): void {
    const { clock, logger, nodeAt } = this.#needs;
    const address = formatAddress(where);
    const nodeId = peer?.nodeId ?? nodeAt(address) ?? null;
    // In a large network all do it at the same time, for the same reason.
    const isNews = !this.current().some((one) => one.code === code);
    const key = nodeId ?? address;
    this.#refusals.delete(key);
    this.#refusals.set(key, { nodeId, address, code, reason, seenAt: clock.now() });
    if (this.#refusals.size > MAX_REFUSERS) {
      this.#refusals.delete(this.#refusals.keys().next().value!);
    }
    if (isNews) {
      logger.error('"{by}" refuses this node ({code}): {reason}', { by: key, code, reason });
    }
  }

  /** A node wants this one after all. */
  forget(nodeId: string): void {
    this.#refusals.delete(nodeId);
  }

  /** Those that refuse this node now. */
  current(): RefusedBy[] {
    const since = this.#needs.clock.now() - SHOWN_FOR_MS;
    return [...this.#refusals.values()].filter(({ seenAt }) => seenAt > since)
      .map(({ nodeId, address, code, reason }) => ({ nodeId, address, code, reason }));
  }
}
