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
  });
});
