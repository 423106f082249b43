/** The replica on the disk: it lasts, it is of one network, and damage is never taken for good. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { openStateFile } from "../../src/state/state_file.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

/** Opens the file in `directory`, uses its state, and closes it. */
async function using<T>(
  directory: string,
  use: (state: StateReplica) => T | Promise<T>,
  { networks = ["one"], logger = recordingLogger().logger } = {},
): Promise<T> {
  const file = await openStateFile({ directory, networks, logger });
  const state = new StateReplica({
    nodeId: "a",
    store: file.store,
    clock: systemClock,
    random: systemRandom,
    sync: () => file.sync(),
  });
  try {
    return await use(state);
  } finally {
    await state.close();
    await file.close();
  }
}

Deno.test("what was written is there the next time, in another name", async () => {
  await withTempDir(async (directory) => {
    const origin = await using(directory, async (state) => {
      await Promise.all([state.set("k", { v: 1 }), state.increment("n", 2), state.append("l", 3)]);
      return state.origin;
    });
    await using(directory, async (state) => {
      assertEquals(state.entries(), [["k", { v: 1 }], ["l", [3]], ["n", 2]]);
      assertEquals(state.position.versions.of(origin), 3);
      assert(state.origin !== origin);
      assertEquals(await state.increment("n"), 3);
    });
  });
});

Deno.test({
  name: "nobody else of this machine can read it",
  ignore: skipUnless(Deno.build.os !== "windows", "Windows has no such modes"),
  fn: () =>
    withTempDir((directory) =>
      using(`${directory}/node`, async (state) => {
        await state.set("k", 1);
        for await (const { name } of Deno.readDir(`${directory}/node`)) {
          assertEquals((await Deno.stat(`${directory}/node/${name}`)).mode! & 0o777, 0o600, name);
        }
        assertEquals((await Deno.stat(`${directory}/node`)).mode! & 0o777, 0o700);
      })
    ),
});

Deno.test("a network sees nothing of another one's state, and its own when the device comes back", async () => {
  await withTempDir(async (directory) => {
    await using(directory, (state) => state.set("secret", "of one"));
    await using(directory, async (state) => {
      assertEquals(state.keys(), []);
      await state.set("secret", "of two");
    }, { networks: ["two"] });
    await using(directory, (state) => assertEquals(state.get("secret"), "of one"));
    // A network that has another key is the same one.
    await using(directory, () => {}, { networks: ["one-b", "one"] });
    await using(directory, (state) => assertEquals(state.get("secret"), "of one"), {
      networks: ["one-b"],
    });
    await using(directory, (state) => assertEquals(state.get("secret"), "of two"), {
      networks: ["two"],
    });
  });
});

for (
  const [what, damage] of [
    ["is no database", (bytes: Uint8Array) => bytes.fill(7)],
    ["has lost its end", (bytes: Uint8Array) => bytes.subarray(0, 5_000)],
    ["has a page of zeros", (bytes: Uint8Array) => bytes.fill(0, 8_192, 12_288)],
  ] as const
) {
  Deno.test(`a file that ${what} is put aside and told of`, async () => {
    await withTempDir(async (directory) => {
      await using(directory, async (state) => {
        for (let i = 0; i < 1_000; i++) void state.set(`key/${i}`, "x".repeat(100));
        await state.settled();
      });
      const path = `${directory}/state.db`;
      await Deno.writeFile(path, damage(await Deno.readFile(path)));
      const log = recordingLogger();
      await using(directory, async (state) => {
        assertEquals(state.keys(), []);
        await state.set("k", 1);
      }, { networks: ["one"], logger: log.logger });
      assertStringIncludes(log.lines("error")[0], "is damaged");
      const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
      assert(names.some((name) => name.startsWith("state.db.damaged-")), names.join());
      await using(directory, (state) => assertEquals(state.entries(), [["k", 1]]));
    });
  });
}

Deno.test("a damaged file is told of as long as it is there", async () => {
  await withTempDir(async (directory) => {
    const damagedPath = async () => {
      const file = await openStateFile({ directory, networks: ["one"], logger: silentLogger });
      file.store[Symbol.dispose]();
      await file.close();
      return file.damagedPath;
    };
    assertEquals(await damagedPath(), undefined);
    await Deno.writeTextFile(`${directory}/state.db`, "no database".repeat(1_000));
    const aside = await damagedPath();
    assert(aside?.startsWith(`${directory}/state.db.damaged-`), aside);
    await Deno.writeTextFile(`${aside}-wal`, "what belongs to it");
    assertEquals(await damagedPath(), aside);
    await Deno.remove(aside!);
    assertEquals(await damagedPath(), undefined);
  });
});

/** What another replica has is in this one, as a pull would bring it. */
function takeAll(to: StateReplica, from: StateReplica): void {
  from.commit();
  const { position } = from;
  const standing = { versions: position.versions.copy(), forgotten: position.forgotten.copy() };
  to.others.takeStretch(from.others.stretch(), standing, "b");
  to.others.join(standing);
}

Deno.test("whatever bit is another one: what is read was written, and others make it whole", async () => {
  await withTempDir(async (directory) => {
    const other = new StateReplica({
      nodeId: "b",
      store: new RowStore(),
      clock: systemClock,
      random: systemRandom,
    });
    for (let i = 0; i < 60; i++) void other.set(`theirs/${i}`, `theirs ${i}`);
    await using(directory, async (state) => {
      takeAll(state, other);
      for (let i = 0; i < 60; i++) void state.set(`own/${i}`, `own ${i}`);
      for (let i = 0; i < 5; i++) void state.append("list", i);
      await state.settled();
      takeAll(other, state);
    });
    const good = Object.fromEntries(other.entries());
    const path = `${directory}/state.db`;
    const bytes = await Deno.readFile(path);
    let mended = 0;
    for (let at = 101; at < bytes.length; at += 151) {
      const flipped = bytes.slice();
      flipped[at] ^= 1 << (at % 8);
      for await (const { name } of Deno.readDir(directory)) {
        await Deno.remove(`${directory}/${name}`);
      }
      await Deno.writeFile(path, flipped);
      const log = recordingLogger();
      await using(directory, (state) => {
        const shown = state.entries();
        for (const [key, value] of shown) {
          const items = good.list as JsonValue[];
          if (key === "list") assert((value as JsonValue[]).every((one) => items.includes(one)));
          else assertEquals(value, good[key], `${key} with another bit at ${at}`);
        }
        const isWhole = shown.length === Object.keys(good).length;
        if (!isWhole) mended++;
        assert(isWhole || log.lines("error").length > 0, `not told of a bit at ${at}`);
        takeAll(state, other);
        takeAll(other, state);
        assertEquals(Object.fromEntries(state.entries()), good, `after a bit at ${at}`);
      }, { networks: ["one"], logger: log.logger });
      assertEquals(Object.fromEntries(other.entries()), good, `elsewhere, after a bit at ${at}`);
    }
    assert(mended > 10, `${mended}`);
  });
});

Deno.test("a file of a later version is neither used nor changed", async () => {
  await withTempDir(async (directory) => {
    await using(directory, (state) => state.set("k", 1));
    const path = `${directory}/state.db`;
    const bytes = await Deno.readFile(path);
    // SQLite's file format, 1.3.17: the user version.
    new DataView(bytes.buffer).setUint32(60, 2);
    await Deno.writeFile(path, bytes);
    const error = await assertRejects(() => using(directory, () => {}), NetworkError, "version 2");
    assertEquals(error.code, "FAILED_PRECONDITION");
    assertEquals(await Deno.readFile(path), bytes);
  });
});
