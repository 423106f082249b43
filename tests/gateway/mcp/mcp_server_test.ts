/** The network as an MCP server, in memory: what each tool asks of the network, and answers. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type CallToolResult, Client } from "@modelcontextprotocol/client";
import { InMemoryTransport } from "@modelcontextprotocol/server";
import type { RunEvent } from "../../../src/agents/run_event.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import type { ChatBody, NetworkPort, StatePort } from "../../../src/gateway/mcp/network_port.ts";
import { networkMcpServer } from "../../../src/gateway/mcp/mcp_server.ts";
import type { EndedTask, TaskStatus } from "../../../src/network/status.ts";

type Stated = Omit<NetworkPort, "state"> & { readonly state: Partial<StatePort> };

/** A network that has only what a test says; all else fails. */
async function connected(
  network: Partial<Stated> | (() => Promise<never>),
): Promise<Client & AsyncDisposable> {
  const find = typeof network === "function"
    ? network
    : async () => await network as unknown as NetworkPort;
  const server = networkMcpServer(find);
  const client = new Client({ name: "test", version: "1" });
  const [here, there] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(there), client.connect(here)]);
  const dispose = async () => {
    await client.close();
    await server.close();
  };
  return Object.assign(client, { [Symbol.asyncDispose]: dispose });
}

/** What a call answers, as data; the text is the same. */
async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  const answer = await client.callTool({ name, arguments: args });
  assert(answer.isError !== true, textOf(answer));
  assertEquals(JSON.parse(textOf(answer)), answer.structuredContent);
  return answer.structuredContent;
}

async function failure(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  const answer = await client.callTool({ name, arguments: args });
  assertEquals(answer.isError, true, textOf(answer));
  return textOf(answer);
}

function textOf({ content }: CallToolResult): string {
  return content.map((part) => part.type === "text" ? part.text : "").join("");
}

const RESULT = {
  taskId: "01",
  agent: "writer",
  nodeId: "box",
  output: "Hello there",
  attempts: 1,
  durationMs: 5,
  serviceMs: 4,
  reason: "the only one",
};

Deno.test("every tool says what it does, takes nothing unknown, and says whether it changes something", async () => {
  await using client = await connected({});
  const { tools } = await client.listTools();
  const readOnly = tools.filter(({ annotations }) => annotations?.readOnlyHint).map((one) =>
    one.name
  );
  assertEquals(readOnly.sort(), [
    "ask_model",
    "get_state",
    "list_agents",
    "list_devices",
    "list_models",
    "list_state",
    "list_tasks",
  ]);
  for (const { name, description, inputSchema, outputSchema, annotations } of tools) {
    assert(description !== undefined && outputSchema !== undefined, name);
    assertEquals(inputSchema.additionalProperties, false, name);
    assert(annotations?.readOnlyHint !== undefined, name);
    assert(annotations.readOnlyHint || annotations.destructiveHint !== undefined, name);
  }
  assertStringIncludes(await failure(client, "get_state", { kee: "x" }), "kee");
});

Deno.test("an agent's answer comes with its data, and what it says meanwhile as progress", async () => {
  const bodies: unknown[] = [];
  await using client = await connected({
    async *run(body): AsyncGenerator<RunEvent> {
      bodies.push(body);
      yield { type: "routed", taskId: "01", attempt: 1, nodeId: "box", reason: "idle" };
      for (const text of ["Hel", "lo ", "there\n"]) yield { type: "token", text };
      const call = { type: "tool-call", tool: "look", arguments: null } as const;
      yield { ...call, callId: "1" };
      yield { ...call, callId: "2" };
      yield { type: "tool-result", callId: "2", tool: "look", result: null };
      yield { type: "tool-error", callId: "1", tool: "look", reason: "it is dark" };
      yield { type: "agent-call", callId: "3", agent: "other", prompt: "well?" };
      yield { type: "agent-error", callId: "3", agent: "other", reason: "it is gone" };
      await Promise.resolve();
      yield { type: "result", result: { ...RESULT, data: { words: 2 } } };
    },
  });
  const args = { agent: "writer", prompt: "greet", node: "box", thread: "t", timeoutMs: 9 };
  const told: string[] = [];
  const answer = await client.callTool({ name: "run_agent", arguments: args }, {
    onprogress: ({ message = "" }) => void told.push(message),
  });
  const { serviceMs: _, ...expected } = RESULT;
  assertEquals(answer.structuredContent, { ...expected, data: { words: 2 } });
  assertEquals(told.join("").split("\n"), [
    "box: idle",
    "Hello there",
    "calls look",
    "calls look #2",
    "look #2 has answered",
    "look failed: it is dark",
    "asks other",
    "other failed: it is gone",
    "",
  ]);
  assertEquals(bodies, [args]);
});

Deno.test("a call that is cancelled cancels the run", async () => {
  const begun = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  await using client = await connected({
    // deno-lint-ignore require-yield
    async *run(_, signal): AsyncGenerator<RunEvent> {
      begun.resolve();
      await new Promise<void>((resolve) => signal!.addEventListener("abort", () => resolve()));
      stopped.resolve();
      throw new NetworkError("CANCELLED", "Cancelled.");
    },
  });
  const controller = new AbortController();
  const calling = client.callTool(
    { name: "run_agent", arguments: { agent: "a", prompt: "p" } },
    { signal: controller.signal },
  ).catch(() => "cancelled");
  await begun.promise;
  controller.abort();
  await stopped.promise;
  assertEquals(await calling, "cancelled");
});

