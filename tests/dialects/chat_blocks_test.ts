/** Answers in pieces as a row of blocks. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { saidIn } from "../../src/dialects/chat_answer.ts";
import { type Block, Blocks, blocksOf } from "../../src/dialects/chat_blocks.ts";
import { chunk, completion, PARALLEL_CALLS, portions } from "./rig.ts";

interface Told {
  type: Block["type"];
  text: string;
  name?: string;
  id?: string;
}

/** What is told block by block; fails when they are not one after the other. */
function rowOf(pieces: readonly unknown[]): { row: Told[]; live: number } {
  const row: Told[] = [];
  let open: Block | undefined;
  const blocks = new Blocks({
    open(block) {
      assertEquals(open, undefined);
      open = block;
      const { type, name, id } = block;
      row.push({ type, text: "", ...(type === "call" && { name, id }) });
      return "";
    },
    add(block, piece) {
      assertEquals(block, open);
      row.at(-1)!.text += piece;
      return "";
    },
    close(block) {
      assertEquals(block, open);
      assertEquals(block.text, row.at(-1)!.text);
      open = undefined;
      return "";
    },
  }, ((n) => () => `${++n}`)(0));
  for (const piece of pieces) for (const said of saidIn(piece as never)) blocks.push(said);
  const live = row.length;
  blocks.end();
  assertEquals(open, undefined);
  return { row, live };
}

const call = (tool: Record<string, unknown>) => chunk({ tool_calls: [tool] });
const named = (name: string, args: unknown = "", rest = {}) =>
  call({ function: { name, arguments: args }, ...rest });
const more = (args: string, rest = {}) => call({ function: { arguments: args }, ...rest });

const TWO: Told[] = [
  { type: "call", name: "weather", id: "call_a", text: '{"city":"Graz"}' },
  { type: "call", name: "clock", id: "call_b", text: '{"zone":"CET","h24":true}' },
];

Deno.test("thoughts, texts and calls become blocks in the order in which they were said", () => {
  const pieces = [
    chunk({ reasoning_content: "Hm" }),
    chunk({ reasoning: "m." }),
    chunk({ content: "Let me" }),
    chunk({ content: " see." }),
    ...PARALLEL_CALLS,
  ];
  assertEquals(rowOf(pieces), {
    row: [{ type: "thought", text: "Hmm." }, { type: "text", text: "Let me see." }, ...TWO],
    live: 4,
  });
});

Deno.test("pieces of two calls that come by turns are told one call after the other", () => {
  const [a, b] = TWO.map(({ text }) => portions(text, 4));
  const pieces = [
    named("weather", "", { index: 0, id: "call_a" }),
    named("clock", "", { index: 1, id: "call_b" }),
    ...b.flatMap((piece, i) => [
      more(piece, { index: 1 }),
      ...(a[i] === undefined ? [] : [more(a[i], { index: 0 })]),
    ]),
  ];
  assertEquals(rowOf(pieces).row, TWO);
});

const DEVIATIONS: [string, unknown[]][] = [
  ["without places", [
    named("weather", '{"city":', { id: "call_a" }),
    more('"Graz"}'),
    named("clock", TWO[1].text, { id: "call_b" }),
  ]],
  ["all in the same place", [
    named("weather", TWO[0].text, { index: 0, id: "call_a" }),
    named("clock", TWO[1].text, { index: 0, id: "call_b" }),
  ]],
  ["with the id in every piece", [
    named("weather", '{"city":', { id: "call_a" }),
    more('"Graz"}', { id: "call_a" }),
    named("clock", '{"zone":"CET",', { id: "call_b" }),
    more('"h24":true}', { id: "call_b" }),
  ]],
  ["with a name in every piece", [
    named("weather", "", { id: "call_a", index: 0 }),
    named("weather", '{"city":', { index: 0 }),
    named("weather", '"Graz"}', { index: 0 }),
    named("weather", "", { index: 0 }),
    named("clock", TWO[1].text, { id: "call_b", index: 1 }),
  ]],
  ["with a new id in every piece", [
    named("weather", '{"city":', { id: "call_a", index: 0 }),
    more('"Graz"}', { id: "call_x", index: 0 }),
    named("clock", '{"zone":"CET","h24":true}', { id: "call_b", index: 1 }),
  ]],
  ["with a name that comes later", [
    call({ index: 0, id: "call_a" }),
    named("weather", '{"city":"Graz"}', { index: 0 }),
    named("clock", TWO[1].text, { id: "call_b", index: 1 }),
  ]],
  ["with arguments as objects", [
    named("weather", { city: "Graz" }, { id: "call_a" }),
    named("clock", { zone: "CET", h24: true }, { id: "call_b" }),
  ]],
  ["both in one piece", [
    chunk({
      tool_calls: TWO.map(({ id, name, text }) => ({ id, function: { name, arguments: text } })),
    }),
  ]],
];

