/** Where a machine keeps its network's key: one for all its nodes, and for nobody else. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { encodeKeyring, type Keyring, newKeyring, rotated } from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { startProcess } from "../support/process.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { assertShowsNoPieceOf } from "../support/secrets.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const CHILD = new URL("keyring_child.ts", import.meta.url).pathname;
const hasModes = Deno.build.os !== "windows";

/** A file in a directory, with its log. */
function fileIn(directory: string) {
  const { logger, lines } = recordingLogger();
  return { file: new KeyringFile(directory, logger), path: `${directory}/keyring.json`, lines };
}

function secretsOf({ keys }: Keyring): string[] {
  return keys.map(({ key }) => Buffer.from(key.reveal()).toString("base64url"));
}

/** Two keys, so that there is one with a limit as well. */
function twoKeys(): Keyring {
  return rotated(newKeyring("home"), { now: Date.now(), graceMs: 60_000 });
}

/** Asserts what an attempt fails with, and that it shows nothing of the keys. */
async function refusal(
  attempt: () => Promise<unknown>,
  code: ErrorCode,
  secrets: readonly string[] = [],
): Promise<string> {
  const error = await assertRejects(attempt, NetworkError);
  assertEquals(error.code, code, error.message);
  for (const secret of secrets) assertShowsNoPieceOf(Deno.inspect(error), secret);
  return error.message;
}

Deno.test("a network is made at the first start and found again at every other", async () => {
  await withTempDir(async (directory) => {
    const { file, path, lines } = fileIn(directory);
    assertEquals([await file.read(), await file.stamp()], [undefined, undefined]);
    const made = await file.readOrMake("home");
    assertEquals([made.networkName, made.keys.length], ["home", 1]);
    const again = await fileIn(directory).file.readOrMake("another name");
    assertEquals(encodeKeyring(again), encodeKeyring(made));
    if (hasModes) assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
    assertEquals(lines("warn"), []);
  });
});

Deno.test("the mode is 0600 whatever the umask is, and after every write", async () => {
  await withTempDir(async (directory) => {
    const { file, path } = fileIn(directory);
    const umask = Deno.umask(0);
    try {
      const ring = await file.readOrMake("home");
      assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
      await Deno.chmod(path, 0o666);
      await file.write(rotated(ring, { now: 0, graceMs: 1 }));
      assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
    } finally {
      Deno.umask(umask);
    }
  });
});

Deno.test("nodes of one process that start at once are of one network", async () => {
  await withTempDir(async (directory) => {
    const rings = await Promise.all(
      Array.from({ length: 20 }, () => fileIn(directory).file.readOrMake("home")),
    );
    assertEquals(new Set(rings.map(encodeKeyring)).size, 1);
  });
});

Deno.test("processes that start at once are of one network", async () => {
  await withTempDir(async (directory) => {
    await using stack = new AsyncDisposableStack();
    const children = Array.from(
      { length: 4 },
      () => stack.use(startProcess(Deno.execPath(), ["run", "-A", "--no-check", CHILD, directory])),
    );
    const slow = { timeoutMs: 30_000 };
    for (const child of children) {
      await child.waitForLine((line) => line === "ready", { what: "a child", ...slow });
    }
    await Deno.writeTextFile(`${directory}/go`, "");
    const tags = await Promise.all(
      children.map((child) =>
        child.waitForLine((line) => line.startsWith("tag"), { what: "a tag", ...slow })
      ),
    );
    assertEquals(new Set(tags).size, 1);
    const kept = await fileIn(directory).file.read();
    assertEquals(tags[0], `tag ${kept?.keys[0].key.tag}`, "the one that is kept");
  });
});

Deno.test({
  name: "a key that others could read is closed to them, and its owner told what to do",
  ignore: skipUnless(hasModes, "Windows has no such modes"),
  fn: () =>
    withTempDir(async (directory) => {
      const { file, path, lines } = fileIn(directory);
      const ring = await file.readOrMake("home");
      await Deno.chmod(path, 0o644);
      assertEquals(encodeKeyring((await file.read())!), encodeKeyring(ring));
      assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
      assertEquals(lines("warn").length, 1);
      assertStringIncludes(lines("warn")[0], path);
      assertStringIncludes(lines("warn")[0], "hanzo-network key rotate");
      await file.read();
      assertEquals(lines("warn").length, 1, "once");
      for (const secret of secretsOf(ring)) assertShowsNoPieceOf(lines("warn")[0], secret);
    }),
});

Deno.test("what could not be read again is not written, and what is kept stays", async () => {
  await withTempDir(async (directory) => {
    const { file } = fileIn(directory);
    const ring = await file.readOrMake("home");
    const [newest] = ring.keys;
    await refusal(
      () => file.write({ ...ring, keys: [{ ...newest, epoch: 2 ** 52 + 1 }] }),
      "PROTOCOL",
      secretsOf(ring),
    );
    assertEquals(encodeKeyring((await file.read())!), encodeKeyring(ring));
  });
});

