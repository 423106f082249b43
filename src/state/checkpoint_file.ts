/**
 * The file of a checkpoint: a header, the SHA-256 of the header, and a line for each key.
 *
 * ```text
 * {"format":"hanzo-network-checkpoint","version":1,"name":"monday",…,"length":26,"sha256":"…"}
 * 8e1f…
 * ["greeting","hello"]
 * ["n",3]
 * ```
 *
 * The header has the length and the SHA-256 of what follows. So that a file is whole is known from its
 * beginning and its size, and that it is good when it is read.
 */

import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../base/bounded_value.ts";
import { createHash } from "node:crypto";
import { MAX_DEPTH } from "./row_transaction.ts";
import { nextTurn, type StateSnapshot } from "./state_snapshot.ts";

/** Why there is a checkpoint: somebody asked for it, time had passed, or a restore or an import was to come. */
export type CheckpointKind = "named" | "interval" | "before";

/** What a file says of itself. */
export interface CheckpointHeader {
  readonly format: string;
  readonly version: number;
  readonly name: string;
  readonly createdAt: number;
  readonly nodeId: string;
  readonly kind: CheckpointKind;
  /** Greater than that of all that were made here before, whatever the clock shows. */
  readonly order: number;
  /** See {@linkcode StateSnapshot.mark}. */
  readonly mark: string;
  readonly keys: number;
  /** Of the lines of keys, in bytes. */
  readonly length: number;
  readonly sha256: string;
}

/** What the state and the circumstances do not say. */
export type CheckpointLabel = Pick<
  CheckpointHeader,
  "name" | "createdAt" | "nodeId" | "kind" | "order"
>;

/** The version that this program writes and reads. */
export const CHECKPOINT_VERSION = 1;
const FORMAT = "hanzo-network-checkpoint";
/** A name of 256 bytes may take 1,536 as JSON. */
const MAX_HEAD_BYTES = 8 * 1024;
const SUM_LENGTH = 64;
/** Of one key; a list to which others append at the same time may pass the bounds of a value. */
const MAX_LINE_BYTES = 64 * (MAX_KEY_BYTES + MAX_VALUE_BYTES);
/** The largest that is read: what a state may be, others having filled it at the same time, and more. */
const MAX_FILE_BYTES = 512 * 2 ** 20;
const NEWLINE = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the beginning of a file tells. */
export type CheckpointHead =
  /** It is whole, or was cut where its size tells. */
  | { readonly is: "good"; readonly header: CheckpointHeader; readonly bodyAt: number }
  | { readonly is: "later"; readonly version: number }
  | { readonly is: "damaged" };

/**
 * The bytes of a file.
 *
 * @param signal Ends it between two pieces.
 */
export async function checkpointBytes(
  label: CheckpointLabel,
  snapshot: StateSnapshot,
  signal?: AbortSignal,
): Promise<{ header: CheckpointHeader; parts: Uint8Array[] }> {
  const hash = createHash("sha256");
  const body: Uint8Array[] = [];
  let [keys, length] = [0, 0];
  for (const piece of snapshot.pieces()) {
    const lines = piece.map(([key, json]) => `[${JSON.stringify(key)},${json}]\n`);
    const bytes = encoder.encode(lines.join(""));
    hash.update(bytes);
    body.push(bytes);
    keys += piece.length;
    length += bytes.length;
    await nextTurn();
    signal?.throwIfAborted();
  }
  const header: CheckpointHeader = {
    format: FORMAT,
    version: CHECKPOINT_VERSION,
    ...label,
    mark: snapshot.mark,
    keys,
    length,
    sha256: hash.digest("hex"),
  };
  const head = JSON.stringify(header);
  return { header, parts: [encoder.encode(`${head}\n${sumOf(head)}\n`), ...body] };
}

/**
 * Reads the beginning of a file. No link is followed.
 *
 * @throws {Deno.errors.NotFound} Or what else the system says.
 */
export async function readHead(path: string): Promise<CheckpointHead> {
  const { isFile, size } = await Deno.lstat(path);
  if (!isFile || size > MAX_FILE_BYTES) throw notRegular();
  using file = await Deno.open(path);
  const bytes = new Uint8Array(Math.min(size, MAX_HEAD_BYTES));
  for (let at = 0; at < bytes.length;) {
    const count = await file.read(bytes.subarray(at));
    if (count === null) break;
    at += count;
  }
  return headOf(bytes, size);
}

/**
 * Reads a whole file.
 *
 * @returns Its keys and values; undefined when it is damaged.
 * @throws {Deno.errors.NotFound} Or what else the system says.
 */
export async function readEntries(
  path: string,
  head: CheckpointHead & { is: "good" },
): Promise<Map<string, JsonValue> | undefined> {
  const bytes = await Deno.readFile(path);
  const body = bytes.subarray(head.bodyAt);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  if (digest.toHex() !== head.header.sha256) return undefined;
  const entries = new Map<string, JsonValue>();
  // Depth of a value, and the brackets around it and its key.
  const bounds = { maxBytes: MAX_LINE_BYTES, maxDepth: MAX_DEPTH + 2 };
  let sinceTurn = 0;
  for (let at = 0; at < body.length;) {
    const end = body.indexOf(NEWLINE, at);
    const [key, value] = parseBoundedJson(body.subarray(at, end), bounds) as [string, JsonValue];
    entries.set(key, value);
    sinceTurn += end - at;
    at = end + 1;
    if (sinceTurn < 2 ** 20) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  return entries;
}

function headOf(bytes: Uint8Array, size: number): CheckpointHead {
  const end = bytes.indexOf(NEWLINE);
  const bodyAt = end + 1 + SUM_LENGTH + 1;
  if (end < 0) return { is: "damaged" };
  try {
    const text = decoder.decode(bytes.subarray(0, end));
    const header = JSON.parse(text) as CheckpointHeader;
    if (header.format !== FORMAT || !Number.isInteger(header.version)) return { is: "damaged" };
    if (header.version !== CHECKPOINT_VERSION) return { is: "later", version: header.version };
    const sum = decoder.decode(bytes.subarray(end + 1, bodyAt));
    const isGood = sum === `${sumOf(text)}\n` && size === bodyAt + header.length;
    return isGood ? { is: "good", header, bodyAt } : { is: "damaged" };
  } catch {
    return { is: "damaged" };
  }
}

function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function notRegular(): Error {
  return new Error("it is no regular file of a checkpoint's size");
}
