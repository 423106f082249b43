/**
 * The file in which a person lists peers, in JSON or TOML, and what is wrong with it. Both forms
 * are read into one tree whose values know where they stand, so that each fault is told with its
 * line; this tree is then checked once.
 */

import { describeError, NetworkError } from "../base/errors.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";

/** A peer as the file has it. */
export interface FilePeer {
  readonly nodeId: string;
  /** A host name or an IP address. */
  readonly host: string;
  /** Where it accepts links, 1 to 65,535. */
  readonly port: number;
  /** What the file says of its device, if anything; what it leaves out is `null`. */
  readonly capabilities?: Pick<DeviceCapabilities, "model" | "chip" | "memory" | "flops">;
}

/** The largest file that is read. */
export const MAX_PEERS_FILE_BYTES = 1024 * 1024;
/** Every node has a link to every other: more is a mistake. */
const MAX_PEERS = 4_096;
/** The peers take five levels; what else is in the file is passed over, but walked. */
const MAX_JSON_DEPTH = 32;

const HOST = "a host name or an IP address without scheme and port, such as " +
  '"gpu-server" or "10.0.0.4"';
const PORT = "a whole number from 1 to 65535";
const NODE_ID = '1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit';
const RATE = "a number of TFLOPS, 0 or more";

/**
 * Reads a peers file.
 *
 * @param file Its name: TOML if it ends in `.toml`, else JSON.
 * @param bytes What it holds.
 *
 * @example The same peer in both forms
 * ```ts
 * import { parsePeersFile } from "./peers_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = (text: string) => new TextEncoder().encode(text);
 * const json = '{"peers": {"gpu": {"address": "10.0.0.4", "port": 5681}}}';
 * const toml = '[peers.gpu]\naddress = "10.0.0.4"\nport = 5681';
 *
 * const peers = [{ nodeId: "gpu", host: "10.0.0.4", port: 5681 }];
 * assertEquals(await parsePeersFile("peers.json", bytes(json)), peers);
 * assertEquals(await parsePeersFile("peers.toml", bytes(toml)), peers);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` with the file, the line, the field, what is there and
 * what was expected.
 */
export async function parsePeersFile(file: string, bytes: Uint8Array): Promise<FilePeer[]> {
  if (bytes.length > MAX_PEERS_FILE_BYTES) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${file}: it has more than ${MAX_PEERS_FILE_BYTES} bytes. ` +
        `Keep only the peers in it.`,
    );
  }
  const source = new Source(file, new TextDecoder().decode(bytes));
  const root = /\.toml$/i.test(file) ? await readToml(source) : new JsonReader(source).read();
  const peers = new Field(source, [], root).get("peers");
  const entries = peers.members("a map of node ids");
  if (entries.size > MAX_PEERS) {
    throw peers.fault(`has ${entries.size} nodes, expected at most ${MAX_PEERS}`);
  }
  return [...entries].map(([nodeId, { keyAt }]) => {
    if (isLabel(nodeId)) return readPeer(nodeId, peers.get(nodeId));
    throw source.fault(keyAt, `a node id in peers is ${shown(nodeId)}, expected ${NODE_ID}`);
  });
}

function readPeer(nodeId: string, peer: Field): FilePeer {
  const host = peer.get("address").as(isHost, HOST);
  const port = peer.get("port").as(isPort, PORT);
  const device = peer.get("device_capabilities");
  if (!device.isThere) return { nodeId, host, port };
  const flops = device.get("flops");
  const capabilities = {
    model: nameOf(device.get("model")),
    chip: nameOf(device.get("chip")),
    memory: device.get("memory").orNull(isFigure, "a number of MB, 0 or more"),
    flops: {
      fp32: flops.get("fp32").orNull(isFigure, RATE),
      fp16: flops.get("fp16").orNull(isFigure, RATE),
      int8: flops.get("int8").orNull(isFigure, RATE),
    },
  };
  return { nodeId, host, port, capabilities };
}

/** Whether it is an IPv4 or IPv6 address, the latter without brackets. */
export function isIpAddress(text: string): boolean {
  if (!text.includes(":")) {
    const octets = text.split(".");
    return octets.length === 4 &&
      octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255);
  }
  // What begins with `%` is the zone of a link-local address.
  const [, address] = /^([\da-f:.]+)(?:%[\w.-]+)?$/i.exec(text) ?? [];
  return address !== undefined && URL.canParse(`http://[${address}]`);
}

