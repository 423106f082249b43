/** Lines and events out of portions, wherever those are cut. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { EventReader } from "../../src/dialects/events.ts";
import { LineSplitter } from "../../src/dialects/lines.ts";
import { portions } from "./rig.ts";

function linesOf(texts: readonly string[]): { lines: string[]; rest: string } {
  const splitter = new LineSplitter();
  const lines: string[] = [];
  for (const text of texts) assert(splitter.push(text, (line) => lines.push(line)));
  return { lines, rest: splitter.rest };
}

/** A text of line ends and little else, cut at places of its own. */
const cutText = fc.tuple(
  fc.array(fc.constantFrom("a", "bc", "\r", "\n", "\r\n", "\n\n"), { maxLength: 30 }),
  fc.array(fc.nat(60), { maxLength: 20 }),
).map(([parts, cuts]) => {
  const text = parts.join("");
  const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length])]
    .sort((a, b) => a - b);
  return { text, texts: at.slice(1).map((end, i) => text.slice(at[i], end)) };
});

Deno.test("lines are the same however the text is cut", () => {
  fc.assert(fc.property(cutText, ({ text, texts }) => {
    const expected = text.split(/\r\n|\n|\r/);
    const rest = expected.pop();
    assertEquals(linesOf(texts), { lines: expected, rest });
  }));
});

Deno.test("a newline after a return that ended the last portion begins no line", () => {
  assertEquals(linesOf(["a\r", "\nb\r", "c\n"]).lines, ["a", "b", "c"]);
  assertEquals(linesOf(["a\r", "", "\n", "\n"]).lines, ["a", ""]);
});

Deno.test("a line that is too long is refused, whether it has ended or not", () => {
  const ignore = () => {};
  assert(new LineSplitter(4).push("abcd\n", ignore));
  assert(!new LineSplitter(4).push("abcde\n", ignore));
  const splitter = new LineSplitter(4);
  assert(splitter.push("abc", ignore));
  assert(splitter.push("d", ignore));
  assert(!splitter.push("e", ignore));
  assertEquals(splitter.rest, "");
});

function eventsOf(texts: readonly string[]): [string, string][] {
  const events: [string, string][] = [];
  const reader = new EventReader();
  for (const text of texts) assert(reader.push(text, (data, name) => events.push([data, name])));
  return events;
}

Deno.test("events have the data of all their lines, and their name only for themselves", () => {
  const text = "\ufeffevent: a\ndata: 1\ndata:2\n\n: a comment\nid: 5\n\ndata:  x\n\ndata\n\n";
  assertEquals(eventsOf([text]), [["1\n2", "a"], [" x", ""]]);
  for (const size of [1, 2, 3, 5]) assertEquals(eventsOf(portions(text, size)), eventsOf([text]));
});

Deno.test("errors in a field of their own, or in none, are events by the name error", () => {
  assertEquals(eventsOf(['error: {"code":500}\n\n', '{"error":"gone"}\n']), [
    ['{"code":500}', "error"],
    ['{"error":"gone"}', "error"],
  ]);
});

Deno.test("the last event of OpenAI's streams counts without its empty line", () => {
  for (const end of ["data: [DONE]", "data: [DONE]\n", "data:[DONE]"]) {
    const reader = new EventReader();
    assert(reader.push(`data: {}\n\n${end}`, () => {}));
    assert(reader.endsWithDone, end);
  }
  const reader = new EventReader();
  reader.push("data: {}\n\ndata: [DON", () => {});
  assert(!reader.endsWithDone);
});
