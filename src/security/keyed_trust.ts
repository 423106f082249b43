/** Whoever has the network's key is talked to, as the identity that its certificate shows. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Credentials, NodeIdentity } from "./identity.ts";
import {
  acceptedKeys,
  admits,
  decodeKeyring,
  encodeKeyring,
  isBelieved,
  type Keyring,
  MAX_GRACE_MS,
  merged,
  rotated,
} from "./keyring.ts";
import type { KeyringFile } from "./keyring_file.ts";
import type { KnownNodes } from "./known_nodes.ts";
import type { NetworkKey } from "./network_key.ts";
import type { PeerCredential, Trust } from "./trust.ts";

/** What {@linkcode KeyedTrust} is made of. */
export interface KeyedTrustOptions {
  /** This node's label. */
  readonly nodeId: string;
  readonly identity: NodeIdentity;
  readonly known: KnownNodes;
  readonly ring: Keyring;
  /** Where the keyring is kept; without it, it ends with the process. */
  readonly file: KeyringFile | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks at the file: another node of this machine, or `join`, may have written it. */
const LOOK_MS = 1_000;

/** See the top of the file. */
export class KeyedTrust implements Trust {
  readonly mode = "keyed";
  readonly verifiesPeers = true;
  readonly #options: KeyedTrustOptions;
  #ring: Keyring;
  #credentials: readonly Credentials[] = [];
  /** Of the file as it was when it was last followed. */
  #stamp: string | undefined;
  #onChange = () => {};
  #cancelLooks: CancelTimer = () => {};
  /** Changes follow one another. */
  #changed: Promise<void> = Promise.resolve();
  #looking: Promise<void> | undefined;
  /** The last thing that was wrong with the file. */
  #complaint: string | undefined;

  private constructor(options: KeyedTrustOptions) {
    this.#options = options;
    this.#ring = options.ring;
  }

  /** Ready to show itself: certificates are there. */
  static async open(options: KeyedTrustOptions): Promise<KeyedTrust> {
    const trust = new KeyedTrust(options);
    await trust.#certify();
    return trust;
  }

  get identity(): string {
    return this.#options.identity.id;
  }

  /** This node's key pair. */
  get nodeIdentity(): NodeIdentity {
    return this.#options.identity;
  }

  /** The keys, the newest first, and what the network is called. */
  get ring(): Keyring {
    return this.#ring;
  }

  /** Who was seen under which label. */
  get known(): KnownNodes {
    return this.#options.known;
  }

  credentials(): readonly Credentials[] {
    return this.#credentials;
  }

  keys(): readonly NetworkKey[] {
    return acceptedKeys(this.#ring, this.#now()).map(({ key }) => key);
  }

  admits({ tag, identity }: PeerCredential): boolean {
    return admits(this.#ring, tag, identity, this.#now());
  }

  vouch(nodeId: string, peer: PeerCredential | undefined): void {
    if (peer === undefined || !this.admits(peer)) throw notOfNetwork();
    if (!peer.names.includes(nodeId)) {
      throw new NetworkError(
        "PERMISSION_DENIED",
        `Cannot talk to "${nodeId}": its certificate is for "${peer.names.join('", "')}".`,
      );
    }
    const { known } = this.#options;
    const identity = known.identityOf(nodeId);
    if (identity !== undefined && identity !== peer.identity) {
      throw new NetworkError(
        "NAME_CONFLICT",
        `Cannot talk to "${nodeId}": it was another device before. If it was set up anew, let this ` +
          `one forget the old one: hanzo-network key forget ${nodeId}. If not, choose another ` +
          `--node-id for it.`,
      );
    }
    known.remember(nodeId, peer.identity);
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#cancelLooks = every(this.#options.clock, LOOK_MS, () => {
      this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    });
  }

  async stop(): Promise<void> {
    this.#cancelLooks();
    this.#onChange = () => {};
    await this.#looking;
    await this.#changed;
    await this.#options.known.close();
  }

  /**
   * Puts a new key in front; peers are to be handed the {@linkcode handout}.
   *
   * @param graceMs For how long the old key counts, at most a day; ten seconds in any case, so that
   * who is connected now can be told.
   */
  rotate(graceMs: number = MAX_GRACE_MS): Promise<void> {
    return this.#change((ring) => rotated(ring, { now: this.#now(), graceMs }));
  }

