/** The wire format of protobuf by hand; what it reads and writes is tested with the codecs. */

import { assertEquals, assertThrows } from "@std/assert";
import { bytesTag, encoded, ProtoReader, ProtoWriter } from "../../src/base/protobuf.ts";

Deno.test("what has no length is not written, and spoils nothing that was written before", () => {
  const writer = new ProtoWriter();
  writer.reserve(16);
  writer.string(bytesTag(1), "before");
  assertThrows(() => writer.reserve(Number.NaN), TypeError, "it has no length");
  const reader = new ProtoReader("it", writer.take());
  assertEquals([reader.number(), reader.string(), reader.atEnd], [bytesTag(1), "before", true]);
  assertThrows(() => encoded({ bound: Number.NaN, encode() {} }), TypeError);
});

Deno.test("a text is read as it was written, also one that begins with a byte order mark", () => {
  const writer = new ProtoWriter();
  for (
    const text of ["\ufeffkey", "\ufeff", "a\ufeffb", "\ufeff\ufeff", `\ufeff${"long ".repeat(99)}`]
  ) {
    writer.reserve(3 * text.length + 16);
    writer.string(bytesTag(1), text);
    const reader = new ProtoReader("it", writer.take());
    assertEquals([reader.number(), reader.string(), reader.atEnd], [bytesTag(1), text, true]);
  }
});
