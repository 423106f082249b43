/**
 * The code by which a device joins: one URI, `HANZO:1/…`, of letters and digits that a QR code packs
 * densely and that a person can type.
 *
 * After the slash comes base32 (RFC 4648, without padding) of:
 *
 * | bytes      | what                                                                      |
 * | ---------- | ------------------------------------------------------------------------- |
 * | 1          | kind: 0 an invite, 1 the key itself                                       |
 * | 1          | length of all of it in bytes                                              |
 * | 16 or 32   | the invite's secret, or the key                                           |
 * | 8          | of an invite: the network's tag                                           |
 * | 16         | first bytes of SHA-256 of the inviter's public key                        |
 * | 1, 2, …    | number of addresses, their port, then each as 4 or 6 and its bytes        |
 * | 1 + n each | the network's name, the inviter's label, its chip, as UTF-8               |
 * | 3, 2       | the inviter's memory in MB, its FP16 rate in tenths of TFLOPS             |
 * | 4          | first bytes of SHA-256 of what stands before                              |
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import { NetworkError } from "../base/errors.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import { FINGERPRINT_BYTES } from "./identity.ts";
import { INVITE_BYTES } from "./invites.ts";
import { KEY_BYTES, NetworkKey, TAG_BYTES } from "./network_key.ts";

/** What every code says. */
export interface JoinCodeFields {
  /** The newest key's, 16 hexadecimal digits. */
  readonly networkTag: string;
  /** What the network is called; of an invite it may be cut. */
  readonly networkName: string;
  /** The label of who shows it; empty when nobody in particular does. */
  readonly nodeId: string;
  /** {@linkcode FINGERPRINT_BYTES} of SHA-256 of the public key of who shows it. */
  readonly fingerprint: Uint8Array;
  /** Where who shows it can be dialled, all on one port. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** What its device is, for people; the rate is in TFLOPS, unknown figures are 0. */
  readonly capabilities: {
    readonly chip: string;
    readonly memoryMB: number;
    readonly fp16Tflops: number;
  };
}

/** A code: an invite for one device, or the network's key itself. */
export type JoinCode =
  & JoinCodeFields
  & (
    | { readonly kind: "invite"; readonly secret: Uint8Array }
    | { readonly kind: "static"; readonly key: NetworkKey }
  );

/** What a QR code of version 6 holds at its lowest level of correction. */
export const MAX_CODE_LENGTH = 195;
const PREFIX = "HANZO:1/";
/** Five bits a character. */
const MAX_BYTES = Math.floor(((MAX_CODE_LENGTH - PREFIX.length) * 5) / 8);
const CHECKSUM_BYTES = 4;
/** More than anybody pastes beside a code. */
const MAX_TEXT_LENGTH = 4_096;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** What people read in place of letters. */
const LOOKALIKES: Record<string, string> = { "0": "O", "1": "I", "8": "B" };
/** What mail programs and people put between the letters: blanks, hyphens, what cannot be seen. */
const SEPARATORS = /[\s\u00ad\u200b-\u200d\u2010-\u2015\u2060\u2212\ufeff-]/g;

/**
 * The text of a code. What is only shown to people is cut where it does not fit: the chip, then
 * addresses but the first, then names.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when a static code has no room for the network's name,
 * which its nodes need.
 */
export function encodeJoinCode(code: JoinCode): string {
  let { networkName, nodeId, addresses, capabilities: { chip } } = code;
  const bytes = () => pack(code, { networkName, nodeId, chip, addresses });
  const spare = () => MAX_BYTES - bytes().length;
  if (spare() < 0) chip = cut(chip, spare());
  while (spare() < 0 && addresses.length > 1) addresses = addresses.slice(0, -1);
  if (spare() < 0) nodeId = cut(nodeId, spare());
  if (spare() < 0 && code.kind === "invite") networkName = cut(networkName, spare());
  if (spare() < 0) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot make a static code: the network's name is too long for it. Use an invite.`,
    );
  }
  return PREFIX + toBase32(bytes());
}