/** Whether it is an IP address or can be a host's name (RFC 1123, and `_`, which is in use). */
export function isHost(value: unknown): value is string {
  if (typeof value !== "string" || value.length > 253) return false;
  if (isIpAddress(value)) return true;
  const labels = value.replace(/\.$/, "").split(".");
  return labels.every((label) => /^\w([\w-]{0,61}\w)?$/.test(label)) &&
    // Such as 10.0.0.256 or 0x7f000001: resolvers take it for a number.
    !/^(\d+|0x[\da-f]*)$/i.test(labels[labels.length - 1]);
}

/** Whether links can be accepted there. */
export function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
}

function nameOf(field: Field): string | null {
  const name = field.orNull((value) => typeof value === "string", "a text");
  return name && safeName(name);
}

function isFigure(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Infinity;
}

/** What was read, and where it stands: counted in UTF-16 units from the start of the text. */
interface Located {
  /** A map of keys is a `Map`: no key of a file is ever looked up in a prototype. */
  readonly value: unknown;
  readonly at: number;
  /** Where its key stands. */
  readonly keyAt: number;
}

/** The text of a file, and faults in it. */
class Source {
  readonly file: string;
  readonly text: string;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  fault(at: number, problem: string): NetworkError {
    const lines = this.text.slice(0, at).split("\n");
    return this.faultIn(lines.length, lines[lines.length - 1].length + 1, problem);
  }

  faultIn(line: number, column: number, problem: string): NetworkError {
    return new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${this.file}, line ${line}, column ${column}: ${problem}.`,
    );
  }
}

/** A field of the file, whether it is there or not. */
class Field {
  readonly #source: Source;
  readonly #path: readonly string[];
  readonly #found: Located | undefined;
  readonly #parent: Field | undefined;

  constructor(
    source: Source,
    path: readonly string[],
    found: Located | undefined,
    parent?: Field,
  ) {
    this.#source = source;
    this.#path = path;
    this.#found = found;
    this.#parent = parent;
  }

  /** Whether it says anything. */
  get isThere(): boolean {
    return this.#found !== undefined && this.#found.value !== null;
  }

  /** A field of this one; when this is not there, that is not either. */
  get(key: string): Field {
    const found = this.isThere ? this.members().get(key) : undefined;
    return new Field(this.#source, [...this.#path, key], found, this);
  }

  /** All fields of this one. */
  members(expected = "a map"): ReadonlyMap<string, Located> {
    return this.as((value) => value instanceof Map, expected);
  }

  /** Its value. */
  as<T>(fits: (value: unknown) => value is T, expected: string): T {
    if (this.#found === undefined) {
      const others = [...this.#parent?.members().keys() ?? []].slice(0, 5).map(shown).join(", ");
      throw this.fault(`is missing (there is ${others || "nothing"}), expected ${expected}`);
    }
    const { value } = this.#found;
    if (fits(value)) return value;
    throw this.fault(`is ${shown(value)}, expected ${expected}`);
  }

  /** Its value, `null` when it is not there. */
  orNull<T>(fits: (value: unknown) => value is T, expected: string): T | null {
    return this.isThere ? this.as(fits, expected) : null;
  }

  /** What is wrong with it, where it stands or, when it is not there, where it should. */
  fault(problem: string): NetworkError {
    const { at } = this.#found ?? this.#parent!.#found!;
    const name = this.#path.map((key) => /^[\w-]+$/.test(key) ? key : shown(key)).join(".");
    return this.#source.fault(at, `${name || "the file"} ${problem}`);
  }
}

/** A value as an error shows it. */
function shown(value: unknown): string {
  if (value instanceof Map) return "{…}";
  if (Array.isArray(value)) return "[…]";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${safeName(text, 80)}…` : safeName(text);
}

/** A text and how far it has been read. */
class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Reads what a sticky pattern matches here, if it does. */
  match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match !== null) this.at = pattern.lastIndex;
    return match;
  }
}

