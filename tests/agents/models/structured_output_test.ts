/** Answers that fit a schema, as models write them. */

import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import { StructuredOutput } from "../../../src/agents/models/structured_output.ts";

const output = new StructuredOutput(z.object({ a: z.number() }), "Cannot test");
const read = (text: string) => output.read({ text, toolCalls: [] });

Deno.test("JSON is read in a fence and without one, whatever blanks are around it", async () => {
  for (
    const text of [
      '{"a":1}',
      '\n {"a": 1}\n',
      '```json\n{"a":1}\n```',
      '```\n{"a":1}```',
      '  ```json{"a":1}\n\n```\n',
    ]
  ) assertEquals(await read(text), { value: { a: 1 } }, text);
  for (const text of ["", "```", "`````", "``````", "```json```", '```json\n{"a":1}', "{"]) {
    assert("fault" in await read(text), text);
  }
});

Deno.test("a fence full of newlines is read at once", async () => {
  const began = performance.now();
  assert("fault" in await read("```json" + "\n".repeat(3_000) + "x"));
  assertEquals(await read("```json" + "\n".repeat(300_000) + '{"a":1}```'), { value: { a: 1 } });
  assert(performance.now() - began < 1_000);
});
