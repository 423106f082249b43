/** Lines out of portions, wherever those are cut. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LineSplitter } from "../../src/base/lines.ts";

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
