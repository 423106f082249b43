/** MCP servers that behave badly, and what a node makes of them. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { McpServers } from "../../../src/agents/mcp/servers.ts";
import type { McpCommand } from "../../../src/agents/mcp/server_options.ts";
import type { Tool } from "../../../src/agents/tool.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { eventually } from "../../support/eventually.ts";
import { recordingLogger } from "../../support/recording_logger.ts";

const SCRIPT = new URL("../../support/odd_mcp_server.ts", import.meta.url).pathname;

/** A server that behaves so. */
function odd(mode: string, more: Partial<McpCommand> = {}): McpCommand {
  return {
    command: Deno.execPath(),
    args: ["run", "--quiet", "--no-config", "--no-check", "-A", SCRIPT, mode],
    ...more,
  };
}

const running = (signal = new AbortController().signal) => ({ signal });

function toolOf(tools: readonly Tool[], name: string): Tool {
  const tool = tools.find((one) => one.name === name);
  assert(tool !== undefined, `there are ${tools.map((one) => one.name)}`);
  return tool;
}

async function failure(work: () => Promise<unknown>): Promise<NetworkError> {
  return await assertRejects(work, NetworkError) as NetworkError;
}

Deno.test("a server is started once, is told only what it is given, and ends with the node", async () => {
  const servers = new McpServers();
  Deno.env.set("ODD_SECRET", "s3cret");
  const server = odd("good", { env: { GIVEN: "Bearer ${ODD_SECRET}" } });
  const [tools, same] = await Promise.all([
    servers.use({ odd: server }).tools(),
    servers.use({ other: { ...server } }).tools({ taken: ["echo"] }),
  ]);
  assertEquals(await toolOf(tools, "echo").call({ text: "hi" }, running()), "hi");
  assertEquals(await toolOf(same, "other_echo").call({ text: "ho" }, running()), "ho");
  const environment = await toolOf(same, "environment").call({}, running());
  const { PATH: _, HOME: __, ...rest } = JSON.parse(String(environment));
  assertEquals(rest, { GIVEN: "Bearer s3cret" });
  assertEquals(toolOf(tools, "add_tool").inputSchema?.type, "object");
  await servers.close();
  await servers.close();
  assertEquals((await failure(() => servers.use({ odd: server }).tools())).code, "CANCELLED");
  assertEquals(
    (await failure(() => toolOf(tools, "echo").call({}, running()))).code,
    "CANCELLED",
  );
});

Deno.test("a tool that fails says why; one that dies leaves its outcome unknown, and is there again", async () => {
  await using servers = new McpServers();
  const server = { odd: odd("good") };
  const tools = await servers.use(server).tools();
  const failed = await failure(() => toolOf(tools, "fail").call({}, running()));
  assertEquals([failed.code, failed.message], [
    "AGENT_FAILED",
    'Tool "fail" of MCP server "odd" failed: the disk is full',
  ]);
  const list = await failure(() => toolOf(tools, "echo").call([1], running()));
  assertEquals(list.code, "INVALID_ARGUMENT");
  const died = await failure(() => toolOf(tools, "die").call({}, running()));
  assertEquals(died.code, "UNKNOWN_OUTCOME");
  const early = await failure(() => toolOf(tools, "echo").call({}, running()));
  assertEquals(early.code, "UNAVAILABLE");
  assert(early.retryAfterMs! > 0 && early.retryAfterMs! <= 1_000);
  const again = await eventually(() => servers.use(server).tools(), { what: "the server again" });
  assertEquals(await toolOf(again, "echo").call({ text: "hi" }, running()), "hi");
  // Tools that a run has had before use it, too.
  assertEquals(await toolOf(tools, "echo").call({ text: "ho" }, running()), "ho");
});

Deno.test("a server that dies in the middle of a run leaves it its tools, which say what is with it", async () => {
  await using servers = new McpServers({ clock: new ManualClock() });
  const used = servers.use({ odd: odd("good") });
  const tools = await used.tools();
  await failure(() => toolOf(tools, "die").call({}, running()));

  const later = await used.tools();

  assertEquals(later.map(({ name }) => name), tools.map(({ name }) => name));
  const down = await failure(() => toolOf(later, "echo").call({}, running()));
  assertStringIncludes(down.message, 'MCP server "odd" is not there');
  const fresh = await failure(() => servers.use({ odd: odd("good") }).tools());
  assertEquals(fresh.message, down.message, "nobody begins with what is not there");
  used.end();
  assertEquals((await failure(() => used.tools())).code, "CANCELLED");
});

Deno.test("a tool whose answer is none has failed, and its server goes on", async () => {
  await using servers = new McpServers();
  const tools = await servers.use({ odd: odd("good") }).tools();
  const call = (name: string) => toolOf(tools, name).call({ text: "hi" }, running());
  const failed = await failure(() => call("odd_answer"));

  assertEquals(failed.code, "AGENT_FAILED");
  assertStringIncludes(
    failed.message,
    'Tool "odd answer" of MCP server "odd" answered what is no answer of a tool: ',
  );
  assert(failed.message.length < 500);
  assertEquals(await call("echo"), "hi");
});

Deno.test("of a server that is not usable is not told that it ended when it was told to", async () => {
  await using servers = new McpServers();
  const { message } = await failure(() => servers.use({ odd: odd("oddList") }).tools());

  assertStringIncludes(message, "Invalid result for tools/list");
  assert(!message.includes("It ended"), message);
});

