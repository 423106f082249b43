/** The secret that a network is, and what follows from it. */

import { Buffer } from "node:buffer";
import { createHash, hkdfSync, randomBytes } from "node:crypto";
import { NetworkError } from "../base/errors.ts";

/** Of a network key. */
export const KEY_BYTES = 32;
/** Of a tag: enough that two networks never share one by chance, and short in a code and a beacon. */
export const TAG_BYTES = 8;
/** Of an authority's secret: 128 bits more than its scalar, so that none is likelier than another. */
export const AUTHORITY_SECRET_BYTES = 48;

/** Says which program's secrets these are, in every derivation (RFC 5869, the salt). */
const SALT = "hanzo-network/1";

/**
 * 32 random bytes that every device of a network has and nobody else. It shows itself nowhere:
 * text, JSON and what a console prints of it are its tag.
 *
 * @example
 * ```ts
 * import { NetworkKey } from "./network_key.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const key = NetworkKey.generate();
 * assertEquals(`${key}`, `[key ${key.tag}]`);
 * assertEquals(NetworkKey.from(key.reveal()).tag, key.tag);
 * ```
 */
export class NetworkKey {
  readonly #secret: Uint8Array;
  /** What the key is called in public: 16 hexadecimal digits that do not lead back to it. */
  readonly tag: string;

  private constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.tag = Buffer.from(deriveSecret(secret, "tag", TAG_BYTES)).toString("hex");
  }

  /** A new one. */
  static generate(): NetworkKey {
    return new NetworkKey(randomBytes(KEY_BYTES));
  }

  /**
   * The key that these bytes are.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` when they are not 32.
   */
  static from(secret: Uint8Array): NetworkKey {
    if (secret.length !== KEY_BYTES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot read a network key: it has ${secret.length} bytes, expected ${KEY_BYTES}.`,
      );
    }
    return new NetworkKey(Uint8Array.from(secret));
  }

  /** The bytes themselves, for what keeps them and what hands them on. */
  reveal(): Uint8Array {
    return Uint8Array.from(this.#secret);
  }

  /** A secret for one purpose; those of different purposes lead neither to each other nor back. */
  derive(purpose: string, length: number): Uint8Array {
    return deriveSecret(this.#secret, purpose, length);
  }

  /** The tag, in brackets. */
  toString(): string {
    return `[key ${this.tag}]`;
  }

  /** {@linkcode toString}: a key that is logged or answered by mistake stays unknown. */
  toJSON(): string {
    return this.toString();
  }

  /** {@linkcode toString}, for the console. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** {@linkcode toString}, for `node:util`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** HKDF-SHA256 (RFC 5869) of a secret for one purpose. */
export function deriveSecret(secret: Uint8Array, purpose: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, SALT, purpose, length));
}

/** SHA-256 in hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
