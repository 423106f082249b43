/** One state on several nodes, over links, with time that only the test moves. */

import { assertEquals } from "@std/assert";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";

/** Nodes that have found each other. */
async function linkedNodes(fleet: MemoryFleet, ...ids: string[]): Promise<MemoryNode[]> {
  const nodes = await Promise.all(ids.map((nodeId) => fleet.start({ nodeId })));
  await fleet.advance(3_000);
  return nodes;
}

const entriesOf = ({ network }: MemoryNode) => network.state.entries();

Deno.test("what one node writes all others show at once", async () => {
  await using fleet = new MemoryFleet(1);
  const nodes = await linkedNodes(fleet, "a", "b", "c");
  const [a, b, c] = nodes;
  await fleet.wait(a.network.state.set("greeting", { text: "hello" }));
  await fleet.wait(Promise.all(nodes.map(({ network }) => network.state.increment("count", 2))));
  await fleet.wait(c.network.state.append("log", "one", "two"));
  await fleet.advance(20);
  const expected = [["count", 6], ["greeting", { text: "hello" }], ["log", ["one", "two"]]];
  for (const node of nodes) assertEquals(entriesOf(node), expected as [string, never][]);
  assertEquals(await fleet.wait(b.network.state.delete("log")), true);
  await fleet.advance(20);
  for (const node of nodes) assertEquals(node.network.state.has("log"), false);
});

Deno.test("a node that comes later gets all that is there", async () => {
  await using fleet = new MemoryFleet(2);
  const [a] = await linkedNodes(fleet, "a");
  const writes = Array.from(
    { length: 3_000 },
    (_, i) => a.network.state.set(`key/${i}`, "x".repeat(200)),
  );
  await fleet.wait(Promise.all(writes));
  const b = await fleet.start({ nodeId: "b" });
  await fleet.advance(3_000);
  assertEquals(b.network.state.keys("key/").length, 3_000);
  assertEquals(entriesOf(b), entriesOf(a));
});

Deno.test("both sides of a partition write, and show the same when it has healed", async () => {
  await using fleet = new MemoryFleet(3);
  const nodes = await linkedNodes(fleet, "a", "b", "c");
  const [a, b, c] = nodes;
  fleet.lan.partition([a.host], [b.host, c.host]);
  await fleet.advance(20_000);
  for (const [index, { network }] of nodes.entries()) {
    await fleet.wait(network.state.set("who", network.nodeId));
    await fleet.wait(network.state.increment("count"));
    await fleet.wait(network.state.append("log", index));
  }
  await fleet.advance(100);
  assertEquals(a.network.state.get("count"), 1);
  assertEquals(b.network.state.get("count"), 2);
  fleet.lan.heal();
  await fleet.advance(60_000);
  for (const { network } of nodes) assertEquals(network.state.get("count"), 3);
  for (const node of nodes) assertEquals(entriesOf(node), entriesOf(a));
});

Deno.test("a node that was away for a month brings back nothing that was deleted", async () => {
  await using fleet = new MemoryFleet(4);
  const nodes = await linkedNodes(fleet, "a", "b");
  const [a, b] = nodes;
  await fleet.wait(b.network.state.set("old", 1));
  await fleet.wait(b.network.state.append("list", "one", "two"));
  await fleet.advance(20);
  fleet.lan.partition([a.host], [b.host]);
  await fleet.advance(20_000);
  await fleet.wait(a.network.state.delete("old"));
  await fleet.wait(a.network.state.delete("list"));
  await fleet.wait(b.network.state.set("new", "of the other side"));
  fleet.clock.setWallTime(fleet.clock.wallTime() + 30 * 86_400_000);
  // Within an hour it is forgotten.
  await fleet.advance(3_700_000);
  const back: string[] = [];
  const changes = a.network.state.subscribe();
  void (async () => {
    for await (const { key } of changes) back.push(key);
  })();
  fleet.lan.heal();
  await fleet.advance(60_000);
  for (const node of nodes) assertEquals(entriesOf(node), [["new", "of the other side"]]);
  assertEquals(back, ["new"]);
});
