/** Files that nobody else may read: whole or not at all, and never by way of somebody's link. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { createPrivate, readPrivate, writePrivate } from "../../src/base/private_file.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

const hasModes = Deno.build.os !== "windows";

function modeOf(path: string): string {
  return (Deno.lstatSync(path).mode! & 0o777).toString(8);
}

async function namesIn(directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(directory)) names.push(name);
  return names.sort();
}

/** Asserts what an attempt fails with, and returns its message. */
async function refusal(attempt: () => Promise<unknown>, code: ErrorCode): Promise<string> {
  const error = await assertRejects(attempt, NetworkError);
  assertEquals(error.code, code, error.message);
  assertMatch(error.message, /^Cannot (read|write) .*[.]$/);
  return error.message;
}

Deno.test("what is written is read again, by its owner alone, and nothing else is left behind", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/secret`;
    assertEquals(await readPrivate(path), undefined);
    await writePrivate(path, "first »ü«");
    assertEquals(await readPrivate(path), { text: "first »ü«", wasOpen: false });
    await writePrivate(path, new Uint8Array([115, 101, 99]));
    assertEquals((await readPrivate(path))?.text, "sec");
    assertEquals(await namesIn(directory), ["secret"]);
    if (hasModes) assertEquals(modeOf(path), "600");
  });
});

Deno.test({
  name: "a file that others could read is closed to them, and that it was open is told",
  ignore: skipUnless(hasModes, "Windows has no such modes"),
  fn: () =>
    withTempDir(async (directory) => {
      const path = `${directory}/secret`;
      for (const mode of [0o644, 0o640, 0o604, 0o620, 0o777]) {
        await Deno.writeTextFile(path, "x");
        await Deno.chmod(path, mode);
        assertEquals(await readPrivate(path), { text: "x", wasOpen: true }, mode.toString(8));
        assertEquals(modeOf(path), "600");
        assertEquals((await readPrivate(path))?.wasOpen, false, "once");
      }
    }),
});

Deno.test({
  name: "what is written takes the place of an open file as a closed one",
  ignore: skipUnless(hasModes, "Windows has no such modes"),
  fn: () =>
    withTempDir(async (directory) => {
      const path = `${directory}/secret`;
      await Deno.writeTextFile(path, "old", { mode: 0o666 });
      await Deno.chmod(path, 0o666);
      const reader = await Deno.open(path);
      await writePrivate(path, "new");
      assertEquals(modeOf(path), "600");
      const buffer = new Uint8Array(10);
      const length = await reader.read(buffer);
      assertEquals(new TextDecoder().decode(buffer.subarray(0, length!)), "old", "not the new one");
      reader.close();
    }),
});

Deno.test("of many that make a file at once one does, whole, and the others see that", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/secret`;
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10_000));
    const made = await Promise.all(texts.map((text) => createPrivate(path, text)));
    assertEquals(made.filter((isNew) => isNew).length, 1);
    assertEquals((await readPrivate(path))?.text, texts[made.indexOf(true)]);
    assertEquals(await createPrivate(path, "late"), false);
    assertEquals(await namesIn(directory), ["secret"]);
    if (hasModes) assertEquals(modeOf(path), "600");
  });
});

