/** The state as one document: all of it there and back, or a clear word and nothing. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { readStateDocument, stateDocument } from "../../src/state/state_document.ts";
import { type ImportOptions, importState } from "../../src/state/state_import.ts";
import { seededRandom } from "../../src/base/random.ts";
import { RowStore } from "../../src/state/row_store.ts";
import { StateReplica } from "../../src/state/state_replica.ts";
import { takeSnapshot } from "../../src/state/state_snapshot.ts";
import { heal, Replica } from "../support/replicas.ts";

const ORIGIN = { exportedAt: "2026-01-01T00:00:00.000Z", network: "hanzo", nodeId: "n1" };
const ROOM = 64 * 2 ** 20;

const exported = (replica: Replica) => stateDocument(replica.snapshot(), ORIGIN);

function imported(
  replica: Replica,
  document: string | Uint8Array,
  options: ImportOptions = {},
  room = ROOM,
) {
  const target = {
    state: replica.state,
    snapshot: () => replica.snapshot(),
    room: () => room,
    checkpoints: undefined,
  };
  return importState(target, document, options);
}

/** A document that somebody has written by hand. */
const written = (entries: unknown, change: Record<string, unknown> = {}) =>
  JSON.stringify({ format: "hanzo-network-state", version: 1, ...ORIGIN, entries, ...change });

async function refused(code: ErrorCode, says: string, document: string): Promise<void> {
  using replica = new Replica(9);
  replica.write((tx) => tx.set("there", 1));
  await assertRejects(() => imported(replica, document, { dryRun: true }), NetworkError, says);
  const error = await assertRejects(() => imported(replica, document), NetworkError, says);
  assertEquals(error.code, code);
  assertEquals(replica.shown(), [["there", 1]]);
}

Deno.test("what is exported is what is imported, keys and values of all kinds", async () => {
  const entries = fc.dictionary(
    fc.string({ unit: "grapheme", maxLength: 20 }).filter((key) => !key.includes("\0")),
    fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>,
  );
  await fc.assert(
    fc.asyncProperty(entries, async (values) => {
      using replica = new Replica(1);
      replica.write((tx) => {
        for (const [key, value] of Object.entries(values)) tx.set(key, value);
        tx.set("__proto__", { "constructor": 1 });
        tx.set("\u202e\u001b[31m", "\u009b\ud800");
        tx.append("list", 1, "2");
        tx.increment("n", 0.5);
      });
      const document = await exported(replica);
      // deno-lint-ignore no-control-regex
      assert(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/.test(document));
      using other = new Replica(2);
      await imported(other, document);
      assertEquals(other.shown(), replica.shown());
      assertEquals((await imported(other, document, { replace: true })).set, 0);
      // Another form, and the same content.
      await readStateDocument(
        new TextEncoder().encode(JSON.stringify(JSON.parse(document), null, 2)),
      );
    }),
    { numRuns: 40 },
  );
});

Deno.test("other keys stay, or go when that is asked for, on all devices; a dry run only says so", async () => {
  using replica = new Replica(1);
  using other = new Replica(2);
  replica.write((tx) => {
    tx.set("same", 1);
    tx.set("changed", 1);
    tx.append("list", 1);
  });
  const document = await exported(replica);
  replica.write((tx) => {
    tx.set("changed", 2);
    tx.append("list", 2);
    tx.set("mine", 3);
  });
  heal([replica, other]);
  const now = replica.shown();
  const expected = { before: null, set: 2, same: 1, deleted: 0 };
  assertEquals(await imported(replica, document, { dryRun: true }), expected);
  const dry = await imported(replica, document, { dryRun: true, replace: true });
  assertEquals([dry.deleted, replica.shown()], [1, now]);
  assertEquals(await imported(replica, document), expected);
  heal([replica, other]);
  assertEquals(other.shown(), [["changed", 1], ["list", [1]], ["mine", 3], ["same", 1]]);
  assertEquals((await imported(replica, document, { replace: true })).deleted, 1);
  heal([replica, other]);
  assertEquals(other.shown(), [["changed", 1], ["list", [1]], ["same", 1]]);
});

