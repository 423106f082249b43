/** The tool `web_search` against servers that answer as SearXNG and Brave do. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createWebSearchTool } from "../../../src/agents/tools/web_search.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { soon } from "../../support/soon.ts";
import { UnendingServer } from "../../support/unending.ts";

type Handler = (request: Request) => Response | Promise<Response>;

async function withServer<T>(handler: Handler, use: (url: string) => Promise<T>): Promise<T> {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  return await use(`http://127.0.0.1:${server.addr.port}`);
}

const { signal } = new AbortController();

Deno.test("a SearXNG is asked for JSON, and says as many pages as are wanted", async () => {
  const asked: string[] = [];
  const results = ["a", "b", "c"].map((name) => ({
    title: `${name}\u202e`,
    url: `https://${name}.example/`,
    content: name.repeat(2_000),
  }));
  const found = await withServer(
    (request) => {
      asked.push(new URL(request.url).pathname + new URL(request.url).search);
      return Response.json({ query: "x", results });
    },
    (url) =>
      createWebSearchTool({ searxng: `${url}/searx/` }).call({ query: "a b", count: 2 }, {
        signal,
      }),
  );

  assertEquals(asked, ["/searx/search?q=a+b&format=json"]);
  assertEquals(found, {
    results: ["a", "b"].map((name) => ({
      title: (found as { results: { title: string }[] }).results[name === "a" ? 0 : 1].title,
      url: `https://${name}.example/`,
      summary: name.repeat(1_000),
    })),
  });
});

Deno.test("Brave is asked with the key of a variable", async () => {
  Deno.env.set("HANZO_NETWORK_TEST_BRAVE", "secret");
  const asked: unknown[] = [];
  const found = await withServer((request) => {
    asked.push([new URL(request.url).pathname, request.headers.get("x-subscription-token")]);
    return Response.json({
      web: { results: [{ title: "T", url: "https://t.example", description: "D" }] },
    });
  }, (braveUrl) =>
    createWebSearchTool({ braveKeyEnv: "HANZO_NETWORK_TEST_BRAVE", braveUrl })
      .call({ query: "x" }, { signal })).finally(() => Deno.env.delete("HANZO_NETWORK_TEST_BRAVE"));

  assertEquals(asked, [["/res/v1/web/search", "secret"]]);
  assertEquals(found, { results: [{ title: "T", url: "https://t.example", summary: "D" }] });
});

for (
  const [what, handler, says] of [
    ["refuses JSON", () => new Response("no", { status: 403 }), "must allow the format json"],
    ["says no JSON", () => new Response("<html>"), "Cannot search the web"],
    ["says something else", () => Response.json({ hits: [] }), "results"],
    ["says too much", () => new Response("x".repeat(5_000_000)), "more than 4194304 bytes"],
    ["sends elsewhere", () => Response.redirect("http://127.0.0.1:1/"), "Cannot search the web"],
  ] as const
) {
  Deno.test(`a SearXNG that ${what} fails the call with what it is`, async () => {
    await withServer(handler, async (searxng) => {
      const tool = createWebSearchTool({ searxng });
      await assertRejects(() => tool.call({ query: "x" }, { signal }), NetworkError, says);
    });
  });
}

Deno.test("without its key Brave is not asked", async () => {
  const tool = createWebSearchTool({ braveKeyEnv: "HANZO_NETWORK_TEST_NO_KEY" });
  const error = await assertRejects(() => tool.call({ query: "x" }, { signal }), NetworkError);
  assertEquals(error.code, "FAILED_PRECONDITION");
});

for (const options of [{}, { searxng: "searx.example" }, { braveKeyEnv: "A-B" }, undefined]) {
  Deno.test(`${JSON.stringify(options)} searches nothing`, () => {
    assertThrows(() => createWebSearchTool(options as never), NetworkError, "Cannot create tool");
  });
}

Deno.test("a search is given up when its run is, also after a collection of garbage", async () => {
  await using server = new UnendingServer('{"results": [');
  const run = new AbortController();
  const search = createWebSearchTool({ searxng: server.url });
  const found = assertRejects(() => search.call({ query: "x" }, run), Error, "enough");
  await server.forgotten();
  run.abort(new Error("enough"));
  await soon(found, "the end of the answer");
  await server.left();
});
