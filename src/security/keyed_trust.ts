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
  #stamp: string | undefined;
  #onChange = () => {};
  #cancelLooks: CancelTimer = () => {};
  /** Changes follow one another. */
  #changed: Promise<void> = Promise.resolve();
  #isLooking = false;

  private constructor(options: KeyedTrustOptions) {
    this.#options = options;
    this.#ring = options.ring;
  }

  /** Ready to show itself: certificates are there. */
  static async open(options: KeyedTrustOptions): Promise<KeyedTrust> {
    const trust = new KeyedTrust(options);
    trust.#stamp = await options.file?.stamp();
    await trust.#certify();
    return trust;
  }

  get identity(): string {
    return this.#options.identity.id;
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
        `"${nodeId}" was another device before. If it was set up anew, let this one forget the old ` +
          `one: hanzo-network key forget ${nodeId}. If not, choose another --node-id.`,
      );
    }
    known.remember(nodeId, peer.identity);
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#cancelLooks = every(this.#options.clock, LOOK_MS, () => void this.#look());
  }

  async stop(): Promise<void> {
    this.#cancelLooks();
    await this.#changed;
    await this.#options.known.close();
  }

  /**
   * Puts a new key in front; peers are to be handed the {@linkcode handout}.
   *
   * @param graceMs For how long the old key counts, 0 to a day.
   */
  rotate(graceMs: number = MAX_GRACE_MS): Promise<void> {
    return this.#change(() => rotated(this.#ring, { now: this.#now(), graceMs }));
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
    await this.#change(() =>
      rotated(this.#ring, {
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

  /** A peer hands out its keyring. */
  async take(bytes: Uint8Array, from: PeerCredential): Promise<void> {
    const under = this.#ring.keys.find(({ key }) => key.tag === from.tag);
    // Who was evicted knows the old key and could hand out successors of it by way of a node that
    // was away: those who may still come with that key are given keys, and not believed.
    if (under === undefined || under.onlyFor !== undefined || !this.admits(from)) return;
    const theirs = decodeKeyring(bytes);
    await this.#change(() => merged(this.#ring, theirs, this.#now()));
  }

  /** The file may have been written by another process; and keys cease to count with time. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { file, logger } = this.#options;
    try {
      const stamp = await file?.stamp();
      const isNew = stamp !== undefined && stamp !== this.#stamp;
      const kept = isNew ? await file?.read() : undefined;
      this.#stamp = stamp;
      if (kept !== undefined) await this.#change(() => this.#follow(kept));
      else if (this.keys().length !== this.#credentials.length) {
        await this.#change(() => this.#ring);
      }
    } catch (thrown) {
      logger.warn("{reason}", { reason: describeError(thrown) });
    } finally {
      this.#isLooking = false;
    }
  }

  /** What the file says is merged, unless it is of another network: then this machine has joined. */
  #follow(kept: Keyring): Keyring {
    const tags = new Set(this.#ring.keys.map(({ key }) => key.tag));
    const isSame = kept.keys.some(({ key }) => tags.has(key.tag));
    return isSame ? merged(this.#ring, kept, this.#now()) : kept;
  }

  #change(next: () => Keyring): Promise<void> {
    const change = this.#changed.then(async () => {
      const ring = next();
      const isNew = ring !== this.#ring;
      if (isNew) {
        const { file } = this.#options;
        const kept = await file?.read();
        // On the disk before it counts: a crash must not leave a node with a key that is gone.
        if (kept === undefined || encodeKeyring(kept) !== encodeKeyring(ring)) {
          await file?.write(ring);
          this.#stamp = await file?.stamp();
        }
        this.#ring = ring;
      }
      await this.#certify();
      this.#onChange();
    });
    this.#changed = change.catch(() => {});
    return change;
  }

  async #certify(): Promise<void> {
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
