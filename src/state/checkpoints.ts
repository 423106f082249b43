/** The shared state as of some moment, in files of this node's that are whole or are told to be none. */

import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { bytesOf } from "../base/bounded_value.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { writePrivate } from "../base/private_file.ts";
import { safeName } from "../base/safe_text.ts";
import { MAX_DEPTH } from "./row_transaction.ts";
import type { SharedState } from "./shared_state.ts";

/** A state that was kept. */
export interface Checkpoint {
  /** What it is called: any text of 1 to 256 bytes. */
  readonly name: string;
  /** When it was made, in milliseconds since 1970, by this device's clock. */
  readonly createdAt: number;
  /** The node that made it. */
  readonly nodeId: string;
  /** How many keys are in it. */
  readonly keys: number;
  /** What its file takes, in bytes. */
  readonly bytes: number;
  /** Whether nobody asked for it: only the newest ten of these are kept. */
  readonly isAutomatic: boolean;
}

/** What a restore has changed. */
export interface Restored {
  /** The state as it was before, as a checkpoint. */
  readonly before: string;
  /** Keys that have another value now. */
  readonly set: number;
  /** Keys that are gone. */
  readonly deleted: number;
}

/** What {@linkcode Checkpoints} are made of. */
export interface CheckpointsOptions {
  /** Where they are kept; it is made when the first one is. */
  readonly directory: string;
  readonly nodeId: string;
  readonly clock: Clock;
  readonly state: () => SharedState;
}

const FORMAT = "hanzo-network-checkpoint";
const VERSION = 1;
const SUFFIX = ".checkpoint";
const MAX_NAME_BYTES = 256;
/** Twice what a state may be, which others may have filled at the same time. */
const MAX_BYTES = 512 * 2 ** 20;
const MAX_HEADER_BYTES = 8 * 1024;
/** Automatic ones that are kept. */
const MAX_AUTOMATIC = 10;
/** What a restore writes together. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** Entries of a body are three levels above what values may be. */
const BODY_DEPTH = MAX_DEPTH + 3;
const NEWLINE = 10;

interface Header extends Omit<Checkpoint, "bytes"> {
  readonly format: string;
  readonly version: number;
  /** Of the body, in bytes. */
  readonly length: number;
}

const encoder = new TextEncoder();