/** Whether a text begins as a code does, however it was typed; a file is hardly called so. */
export function beginsLikeCode(text: string): boolean {
  return /^HANZ[O0]:/i.test(text.slice(0, 256).replaceAll(SEPARATORS, ""));
}

/**
 * Reads a code as it was scanned, pasted or typed: case, blanks, line breaks and hyphens do not
 * matter.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` saying whether it is no code of this program, of a later
 * version, cut off or mistyped.
 */
export function decodeJoinCode(text: string): JoinCode {
  const plain = text.slice(0, MAX_TEXT_LENGTH).replaceAll(SEPARATORS, "").toUpperCase();
  const [, version, typed] = /^HANZ[O0]:([\dIL]+)\/(.*)$/s.exec(plain) ?? [];
  if (version === undefined) {
    throw refusal("it is no code of this program, which begins with HANZO:1/");
  }
  if (!/^[1IL]$/.test(version)) {
    throw refusal("it was made by a later version of hanzo-network. Bring this one up to date");
  }
  const body = typed.replaceAll(/[018]/g, (digit) => LOOKALIKES[digit]);
  const bytes = fromBase32(body);
  const expected = bytes[1] ?? MAX_BYTES;
  const missing = Math.ceil((expected * 8) / 5) - body.length;
  if (missing > 0) {
    throw refusal(
      bytes.length < 2
        ? "it is cut off: nearly all of it is missing"
        : `it is cut off, or mistyped: ${missing} character${
          missing === 1 ? " is" : "s are"
        } missing`,
    );
  }
  const content = bytes.subarray(0, expected - CHECKSUM_BYTES);
  if (
    // The last letter has bits that are of no byte: another one with the same byte is wrong, too.
    missing < 0 || bytes.length !== expected || toBase32(bytes) !== body ||
    !checksum(content).equals(bytes.subarray(expected - CHECKSUM_BYTES))
  ) {
    throw refusal("it is mistyped. Compare it letter by letter, or scan it");
  }
  return unpack(content);
}

function pack(
  code: JoinCode,
  shown: { networkName: string; nodeId: string; chip: string; addresses: JoinCode["addresses"] },
): Buffer {
  const { memoryMB, fp16Tflops } = code.capabilities;
  const figures = Buffer.alloc(5);
  figures.writeUIntBE(clamp(memoryMB, 0xffffff), 0, 3);
  figures.writeUInt16BE(clamp(10 * fp16Tflops, 0xffff), 3);
  const content = Buffer.concat([
    Buffer.from([code.kind === "invite" ? 0 : 1, 0]),
    code.kind === "invite" ? code.secret : code.key.reveal(),
    Buffer.from(code.kind === "invite" ? code.networkTag : "", "hex"),
    code.fingerprint.subarray(0, FINGERPRINT_BYTES),
    packAddresses(shown.addresses),
    ...[shown.networkName, shown.nodeId, shown.chip].map((text) => {
      const utf8 = Buffer.from(text).subarray(0, 255);
      return Buffer.concat([Buffer.from([utf8.length]), utf8]);
    }),
    figures,
  ]);
  content[1] = Math.min(255, content.length + CHECKSUM_BYTES);
  return Buffer.concat([content, checksum(content)]);
}

function packAddresses(addresses: JoinCode["addresses"]): Buffer {
  const [first] = addresses;
  const packed = addresses.filter(({ port }) => port === first.port)
    .map(({ host }) => packHost(host)).filter((one) => one !== undefined);
  const head = Buffer.alloc(3);
  head[0] = packed.length;
  head.writeUInt16BE(first?.port ?? 0, 1);
  return Buffer.concat([head, ...packed]);
}

function packHost(host: string): Buffer | undefined {
  if (isIPv4(host)) return Buffer.from([4, ...host.split(".").map(Number)]);
  const groups = expandIPv6(host);
  if (groups === undefined) return undefined;
  return Buffer.from([6, ...groups.flatMap((group) => [group >> 8, group & 0xff])]);
}