Deno.test("a document that is cut anywhere is refused, and one with another bit says the same or is refused", async () => {
  using source = new Replica(1);
  source.write((tx) => {
    tx.set("greeting", { text: "hello", deep: [[1.5e21, -0, true, null]] });
    tx.set("__proto__", "x");
    tx.append("list", 1, "two");
  });
  const then = source.shown();
  const good = new TextEncoder().encode(await exported(source));
  using target = new Replica(2);
  const outcome = async (bytes: Uint8Array): Promise<boolean> => {
    try {
      await readStateDocument(bytes).then(({ entries, network }) => {
        assertEquals([...entries].sort(), then.toSorted(), "something else was read");
        assertEquals(network, ORIGIN.network);
      });
      return true;
    } catch (thrown) {
      assert(thrown instanceof NetworkError, `${thrown}`);
      assert(
        ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"].includes(thrown.code),
      );
      return false;
    }
  };
  // Without the line feed at its end it is whole.
  for (let length = 0; length < good.length - 1; length++) {
    assertEquals(await outcome(good.subarray(0, length)), false, `cut at ${length}`);
  }
  let read = 0;
  for (let bit = 0; bit < good.length * 8; bit++) {
    const flipped = good.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    if (await outcome(flipped)) read++;
  }
  // Such as 1e21 and 1E21.
  assert(read <= 4, `${read} flips were not seen`);
  assertEquals((await imported(target, good)).set, 3);
  assertEquals(target.shown(), then);
});

Deno.test("who has changed a document leaves out its sum, and is believed then", async () => {
  using replica = new Replica(1);
  replica.write((tx) => tx.set("a", 1));
  const document = JSON.parse(await exported(replica));
  document.entries[0].value = 2;
  await refused(
    "INVALID_ARGUMENT",
    "its content is not what was exported",
    JSON.stringify(document),
  );
  delete document.sha256;
  await imported(replica, JSON.stringify(document));
  assertEquals(replica.state.get("a"), 2);
});

const NESTED = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const REFUSED: [why: string, code: ErrorCode, says: string, document: string][] = [
  ["nothing", "INVALID_ARGUMENT", "not one whole JSON document", ""],
  ["no JSON", "INVALID_ARGUMENT", "not one whole JSON document", "state"],
  ["a list", "INVALID_ARGUMENT", "it is none", "[]"],
  ["null", "INVALID_ARGUMENT", "it is none", "null"],
  ["another format", "INVALID_ARGUMENT", "it is none", written([], { format: "other" })],
  ["a later version", "FAILED_PRECONDITION", "of version 2", written([], { version: 2 })],
  ["no version", "FAILED_PRECONDITION", "of version none", written([], { version: undefined })],
  ["a field too many", "INVALID_ARGUMENT", 'no field "more"', written([], { more: 1 })],
  [
    "a name of another type",
    "INVALID_ARGUMENT",
    '"network" is no text',
    written([], { network: 1 }),
  ],
  ["no entries", "INVALID_ARGUMENT", '"entries" are no list', written(undefined)],
  ["entries of another type", "INVALID_ARGUMENT", '"entries" are no list', written({ a: 1 })],
  ["an entry that is none", "INVALID_ARGUMENT", "entry 1 is no", written([["a", 1]])],
  ["an entry without a value", "INVALID_ARGUMENT", "entry 1 is no", written([{ key: "a" }])],
  [
    "an entry with more",
    "INVALID_ARGUMENT",
    "entry 2 is no",
    written([{ key: "a", value: 1 }, { key: "b", value: 1, more: 1 }]),
  ],
  ["a key that is no text", "INVALID_ARGUMENT", "entry 1 is no", written([{ key: 1, value: 1 }])],
  [
    "a key with a zero",
    "INVALID_ARGUMENT",
    "has a zero in it",
    written([{ key: "a\0b", value: 1 }]),
  ],
  [
    "half a character",
    "INVALID_ARGUMENT",
    "its key is no text",
    written([{ key: "\ud800", value: 1 }]),
  ],
  [
    "a key twice",
    "INVALID_ARGUMENT",
    'the key "a" is in it twice',
    written([{ key: "a", value: 1 }, { key: "a", value: 1 }]),
  ],
  [
    "a key that is too long",
    "RESOURCE_EXHAUSTED",
    "its key takes 513 bytes",
    written([{ key: "k".repeat(513), value: 1 }]),
  ],
  [
    "a value that is too long",
    "RESOURCE_EXHAUSTED",
    "its value takes",
    written([{ key: "a", value: 1 }, { key: "b", value: "x".repeat(2 ** 20) }]),
  ],
  [
    "a value that is too deep",
    "INVALID_ARGUMENT",
    "nested deeper than 32",
    written([{ key: "a", value: { v: JSON.parse(NESTED(32)) } }]),
  ],
  [
    "a document without a bottom",
    "INVALID_ARGUMENT",
    "nested deeper than 36",
    written([]).replace("[]", NESTED(100_000)),
  ],
];

