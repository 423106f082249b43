/** The shared state of real nodes: seen on the other one, there after a kill, and caught up with. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { hanzo, peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("what is written on one node is on the other, and a killed one has it still and catches up", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const state = async (node: string, ...args: string[]) => {
      const outcome = await hanzo([
        "state",
        ...args,
        "--json",
        `--data-dir=${directory}`,
        `--node-id=${node}`,
      ]);
      return outcome.code === 0 ? JSON.parse(outcome.stdout) : outcome.stderr + outcome.stdout;
    };
    const shows = (node: string, key: string, value: unknown) =>
      eventually(
        async () => JSON.stringify((await state(node, "get", key)).value) === JSON.stringify(value),
        { what: `${key} on ${node}` },
      );
    await using a = machine.up("A");
    await ready(a);
    await using b = machine.up("B");
    await ready(b);
    await Promise.all([peerEvent(a, "peer-joined", "B"), peerEvent(b, "peer-joined", "A")]);
    assertEquals(await state("A", "set", "greeting", '{"text": "hello"}'), {
      key: "greeting",
      value: { text: "hello" },
    });
    await state("A", "add", "visits", "2");
    await shows("B", "visits", 2);
    assertEquals(await state("B", "add", "visits"), { key: "visits", value: 3 });
    await state("B", "append", "log", "one", "2");
    await shows("A", "log", ["one", 2]);

    a.kill("SIGKILL");
    await a.status;
    await peerEvent(b, "peer-died", "A");
    await state("B", "delete", "greeting");
    await state("B", "set", "meanwhile", "yes");
    await using again = machine.up("A");
    await ready(again);
    await shows("A", "meanwhile", "yes");
    assertEquals(await state("A", "list"), [
      { key: "log", value: ["one", 2] },
      { key: "meanwhile", value: "yes" },
      { key: "visits", value: 3 },
    ]);
    assertStringIncludes(await state("A", "get", "greeting"), "NOT_FOUND");
    for (const value of ["1e999", '{"sum": [-1e999]}']) {
      assertStringIncludes(
        await state("A", "set", "meanwhile", value),
        "a number in it is too large",
      );
    }
    assertEquals((await state("A", "get", "meanwhile")).value, "yes");

    const checkpoint = (...args: string[]) =>
      hanzo(["checkpoint", ...args, `--data-dir=${directory}`, "--node-id=A"]);
    assertStringIncludes((await checkpoint("save", "monday")).stdout, "Saved monday: 3 keys.");
    await state("B", "set", "meanwhile", "no");
    await shows("A", "meanwhile", "no");
    assertStringIncludes(
      (await checkpoint("restore", "monday")).stdout,
      "Restored monday: 1 key set",
    );
    await shows("B", "meanwhile", "yes");
    assertStringIncludes((await checkpoint("list")).stdout, "before-restore");

    const file = `${directory}/state.json`;
    const transfer = (...args: string[]) =>
      hanzo(["state", ...args, `--data-dir=${directory}`, "--node-id=A"]);
    assertEquals((await transfer("export", file)).stdout, `Wrote 3 keys to ${file}.\n`);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    const exported = await Deno.readTextFile(file);
    const second = await transfer("export", file);
    assertEquals(second.code, 1);
    assertStringIncludes(second.stderr, "is there already");
    await state("B", "set", "meanwhile", "no");
    await state("B", "set", "mine", "1");
    await shows("A", "mine", 1);
    assertEquals((await transfer("export", file, "--overwrite")).code, 0);
    assertStringIncludes((await transfer("export")).stdout, '"value":"no"');
    await Deno.writeTextFile(file, exported);
    const dry = await transfer("import", file, "--replace", "--dry-run");
    assertEquals(dry.stdout, "It would be: 1 key set, 1 deleted, 2 as before.\n");
    const imported = await transfer("import", file);
    assertStringIncludes(
      imported.stdout,
      'Imported: 1 key set, 0 deleted, 2 as before. What was there before is "before-import ',
    );
    await shows("B", "meanwhile", "yes");
    assertEquals((await state("A", "get", "mine")).value, 1);
    assertEquals((await state("A", "import", file, "--replace")).deleted, 1);
    await Deno.writeTextFile(file, exported.replace("yes", "yet"));
    const damaged = await transfer("import", file);
    assertEquals(damaged.code, 1);
    assertStringIncludes(damaged.stderr, "its content is not what was exported");
    assertEquals((await transfer("import")).code, 2);
    assertEquals((await transfer("list", "--replace")).code, 2);
    const status = await hanzo(["status", `--data-dir=${directory}`, "--node-id=A"]);
    assertStringIncludes(status.stdout, "Shared state: 3 keys, ");
    assertStringIncludes(status.stdout, "last checkpoint ");
  });
});
