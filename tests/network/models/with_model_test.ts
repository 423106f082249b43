/** The name of the model in a request is changed, and nothing else. */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../../src/base/errors.ts";
import { withModel } from "../../../src/network/models/with_model.ts";

/** JSON as somebody may write it: with blanks wherever they may stand, and escapes that need none. */
function written(value: unknown, blank: () => string, escapes: boolean): string {
  const text = (string: string) =>
    escapes
      ? `"${[...string].map((char) => char.length > 1 ? char : unicode(char)).join("")}"`
      : JSON.stringify(string);
  const list = (items: string[]) => items.map((item) => blank() + item + blank()).join(",");
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) {
    return `[${list(value.map((one) => written(one, blank, escapes)))}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, one]) =>
    `${text(key)}${blank()}:${blank()}${written(one, blank, escapes)}`
  );
  return `{${list(pairs)}}`;
}

function unicode(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

Deno.test("whatever else a request says, only the value of its model is changed", () => {
  const rest = fc.dictionary(
    fc.oneof(fc.constantFrom("models", "messages", "Model", "mode", '"model"', "a\\"), fc.string()),
    fc.jsonValue(),
  ).map((others) => {
    delete others.model;
    return others;
  });
  const hard = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom('"model": "x"', "\\", '\\"', "}{][", "\u2028", "llama3.2:3b"),
  );
  const blanks = fc.infiniteStream(fc.constantFrom("", " ", "\n", "\t\r\n"));
  fc.assert(
    fc.property(rest, hard, hard, blanks, fc.boolean(), (others, said, model, blanks, escapes) => {
      const blank = () => blanks.next().value!;
      const nested = { ...others, inside: [{ model: said, deep: { model: 1 } }], model: said };
      const json = blank() + written(nested, blank, escapes);
      const marked = withModel(json, model);
      assertEquals(JSON.parse(marked), { ...JSON.parse(json), model });
      // The last pair is the model's: all before it stands there byte for byte.
      const key = Math.max(json.lastIndexOf('"model"'), json.lastIndexOf('"\\u006dodel"'), 0);
      if (!said.includes("model")) assertEquals(marked.slice(0, key), json.slice(0, key));
    }),
    { numRuns: 500 },
  );
});

Deno.test("of several keys all are changed, and those that are written with escapes, too", () => {
  const cases: [string, string][] = [
    ['{"model":"a","model":"b"}', '{"model":"n","model":"n"}'],
    [
      '{"\\u006d\\u006f\\u0064\\u0065\\u006c" : "a"}',
      '{"\\u006d\\u006f\\u0064\\u0065\\u006c" : "n"}',
    ],
    ['{"a":["model","x"],"model":"b"}', '{"a":["model","x"],"model":"n"}'],
    ['{"a":{"model":"x"},"model":"b\\"}"}', '{"a":{"model":"x"},"model":"n"}'],
    ['{"a":"model","model":"b\\\\"}', '{"a":"model","model":"n"}'],
    ['{"model":1,"model":"b"}', '{"model":1,"model":"n"}'],
    ['{"model":"b","n":1e999,"x":0.10}', '{"model":"n","n":1e999,"x":0.10}'],
  ];
  for (const [given, expected] of cases) assertEquals(withModel(given, "n"), expected);
  assertEquals(withModel('{"model":"a"}', '"\n\ud800'), '{"model":"\\"\\n\\ud800"}');
});

Deno.test("what names no model is refused, and what is no JSON at all ends, too", () => {
  const none = [
    ...["", "{}", "[]", '[{"model":"a"}]', '{"a":{"model":"a"}}', '{"model":1}', '{"model"', '"'],
    ...['{"mod\nel":"a"}', '{"\\u00":"a"}', '{"\\":"model"', "}".repeat(1_000), '{"model" "a"}'],
  ];
  for (const json of none) {
    const { code } = assertThrows(() => withModel(json, "n"), NetworkError);
    assertEquals(code, "INVALID_ARGUMENT", json);
  }
});

Deno.test("a long request of quotation marks and backslashes takes no longer than it is long", () => {
  const hard = `{"a":"${'\\"'.repeat(500_000)}","b":"${"\\\\".repeat(500_000)}","model":"a"}`;
  const began = performance.now();
  assertEquals(withModel(hard, "b").length, hard.length);
  const ms = performance.now() - began;
  assertEquals(ms < 1_000, true, `${ms} ms`);
});
