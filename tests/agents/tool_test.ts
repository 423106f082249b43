/** Tools: their parameters are checked before the handler sees them. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { z } from "zod";
import { createTool } from "../../src/agents/tool.ts";
import type { StandardSchema } from "../../src/base/standard_schema.ts";
import { NetworkError } from "../../src/base/errors.ts";

const context = { signal: new AbortController().signal };

Deno.test("a tool's handler is given what the schema made of the arguments", async () => {
  const tool = createTool({
    name: "greet",
    description: "Greets",
    parameters: z.object({ name: z.string().trim(), times: z.number().default(2) }),
    handler: ({ name, times }) => name.repeat(times),
  });

  assertEquals(await tool.call({ name: " Ada " }, context), "AdaAda");
});

Deno.test("a tool without a schema takes any JSON", async () => {
  const tool = createTool({ name: "echo", description: "Echoes", handler: (args) => args });

  assertEquals(await tool.call([1, { two: null }], context), [1, { two: null }]);
  assertEquals(tool.parameters, undefined);
});

Deno.test("arguments that do not fit are named by their paths, all of them, and nothing runs", async () => {
  let ran = false;
  const tool = createTool({
    name: "book",
    description: "Books seats",
    parameters: z.object({
      seats: z.array(z.object({ row: z.number() })),
      who: z.object({ mail: z.string() }),
    }),
    handler: () => ran = true,
  });

  const error = await assertRejects(
    () => tool.call({ seats: [{ row: 1 }, { row: "x" }], who: {} }, context),
    NetworkError,
    'Cannot call tool "book"',
  );

  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "seats.1.row: ");
  assertStringIncludes(error.message, "who.mail: ");
  assertEquals(ran, false);
});

Deno.test("a wrong argument as a whole is reported without a path", async () => {
  const tool = createTool({
    name: "double",
    description: "Doubles",
    parameters: z.number(),
    handler: (value) => value * 2,
  });

  const error = await assertRejects(() => tool.call("x", context), NetworkError);

  assertEquals(error.message.startsWith('Cannot call tool "double": Invalid input'), true);
});

Deno.test("a schema may take its time", async () => {
  const tool = createTool({
    name: "reserve",
    description: "Reserves a name",
    parameters: z.string().refine((name) => Promise.resolve(name !== "taken"), "is taken"),
    handler: (name) => name,
  });

  assertEquals(await tool.call("free", context), "free");
  await assertRejects(() => tool.call("taken", context), NetworkError, "is taken");
});

Deno.test("a path may consist of objects with keys, as some schema libraries have it", async () => {
  const parameters: StandardSchema<string> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => ({ issues: [{ message: "is wrong", path: [{ key: "a" }, 0, "b"] }] }),
    },
  };
  const tool = createTool({ name: "any", description: "", parameters, handler: (x) => x });

  await assertRejects(() => tool.call({}, context), NetworkError, "a.0.b: is wrong");
});

Deno.test("what a handler throws comes through as it is", async () => {
  const fault = new RangeError("no such page");
  const tool = createTool({
    name: "page",
    description: "Turns a page",
    handler: () => {
      throw fault;
    },
  });

  assertEquals(await tool.call(1, context).catch((thrown) => thrown), fault);
});

Deno.test("a tool's name is a label", () => {
  const error = assertThrows(
    () => createTool({ name: "no spaces", description: "", handler: () => 1 }),
    NetworkError,
    'Cannot create tool "no spaces"',
  );

  assertEquals(error.code, "INVALID_ARGUMENT");
});
