/** Datagrams that only who has a network's key can make and read; each is read once. */

import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { isIPv4 } from "node:net";
import { NetworkError } from "../base/errors.ts";
import { halfSipHash, littleEndian } from "./half_sip_hash.ts";
import { type NetworkKey, TAG_BYTES } from "./network_key.ts";

/*
 * The format, version 1. Numbers are big endian.
 *
 *     at  bytes
 *      0      4  magic and version: no text begins like that, JSON least of all
 *      4      8  tag of the network key: which network it is of, and of which of its keys
 *     12     16  salt: random, made anew at each start of a node
 *     28      8  counter: grows with each datagram of that start
 *     36      4  origin: the IPv4 address that it is sent from
 *     40      n  what is said, AES-256-GCM (NIST SP 800-38D)
 *            16  its authentication tag, which covers all of the above
 *             8  check: HalfSipHash-2-4 of all of the above
 *
 * The cipher's key is HKDF-SHA256 of the network's beacon secret and the salt, its nonce is the
 * counter: as long as salts differ, which 16 random bytes do, no nonce is used twice, and nothing
 * has to be written down for that.
 *
 * The check is a sieve and not what is relied upon: it has 64 bits of key, and whoever found it out
 * would stand before the cipher. But a forged datagram is refused by it in 0.4 µs, by HKDF and the
 * cipher in 17 µs (280 bytes), and a flood has tens of thousands a second: with the sieve each of
 * them is looked at, so that no honest one is lost among them. Only what a member has made, and
 * nobody has read yet, ever comes to the cipher.
 */
const MAGIC = [0xd5, 0x48, 0x4e, 1];
const TAG_AT = MAGIC.length;
const SALT_AT = TAG_AT + TAG_BYTES;
const SALT_BYTES = 16;
const COUNTER_AT = SALT_AT + SALT_BYTES;
const COUNTER_BYTES = 8;
const ORIGIN_AT = COUNTER_AT + COUNTER_BYTES;
const HEADER_BYTES = ORIGIN_AT + 4;
const CIPHER = "aes-256-gcm";
const CIPHER_TAG_BYTES = 16;
const CHECK_BYTES = 8;

/** What sealing adds. */
export const SEAL_BYTES: number = HEADER_BYTES + CIPHER_TAG_BYTES + CHECK_BYTES;

/** What came of a datagram that should be a sealed one. */
export type Opened =
  /** Nobody has read it before; `keyTag` says with which key it was sealed. */
  | { readonly type: "opened"; readonly plaintext: Uint8Array; readonly keyTag: string }
  | { readonly type: Refusal };

/** Why a datagram was not opened. */
export type Refusal =
  /** It is no sealed datagram, or of a version that is not known. */
  | "malformed"
  /** It is sealed with none of the keys. */
  | "foreign-key"
  /** Whoever made it does not have the key that it names. */
  | "forged"
  /** It was sealed for being sent from another address than the one that it came from. */
  | "relocated"
  /** It was read before, or is older than what is remembered of its sender. */
  | "replayed"
  /** {@linkcode DatagramOpenerOptions.mayDecrypt} said no. */
  | "rate";

/** What follows from a network key for datagrams. */
interface Material {
  readonly keyTag: string;
  readonly tag: Uint8Array;
  readonly secret: Uint8Array;
  readonly check: Uint8Array;
}

function materialOf(key: NetworkKey): Material {
  return {
    keyTag: key.tag,
    tag: Buffer.from(key.tag, "hex"),
    secret: key.derive("beacon", 32),
    check: key.derive("beacon check", 8),
  };
}

function subkeyOf({ secret }: Material, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, "hanzo-network/1 beacon boot", 32));
}

/** The counter, behind zeros up to the 12 bytes that GCM wants. */
function nonceOf(header: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(12);
  nonce.set(header.subarray(COUNTER_AT, COUNTER_AT + COUNTER_BYTES), 4);
  return nonce;
}

/**
 * Seals the datagrams of one start of a node.
 *
 * @example
 * ```ts
 * import { DatagramOpener, DatagramSealer } from "./sealed_datagram.ts";
 * import { NetworkKey } from "./network_key.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const key = NetworkKey.generate();
 * const sealed = new DatagramSealer().seal(key, new TextEncoder().encode("hello"), "10.0.0.1");
 * const opener = new DatagramOpener();
 * const opened = opener.open(sealed, [key], "10.0.0.1");
 * assertEquals(opened.type === "opened" && new TextDecoder().decode(opened.plaintext), "hello");
 * assertEquals(opener.open(sealed, [key], "10.0.0.1").type, "replayed");
 * ```
 */
