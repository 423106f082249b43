/** The tools that come with a node: by name, as far as they are allowed, and those of its servers. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createAgent } from "../../../src/agents/agent.ts";
import type { JsonValue } from "../../../src/base/bounded_json.ts";
import { createCalculatorAgent } from "../../../src/agents/builtin/calculator.ts";
import { createDeviceInfoTool } from "../../../src/agents/tools/device_info.ts";
import { nodeTools, type NodeToolsOptions } from "../../../src/agents/tools/node_tools.ts";
import { createSharedStateTool } from "../../../src/agents/tools/shared_state.ts";
import { createTool } from "../../../src/agents/tool.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { answerOf, callOf } from "../calls.ts";
import { calling, ScriptedModel } from "../models/scripted_model.ts";

const { signal } = new AbortController();
const device = createDeviceInfoTool(() => Promise.resolve({ chip: "M4" }));
const none = { use: () => ({ tools: () => Promise.resolve([]), end() {} }) };

function source(options: Partial<NodeToolsOptions> = {}) {
  return nodeTools({ nodeId: "desk", allowed: {}, always: [device], mcpServers: none, ...options });
}

Deno.test("an agent that names a tool of its node gets the one of the node on which it runs", async () => {
  const model = new ScriptedModel(calling(["device_info"]), "An M4.");
  const agent = createAgent({ name: "a", description: "", model, tools: ["device_info"] });

  const { output } = await answerOf(agent, callOf({ tools: source() }));

  assertEquals(output, "An M4.");
  assertEquals(model.asked[1].messages.at(-1)?.content, '{"chip":"M4"}');
});

for (
  const [tool, mend] of [["http_request", "--allow-host HOST"], [
    "web_search",
    "--web-search URL",
  ]] as const
) {
  Deno.test(`${tool} is not there until the node's owner allows it`, async () => {
    const model = new ScriptedModel("never");
    const agent = createAgent({ name: "a", description: "", model, tools: [tool] });

    const error = await assertRejects(
      () => answerOf(agent, callOf({ tools: source() })),
      NetworkError,
      `Cannot use tool "${tool}" on node "desk"`,
    );

    assertEquals(error.code, "FAILED_PRECONDITION");
    assertEquals(error.message.includes(mend), true);
    assertEquals(model.asked.length, 0);
    const allowed = {
      httpRequest: { allowHosts: ["example.com"] },
      webSearch: { searxng: "http://127.0.0.1:1" },
    };
    assertEquals(source({ allowed }).named(tool).name, tool);
  });
}

Deno.test("an agent that runs on no node has no tools of one", async () => {
  const agent = createAgent({
    name: "a",
    description: "",
    run: async ({ callTool }) => `${await callTool("device_info", {})}`,
    tools: ["device_info"],
  });

  await assertRejects(() => answerOf(agent, callOf()), NetworkError, "it runs on none");
});

Deno.test("the tools of MCP servers are asked for before each turn, and are called like any other", async () => {
  const lists: unknown[] = [];
  let ends = 0;
  let there = ["read"];
  const mcpServers: NodeToolsOptions["mcpServers"] = {
    use: (servers) => ({
      tools: ({ taken } = {}) => {
        lists.push([servers, [...taken ?? []]]);
        const tools = there.map((name) =>
          createTool({ name, description: "", handler: () => `${name} it` })
        );
        there = ["read", "write"];
        return Promise.resolve(tools);
      },
      end: () => ends++,
    }),
  };
  const files = { command: "files" };
  const model = new ScriptedModel(calling(["read"]), calling(["write"]), "Done");
  const agent = createAgent({
    name: "a",
    description: "",
    model,
    tools: ["device_info"],
    mcpServers: { files },
  });

  await answerOf(agent, callOf({ tools: source({ mcpServers }) }));

  assertEquals(ends, 1);
  assertEquals(lists, Array.from({ length: 3 }, () => [{ files }, ["device_info"]]));
  assertEquals(model.asked.map(({ tools }) => tools!.map(({ name }) => name)), [
    ["device_info", "read"],
    ["device_info", "read", "write"],
    ["device_info", "read", "write"],
  ]);
  assertEquals(
    model.asked[2].messages.filter(({ role }) => role === "tool").map(({ content }) => content),
    ["read it", "write it"],
  );
});

Deno.test("a function, too, calls the tools of its MCP servers", async () => {
  const read = createTool({ name: "read", description: "", handler: () => "text" });
  const mcpServers = { use: () => ({ tools: () => Promise.resolve([read]), end() {} }) };
  const agent = createAgent({
    name: "a",
    description: "",
    mcpServers: { files: { command: "files" } },
    run: async ({ callTool, tools }) =>
      `${await callTool("read", {})} of ${(await tools()).map(({ name }) => name)}`,
  });
  const call = callOf({ tools: source({ mcpServers }) });

  assertEquals((await answerOf(agent, call)).output, "text of read");
  const lost = createAgent({
    ...agent,
    tools: [],
    run: ({ callTool }) => callTool("lost", {}) as never,
  });
  await assertRejects(() => answerOf(lost, call), NetworkError, "has only read");
});

Deno.test("the calculator is a tool as well", async () => {
  const calculator = createCalculatorAgent();
  try {
    assertEquals(await calculator.tool.call({ expression: "2^10" }, { signal }), "1024");
    await assertRejects(
      () => calculator.tool.call({ expression: "2 +" }, { signal }),
      NetworkError,
    );
  } finally {
    calculator.dispose();
  }
});

Deno.test("models read and change the shared state, but what the network keeps there itself", async () => {
  const values = new Map<string, JsonValue>([["a/1", 1], ["threads/x", "private"]]);
  const tool = createSharedStateTool({
    hidden: ["threads/"],
    state: () => ({
      get: (key) => values.get(key),
      keys: (prefix = "") => [...values.keys()].filter((key) => key.startsWith(prefix)),
      set: (key, value) => Promise.resolve(void values.set(key, value)),
      delete: (key) => Promise.resolve(values.delete(key)),
      increment: (key, by = 1) => {
        values.set(key, Number(values.get(key) ?? 0) + by);
        return Promise.resolve(values.get(key) as number);
      },
      append: (key, ...items) =>
        Promise.resolve(void values.set(key, [...values.get(key) as JsonValue[] ?? [], ...items])),
    }),
  });
  const call = (args: JsonValue) => tool.call(args, { signal });

  assertEquals(await call({ action: "keys" }), { keys: ["a/1"] });
  assertEquals(await call({ action: "get", key: "a/1" }), { key: "a/1", value: 1 });
  assertEquals(await call({ action: "get", key: "b" }), { key: "b", value: null });
  assertEquals(await call({ action: "set", key: "b", value: { c: [null] } }), {
    key: "b",
    done: true,
  });
  assertEquals(values.get("b"), { c: [null] });
  assertEquals(await call({ action: "append", key: "l", value: 1 }), { key: "l", done: true });
  assertEquals(await call({ action: "increment", key: "n" }), { key: "n", value: 1 });
  assertEquals(await call({ action: "increment", key: "n", value: 4 }), { key: "n", value: 5 });
  assertEquals(await call({ action: "delete", key: "b" }), { key: "b", deleted: true });
  for (
    const args of [
      { action: "get", key: "threads/x" },
      { action: "set", key: "threads/y", value: 1 },
      { action: "delete", key: "threads/x" },
      { action: "set", key: "c" },
      { action: "set", value: 1 },
      { action: "increment", key: "n", value: "many" },
      { action: "drop" },
    ] as JsonValue[]
  ) {
    const error = await assertRejects(() => call(args), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  for (let i = 0; i < 250; i++) values.set(`many/${i}`, i);
  const listed = await call({ action: "keys", key: "many/" }) as { keys: string[]; more: number };
  assertEquals([listed.keys.length, listed.more], [200, 50]);
});

Deno.test("what is allowed is checked when the node is made", () => {
  assertThrows(
    () => source({ allowed: { httpRequest: { allowHosts: ["http://x"] } } }),
    NetworkError,
    '"http://x" is no host',
  );
});