for (const [why, code, says, document] of REFUSED) {
  Deno.test(`an import of ${why} is refused, and nothing is written`, () =>
    refused(code, says, document));
}

Deno.test("an import for which there is no room is refused, and nothing is written", async () => {
  using replica = new Replica(1);
  replica.write((tx) => tx.set("a", "x".repeat(1_000)));
  const document = await exported(replica);
  replica.write((tx) => tx.set("a", 1));
  const error = await assertRejects(() => imported(replica, document, {}, 500), NetworkError);
  assertEquals([error.code, replica.shown()], ["RESOURCE_EXHAUSTED", [["a", 1]]]);
  await assertRejects(() => imported(replica, document, { dryRun: true }, 500), NetworkError);
  await imported(replica, document, {}, 1_100);
});

Deno.test("what becomes less makes room for what becomes more", async () => {
  const store = new RowStore();
  const clock = { now: () => 0, wallTime: () => 1_000, after: () => () => {} };
  const random = seededRandom(1);
  const state = new StateReplica({ nodeId: "n", store, clock, random, maxBytes: 3_000 });
  const large = "x".repeat(2_000);
  await state.set("a", 1);
  await state.set("z", large);
  const target = {
    state,
    snapshot: () => takeSnapshot(store, state.position, undefined),
    room: () => state.maxBytes - state.bytes,
    checkpoints: undefined,
  };
  await importState(target, written([{ key: "a", value: large }, { key: "z", value: 1 }]), {});
  assertEquals(state.entries(), [["a", large], ["z", 1]]);
  await state.close();
});

Deno.test("an import that fails on its way says that a part was written, and where the rest is", async () => {
  using replica = new Replica(1);
  let writes = 0;
  const state = new Proxy(replica.state, {
    get(target, name) {
      if (name === "transact" && ++writes === 2) {
        return () => Promise.reject(new NetworkError("INTERNAL", "The disk is gone."));
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const target = {
    state,
    snapshot: () => replica.snapshot(),
    room: () => ROOM,
    checkpoints: {
      saveBefore: () =>
        Promise.resolve({
          name: "before",
          kind: "before" as const,
          createdAt: 0,
          nodeId: "n1",
          keys: 0,
          bytes: 0,
        }),
    },
  };
  const large = "x".repeat(700_000);
  const entries = ["a", "b", "c", "d"].map((key) => ({ key, value: large }));
  const error = await assertRejects(() => importState(target, written(entries), {}), NetworkError);
  assertEquals(
    [error.code, error.message],
    [
      "INTERNAL",
      'The disk is gone. A part was written before that; what was there is checkpoint "before".',
    ],
  );
  assertEquals(replica.state.keys(), ["a", "b"]);
});

Deno.test("values of another device's making are exported in one form", async () => {
  using replica = new Replica(1);
  const origin = "n7/0123456789abcdef";
  const stamp = { time: replica.wallTime, count: 0, writer: origin };
  const row = { part: "", origin, stamp, base: undefined };
  replica.state.others.take({
    origin,
    after: 0,
    upTo: 2,
    rows: [
      { ...row, key: "spaced", seq: 1, value: '{\n "b" : 1.0,\r\n "1":\t2 }' },
      { ...row, key: "twice", seq: 2, value: '{"a":1,"a":2}' },
    ],
  });
  const document = await exported(replica);
  assertEquals(document.split("\n").slice(1, 3), [
    '{"key":"spaced","value":{"1":2,"b":1}},',
    '{"key":"twice","value":{"a":2}}',
  ]);
  using other = new Replica(2);
  await imported(other, document);
  assertEquals(other.shown(), replica.shown());
});