Deno.test("a list of tools may come in many pages", async () => {
  await using servers = new McpServers();
  const tools = await servers.use({ odd: odd("pages") }).tools();

  assertEquals(tools.length, 40);
  assertEquals(tools.at(-1)!.name, "tool_39");
});

Deno.test("a call that is given up is cancelled there; one that takes too long is given up", async () => {
  await using servers = new McpServers();
  const tools = await servers.use({ odd: odd("good", { callTimeoutMs: 200 }) }).tools();
  const controller = new AbortController();
  const calling = toolOf(tools, "hang").call({}, running(controller.signal));
  // What was asked before has arrived when this is answered.
  await toolOf(tools, "echo").call({}, running());
  controller.abort(new NetworkError("CANCELLED", "The run was cancelled."));
  assertEquals((await failure(() => calling)).message, "The run was cancelled.");
  const late = await failure(() => toolOf(tools, "hang").call({}, running()));
  assertEquals(late.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(late.message, "callTimeoutMs");
  await eventually(async () => {
    const cancelled = await toolOf(tools, "cancelled").call({}, running());
    return JSON.parse(String(cancelled)).length === 2;
  }, { what: "both cancellations" });
});

Deno.test("what is too much is left out or refused, and the server goes on", async () => {
  await using servers = new McpServers();
  const tools = await servers.use({ odd: odd("good") }).tools();
  const huge = String(await toolOf(tools, "huge").call({ text: "2000000" }, running()));
  assertEquals(huge.length < 1_100_000, true);
  assertStringIncludes(huge.slice(-60), "951424 more characters: not shown]");
  assertEquals(await toolOf(tools, "deep").call({}, running()), "after");
  // Larger than any message may be.
  const over = await failure(() => toolOf(tools, "huge").call({ text: "9000000" }, running()));
  assertEquals(over.code, "UNKNOWN_OUTCOME");
});

Deno.test("tools that come later are there in the next turn", async () => {
  await using servers = new McpServers();
  const server = { odd: odd("good") };
  const tools = await servers.use(server).tools();
  await toolOf(tools, "add_tool").call({}, running());
  await eventually(
    async () => (await servers.use(server).tools()).some(({ name }) => name === "added"),
    { what: "the added tool" },
  );
});

Deno.test("lines that are no messages are left out, and told once", async () => {
  const { logger, lines } = recordingLogger();
  await using servers = new McpServers({ logger });
  const tools = await servers.use({ odd: odd("chatty") }).tools();
  assertEquals(await toolOf(tools, "echo").call({ text: "hi" }, running()), "hi");
  const told = lines("warn").filter((line) => line.includes("no message"));
  assertEquals(told.length, 1);
});

const BAD: { mode: string; says: RegExp; code: string; more?: Partial<McpCommand> }[] = [
  { mode: "dies", code: "UNAVAILABLE", says: /exit code 3.*no key was given/ },
  { mode: "garbage", code: "UNAVAILABLE", says: /1,000 lines of no message/ },
  { mode: "endless", code: "UNAVAILABLE", says: /a line of more than 8388608 bytes/ },
  {
    mode: "silent",
    code: "DEADLINE_EXCEEDED",
    says: /not ready within 0.5 s/,
    more: { startTimeoutMs: 500 },
  },
  {
    mode: "good",
    code: "UNAVAILABLE",
    says: /Is "no-such-program" installed/,
    more: { command: "no-such-program" },
  },
  {
    mode: "good",
    code: "FAILED_PRECONDITION",
    says: /no environment variable NO_SUCH_VARIABLE/,
    more: { env: { KEY: "${NO_SUCH_VARIABLE}" } },
  },
];

for (const { mode, says, code, more } of BAD) {
  Deno.test(`a server that cannot be used is told of with its reason: ${says.source}`, async () => {
    await using servers = new McpServers();
    const error = await failure(() => servers.use({ odd: odd(mode, more) }).tools());
    assertEquals(error.code, code, error.message);
    assert(says.test(error.message), error.message);
  });
}

Deno.test("who waits for a server that starts can give up, and one that ignores all is ended", async () => {
  const servers = new McpServers();
  const signal = AbortSignal.timeout(50);
  await assertRejects(() => servers.use({ odd: odd("silent") }).tools({ signal }));
  const tools = await servers.use({ odd: odd("stubborn") }).tools();
  assertEquals(await toolOf(tools, "echo").call({ text: "hi" }, running()), "hi");
  await servers.close();
});

Deno.test("one that does not start is left alone for one second, then two, four, a minute at most", async () => {
  const clock = new ManualClock();
  await using servers = new McpServers({ clock });
  const server = { odd: odd("dies") };
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    assertStringIncludes((await failure(() => servers.use(server).tools())).message, "exit code 3");
    const { retryAfterMs = 0, message } = await failure(() => servers.use(server).tools());
    assertStringIncludes(message, "is started again in");
    pauses.push(retryAfterMs);
    await clock.advance(retryAfterMs);
  }
  assertEquals(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
});

Deno.test("one that has lived for a minute is started again at once", async () => {
  const clock = new ManualClock();
  await using servers = new McpServers({ clock });
  const tools = await servers.use({ odd: odd("good") }).tools();
  await clock.advance(60_000);
  await failure(() => toolOf(tools, "die").call({}, running()));
  assertEquals(await toolOf(tools, "echo").call({ text: "hi" }, running()), "hi");
});
