/** Checkpoints: whole or told to be none, whatever becomes of their files. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { Checkpoints } from "../../src/state/checkpoints.ts";
import { heal, Replica } from "../support/replicas.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

interface Rig {
  readonly replica: Replica;
  readonly checkpoints: Checkpoints;
  readonly directory: string;
  readonly limits: { room: number };
}

function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  return withTempDir((temp) => useIn(temp, use));
}

async function useIn(temp: string, use: (rig: Rig) => Promise<void>): Promise<void> {
  using replica = new Replica(1);
  const directory = `${temp}/checkpoints`;
  const clock = { now: () => 0, wallTime: () => replica.wallTime++, after: () => () => {} };
  const state = () => replica.state;
  const limits = { room: 64 * 2 ** 20 };
  const checkpoints = new Checkpoints({
    directory,
    nodeId: "n1",
    clock,
    state,
    snapshot: () => replica.snapshot(),
    room: () => limits.room,
  });
  await use({ replica, checkpoints, directory, limits });
}

async function fails(code: ErrorCode, says: string, work: () => Promise<unknown>): Promise<void> {
  assertEquals((await assertRejects(work, NetworkError, says)).code, code);
}

async function fileIn(directory: string): Promise<string> {
  const [{ name }] = await Array.fromAsync(Deno.readDir(directory));
  return `${directory}/${name}`;
}

Deno.test("a restore brings back keys and values as they were, here and everywhere", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    using other = new Replica(2);
    replica.write((tx) => {
      tx.set("same", 1);
      tx.set("changed", { v: 1 });
      tx.set("__proto__", "data");
      tx.increment("n", 5);
      tx.append("l", "a", "b");
    });
    heal([replica, other]);
    const then = replica.shown();
    const { name, keys, nodeId } = await checkpoints.save("first");
    assertEquals([name, keys, nodeId], ["first", 5, "n1"]);
    replica.write((tx) => {
      tx.set("changed", { v: 2 });
      tx.delete("__proto__");
      tx.increment("n");
      tx.append("l", "c");
      tx.set("new", true);
    });
    heal([replica, other]);
    const { before, set, deleted } = await checkpoints.restore("first");
    assertEquals([set, deleted], [4, 1]);
    heal([replica, other]);
    assertEquals([replica.shown(), other.shown()], [then, then]);
    await checkpoints.restore(before!);
    heal([replica, other]);
    for (const one of [replica, other]) {
      assertEquals(one.state.get("n"), 6);
      assertEquals(one.state.get("l"), ["a", "b", "c"]);
      assertEquals([one.state.get("new"), one.state.has("__proto__")], [true, false]);
    }
  });
});

Deno.test("names are data, and those that there are are listed, the newest first", async () => {
  await withRig(async ({ checkpoints, directory }) => {
    const names = ["a", "../../etc/passwd", "/", "ü 😀\n", "x".repeat(256), "auto"];
    for (const name of names) await checkpoints.save(name);
    await checkpoints.save("a");
    const listed = (await checkpoints.list()).map(({ name }) => name);
    assertEquals(listed, ["a", ...names.slice(1).reverse()]);
    for await (const { name } of Deno.readDir(directory)) {
      assert(/^[0-9a-f]{40}\.checkpoint$/.test(name));
    }
    // What programs without a check of types give, too.
    for (const name of ["", "x".repeat(257), "\ud800", null as unknown as string]) {
      await fails("INVALID_ARGUMENT", "1 to 256 bytes", () => checkpoints.save(name));
      await fails("INVALID_ARGUMENT", "1 to 256 bytes", () => checkpoints.restore(name));
      await fails("INVALID_ARGUMENT", "1 to 256 bytes", () => checkpoints.delete(name));
    }
    assertEquals([await checkpoints.delete("/"), await checkpoints.delete("/")], [true, false]);
    await fails("NOT_FOUND", "there is none", () => checkpoints.restore("/"));
    assertEquals((await checkpoints.list()).length, names.length - 1);
  });
});

Deno.test("one that is cut anywhere, or has a bit that is another one, is never restored", async () => {
  await withRig(async ({ replica, checkpoints, directory }) => {
    replica.write((tx) => tx.set("k", "good"));
    const saved = await checkpoints.save("c");
    const path = await fileIn(directory);
    const good = await Deno.readFile(path);
    replica.write((tx) => tx.set("k", "now"));
    const refused = async (bytes: Uint8Array) => {
      await Deno.writeFile(path, bytes);
      await fails("FAILED_PRECONDITION", "Cannot restore", () => checkpoints.restore("c"));
      return await checkpoints.list();
    };
    for (let length = 0; length < good.length; length++) {
      assertEquals(await refused(good.subarray(0, length)), [], "a half one is listed");
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const flipped = good.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const listed = await refused(flipped);
      // What is listed is as it was, though what it holds may be no good.
      if (listed.length > 0) assertEquals(listed, [saved]);
    }
    await refused(new Uint8Array([...good, 0]));
    assertEquals(replica.state.get("k"), "now");
    await Deno.writeFile(path, good);
    await checkpoints.restore("c");
    assertEquals(replica.state.get("k"), "good");
  });
});

Deno.test("a file in the place of another one is none", async () => {
  await withRig(async ({ checkpoints, directory }) => {
    await checkpoints.save("a");
    const path = await fileIn(directory);
    await Deno.rename(path, `${directory}/aside`);
    const other = `${directory}/${"0".repeat(40)}.checkpoint`;
    await Deno.rename(`${directory}/aside`, other);
    assertEquals(await checkpoints.list(), []);
    await Deno.rename(other, path);
    assertEquals((await checkpoints.list()).map(({ name }) => name), ["a"]);
  });
});

Deno.test("one of a later version is neither restored nor overwritten", async () => {
  await withRig(async ({ checkpoints, directory }) => {
    await checkpoints.save("c");
    const path = await fileIn(directory);
    const newer = (await Deno.readTextFile(path)).replace('"version":1', '"version":2');
    await Deno.writeTextFile(path, newer);
    await fails("FAILED_PRECONDITION", "version 2", () => checkpoints.restore("c"));
    await fails("FAILED_PRECONDITION", "version 2", () => checkpoints.save("c"));
    assertEquals(await Deno.readTextFile(path), newer);
    assertEquals(await checkpoints.list(), []);
  });
});

Deno.test("of two restores at once the later one stays, whole", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    const others = { x: "y", y: "x" } as const;
    for (const key of ["x", "y"] as const) {
      replica.write((tx) => {
        tx.delete(others[key]);
        tx.set(key, 1);
      });
      await checkpoints.save(key);
    }
    replica.write((tx) => tx.set("x", 1));
    await Promise.all([checkpoints.restore("x"), checkpoints.restore("y")]);
    assertEquals(replica.shown(), [["y", 1]]);
    await fails("NOT_FOUND", "there is none", () => checkpoints.restore("z"));
    assertEquals((await checkpoints.restore("x")).set, 1);
  });
});

Deno.test("a restore that changes nothing pushes out nothing that was kept before", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    replica.write((tx) => tx.set("k", 1));
    await checkpoints.save("good");
    replica.write((tx) => tx.set("k", 2));
    const { before } = await checkpoints.restore("good");
    for (let i = 0; i < 11; i++) {
      const again = await checkpoints.restore("good");
      assertEquals(again, { before: null, set: 0, deleted: 0 });
    }
    await checkpoints.restore(before!);
    assertEquals(replica.shown(), [["k", 2]]);
  });
});

Deno.test("of those that restores have made the newest ten are kept", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    await checkpoints.save("mine");
    for (let i = 0; i < 13; i++) {
      replica.write((tx) => tx.set("k", i));
      await checkpoints.restore("mine");
    }
    const all = await checkpoints.list();
    assertEquals(all.filter(({ kind }) => kind === "before").length, 10);
    assertEquals(all.at(-1)!.name, "mine");
  });
});

Deno.test({
  name: "no symbolic link is followed, neither to read nor to write",
  ignore: skipUnless(Deno.build.os !== "windows", "symbolic links need a privilege on Windows"),
  fn: () =>
    withRig(async ({ replica, checkpoints, directory }) => {
      await checkpoints.save("c");
      const path = await fileIn(directory);
      const elsewhere = `${directory}/../elsewhere`;
      await Deno.rename(path, elsewhere);
      await Deno.symlink(elsewhere, path);
      const before = await Deno.readFile(elsewhere);
      await fails("FAILED_PRECONDITION", "no regular file", () => checkpoints.restore("c"));
      replica.write((tx) => tx.set("k", 1));
      await checkpoints.save("c");
      assertEquals(await Deno.readFile(elsewhere), before);
      assert((await Deno.lstat(path)).isFile);
      await checkpoints.restore("c");
    }),
});

Deno.test("a list that was appended to for long comes back, though it is longer than a value may be", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    const item = "x".repeat(100_000);
    const deep = JSON.parse("[".repeat(32) + "]".repeat(32));
    for (let i = 0; i < 15; i++) replica.write((tx) => tx.append("long", item, i));
    replica.write((tx) => tx.append("deep", deep));
    for (let i = 0; i < 3; i++) {
      replica.write((tx) => tx.append("many", ...Array.from({ length: 20_000 }, (_, k) => k)));
    }
    const then = replica.shown();
    await checkpoints.save("c");
    await replica.state.delete("long");
    replica.write((tx) => {
      tx.set("deep", 1);
      tx.append("many", "more");
    });
    await checkpoints.restore("c");
    assertEquals(replica.shown(), then);
  });
});

Deno.test("a restore for which there is no room changes nothing", async () => {
  await withRig(async ({ replica, checkpoints, limits }) => {
    const large = "x".repeat(1_000);
    replica.write((tx) => tx.set("then", large));
    await checkpoints.save("c");
    replica.write((tx) => {
      tx.delete("then");
      tx.set("now", large.slice(0, 800));
    });
    limits.room = 150;
    await fails("RESOURCE_EXHAUSTED", "there is room for 150", () => checkpoints.restore("c"));
    assertEquals(replica.state.keys(), ["now"]);
    assertEquals((await checkpoints.list()).length, 1, "nothing was to be kept before it");
    // What goes makes room for what comes.
    limits.room = 250;
    await checkpoints.restore("c");
    assertEquals(replica.state.keys(), ["then"]);
  });
});

Deno.test("a value that another device has written over several lines comes back", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    const origin = "n7/0123456789abcdef";
    const stamp = { time: replica.wallTime, count: 0, writer: origin };
    const row = { part: "", origin, stamp, base: undefined, seq: 1 };
    const rows = [{ ...row, key: "k", value: '{\n"a": [1,\r\n2]}' }];
    replica.state.others.take({ origin, after: 0, upTo: 1, rows });
    await checkpoints.save("c");
    replica.write((tx) => tx.delete("k"));
    await checkpoints.restore("c");
    assertEquals(replica.shown(), [["k", { a: [1, 2] }]]);
  });
});

Deno.test("what comes last stays, whatever a clock has shown", async () => {
  await withRig(async ({ replica, checkpoints }) => {
    const kept = { count: 3, bytes: Infinity };
    const years = [2036, 1970, 2026, 1970, 2026];
    for (const [index, year] of years.entries()) {
      replica.wallTime = Date.UTC(year, 0, 1);
      replica.write((tx) => tx.set("n", index));
      assert(await checkpoints.saveByInterval(kept) !== undefined);
    }
    const listed = (await checkpoints.list()).map(({ createdAt }) =>
      new Date(createdAt).getUTCFullYear()
    );
    assertEquals(listed, [2026, 1970, 2026]);
    // A name that is taken, by the clock that was set back, is not taken again.
    assertEquals(new Set((await checkpoints.list()).map(({ name }) => name)).size, 3);
  });
});

Deno.test("those by interval give way to newer ones, and those that were named to nobody", async () => {
  await withRig(async ({ replica, checkpoints, directory }) => {
    const name = `interval ${new Date(replica.wallTime + 2).toISOString()}`;
    await checkpoints.save(name);
    await checkpoints.save("mine");
    const some = "x".repeat(1_000);
    const size = async () => (await Array.fromAsync(Deno.readDir(directory))).length;
    for (let i = 0; i < 5; i++) {
      replica.write((tx) => tx.set(`${i}`, some));
      await checkpoints.saveByInterval({ count: 2, bytes: Infinity });
    }
    assertEquals(await size(), 4);
    assertEquals(await checkpoints.saveByInterval({ count: 2, bytes: Infinity }), undefined);
    replica.write((tx) => tx.set("last", 1));
    const last = await checkpoints.saveByInterval({ count: 2, bytes: 1_000 });
    const names = (await checkpoints.list()).map((one) => one.name);
    assertEquals(names, [last!.name, "mine", name], "of those that are too large the newest stays");
    assertEquals(checkpoints.latest, last);
    await checkpoints.restore("mine");
    replica.write((tx) => tx.set("more", 1));
    await checkpoints.saveByInterval({ count: 1, bytes: Infinity });
    const kinds = (await checkpoints.list()).map(({ kind }) => kind);
    assertEquals(kinds, ["interval", "before", "named", "named"], "each kind is counted apart");
    const [newest, before] = await checkpoints.list();
    await checkpoints.delete(before.name);
    assertEquals(checkpoints.latest, newest);
    await checkpoints.delete(newest.name);
    assertEquals(checkpoints.latest?.name, "mine");
  });
});

Deno.test("one that is given up while it is written leaves nothing", async () => {
  await withRig(async ({ replica, checkpoints, directory }) => {
    replica.write((tx) => tx.set("k", 1));
    const ending = new AbortController();
    const saving = checkpoints.saveByInterval({ count: 2, bytes: Infinity }, ending.signal);
    ending.abort();
    await assertRejects(() => saving, DOMException);
    assertEquals(await Array.fromAsync(Deno.readDir(directory)).catch(() => []), []);
    assert(await checkpoints.saveByInterval({ count: 2, bytes: Infinity }) !== undefined);
  });
});

Deno.test({
  name: "on a full disk none is made, the one of that name stays, and nothing is left behind",
  ignore: skipUnless(cannotMount() === undefined, cannotMount() ?? ""),
  fn: () =>
    withSmallDisk(64, (disk) =>
      useIn(disk, async ({ replica, checkpoints, directory }) => {
        replica.write((tx) => tx.set("k", "good"));
        const good = await checkpoints.save("c");
        replica.write((tx) => tx.set("k", "x".repeat(100_000)));
        await fails("RESOURCE_EXHAUSTED", "disk is full", () => checkpoints.save("c"));
        const kept = { count: 1, bytes: Infinity };
        await fails("RESOURCE_EXHAUSTED", "disk is full", () => checkpoints.saveByInterval(kept));
        // What cannot be kept first is not replaced.
        await fails("RESOURCE_EXHAUSTED", "disk is full", () => checkpoints.restore("c"));
        assertEquals(await checkpoints.list(), [good]);
        assertEquals((await Array.fromAsync(Deno.readDir(directory))).length, 1);
        assertEquals(replica.state.get("k"), "x".repeat(100_000));
      })),
});
