/** Where a code may come from: its own text, a picture in a file, bytes, or a stream of either. */

import { NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import { fileError } from "../base/private_file.ts";
import { beginsLikeCode } from "./join_code.ts";
import { isPicture, MAX_PICTURE_BYTES, otherKindOf } from "./picture_file.ts";
import { readQrImage } from "./qr_reading.ts";

/**
 * The code that is in something.
 *
 * @param source A file of PNG, JPEG or text, the bytes of a picture, or the code itself, which begins
 * with `HANZO:`.
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no picture or has no code in it, is too
 * large or cannot be read; `PERMISSION_DENIED`.
 */
export async function scanQr(source: string | URL | Uint8Array): Promise<string> {
  if (source instanceof Uint8Array) return await readQrImage(source);
  if (typeof source === "string" && beginsLikeCode(source)) return source;
  if (source instanceof URL && source.protocol !== "file:") {
    if (beginsLikeCode(source.href)) return source.href;
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read ${source.protocol}//${source.host}: only files are read. Save the picture first.`,
    );
  }
  return await codeIn(await readFile(source), `${source}`);
}

/**
 * The code in what standard input brings: a picture, or text.
 *
 * @throws {NetworkError} As {@linkcode scanQr}.
 */
export async function scanStream(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await codeIn(await readBounded(stream, "standard input"), "standard input");
}

async function codeIn(bytes: Uint8Array, what: string): Promise<string> {
  if (isPicture(bytes) || otherKindOf(bytes) !== undefined) return await readQrImage(bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, 4_096)).trim();
  // It may be broken into lines, or be one of several, as `invite` prints them.
  const code = beginsLikeCode(text) ? text : text.split("\n").find(beginsLikeCode);
  if (code !== undefined) return code;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot use ${what}: it is neither a picture (PNG or JPEG) nor a code, which begins with ` +
      "HANZO:1/.",
  );
}

async function readFile(path: string | URL): Promise<Uint8Array> {
  needGranted(`Cannot read ${path}`, { name: "read", path });
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path);
    if ((await file.stat()).isDirectory) {
      throw new NetworkError("INVALID_ARGUMENT", `Cannot read ${path}: it is a directory.`);
    }
  } catch (thrown) {
    file?.close();
    if (!(thrown instanceof Deno.errors.NotFound)) throw fileError("read", `${path}`, thrown);
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read ${path}: there is no such file. A code begins with HANZO:1/.`,
      { cause: thrown },
    );
  }
  return await readBounded(file.readable, `${path}`);
}

async function readBounded(stream: ReadableStream<Uint8Array>, what: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of stream) {
    length += piece.length;
    if (length > MAX_PICTURE_BYTES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot read ${what}: it is longer than ${MAX_PICTURE_BYTES / 1024 / 1024} MiB.`,
      );
    }
    pieces.push(piece);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