Deno.test("a file that is cut off at any byte is refused, without the key, and stays as it is", async () => {
  await withTempDir(async (directory) => {
    const { file, path } = fileIn(directory);
    const ring = twoKeys();
    const text = encodeKeyring(ring);
    for (let length = 0; length < text.length; length++) {
      await Deno.writeTextFile(path, text.slice(0, length), { mode: 0o600 });
      const message = await refusal(
        () => file.readOrMake("home"),
        "FAILED_PRECONDITION",
        secretsOf(ring),
      );
      if (length % 100 > 0) continue;
      assertStringIncludes(message, `Cannot read the network's key from ${path}`);
      assertStringIncludes(message, "Restore the file, or remove it and join again");
      assertEquals(
        await Deno.readTextFile(path),
        text.slice(0, length),
        "nothing is written over it",
      );
    }
  });
});

Deno.test("a file with any one bit turned is read or refused, never anything else", async () => {
  await withTempDir(async (directory) => {
    const { file, path } = fileIn(directory);
    const ring = twoKeys();
    const original = new TextEncoder().encode(encodeKeyring(ring));
    for (let at = 0; at < original.length; at++) {
      const bytes = original.slice();
      bytes[at] ^= 1 << (at % 8);
      await Deno.writeFile(path, bytes, { mode: 0o600 });
      try {
        assertEquals((await file.read())?.keys.length, 2);
      } catch (thrown) {
        assert(thrown instanceof NetworkError, String(thrown));
        assertEquals(thrown.code, "FAILED_PRECONDITION");
        for (const secret of secretsOf(ring)) assertShowsNoPieceOf(Deno.inspect(thrown), secret);
      }
    }
  });
});

Deno.test({
  name: "a symbolic link and a directory in its place are refused, and left alone",
  ignore: skipUnless(hasModes, "Windows has links for administrators only"),
  fn: () =>
    withTempDir(async (directory) => {
      const { file, path } = fileIn(directory);
      await Deno.writeTextFile(`${directory}/elsewhere`, encodeKeyring(twoKeys()));
      await Deno.symlink(`${directory}/elsewhere`, path);
      const message = await refusal(() => file.readOrMake("home"), "FAILED_PRECONDITION");
      assertStringIncludes(message, "no regular file");
      await Deno.remove(path);
      await Deno.mkdir(path);
      await refusal(() => file.readOrMake("home"), "FAILED_PRECONDITION");
      await refusal(() => file.write(twoKeys()), "FAILED_PRECONDITION");
      assert((await Deno.lstat(path)).isDirectory);
    }),
});

Deno.test({
  name: "without Deno's permission it says which flags are missing",
  permissions: { read: false, write: false },
  async fn() {
    const { file } = fileIn("/somewhere/hanzo-network");
    for (
      const attempt of [() => file.read(), () => file.readOrMake("x"), () => file.write(twoKeys())]
    ) {
      assertStringIncludes(await refusal(attempt, "PERMISSION_DENIED"), "Grant --allow-read");
    }
    assertEquals(await file.stamp(), undefined);
  },
});

Deno.test({
  name: "on a full disk no network is made, and one that there is stays",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(64, async (disk) => {
      const { file, path } = fileIn(disk);
      const ballast = (kib: number) =>
        Deno.writeFile(`${disk}/ballast`, new Uint8Array(kib * 1024));
      await ballast(64).catch(() => {});
      await refusal(() => file.readOrMake("home"), "RESOURCE_EXHAUSTED");
      await Deno.remove(`${disk}/ballast`);
      const ring = await file.readOrMake("home");
      await ballast(64).catch(() => {});
      const message = await refusal(
        () => file.write(twoKeys()),
        "RESOURCE_EXHAUSTED",
        secretsOf(ring),
      );
      assertStringIncludes(message, `Cannot write ${path}: the disk is full. Make room there.`);
      assertEquals(encodeKeyring((await file.read())!), encodeKeyring(ring));
    }),
});

Deno.test("the stamp changes with every write, also of the same text, and is none without a file", async () => {
  await withTempDir(async (directory) => {
    const { file, path } = fileIn(directory);
    const ring = twoKeys();
    const stamps = new Set<string | undefined>();
    for (let i = 0; i < 20; i++) {
      await file.write(ring);
      const stamp = await file.stamp();
      assertEquals(await file.stamp(), stamp, "and not by being looked at");
      stamps.add(stamp);
    }
    assert(stamps.size > 1);
    await Deno.remove(path);
    assertEquals(await file.stamp(), undefined);
  });
});
