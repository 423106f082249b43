/** What `createAgent` makes of its options, and what it refuses. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { createAgent, describeAgent } from "../../src/agents/agent.ts";
import { createTool } from "../../src/agents/tool.ts";
import { NetworkError } from "../../src/base/errors.ts";

const tool = createTool({ name: "clock", description: "Says the time", handler: () => 12 });
const run = () => "";

Deno.test("an agent is light, without requirements and idempotent unless it says otherwise", () => {
  const agent = createAgent({ name: "echo", description: "Echoes", run });

  assertEquals(describeAgent(agent), {
    name: "echo",
    description: "Echoes",
    workload: "light",
    requirements: {},
    idempotent: true,
    tools: [],
  });
});

Deno.test("an agent with tools is not idempotent unless it says so", () => {
  const options = { name: "echo", description: "", run, tools: [tool] };

  assertEquals(createAgent(options).idempotent, false);
  assertEquals(createAgent({ ...options, idempotent: true }).idempotent, true);
  assertEquals(createAgent({ ...options, tools: [], idempotent: false }).idempotent, false);
});

Deno.test("an agent keeps what it was made of when the options change later", () => {
  const requirements = { memory: 1024 };
  const agent = createAgent({ name: "echo", description: "", run, requirements });
  requirements.memory = 1;

  assertEquals(agent.requirements.memory, 1024);
  assert(Object.isFrozen(agent) && Object.isFrozen(agent.requirements));
});

Deno.test("what the network is told of an agent is plain data", () => {
  const agent = createAgent({ name: "echo", description: "Echoes", run, tools: [tool] });

  const told = describeAgent(agent);

  assertEquals(JSON.parse(JSON.stringify(told)), told);
  assertEquals(told.tools, ["clock"]);
});

for (const name of ["", "two words", "-first", "über", "a/b", "a\u001b[31m", "x".repeat(64)]) {
  Deno.test(`an agent cannot be called ${JSON.stringify(name.slice(0, 12))}`, () => {
    const error = assertThrows(
      () => createAgent({ name, description: "", run }),
      NetworkError,
      "Cannot create agent",
    );

    assertEquals(error.code, "INVALID_ARGUMENT");
    assertEquals(/\p{Cc}/u.test(error.message), false);
  });
}

Deno.test("two tools of one agent cannot have the same name", () => {
  const error = assertThrows(
    () => createAgent({ name: "echo", description: "", run, tools: [tool, tool] }),
    NetworkError,
  );

  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "two of its tools have the same name");
});

Deno.test("what modules without a check of types may say wrongly is refused by name", () => {
  const wrong: [string, Record<string, unknown>, string][] = [
    ["workload", { workload: "huge" }, 'workload is "huge", expected heavy, light, background.'],
    ["a misspelt requirement", { requirements: { label: ["gpu-room"] } }, '"label"'],
    ["a requirement of another type", { requirements: { memory: "8 GB" } }, "requirements.memory"],
    ["no name", { name: undefined }, "Cannot create agent without a name"],
    ["no description", { description: undefined }, 'has no "description"'],
  ];
  for (const [what, options, expected] of wrong) {
    // deno-lint-ignore no-explicit-any
    const made = () => createAgent({ name: "a", description: "", run, ...options } as any);
    const { code, message } = assertThrows(made, NetworkError);
    assertEquals(code, "INVALID_ARGUMENT", what);
    assertStringIncludes(message, "Cannot create agent");
    assertStringIncludes(message, expected);
  }
});