Deno.test("a run that ends without a result is told as one whose outcome nobody knows", async () => {
  await using client = await connected({ async *run() {} });
  assertStringIncludes(
    await failure(client, "run_agent", { agent: "a", prompt: "p" }),
    "whether its work was done is not known",
  );
});

Deno.test("a model is asked as OpenAI's clients ask, and what it answers is checked", async () => {
  const asked: [ChatBody, number][] = [];
  let answer: unknown = {
    model: "small",
    choices: [{ message: { content: "Forty-two" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  };
  await using client = await connected({
    chat(body, timeoutMs) {
      asked.push([body, timeoutMs]);
      return Promise.resolve(answer);
    },
  });
  const args = { model: "small", prompt: "6*7?", system: "Be short", maxTokens: 9, timeoutMs: 77 };
  assertEquals(await call(client, "ask_model", args), {
    output: "Forty-two",
    model: "small",
    finishReason: "stop",
    usage: { promptTokens: 3, completionTokens: 2 },
  });
  assertEquals(asked, [[{
    model: "small",
    messages: [{ role: "system", content: "Be short" }, { role: "user", content: "6*7?" }],
    stream: false,
    max_tokens: 9,
  }, 77]]);
  answer = { choices: [{ message: {} }] };
  assertEquals(await call(client, "ask_model", { model: "small", prompt: "?" }), {
    output: "",
    model: "small",
  });
  answer = { choices: [] };
  assertStringIncludes(
    await failure(client, "ask_model", { model: "small", prompt: "?" }),
    'Cannot read what model "small" answered: choices',
  );
});

Deno.test("shared state is read and written; a list has an end, and says how much there is", async () => {
  const long = "x".repeat(300_000);
  const entries = [{ key: "a", value: long }, { key: "b", value: long }, { key: "c", value: 1 }];
  await using client = await connected({
    state: {
      entries: (prefix) => Promise.resolve(entries.filter(({ key }) => key.startsWith(prefix))),
      entry: (key) => Promise.resolve({ key, value: key === "big" ? long.repeat(10) : [1] }),
      set: (body) => Promise.resolve(body),
      delete: () => Promise.resolve({ deleted: true }),
    },
  });
  const list = await call(client, "list_state") as { entries: { key: string }[]; total: number };
  assertEquals(list.entries.map(({ key }) => key), ["a", "c"], "what is too large hides no other");
  assertEquals(list.total, 3);
  assertEquals(await call(client, "list_state", { prefix: "c" }), {
    entries: [{ key: "c", value: 1 }],
    total: 1,
  });
  for (const value of [null, "text", 1.5, { deep: [true] }]) {
    assertEquals(await call(client, "set_state", { key: "k", value }), { key: "k", value });
  }
  assertStringIncludes(await failure(client, "set_state", { key: "k" }), "value");
  assertEquals(await call(client, "get_state", { key: "k" }), { key: "k", value: [1] });
  assertEquals(await call(client, "delete_state", { key: "k" }), { key: "k", deleted: true });
  assertStringIncludes(await failure(client, "get_state", { key: "big" }), "Ask for less");
  const { resources } = await client.listResources();
  assertEquals(resources.map(({ uri }) => uri), [
    ...["hanzo://devices", "hanzo://agents", "hanzo://models"],
    ...["hanzo://state/a", "hanzo://state/b", "hanzo://state/c"],
  ]);
  const { contents: [content] } = await client.readResource({ uri: "hanzo://state/a%2Fb" });
  assertEquals("text" in content && content.text, "[1]");
});

Deno.test("tasks are shown alike, whether they run or have ended", async () => {
  const running: TaskStatus = {
    taskId: "01",
    attempt: 1,
    agent: "work",
    runningMs: 12,
    state: "running",
    nodeId: null,
    caller: "laptop",
    priority: "normal",
    since: 0,
  };
  const ended: EndedTask = {
    state: "ended",
    taskId: "00",
    agent: "work",
    nodeIds: ["a", "b"],
    outcome: "ok",
    attempts: 2,
    durationMs: 90,
    serviceMs: 80,
    reason: "",
    endedAt: 0,
  };
  await using client = await connected({
    tasks: () => Promise.resolve([running, ended]),
    cancel: ({ taskId }) => Promise.resolve({ ...running, taskId, nodeId: "a" }),
  });
  const first = { taskId: "01", agent: "work", state: "running", nodes: [], durationMs: 12 };
  assertEquals(await call(client, "list_tasks", { limit: 1 }), { tasks: [first] });
  assertEquals(await call(client, "list_tasks"), {
    tasks: [first, {
      taskId: "00",
      agent: "work",
      state: "ended",
      nodes: ["a", "b"],
      outcome: "ok",
      durationMs: 90,
    }],
  });
  assertEquals(await call(client, "cancel_task", { taskId: "01" }), { ...first, nodes: ["a"] });
});

Deno.test("without a node every tool says so and how to mend it, and the list of tools is there", async () => {
  const missing = "Cannot reach a node: none runs. Start one: hanzo-network up";
  await using client = await connected(() =>
    Promise.reject(new NetworkError("UNAVAILABLE", missing))
  );
  assertEquals(await failure(client, "list_devices"), missing);
  assertEquals((await client.listTools()).tools.length, 11);
  assertEquals((await client.listResources()).resources.length, 3);
});

Deno.test("what acts on a terminal stands in the text as an escape", async () => {
  await using client = await connected({
    state: { entry: (key) => Promise.resolve({ key, value: "\u202ered\u001b[31m" }) },
  });
  const answer = await client.callTool({ name: "get_state", arguments: { key: "k" } });
  assertEquals(textOf(answer), '{"key":"k","value":"\\u202ered\\u001b[31m"}');
});
