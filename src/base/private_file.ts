/** Files that nobody else may read, written whole or not at all. */

import { describeError, NetworkError } from "./errors.ts";
import { needGranted } from "./permissions.ts";

/** What is read of a file at most, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What a file is to hold: a text, bytes, or bytes in parts. */
export type FileContent = string | Uint8Array | readonly Uint8Array[];

/** A text and what it was read from. */
export interface PrivateText {
  readonly text: string;
  /** Whether others of this machine could read it; they no longer can. */
  readonly wasOpen: boolean;
}

/**
 * Reads a file that only its owner may read, and closes it to the others where it was open.
 *
 * @returns Undefined when there is none.
 * @throws {NetworkError} `PERMISSION_DENIED`, or `FAILED_PRECONDITION` when it is no regular file
 * (a symbolic link would lead elsewhere) or longer than 4 MiB.
 */
export async function readPrivate(path: string): Promise<PrivateText | undefined> {
  needGranted(`Cannot read ${path}`, { name: "read", path });
  try {
    const { isFile, mode, size } = await Deno.lstat(path);
    if (!isFile) throw notUsable(path, "it is no regular file");
    if (size > MAX_BYTES) throw notUsable(path, `it is longer than ${MAX_BYTES} bytes`);
    // Windows has no such bits; there the directory of the user is closed to others.
    const wasOpen = Deno.build.os !== "windows" && mode !== null && (mode & 0o077) !== 0;
    if (wasOpen) {
      needGranted(`Cannot close ${path} to others`, { name: "write", path });
      await Deno.chmod(path, 0o600);
    }
    return { text: await Deno.readTextFile(path), wasOpen };
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw fileError("read", path, thrown);
  }
}

/**
 * Writes a file of mode 0600: after a crash at any moment there is the old one or the new one. When
 * it resolves, the new one is on the disk.
 *
 * @throws {NetworkError} `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED` when the disk is full.
 */
export async function writePrivate(path: string, text: FileContent): Promise<void> {
  await place(path, text, (temporary) => Deno.rename(temporary, path));
}

/**
 * The same for files that only count together: where one cannot be written, none is changed.
 *
 * @param texts By the name of the file in `directory`.
 */
export async function writePrivateTogether(
  directory: string,
  texts: Readonly<Record<string, string>>,
): Promise<void> {
  const renames: [from: string, to: string][] = [];
  try {
    for (const [name, text] of Object.entries(texts)) {
      const path = `${directory}/${name}`;
      await place(path, text, (temporary) => {
        // What follows may be too much for the disk.
        renames.push([temporary, path]);
        return Promise.resolve();
      });
    }
    for (const [from, to] of renames) {
      await Deno.rename(from, to).catch((cause) => {
        throw fileError("write", to, cause);
      });
    }
    await syncDirectory(directory);
  } catch (thrown) {
    for (const [from] of renames) await Deno.remove(from).catch(() => {});
    throw thrown;
  }
}

/**
 * The same for a file that is not there yet; one of another process is left as it is.
 *
 * @returns Whether it was written.
 * @throws {NetworkError} As {@linkcode writePrivate}.
 */
export async function createPrivate(path: string, text: FileContent): Promise<boolean> {
  let isNew = true;
  await place(path, text, async (temporary) => {
    try {
      // Unlike a rename it never takes the place of another file.
      await Deno.link(temporary, path);
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
      isNew = false;
    }
    await Deno.remove(temporary);
  });
  return isNew;
}

/** What {@linkcode place} calls a file that is not whole yet. */
const UNFINISHED = /\.[0-9a-f]{8}\.new$/;

async function place(
  path: string,
  content: FileContent,
  settle: (temporary: string) => Promise<void>,
): Promise<void> {
  // A name of its own: two processes may write at the same time.
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.new`;
  const directory = directoryOf(path);
  needGranted(
    `Cannot write ${path}`,
    { name: "read", path: directory },
    { name: "write", path: directory },
  );
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    try {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      for (const part of bytes instanceof Uint8Array ? [bytes] : bytes) {
        for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
      }
      await file.sync();
    } finally {
      file.close();
    }
    await settle(temporary);
    await syncDirectory(directory);
  } catch (thrown) {
    await Deno.remove(temporary).catch(() => {});
    throw fileError("write", path, thrown);
  }
}

/**
 * Removes what processes that were killed have left in a directory when they wrote: nobody writes
 * for as long as a minute.
 */
export async function removeUnfinished(directory: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile || !UNFINISHED.test(name)) continue;
    const path = `${directory}/${name}`;
    const { mtime } = await Deno.lstat(path).catch(() => ({ mtime: null }));
    const isOld = mtime !== null && Date.now() - mtime.getTime() > 60_000;
    if (isOld) await Deno.remove(path).catch(() => {});
  }
}

function directoryOf(path: string): string {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return end < 0 ? "./" : path.slice(0, end) || "/";
}

/** A rename is on the disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const directory = await Deno.open(path);
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}

/** What using a file failed with, in this package's terms. */
export function fileError(action: "read" | "write", path: string, cause: unknown): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const what = `Cannot ${action} ${path}`;
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${what}: not permitted. Grant --allow-read and --allow-write for its directory.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${what}: the system denies it. Let the user who runs this own it.`,
      { cause },
    );
  }
  const reason = describeError(cause);
  if (/No space left|ENOSPC|quota/i.test(reason)) {
    return new NetworkError("RESOURCE_EXHAUSTED", `${what}: the disk is full. Make room there.`, {
      cause,
    });
  }
  return new NetworkError("FAILED_PRECONDITION", `${what}: ${reason}.`, { cause });
}

function notUsable(path: string, why: string): NetworkError {
  return new NetworkError("FAILED_PRECONDITION", `Cannot read ${path}: ${why}. Remove it.`);
}