export class DatagramSealer {
  // Always the system's chance, whatever a node is given: a seed that repeats would repeat nonces.
  readonly #salt = randomBytes(SALT_BYTES);
  #counter = 0;
  #last: { readonly material: Material; readonly subkey: Uint8Array } | undefined;

  /**
   * Seals one datagram; {@linkcode SEAL_BYTES} longer than what is said.
   *
   * @param origin The IPv4 address that it will be sent from; from any other it is refused.
   * @throws {NetworkError} `INVALID_ARGUMENT` when that is no IPv4 address.
   */
  seal(key: NetworkKey, plaintext: Uint8Array, origin: string): Uint8Array {
    if (this.#last?.material.keyTag !== key.tag) {
      const material = materialOf(key);
      this.#last = { material, subkey: subkeyOf(material, this.#salt) };
    }
    const { material, subkey } = this.#last;
    const sealed = new Uint8Array(plaintext.length + SEAL_BYTES);
    const view = new DataView(sealed.buffer);
    sealed.set(MAGIC);
    sealed.set(material.tag, TAG_AT);
    sealed.set(this.#salt, SALT_AT);
    view.setBigUint64(COUNTER_AT, BigInt(this.#counter++));
    sealed.set(octetsOf(origin), ORIGIN_AT);
    const header = sealed.subarray(0, HEADER_BYTES);
    const cipher = createCipheriv(CIPHER, subkey, nonceOf(header), {
      authTagLength: CIPHER_TAG_BYTES,
    });
    cipher.setAAD(header);
    sealed.set(cipher.update(plaintext), HEADER_BYTES);
    cipher.final();
    const checkAt = sealed.length - CHECK_BYTES;
    sealed.set(cipher.getAuthTag(), checkAt - CIPHER_TAG_BYTES);
    const [low, high] = halfSipHash(material.check, sealed, checkAt);
    view.setInt32(checkAt, low, true);
    view.setInt32(checkAt + 4, high, true);
    return sealed;
  }
}

/** What {@linkcode DatagramOpener} may be told. */
export interface DatagramOpenerOptions {
  /**
   * Whether a datagram from `origin` that has passed the check may cost a decryption.
   *
   * @default {() => true}
   */
  readonly mayDecrypt?: (origin: string) => boolean;
  /**
   * Starts of nodes that are remembered, by address; the one that was silent longest is forgotten first.
   *
   * What was sent in a start that is forgotten, or was never heard of, can be repeated once by who
   * has recorded it, as if from the same address. Of a beacon the worst that follows is what
   * follows from the true one: its address is dialled, where TLS shows who is there. A start is
   * remembered only by what a member has sealed: what is made up pushes nobody out.
   *
   * @default {1_024}
   */
  readonly maxStarts?: number;
}

/** What is known of one start of a node: only ever made of an authentic datagram. */
interface Start {
  /** Kept, because HKDF costs half as much as the rest. */
  readonly subkey: Uint8Array;
  readonly window: ReplayWindow;
}

/** Opens sealed datagrams, each once. */
export class DatagramOpener {
  readonly #mayDecrypt: (origin: string) => boolean;
  readonly #maxStarts: number;
  /** By {@linkcode startOf}, the latest heard last. */
  readonly #starts = new Map<string, Start>();
  readonly #materials = new Map<string, Material>();

  constructor({ mayDecrypt = () => true, maxStarts = 1_024 }: DatagramOpenerOptions = {}) {
    this.#mayDecrypt = mayDecrypt;
    this.#maxStarts = maxStarts;
  }

  /**
   * Opens a datagram. What is cheap to find out is found out first: anybody may send anything.
   *
   * @param bytes As they came in; not kept.
   * @param keys Those of the network that are accepted now.
   * @param origin The IPv4 address that it came from.
   */
  open(bytes: Uint8Array, keys: readonly NetworkKey[], origin: string): Opened {
    if (!isSealed(bytes) || bytes.length < SEAL_BYTES) return { type: "malformed" };
    const material = this.#materialFor(bytes, keys);
    if (material === undefined) return { type: "foreign-key" };
    if (!passesCheck(bytes, material)) return { type: "forged" };
    if (originOf(bytes) !== origin) return { type: "relocated" };
    const counter = counterOf(bytes);
    const name = startOf(bytes);
    const known = this.#starts.get(name);
    if (known !== undefined && !known.window.isNew(counter)) return { type: "replayed" };
    if (!this.#mayDecrypt(origin)) return { type: "rate" };
    const start = known ?? {
      subkey: subkeyOf(material, bytes.subarray(SALT_AT, COUNTER_AT)),
      window: new ReplayWindow(),
    };
    const plaintext = decrypt(bytes, start.subkey);
    if (plaintext === undefined) return { type: "forged" };
    start.window.note(counter);
    this.#remember(name, start);
    return { type: "opened", plaintext, keyTag: material.keyTag };
  }

  /** What follows from the key that a datagram names; derived once, as long as it is accepted. */
  #materialFor(bytes: Uint8Array, keys: readonly NetworkKey[]): Material | undefined {
    for (const key of keys) {
      let material = this.#materials.get(key.tag);
      if (material === undefined) {
        material = materialOf(key);
        this.#materials.set(key.tag, material);
      }
      if (holds(bytes, TAG_AT, material.tag)) return material;
    }
    if (this.#materials.size > keys.length) {
      const accepted = new Set(keys.map(({ tag }) => tag));
      for (const tag of this.#materials.keys()) if (!accepted.has(tag)) this.#materials.delete(tag);
    }
    return undefined;
  }

  #remember(name: string, start: Start): void {
    this.#starts.delete(name);
    this.#starts.set(name, start);
    if (this.#starts.size <= this.#maxStarts) return;
    this.#starts.delete(this.#starts.keys().next().value!);
  }
}

/** Datagrams that may overtake each other: those of several interfaces do. */
const WINDOW = 32;

/** Which counters of one start were seen, as in RFC 4303, 3.4.3. */
class ReplayWindow {
  #greatest = -1;
  /** Bit `i`: whether `greatest - 1 - i` was seen. */
  #seen = 0;

  isNew(counter: number): boolean {
    const behind = this.#greatest - counter;
    return behind < 0 ||
      (behind > 0 && behind <= WINDOW && (this.#seen >>> (behind - 1) & 1) === 0);
  }

  note(counter: number): void {
    const behind = this.#greatest - counter;
    if (behind > 0) {
      this.#seen |= 1 << (behind - 1);
      return;
    }
    // A shift by 32 would be one by 0.
    const moved = -behind < WINDOW ? this.#seen << -behind : 0;
    this.#seen = -behind <= WINDOW ? moved | 1 << (-behind - 1) : 0;
    this.#greatest = counter;
  }
}

/** Whether these bytes say that they are a sealed datagram. */
export function isSealed(bytes: Uint8Array): boolean {
  return holds(bytes, 0, MAGIC);
}

function holds(bytes: Uint8Array, at: number, part: ArrayLike<number>): boolean {
  for (let i = 0; i < part.length; i++) if (bytes[at + i] !== part[i]) return false;
  return true;
}

/** Beyond 2⁵³, which nobody counts up to, all are one. */
function counterOf(bytes: Uint8Array): number {
  const [high, low] = [bigEndian(bytes, COUNTER_AT), bigEndian(bytes, COUNTER_AT + 4)];
  return Math.min(high * 2 ** 32 + low, Number.MAX_SAFE_INTEGER);
}

function bigEndian(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}

function originOf(bytes: Uint8Array): string {
  const at = ORIGIN_AT;
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/**
 * What a counter belongs to: the key's tag, the salt and the origin. Every member can seal with a
 * salt that it has heard; without the origin one could use up the counters of another.
 */
function startOf(bytes: Uint8Array): string {
  const [named, origin] = [
    bytes.subarray(TAG_AT, COUNTER_AT),
    bytes.subarray(ORIGIN_AT, HEADER_BYTES),
  ];
  return Buffer.concat([named, origin]).toString("latin1");
}

function octetsOf(origin: string): number[] {
  if (isIPv4(origin)) return origin.split(".").map(Number);
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot seal a datagram from ${JSON.stringify(origin)}: not an IPv4 address.`,
  );
}

function passesCheck(bytes: Uint8Array, { check }: Material): boolean {
  const at = bytes.length - CHECK_BYTES;
  const [low, high] = halfSipHash(check, bytes, at);
  return low === littleEndian(bytes, at) && high === littleEndian(bytes, at + 4);
}

/** What was said; undefined when the cipher's tag says that nobody with the key has said it. */
function decrypt(bytes: Uint8Array, subkey: Uint8Array): Uint8Array | undefined {
  const header = bytes.subarray(0, HEADER_BYTES);
  const tagAt = bytes.length - CHECK_BYTES - CIPHER_TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, subkey, nonceOf(header), {
    authTagLength: CIPHER_TAG_BYTES,
  });
  decipher.setAAD(header);
  decipher.setAuthTag(bytes.subarray(tagAt, tagAt + CIPHER_TAG_BYTES));
  const plaintext = decipher.update(bytes.subarray(HEADER_BYTES, tagAt));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plaintext;
}
