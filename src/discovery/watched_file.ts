/** A file of peers that is read again whenever it changes, however it is replaced. */

import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { needGranted } from "../base/permissions.ts";
import type { ManualPeer } from "./manual_peer.ts";
import { MAX_PEERS_FILE_BYTES, parsePeersFile } from "./peers_file.ts";

/** What is asked of the file system. */
export interface FilePort {
  /** A text that differs whenever the file has changed; undefined while there is none. */
  stamp(path: string): Promise<string | undefined>;
  /** What is in the file; of one that is too large, more than {@linkcode MAX_PEERS_FILE_BYTES}. */
  read(path: string): Promise<Uint8Array>;
}

/**
 * For so long after a change the file is read at each look, in milliseconds: the coarsest file
 * system counts time in steps of 2 s, and a second change within one leaves no trace.
 */
const SETTLE_MS = 2_000;

/** A file that is looked at again and again, so that it does not matter how it is replaced. */
export class WatchedFile {
  readonly #path: string;
  readonly #files: FilePort;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #peers: readonly ManualPeer[] = [];
  #stamp: string | undefined;
  #stampedAt = -Infinity;
  #isMissing = false;
  /** What was read last, good or bad. */
  #bytes: Uint8Array | undefined;
  /** What was logged of not being able to read it. */
  #complaint: string | undefined;

  constructor(path: string, files: FilePort, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#files = files;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What the last good version lists. */
  get peers(): readonly ManualPeer[] {
    return this.#peers;
  }

  /** Reads it if it has changed; says whether what it lists may have. */
  async look(): Promise<boolean> {
    const bytes = await this.#readChanged();
    this.#complaint = undefined;
    if (bytes === undefined || (this.#bytes !== undefined && areEqual(bytes, this.#bytes))) {
      return false;
    }
    // Before it turns out to be bad, so that this is told only once.
    this.#bytes = bytes;
    this.#peers = await parsePeersFile(this.#path, bytes);
    return true;
  }

  /** The same, but what is wrong is logged, once, and the last good version holds. */
  async lookAgain(): Promise<boolean> {
    try {
      if (!await this.look()) return false;
    } catch (thrown) {
      const problem = describeError(thrown);
      if (problem !== this.#complaint) {
        this.#logger.warn("{problem} The peers that it listed before stay.", { problem });
      }
      this.#complaint = problem;
      return false;
    }
    this.#logger.info("Read the peers file {file} again: {count} peers", {
      file: this.#path,
      count: this.#peers.length,
    });
    return true;
  }

  /** What is in it, unless it is not there or certainly as it was. */
  async #readChanged(): Promise<Uint8Array | undefined> {
    try {
      // Before reading: what changes meanwhile has another stamp at the next look.
      const stamp = await this.#files.stamp(this.#path);
      this.#noteWhetherMissing(stamp === undefined);
      if (stamp === undefined) return undefined;
      if (stamp !== this.#stamp) this.#stampedAt = this.#clock.now();
      else if (this.#clock.now() - this.#stampedAt > SETTLE_MS) return undefined;
      const bytes = await this.#files.read(this.#path);
      this.#stamp = stamp;
      return bytes;
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw fileError(this.#path, thrown);
      this.#noteWhetherMissing(true);
      return undefined;
    }
  }

  #noteWhetherMissing(isMissing: boolean): void {
    if (isMissing && !this.#isMissing) {
      this.#logger.warn("There is no peers file {file}: it is read as soon as there is", {
        file: this.#path,
      });
    }
    this.#isMissing = isMissing;
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function fileError(path: string, cause: unknown): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const action = `Cannot read the peers file ${path}`;
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: not permitted. Grant --allow-read for it.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: the system denies it. Make it readable to the user who runs this node.`,
      { cause },
    );
  }
  return new NetworkError(
    "FAILED_PRECONDITION",
    `${action}: ${describeError(cause)}. Give the path of a file in JSON or TOML.`,
    { cause },
  );
}

/** The files of this system. */
export const systemFiles: FilePort = {
  async stamp(path) {
    needGranted(`Cannot read the peers file ${path}`, { name: "read", path });
    let info: Deno.FileInfo;
    try {
      // Of what a symbolic link leads to: it may be changed to lead elsewhere.
      info = await Deno.stat(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return undefined;
      throw thrown;
    }
    // Reading a pipe would wait for whoever writes to it.
    if (!info.isFile) throw new TypeError("it is not a regular file");
    const { mtime, ctime, size, dev, ino } = info;
    return [mtime?.getTime(), ctime?.getTime(), size, dev, ino].join("/");
  },

  async read(path) {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(MAX_PEERS_FILE_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) break;
      length += count;
    }
    return bytes.slice(0, length);
  },
};
