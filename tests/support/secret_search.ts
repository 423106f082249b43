/**
 * Looks for secrets in whatever somebody may see, however they may be written there.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What nobody may see. */
export interface Secret {
  /** What to call it when it is found. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** So many bytes in a row are no chance, however much is searched. */
const PIECE_BYTES = 12;
/** What a piece is looked up by first: nearly all places fail here. */
const SIEVE_BYTES = 3;

/** A kind of text that may be bytes, and what bytes it is. */
interface Writing {
  readonly runs: RegExp;
  read(run: string): Buffer[];
}

/** All of them, where they are long enough for that many bytes. */
function writingsOf(bytes: number): Writing[] {
  const others = bytes - 1;
  const runs = (letter: string, bits: number) =>
    new RegExp(`${letter}{${Math.ceil(8 * bytes / bits)},}`, "gi");
  return [
    {
      runs: runs("[0-9a-f]", 4),
      read: (run) => shifts(2).map((at) => Buffer.from(run.slice(at), "hex")),
    },
    {
      // `d5:48:4e`, `d5 48 4e`, `0xd5, 0x48`, `\xd5\x48`, `%D5%48`.
      runs: new RegExp(
        String.raw`(?:(?:0x|\\x|%)?[0-9a-f]{2}(?:[\s:,]+|(?=\\x|%))){${others},}` +
          String.raw`(?:0x|\\x|%)?[0-9a-f]{2}`,
        "gi",
      ),
      read: (run) => [Buffer.from(run.replaceAll(/0x|\\x|[%\s:,]/gi, ""), "hex")],
    },
    {
      // Both alphabets: a Buffer reads either.
      runs: runs("[a-z0-9+/_-]", 6),
      read: (run) => shifts(4).map((at) => Buffer.from(run.slice(at), "base64")),
    },
    {
      runs: runs("[a-z2-7]", 5),
      read: (run) => shifts(8).map((at) => fromBase32(run.slice(at))),
    },
    {
      // `213,72,78`, `[ 213, 72 ]` over several lines, `{"0":213,"1":72}`.
      runs: new RegExp(
        String.raw`(?:(?:"\d+":\s*)?\d{1,3}[\s,;]+){${others},}(?:"\d+":\s*)?\d{1,3}`,
        "g",
      ),
      read: (run) => [Buffer.from(run.replaceAll(/"\d+":/g, "").split(/[\s,;]+/).map(Number))],
    },
  ];
}

/** See the top of the file. */
export class SecretSearch {
  /** By every piece of a secret, forwards and backwards, as latin1. */
  readonly #pieces = new Map<string, string>();
  readonly #lengths: readonly number[];
  readonly #writings: readonly Writing[];
  readonly #sieve = new Uint8Array(1 << (8 * SIEVE_BYTES));
  /** Secrets as one number. */
  readonly #numbers: readonly [string, string][];

  /** @param pieceBytes How many bytes in a row are too many; of a shorter secret it is all of it. */
  constructor(secrets: readonly Secret[], pieceBytes = PIECE_BYTES) {
    const lengths = new Set<number>();
    for (const { name, bytes } of secrets) {
      const length = Math.min(pieceBytes, bytes.length);
      lengths.add(length);
      for (const way of [bytes, bytes.toReversed()]) {
        for (let at = 0; at + length <= way.length; at++) {
          const piece = way.subarray(at, at + length);
          this.#pieces.set(Buffer.from(piece).toString("latin1"), name);
          this.#sieve[piece[0] << 16 | piece[1] << 8 | piece[2]] = 1;
        }
      }
    }
    this.#lengths = [...lengths];
    this.#writings = writingsOf(Math.min(pieceBytes, ...lengths));
    this.#numbers = secrets.flatMap(({ name, bytes }) =>
      [bytes, bytes.toReversed()].map((way): [string, string] => [
        BigInt(`0x${Buffer.from(way).toString("hex")}`).toString(),
        name,
      ])
    );
  }

  /** The names of the secrets of which a piece is in there, each once. */
  find(seen: Uint8Array | string): string[] {
    const bytes = typeof seen === "string" ? Buffer.from(seen) : Buffer.from(seen);
    const found = new Set<string>();
    this.#look(bytes, found);
    const text = bytes.toString("utf8");
    // As characters of one byte each, some of them escaped.
    this.#look(Buffer.from(unescaped(text), "latin1"), found);
    for (const way of [text, [...text].reverse().join("")]) {
      for (const { runs, read } of this.#writings) {
        for (const [run] of way.matchAll(runs)) {
          for (const written of read(run)) this.#look(written, found);
        }
      }
    }
    for (const [number, name] of this.#numbers) if (text.includes(number)) found.add(name);
    return [...found];
  }

  #look(bytes: Buffer, found: Set<string>): void {
    for (let at = 0; at + SIEVE_BYTES <= bytes.length; at++) {
      if (this.#sieve[bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2]] === 0) continue;
      for (const length of this.#lengths) {
        const name = this.#pieces.get(bytes.toString("latin1", at, at + length));
        if (name !== undefined) found.add(name);
      }
    }
  }
}

/** 0 to `count - 1`: where in a run of characters a byte may begin. */
function shifts(count: number): number[] {
  return [...Array(count).keys()];
}

function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:u00|x)([0-9a-f]{2})|\\([bfnrt"\\/])/gi,
    (_, hex: string | undefined, letter: string) =>
      hex === undefined ? ESCAPES[letter] ?? letter : String.fromCharCode(parseInt(hex, 16)),
  );
}

const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function fromBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let waiting = 0;
  for (const letter of text.toUpperCase()) {
    waiting = (waiting << 5 | BASE32.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes.push(waiting >> (bits -= 8) & 0xff);
  }
  return Buffer.from(bytes);
}
