/** Nodes that were evicted and still try to take part, by what they show. */

import type { PeerCredential } from "../security/trust.ts";

/** More than anybody evicts in the day in which an old key is still known. */
const MAX_EVICTED = 64;

/**
 * Who shows a certificate under a key of the network, and is not admitted: keys that are known count
 * for everybody but those who were evicted. A keyring itself lists only who has stayed.
 */
export class Evicted {
  readonly #labels = new Set<string>();

  /** It has shown that, and was refused. */
  note({ names: [label] }: PeerCredential): void {
    this.#labels.add(label);
    if (this.#labels.size > MAX_EVICTED) this.forget(this.#labels.values().next().value!);
  }

  /** It has joined again, or another node has the label. */
  forget(nodeId: string): void {
    this.#labels.delete(nodeId);
  }

  /** Whether who had that label was evicted, as far as it has shown. */
  has(nodeId: string): boolean {
    return this.#labels.has(nodeId);
  }
}
