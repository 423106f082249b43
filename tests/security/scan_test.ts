/** Where a code may come from: text, files, bytes and streams, and what is none of them. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { pathToFileURL } from "node:url";
import { NetworkError } from "../../src/base/errors.ts";
import { drawPng, drawSvg } from "../../src/security/qr_drawing.ts";
import { scanQr, scanStream } from "../../src/security/scan.ts";
import { withTempDir } from "../support/temp.ts";
import { fromPng, toJpeg } from "./photograph.ts";

const CODE = "HANZO:1/ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PNG = await drawPng(CODE);
const JPEG = toJpeg(fromPng(PNG));
const MAX_BYTES = 16 * 1024 * 1024;

async function refusal(scan: () => Promise<string>): Promise<string> {
  const error = await assertRejects(scan, NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  return error.message;
}

/** A stream of these pieces, as a pipe brings them. */
function streamOf(...pieces: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    pieces.map((piece) => typeof piece === "string" ? new TextEncoder().encode(piece) : piece),
  );
}

Deno.test("the text of a code is what it is, however it was typed", async () => {
  for (const text of [CODE, CODE.toLowerCase(), ` \n${CODE}`, "Hanz0:1/ABC", "han-zo:1/ABC"]) {
    assertEquals(await scanQr(text), text);
  }
});

Deno.test("a picture reads as a file, as its URL and as its bytes, whatever its name", async () => {
  await withTempDir(async (directory) => {
    for (const [name, bytes] of [["code.png", PNG], ["photo", JPEG]] as const) {
      const path = `${directory}/${name}`;
      await Deno.writeFile(path, bytes);
      assertEquals(await scanQr(path), CODE);
      assertEquals(await scanQr(pathToFileURL(path)), CODE);
      assertEquals(await scanQr(bytes), CODE);
    }
  });
});

Deno.test("a file that is not there, a folder and a text say what they are", async () => {
  await withTempDir(async (directory) => {
    const missing = await refusal(() => scanQr(`${directory}/code.png`));
    assertStringIncludes(missing, "there is no such file");
    assertStringIncludes(await refusal(() => scanQr(directory)), "it is a directory");
    const text = `${directory}/code.txt`;
    await Deno.writeTextFile(text, "hello");
    assertStringIncludes(
      await refusal(() => scanQr(text)),
      "neither a picture (PNG or JPEG) nor a code",
    );
    await Deno.writeTextFile(text, drawSvg(CODE));
    assertStringIncludes(await refusal(() => scanQr(text)), "an SVG drawing");
  });
});

Deno.test("an address of the web is refused, and nothing is fetched", async () => {
  const message = await refusal(() => scanQr(new URL("https://127.0.0.1:9/x?token=secret")));
  assertStringIncludes(message, "Cannot read https://127.0.0.1:9: only files are read");
  assert(!message.includes("secret"));
  assertEquals(await scanQr(new URL(CODE)), CODE.replace("HANZO", "hanzo"));
});

Deno.test("no more than 16 MiB of a file are read", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/large.png`;
    using file = await Deno.create(path);
    await file.truncate(8 * 1024 * MAX_BYTES);
    assertStringIncludes(await refusal(() => scanQr(path)), "longer than 16 MiB");
  });
});

Deno.test("a stream may bring a picture, in whatever pieces", async () => {
  for (const picture of [PNG, JPEG]) {
    const middle = picture.length >> 1;
    const pieces = [picture.subarray(0, 1), picture.subarray(1, middle), picture.subarray(middle)];
    assertEquals(await scanStream(streamOf(...pieces)), CODE);
  }
});

Deno.test("a stream may bring a code as text, wrapped as a mail program wraps it", async () => {
  assertEquals(await scanStream(streamOf("\n", CODE, "\n")), CODE);
  const wrapped = `${CODE.slice(0, 20)}\r\n${CODE.slice(20)}`;
  assertEquals(await scanStream(streamOf(wrapped.slice(0, 7), wrapped.slice(7))), wrapped);
});

Deno.test("a code as text may be in a file, and one of several lines, as it is printed", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/code.txt`;
    const printed = `To join home: hanzo-network join --camera\n${CODE}\nGood for one device.\n`;
    for (const text of [CODE, `\n${CODE}\n`, printed]) {
      await Deno.writeTextFile(path, text);
      assertEquals(await scanQr(path), CODE);
      assertEquals(await scanStream(streamOf(text)), CODE);
    }
  });
});

Deno.test("a stream of anything else is refused, and what was in it is not shown", async () => {
  for (const text of ["", "secret \x1b[31m", "\xff\xfe", "WIFI:S:home;P:secret;;"]) {
    const message = await refusal(() => scanStream(streamOf(text)));
    assertStringIncludes(message, "neither a picture (PNG or JPEG) nor a code");
    assert(!message.includes("secret") && !message.includes("\x1b"));
  }
});

Deno.test("a stream without an end is given up after 16 MiB", async () => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
    cancel() {
      cancelled = true;
    },
  });
  assertStringIncludes(await refusal(() => scanStream(endless)), "longer than 16 MiB");
  assert(cancelled);
});
