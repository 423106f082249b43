/** The keys of one network, the newest in front, and how they follow one another: pure functions. */

import { Buffer } from "node:buffer";
import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";
import { KEY_BYTES, NetworkKey } from "./network_key.ts";

/** One key of a network. */
export interface RingKey {
  readonly key: NetworkKey;
  /** How many keys came before it, from 1. */
  readonly epoch: number;
  /** How many evictions came before it, one that it was made for included. */
  readonly evictions: number;
  /** Until when it counts beside newer ones, in milliseconds since 1970; none for the newest. */
  readonly acceptedUntil?: number;
  /** Who may still come with it, by identity; everybody when undefined. */
  readonly onlyFor?: ReadonlySet<string>;
}

/** What a device knows of its network; see the top of the file. */
export interface Keyring {
  /** What the network is called. */
  readonly networkName: string;
  /** At least one, the newest first. */
  readonly keys: readonly [RingKey, ...RingKey[]];
}

/** For how long an old key counts at most, in milliseconds: a day. */
export const MAX_GRACE_MS = 24 * 60 * 60 * 1_000;
/** For how long it counts at least: whoever is connected now is told of the new one in time. */
export const MIN_GRACE_MS = 10_000;
/** More rotations than one ring is ahead of another: nobody is to use up the epochs that there are. */
const MAX_LEAD = 2 ** 20;
/** More old keys than anybody rotates in a day by hand. */
const MAX_KEYS = 16;
/**
 * Of identities that old keys count for, all together: for 1,024 devices in each of 16 keys. They take
 * half of the bytes that are read.
 */
const MAX_IDENTITIES = 16_384;
const MAX_BYTES = 2 * 1024 * 1024;
/** A clock that says less was never set, and knows nothing of when a key ends. */
const CLOCKS_ARE_SET = Date.UTC(2025, 0, 1);

/** How a rotation is to be. */
export interface Rotation {
  /** Now, in milliseconds since 1970. */
  readonly now: number;
  /** For how long the old key counts, in milliseconds: ten seconds at least, at most a day. */
  readonly graceMs: number;
  /** For an eviction: who may still come with the old keys. */
  readonly onlyFor?: ReadonlySet<string>;
}

/** A network that nobody else knows. */
export function newKeyring(networkName: string, key: NetworkKey = NetworkKey.generate()): Keyring {
  return { networkName, keys: [{ key, epoch: 1, evictions: 0 }] };
}

/** The keyring with a new key in front. */
export function rotated(ring: Keyring, { now, graceMs, onlyFor }: Rotation): Keyring {
  const until = now + Math.min(Math.max(graceMs, MIN_GRACE_MS), MAX_GRACE_MS);
  const [newest] = ring.keys;
  const older = ring.keys.map((one): RingKey => {
    const remaining = inBoth(one.onlyFor, onlyFor);
    return {
      ...one,
      acceptedUntil: Math.min(one.acceptedUntil ?? until, until),
      ...(remaining && { onlyFor: remaining }),
    };
  });
  const made: RingKey = {
    key: NetworkKey.generate(),
    epoch: newest.epoch + 1,
    evictions: newest.evictions + (onlyFor === undefined ? 0 : 1),
  };
  return withKeys(ring, [made, ...older.filter((one) => isAccepted(one, now))]);
}

/**
 * The keyring in which no old key counts for longer than a day from now: the clock by which it was
 * made may have been years ahead.
 *
 * @returns `ring` itself when none does.
 */
export function limited(ring: Keyring, now: number): Keyring {
  const latest = now + MAX_GRACE_MS;
  const isBeyond = ({ acceptedUntil }: RingKey) => acceptedUntil! > latest;
  const [newest, ...older] = ring.keys;
  if (now < CLOCKS_ARE_SET || !older.some(isBeyond)) return ring;
  const limits = older.map((one) => isBeyond(one) ? { ...one, acceptedUntil: latest } : one);
  return { ...ring, keys: [newest, ...limits] };
}

/** The keys that count now, the newest first. */
export function acceptedKeys(ring: Keyring, now: number): readonly RingKey[] {
  return ring.keys.filter((one) => isAccepted(one, now));
}

/** Whether who shows a certificate under the key of this tag is of the network now. */
export function admits(ring: Keyring, tag: string, identity: string, now: number): boolean {
  const one = ring.keys.find(({ key }) => key.tag === tag);
  return one !== undefined && isAccepted(one, now) && (one.onlyFor?.has(identity) ?? true);
}

/**
 * Whether who has made that keyring knew a key that counts here for everybody. Who was evicted knows
 * only older ones, and might make successors of these.
 */
export function isBelieved(mine: Keyring, theirs: Keyring, now: number): boolean {
  const tags = tagsOf(theirs.keys);
  return acceptedKeys(mine, now).some(({ key, onlyFor }) =>
    onlyFor === undefined && tags.has(key.tag)
  );
}

