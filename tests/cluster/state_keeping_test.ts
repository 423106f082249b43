/** What a node keeps of the shared state, and says of it, with time that only the test moves. */

import { assertEquals } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { withTempDir } from "../support/temp.ts";

const HOUR = 3_600_000;

Deno.test("a node keeps the state every hour in which it has changed, and before an import", async () => {
  await withTempDir(async (dataDirectory) => {
    await using fleet = new MemoryFleet(1);
    const { network } = await fleet.start({ nodeId: "a", dataDirectory, keptCheckpoints: 2 });
    const kinds = async () => (await fleet.wait(network.listCheckpoints())).map((one) => one.kind);
    const last = () => network.getNetworkStatus().sharedState?.lastCheckpoint?.createdAt;
    let previous: number | undefined;
    for (let hour = 0; hour < 3; hour++) {
      await fleet.wait(network.state.increment("hours"));
      await fleet.advance(HOUR);
      await eventually(() => last() !== previous, { what: "a checkpoint" });
      previous = last();
    }
    assertEquals(await kinds(), ["interval", "interval"]);
    const document = await fleet.wait(network.exportState());
    await fleet.wait(network.state.set("mine", 1));
    const imported = await fleet.wait(network.importState(document, { replace: true }));
    assertEquals(imported.deleted, 1);
    assertEquals(await kinds(), ["before", "interval", "interval"]);
    await fleet.wait(network.restore(imported.before!));
    assertEquals(network.state.get("mine"), 1);
  });
});

Deno.test("a node tells which ones stay unlike it, and no longer when they are alike", async () => {
  await using fleet = new MemoryFleet(2);
  const [a, b] = await Promise.all(["a", "b"].map((nodeId) => fleet.start({ nodeId })));
  await fleet.advance(3_000);
  const state = () => a.network.getNetworkStatus().sharedState!;
  await fleet.wait(b.network.state.set("k", 1));
  await fleet.advance(60_000);
  assertEquals([state().keys, state().differing], [1, []]);
});
