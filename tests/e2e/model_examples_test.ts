/** The examples that think, with an engine of the test's and servers on the loopback. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel, type TestPrompt, type TestReply } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { LocalNode } from "../support/local_node.ts";
import { withTempDir } from "../support/temp.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

/** A node with an engine that answers so. */
async function withNode(
  reply: (prompt: TestPrompt) => TestReply,
  options: Partial<NetworkOptions>,
  test: (node: LocalNode, engine: OpenAiEngine) => Promise<void>,
): Promise<void> {
  await using engine = await new OpenAiEngine({ models: [testModel("llama3.2")], reply }).start();
  await withTempDir(async (dataDirectory) => {
    await using node = await LocalNode.start({
      nodeId: "a",
      dataDirectory,
      engines: [engine.url],
      ...options,
    });
    const { network } = node;
    await eventually(() => network.models().length === 1, { what: "its model", timeoutMs: 15_000 });
    await test(node, engine);
  });
}

function serve(handler: (request: Request, url: URL) => Response) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request, new URL(request.url)),
  );
  const host = `127.0.0.1:${server.addr.port}`;
  return { host, url: `http://${host}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("examples/weather.ts asks a server for what its model answers from", async () => {
  const asked: string[] = [];
  await using server = serve((_, url) => {
    asked.push(url.pathname);
    if (url.pathname === "/v1/search") {
      const isKnown = url.searchParams.get("name") === "Oslo";
      const oslo = { name: "Oslo", country: "Norway", latitude: 59.9, longitude: 10.7 };
      return Response.json(isKnown ? { results: [oslo] } : {});
    }
    assertEquals(url.searchParams.get("latitude"), "59.9");
    return Response.json({ current: { temperature_2m: -3.5 }, daily: {} });
  });
  Deno.env.set("OPEN_METEO_URL", server.url);
  const { weather } = await import(new URL("weather.ts", EXAMPLES).href);
  Deno.env.delete("OPEN_METEO_URL");
  const reply = ({ messages, tools }: TestPrompt): TestReply => {
    const last = messages.at(-1)!;
    if (last.role === "tool") return { text: last.text };
    assertEquals(tools, ["forecast"]);
    return { toolCalls: [{ name: "forecast", arguments: { place: last.text } }] };
  };
  await withNode(reply, { agents: [weather] }, async ({ network }) => {
    const oslo = await network.run("Oslo", { initialAgent: "weather" });
    assertStringIncludes(oslo.output, '"temperature_2m":-3.5');
    assertStringIncludes(oslo.output, "Oslo, Norway");
    const nowhere = await network.run("Nowhere", { initialAgent: "weather" });
    assertStringIncludes(nowhere.output, 'there is no place called "Nowhere"');
    assertEquals(asked, ["/v1/search", "/v1/forecast", "/v1/search"]);
  });
});

Deno.test("examples/research.ts searches, reads and writes, and keeps in its thread what it has read", async () => {
  const read: string[] = [];
  await using web = serve((_, url) => {
    if (url.pathname === "/search") {
      const pages = ["a", "b", "gone"].map((name) => ({
        title: name,
        url: `${url.origin}/${name}`,
      }));
      return Response.json({ results: pages.map((page) => ({ ...page, content: "about it" })) });
    }
    read.push(url.pathname);
    const html = `<style>p {}</style><p>All of <b>${url.pathname}</b></p>`;
    return new Response(html, { headers: { "content-type": "text/html" } });
  });
  const reply = ({ messages, tools }: TestPrompt): TestReply => {
    const last = messages.at(-1)!;
    if (last.role === "tool") {
      const urls = [...last.text.matchAll(/http:[^"\\]+\/(?:a|b)/g)].map(([url]) => url);
      return { text: JSON.stringify({ pages: urls }) };
    }
    if (tools.includes("web_search")) {
      return { toolCalls: [{ name: "web_search", arguments: { query: "why" } }] };
    }
    const said = messages.map(({ text }) => text).join("\n");
    return { text: `Because ${/All of \/a/.exec(said)} and ${/All of \/b/.exec(said)}.` };
  };
  const { research } = await import(new URL("research.ts", EXAMPLES).href);
  const tools = { httpRequest: { allowHosts: [web.host] }, webSearch: { searxng: web.url } };
  await withNode(reply, { agents: [research], tools }, async ({ network }) => {
    const run = () => network.run("Why?", { initialAgent: "research", thread: "why" });
    assertEquals((await run()).output, "Because All of /a and All of /b.");
    const { agentResults, data } = network.thread("why");
    assertEquals(agentResults.map(({ agent }) => agent), ["searcher", "reader", "writer"]);
    assertEquals(Object.values(data.get("texts") as object), [" All of /a ", " All of /b "]);
    assertEquals((await run()).output, "Because All of /a and All of /b.");
    assertEquals(read, ["/a", "/b"]);
  });
});

Deno.test("examples/code_review.ts prints what a model finds in a diff, and fails for errors", async () => {
  const finding = { file: "a.ts", line: 3, severity: "error", problem: "x is 0.", mend: "Look." };
  const reply = ({ messages }: TestPrompt): TestReply => ({
    text: JSON.stringify({ findings: messages.at(-1)!.text.includes("+ 1 / 0") ? [finding] : [] }),
  });
  await withNode(reply, {}, async ({ gateway }) => {
    const review = async (diff: string) => {
      await using child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "-A", new URL("code_review.ts", EXAMPLES).pathname],
        env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", OPENAI_BASE_URL: `${gateway.url}/v1` },
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      await ReadableStream.from([new TextEncoder().encode(diff)]).pipeTo(child.stdin);
      const text = await new Response(child.stdout).text();
      return [(await child.status).code, text];
    };
    assertEquals(await review("+ 1 / 0"), [1, "a.ts:3: error: x is 0. Look.\n"]);
    assertEquals(await review("+ 1"), [0, "Nothing to complain of.\n"]);
    assertEquals(await review(""), [0, "Nothing has changed.\n"]);
  });
});

Deno.test("examples/home_monitor.ts looks at every device, keeps alerts, and has a model say how it is", async () => {
  const { lookAround } = await import(new URL("home_monitor.ts", EXAMPLES).href);
  const figures = { memoryUsed: 1, memoryTotal: 2, diskFree: 1, diskTotal: 100 };
  const monitor = createAgent({
    name: "monitor",
    description: "Says what the test wants",
    run: () => ({ output: `${figures.diskFree} free`, data: { figures: { ...figures } } }),
  });
  const reply = ({ messages }: TestPrompt): TestReply => ({
    text: `I was told ${/a: \d+ free/.exec(messages.at(-1)!.text)}.`,
  });
  await withNode(reply, { agents: [monitor] }, async ({ network }) => {
    const full = ["a: 1 free. ALERT: its disk is full", "", "I was told a: 1 free."];
    assertEquals(await lookAround(network), full);
    const alert = network.state.get("alerts/a") as { problem: string; since: string };
    assertEquals(alert.problem, "its disk is full");
    assertEquals(await lookAround(network), full);
    assertEquals(network.state.get("alerts/a"), alert);
    figures.diskFree = 50;
    assertEquals((await lookAround(network))[0], "a: 50 free");
    assertEquals(network.state.get("alerts/a"), undefined);
  });
});
