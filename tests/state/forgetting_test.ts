/** What was deleted is forgotten, and never comes back. */

import { assert, assertEquals } from "@std/assert";
import { encodeDelta } from "../../src/state/delta_codec.ts";
import { DELTA_TOPIC } from "../../src/state/replicator.ts";
import { Lan, type Node } from "../support/state_lan.ts";

/** Each forgets what has been gone for a day. */
function forget(nodes: readonly Node[]): void {
  for (const { state } of nodes) state.forget();
}

/** All show the same, and it is this. */
function assertShow(nodes: readonly Node[], entries: Record<string, unknown>): void {
  for (const { state } of nodes) {
    assertEquals(Object.fromEntries(state.entries()), entries, state.origin);
  }
}

Deno.test("a node that was away for a month brings back nothing, and loses nothing", async () => {
  const lan = new Lan();
  const [a, b, c] = ["a", "b", "c"].map((id) => lan.add(id));
  await a.state.set("value", 1);
  await b.state.append("list", "one", "two");
  await c.state.increment("count", 5);
  await c.state.append("list", "three");
  await c.state.increment("both", 2);
  await c.state.set("kept", true);
  await lan.compare();
  lan.away.add("c");
  for (const key of ["value", "list", "count"]) await b.state.delete(key);
  await a.state.set("both", 10);
  await c.state.increment("both", 3);
  await c.state.set("new", "while away");
  const seen: string[] = [];
  const watched = a.state.subscribe();
  const watching = (async () => {
    for await (const { key, value } of watched) if (value !== undefined) seen.push(key);
  })();
  await lan.days(30);
  forget([a, b]);
  await lan.days(2);
  forget([a, b]);
  lan.away.clear();
  // As soon as they compare: it is clear to all that it needs everything.
  await lan.clock.advance(10_000);
  assertShow([a, b, c], { kept: true, new: "while away", both: 13 });
  // Not even for a moment.
  await watched.return!();
  await watching;
  assertEquals(new Set(seen), new Set(["both", "new"]));
  // And not when it is taken from those that have it.
  const d = lan.add("d");
  await lan.compare();
  assertShow([d], { kept: true, new: "while away", both: 13 });
});

Deno.test("in the end nothing is left of what was deleted", async () => {
  const lan = new Lan();
  const nodes = ["a", "b", "c"].map((id) => lan.add(id));
  const [a, b, c] = nodes;
  await a.state.set("stays", 1);
  const { bytes } = a.state;
  await lan.compare();
  for (const { state } of nodes) {
    await state.set(`value/${state.origin}`, "x".repeat(100));
    await state.increment("count", 7);
    await state.append("list", "one", "two");
  }
  await lan.compare();
  await b.state.delete("count");
  await c.state.delete("list");
  for (const key of a.state.keys("value/")) await a.state.delete(key);
  await lan.compare();
  // Who has added says on the day after that it adds no more to that; then that is forgotten, too.
  for (let day = 0; day < 3; day++) {
    await lan.days(1.1);
    forget(nodes);
    await lan.compare();
  }
  assertShow(nodes, { stays: 1 });
  assertEquals(nodes.map(({ state }) => state.bytes), [bytes, bytes, bytes]);
  // A counter begins anew.
  await b.state.increment("count");
  await a.state.increment("count", 2);
  await lan.compare();
  assertShow(nodes, { stays: 1, count: 3 });
});

Deno.test("a deletion is remembered until what it has deleted has come", async () => {
  const lan = new Lan();
  const [a, b, c] = ["a", "b", "c"].map((id) => lan.add(id));
  lan.away.add("b");
  await a.state.set("k", 1);
  await lan.compare();
  lan.away.add("a");
  // It hears what c writes, and goes away before it could ask what c has seen.
  await c.state.delete("k");
  const { origin } = c.state;
  const delta = c.state.others.since({ origin, seq: 0 });
  assert(b.replicator.heard("c", DELTA_TOPIC, encodeDelta(delta)));
  lan.away.add("c");
  // The one that has not heard of it comes back with what it had.
  await lan.days(30);
  forget([b]);
  lan.away.delete("a");
  lan.away.delete("b");
  await lan.compare();
  assertShow([a, b], {});
});

Deno.test("a counter that is deleted begins anew, whatever of it is remembered", async () => {
  const lan = new Lan();
  const nodes = ["a", "b"].map((id) => lan.add(id));
  const [a, b] = nodes;
  for (let day = 0; day < 4; day++) {
    await a.state.increment("count", 7);
    await b.state.increment("count", 5);
    await lan.compare();
    assertShow(nodes, { count: 12 });
    await b.state.delete("count");
    await lan.compare();
    assertShow(nodes, {});
    await lan.days(1.1);
    forget(nodes);
    await lan.compare();
  }
});

Deno.test("those that have seen the same and show something else agree", async () => {
  const lan = new Lan();
  const nodes = ["a", "b", "c"].map((id) => lan.add(id));
  const [a, b, c] = nodes;
  await a.state.set("k", "a");
  await lan.compare();
  for (const id of ["a", "b", "c"]) lan.away.add(id);
  await b.state.set("k", "b");
  await lan.clock.advance(1);
  // It deletes without having seen what b has written, which is earlier, and c hears of that.
  lan.away.delete("a");
  lan.away.delete("c");
  await a.state.delete("k");
  await lan.days(2);
  forget([a]);
  lan.away.add("c");
  lan.away.delete("b");
  await lan.compare();
  assertShow([a, b], { k: "b" });
  lan.away.clear();
  await lan.compare();
  assertShow(nodes, Object.fromEntries(c.state.entries()));
  assertEquals(new Set(nodes.map(({ state }) => state.position.digest)).size, 1);
});
