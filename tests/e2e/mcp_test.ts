/** `hanzo-network mcp` beside a real node: by the protocol's inspector, and by a client. */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Client, parseJSONRPCMessage } from "@modelcontextprotocol/client";
import { ProcessTransport } from "../../src/agents/mcp/process_transport.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { freeUdpPort, hanzo, programArgs, ready, TestMachine } from "../support/nodes.ts";
import { soon } from "../support/soon.ts";
import { withTempDir } from "../support/temp.ts";

const INSPECTOR = "npm:@modelcontextprotocol/inspector@2.12.0";
const AGENTS = new URL("../support/patient_agent.ts", import.meta.url).pathname;

/** The inspector, asked about the server of a data directory. */
async function inspect(directory: string, ...args: string[]) {
  const served = [Deno.execPath(), ...programArgs("mcp", `--data-dir=${directory}`)];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Its packages are not this program's: they stand in no lock file of ours.
    args: ["run", "--quiet", "--no-config", "-A", INSPECTOR, "--cli", ...served, ...args],
    cwd: directory,
    env: { MCP_CATALOG_PATH: `${directory}/inspector.json`, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A client of the server of a data directory. */
async function connect(
  directory: string,
  mode: "legacy" | { pin: string } = "legacy",
  ...options: string[]
): Promise<Client & AsyncDisposable> {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
  const args = programArgs("mcp", `--data-dir=${directory}`, ...options);
  await client.connect(
    new ProcessTransport({
      name: "hanzo",
      server: { command: Deno.execPath(), args },
      clock: systemClock,
      logger: silentLogger,
      parse: parseJSONRPCMessage,
    }),
  );
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

Deno.test("the inspector's checks find no error, and its calls are answered", async () => {
  await withTempDir(async (directory) => {
    await using node = new TestMachine(directory).up("A");
    await ready(node);
    const list = await inspect(directory, "--method", "tools/list", "--strict");
    assertEquals(list.code, 0, list.stderr);
    assertStringIncludes(list.stderr, "0 errors");
    assertEquals(JSON.parse(list.stdout).tools.length, 11);
    const call = async (name: string, ...pairs: string[]) => {
      const args = pairs.flatMap((pair) => ["--tool-arg", pair]);
      const outcome = await inspect(
        directory,
        ...["--method", "tools/call", "--tool-name", name, ...args],
      );
      assertEquals(outcome.code, 0, outcome.stdout + outcome.stderr);
      return JSON.parse(outcome.stdout).structuredContent;
    };
    const { devices } = await call("list_devices");
    assertEquals([devices.length, devices[0].nodeId, devices[0].healthy], [1, "A", true]);
    const ran = await call("run_agent", "agent=calculator", "prompt=6 * 7");
    assertEquals([ran.output, ran.nodeId], ["42", "A"]);
    await call("set_state", "key=a/b", "value=5");
    const read = await inspect(
      directory,
      ...["--method", "resources/read", "--uri", "hanzo://state/a%2Fb"],
    );
    assertEquals(JSON.parse(read.stdout).contents[0].text, "5");
    const resources = await inspect(directory, "--method", "resources/list");
    assertEquals(
      JSON.parse(resources.stdout).resources.map(({ uri }: { uri: string }) => uri),
      ["hanzo://devices", "hanzo://agents", "hanzo://models", "hanzo://state/a%2Fb"],
    );
  });
});

Deno.test("a cancelled call cancels its task; a node that goes is missed, and found again", async () => {
  await withTempDir(async (directory) => {
    await using client = await connect(directory);
    const text = async () => {
      const { content } = await client.callTool({ name: "list_tasks" });
      return content.map((part) => part.type === "text" ? part.text : "").join("");
    };
    assertStringIncludes(await text(), "Start one: hanzo-network up");

    const machine = new TestMachine(directory);
    await using node = machine.up("A", `--agents=${AGENTS}`);
    await ready(node);
    const running = async () => {
      const { structuredContent } = await client.callTool({ name: "list_tasks" });
      const { tasks } = structuredContent as { tasks: { state: string; agent: string }[] };
      return tasks.filter(({ state }) => state !== "ended").map(({ agent }) => agent);
    };
    const controller = new AbortController();
    const told: string[] = [];
    const calling = client.callTool(
      { name: "run_agent", arguments: { agent: "patient", prompt: "60000" } },
      { signal: controller.signal, onprogress: ({ message = "" }) => void told.push(message) },
    ).catch(() => "cancelled");
    await eventually(async () => (await running()).includes("patient"), { what: "the task" });
    controller.abort();
    assertEquals(await calling, "cancelled");
    await eventually(async () => (await running()).length === 0, { what: "the task's end" });
    assertStringIncludes(told.join(""), "A: ");

    node.kill("SIGKILL");
    await node.status;
    assertStringIncludes(await text(), "Start one: hanzo-network up");
    await using again = machine.up("A");
    await ready(again);
    assertStringIncludes(await text(), '"tasks"');
  });
});

Deno.test("a model of another device is asked by MCP, given up, and missed by name", async (t) => {
  await using engine = await new OpenAiEngine({ models: [testModel("qwen3:8b")], tokenMs: 2 })
    .start();
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A", "--model-alias=fast=gone,qwen3:8b");
    await using b = machine.up("B", `--engine=${engine.url}`);
    await Promise.all([ready(a), ready(b)]);
    await using client = await connect(directory, "legacy", "--node-id=A");
    const call = async (name: string, args: Record<string, unknown> = {}, signal?: AbortSignal) => {
      const answer = await client.callTool({ name, arguments: args }, { signal });
      const text = answer.content.map((part) => part.type === "text" ? part.text : "").join("");
      return { text, isError: answer.isError === true, data: answer.structuredContent };
    };
    await eventually(async () => (await call("list_models")).text.includes('"qwen3:8b"'), {
      what: "the model of B, as A knows it",
      timeoutMs: 20_000,
    });

    await t.step("it answers, by another name of it too, and says what it took", async () => {
      const prompt = "say these words";
      const asked = { model: "fast", prompt, system: "Be brief", maxTokens: 9, temperature: 0 };
      const { data } = await call("ask_model", asked);
      assertEquals(data, {
        output: "You said: say these words",
        model: "qwen3:8b",
        finishReason: "stop",
        usage: { promptTokens: 5, completionTokens: 5 },
      });
      const { body } = engine.asked("/v1/chat/completions").at(-1)!;
      assertEquals(body, {
        model: "qwen3:8b",
        messages: [{ role: "system", content: "Be brief" }, { role: "user", content: prompt }],
        stream: false,
        max_tokens: 9,
        temperature: 0,
      });
    });

    await t.step("a call that is cancelled stops the engine of the other process", async () => {
      engine.reply = () => ({ text: "word ".repeat(5_000) });
      const before = engine.requests.length;
      const controller = new AbortController();
      const calling = call("ask_model", { model: "qwen3:8b", prompt: "Go on" }, controller.signal);
      const cancelled = assertRejects(() => calling);
      const request = await eventually(() => engine.requests[before], { what: "the request" });
      await eventually(() => request.tokens > 0, { what: "the first word" });
      controller.abort();
      await cancelled;
      assertEquals(await soon(request.outcome, "the engine's end"), "cancelled");
    });

    await t.step("one that takes too long is given up, and says so", async () => {
      const late = await call("ask_model", { model: "qwen3:8b", prompt: "Go on", timeoutMs: 200 });
      assertEquals(late.isError, true);
      assertMatch(late.text, /"qwen3:8b".*within 0.2 s. Give it longer/);
      const { outcome } = engine.requests.at(-1)!;
      assertEquals(await soon(outcome, "the engine's end"), "cancelled");
    });

    await t.step("one that nobody has is missed, with what there is", async () => {
      const missed = await call("ask_model", { model: "gone", prompt: "Hello" });
      assertEquals(missed.isError, true);
      assertMatch(missed.text, /"gone".*qwen3:8b/);
    });

    await t.step("an engine that fails is told of in its words", async () => {
      engine.fault = { type: "fail", status: 500, message: "out of memory" };
      const failed = await call("ask_model", { model: "qwen3:8b", prompt: "Hello" });
      assertEquals(failed.isError, true);
      assertStringIncludes(failed.text, "out of memory");
    });
  });
});

Deno.test("clients of the newest revision are answered, too", async () => {
  await withTempDir(async (directory) => {
    await using node = new TestMachine(directory).up("A");
    await ready(node);
    await using client = await connect(directory, { pin: "2026-07-28" });
    assertEquals(client.getProtocolEra(), "modern");
    const told: string[] = [];
    const ran = await client.callTool(
      { name: "run_agent", arguments: { agent: "calculator", prompt: "6 * 7" } },
      { onprogress: ({ message = "" }) => void told.push(message) },
    );
    assertEquals((ran.structuredContent as { output: string }).output, "42");
    assertStringIncludes(told.join(""), "A: ");
  });
});

Deno.test("mcp ends with its input, writes nothing but the protocol, and refuses what it does not know", async () => {
  await withTempDir(async (directory) => {
    const request = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    const garbage = `no JSON\n{"jsonrpc":"2.0"}\n\n${JSON.stringify(request)}\n`;
    const ended = await hanzo(["mcp", `--data-dir=${directory}`, "--json"], { stdin: garbage });
    assertEquals(ended.code, 0, ended.stderr);
    for (const line of ended.stdout.split("\n").filter((line) => line !== "")) {
      assertEquals(JSON.parse(line).jsonrpc, "2.0");
    }
    const wrong = await hanzo(["mcp", "list"]);
    assertEquals([wrong.code, wrong.stdout], [2, ""]);
    assertStringIncludes(wrong.stderr, "hanzo-network mcp --help");
    const unknown = await hanzo(["mcp", `--port=${freeUdpPort()}`]);
    assertEquals([unknown.code, unknown.stdout], [2, ""]);
  });
});
