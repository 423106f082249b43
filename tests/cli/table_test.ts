/** Tables: as wide as they need to be, no wider than the terminal, and harmless to it. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { table } from "../../src/cli/table.ts";
import { cutToWidth, displayWidth } from "../../src/cli/width.ts";
import { anyText } from "../support/any_text.ts";

Deno.test("columns are as wide as their widest cell, and lines end without blanks", () => {
  assertEquals(table(["NODE", "STATE"], [["a", "alive"], ["gpu-server", "suspect"]], 80), [
    "NODE        STATE",
    "a           alive",
    "gpu-server  suspect",
  ]);
});

Deno.test("a table without rows is its headings, and a row without its last cells is shorter", () => {
  assertEquals(table(["NODE", "STATE"], [], 80), ["NODE  STATE"]);
  assertEquals(table(["NODE", "STATE"], [["a"], ["b", ""]], 80), ["NODE  STATE", "a", "b"]);
});

Deno.test("on a terminal without end nothing is cut", () => {
  const long = "word ".repeat(100).trim();
  assertEquals(table(["A", "B"], [[long, long]], Infinity)[1], `${long}  ${long}`);
});

Deno.test("what does not fit is cut in the widest columns, with an ellipsis", () => {
  const rows = [["short", "a description that goes on and on", "0123456789"]];
  const lines = table(["NODE", "WHAT", "FIGURE"], rows, 35);
  assertEquals(lines, [
    "NODE   WHAT              FIGURE",
    "short  a description t…  0123456789",
  ]);
});

Deno.test("no line is wider than the terminal, however narrow that is", () => {
  const headings = ["NODE", "STATE", "CHIP", "TFLOPS", "MEMORY", "LOAD", "ROUND TRIP", "AGENTS"];
  const row = headings.map((heading) => heading.repeat(3));
  for (const columns of [1, 2, 9, 20, 40, 60, 78, 79, 120]) {
    for (const line of table(headings, [row], columns)) {
      assert(displayWidth(line) <= columns, `${columns}: ${line}`);
    }
  }
});

Deno.test("characters of two columns are counted as two, accents as none, flags as two", () => {
  const widths: [text: string, width: number][] = [
    ["abc", 3],
    ["设备", 4],
    ["デバイス", 8],
    ["ﾃﾞ", 2],
    ["기기", 4],
    ["ＡＢ", 4],
    ["e\u0301", 1],
    ["🚀", 2],
    ["🇩🇪", 2],
    ["…–é", 3],
  ];
  for (const [text, width] of widths) assertEquals(displayWidth(text), width, text);
  assertEquals(table(["NAME", "X"], [["设备机", "1"], ["e\u0301e\u0301", "2"]], 80), [
    "NAME    X",
    "设备机  1",
    "e\u0301e\u0301      2",
  ]);
});

Deno.test("a text is cut between characters, and never to more than there is room for", () => {
  assertEquals(cutToWidth("abcdef", 6), "abcdef");
  assertEquals(cutToWidth("abcdef", 4), "abc…");
  assertEquals(cutToWidth("设备机", 4), "设…");
  assertEquals(cutToWidth("🚀🚀🚀", 5), "🚀🚀…");
  assertEquals(cutToWidth("abc", 1), "…");
  assertEquals([cutToWidth("abc", 0), cutToWidth("abc", -3), cutToWidth("", 0)], ["", "", ""]);
});

Deno.test("a cell of several lines is one line, its words apart", () => {
  assertEquals(table(["A"], [["first\nsecond\r\n\tthird"]], 80)[1], "first second third");
});

Deno.test("an answer without end is cut on every terminal", () => {
  const [, line] = table(["A"], [["x".repeat(1_000_000)]], Infinity);
  assertEquals([line.length, line.endsWith("x…")], [1_000, true]);
});

Deno.test("no character of any cell controls the terminal", () => {
  const cell = fc.array(
    fc.oneof(
      anyText({ maxLength: 10 }),
      fc.constantFrom(
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\x9b31m",
        "\u202e",
        "\r",
        "\u200b",
        "\ud83d",
        "设",
      ),
    ),
    { maxLength: 6 },
  ).map((parts) => parts.join(""));
  fc.assert(fc.property(
    fc.array(fc.tuple(cell, cell, cell), { maxLength: 4 }),
    fc.integer({ min: 1, max: 60 }),
    (rows, columns) => {
      for (const line of table(["ONE", "TWO", "THREE"], rows, columns)) {
        // deno-lint-ignore no-control-regex
        assert(!/[\x00-\x1f\x7f-\x9f]|\p{Bidi_Control}/u.test(line), JSON.stringify(line));
        assert(line.isWellFormed());
        assert(displayWidth(line) <= columns);
      }
    },
  ));
});
