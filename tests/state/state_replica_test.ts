/** What people do with the shared state, on one replica and between two. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Row } from "../../src/state/row.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { StateReplica, type StateReplicaOptions } from "../../src/state/state_replica.ts";
import { MAX_LEAD_MS } from "../../src/state/stamp.ts";
import { heal, Replica } from "../support/replicas.ts";

const NOW = Date.UTC(2026, 10, 2);

function opened(options: Partial<StateReplicaOptions> = {}): StateReplica {
  return new StateReplica({
    nodeId: "a",
    store: new RowStore(),
    clock: { now: () => 0, wallTime: () => NOW, after: () => () => {} },
    random: seededRandom(1),
    ...options,
  });
}

async function fails(code: ErrorCode, says: string, work: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(work, NetworkError, says);
  assertEquals(error.code, code);
}

Deno.test("a value is there at once, and is the reader's own", async () => {
  const state = opened();
  const value = { deep: [1, { b: null }] };
  const written = state.set("k", value);
  value.deep.push(2);
  assertEquals(state.get("k"), { deep: [1, { b: null }] });
  await written;
  (state.get("k") as { deep: JsonValue[] }).deep.push(3);
  assertEquals(state.get("k"), { deep: [1, { b: null }] });
  assertEquals([state.has("k"), state.has("other")], [true, false]);
  await state.set("k", null);
  assertEquals([state.get("k"), state.has("k")], [null, true]);
  assertEquals(await state.delete("k"), true);
  assertEquals([state.get("k"), await state.delete("k")], [undefined, false]);
  await state.close();
});

Deno.test("any key is data, and a prefix means what it says", async () => {
  const state = opened();
  const keys = [
    "",
    "\x01",
    "\x01a",
    "__proto__",
    "a",
    "a/1",
    "a/2",
    "a%",
    "a_",
    "ä",
    "\u{10ffff}",
    "😀",
  ];
  for (const key of keys) void state.set(key, key);
  await state.settled();
  for (const key of keys) assertEquals(state.get(key), key);
  assertEquals(state.keys("a/"), ["a/1", "a/2"]);
  assertEquals(state.keys("a%"), ["a%"]);
  assertEquals(state.keys("\x01"), ["\x01", "\x01a"]);
  assertEquals(state.keys("\u{10ffff}"), ["\u{10ffff}"]);
  assertEquals(state.keys().length, keys.length);
  assertEquals(state.entries("a/"), [["a/1", "a/1"], ["a/2", "a/2"]]);
  await state.close();
});

Deno.test("numbers are added to, lists are appended to, and both can be set", async () => {
  const state = opened();
  assertEquals(await state.increment("n"), 1);
  assertEquals(await state.increment("n", 41), 42);
  await state.set("n", 10);
  assertEquals(await state.increment("n", -3), 7);
  assertEquals(await state.delete("n"), true);
  assertEquals(state.has("n"), false);
  assertEquals(await state.increment("n", 5), 5);
  await state.append("l", 1, { two: 2 });
  await state.append("l", "three");
  assertEquals(state.list("l"), [1, { two: 2 }, "three"]);
  await state.set("l", ["new"]);
  await state.append("l", "er");
  assertEquals(state.get("l"), ["new", "er"]);
  assertEquals(state.list("nothing"), []);
  await state.close();
});

Deno.test("what cannot be written says why, and nothing is written", async () => {
  const state = opened({ maxBytes: 2_000_000 });
  await state.set("text", "x");
  const deep = JSON.parse("[".repeat(33) + "]".repeat(33));
  const cycle: JsonValue[] = [];
  cycle.push(cycle);
  await fails("RESOURCE_EXHAUSTED", "513 bytes", () => state.set("k".repeat(513), 1));
  await fails("INVALID_ARGUMENT", "no text", () => state.set("\ud800", 1));
  await fails("INVALID_ARGUMENT", "a zero", () => state.set("a\0b", 1));
  await fails("RESOURCE_EXHAUSTED", "1048577 bytes", () => state.set("k", "x".repeat(2 ** 20 - 1)));
  await fails("INVALID_ARGUMENT", "deeper than 32", () => state.set("k", deep));
  await fails("INVALID_ARGUMENT", "Cannot set", () => state.set("k", cycle));
  await fails("INVALID_ARGUMENT", "JSON has no NaN", () => state.set("k", [null, { n: NaN }]));
  await fails("INVALID_ARGUMENT", "no -Infinity", () => state.append("l", 1, -Infinity));
  await fails("INVALID_ARGUMENT", "undefined", () => state.set("k", undefined as never));
  await fails("FAILED_PRECONDITION", "a string, and no number", () => state.increment("text"));
  await fails("FAILED_PRECONDITION", "a string, and no list", () => state.append("text", 1));
  await fails("INVALID_ARGUMENT", "NaN is no number", () => state.increment("n", NaN));
  await fails("INVALID_ARGUMENT", "too large", async () => {
    await state.increment("huge", Number.MAX_VALUE);
    await state.increment("huge", Number.MAX_VALUE);
  });
  await state.set("k1", "x".repeat(1_000_000));
  await fails(
    "RESOURCE_EXHAUSTED",
    "at most 2000000",
    () => state.set("k2", "x".repeat(1_000_000)),
  );
  assertEquals(state.keys(), ["huge", "k1", "text"]);
  await state.delete("k1");
  await state.set("k2", "x".repeat(1_000_000));
  await state.close();
  await fails("FAILED_PRECONDITION", "closed", () => state.set("k", 1));
});

Deno.test("of a transaction that throws nothing stays, and what was written beside it does", async () => {
  const state = opened();
  await state.set("a", 1);
  const beside = state.set("b", 1);
  await assertRejects(
    () =>
      state.transact((tx) => {
        tx.set("a", 2);
        tx.increment("n");
        throw new Error("no");
      }),
    Error,
    "no",
  );
  await fails("INVALID_ARGUMENT", "cannot wait", () =>
    state.transact(async (tx) => {
      tx.set("a", 3);
      await Promise.resolve();
    }));
  let within: Promise<void> | undefined;
  await state.transact((tx) => {
    tx.set("c", 1);
    within = fails("FAILED_PRECONDITION", "under way", () => state.set("d", 1));
  });
  await within;
  await state.delete("c");
  await beside;
  assertEquals(state.entries(), [["a", 1], ["b", 1]]);
  const moved = await state.transact((tx) => {
    tx.set("a", Number(tx.get("a")) - 1);
    tx.increment("b");
    return [tx.get("a"), tx.get("b")];
  });
  assertEquals(moved, [0, 2]);
  await state.close();
});

Deno.test("what is too much for the state leaves nothing behind, though it would take several rows", async () => {
  const store = new RowStore();
  const state = opened({ store, maxBytes: 100 });
  await state.increment("n", 5);
  // There is room for the text, and none for what it takes back.
  await fails("RESOURCE_EXHAUSTED", "at most 100", () => state.set("n", "x".repeat(60)));
  assertEquals(state.get("n"), 5);
  assertEquals({ ...store.total() }, { bytes: state.bytes, digest: state.position.digest });
  await state.close();
});

Deno.test("a transaction in which a write had no room fails, whatever it makes of that", async () => {
  const store = new RowStore();
  const state = opened({ store, maxBytes: 100 });
  await state.increment("n", 5);
  const stubborn = (work: () => void) => {
    try {
      work();
    } catch {
      // It goes on as if nothing was.
    }
  };
  await fails("RESOURCE_EXHAUSTED", "at most 100", () =>
    state.transact((tx) => {
      tx.set("k", 1);
      stubborn(() => tx.set("n", "x".repeat(60)));
      stubborn(() => tx.increment("text", NaN));
    }));
  assertEquals(state.entries(), [["n", 5]]);
  await state.transact((tx) => {
    tx.set("k", 1);
    stubborn(() => tx.increment("text", NaN));
  });
  assertEquals(state.entries(), [["k", 1], ["n", 5]]);
  await state.close();
  const large = opened();
  await fails("RESOURCE_EXHAUSTED", "Write in several", () =>
    large.transact((tx) => {
      for (let i = 0; i < 20; i++) stubborn(() => tx.set(`k${i}`, "x".repeat(1_000_000)));
    }));
  assertEquals(large.keys(), []);
  await large.close();
});

Deno.test("a transaction that is over neither reads nor writes", async () => {
  const state = opened();
  const kept = await state.transact((tx) => tx);
  const late = Promise.withResolvers<void>();
  await fails("INVALID_ARGUMENT", "cannot wait", () =>
    state.transact(async (tx) => {
      await Promise.resolve();
      try {
        tx.set("late", 1);
      } finally {
        late.resolve();
      }
    }));
  await late.promise;
  for (
    const use of [
      () => kept.get("k"),
      () => kept.set("k", 1),
      () => kept.increment("k"),
      () => kept.append("k", 1),
      () => kept.delete("k"),
    ]
  ) assertThrows(use, NetworkError, "that is over");
  assertEquals(state.entries(), []);
  await fails("FAILED_PRECONDITION", "under way", () =>
    state.transact((tx) => {
      tx.set("k", 1);
      state.commit();
    }));
  assertEquals(state.entries(), []);
  await state.close();
});

Deno.test("what is too much for one message is refused, and a list of any length can be deleted", async () => {
  const state = opened();
  const large = "x".repeat(1_000_000);
  await fails("RESOURCE_EXHAUSTED", "Write in several", () =>
    state.transact((tx) => {
      for (let i = 0; i < 12; i++) tx.set(`k${i}`, large);
    }));
  assertEquals(state.keys(), []);
  await state.append("log", ...Array.from({ length: 60_000 }, (_, i) => i));
  const before = state.position.versions.of(state.origin);
  await state.delete("log");
  assertEquals(state.has("log"), false);
  const { rows } = state.others.since({ origin: state.origin, seq: before });
  const sizes = new Map<number, number>();
  for (const { seq } of rows) sizes.set(seq, (sizes.get(seq) ?? 0) + 1);
  assert(sizes.size > 1 && Math.max(...sizes.values()) < 50_000, `${[...sizes.values()]}`);
  await state.close();
});

Deno.test("what a list has held before it was deleted is not read with it", async () => {
  const store = new RowStore();
  const state = opened({ store });
  await state.append("jobs", ...Array.from({ length: 100 }, (_, i) => i));
  await state.delete("jobs");
  await state.append("jobs", "new");
  // What was deleted is told to others for a day.
  assertEquals([...store.rowsBetween({ key: "jobs", part: "" })].length, 101);
  assertEquals(store.rowsOf("jobs").length, 1);
  assertEquals([...store.rowsFrom("jobs")].length, 1);
  assertEquals(state.entries(), [["jobs", ["new"]]]);
  await state.set("jobs", ["set"]);
  await state.delete("jobs");
  assertEquals(state.entries(), []);
  await state.close();
});

Deno.test("what several have added at once is a number, however much it is", () => {
  using a = new Replica(1);
  using b = new Replica(2);
  for (const one of [a, b]) {
    one.write((tx) => tx.increment("up", Number.MAX_VALUE));
    one.write((tx) => tx.increment("down", -Number.MAX_VALUE));
  }
  heal([a, b]);
  for (const { state } of [a, b]) {
    assertEquals(state.entries(), [["down", -Number.MAX_VALUE], ["up", Number.MAX_VALUE]]);
  }
});

Deno.test("a transaction is on another replica in one piece, or not at all", () => {
  using a = new Replica(1);
  using b = new Replica(2);
  a.write((tx) => {
    tx.set("x", 1);
    tx.set("y", 1);
  });
  const news = a.news();
  assertEquals(new Set(news.rows.map(({ seq }) => seq)).size, 1);
  b.state.others.take(news);
  assertEquals([b.state.get("x"), b.state.get("y")], [1, 1]);
});

Deno.test("changes say what was there before, who wrote, and what a concurrent write has lost", async () => {
  using a = new Replica(1);
  using b = new Replica(2);
  const changes = b.state.subscribe("k");
  a.write((tx) => tx.set("k", "first"));
  b.pull(a);
  b.write((tx) => tx.set("k", "mine"));
  b.write((tx) => tx.set("other", 1));
  a.wallTime += 1_000;
  a.write((tx) => tx.set("k", "theirs"));
  a.write((tx) => tx.set("k", "theirs, later"));
  b.pull(a);
  a.pull(b);
  a.write((tx) => tx.delete("k"));
  b.pull(a);
  const told = [];
  for (let i = 0; i < 4; i++) told.push((await changes.next()).value);
  const change = { key: "k", isConcurrent: false };
  assertEquals(told, [
    { ...change, value: "first", previous: undefined, nodeId: "n1" },
    { ...change, value: "mine", previous: "first", nodeId: "n2" },
    { ...change, value: "theirs, later", previous: "mine", nodeId: "n1", isConcurrent: true },
    { ...change, value: undefined, previous: "theirs, later", nodeId: "n1" },
  ]);
});

Deno.test("what was written together is told as one change, with a value that was there", async () => {
  using a = new Replica(1);
  using b = new Replica(2);
  a.write((tx) => tx.increment("n", 5));
  heal([a, b]);
  const changes = b.state.subscribe();
  a.write((tx) => tx.set("n", 10));
  // Each change read by itself, this would take a minute.
  for (let i = 0; i < 5_000; i++) a.write((tx) => tx.append("list", i));
  b.state.others.take(a.news());
  const told = [(await changes.next()).value, (await changes.next()).value];
  assertEquals(told.map(({ key, previous }) => [key, previous]), [["n", 5], ["list", undefined]]);
  assertEquals([told[0].value, told[1].value.length], [10, 5_000]);
  b.write((tx) => tx.set("last", 1));
  b.state.commit();
  assertEquals((await changes.next()).value.key, "last");
});

Deno.test("what is written elsewhere drops nothing of what a reader waits for", async () => {
  const state = opened();
  const jobs = state.subscribe("jobs/", { capacity: 1 });
  void state.set("jobs/1", "mine");
  for (let i = 0; i < 10; i++) void state.set(`other/${i}`, i);
  await state.settled();
  assertEquals((await jobs.next()).value.key, "jobs/1");
  await jobs.return!();
  await state.close();
  assertEquals((await state.subscribe("jobs/").next()).done, true);
});

Deno.test("a clock ten years ahead wins once, and one from 1970 loses no longer than it has heard nothing", () => {
  using ahead = new Replica(1);
  using behind = new Replica(2);
  using right = new Replica(3);
  ahead.wallTime += 10 * 365 * 86_400_000;
  behind.wallTime = 1_000;
  ahead.write((tx) => tx.set("k", "ahead"));
  behind.write((tx) => tx.set("k", "behind"));
  right.write((tx) => tx.set("k", "right"));
  heal([ahead, behind, right]);
  for (const { state } of [ahead, behind, right]) assertEquals(state.get("k"), "ahead");
  for (const one of [right, behind]) {
    one.write((tx) => tx.set("k", one.state.origin));
    heal([ahead, behind, right]);
    for (const { state } of [ahead, behind, right]) assertEquals(state.get("k"), one.state.origin);
  }
});

Deno.test("a clock that shows the next century neither wins nor keeps its node from being heard", () => {
  using lost = new Replica(1);
  using right = new Replica(2);
  lost.wallTime = Date.UTC(2105, 0, 1);
  lost.write((tx) => tx.set("k", "lost"));
  heal([lost, right]);
  assertEquals(right.state.get("k"), "lost");
  lost.wallTime = right.wallTime;
  lost.write((tx) => tx.set("k", "found"));
  heal([lost, right]);
  assertEquals(right.state.get("k"), "found");
  right.wallTime += 86_400_000;
  right.write((tx) => tx.set("k", "right"));
  heal([lost, right]);
  assertEquals(lost.state.get("k"), "right");
});

Deno.test("a stamp beyond all clocks is not taken, and taken as soon as it is not", () => {
  using a = new Replica(1);
  const origin = "evil/0123456789abcdef";
  const time = a.wallTime + MAX_LEAD_MS + 400 * 86_400_000;
  const row: Row = {
    key: "k",
    part: "",
    origin,
    seq: 1,
    stamp: { time, count: 0, writer: origin },
    base: undefined,
    value: "1",
  };
  const delta = { origin, after: 0, upTo: 1, rows: [row] };
  assertEquals(a.state.others.take(delta), "future");
  assertEquals([a.state.has("k"), a.state.position.versions.of(origin)], [false, 0]);
  a.wallTime += 2 * 365 * 86_400_000;
  assertEquals(a.state.others.take(delta), "taken");
  assertEquals(a.state.get("k"), 1);
});

Deno.test("nobody writes in the name of this opening", () => {
  const state = opened();
  const delta = { origin: state.origin, after: 0, upTo: 9, rows: [] };
  assertEquals(assertThrows(() => state.others.take(delta), NetworkError).code, "PROTOCOL");
  assertEquals(state.position.versions.of(state.origin), 0);
});

Deno.test("a disk that fails is told to all who have written since, and what is read was written", async () => {
  const store = new RowStore();
  const state = opened({ store });
  await state.set("k", 1);
  store.commit = () => {
    throw Object.assign(new Error("database or disk is full"), {
      code: "ERR_SQLITE_ERROR",
      errcode: 13,
    });
  };
  const writes = [state.set("k", 2), state.increment("n")];
  assertEquals(state.get("k"), 2);
  for (const write of writes) await fails("RESOURCE_EXHAUSTED", "make room", () => write);
  assertEquals([state.get("k"), state.has("n")], [1, false]);
  Reflect.deleteProperty(store, "commit");
  await state.set("k", 3);
  assert(state.get("k") === 3);
  await state.close();
});