  /**
   * A rotation that one node is left out of.
   *
   * @throws {NetworkError} `NOT_FOUND` when nobody was ever seen with that label;
   * `INVALID_ARGUMENT` when it is this node.
   */
  async evict(nodeId: string): Promise<void> {
    const { known, identity, nodeId: self } = this.#options;
    const evicted = known.identityOf(nodeId);
    if (nodeId === self || evicted === identity.id) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot evict "${nodeId}": it is this node. Do it on another one.`,
      );
    }
    if (evicted === undefined) {
      throw new NetworkError(
        "NOT_FOUND",
        `Cannot evict "${nodeId}": no such node was ever seen here. See: hanzo-network key list`,
      );
    }
    const others = known.list().map((one) => one.identity).filter((one) => one !== evicted);
    await this.#change((ring) =>
      rotated(ring, {
        now: this.#now(),
        graceMs: MAX_GRACE_MS,
        onlyFor: new Set([...others, identity.id]),
      })
    );
    await known.forget(nodeId);
  }

  /** The keyring, for a peer that is admitted: it holds the secrets. */
  handout(): string {
    return encodeKeyring(this.#ring);
  }

  /** Whether a peer has what this node could hand it. */
  isCurrent({ tag }: PeerCredential): boolean {
    return tag === this.#ring.keys[0].key.tag;
  }

  /**
   * A peer hands out its keyring.
   *
   * @returns Whether both have the same newest key now.
   */
  async take(bytes: Uint8Array, from: PeerCredential): Promise<boolean> {
    if (!this.admits(from)) return false;
    const theirs = decodeKeyring(bytes);
    const isSame = () => theirs.keys[0].key.tag === this.#ring.keys[0].key.tag;
    // Who was evicted knows the old key and could hand out successors of it by way of a node that
    // was away. So what comes from there is believed only when it holds a newer one as well.
    await this.#change((ring) => {
      const now = this.#now();
      return isBelieved(ring, theirs, now) ? merged(ring, theirs, now) : ring;
    });
    return isSame();
  }

  /** The file may have been written by another process; and keys cease to count with time. */
  async #look(): Promise<void> {
    const { file, logger } = this.#options;
    try {
      const stamp = await file?.stamp();
      const isNew = stamp !== undefined && stamp !== this.#stamp;
      if (isNew || !this.#isCertified()) await this.#change((ring) => ring);
      this.#complaint = undefined;
    } catch (thrown) {
      const reason = describeError(thrown);
      if (reason !== this.#complaint) logger.warn("{reason}", { reason });
      this.#complaint = reason;
    }
  }

  /** What the file says is merged, unless it is of another network: then this machine has joined. */
  #follow(kept: Keyring): Keyring {
    const tags = new Set(this.#ring.keys.map(({ key }) => key.tag));
    const isSame = kept.keys.some(({ key }) => tags.has(key.tag));
    return isSame ? merged(this.#ring, kept, this.#now()) : kept;
  }

  #change(next: (ring: Keyring) => Keyring): Promise<void> {
    const { file } = this.#options;
    const change = this.#changed.then(async () => {
      const stamp = await file?.stamp();
      const kept = await file?.read();
      // What another process has written meanwhile comes first, so that it is not written over.
      const ring = next(kept === undefined ? this.#ring : this.#follow(kept));
      const isNew = ring !== this.#ring;
      const isKept = kept === undefined ? !isNew : encodeKeyring(kept) === encodeKeyring(ring);
      // On the disk before it counts: a crash must not leave a node with a key that is gone.
      if (!isKept) await file?.write(ring);
      // What was written here is read once more: somebody may have written since.
      this.#stamp = isKept ? stamp : undefined;
      this.#ring = ring;
      if (!isNew && this.#isCertified()) return;
      await this.#certify();
      this.#onChange();
    });
    this.#changed = change.catch(() => {});
    return change;
  }

  /** Whether there are credentials for the keys that count now, and no others. */
  #isCertified(): boolean {
    const shown = this.#credentials.map(({ tag }) => tag);
    return shown.join() === this.keys().map(({ tag }) => tag).join();
  }

  async #certify(): Promise<void> {
    if (this.#isCertified()) return;
    const { identity, nodeId } = this.#options;
    const credentials: Credentials[] = [];
    for (const key of this.keys()) credentials.push(await identity.credentials(key, nodeId));
    await identity.retain(new Set(credentials.map(({ tag }) => tag)));
    this.#credentials = credentials;
  }

  #now(): number {
    return this.#options.clock.wallTime();
  }
}

function notOfNetwork(): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    "This device is not of the network, or no longer. Let it join: hanzo-network invite on a " +
      "device that is, and hanzo-network join here.",
  );
}
