/** Who tells whom what: between replicas in memory, one of which may lie. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encodeDelta } from "../../src/state/delta_codec.ts";
import type { Delta } from "../../src/state/intake.ts";
import { DELTA_TOPIC, type Replicator, SEEN_TOPIC } from "../../src/state/replicator.ts";
import { encodeStanding } from "../../src/state/standing_codec.ts";
import { Versions } from "../../src/state/versions.ts";
import { Lan, type Node } from "../support/state_lan.ts";

Deno.test("what differs after a cut is exchanged, and nothing else", async () => {
  const lan = new Lan();
  const [a, b, c] = ["a", "b", "c"].map((id) => lan.add(id));
  for (let i = 0; i < 2_000; i++) void a.state.set(`before/${i}`, "x".repeat(100));
  await a.state.settled();
  await lan.compare();
  for (const id of ["a", "b", "c"]) lan.away.add(id);
  const write = async ({ state }: Node, id: string) => {
    for (let i = 0; i < 100; i++) void state.set(`${id}/${i}`, "x".repeat(100));
    await state.settled();
  };
  await Promise.all([write(a, "a"), write(b, "b")]);
  lan.away.clear();
  lan.bytes = 0;
  await lan.compare();
  for (const { state } of [a, b, c]) assertEquals(state.keys().length, 2_200);
  assertEquals(b.state.entries(), a.state.entries());
  assertEquals(c.state.entries(), a.state.entries());
  // Four times a hundred rows of some 200 bytes.
  assert(lan.bytes < 150_000, `${lan.bytes}`);
  lan.pulls.length = 0;
  await lan.compare();
  assertEquals(lan.pulls, []);
});

Deno.test("nobody tells what others have written", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  await a.state.set("k", 1);
  const delta: Delta = { origin: "a/0000000000000000", after: 0, upTo: 9, rows: [] };
  b.replicator.heard("evil", DELTA_TOPIC, encodeDelta(delta));
  assertStringIncludes(b.log.lines("warn")[0], 'what it says of "a"');
  assertEquals(b.state.position.versions.of(delta.origin), 0);
});

Deno.test("who claims that another one has written more keeps nobody from what that one writes", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  await a.state.set("k", "real");
  const { origin } = a.state;
  const lie: Delta = {
    origin,
    after: a.state.position.versions.of(origin),
    upTo: 2 ** 40,
    rows: [{
      key: "made up",
      part: "",
      origin,
      seq: 2 ** 40,
      stamp: { time: lan.clock.wallTime(), count: 0, writer: origin },
      base: undefined,
      value: "1",
    }],
  };
  // As an answer to a question, which may tell of everybody.
  const evil = {
    state: a.state,
    log: a.log,
    replicator: {
      *answer() {
        const versions = new Versions([[origin, 2 ** 40]]);
        const own = "evil/0123456789abcdef";
        const forgotten = new Versions();
        yield encodeStanding({ versions, forgotten, own, all: false });
        yield encodeDelta(lie);
      },
    } as unknown as Replicator,
  };
  lan.nodes.set("evil", evil);
  b.replicator.heard("evil", SEEN_TOPIC, new Uint8Array(8));
  await lan.clock.advance(1);
  assertEquals([b.state.get("k"), b.state.get("made up")], ["real", 1]);
  lan.nodes.delete("evil");
  await a.state.set("k", "later");
  assertEquals(b.state.get("k"), "real");
  await lan.compare();
  assertEquals([b.state.get("k"), b.state.has("made up")], ["later", false]);
  assertStringIncludes(b.log.lines("warn").join(), 'in the name of "a"');
  assertEquals(b.state.position.versions.of(origin), a.state.position.versions.of(origin));
});

Deno.test("who differs in each comparison is told of after a while, and not any more when it is alike", async () => {
  const lan = new Lan();
  const [a, b] = [lan.add("a"), lan.add("b")];
  await b.state.set("k", 1);
  await lan.compare();
  assertEquals(a.replicator.differingFor(0), []);
  // Nothing that it writes is believed, so that it stays another one.
  const { others } = a.state;
  const { take } = others;
  others.take = () => "gap";
  await b.state.set("k", 2);
  await lan.compare();
  assertEquals(a.replicator.differingFor(30_000), [], "not for so long");
  await lan.compare();
  await lan.compare();
  assertEquals(a.replicator.differingFor(30_000), ["b"]);
  lan.away.add("b");
  assertEquals(a.replicator.differingFor(30_000), [], "it is not linked");
  lan.away.clear();
  others.take = take;
  await lan.compare();
  await lan.compare();
  assertEquals(a.replicator.differingFor(0), []);
});
