/** What a command does about a node that answers late, or not at all. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { NodeClient } from "../../src/cli/node_client.ts";

Deno.test("a node that accepts and never answers is given up after five seconds", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const api = `http://127.0.0.1:${port}`;
  const clock = new ManualClock();
  const answer = new NodeClient({ api, token: "t" }, clock).status();
  const refused = assertRejects(() => answer, NetworkError);
  using connection = await listener.accept();
  await clock.advance(4_999);
  assertEquals(
    await Promise.race([answer.catch(() => "given up"), Promise.resolve("waits")]),
    "waits",
  );
  await clock.advance(1);
  const { code, message } = await refused;
  assertEquals(
    [code, message],
    [
      "UNAVAILABLE",
      `Cannot reach the node at ${api}: it runs, but has not answered within 5 s. Is it stopped, or very busy?`,
    ],
  );
  // The request is taken back: its connection ends.
  const buffer = new Uint8Array(4_096);
  while (await connection.read(buffer).catch(() => null) !== null);
});

Deno.test("a node that never begins to tell changes is given up after five seconds", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const clock = new ManualClock();
  const { state } = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" }, clock);
  const refused = assertRejects(() => Array.fromAsync(state.watch("")), NetworkError);
  using _connection = await listener.accept();
  await clock.advance(5_000);
  const { code, message } = await refused;
  assertEquals(code, "UNAVAILABLE");
  assertStringIncludes(message, "has not answered within 5 s");
});

Deno.test("a node has time to list a large state", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const clock = new ManualClock();
  const { state } = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" }, clock);
  const listed = state.entries("");
  listed.catch(() => {});
  using connection = await listener.accept();
  await connection.read(new Uint8Array(4_096));
  await clock.advance(60_000);
  const head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
  await connection.write(new TextEncoder().encode(`${head}[]`));
  assertEquals(await listed, []);
});

Deno.test("of a change that a node does not answer in time it is not known whether it was done", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const clock = new ManualClock();
  const { state } = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" }, clock);
  const refused = assertRejects(() => state.add({ key: "k", by: 1 }), NetworkError);
  using _connection = await listener.accept();
  await clock.advance(5_000);
  const { code, message } = await refused;
  assertEquals(code, "UNKNOWN_OUTCOME");
  assertStringIncludes(message, "has not answered within 5 s, so whether it was done is not known");
});

Deno.test("of a change that a node was asked for when it died it is not known whether it was done", async () => {
  await using node = dyingNode('{"key":');
  const add = () => node.client.state.add({ key: "k", by: 1 });
  assertEquals((await assertRejects(add, NetworkError)).code, "UNKNOWN_OUTCOME");
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  const client = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" });
  const asking = assertRejects(() => client.state.add({ key: "k", by: 1 }), NetworkError);
  const connection = await silent.accept();
  await connection.read(new Uint8Array(4_096));
  connection.close();
  assertEquals((await asking).code, "UNKNOWN_OUTCOME");
  silent.close();
  // Nobody was asked.
  const gone = await assertRejects(() => client.state.add({ key: "k", by: 1 }), NetworkError);
  assertEquals(gone.code, "UNAVAILABLE");
});

Deno.test("a node that hangs is given up when the time of what it runs is long over", async () => {
  for (const beginning of [undefined, `${JSON.stringify({ type: "token", text: "a" })}\n`]) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const clock = new ManualClock();
    const client = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" }, clock);
    const heard = Promise.withResolvers<void>();
    const run = async () => {
      for await (const _ of client.run({ prompt: "1", timeoutMs: 2_000 })) heard.resolve();
    };
    const refused = assertRejects(run, NetworkError);
    using connection = await listener.accept();
    await connection.read(new Uint8Array(4_096));
    if (beginning !== undefined) {
      const head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
      await connection.write(new TextEncoder().encode(head + beginning));
      await heard.promise;
    }
    await clock.advance(11_999);
    assertEquals(await Promise.race([refused, Promise.resolve("waits")]), "waits");
    await clock.advance(1);
    const { code, message } = await refused;
    assertEquals(code, "UNKNOWN_OUTCOME");
    assertStringIncludes(message, "has said nothing for 12 s");
  }
});

/** A node that answers every request with this much, and then is gone. */
function dyingNode(beginning: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const served = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4_096));
      const head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
      await connection.write(new TextEncoder().encode(head + beginning));
      connection.close();
    }
  })();
  return {
    client: new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" }),
    api: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
    },
  };
}

Deno.test("a node that dies in the middle of an answer is told of, and what may have been done", async () => {
  await using node = dyingNode(`${JSON.stringify({ type: "progress", done: 0, failed: 0 })}\n`);
  const { api, client } = node;
  const run = { prompt: "1", agent: "a" };
  const asked = [
    () => Array.fromAsync(client.run(run)),
    () => client.runAll(run),
    () => Array.fromAsync(client.map({ agent: "a", prompts: ["1"] })),
  ];
  for (const ask of asked) {
    const { code, message } = await assertRejects(ask, NetworkError);
    assertEquals(code, "UNKNOWN_OUTCOME");
    assertStringIncludes(message, `The node at ${api} ended in the middle of its answer`);
    assertStringIncludes(message, "before you run it again");
  }
  const status = await assertRejects(() => client.status(), NetworkError);
  assertEquals(status.code, "UNAVAILABLE");
  assertStringIncludes(status.message, "Is it still running?");
});

Deno.test("a command that is interrupted while the node answers says that, and no more", async () => {
  const controller = new AbortController();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const event = `${JSON.stringify({ type: "token", text: "a" })}\n`;
    return new Response(
      new ReadableStream({ start: (to) => to.enqueue(new TextEncoder().encode(event)) }),
    );
  });
  const client = new NodeClient({ api: `http://127.0.0.1:${server.addr.port}`, token: "t" });
  const asked = (async () => {
    for await (const _ of client.run({ prompt: "1" }, controller.signal)) controller.abort();
  })();
  const { code, message } = await assertRejects(() => asked, NetworkError);
  assertEquals([code, message], ["CANCELLED", "Cancelled: what was asked for is stopped."]);
  await server.shutdown();
});

Deno.test("a model is asked where OpenAI's clients ask, and what it says it cannot is told", async () => {
  const asked: unknown[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      asked.push([pathname, request.headers.get("authorization"), await request.json()]);
      const error = { message: 'No device has "x".', type: "invalid_request_error", code: null };
      return asked.length === 1
        ? Response.json({ choices: [] })
        : Response.json({ error }, { status: 404 });
    },
  );
  const client = new NodeClient({ api: `http://127.0.0.1:${server.addr.port}`, token: "t" });
  const body = { model: "x", messages: [], stream: false } as const;
  const ask = () => client.chat({ ...body, messages: [] }, 5_000);
  assertEquals(await ask(), { choices: [] });
  assertEquals(asked, [["/v1/chat/completions", "Bearer t", body]]);
  await assertRejects(ask, NetworkError, 'No device has "x".');
});

Deno.test("a model that takes too long is given up", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const client = new NodeClient({ api: `http://127.0.0.1:${port}`, token: "t" });
  const asking = client.chat({ model: "x", messages: [], stream: false }, 50);
  const { code } = await assertRejects(() => asking, NetworkError, 'Cannot ask model "x"');
  assertEquals(code, "DEADLINE_EXCEEDED");
});
