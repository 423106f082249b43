/** Who tells whom what: between replicas in memory, one of which may lie. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { encodeDelta, encodeStretch } from "../../src/state/delta_codec.ts";
import type { Delta } from "../../src/state/intake.ts";
import { DELTA_TOPIC, type Replicator, SEEN_TOPIC } from "../../src/state/replicator.ts";
import type { Row } from "../../src/state/row.ts";
import { START } from "../../src/state/row_store.ts";
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

Deno.test("a key is the same on all, also one that begins with a byte order mark", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  await a.state.set("\ufeffkey", "\ufeffvalue");
  await a.state.append("\ufeff", "item");
  for (let i = 0; i < 3; i++) await lan.compare();
  const expected: [string, JsonValue][] = [["\ufeff", ["item"]], ["\ufeffkey", "\ufeffvalue"]];
  for (const { state } of [a, b]) {
    assertEquals([...state.entries()], expected);
  }
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

Deno.test("who was not told because its link was full is told as soon as it is not", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  lan.busy.add("b");
  await a.state.set("k", 1);
  await lan.clock.advance(100);
  assertEquals(b.state.has("k"), false);
  lan.busy.clear();
  await lan.clock.advance(50);
  assertEquals(b.state.get("k"), 1);
  lan.busy.add("b");
  await a.state.set("k", 2);
  lan.away.add("b");
  await lan.clock.advance(50);
  lan.away.clear();
  lan.busy.clear();
  await lan.clock.advance(1_000);
  assertEquals(b.state.get("k"), 1, "who is gone is told when it comes back");
});

/** A peer that answers whatever it likes. */
function liar(lan: Lan, answer: () => Generator<Uint8Array>): void {
  const { state, log } = [...lan.nodes.values()][0];
  const replicator = { answer, heard: () => true } as unknown as Replicator;
  lan.nodes.set("evil", { state, log, replicator });
}

const EVIL = "evil/0123456789abcdef";
/** Asks it, as whoever hears that it has something else. */
async function askEvil(lan: Lan, { replicator }: Node): Promise<void> {
  replicator.heard("evil", SEEN_TOPIC, new Uint8Array(8));
  await lan.clock.advance(1);
}

Deno.test("who says to have seen what was never written here deletes nothing of it", async () => {
  const lan = new Lan();
  const a = lan.add("a");
  await a.state.set("k", 1);
  liar(lan, function* () {
    const versions = new Versions([[a.state.origin, 2 ** 40]]);
    yield encodeStanding({ versions, forgotten: new Versions(), own: EVIL, all: true });
    yield encodeStretch({ from: START, to: undefined, rows: [] });
  });
  await askEvil(lan, a);
  assertEquals(a.state.get("k"), 1);
  assertStringIncludes(a.log.lines("warn")[0], "never written here");
});

Deno.test("who says to have forgotten what was never written makes nobody tell everything for ever", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  for (let i = 0; i < 100; i++) void b.state.set(`k/${i}`, "x".repeat(1_000));
  await a.state.set("mine", 1);
  await b.state.settled();
  await lan.compare();
  const [versions, gone] = [b.state.position.versions.copy(), "gone/0123456789abcdef"];
  const forgotten = [a.state.origin, b.state.origin, gone].map((one) => [one, 2 ** 40] as const);
  liar(lan, function* () {
    const said = { versions, forgotten: new Versions(forgotten), own: EVIL, all: true };
    yield encodeStanding(said);
    yield encodeStretch(a.state.others.stretch());
  });
  await askEvil(lan, b);
  lan.nodes.delete("evil");
  await lan.compare();
  lan.away.add("a");
  await b.state.set("k/0", "changed");
  await a.state.set("mine", 2);
  lan.away.clear();
  lan.bytes = 0;
  await lan.compare();
  assertEquals([a.state.get("k/0"), b.state.get("mine")], ["changed", 2]);
  assert(lan.bytes < 2_000, `${lan.bytes}`);
});

Deno.test("who never comes to an end keeps nobody from being asked", async () => {
  const lan = new Lan();
  const [a, b] = ["a", "b"].map((id) => lan.add(id));
  lan.away.add("b");
  await b.state.set("k", 1);
  lan.away.clear();
  const silent = Promise.withResolvers<void>();
  lan.silent.set("evil", silent.promise);
  liar(lan, function* () {});
  a.replicator.heard("evil", SEEN_TOPIC, new Uint8Array(8));
  b.replicator.linked("a");
  await lan.clock.advance(1_000);
  assertEquals(a.state.has("k"), false, "one after the other");
  await lan.clock.advance(30_000);
  assertEquals(a.state.get("k"), 1);
  const asked = () => lan.pulls.filter((pull) => pull === "a evil").length;
  await askEvil(lan, a);
  assertEquals(asked(), 1, "not twice at once");
  silent.resolve();
  await lan.clock.advance(1);
  assertEquals(asked(), 2, "and again when it has ended");
});

