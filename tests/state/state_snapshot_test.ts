/** The state as of one moment, while others go on. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { takeSnapshot } from "../../src/state/state_snapshot.ts";
import { Replica } from "../support/replicas.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("a snapshot of a file is as of its moment, whatever is written while it is read", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/state.db`;
    const store = new RowStore(path);
    const random = seededRandom(1);
    const state = new StateReplica({ nodeId: "n", store, clock: systemClock, random });
    const text = "x".repeat(2_000);
    await state.transact((tx) => {
      for (let i = 0; i < 1_500; i++) tx.set(`key/${i}`, `${text}${i}`);
      tx.append("list", 1, 2);
      tx.increment("count", 3);
      tx.set("gone", 1);
      tx.delete("gone");
    });
    const then = state.entries();
    using snapshot = takeSnapshot(store, state.position, path);
    await state.set("aaa", "new before anything is read");
    let pieces = 0;
    const read: [string, unknown][] = [];
    for (const piece of snapshot.pieces()) {
      pieces++;
      read.push(...piece.map(([key, json]): [string, unknown] => [key, JSON.parse(json)]));
      await state.transact((tx) => {
        tx.set(`zzz/${pieces}`, "new");
        tx.delete("list");
        tx.increment("count");
        tx.set("key/999", "another");
      });
    }
    assertEquals(read, then);
    assert(pieces > 3, `${pieces} pieces: nobody had a turn`);
    using next = takeSnapshot(store, state.position, path);
    assert(next.mark !== snapshot.mark);
    assertEquals([...next.pieces()].flat().map(([key]) => key), state.keys());
    await state.close();
  });
});

Deno.test("so is one of a state in memory", () => {
  using replica = new Replica(1);
  assert(replica.snapshot().isBlank);
  replica.write((tx) => tx.set("a", 1));
  const snapshot = replica.snapshot();
  replica.write((tx) => tx.set("a", 2));
  replica.state.commit();
  assertEquals([...snapshot.pieces()], [[["a", "1"]]]);
  assertEquals(snapshot.isBlank, false);
});

Deno.test("the mark is the same as long as nothing was written, and on all that have seen the same", () => {
  using replica = new Replica(1);
  using other = new Replica(2);
  replica.write((tx) => tx.set("a", 1));
  const { mark } = replica.snapshot();
  assertEquals(replica.snapshot().mark, mark);
  assert(other.snapshot().mark !== mark);
  other.pull(replica);
  assertEquals(other.snapshot().mark, mark);
  replica.write((tx) => tx.set("a", 1));
  assert(replica.snapshot().mark !== mark);
});

Deno.test("keys are counted that have a value, however it came about", () => {
  const store = new RowStore();
  const clock = { now: () => 0, wallTime: () => 1_000, after: () => () => {} };
  const state = new StateReplica({ nodeId: "n", store, clock, random: seededRandom(1) });
  const write = (work: Parameters<typeof state.transact>[0]) => {
    state.transact(work);
    state.commit();
    assertEquals(store.keyCount(), state.keys().length);
  };
  write((tx) => tx.set("set", 1));
  write((tx) => tx.increment("added", 2));
  write((tx) => tx.append("list", 1, 2));
  write((tx) => tx.increment("set", 2));
  write((tx) => tx.delete("added"));
  write((tx) => tx.increment("added"));
  write((tx) => tx.delete("list"));
  write((tx) => tx.delete("set"));
  write((tx) => tx.set("list", []));
  assertEquals(state.keys(), ["added", "list"]);
  store[Symbol.dispose]();
});
