/** JSON from outside, bounded before anything walks it. */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseBoundedJson } from "../../src/base/bounded_json.ts";
import { NetworkError } from "../../src/base/errors.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

function parse(text: string, maxDepth?: number, maxBytes = 100_000): unknown {
  return parseBoundedJson(bytesOf(text), { maxBytes, maxDepth });
}

function assertRefused(read: () => unknown, part: string): void {
  const error = assertThrows(read, NetworkError, part);
  assertEquals(error.code, "PROTOCOL");
}

Deno.test("whatever JSON can say is read as it was", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 10 }), (value) => {
    const text = JSON.stringify(value);
    assertEquals(parse(text), JSON.parse(text));
  }));
});

Deno.test("as many bytes as are allowed are read, and not one more", () => {
  const text = '"é"';
  assertEquals(parse(text, 1, 4), "é");
  assertRefused(() => parse(text, 1, 3), "4 bytes, at most 3 are taken");
});

Deno.test("as many levels as are allowed are read, and not one more", () => {
  assertEquals(parse('{"a":[{"b":[]}]}', 4), { a: [{ b: [] }] });
  assertRefused(() => parse('{"a":[{"b":[]}]}', 3), "nested deeper than 3 levels");
  const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  parse(deep(32));
  assertRefused(() => parse(deep(33)), "32 levels");
  assertRefused(() => parse(deep(40_000)), "32 levels");
  // Side by side is not deep.
  assertEquals(parse(`[${"[],".repeat(1_000)}[]]`, 2), Array(1_001).fill([]));
});

Deno.test("brackets in strings are no levels, whatever is escaped before them", () => {
  for (
    const text of ["[[[[{{{{", '"[[[', "\\", '\\"[[[[', "\\\\", '\\\\"{{{', "ключ[[[", "😀[[["]
  ) {
    assertEquals(parse(JSON.stringify({ [text]: [text] }), 2), { [text]: [text] });
  }
  // The string ends behind an escaped backslash: what follows does count.
  assertRefused(() => parse('["\\\\",[[]]]', 2), "deeper");
});

Deno.test("what is not UTF-8, not JSON, or more than one value is refused", () => {
  assertRefused(() => parseBoundedJson(new Uint8Array([0x22, 0xff, 0x22]), { maxBytes: 9 }), "");
  for (const text of ["", "nul", "{", "]", "]]]][[[[", '{"a":1}{', '"open', '"\\', "NaN", "'a'"]) {
    assertRefused(() => parse(text), "Cannot read JSON");
  }
});

Deno.test("hostile bytes are refused with PROTOCOL, never with anything else", () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.array(fc.constantFrom(...'{}[]":,\\0a'), { maxLength: 64 }).map((all) =>
      bytesOf(all.join(""))
    ),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        parseBoundedJson(bytes, { maxBytes: 50, maxDepth: 3 });
      } catch (thrown) {
        assertEquals(thrown instanceof NetworkError && thrown.code, "PROTOCOL");
      }
    }),
    { numRuns: 20_000 },
  );
});
