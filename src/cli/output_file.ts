/** Files that a command writes because it was told to. */

import { NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import { writePrivate } from "../base/private_file.ts";

/**
 * What is written takes the place of a file, or of a link to one: no device is to be lost so.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT`.
 */
export async function refuseSpecial(path: string): Promise<void> {
  needGranted(`Cannot write ${path}`, { name: "read", path });
  const there = await Deno.stat(path).catch(() => undefined);
  if (there === undefined || there.isFile) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot write ${path}: it is ${there.isDirectory ? "a directory" : "no regular file"}. ` +
      `For standard output give -.`,
  );
}

/**
 * Refuses to take the place of a file, unless that is asked for.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION`; `INVALID_ARGUMENT` as {@linkcode refuseSpecial}.
 */
export async function needNewFile(path: string, overwrite: boolean): Promise<void> {
  await refuseSpecial(path);
  if (overwrite || await Deno.lstat(path).then(() => false, () => true)) return;
  throw new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot write ${path}: it is there already. Name another file, or give --overwrite.`,
  );
}

/** Writes a file that nobody else may read, whole or not at all. */
export async function writeOutput(path: string, text: string, overwrite: boolean): Promise<void> {
  await needNewFile(path, overwrite);
  await writePrivate(path, text);
}
