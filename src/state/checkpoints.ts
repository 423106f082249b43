/** The shared state as of some moment, in files of this node's that are whole or are told to be none. */

import type { JsonValue } from "../base/bounded_json.ts";
import { bytesOf } from "../base/bounded_value.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { removeUnfinished, writePrivate } from "../base/private_file.ts";
import { safeName } from "../base/safe_text.ts";
import {
  CHECKPOINT_VERSION,
  checkpointBytes,
  type CheckpointHead,
  type CheckpointHeader,
  type CheckpointKind,
  readEntries,
  readHead,
} from "./checkpoint_file.ts";
import { changesTo, needRoom, writeChanges } from "./entry_changes.ts";
import type { SharedState } from "./shared_state.ts";
import type { StateSnapshot } from "./state_snapshot.ts";

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
  /**
   * Why it was made: somebody asked for it by name, time had passed, or a restore or an import was to
   * come. Nobody but you removes the first; of each of the others only the newest stay.
   */
  readonly kind: "named" | "interval" | "before";
}

/** What a restore has changed. */
export interface Restored {
  /** The state as it was before, as a checkpoint; null where nothing had to be changed. */
  readonly before: string | null;
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
  /** Takes one of all that was written so far. */
  readonly snapshot: () => StateSnapshot;
  /** By how many bytes the state may grow. */
  readonly room: () => number;
}

/** Those that nobody has named are kept up to a number, and to how many bytes they take together. */
export interface KeptCheckpoints {
  readonly count: number;
  readonly bytes: number;
}

const SUFFIX = ".checkpoint";
const MAX_NAME_BYTES = 256;
/** Of those that restores and imports make before they write. */
const KEPT_BEFORE: KeptCheckpoints = { count: 10, bytes: Infinity };

const encoder = new TextEncoder();

interface Found {
  readonly header: CheckpointHeader;
  readonly bytes: number;
}