Deno.test("what was written too far in the future is reported, once a minute, and what is beside it taken", async () => {
  const lan = new Lan();
  const a = lan.add("a");
  const written = (origin: string, time: number): Delta => ({
    origin,
    after: 0,
    upTo: 1,
    rows: [{
      key: origin,
      part: "",
      origin,
      seq: 1,
      stamp: { time, count: 0, writer: origin },
      base: undefined,
      value: "1",
    }],
  });
  const other = "other/0123456789abcdef";
  liar(lan, function* () {
    const versions = new Versions([[EVIL, 1], [other, 1]]);
    yield encodeStanding({ versions, forgotten: new Versions(), own: EVIL, all: false });
    yield encodeDelta(written(EVIL, 2 ** 45));
    yield encodeDelta(written(other, lan.clock.wallTime()));
  });
  for (let i = 0; i < 3; i++) await askEvil(lan, a);
  assertEquals(a.state.keys(), [other]);
  assertEquals(a.log.lines("warn").length, 1);
  assertStringIncludes(a.log.lines("warn")[0], "in the future");
  await lan.clock.advance(60_000);
  await askEvil(lan, a);
  assertEquals(a.log.lines("warn").length, 2);
});

Deno.test("who tells one thing here and another one there makes nobody differ for ever", async () => {
  const lan = new Lan();
  const nodes = ["a", "b", "c"].map((id) => lan.add(id));
  const stamp = { time: lan.clock.wallTime(), count: 0, writer: EVIL };
  const row: Row = { key: "k", part: "", origin: EVIL, seq: 1, stamp, base: undefined, value: "1" };
  const told = [row, { ...row, value: "2" }, {
    ...row,
    base: { origin: nodes[0].state.origin, seq: 1 },
  }];
  for (const [i, { state }] of nodes.entries()) {
    state.others.take({ origin: EVIL, after: 0, upTo: 1, rows: [told[i]] });
  }
  for (let i = 0; i < 3; i++) await lan.compare();
  for (const { state } of nodes) {
    assertEquals(state.entries(), nodes[0].state.entries());
    assertEquals(state.position.digest, nodes[0].state.position.digest);
  }
});

Deno.test("of openings of stores that nobody knows no more are taken than a device can keep", async () => {
  const lan = new Lan();
  const a = lan.add("a");
  await a.state.set("k", 1);
  liar(lan, function* () {
    const versions = new Versions();
    for (let i = 0; i < 100_001; i++) {
      versions.advance(`evil/${i.toString(16).padStart(16, "0")}`, 1);
    }
    yield encodeStanding({ versions, forgotten: new Versions(), own: EVIL, all: true });
    yield encodeStretch(a.state.others.stretch());
  });
  await askEvil(lan, a);
  assertStringIncludes(a.log.lines("warn")[0], "openings of stores");
  assertEquals(a.state.position.versions.size, 1);
  await a.state.set("k", 2);
  assertEquals(a.state.get("k"), 2);
});

Deno.test("what nobody can have written together does not keep back what others have written", async () => {
  const lan = new Lan();
  const a = lan.add("a");
  await a.state.set("before", 1);
  const stamp = { time: lan.clock.wallTime(), count: 0, writer: EVIL };
  const value = JSON.stringify("x".repeat(1_000_000));
  const row = { part: "", origin: EVIL, seq: 1, stamp, base: undefined, value };
  for (let i = 0; i < 3; i++) {
    const rows: Row[] = Array.from({ length: 5 }, (_, k) => ({ ...row, key: `big/${i}/${k}` }));
    const to = { key: `big/${i}/9`, part: "" };
    const stretch = { from: { key: `big/${i}`, part: "" }, to, rows };
    a.state.others.takeStretch(stretch, { versions: new Versions() }, "evil");
  }
  a.state.others.join({ versions: new Versions([[EVIL, 1]]), forgotten: new Versions() });
  const honest = "other/0123456789abcdef";
  const behind: Row = { ...row, key: "behind", origin: honest, value: "1" };
  a.state.others.take({ origin: honest, after: 0, upTo: 1, rows: [behind] });
  const b = lan.add("b");
  await lan.compare();
  assertEquals(b.state.keys(), ["before", "behind"]);
  assertStringIncludes(a.log.lines("warn")[0], 'state of "evil"');
});
