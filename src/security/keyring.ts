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
/** More old keys than anybody rotates in a day by hand. */
const MAX_KEYS = 16;
/** More devices than one person owns. */
const MAX_KNOWN = 4_096;
const MAX_BYTES = 2 * 1024 * 1024;

/** How a rotation is to be. */
export interface Rotation {
  /** Now, in milliseconds since 1970. */
  readonly now: number;
  /** For how long the old key counts, in milliseconds, at most a day. */
  readonly graceMs: number;
  /** For an eviction: who may still come with the old keys. */
  readonly onlyFor?: ReadonlySet<string>;
}

/** A network that nobody else knows. */
export function newKeyring(networkName: string, key: NetworkKey = NetworkKey.generate()): Keyring {
  return { networkName, keys: [{ key, epoch: 1 }] };
}

/** The keyring with a new key in front. */
export function rotated(ring: Keyring, { now, graceMs, onlyFor }: Rotation): Keyring {
  const until = now + Math.min(graceMs, MAX_GRACE_MS);
  const [newest] = ring.keys;
  const older = ring.keys.map((one): RingKey => ({
    ...one,
    acceptedUntil: Math.min(one.acceptedUntil ?? until, until),
    ...restriction(one.onlyFor, onlyFor),
  }));
  const made: RingKey = { key: NetworkKey.generate(), epoch: newest.epoch + 1 };
  return withKeys(ring, [made, ...older.filter((one) => isAccepted(one, now))]);
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
 * What follows from two keyrings of one network, whoever begins: the greater epoch wins. Of two that
 * were made at the same time an eviction wins, so that it is not undone, else the smaller tag.
 *
 * @returns `mine` itself when theirs brings nothing.
 * @throws {NetworkError} `PERMISSION_DENIED` when they have no key in common: another network's.
 */
export function merged(mine: Keyring, theirs: Keyring, now: number): Keyring {
  const tags = new Set(mine.keys.map(({ key }) => key.tag));
  if (!theirs.keys.some(({ key }) => tags.has(key.tag))) {
    throw new NetworkError(
      "PERMISSION_DENIED",
      "Cannot take the keyring: it is of another network.",
    );
  }
  const [first, second] = precedes(theirs.keys, mine.keys) ? [theirs, mine] : [mine, theirs];
  const latest = now + MAX_GRACE_MS;
  const keys = new Map<string, RingKey>();
  for (const one of [...first.keys, ...second.keys]) {
    const known = keys.get(one.key.tag);
    const isNewest = one.key.tag === first.keys[0].key.tag;
    keys.set(one.key.tag, {
      key: one.key,
      epoch: one.epoch,
      // A clock that is far ahead elsewhere makes no key count for longer than a day here.
      ...(isNewest ? {} : {
        acceptedUntil: Math.min(
          one.acceptedUntil ?? latest,
          known?.acceptedUntil ?? latest,
          latest,
        ),
      }),
      ...(isNewest ? {} : restriction(known?.onlyFor, one.onlyFor)),
    });
  }
  const all = [...keys.values()].filter((one) => isAccepted(one, now));
  const result = withKeys(first, all as [RingKey, ...RingKey[]]);
  return encodeKeyring(result) === encodeKeyring(mine) ? mine : result;
}

/** As text, secrets included. */
export function encodeKeyring({ networkName, keys }: Keyring): string {
  return JSON.stringify({
    version: 1,
    network: networkName,
    keys: keys.map(({ key, epoch, acceptedUntil, onlyFor }) => ({
      key: Buffer.from(key.reveal()).toString("base64url"),
      epoch,
      ...(acceptedUntil === undefined ? {} : { acceptedUntil }),
      ...(onlyFor === undefined ? {} : { onlyFor: [...onlyFor].sort() }),
    })),
  });
}

interface KeyringBody {
  version: number;
  network: string;
  keys: { key: string; epoch: number; acceptedUntil?: number; onlyFor?: string[] }[];
}

/** SHA-256 of a public key. */
export const identitySchema: z.ZodType<string> = z.string().regex(/^[0-9a-f]{64}$/);

const schema: z.ZodType<KeyringBody> = z.object({
  version: z.literal(1),
  network: z.string().min(1).max(512).transform((name) => safeName(name)),
  keys: z.array(z.object({
    key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    epoch: z.number().int().min(1).max(2 ** 31),
    acceptedUntil: z.number().optional(),
    onlyFor: z.array(identitySchema).max(MAX_KNOWN).optional(),
  })).min(1).max(MAX_KEYS),
});

/**
 * Reads what {@linkcode encodeKeyring} wrote; what is wrong with it is told without its content.
 *
 * @throws {NetworkError} `PROTOCOL` when it is none.
 */
export function decodeKeyring(bytes: Uint8Array): Keyring {
  const value = parseBoundedJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 6 });
  const { network, keys } = parseWith(schema, value, "PROTOCOL", "Cannot read the keyring");
  const ring = keys.map(({ key, epoch, acceptedUntil, onlyFor }, i): RingKey => {
    const secret = Buffer.from(key, "base64url");
    if (secret.length !== KEY_BYTES) {
      throw new NetworkError("PROTOCOL", `Cannot read the keyring: key ${i + 1} is no key.`);
    }
    return {
      key: NetworkKey.from(secret),
      epoch,
      ...(acceptedUntil === undefined ? {} : { acceptedUntil }),
      ...(onlyFor === undefined ? {} : { onlyFor: new Set(onlyFor) }),
    };
  });
  return { networkName: network, keys: ring as [RingKey, ...RingKey[]] };
}

function isAccepted({ acceptedUntil }: RingKey, now: number): boolean {
  return acceptedUntil === undefined || now < acceptedUntil;
}

/** Who counts under both. */
function restriction(
  a: ReadonlySet<string> | undefined,
  b: ReadonlySet<string> | undefined,
): { onlyFor?: ReadonlySet<string> } {
  const onlyFor = a === undefined ? b : b === undefined ? a : a.intersection(b);
  return onlyFor === undefined ? {} : { onlyFor };
}

function withKeys(ring: Keyring, keys: readonly [RingKey, ...RingKey[]]): Keyring {
  return { ...ring, keys: keys.slice(0, MAX_KEYS) as [RingKey, ...RingKey[]] };
}

/** Whether the keys of one ring win over those of the other. */
function precedes([a, beforeA]: readonly RingKey[], [b, beforeB]: readonly RingKey[]): boolean {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch;
  // A rotation that leaves somebody out restricts the key before it.
  const evictsA = beforeA?.onlyFor !== undefined;
  const evictsB = beforeB?.onlyFor !== undefined;
  if (evictsA !== evictsB) return evictsA;
  return a.key.tag < b.key.tag;
}
