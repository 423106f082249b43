/** The hand-written codec of the shared state against `proto/`, and against bytes that lie. */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import protobuf from "protobufjs";
import { MAX_VALUE_BYTES } from "../../src/base/bounded_value.ts";
import { NetworkError } from "../../src/base/errors.ts";
import {
  decodeDelta,
  decodeStretch,
  encodeDelta,
  encodeStretch,
} from "../../src/state/delta_codec.ts";
import type { Delta, Stretch } from "../../src/state/intake.ts";
import { addedPart, itemPart, type Row, takenBackPart } from "../../src/state/row.ts";
import { START } from "../../src/state/row_store.ts";
import { decodeStanding, encodeStanding } from "../../src/state/standing_codec.ts";
import { COUNT_LIMIT } from "../../src/state/stamp.ts";
import { Versions } from "../../src/state/versions.ts";

const proto = await Deno.readTextFile(
  new URL("../../proto/hanzo_state_v1.proto", import.meta.url),
);
const { root } = protobuf.parse(proto);

function read(type: string, bytes: Uint8Array): Record<string, unknown> {
  const message = root.lookupType(`hanzo.state.v1.${type}`);
  return message.toObject(message.decode(bytes), { longs: Number });
}

function written(type: string, fields: Record<string, unknown>): Uint8Array {
  const message = root.lookupType(`hanzo.state.v1.${type}`);
  return message.encode(message.fromObject(fields)).finish();
}

const origin = fc.constantFrom("a/0123456789abcdef", "gpu-box.2/00ff00ff00ff00ff");
const seq = fc.integer({ min: 1, max: 1_000 });
const stamp = fc.record({
  time: fc.integer({ min: 0, max: 2 ** 48 }),
  count: fc.integer({ min: 0, max: COUNT_LIMIT - 1 }),
  writer: origin,
});
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));
/** A byte order mark at the beginning is a part of a key: it is what a decoder takes away. */
const mark = fc.constantFrom("", "\ufeff");
const key = fc.tuple(mark, fc.string({ unit: "grapheme", maxLength: 60 }))
  .map((parts) => parts.join("")).filter((text) => !text.includes("\0"));
const number = fc.integer().map(String);

/** Of an origin's delta up to 1,000. */
function rowsOf(origin: string): fc.Arbitrary<Row> {
  const common = { key, seq, stamp, base: fc.constant(undefined) };
  return fc.oneof(
    fc.record({
      ...common,
      stamp: stamp.map((one) => ({ ...one, writer: origin })),
      base: fc.option(fc.record({ origin: fc.constant("b/1111111111111111"), seq }), {
        nil: undefined,
      }),
      value: fc.option(json),
    }).map((row) => ({ ...row, origin, part: "" })),
    fc.record({ ...common, value: number, from: seq }).map(({ from, ...row }) => (
      { ...row, origin, part: addedPart({ origin, seq: from }) }
    )),
    fc.record({ ...common, value: number, from: seq }).map(({ from, ...row }) => (
      { ...row, origin, part: takenBackPart(addedPart({ origin: row.stamp.writer, seq: from })) }
    )),
    fc.record({ ...common, value: fc.option(json), made: stamp }).map(({ made, ...row }) => (
      { ...row, origin, part: itemPart(row.value === null ? made : row.stamp) }
    )),
  );
}

const anyDelta: fc.Arbitrary<Delta> = origin.chain((origin) =>
  fc.record({
    origin: fc.constant(origin),
    after: fc.constant(0),
    upTo: fc.constant(1_000),
    rows: fc.array(rowsOf(origin), { maxLength: 6 }),
  })
);

Deno.test("any delta comes out as it went in, and reads as proto/ says", () => {
  fc.assert(fc.property(anyDelta, (delta) => {
    const bytes = encodeDelta(delta);
    assertEquals(decodeDelta(bytes), delta);
    const fields = read("Delta", bytes);
    assertEquals(fields.origin, delta.origin);
    assertEquals(fields.upTo, 1_000);
    // And back: what another implementation writes.
    assertEquals(decodeDelta(written("Delta", fields)), delta);
  }));
});

const anyStretch: fc.Arbitrary<Stretch> = fc.record({
  from: fc.constant(START),
  to: fc.option(fc.record({ key, part: fc.constant("@x") }), { nil: undefined }),
  rows: fc.array(origin.chain(rowsOf), { maxLength: 6 }),
});

Deno.test("any stretch comes out as it went in, and reads as proto/ says", () => {
  fc.assert(fc.property(anyStretch, (stretch) => {
    const bytes = encodeStretch(stretch);
    assertEquals(decodeStretch(bytes, START), stretch);
    const fields = read("Stretch", bytes);
    assertEquals(fields.toKey, stretch.to?.key);
    assertEquals(decodeStretch(written("Stretch", fields), START), stretch);
  }));
});

