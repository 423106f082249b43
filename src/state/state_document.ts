/**
 * The shared state as one JSON document, to keep it elsewhere or to bring it from there.
 *
 * ```json
 * {
 *   "format": "hanzo-network-state",
 *   "version": 1,
 *   "exportedAt": "2026-11-23T08:00:00.000Z",
 *   "network": "hanzo",
 *   "nodeId": "studio",
 *   "entries": [
 *     { "key": "greeting", "value": "hello" }
 *   ],
 *   "sha256": "…"
 * }
 * ```
 *
 * `sha256` is that of these lines in UTF-8, each as `JSON.stringify` writes it and ended by a line
 * feed: `[format, version, exportedAt, network, nodeId]`, and for each entry `[key, value]`. So spaces
 * do not matter, and nothing else can change unseen. Who changes a document on purpose leaves it out.
 */

import { createHash } from "node:crypto";
import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { bytesOf, jsonOf, keyName } from "../base/bounded_value.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { safeJson, safeName } from "../base/safe_text.ts";
import { fitsValue } from "./entry_changes.ts";
import { checkStateKey, MAX_DEPTH } from "./row_transaction.ts";
import { nextTurn, type StateSnapshot } from "./state_snapshot.ts";

/** Where and when a document was made. */
export interface DocumentOrigin {
  /** As `Date.toISOString` has it. */
  readonly exportedAt: string;
  readonly network: string;
  readonly nodeId: string;
}

/** What a document says. */
export interface StateDocument extends DocumentOrigin {
  readonly entries: ReadonlyMap<string, JsonValue>;
}

const FORMAT = "hanzo-network-state";
const VERSION = 1;
/** A state takes 64 MiB, its keys and braces some more. */
export const MAX_DOCUMENT_BYTES = 256 * 2 ** 20;
/** Of a list with items; around it an entry, the entries, the document. */
const DOCUMENT_DEPTH = MAX_DEPTH + 4;
const FIELDS = ["format", "version", "exportedAt", "network", "nodeId", "entries", "sha256"];
/** Entries between two turns of others. */
const TURN_BYTES = 2 ** 19;

/** The document of what a snapshot holds. */
export async function stateDocument(
  snapshot: StateSnapshot,
  { exportedAt, network, nodeId }: DocumentOrigin,
): Promise<string> {
  const sum = documentSum({ exportedAt, network, nodeId });
  const head = { format: FORMAT, version: VERSION, exportedAt, network, nodeId };
  // The entries go where the last brace is, a line for each.
  const pieces = [safeJson(JSON.stringify(head)).slice(0, -1), ',"entries":['];
  let separator = "\n";
  for (const piece of snapshot.pieces()) {
    for (const [key, json] of piece) {
      // Another device may have written the same in another form.
      const value: JsonValue = JSON.parse(json);
      sum.update(lineOf([key, value]));
      pieces.push(separator, safeJson(JSON.stringify({ key, value })));
      separator = ",\n";
    }
    await nextTurn();
  }
  pieces.push(`\n],"sha256":"${sum.digest("hex")}"}\n`);
  return pieces.join("");
}

/**
 * Reads a document; all of it, before anything is done with it.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming what does not fit; `RESOURCE_EXHAUSTED` when a key
 * or a value is too long; `FAILED_PRECONDITION` when a later version has made it.
 */
export async function readStateDocument(bytes: Uint8Array): Promise<StateDocument> {
  const document = objectOf(parsed(bytes));
  if (document === undefined || document.format !== FORMAT) {
    throw unfit(`it is none: "format" is not "${FORMAT}". Export one: hanzo-network state export`);
  }
  if (document.version !== VERSION) throw otherVersion(document.version);
  const surplus = Object.keys(document).find((field) => !FIELDS.includes(field));
  if (surplus !== undefined) {
    throw unfit(`it has no field "${safeName(surplus, 40)}". Leave that out`);
  }
  const origin = {
    exportedAt: textOf(document, "exportedAt"),
    network: textOf(document, "network"),
    nodeId: textOf(document, "nodeId"),
  };
  if (!Array.isArray(document.entries)) throw unfit('its "entries" are no list');
  const sum = documentSum(origin);
  const entries = new Map<string, JsonValue>();
  let sinceTurn = 0;
  for (const [index, entry] of document.entries.entries()) {
    const [key, value, json] = checkEntry(entry, index);
    if (entries.has(key)) throw unfit(`the key "${keyName(key)}" is in it twice. Leave one out`);
    entries.set(key, value);
    sum.update(lineOf([key, value]));
    sinceTurn += json.length + 100;
    if (sinceTurn < TURN_BYTES) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  const { sha256 } = document;
  if (sha256 !== undefined && sha256 !== sum.digest("hex")) {
    throw unfit(
      "its content is not what was exported: it was damaged, or changed. Take another copy; if you " +
        'have changed it yourself, leave out its "sha256"',
    );
  }
  return { ...origin, entries };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseBoundedJson(bytes, { maxBytes: MAX_DOCUMENT_BYTES, maxDepth: DOCUMENT_DEPTH });
  } catch (cause) {
    throw unfit(`it is not one whole JSON document. ${describeError(cause)}`, cause);
  }
}

function checkEntry(entry: unknown, index: number): [key: string, value: JsonValue, json: string] {
  const which = `entry ${index + 1}`;
  const fields = objectOf(entry);
  const names = fields && Object.keys(fields);
  if (
    fields === undefined || names?.length !== 2 || typeof fields.key !== "string" ||
    fields.value === undefined
  ) {
    throw unfit(`${which} is no {"key": "a text", "value": …}`);
  }
  const key = fields.key;
  const value = fields.value as JsonValue;
  const action = `import "${keyName(key)}" (${which} of the document)`;
  checkStateKey(key, action);
  const json = JSON.stringify(value);
  // What was appended bit by bit may be a longer list than one that is set.
  if (!fitsValue(json)) {
    if (!Array.isArray(value)) jsonOf(value, action, MAX_DEPTH);
    else for (const item of value) jsonOf(item, action, MAX_DEPTH);
  }
  return [key, value, json];
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? value as Record<string, unknown> : undefined;
}

function textOf(document: Record<string, unknown>, field: string): string {
  const text = Object.hasOwn(document, field) ? document[field] : undefined;
  if (typeof text === "string" && bytesOf(text) <= 1_024) return text;
  throw unfit(`its "${field}" is no text`);
}

function documentSum({ exportedAt, network, nodeId }: DocumentOrigin) {
  return createHash("sha256").update(lineOf([FORMAT, VERSION, exportedAt, network, nodeId]));
}

function lineOf(values: readonly JsonValue[]): string {
  return `${JSON.stringify(values)}\n`;
}

function otherVersion(version: unknown): NetworkError {
  const shown = typeof version === "number" ? `${version}` : "none";
  return new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot import the state: the document is of version ${shown}, and this program knows ` +
      `${VERSION}. Install the hanzo-network that has made it.`,
  );
}

function unfit(why: string, cause?: unknown): NetworkError {
  return new NetworkError("INVALID_ARGUMENT", `Cannot import the state: ${why}.`, { cause });
}
