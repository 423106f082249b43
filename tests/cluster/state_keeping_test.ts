/** What a node keeps of the shared state, and says of it, with time that only the test moves. */

import { assertEquals } from "@std/assert";
import { eventually } from "../support/eventually.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { withTempDir } from "../support/temp.ts";

const HOUR = 3_600_000;

/** Lets time pass until something has come, for which files are waited for that know of no such time. */
async function passUntil(
  fleet: MemoryFleet,
  stepMs: number,
  has: () => boolean,
  what: string,
): Promise<void> {
  await eventually(async () => {
    await fleet.advance(stepMs);
    return has();
  }, { what, intervalMs: 1 });
}

Deno.test("a node keeps the state every hour in which it has changed, and before an import", async () => {
  await withTempDir(async (dataDirectory) => {
    await using fleet = new MemoryFleet(1);
    const { network } = fleet.create({
      nodeId: "a",
      dataDirectory,
      keptCheckpoints: 2,
      checkpointIntervalMs: HOUR / 2,
    });
    const starting = network.start();
    await passUntil(fleet, 100, () => network.getNetworkStatus().state === "running", "the start");
    await starting;
    const kinds = async () => (await network.listCheckpoints()).map((one) => one.kind);
    const last = () => network.getNetworkStatus().sharedState?.lastCheckpoint;
    for (let n = 1; n <= 3; n++) {
      await network.state.set("n", n);
      const before = last()?.name;
      await passUntil(fleet, HOUR / 4, () => last()?.name !== before, "a checkpoint");
    }
    assertEquals(await kinds(), ["interval", "interval"]);
    const document = await network.exportState();
    await network.state.set("mine", 1);
    const imported = await network.importState(document, { replace: true });
    assertEquals(imported.deleted, 1);
    assertEquals(await kinds(), ["before", "interval", "interval"]);
    await network.restore(imported.before!);
    assertEquals(network.state.get("mine"), 1);
    const stopping = network.stop();
    await passUntil(fleet, 10, () => network.getNetworkStatus().state === "stopped", "the end");
    await stopping;
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
