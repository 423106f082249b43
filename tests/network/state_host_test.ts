/** The replica that a node keeps in a file, as the node sees it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { StateHost } from "../../src/network/state_host.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { withTempDir } from "../support/temp.ts";

const HOUR = 3_600_000;

function hostIn(directory: string) {
  const clock = new ManualClock();
  const log = recordingLogger();
  const host = new StateHost({
    nodeId: "a",
    clock,
    random: seededRandom(1),
    logger: log.logger,
    pool: () => ({ get: () => undefined, linked: () => [] }),
    shares: false,
    directory,
    networks: () => ["0123456789abcdef"],
    networkName: () => "home",
    checkpointIntervalMs: HOUR,
    keptCheckpoints: 2,
  });
  return { host, clock, log };
}

Deno.test("what was written in the same turn is in a checkpoint and in an export", async () => {
  await withTempDir(async (directory) => {
    const { host } = hostIn(directory);
    await host.open();
    void host.state.set("k", 1);
    const exporting = host.export();
    void host.state.set("k", 2);
    const { network, nodeId, entries } = JSON.parse(await exporting);
    assertEquals({ network, nodeId, entries }, {
      network: "home",
      nodeId: "a",
      entries: [{ key: "k", value: 1 }],
    });
    void host.state.set("k", 3);
    await host.checkpoints.save("c");
    await host.state.delete("k");
    await host.checkpoints.restore("c");
    assertEquals(host.state.get("k"), 3);
    await host.close();
  });
});

Deno.test("a node says where it keeps the state, how much there is, and what was kept of it last", async () => {
  await withTempDir(async (directory) => {
    const { host } = hostIn(directory);
    assertEquals(host.status(), null);
    await host.open();
    await host.state.set("key", "value");
    const saved = await host.checkpoints.save("c");
    assertEquals(host.status(), {
      path: `${directory}/state.db`,
      keys: 1,
      bytes: 10,
      maxBytes: 64 * 2 ** 20,
      differing: [],
      lastCheckpoint: { name: "c", createdAt: saved.createdAt, keys: 1 },
      checkpointProblem: null,
      damagedPath: null,
    });
    await host.close();
    assertEquals(host.status(), null);
    const error = await assertRejects(() => host.export(), NetworkError);
    assertEquals(error.code, "FAILED_PRECONDITION");
  });
});

Deno.test("a node that has ended keeps nothing more, and complains of nothing", async () => {
  await withTempDir(async (directory) => {
    const { host, clock, log } = hostIn(directory);
    await host.open();
    await host.state.set("k", 1);
    // By then the first one by interval is waited for.
    await host.checkpoints.save("c");
    await host.close();
    await clock.advance(3 * HOUR);
    await assertRejects(() => host.checkpoints.save("late"), NetworkError, "does not run");
    assertEquals((await host.checkpoints.list()).map(({ name }) => name), ["c"]);
    assertEquals(log.lines("warn"), []);
  });
});

Deno.test("a large state is not counted each time that somebody looks", async () => {
  await withTempDir(async (directory) => {
    const { host, clock } = hostIn(directory);
    await host.open();
    await host.state.set("a", 1);
    assertEquals(host.status()?.keys, 1);
    // As if counting had taken 30 ms.
    let now = clock.now();
    clock.now = () => now += 30;
    await host.state.set("b", 1);
    assertEquals(host.status()?.keys, 2);
    await host.state.set("c", 1);
    assertEquals(host.status()?.keys, 2);
    now += 3_000;
    assertEquals(host.status()?.keys, 3);
    assert(host.status()!.bytes === 6);
    await host.close();
  });
});