/** See the top of the file. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #last: Promise<unknown> = Promise.resolve();
  #lastRestore: Promise<unknown> = Promise.resolve();
  #latest: Checkpoint | undefined;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** The last one that was made, as far as it is known without looking. */
  get latest(): Checkpoint | undefined {
    return this.#latest;
  }

  /**
   * Keeps the state as it is now; one of that name gives way to it. Whole and on the disk when it
   * resolves: a crash before leaves the one that was there.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` for a name that is none; `FAILED_PRECONDITION` when a
   * later version has made one of that name; `RESOURCE_EXHAUSTED` when the disk is full.
   */
  save(name: string): Promise<Checkpoint> {
    return this.#inTurn(async () => {
      const path = await this.#pathOf(name);
      const action = `save checkpoint "${safeName(name, 64)}"`;
      const there = await readHead(path).catch(() => undefined);
      if (there?.is === "later") throw later(action, there.version);
      return await this.#write(path, name, "named", action);
    });
  }

  /**
   * Keeps the state because time has passed, unless nothing was written since the last time.
   *
   * @param kept How many of these stay: the newest; the new one in any case.
   * @param signal Ends it as long as nothing is on the disk.
   * @returns Undefined when there was no need of it.
   * @throws {NetworkError} As {@linkcode save}.
   */
  saveByInterval(kept: KeptCheckpoints, signal?: AbortSignal): Promise<Checkpoint | undefined> {
    return this.#inTurn(async () => {
      const last = (await this.#find()).find(({ header }) => header.kind === "interval");
      using snapshot = this.#options.snapshot();
      if (snapshot.mark === last?.header.mark || snapshot.isBlank) return undefined;
      return await this.#saveUnnamed("interval", kept, snapshot, signal);
    });
  }

  /** Keeps the state before much of it is replaced; `before` is a part of its name. */
  saveBefore(before: "restore" | "import"): Promise<Checkpoint> {
    return this.#inTurn(async () => {
      using snapshot = this.#options.snapshot();
      return await this.#saveUnnamed("before", KEPT_BEFORE, snapshot, undefined, before);
    });
  }

  /** Those that there are, the newest first; of those that were cut or overwritten nothing is told. */
  async list(): Promise<Checkpoint[]> {
    return (await this.#find()).map(shown);
  }

  /**
   * Brings keys and values back as they were then. That is a write like any other: all devices come
   * to it. What was there before is kept as a checkpoint first. One goes after the other.
   *
   * @throws {NetworkError} `NOT_FOUND`; `FAILED_PRECONDITION` when it is damaged or a later version
   * has made it; `RESOURCE_EXHAUSTED` when there is no room for it: nothing was changed then.
   */
  restore(name: string): Promise<Restored> {
    // Two at once would come to what neither of them has.
    const result = this.#lastRestore.then(() => this.#restore(name));
    this.#lastRestore = result.catch(() => {});
    return result;
  }

  async #restore(name: string): Promise<Restored> {
    checkName(name);
    const action = `restore checkpoint "${safeName(name, 64)}"`;
    const wanted = await this.#contentOf(name, action);
    const { snapshot, state, room } = this.#options;
    const changes = await changesTo(snapshot, wanted, "go");
    needRoom(changes, { action, room: room() });
    const { set, deleted } = changes;
    // One that is made for nothing would push out one that somebody may need.
    if (set + deleted === 0) return { before: null, set, deleted };
    const { name: before } = await this.saveBefore("restore");
    await writeChanges(state(), changes, before);
    return { before, set, deleted };
  }

  /** Removes one; returns whether there was one. */
  async delete(name: string): Promise<boolean> {
    checkName(name);
    try {
      await Deno.remove(await this.#pathOf(name));
      if (this.#latest?.name === name) await this.#find();
      return true;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return false;
      throw fileError(`delete checkpoint "${safeName(name, 64)}"`, thrown);
    }
  }

  /** Removes what a process that was killed has left. */
  async removeUnfinished(): Promise<void> {
    await removeUnfinished(this.#options.directory).catch(() => {});
  }

  /** One is written at a time: two would need twice the room, and count each other wrongly. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #saveUnnamed(
    kind: "interval" | "before",
    kept: KeptCheckpoints,
    snapshot: StateSnapshot,
    signal?: AbortSignal,
    before?: string,
  ): Promise<Checkpoint> {
    const time = new Date(this.#options.clock.wallTime()).toISOString();
    const prefix = before === undefined ? "interval" : `before-${before}`;
    const action = `save a checkpoint ${before === undefined ? "by interval" : `before ${before}`}`;
    // A clock that is set back comes by the same time again.
    let name = `${prefix} ${time}`;
    for (let i = 2; await isThere(await this.#pathOf(name)); i++) name = `${prefix} ${time} ${i}`;
    const path = await this.#pathOf(name);
    const made = await this.#write(path, name, kind, action, snapshot, signal);
    await this.#prune(kind, kept);
    return made;
  }

  async #write(
    path: string,
    name: string,
    kind: CheckpointKind,
    action: string,
    given?: StateSnapshot,
    signal?: AbortSignal,
  ): Promise<Checkpoint> {
    const { clock, nodeId, directory } = this.#options;
    const found = await this.#find();
    const order = Math.max(0, ...found.map(({ header }) => header.order)) + 1;
    // As of now, and not as of when the ones before it were being written.
    using own = given === undefined ? this.#options.snapshot() : undefined;
    const label = { name, createdAt: clock.wallTime(), nodeId, kind, order };
    const { header, parts } = await checkpointBytes(label, (given ?? own)!, signal);
    try {
      await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw fileError(action, thrown);
    }
    await writePrivate(path, parts);
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    return this.#latest = shown({ header, bytes });
  }

  async #contentOf(name: string, action: string): Promise<Map<string, JsonValue>> {
    const path = await this.#pathOf(name);
    let head: CheckpointHead;
    let entries: Map<string, JsonValue> | undefined;
    try {
      head = await readHead(path);
      if (head.is === "later") throw later(action, head.version);
      const isIt = head.is === "good" && head.header.name === name;
      entries = isIt ? await readEntries(path, head as CheckpointHead & { is: "good" }) : undefined;
    } catch (thrown) {
      if (thrown instanceof NetworkError) throw thrown;
      if (thrown instanceof Deno.errors.NotFound) {
        const message = `Cannot ${action}: there is none. See: hanzo-network checkpoint list`;
        throw new NetworkError("NOT_FOUND", message);
      }
      throw fileError(action, thrown);
    }
    if (entries === undefined) throw damaged(action, path);
    return entries;
  }

  /** Those that are whole, the last one that was made first, whatever the clock showed. */
  async #find(): Promise<Found[]> {
    const { directory } = this.#options;
    const found: Found[] = [];
    try {
      for await (const { name: file } of Deno.readDir(directory)) {
        if (!file.endsWith(SUFFIX)) continue;
        const head = await readHead(`${directory}/${file}`).catch(() => undefined);
        if (head?.is !== "good") continue;
        // A file that bears another one's name would be restored as it.
        if (await this.#pathOf(head.header.name) !== `${directory}/${file}`) continue;
        found.push({ header: head.header, bytes: head.bodyAt + head.header.length });
      }
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) {
        throw fileError("list the checkpoints", thrown);
      }
    }
    found.sort((one, other) => other.header.order - one.header.order);
    this.#latest = found.length === 0 ? undefined : shown(found[0]);
    return found;
  }

  async #prune(kind: CheckpointKind, { count, bytes }: KeptCheckpoints): Promise<void> {
    let taken = 0;
    const ofKind = (await this.#find()).filter(({ header }) => header.kind === kind);
    for (const [index, found] of ofKind.entries()) {
      taken += found.bytes;
      if (index > 0 && (index >= count || taken > bytes)) await this.delete(found.header.name);
    }
  }

  /** Names are data: nothing of one is a part of the path. */
  async #pathOf(name: string): Promise<string> {
    checkName(name);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(name)));
    return `${this.#options.directory}/${digest.toHex().slice(0, 40)}${SUFFIX}`;
  }
}

function shown({ header, bytes }: Found): Checkpoint {
  const { name, createdAt, nodeId, keys, kind } = header;
  return { name, createdAt, nodeId, keys, bytes, kind };
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
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
    `Cannot ${action}: it is of version ${version}, and this program knows ${CHECKPOINT_VERSION}. ` +
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

/** @throws {NetworkError} `INVALID_ARGUMENT` when no checkpoint can have that name. */
function checkName(name: string): void {
  const bytes = typeof name === "string" && name.isWellFormed() ? bytesOf(name) : 0;
  if (bytes > 0 && bytes <= MAX_NAME_BYTES) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot use a checkpoint of that name: it is a text of 1 to ${MAX_NAME_BYTES} bytes.`,
  );
}