for (const [how, pieces] of DEVIATIONS) {
  Deno.test(`two calls of tools are told apart ${how}`, () => {
    assertEquals(rowOf(pieces).row, TWO);
  });
}

Deno.test("two calls in the same place are told apart by their names alone", () => {
  const pieces = [
    named("weather", "{}", { index: 0 }),
    named("clock", "", { index: 0 }),
    more('{"a":1}', { index: 0 }),
  ];
  assertEquals(rowOf(pieces).row.map(({ name, text }) => [name, text]), [
    ["weather", "{}"],
    ["clock", '{"a":1}'],
  ]);
});

Deno.test("what comes for a call that was told to its end is nobody's", () => {
  const [a, b] = TWO;
  const pieces = [
    named("weather", a.text, { index: 0, id: "call_a" }),
    named("clock", b.text, { index: 1, id: "call_b" }),
    more("\n", { index: 0 }),
  ];
  assertEquals(rowOf(pieces).row, TWO);
});

Deno.test("calls without ids, and with the same one, get ids of their own", () => {
  const ids = (pieces: unknown[]) => rowOf(pieces).row.map(({ id }) => id);
  assertEquals(ids([named("f", "{}"), named("f", '{"a":1}'), named("g", "{}")]), [
    "call_1",
    "call_2",
    "call_3",
  ]);
  const same = [0, 1].map((index) => named("f", "{}", { index, id: "call_x" }));
  assertEquals(ids(same), ["call_x", "call_1"]);
});

Deno.test("calls that never become JSON, or have no name, are told at the end", () => {
  const pieces = [
    named("f", '{"a', { index: 0, id: "x" }),
    named("", "{}", { index: 1, id: "y" }),
    chunk({ content: "after" }),
  ];
  assertEquals(rowOf(pieces).row, [
    { type: "call", name: "f", id: "x", text: '{"a' },
    { type: "call", name: "", id: "y", text: "{}" },
    { type: "text", text: "after" },
  ]);
});

Deno.test("a whole answer has the same blocks as its pieces", () => {
  const message = {
    reasoning: "Hm",
    content: "Well.",
    tool_calls: TWO.map(({ id, name, text }) => ({ id, function: { name, arguments: text } })),
  };
  const [said] = saidIn(completion(message, "tool_calls") as never);
  const blocks = blocksOf(said, () => "?").map(({ type, text }) => ({ type, text }));
  const calls = TWO.map(({ type, text }) => ({ type, text }));
  assertEquals<unknown>(blocks, [
    { type: "thought", text: "Hm" },
    { type: "text", text: "Well." },
    ...calls,
  ]);
});

Deno.test("nothing of a call is lost, wherever its pieces are cut and however they are mixed", () => {
  const calls = fc.array(fc.record({ a: fc.string(), b: fc.nat() }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(
      calls,
      fc.integer({ min: 1, max: 9 }),
      fc.infiniteStream(fc.nat()),
      (all, size, chance) => {
        const jsons = all.map((one) => JSON.stringify(one));
        const waiting = jsons.map((json, index) => [
          named(`f${index}`, "", { index, id: `call_${index}` }),
          ...portions(json, size).map((piece) => more(piece, { index })),
        ]);
        const mixed: unknown[] = [];
        while (
          waiting.some((rest) => rest.length > 0)
        ) {
          const left = waiting.filter((rest) => rest.length > 0);
          mixed.push(left[chance.next().value! % left.length].shift());
        }
        assertEquals(rowOf(mixed).row.map(({ text }) => text).sort(), jsons.sort());
      },
    ),
  );
});

Deno.test("very many calls take no longer than they are many", () => {
  const tool_calls = Array.from({ length: 20_000 }, (_, i) => ({
    id: `call_${i % 15_000}`,
    function: { name: "f", arguments: "{}" },
  }));
  const began = performance.now();
  const { row } = rowOf([chunk({ tool_calls })]);
  assertEquals(row.length, 15_000);
  assertEquals(performance.now() - began < 500, true);
});