/**
 * What follows from two keyrings of one network, whoever begins. The key wins that more evictions
 * came before, so that none is undone by who had not heard of it; then the greater epoch; of two
 * that were made at the same time the smaller tag. What was made beside it is given up, and counts
 * for a day at most, for those for whom the key before both still counts.
 *
 * Here K1 was rotated to K2, and there, where nobody has heard of that, K1 was replaced by K3 to
 * evict somebody. K3 wins, by its one eviction; K2 counts for whom K1 counts, so without that one:
 *
 * | | newest | older |
 * | --- | --- | --- |
 * | `mine` | K2 | K1 |
 * | `theirs` | K3 | K1, only for b and c |
 * | merged | K3 | K2, only for b and c; K1, only for b and c |
 *
 * @returns `mine` itself when theirs brings nothing.
 * @throws {NetworkError} `PERMISSION_DENIED` when they have no key in common: another network's.
 */
export function merged(mine: Keyring, theirs: Keyring, now: number): Keyring {
  const [ours, others] = aligned(mine.keys, theirs.keys);
  const isTheirs = inOrder(others[0], ours[0]) < 0;
  const [first, second] = isTheirs ? [others, ours] : [ours, others];
  const ofSecond = tagsOf(second);
  const before = first.find(({ key }) => ofSecond.has(key.tag));
  const [newest] = first;
  const byTag = (keys: readonly RingKey[], tag: string) => keys.find(({ key }) => key.tag === tag);
  const older = [...tagsOf([...first, ...second])].filter((tag) => tag !== newest.key.tag)
    .map((tag): RingKey => {
      const [own, given] = [byTag(ours, tag), byTag(others, tag)];
      const { key, epoch, evictions } = byTag(first, tag) ?? byTag(second, tag)!;
      const onlyFor = inBoth(
        inBoth(own?.onlyFor, given?.onlyFor),
        byTag(first, tag) === undefined ? before?.onlyFor : undefined,
      );
      return {
        key,
        epoch,
        evictions,
        acceptedUntil: mergedLimit(own, given, now),
        ...(onlyFor && { onlyFor }),
      };
    });
  const { key, epoch, evictions } = newest;
  const accepted = older.filter((one) => isAccepted(one, now)).sort(inOrder);
  const result = withKeys(isTheirs ? theirs : mine, [{ key, epoch, evictions }, ...accepted]);
  return encodeKeyring(result) === encodeKeyring(mine) ? mine : result;
}

/** Until when an old key counts here, after its limit elsewhere was heard. */
function mergedLimit(own: RingKey | undefined, given: RingKey | undefined, now: number): number {
  // A clock that is far ahead elsewhere makes no key count for longer than a day here.
  const latest = now + MAX_GRACE_MS;
  const limit = Math.min(given?.acceptedUntil ?? latest, latest);
  if (own === undefined) return limit;
  // And one that is far behind does not end it before those are told who are connected with it.
  return Math.min(own.acceptedUntil ?? latest, Math.max(limit, now + MIN_GRACE_MS));
}

/**
 * Both with the same figures for the newest key that they have in common: a device that has joined
 * by the key itself does not know how many there were before. It counts K5 as epoch 1, and a K6 that
 * it has made as 2; beside a keyring in which K5 is of epoch 5, its K6 becomes one of epoch 6.
 */
function aligned(
  mine: readonly RingKey[],
  theirs: readonly RingKey[],
): [readonly RingKey[], readonly RingKey[]] {
  const tags = tagsOf(mine);
  const there = theirs.find(({ key }) => tags.has(key.tag));
  const here = mine.find(({ key }) => key.tag === there?.key.tag);
  if (there === undefined || here === undefined) throw ofAnother();
  const epochs = here.epoch - there.epoch;
  const evictions = here.evictions - there.evictions;
  const [ours, others] = [
    shifted(mine, Math.max(0, -epochs), Math.max(0, -evictions)),
    shifted(theirs, Math.max(0, epochs), Math.max(0, evictions)),
  ];
  const lead = (of: "epoch" | "evictions") =>
    Math.max(...others.map((one) => one[of])) - Math.max(...ours.map((one) => one[of]));
  const most = Math.max(Math.abs(epochs), Math.abs(evictions), lead("epoch"), lead("evictions"));
  if (most > MAX_LEAD) throw ofAnother();
  return [ours, others];
}

/** With more keys and evictions before each: by 4 epochs, those of epochs 2 and 1 are of 6 and 5. */
function shifted(keys: readonly RingKey[], epochs: number, evictions: number): readonly RingKey[] {
  return keys.map((one) => ({
    ...one,
    epoch: one.epoch + epochs,
    evictions: one.evictions + evictions,
  }));
}

function ofAnother(): NetworkError {
  return new NetworkError(
    "PERMISSION_DENIED",
    "Cannot take the keyring: it is of another network. Let the device that has it join this one: " +
      "hanzo-network join",
  );
}

