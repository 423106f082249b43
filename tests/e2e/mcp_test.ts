/** `hanzo-network mcp` beside a real node: by the protocol's inspector, and by a client. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Client, parseJSONRPCMessage } from "@modelcontextprotocol/client";
import { ProcessTransport } from "../../src/agents/mcp/process_transport.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { eventually } from "../support/eventually.ts";
import { freeUdpPort, hanzo, programArgs, ready, TestMachine } from "../support/nodes.ts";
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
): Promise<Client & AsyncDisposable> {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
  const args = programArgs("mcp", `--data-dir=${directory}`);
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
