/** Whoever has the network's key is talked to, as the identity that its certificate shows. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type ClientCertificate, clientCertificate } from "./client_certificate.ts";
import type { Credentials, NodeIdentity } from "./identity.ts";
import { type Eviction, planEviction } from "./eviction.ts";
import {
  acceptedKeys,
  admits,
  decodeKeyring,
  encodeKeyring,
  isBelieved,
  type Keyring,
  limited,
  MAX_GRACE_MS,
  merged,
  rotated,
} from "./keyring.ts";
import type { KeyringFile } from "./keyring_file.ts";
import type { KnownNode, KnownNodes } from "./known_nodes.ts";
import type { NetworkKey } from "./network_key.ts";
import { noNode, type PeerCredential, type Trust } from "./trust.ts";

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
/**
 * Between two changes that peers hand in: each is signed for, written and told to everybody, and one
 * member can make as many as it likes.
 */
const PAUSE_MS = 100;

/** A keyring that a peer has handed in, and that brings something. */
interface Handed {
  readonly theirs: Keyring;
  readonly taken: PromiseWithResolvers<void>;
}

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
  /** Changes of its own that wait for their turn: they go ahead of what peers hand in. */
  readonly #own: (() => Promise<void>)[] = [];
  /** What peers have handed in since the last change. */
  #handed: Handed[] = [];
  /** Changes follow one another. */
  #isWorking = false;
  #worked: Promise<void> = Promise.resolve();
  /** While what peers hand in has to wait. */
  #isPaused = false;
  #cancelPause: CancelTimer = () => {};
  #isStopped = false;
  #looking: Promise<void> | undefined;
  /** The last thing that was wrong with the file. */
  #complaint: string | undefined;

  private constructor(options: KeyedTrustOptions) {
    this.#options = options;
    this.#ring = limited(options.ring, this.#now());
  }

  /** Ready to show itself: certificates are there. */
  static async open(options: KeyedTrustOptions): Promise<KeyedTrust> {
    const trust = new KeyedTrust(options);
    trust.#credentials = await trust.#certified(trust.#ring);
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

  expects(peer: PeerCredential): string | undefined {
    const [nodeId, ...others] = peer.names;
    if (nodeId === undefined || others.length > 0 || peer.isClient) return undefined;
    if (!this.admits(peer)) return undefined;
    const identity = this.#options.known.identityOf(nodeId);
    return identity === undefined || identity === peer.identity ? nodeId : undefined;
  }

  /** Whether the last key that a node is known to have counts for it now, as far as can be told. */
  counts({ nodeId, identity, lastTag }: KnownNode): boolean {
    return lastTag === null || this.admits({ identity, names: [nodeId], tag: lastTag });
  }

  vouch(nodeId: string, peer: PeerCredential | undefined, host?: string): void {
    if (peer === undefined || !this.admits(peer)) throw notOfNetwork();
    if (peer.isClient) throw noNode(nodeId);
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
        `Cannot talk to "${nodeId}": it was another device before. If it was set up anew, let ` +
          `"${this.#options.nodeId}" forget the old one there: hanzo-network key forget ${nodeId}. ` +
          `If not, choose another --node-id for it.`,
      );
    }
    known.remember(nodeId, peer.identity, { host, tag: peer.tag });
  }

  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#cancelLooks = every(this.#options.clock, LOOK_MS, () => {
      this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelLooks();
    this.#cancelPause();
    this.#onChange = () => {};
    await this.#looking;
    await this.#worked;
    for (const { taken } of this.#handed.splice(0)) taken.resolve();
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
   * A rotation that some nodes are left out of; see {@linkcode planEviction}.
   *
   * @param nodeIds The labels of those nodes.
   * @param options.keep The labels of nodes that stay whatever was seen of them.
   * @param options.dryRun Only says who would be out.
   * @throws {NetworkError} `NOT_FOUND` when nobody was ever seen with one of the labels;
   * `INVALID_ARGUMENT` when it is this node, or one is both to stay and to be out.
   */
  async evict(
    nodeIds: readonly string[],
    { keep = [], dryRun = false }: { keep?: readonly string[]; dryRun?: boolean } = {},
  ): Promise<Eviction> {
    const { known, identity, nodeId: self } = this.#options;
    const own = nodeIds.find((one) => one === self || known.identityOf(one) === identity.id);
    if (own !== undefined) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot evict "${own}": it is this node. Do it on another one.`,
      );
    }
    const others = known.list().filter((one) => one.identity !== identity.id);
    const counts = (one: KnownNode) => this.counts(one);
    const plan = planEviction(others, { evict: nodeIds, keep, counts, now: this.#now() });
    if (dryRun) return plan;
    const onlyFor = new Set([...plan.staying.map((one) => one.identity), identity.id]);
    await this.#change((ring) =>
      rotated(ring, { now: this.#now(), graceMs: MAX_GRACE_MS, onlyFor })
    );
    // The labels of the doubted stay theirs: nobody else is to have them before they come back.
    await Promise.all(plan.evicted.map((one) => known.forget(one.nodeId)));
    return plan;
  }

  /**
   * Certifies that a program may call, under the newest key: for as long as that counts, and not
   * after an eviction.
   *
   * @param name What it is called.
   * @param publicKey Of the program, as DER (SubjectPublicKeyInfo), on P-256.
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is no such key.
   */
  async certifyClient(name: string, publicKey: Uint8Array): Promise<ClientCertificate> {
    const { key } = this.#ring.keys[0];
    return await clientCertificate(key, name, publicKey);
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
    if (this.#isStopped || !this.admits(from) || from.isClient) return false;
    const theirs = decodeKeyring(bytes);
    const isSame = () => theirs.keys[0].key.tag === this.#ring.keys[0].key.tag;
    const taken = Promise.withResolvers<void>();
    const handed: Handed = { theirs, taken };
    // Most say what is known here; they are done with before they wait for anything.
    if (this.#with(this.#ring, handed) === this.#ring) return isSame();
    this.#handed.push(handed);
    this.#work();
    await taken.promise;
    return isSame();
  }

  /**
   * What follows from a keyring that was handed in. Who was evicted knows the old key and could hand
   * out successors of it by way of a node that was away. So what comes from there is believed only
   * when it holds a newer one as well.
   */
  #with(ring: Keyring, { theirs }: Handed): Keyring {
    const now = this.#now();
    return isBelieved(ring, theirs, now) ? merged(ring, theirs, now) : ring;
  }

  /** The file may have been written by another process; and keys cease to count with time. */
  async #look(): Promise<void> {
    const { file, logger } = this.#options;
    try {
      const stamp = await file?.stamp();
      const isNew = stamp !== undefined && stamp !== this.#stamp;
      const isBeyond = limited(this.#ring, this.#now()) !== this.#ring;
      if (isNew || isBeyond || !this.#isCertified()) await this.#change((ring) => ring);
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

  /** A change of its own. */
  #change(next: (ring: Keyring) => Keyring): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#own.push(() => this.#apply(next).then(resolve, reject));
    this.#work();
    return promise;
  }

  #work(): void {
    if (!this.#isWorking) this.#worked = this.#workOff();
  }

  /** Makes the changes that wait, one after the other, its own first. */
  async #workOff(): Promise<void> {
    this.#isWorking = true;
    for (;;) {
      const own = this.#own.shift();
      if (own !== undefined) await own();
      else if (this.#handed.length > 0 && !this.#isPaused) await this.#takeHanded();
      else break;
    }
    this.#isWorking = false;
  }

  /** All that was handed in is one change, however many have handed in something. */
  async #takeHanded(): Promise<void> {
    const handed = this.#handed.splice(0);
    const before = this.#ring;
    try {
      await this.#apply((ring) => handed.reduce((result, one) => this.#tried(result, one), ring));
      for (const { taken } of handed) taken.resolve();
    } catch (thrown) {
      for (const { taken } of handed) taken.reject(thrown);
    }
    if (this.#ring === before || this.#isStopped) return;
    this.#isPaused = true;
    this.#cancelPause = this.#options.clock.after(PAUSE_MS, () => {
      this.#isPaused = false;
      this.#work();
    });
  }

  /** What one hands in that makes no sense keeps nothing from the others. */
  #tried(ring: Keyring, one: Handed): Keyring {
    try {
      return this.#with(ring, one);
    } catch (thrown) {
      one.taken.reject(thrown);
      return ring;
    }
  }

  async #apply(next: (ring: Keyring) => Keyring): Promise<void> {
    const { file } = this.#options;
    const stamp = await file?.stamp();
    const kept = await file?.read();
    // What another process has written meanwhile comes first, so that it is not written over.
    const ring = limited(next(kept === undefined ? this.#ring : this.#follow(kept)), this.#now());
    const isNew = ring !== this.#ring;
    const isKept = kept === undefined ? !isNew : encodeKeyring(kept) === encodeKeyring(ring);
    // On the disk before it counts: a crash must not leave a node with a key that is gone.
    if (!isKept) await file?.write(ring);
    // What was written here is read once more: somebody may have written since.
    this.#stamp = isKept ? stamp : undefined;
    if (!isNew && this.#isCertified()) return;
    // Both at once: who is told that this node has a key dials it under that key.
    const credentials = await this.#certified(ring);
    this.#ring = ring;
    this.#credentials = credentials;
    this.#onChange();
  }

  /** Whether there are credentials for the keys that count now, and no others. */
  #isCertified(): boolean {
    return areOf(this.keys(), this.#credentials);
  }

  /** The credentials for the keys of that ring which count now; those that are there, if they are. */
  async #certified(ring: Keyring): Promise<readonly Credentials[]> {
    const keys = acceptedKeys(ring, this.#now()).map(({ key }) => key);
    if (areOf(keys, this.#credentials)) return this.#credentials;
    const { identity, nodeId } = this.#options;
    const credentials: Credentials[] = [];
    for (const key of keys) credentials.push(await identity.credentials(key, nodeId));
    await identity.retain(new Set(credentials.map(({ tag }) => tag)));
    return credentials;
  }

  #now(): number {
    return this.#options.clock.wallTime();
  }
}

/** Whether there is one of them for each of the keys, and no other. */
function areOf(keys: readonly NetworkKey[], credentials: readonly Credentials[]): boolean {
  return keys.map(({ tag }) => tag).join() === credentials.map(({ tag }) => tag).join();
}

function notOfNetwork(): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    "This device is not of the network, or no longer. Let it join: hanzo-network invite on a " +
      "device that is, and hanzo-network join here.",
  );
}
