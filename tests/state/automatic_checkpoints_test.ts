/** Checkpoints that are made as time passes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { AutomaticCheckpoints } from "../../src/state/automatic_checkpoints.ts";
import { Checkpoints } from "../../src/state/checkpoints.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { Replica } from "../support/replicas.ts";
import { withTempDir } from "../support/temp.ts";

const HOUR = 3_600_000;

interface Rig {
  readonly replica: Replica;
  readonly directory: string;
  readonly checkpoints: Checkpoints;
  readonly clock: ManualClock;
  readonly log: ReturnType<typeof recordingLogger>;
  /** Begins, as a node that starts does. */
  start(intervalMs?: number): Promise<AutomaticCheckpoints>;
  /** Lets time pass, and all that is to be written be written. */
  pass(ms: number): Promise<void>;
  count(): Promise<number>;
}

async function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  await withTempDir(async (temp) => {
    using replica = new Replica(1);
    const directory = `${temp}/checkpoints`;
    const clock = new ManualClock();
    const log = recordingLogger();
    const checkpoints = new Checkpoints({
      directory,
      nodeId: "n1",
      clock,
      state: () => replica.state,
      snapshot: () => replica.snapshot(),
      room: () => 0,
    });
    let automatic: AutomaticCheckpoints | undefined;
    const start = async (intervalMs = HOUR) => {
      await automatic?.stop();
      const kept = { count: 3, bytes: Infinity };
      automatic = new AutomaticCheckpoints({
        checkpoints,
        clock,
        logger: log.logger,
        intervalMs,
        kept,
      });
      automatic.start();
      await automatic.idle();
      return automatic;
    };
    const pass = async (ms: number) => {
      await clock.advance(ms);
      await automatic?.idle();
    };
    const count = async () => (await checkpoints.list()).length;
    await use({ replica, directory, checkpoints, clock, log, start, pass, count });
    await automatic?.stop();
  });
}

Deno.test("the state is kept after a minute, and then every hour in which something was written", async () => {
  await withRig(async ({ replica, start, pass, count }) => {
    await start();
    await pass(60_000);
    assertEquals(await count(), 0, "nothing was ever written");
    replica.write((tx) => tx.set("n", 1));
    await pass(HOUR - 1);
    assertEquals(await count(), 0);
    await pass(1);
    assertEquals(await count(), 1);
    await pass(HOUR);
    assertEquals(await count(), 1, "nothing has changed");
    for (let n = 2; n < 7; n++) {
      replica.write((tx) => tx.set("n", n));
      await pass(HOUR);
      assertEquals(await count(), Math.min(n, 3));
    }
  });
});

Deno.test("a node that starts again goes on where it was, however short it runs", async () => {
  await withRig(async ({ replica, start, pass, count }) => {
    replica.write((tx) => tx.set("n", 1));
    await start();
    await pass(60_000);
    assertEquals(await count(), 1);
    replica.write((tx) => tx.set("n", 2));
    await start();
    await pass(HOUR - 1);
    assertEquals(await count(), 1);
    await pass(1);
    assertEquals(await count(), 2);
    await start();
    await pass(HOUR);
    assertEquals(await count(), 2, "nothing has changed since the last one");
    await pass(20 * HOUR);
    replica.write((tx) => tx.set("n", 3));
    await start();
    await pass(59_999);
    assertEquals(await count(), 2);
    await pass(1);
    assertEquals(await count(), 3, "it was due long ago");
  });
});

Deno.test("with an interval of 0, and after the end, there are none", async () => {
  await withRig(async ({ replica, start, pass, count }) => {
    replica.write((tx) => tx.set("n", 1));
    await start(0);
    await pass(10 * HOUR);
    const automatic = await start();
    await automatic.stop();
    await pass(10 * HOUR);
    assertEquals(await count(), 0);
  });
});

Deno.test("the end leaves no timer behind, which would keep a process", async () => {
  let waiting = 0;
  const after = () => {
    waiting++;
    return () => waiting--;
  };
  const automatic = new AutomaticCheckpoints({
    checkpoints: {
      list: () => Promise.resolve([]),
      saveByInterval: () => Promise.resolve(undefined),
      removeUnfinished: () => Promise.resolve(),
    },
    clock: { now: () => 0, wallTime: () => 0, after },
    logger: recordingLogger().logger,
    intervalMs: HOUR,
    kept: { count: 1, bytes: Infinity },
  });
  automatic.start();
  await automatic.idle();
  assertEquals(waiting, 1);
  await automatic.stop();
  assertEquals(waiting, 0);
});

Deno.test("what keeps them from being made is told once, until they are made again", async () => {
  await withRig(async ({ replica, directory, start, pass, count, log }) => {
    await Deno.writeTextFile(directory, "a file where the directory is to be");
    replica.write((tx) => tx.set("n", 1));
    const automatic = await start();
    for (let hour = 0; hour < 5; hour++) await pass(HOUR);
    const warnings = () => log.lines("warn").length;
    assertEquals(warnings(), 1);
    assertStringIncludes(automatic.problem ?? "", "Cannot");
    await Deno.remove(directory);
    await pass(HOUR);
    assertEquals([await count(), automatic.problem], [1, undefined]);
    await Deno.remove(directory, { recursive: true });
    await Deno.writeTextFile(directory, "again");
    replica.write((tx) => tx.set("n", 2));
    await pass(HOUR);
    assertEquals(warnings(), 2);
  });
});

Deno.test("what a process that was killed has left is removed, once nobody can be writing it", async () => {
  await withRig(async ({ directory, start, pass }) => {
    await Deno.mkdir(directory);
    const left = `${directory}/${"a".repeat(40)}.checkpoint.01234567.new`;
    const fresh = `${directory}/${"b".repeat(40)}.checkpoint.01234567.new`;
    for (const path of [left, fresh]) await Deno.writeTextFile(path, "half of one");
    const longAgo = new Date(Date.now() - 61_000);
    await Deno.utime(left, longAgo, longAgo);
    await start();
    const names = async () =>
      (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
    assertEquals(await names(), [fresh.slice(directory.length + 1)]);
    await Deno.utime(fresh, longAgo, longAgo);
    await pass(60_000);
    assert((await names()).length === 0);
  });
});
