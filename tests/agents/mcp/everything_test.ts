/** The protocol's own test server, by stdio and by HTTP: its tools as tools of an agent. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { McpServers } from "../../../src/agents/mcp/servers.ts";
import type { Tool } from "../../../src/agents/tool.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { deadline } from "../../support/deadline.ts";
import { eventually } from "../../support/eventually.ts";
import { withTempDir } from "../../support/temp.ts";

const EVERYTHING = "npm:@modelcontextprotocol/server-everything@2026.8.31";
/** Its packages are not this program's: they stand in no lock file of ours. */
const ARGS = ["run", "--quiet", "--no-config", "--cached-only", "-A", EVERYTHING];

/** Fetches it: with this process's environment, of which a server gets next to nothing. */
async function fetched(): Promise<Record<string, string>> {
  const args = ["cache", "--quiet", "--no-config", EVERYTHING];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert(success, new TextDecoder().decode(stderr));
  const cache = Deno.env.get("DENO_DIR");
  return cache === undefined ? {} : { DENO_DIR: cache };
}

function callIn(tools: readonly Tool[]) {
  return async (name: string, args: Record<string, unknown> = {}) => {
    const tool = tools.find((one) => one.name === name);
    assert(tool !== undefined, `there are ${tools.map((one) => one.name)}`);
    return await tool.call(args, { signal: new AbortController().signal });
  };
}

async function assertUsable(tools: readonly Tool[]): Promise<void> {
  const call = callIn(tools);
  assertEquals(await call("echo", { message: "hello" }), "Echo: hello");
  assertStringIncludes(String(await call("get-sum", { a: 2, b: 40 })), "42");
  const weather = await call("get-structured-content", { location: "New York" });
  assert(typeof weather === "object" && weather !== null && "temperature" in weather);
  assertStringIncludes(String(await call("get-tiny-image")), "[image, image/png, ");
  const refused = await assertRejects(() => call("get-sum", { a: "two" }), NetworkError);
  assertStringIncludes((refused as Error).message, "get-sum");
  const sum = tools.find(({ name }) => name === "get-sum");
  assertEquals(Object.keys(sum?.inputSchema?.properties as object), ["a", "b"]);
  const long = new AbortController();
  const calling = tools.find(({ name }) => name === "trigger-long-running-operation")!
    .call({ duration: 60, steps: 60 }, { signal: long.signal });
  long.abort(new NetworkError("CANCELLED", "Enough."));
  assertEquals(((await assertRejects(() => calling)) as Error).message, "Enough.");
}

Deno.test("the protocol's test server is started, used and ended", async () => {
  await withTempDir(async (cwd) => {
    const env = await fetched();
    await using servers = new McpServers();
    const server = { command: Deno.execPath(), args: [...ARGS, "stdio"], cwd, env };
    await assertUsable(await servers.use({ everything: server }).tools());
  });
});

Deno.test("the same over HTTP; started anew, it is used again", async () => {
  await withTempDir(async (cwd) => {
    await fetched();
    const port = freePort();
    const start = () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: [...ARGS, "streamableHttp"],
        cwd,
        env: { PORT: String(port) },
        stdout: "null",
        stderr: "null",
      }).spawn();
      const end = async () => {
        child.kill("SIGKILL");
        using limit = deadline(5_000);
        await limit.race(child.status);
      };
      return { [Symbol.asyncDispose]: end };
    };
    await using servers = new McpServers();
    const server = { everything: { url: `http://127.0.0.1:${port}/mcp` } };
    const none = await assertRejects(() => servers.use(server).tools(), NetworkError);
    assertStringIncludes((none as Error).message, "Is it running at http://127.0.0.1:");
    let tools: readonly Tool[];
    {
      await using _ = start();
      tools = await eventually(() => servers.use(server).tools(), {
        what: "the server",
        timeoutMs: 20_000,
      });
      await assertUsable(tools);
    }
    await using _ = start();
    const call = callIn(tools);
    const answer = await eventually(() => call("echo", { message: "again" }), {
      what: "the server again",
      timeoutMs: 20_000,
    });
    assertEquals(answer, "Echo: again");
  });
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
