/**
 * Whether a text gives away a secret.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** So much of a secret in a text is no chance, and so little of it is too much. */
const PIECE_BYTES = 4;

/** How bytes may be written into a text. */
const WRITINGS: readonly ((bytes: Uint8Array) => string)[] = [
  (bytes) => Buffer.from(bytes).toString("hex"),
  (bytes) => Buffer.from(bytes).toString("hex").toUpperCase(),
  (bytes) => Buffer.from(bytes).toString("latin1"),
  (bytes) => [...bytes].join(","),
  (bytes) => [...bytes].join(", "),
];

/**
 * Fails when `text` contains any four bytes in a row of `secret`, in hexadecimal digits, base64,
 * decimal numbers or as they are.
 *
 * @param text What somebody may see.
 * @param secret What nobody may.
 */
export function assertShowsNothingOf(text: string, secret: Uint8Array): void {
  for (let at = 0; at + PIECE_BYTES <= secret.length; at++) {
    const piece = secret.subarray(at, at + PIECE_BYTES);
    for (const write of WRITINGS) {
      if (text.includes(write(piece))) throw new Error(`It shows a piece of the secret: ${text}`);
    }
  }
  for (const encoding of ["base64", "base64url"] as const) {
    const encoded = Buffer.from(secret).toString(encoding).replace(/=+$/, "");
    assertShowsNoPieceOf(text, encoded);
  }
}

/** Fails when `text` contains any six characters in a row of a secret text. */
export function assertShowsNoPieceOf(text: string, secret: string): void {
  for (let at = 0; at + 6 <= secret.length; at++) {
    const piece = secret.slice(at, at + 6);
    if (text.includes(piece)) throw new Error(`It shows "${piece}" of the secret: ${text}`);
  }
}