/** The eight groups of an IPv6 address; undefined for what is none. */
function expandIPv6(host: string): number[] | undefined {
  const halves = host.toLowerCase().split("::").map((half) => half === "" ? [] : half.split(":"));
  if (!host.includes(":") || halves.length > 2) return undefined;
  const [before, after = []] = halves;
  const zeros = Array(Math.max(0, 8 - before.length - after.length)).fill("0");
  const groups = [...before, ...halves.length === 2 ? zeros : [], ...after];
  const isAddress = groups.length === 8 && groups.every((group) => /^[\da-f]{1,4}$/.test(group));
  return isAddress ? groups.map((group) => parseInt(group, 16)) : undefined;
}

/** What has passed the checksum was made by this program, or by somebody who wants to be read. */
function unpack(content: Buffer): JoinCode {
  let at = 2;
  const take = (length: number): Buffer => {
    if (at + length > content.length) throw refusal("it is damaged. Ask for a new one");
    return content.subarray(at, at += length);
  };
  const text = () => safeName(new TextDecoder().decode(take(take(1)[0])));
  const kind = content[0];
  if (kind > 1) throw refusal("it is of a kind that this version does not know");
  const secret = Uint8Array.from(take(kind === 0 ? INVITE_BYTES : KEY_BYTES));
  const key = kind === 0 ? undefined : NetworkKey.from(secret);
  const networkTag = key?.tag ?? take(TAG_BYTES).toString("hex");
  const fingerprint = Uint8Array.from(take(FINGERPRINT_BYTES));
  const [count] = take(1);
  const port = take(2).readUInt16BE();
  const addresses = Array.from({ length: count }, () => ({ host: unpackHost(take), port }));
  const [networkName, label, chip] = [text(), text(), text()];
  const fields: JoinCodeFields = {
    networkTag,
    networkName: networkName === "" ? "hanzo" : networkName,
    nodeId: isLabel(label) ? label : "",
    fingerprint,
    addresses: port === 0 ? [] : addresses,
    capabilities: {
      chip,
      memoryMB: take(3).readUIntBE(0, 3),
      fp16Tflops: take(2).readUInt16BE() / 10,
    },
  };
  return key === undefined
    ? { kind: "invite", secret, ...fields }
    : { kind: "static", key, ...fields };
}

function unpackHost(take: (length: number) => Buffer): string {
  const [family] = take(1);
  if (family === 4) return take(4).join(".");
  if (family !== 6) throw refusal("it is damaged. Ask for a new one");
  const bytes = take(16);
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function toBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let waiting = 0;
  for (const byte of bytes) {
    waiting = (waiting << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(waiting >> (bits - 5)) & 31];
    waiting &= 0xff;
  }
  return bits === 0 ? text : text + ALPHABET[(waiting << (5 - bits)) & 31];
}

function fromBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let waiting = 0;
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value === -1) {
      const shown = safeName(letter);
      throw refusal(
        shown === ""
          ? "it is mistyped: something in it cannot be shown"
          : `it is mistyped: ${JSON.stringify(shown)} occurs in no code`,
      );
    }
    waiting = ((waiting << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes.push((waiting >> (bits -= 8)) & 0xff);
  }
  return Buffer.from(bytes);
}

function checksum(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest().subarray(0, CHECKSUM_BYTES);
}

/** The text without as many bytes at its end as are too many, and no half of a character. */
function cut(text: string, spare: number): string {
  // Of a longer one, no more than this was counted.
  const length = Math.max(0, Math.min(255, Buffer.byteLength(text)) + spare);
  return new TextDecoder().decode(Buffer.from(text).subarray(0, length)).replace(/\ufffd+$/, "");
}

function clamp(value: number, most: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.min(most, Math.round(value))) : 0;
}

function refusal(why: string): NetworkError {
  return new NetworkError("INVALID_ARGUMENT", `Cannot use the code: ${why}.`);
}