/** As text, secrets included. */
export function encodeKeyring({ networkName, keys }: Keyring): string {
  return JSON.stringify({
    version: 1,
    network: networkName,
    keys: keys.map(({ key, epoch, evictions, acceptedUntil, onlyFor }) => ({
      key: Buffer.from(key.reveal()).toString("base64url"),
      epoch,
      ...(evictions === 0 ? {} : { evictions }),
      ...(acceptedUntil === undefined ? {} : { acceptedUntil }),
      ...(onlyFor === undefined ? {} : { onlyFor: [...onlyFor].sort() }),
    })),
  });
}

interface KeyringBody {
  version: number;
  network: string;
  keys: KeyBody[];
}

interface KeyBody {
  key: string;
  epoch: number;
  evictions: number;
  acceptedUntil?: number;
  onlyFor?: string[];
}

/** SHA-256 of a public key. */
export const identitySchema: z.ZodType<string> = z.string().regex(/^[0-9a-f]{64}$/);

const schema: z.ZodType<KeyringBody> = z.object({
  version: z.literal(1),
  network: z.string().max(512).transform((name) => safeName(name)).pipe(z.string().min(1)),
  keys: z.array(z.object({
    key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    epoch: z.number().int().min(1).max(2 ** 52),
    evictions: z.number().int().min(0).max(2 ** 52).default(0),
    acceptedUntil: z.number().optional(),
    onlyFor: z.array(identitySchema).max(MAX_IDENTITIES).optional(),
  })).min(1).max(MAX_KEYS),
});

/**
 * Reads what {@linkcode encodeKeyring} wrote; what is wrong with it is told without its content.
 *
 * @throws {NetworkError} `PROTOCOL` when it is none.
 */
export function decodeKeyring(bytes: Uint8Array): Keyring {
  const { network, keys } = parseWith(schema, parse(bytes), "PROTOCOL", "Cannot read the keyring");
  const ring = keys.map((one, i) => ringKey(one, i));
  const [newest, ...older] = ring;
  const follows = ring.every((one, i) => i === 0 || inOrder(ring[i - 1], one) < 0);
  const isClosed = newest.acceptedUntil === undefined && newest.onlyFor === undefined &&
    older.every(({ acceptedUntil, evictions, onlyFor }) =>
      // What was there before an eviction does not count for everybody any more.
      acceptedUntil !== undefined && (evictions === newest.evictions || onlyFor !== undefined)
    );
  if (!follows || !isClosed || tagsOf(ring).size < ring.length) {
    throw unreadable("its keys do not follow one another");
  }
  return { networkName: network, keys: [newest, ...older] };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return parseBoundedJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 6 });
  } catch {
    // Not the reason's words: they quote what is before and after the fault, and that may be a key.
    throw unreadable("it is no JSON, cut off, or too long");
  }
}

function ringKey({ key, acceptedUntil, onlyFor, ...counts }: KeyBody, i: number): RingKey {
  const secret = Buffer.from(key, "base64url");
  if (secret.length !== KEY_BYTES) throw unreadable(`key ${i + 1} is no key`);
  return {
    key: NetworkKey.from(secret),
    ...counts,
    ...(acceptedUntil === undefined ? {} : { acceptedUntil }),
    ...(onlyFor === undefined ? {} : { onlyFor: new Set(onlyFor) }),
  };
}

function unreadable(why: string): NetworkError {
  return new NetworkError("PROTOCOL", `Cannot read the keyring: ${why}.`);
}

function isAccepted({ acceptedUntil }: RingKey, now: number): boolean {
  return acceptedUntil === undefined || now < acceptedUntil;
}

function tagsOf(keys: readonly RingKey[]): Set<string> {
  return new Set(keys.map(({ key }) => key.tag));
}

/** Who counts under both: the intersection, where none is everybody. */
function inBoth(
  a: ReadonlySet<string> | undefined,
  b: ReadonlySet<string> | undefined,
): ReadonlySet<string> | undefined {
  return a === undefined ? b : b === undefined ? a : a.intersection(b);
}

/**
 * The keyring with these keys, the oldest left out where they are too many: whatever others hand in,
 * what follows from it must be small enough to be read again.
 */
function withKeys(ring: Keyring, [newest, ...older]: readonly [RingKey, ...RingKey[]]): Keyring {
  const keys: [RingKey, ...RingKey[]] = [newest];
  let identities = 0;
  for (const one of older) {
    identities += one.onlyFor?.size ?? 0;
    if (keys.length === MAX_KEYS || identities > MAX_IDENTITIES) break;
    keys.push(one);
  }
  return { ...ring, keys };
}

/** Below zero when `a` is newer than `b`; a ring has its keys in this order. */
function inOrder(a: RingKey, b: RingKey): number {
  return b.evictions - a.evictions || b.epoch - a.epoch || (a.key.tag < b.key.tag ? -1 : 1);
}
