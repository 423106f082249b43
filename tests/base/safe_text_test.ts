/** Names and texts from outside: what of them reaches a terminal or a file. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isLabel, safeJson, safeLine, safeName, safeText } from "../../src/base/safe_text.ts";
import { anyText } from "../support/any_text.ts";

/** Harmful characters by what they do, each as it would stand in a text. */
const CONTROLS: Record<string, string> = {
  "an ANSI colour": "\x1b[31m",
  "an OSC title": "\x1b]0;owned\x07",
  "an OSC 8 link": "\x1b]8;;http://example.org\x1b\\",
  "a C1 control sequence": "\x9b31m",
  "a C1 operating system command": "\x9d0;owned\x9c",
  "a carriage return": "\r",
  "a backspace": "\b",
  "a bell": "\x07",
  "a delete": "\x7f",
  "a null": "\0",
};
const DIRECTIONS = [..."\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"];
const INVISIBLE = [..."\u00ad\u180e\u200b\u200c\u200d\u2060\u2061\u2064\ufeff\u{e0041}\u{e007f}"];

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const BIDI = /\p{Bidi_Control}/u;
const ZERO_WIDTH = /[\u200b-\u200d\u2028\u2029\u2060\ufeff]/;

for (const [what, control] of Object.entries(CONTROLS)) {
  Deno.test(`${what} does nothing to the terminal, in a name or a text`, () => {
    for (const safe of [safeName(`gpu${control}server`), safeText(`gpu${control}server`)]) {
      assert(!CONTROL.test(safe), JSON.stringify(safe));
      assert(safe.startsWith("gpu") && safe.endsWith("server"));
    }
  });
}

Deno.test("a name cannot turn the direction of what stands beside it", () => {
  for (const one of DIRECTIONS) {
    assertEquals(safeName(`a${one}b`), "ab");
    assertEquals(safeText(`a${one}b`), "ab");
  }
});

Deno.test("a name cannot be made to look like another one by what cannot be seen", () => {
  for (const one of INVISIBLE) assertEquals(safeName(`gpu${one}server`), "gpuserver");
});

Deno.test("a name is one line, a text keeps its newlines and tabs", () => {
  assertEquals(safeName(" first\nsecond\tthird\u2028 "), "firstsecondthird");
  assertEquals(safeText("first\n\tsecond\r\n"), "first\n\tsecond\n");
});

Deno.test("letters of every language, and emoji joined of several, stay what they are in a text", () => {
  for (const text of ["Größe", "машина", "设备", "जाल", "👩‍💻", "🇩🇪", "e\u0301", "می‌خواهم"]) {
    assertEquals(safeText(text), text);
  }
  for (const name of ["Größe", "машина", "设备", "🇩🇪", "e\u0301"]) {
    assertEquals(safeName(name), name);
  }
});

Deno.test("a name is cut between characters, never within one", () => {
  assertEquals(safeName("😀".repeat(5), 3), "😀😀😀");
  assertEquals(safeName("x".repeat(200)).length, 128);
  // What was removed has moved the cut into the middle of a pair.
  assertEquals(safeName(`\0${"😀".repeat(5)}`, 4), "😀😀😀");
});

Deno.test("half a surrogate pair is left out: no file and no terminal can hold it", () => {
  assertEquals(safeName("a\ud83db\ude00c"), "abc");
  assertEquals(safeText("a\ud83d\nb\ude00c"), "a\nbc");
  assertEquals(safeText("😀"), "😀");
});

/** Any text, with harmful characters far more often than chance has them. */
const hostileText = fc.array(
  fc.oneof(
    anyText(),
    fc.constantFrom(...Object.values(CONTROLS), ...DIRECTIONS, ...INVISIBLE, "\ud800", "\udfff"),
    fc.nat(0xffff).map((unit) => String.fromCharCode(unit)),
  ),
).map((parts) => parts.join(""));

Deno.test("no name ever holds a character that controls, turns, hides, or is half of one", () => {
  fc.assert(
    fc.property(hostileText, fc.integer({ min: 1, max: 40 }), (text, maxLength) => {
      const name = safeName(text, maxLength);
      assert(!CONTROL.test(name) && !BIDI.test(name) && !ZERO_WIDTH.test(name));
      assert(name.isWellFormed());
      assert([...name].length <= maxLength);
      assertEquals(safeName(name, maxLength), name, "safe already");
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("no text ever holds a control but newline and tab, nor one that turns the direction", () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      const safe = safeText(text);
      assert(!CONTROL.test(safe.replaceAll(/[\n\t]/g, "")) && !BIDI.test(safe));
      assert(safe.isWellFormed());
      assertEquals(safeText(safe), safe, "safe already");
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("a line is one line, and has nothing in it that acts", () => {
  assertEquals(safeLine(" first\r\nsecond\t\tthird\u2028fourth\n"), "first second third fourth");
  for (const control of [...Object.values(CONTROLS), ...DIRECTIONS]) {
    const line = safeLine(`gpu${control}server`);
    assert(!CONTROL.test(line) && !BIDI.test(line), JSON.stringify(line));
  }
});

Deno.test("JSON that is shown is the same value, and nothing in it acts", () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      const value = { [text]: [text, 1, null] };
      const json = safeJson(JSON.stringify(value));
      assert(!CONTROL.test(json) && !BIDI.test(json), json);
      assertEquals(JSON.parse(json), value);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a megabyte of hostile text is made safe in no time", () => {
  const start = performance.now();
  assertEquals(safeText("\x1b\u202e\ud800".repeat(350_000)), "");
  assertEquals(safeName("\x1b".repeat(1_000_000)), "");
  assert(performance.now() - start < 1_000);
});

Deno.test("a label is fit for a file name, a URL and a table", () => {
  for (const label of ["a", "7", "gpu-server", "Node.1_b", "x".repeat(63)]) {
    assert(isLabel(label), label);
    assertEquals([safeName(label), encodeURIComponent(label)], [label, label]);
  }
  for (
    const other of [
      "",
      ".",
      "..",
      "-a",
      ".a",
      "_a",
      "a/b",
      "a\\b",
      "a b",
      "a\n",
      "ü",
      "x".repeat(64),
    ]
  ) assert(!isLabel(other), JSON.stringify(other));
});