Deno.test("who reads while others write sees one of the texts, never a mixture or a part", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/secret`;
    const texts = Array.from({ length: 5 }, (_, i) => `${i}`.repeat(50_000));
    await writePrivate(path, texts[0]);
    let isOver = false;
    const writing = Promise.all(texts.map(async (text) => {
      for (let i = 0; i < 10; i++) await writePrivate(path, text);
    })).finally(() => isOver = true);
    while (!isOver) assert(texts.includes((await readPrivate(path))!.text));
    await writing;
    assertEquals(await namesIn(directory), ["secret"]);
  });
});

Deno.test({
  name: "a symbolic link is neither followed to read nor to write, and a directory is no file",
  ignore: skipUnless(hasModes, "Windows has links for administrators only"),
  fn: () =>
    withTempDir(async (directory) => {
      const [target, link] = [`${directory}/target`, `${directory}/link`];
      await Deno.writeTextFile(target, "of somebody else");
      await Deno.chmod(target, 0o644);
      await Deno.symlink(target, link);
      const message = await refusal(() => readPrivate(link), "FAILED_PRECONDITION");
      assertStringIncludes(message, "it is no regular file. Remove it.");
      assertEquals(modeOf(target), "644", "nothing was done to what it leads to");
      assertEquals(await createPrivate(link, "mine"), false);
      await writePrivate(link, "mine");
      assertEquals(await Deno.readTextFile(target), "of somebody else");
      assertEquals((await readPrivate(link))?.text, "mine", "the link itself was replaced");
      await Deno.symlink(`${directory}/nowhere`, `${directory}/dangling`);
      await refusal(() => readPrivate(`${directory}/dangling`), "FAILED_PRECONDITION");
      await Deno.mkdir(`${directory}/folder`);
      await refusal(() => readPrivate(`${directory}/folder`), "FAILED_PRECONDITION");
      await refusal(() => writePrivate(`${directory}/folder`, "x"), "FAILED_PRECONDITION");
      assertEquals(await namesIn(directory), ["dangling", "folder", "link", "target"]);
    }),
});

Deno.test("a file longer than any that is written here is not read", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/secret`;
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    await Deno.truncate(path, 4 * 1024 * 1024);
    assertEquals((await readPrivate(path))?.text.length, 4 * 1024 * 1024);
    await Deno.truncate(path, 4 * 1024 * 1024 + 1);
    const message = await refusal(() => readPrivate(path), "FAILED_PRECONDITION");
    assertStringIncludes(message, "longer than 4194304 bytes");
  });
});

Deno.test("a folder that is missing is an error of the write, and no file for the read", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/missing/secret`;
    assertEquals(await readPrivate(path), undefined);
    await refusal(() => writePrivate(path, "x"), "FAILED_PRECONDITION");
    await refusal(() => createPrivate(path, "x"), "FAILED_PRECONDITION");
  });
});

Deno.test({
  name: "without Deno's permission the error names the flags",
  permissions: { read: false, write: false },
  async fn() {
    for (
      const [attempt, flags] of [
        [() => readPrivate("/x/y"), "--allow-read=/x/y"],
        [() => writePrivate("/x/y", ""), "--allow-read=/x --allow-write=/x"],
        [() => createPrivate("/x/y", ""), "--allow-read=/x --allow-write=/x"],
        [() => writePrivate("y", ""), "--allow-read=./ --allow-write=./"],
        [() => writePrivate("/y", ""), "--allow-read=/ --allow-write=/"],
      ] as const
    ) {
      assertStringIncludes(await refusal(attempt, "PERMISSION_DENIED"), `Grant ${flags}.`);
    }
  },
});

Deno.test({
  name: "what the system denies says so",
  ignore: skipUnless(hasModes && Deno.uid() !== 0, "the system denies root nothing"),
  fn: () =>
    withTempDir(async (directory) => {
      await writePrivate(`${directory}/secret`, "x");
      await Deno.chmod(`${directory}/secret`, 0);
      await refusal(() => readPrivate(`${directory}/secret`), "PERMISSION_DENIED");
      await Deno.chmod(directory, 0o500);
      await refusal(() => writePrivate(`${directory}/secret`, "y"), "PERMISSION_DENIED");
      await Deno.chmod(directory, 0o700);
    }),
});

Deno.test({
  name: "on a full disk the old text stays, nothing half-written is left, and the error says why",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(64, async (disk) => {
      const path = `${disk}/secret`;
      await writePrivate(path, "old");
      await Deno.writeFile(`${disk}/ballast`, new Uint8Array(56 * 1024));
      const long = "x".repeat(20_000);
      for (
        const attempt of [() => writePrivate(path, long), () => createPrivate(`${path}2`, long)]
      ) {
        const message = await refusal(attempt, "RESOURCE_EXHAUSTED");
        assertStringIncludes(message, "the disk is full. Make room there.");
      }
      assertEquals((await readPrivate(path))?.text, "old");
      assertEquals(await namesIn(disk), ["ballast", "secret"]);
      await Deno.remove(`${disk}/ballast`);
      await writePrivate(path, long);
      assertEquals((await readPrivate(path))?.text, long);
    }),
});