/**
 * Reads JSON (RFC 8259). `JSON.parse` does not tell where a value stands, nor that a key is there
 * twice, and where its own errors are only now and then.
 */
class JsonReader {
  readonly #source: Source;
  readonly #cursor: Cursor;

  constructor(source: Source) {
    this.#source = source;
    this.#cursor = new Cursor(source.text);
  }

  read(): Located {
    const root = this.#value(0);
    this.#skipBlanks();
    if (!this.#cursor.isAtEnd) throw this.#unexpected("the end of the file");
    return root;
  }

  #value(depth: number, keyAt = 0): Located {
    this.#skipBlanks();
    const { at } = this.#cursor;
    if (depth > MAX_JSON_DEPTH) {
      throw this.#unexpected(`at most ${MAX_JSON_DEPTH} levels of nesting`);
    }
    const value = this.#take("{")
      ? this.#members(depth)
      : this.#take("[")
      ? this.#items(depth)
      : this.#string() ?? this.#scalar();
    return { value, at, keyAt };
  }

  #members(depth: number): Map<string, Located> {
    const members = new Map<string, Located>();
    if (this.#take("}")) return members;
    do {
      this.#skipBlanks();
      const keyAt = this.#cursor.at;
      const key = this.#string();
      if (key === undefined) throw this.#unexpected("a key in quotes");
      if (members.has(key)) {
        throw this.#source.fault(keyAt, `the key ${shown(key)} is there again, expected it once`);
      }
      if (!this.#take(":")) throw this.#unexpected('":"');
      members.set(key, this.#value(depth + 1, keyAt));
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#unexpected('"," or "}"');
    return members;
  }

  #items(depth: number): Located[] {
    const items: Located[] = [];
    if (this.#take("]")) return items;
    do items.push(this.#value(depth + 1)); while (this.#take(","));
    if (!this.#take("]")) throw this.#unexpected('"," or "]"');
    return items;
  }

  #string(): string | undefined {
    const begun = this.#cursor.match(
      // deno-lint-ignore no-control-regex -- JSON forbids just these
      /"[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\0-\x1f]*)*/y,
    );
    if (begun === null) return undefined;
    // A line break, a backslash that escapes nothing, or the end.
    if (this.#cursor.match(/"/y) === null) throw this.#unexpected('a text that ends with "');
    return JSON.parse(`${begun[0]}"`);
  }

  #scalar(): number | boolean | null {
    const word = this.#cursor.match(
      /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y,
    );
    if (word === null) throw this.#unexpected("a value");
    return JSON.parse(word[0]);
  }

  /** Reads a character, if it comes next after blanks. */
  #take(character: string): boolean {
    this.#skipBlanks();
    if (this.#cursor.text[this.#cursor.at] !== character) return false;
    this.#cursor.at++;
    return true;
  }

  #skipBlanks(): void {
    this.#cursor.match(/[ \t\r\n]*/y);
  }

  #unexpected(expected: string): NetworkError {
    const { at } = this.#cursor;
    const word = this.#cursor.match(/[\w.+-]{1,40}|[^]/uy)?.[0];
    const found = word === undefined ? "the end of the file" : shown(word);
    return this.#source.fault(at, `found ${found}, expected ${expected}`);
  }
}