/** See the top of the file. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /**
   * Keeps the state as it is now; one of that name gives way to it. Whole and on the disk when it
   * resolves: a crash before leaves the one that was there.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` for a name that is none; `FAILED_PRECONDITION` when a
   * later version has made one of that name; `RESOURCE_EXHAUSTED` when the disk is full.
   */
  save(name: string): Promise<Checkpoint> {
    return this.#save(name, false);
  }

  /** Those that there are, the newest first; of damaged ones nothing is told. */
  async list(): Promise<Checkpoint[]> {
    const found: Checkpoint[] = [];
    for (const file of await this.#files()) {
      const bytes = await this.#read(file).catch(() => undefined);
      const header = bytes && headerOf(bytes)?.header;
      if (header?.version === VERSION) found.push(shown(header, bytes!.length));
    }
    return found.sort((one, other) => other.createdAt - one.createdAt);
  }

  /**
   * Brings keys and values back as they were then. That is a write like any other: all devices come
   * to it. What was there before is kept as a checkpoint first.
   *
   * @throws {NetworkError} `NOT_FOUND`; `FAILED_PRECONDITION` when it is damaged or a later version
   * has made it: nothing was changed then.
   */
  async restore(name: string): Promise<Restored> {
    const { state, clock } = this.#options;
    const wanted = await this.#contentOf(name);
    const before = `before-restore ${new Date(clock.wallTime()).toISOString()}`;
    await this.#save(before, true);
    await this.#prune();
    const now = new Map(state().entries());
    const gone = [...now.keys()].filter((key) => !wanted.has(key));
    const changed = [...wanted].filter(([key, value]) =>
      JSON.stringify(now.get(key)) !== JSON.stringify(value)
    );
    const steps = [
      ...gone.map((key) => ({ key, value: undefined, bytes: bytesOf(key) })),
      ...changed.map(([key, value]) => ({ key, value, bytes: bytesOf(JSON.stringify(value)) })),
    ];
    while (steps.length > 0) {
      await state().transact((tx) => {
        for (let bytes = 0; bytes < CHUNK_BYTES && steps.length > 0;) {
          const step = steps.shift()!;
          bytes += step.bytes + bytesOf(step.key);
          if (step.value === undefined) tx.delete(step.key);
          else tx.set(step.key, step.value);
        }
      });
    }
    return { before, set: changed.length, deleted: gone.length };
  }

  /** Removes one; returns whether there was one. */
  async delete(name: string): Promise<boolean> {
    try {
      await Deno.remove(await this.#pathOf(name));
      return true;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return false;
      throw fileError(`delete checkpoint "${safeName(name, 64)}"`, thrown);
    }
  }

  async #save(name: string, isAutomatic: boolean): Promise<Checkpoint> {
    const { state, clock, nodeId, directory } = this.#options;
    const path = await this.#pathOf(name);
    const action = `save checkpoint "${safeName(name, 64)}"`;
    const there = await this.#read(path).catch(() => undefined);
    const version = there && headerOf(there)?.header.version;
    if (version !== undefined && version !== VERSION) throw later(action, version);
    const entries = state().entries();
    const body = encoder.encode(JSON.stringify(entries));
    const header: Header = {
      format: FORMAT,
      version: VERSION,
      name,
      createdAt: clock.wallTime(),
      nodeId,
      keys: entries.length,
      isAutomatic,
      length: body.length,
    };
    const head = encoder.encode(JSON.stringify(header));
    const bytes = new Uint8Array(head.length + 1 + body.length + 1 + 64);
    bytes.set(head);
    bytes[head.length] = NEWLINE;
    bytes.set(body, head.length + 1);
    bytes[head.length + 1 + body.length] = NEWLINE;
    const sum = await sumOf(bytes.subarray(0, -64));
    bytes.set(encoder.encode(sum), bytes.length - 64);
    try {
      await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw fileError(action, thrown);
    }
    await writePrivate(path, bytes);
    return shown(header, bytes.length);
  }

  async #contentOf(name: string): Promise<Map<string, JsonValue>> {
    const action = `restore checkpoint "${safeName(name, 64)}"`;
    const path = await this.#pathOf(name);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await this.#read(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) {
        const message = `Cannot ${action}: there is none. See: hanzo-network checkpoint list`;
        throw new NetworkError("NOT_FOUND", message);
      }
      throw fileError(action, thrown);
    }
    const read = headerOf(bytes);
    if (read === undefined) throw damaged(action, path);
    if (read.header.version !== VERSION) throw later(action, read.header.version);
    const { header, bodyAt } = read;
    const end = bodyAt + header.length;
    const sum = new TextDecoder().decode(bytes.subarray(end + 1));
    if (bytes.length !== end + 65 || header.name !== name) throw damaged(action, path);
    if (await sumOf(bytes.subarray(0, -64)) !== sum) throw damaged(action, path);
    const bounds = { maxBytes: MAX_BYTES, maxDepth: BODY_DEPTH };
    return new Map(parseBoundedJson(bytes.subarray(bodyAt, end), bounds) as [string, JsonValue][]);
  }

  /** Whole files of modest size; no link is followed. */
  async #read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    const { isFile, size } = await Deno.lstat(path);
    if (!isFile || size > MAX_BYTES) {
      throw new Error("it is no regular file of a checkpoint's size");
    }
    return await Deno.readFile(path);
  }

  async #files(): Promise<string[]> {
    const { directory } = this.#options;
    try {
      const files = await Array.fromAsync(Deno.readDir(directory));
      return files.filter(({ name }) => name.endsWith(SUFFIX)).map(({ name }) =>
        `${directory}/${name}`
      );
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return [];
      throw fileError("list the checkpoints", thrown);
    }
  }

  async #prune(): Promise<void> {
    const automatic = (await this.list()).filter(({ isAutomatic }) => isAutomatic);
    for (const { name } of automatic.slice(MAX_AUTOMATIC)) await this.delete(name);
  }

  /** Names are data: nothing of one is a part of the path. */
  async #pathOf(name: string): Promise<string> {
    const bytes = typeof name === "string" && name.isWellFormed() ? bytesOf(name) : 0;
    if (bytes === 0 || bytes > MAX_NAME_BYTES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot use a checkpoint of that name: it is a text of 1 to ${MAX_NAME_BYTES} bytes.`,
      );
    }
    return `${this.#options.directory}/${
      (await sumOf(encoder.encode(name))).slice(0, 40)
    }${SUFFIX}`;
  }
}

/** Undefined when there is none that could be read. */
function headerOf(
  bytes: Uint8Array<ArrayBuffer>,
): { header: Header; bodyAt: number } | undefined {
  const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(NEWLINE);
  if (end < 0) return undefined;
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as Header;
    if (header.format !== FORMAT || !Number.isInteger(header.version)) return undefined;
    return { header, bodyAt: end + 1 };
  } catch {
    return undefined;
  }
}

function shown({ name, createdAt, nodeId, keys, isAutomatic }: Header, bytes: number): Checkpoint {
  return { name, createdAt, nodeId, keys, bytes, isAutomatic };
}

async function sumOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function damaged(action: string, path: string): NetworkError {
  return new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot ${action}: its file ${path} is damaged. Take another one: hanzo-network checkpoint list`,
  );
}

function later(action: string, version: number): NetworkError {
  return new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot ${action}: it is of version ${version}, and this program knows ${VERSION}. ` +
      "Install the newer hanzo-network again.",
  );
}

function fileError(action: string, thrown: unknown): NetworkError {
  const isDenied = thrown instanceof Deno.errors.PermissionDenied ||
    thrown instanceof Deno.errors.NotCapable;
  const code = isDenied
    ? "PERMISSION_DENIED"
    : /No space|full/i.test(describeError(thrown))
    ? "RESOURCE_EXHAUSTED"
    : "FAILED_PRECONDITION";
  return NetworkError.from(thrown, code, `Cannot ${action}`);
}
