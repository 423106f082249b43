/** Views of the shared state with types: what is refused, and what others wrote that does not fit. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { z } from "zod";
import { NetworkError } from "../../src/base/errors.ts";
import type { StandardSchema } from "../../src/base/standard_schema.ts";
import { Replica } from "../support/replicas.ts";

const roomSchema = z.object({
  celsius: z.number(),
  name: z.string().default("room"),
  people: z.array(z.object({ age: z.number() })).optional(),
});

function rooms() {
  const { state } = new Replica(0);
  return { state, rooms: state.typed("room/", roomSchema) };
}

/** What no compiler has checked. */
const untyped = (value: unknown) => value as { celsius: number };

Deno.test("what is set under a prefix is read as the schema has it, and kept as it was given", async () => {
  const { state, rooms: view } = rooms();
  await view.set("kitchen", { celsius: 21 });
  assertEquals(view.get("kitchen"), { celsius: 21, name: "room" });
  assertEquals(state.get("room/kitchen"), { celsius: 21 });
  await view.set("hall", { celsius: 18, name: "the hall" });
  await state.set("rooms", 1);
  assertEquals(view.keys(), ["hall", "kitchen"]);
  assertEquals(view.entries()[0], ["hall", { celsius: 18, name: "the hall" }]);
  assertEquals([view.has("hall"), view.has("attic"), view.get("attic")], [true, false, undefined]);
  assertEquals([await view.delete("hall"), await view.delete("hall")], [true, false]);
  assertEquals(view.invalid(), []);
});

Deno.test("what does not fit is not written, and the error names the key and what is wrong", async () => {
  const { state, rooms: view } = rooms();
  const wrong = untyped({ celsius: "warm", people: [{ age: 3 }, { age: "old" }] });
  const error = await assertRejects(() => view.set("hall", wrong), NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, 'Cannot set "room/hall" in the shared state');
  assertStringIncludes(error.message, "celsius: ");
  assertStringIncludes(error.message, "people.1.age: ");
  await assertRejects(
    () =>
      view.transact((tx) => {
        tx.set("kitchen", { celsius: 21 });
        tx.set("hall", wrong);
      }),
    NetworkError,
    "room/hall",
  );
  assertEquals(state.keys(), []);
});

Deno.test("what others wrote and does not fit is told, and never returned", async () => {
  const { state, rooms: view } = rooms();
  await view.set("kitchen", { celsius: 21 });
  await state.set("room/hall", { celsius: "cold" });
  const error = assertThrows(() => view.get("hall"), NetworkError);
  assertEquals(error.code, "FAILED_PRECONDITION");
  assertStringIncludes(error.message, 'Cannot read "room/hall"');
  assertStringIncludes(error.message, "celsius: ");
  assertEquals([view.has("hall"), view.keys()], [true, ["kitchen"]]);
  assertEquals(view.invalid().map(({ key, error }) => [key, error.code]), [
    ["hall", "FAILED_PRECONDITION"],
  ]);
  await assertRejects(() => view.transact((tx) => tx.get("hall")), NetworkError, "room/hall");
});

Deno.test("a transaction reads and writes keys of the view, and others beside them", async () => {
  const { state, rooms: view } = rooms();
  await view.set("kitchen", { celsius: 20 });
  const warmer = await view.transact((tx, all) => {
    const { celsius } = tx.get("kitchen")!;
    tx.set("kitchen", { celsius: celsius + 1 });
    tx.set("hall", { celsius });
    assertEquals([tx.has("hall"), tx.delete("hall"), tx.has("hall")], [true, true, false]);
    all.increment("changes");
    return tx.get("kitchen")!.celsius;
  });
  assertEquals(warmer, 21);
  assertEquals(state.entries(), [["changes", 1], ["room/kitchen", { celsius: 21 }]]);
});

Deno.test("changes are typed from the moment of the call, and one that does not fit carries its error", async () => {
  const { state, rooms: view } = rooms();
  const changes = view.subscribe();
  await view.set("kitchen", { celsius: 20 });
  await state.set("room/kitchen", "warm");
  await state.set("other", 1);
  await view.set("kitchen", { celsius: 22 });
  await view.delete("kitchen");
  const told = [];
  for (let i = 0; i < 4; i++) {
    const { value: { key, value, previous, error, nodeId } } = await changes.next();
    told.push([key, value?.celsius, previous?.celsius, error?.code]);
    assert(nodeId !== "");
  }
  assertEquals(told, [
    ["kitchen", 20, undefined, undefined],
    ["kitchen", undefined, 20, "FAILED_PRECONDITION"],
    ["kitchen", 22, undefined, undefined],
    ["kitchen", undefined, 22, undefined],
  ]);
  await changes.return!();
  assertEquals((await changes.next()).done, true);
});

Deno.test("what is set may be another type than what is read", async () => {
  const { state } = new Replica(0);
  const dates = state.typed("date/", z.string().transform((text) => new Date(text)));
  await dates.set("moon", "1969-07-20");
  assertEquals(dates.get("moon")?.getUTCFullYear(), 1969);
  assertEquals(state.get("date/moon"), "1969-07-20");
});

Deno.test("what JSON makes of a value has to fit, for that is what will be read", async () => {
  const { state } = new Replica(0);
  const dates = state.typed("date/", z.date());
  await assertRejects(() => dates.set("moon", new Date()), NetworkError, "expected date");
  const numbers = state.typed("n/", z.number().nullable());
  await numbers.set("none", NaN).catch(() => {});
  assertEquals(state.entries(), [["n/none", null]]);
  const cycle: { celsius: number; self?: unknown } = { celsius: 1 };
  cycle.self = cycle;
  await assertRejects(() => rooms().rooms.set("x", cycle), NetworkError, "Cannot set");
});

Deno.test("a schema that waits is refused, and one that throws is told", async () => {
  const { state } = new Replica(0);
  const waiting = state.typed("w/", z.string().refine(() => Promise.resolve(true)));
  const slow: StandardSchema<string, string> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => Promise.reject(new Error("nobody is told")),
    },
  };
  for (const view of [waiting, state.typed("w/", slow)]) {
    const error = await assertRejects(() => view.set("x", "y"), Error);
    assert(
      error.message.includes("asynchronous") || error.message.includes("Promise"),
      error.message,
    );
  }
  await state.set("w/x", "y");
  const error = assertThrows(() => state.typed("w/", slow).get("x"), NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "its schema is asynchronous");
  assertEquals(state.keys(), ["w/x"]);
});