/** Reads TOML (toml.io). Its parser tells where its errors are, but not where a value stands. */
async function readToml(source: Source): Promise<Located> {
  // Loading it takes 2 ms, which only those pay who have such a file.
  const { parse } = await import("@std/toml");
  try {
    const unquote = (key: string) => parse(`key = ${key}`).key as string;
    return locate(parse(source.text), new TomlScanner(source.text, unquote).scan());
  } catch (thrown) {
    // Below its first line the message shows the place.
    const [summary] = thrown instanceof Error ? thrown.message.split("\n") : [];
    const [, line, column, reason] =
      /^Parse error on line (\d+), column (\d+): (.*)$/.exec(summary ?? "") ?? [];
    // It counts the characters before the place.
    if (line !== undefined) throw source.faultIn(Number(line), Number(column) + 1, reason);
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${source.file}: it is no TOML (${describeError(thrown)}). ` +
        `Expected tables such as [peers.gpu-server].`,
      { cause: thrown },
    );
  }
}

function locate(value: unknown, place: Place): Located {
  const { at } = place;
  const isTable = typeof value === "object" && !Array.isArray(value) && !(value instanceof Date);
  if (!isTable) return { value, at, keyAt: at };
  const members = new Map<string, Located>();
  for (const [key, member] of Object.entries(value as object)) {
    members.set(key, locate(member, place.below.get(key) ?? place));
  }
  return { value: members, at, keyAt: at };
}

/** Where a key is first mentioned, and those below it. */
interface Place {
  readonly at: number;
  readonly below: Map<string, Place>;
}

/** What parts statements, and the items of a list: blanks, line breaks, comments, commas. */
const BETWEEN = /(?:[\s,]+|#.*)*/y;

/** Finds where the keys of a document stand that is known to be TOML. */
class TomlScanner {
  readonly #cursor: Cursor;
  readonly #unquote: (key: string) => string;

  constructor(text: string, unquote: (key: string) => string) {
    this.#cursor = new Cursor(text);
    this.#unquote = unquote;
  }

  scan(): Place {
    const root: Place = { at: 0, below: new Map() };
    let table = root;
    for (this.#cursor.match(BETWEEN); !this.#cursor.isAtEnd; this.#cursor.match(BETWEEN)) {
      if (this.#cursor.match(/\[\[?/y) === null) {
        this.#pair(table);
      } else {
        table = this.#key(root);
        this.#cursor.match(/\]\]?/y);
      }
    }
    return root;
  }

  #pair(table: Place): void {
    const place = this.#key(table);
    this.#cursor.match(/=[ \t]*/y);
    this.#value(place);
  }

  /** Reads a key with all its dots. */
  #key(table: Place): Place {
    let place = table;
    let dot: string | undefined;
    do {
      this.#cursor.match(/[ \t]*/y);
      const { at } = this.#cursor;
      const part = this.#cursor.match(/("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)[ \t]*(\.?)/y);
      if (part === null) {
        // Not expected: what is left keeps the place of the table around it.
        this.#cursor.at = this.#cursor.text.length;
        break;
      }
      const key = /^["']/.test(part[1]) ? this.#unquote(part[1]) : part[1];
      if (!place.below.has(key)) place.below.set(key, { at, below: new Map() });
      place = place.below.get(key)!;
      dot = part[2];
    } while (dot === ".");
    return place;
  }

  #value(place: Place): void {
    if (this.#cursor.match(/\[/y) !== null) {
      // Nothing that is looked for is in an array.
      this.#list(/\]/y, () => this.#value({ at: 0, below: new Map() }));
    } else if (this.#cursor.match(/\{/y) !== null) {
      this.#list(/\}/y, () => this.#pair(place));
    } else if (!this.#string()) {
      this.#cursor.match(/[^,\]}#\n]+/y);
    }
  }

  #list(end: RegExp, readItem: () => void): void {
    this.#cursor.match(BETWEEN);
    while (!this.#cursor.isAtEnd && this.#cursor.match(end) === null) {
      readItem();
      this.#cursor.match(BETWEEN);
    }
  }

  #string(): boolean {
    const quotes = this.#cursor.match(/"""|'''|"|'/y)?.[0];
    if (quotes === undefined) return false;
    const { text } = this.#cursor;
    let { at } = this.#cursor;
    while (at < text.length && !text.startsWith(quotes, at)) {
      at += quotes[0] === '"' && text[at] === "\\" ? 2 : 1;
    }
    at += quotes.length;
    // Up to two more belong to the text.
    while (quotes.length === 3 && text[at] === quotes[0]) at++;
    this.#cursor.at = at;
    return true;
  }
}
