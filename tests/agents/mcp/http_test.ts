/** MCP servers over HTTP that behave badly. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { boundedFetch } from "../../../src/agents/mcp/http_fetch.ts";
import { McpServers } from "../../../src/agents/mcp/servers.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { soon } from "../../support/soon.ts";
import { UnendingServer } from "../../support/unending.ts";

/** A server that answers so, and what it was sent. */
function serve(answer: (request: Request) => Response | Promise<Response>) {
  const seen: Headers[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    seen.push(request.headers);
    return answer(request);
  });
  const url = `http://127.0.0.1:${server.addr.port}/mcp`;
  return { url, seen, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** As much as is read, and then more. */
function endless(type: string): Response {
  const piece = new TextEncoder().encode("data: " + "x".repeat(65_530) + "\n");
  const body = new ReadableStream({ pull: (controller) => controller.enqueue(piece) });
  return new Response(body, { headers: { "content-type": type } });
}

Deno.test("headers with a secret from the environment go to the server, and to no other origin", async () => {
  Deno.env.set("ODD_TOKEN", "t0ken");
  await using other = serve(() => new Response("{}"));
  await using first = serve((request) =>
    request.method === "POST"
      ? Response.redirect(other.url, 307)
      : new Response(null, { status: 405 })
  );
  await using servers = new McpServers();
  const server = { url: first.url, headers: { authorization: "Bearer ${ODD_TOKEN}" } };
  const error = await assertRejects(() => servers.use({ odd: server }).tools(), NetworkError);
  assertEquals((error as NetworkError).code, "UNAVAILABLE");
  assertEquals(first.seen[0].get("authorization"), "Bearer t0ken");
  assertEquals(other.seen, []);
  assert(!(error as Error).message.includes("t0ken"));
});

for (const type of ["application/json", "text/event-stream"]) {
  Deno.test(`an answer without an end is not read to its end: ${type}`, async () => {
    await using server = serve(() => endless(type));
    await using servers = new McpServers();
    const odd = { url: server.url, startTimeoutMs: 20_000 };
    const error = await assertRejects(() => servers.use({ odd }).tools(), NetworkError);
    assertStringIncludes((error as Error).message, "Cannot");
    assert((error as NetworkError).code !== "DEADLINE_EXCEEDED", (error as Error).message);
  });
}

Deno.test("a server that lets nobody in, and one that is none, are told of", async () => {
  await using shut = serve(() => new Response("no", { status: 401 }));
  await using none = serve(() =>
    new Response("<html>", { headers: { "content-type": "text/html" } })
  );
  await using servers = new McpServers();
  for (const [{ url }, says] of [[shut, "(status 401)"], [none, "text/html"]] as const) {
    const error = await assertRejects(() => servers.use({ odd: { url } }).tools(), NetworkError);
    assertEquals((error as NetworkError).code, "UNAVAILABLE");
    assertStringIncludes((error as Error).message, says);
    assertStringIncludes((error as Error).message, "does it let this device in?");
  }
});

Deno.test("of a page that a server refuses with the beginning is told", async () => {
  await using server = serve(() => new Response("page ".repeat(10_000), { status: 500 }));
  await using servers = new McpServers();
  const { url } = server;
  const error = await assertRejects(() => servers.use({ odd: { url } }).tools(), NetworkError);

  assert((error as Error).message.length < 600);
});

Deno.test("a server that is not ready in time is told of as one that cannot be started by hand", async () => {
  const stuck = Promise.withResolvers<Response>();
  await using server = serve(() => stuck.promise);
  await using servers = new McpServers();
  const odd = { url: server.url, startTimeoutMs: 50 };
  const error = await assertRejects(() => servers.use({ odd }).tools(), NetworkError);
  stuck.resolve(new Response());

  assertEquals((error as NetworkError).code, "DEADLINE_EXCEEDED");
  assertStringIncludes((error as Error).message, `Is it running at ${server.url}`);
});

Deno.test("a server that has too much to do fails a call, and is not given up", async () => {
  let isBusy = true;
  const begun: string[] = [];
  await using server = serve(async (request) => {
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const { id, method, params } = await request.json();
    begun.push(method);
    const serverInfo = { name: "odd", version: "1" };
    const results: Record<string, unknown> = {
      "initialize": {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo,
      },
      "tools/list": { tools: [{ name: "look", inputSchema: { type: "object" } }] },
      "tools/call": { content: [{ type: "text", text: "seen" }] },
    };
    if (method === "tools/call" && isBusy) return new Response("later", { status: 429 });
    const result = results[method];
    return result === undefined
      ? new Response(null, { status: 202 })
      : Response.json({ jsonrpc: "2.0", id, result });
  });
  await using servers = new McpServers();
  const [look] = await servers.use({ odd: { url: server.url } }).tools();
  const call = () => look.call({}, { signal: new AbortController().signal });
  const error = await assertRejects(call, NetworkError);
  isBusy = false;

  assertEquals((error as NetworkError).code, "RESOURCE_EXHAUSTED");
  assertEquals(await call(), "seen");
  assertEquals(begun.filter((method) => method === "initialize").length, 1);
});

Deno.test("an answer is given up with its call, also after a collection of garbage", async () => {
  await using server = new UnendingServer(": nothing yet\n\n", "text/event-stream");
  const call = new AbortController();
  const open = async () => {
    const signal = AbortSignal.any([call.signal, new AbortController().signal]);
    return await boundedFetch("odd", () => {})(server.url, { signal });
  };
  const reader = (await open()).body!.getReader();
  await reader.read();
  const end = assertRejects(() => reader.read(), Error, "enough");
  await server.forgotten();
  call.abort(new Error("enough"));
  await soon(end, "the end of the answer");
  await server.left();
});