Deno.test("how far somebody is comes out as it went in, and reads as proto/ says", () => {
  const [a, b, c] = ["a/0123456789abcdef", "b/1111111111111111", "c/2222222222222222"];
  const standing = {
    versions: new Versions([[a, 7], [b, 2 ** 40]]),
    forgotten: new Versions([[b, 2 ** 39], [c, 3]]),
    own: a,
    all: true,
  };
  const bytes = encodeStanding(standing);
  const fields = read("Standing", bytes);
  assertEquals(fields, {
    origins: [
      { name: a, seen: 7 },
      { name: b, seen: 2 ** 40, forgotten: 2 ** 39 },
      { name: c, forgotten: 3 },
    ],
    own: a,
    all: true,
  });
  for (const read of [bytes, written("Standing", fields)]) {
    const { versions, forgotten, ...rest } = decodeStanding(read);
    assertEquals([[...versions], [...forgotten]], [
      [...standing.versions],
      [...standing.forgotten],
    ]);
    assertEquals(rest, { own: a, all: true });
  }
});

const ORIGIN = "a/0123456789abcdef";
const GOOD = { key: "k", seq: 1, time: 5, value: "1" };
const LIES: readonly (readonly [what: string, row: Record<string, unknown>])[] = [
  ["a number before the delta", { ...GOOD, seq: 0 }],
  ["a number behind the delta", { ...GOOD, seq: 3 }],
  ["a key that is too long", { ...GOOD, key: "k".repeat(513) }],
  ["a key with a zero", { ...GOOD, key: "a\0b" }],
  ["a value that is too long", { ...GOOD, value: `"${"x".repeat(MAX_VALUE_BYTES)}"` }],
  ["a value that is nested too deep", { ...GOOD, value: "[".repeat(33) + "]".repeat(33) }],
  ["a value that is no JSON", { ...GOOD, value: "{" }],
  ["a count that is used up", { ...GOOD, count: COUNT_LIMIT }],
  ["a stamp of nobody's", { ...GOOD, writer: "nobody" }],
  ["a base of nobody's", { ...GOOD, baseOrigin: "../x/0123456789abcdef" }],
  ["a part that is none", { ...GOOD, part: "?" }],
  ["what another one has added", { ...GOOD, part: "+b/1111111111111111.1" }],
  ["an addition that is no number", { ...GOOD, part: `+${ORIGIN}.1`, value: '"x"' }],
  ["an addition that is endless", { ...GOOD, part: `+${ORIGIN}.1`, value: "1e999" }],
  ["another one's addition that is gone", {
    ...GOOD,
    part: "+b/1111111111111111.1",
    value: undefined,
  }],
  ["another one's row", { ...GOOD, origin: "b/1111111111111111" }],
  ["an item in another one's place", {
    ...GOOD,
    part: `@${"0".repeat(14)}.${"0".repeat(8)}.${ORIGIN}`,
  }],
  ["a lost item that never was", { ...GOOD, part: "@x", value: undefined }],
];

for (const [what, row] of LIES) {
  Deno.test(`${what} is refused`, () => {
    const good = written("Delta", { origin: ORIGIN, upTo: 2, rows: [GOOD] });
    assertEquals(decodeDelta(good).rows.length, 1);
    const bytes = written("Delta", { origin: ORIGIN, upTo: 2, rows: [GOOD, row] });
    assertEquals(assertThrows(() => decodeDelta(bytes), NetworkError).code, "PROTOCOL");
  });
}

const decodeAny = (bytes: Uint8Array) => decodeStretch(bytes, START);

Deno.test("a stretch that ends where it begins, or before, is refused: it would never come to an end", () => {
  const from = { key: "k\u{10000}", part: "@" };
  for (const to of [from, { ...from, part: "" }, { key: "k\uffff", part: "@" }]) {
    const bytes = encodeStretch({ from, to, rows: [] });
    assertThrows(() => decodeStretch(bytes, from), NetworkError, "does not go on");
  }
  const further = { ...from, part: "@0" };
  assertEquals(decodeStretch(encodeStretch({ from, to: further, rows: [] }), from).to, further);
});

Deno.test("bytes of any content are read or refused, and nothing else happens", () => {
  const mutated = anyDelta.chain((delta) =>
    fc.tuple(fc.constant(encodeDelta(delta)), fc.array(fc.tuple(fc.nat(), fc.nat(255))))
  ).map(([bytes, changes]) => {
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      for (const decode of [decodeDelta, decodeStanding, decodeAny]) {
        try {
          decode(bytes);
        } catch (thrown) {
          assertEquals((thrown as NetworkError).code, "PROTOCOL");
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
