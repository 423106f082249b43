/** An answer as clients see it: with its length where that is known, else piece by piece. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { eventually } from "../../support/eventually.ts";
import { get, type Handler, request, TestServer } from "./test_server.ts";

/** A body whose pieces the test gives. */
function given(): [Handler, ReadableStreamDefaultController<Uint8Array>] {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) });
  return [() => new Response(body), controller];
}

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("a body that is there is sent with its length, behind the headers of every answer", async () => {
  const handler = () =>
    Response.json({ a: 1 }, { status: 404, headers: { "X-B": "own", "content-length": "99" } });
  await using server = await TestServer.start(handler, { headers: [["x-a", "1"], ["x-b", "2"]] });
  const { status, head, body } = await (await server.connect(get("/"))).answer();
  assertEquals([status, body], [404, '{"a":1}']);
  const lines = head.toLowerCase().trimEnd().split("\r\n").slice(1);
  assertEquals(lines.filter((line) => !/^(date|keep-alive|connection): /.test(line)).sort(), [
    "content-length: 7",
    "content-type: application/json",
    "x-a: 1",
    "x-b: own",
  ]);
});

Deno.test("an answer to HEAD, and one without a body, have none, and the connection goes on", async () => {
  await using server = await TestServer.start(({ url }) =>
    url.pathname === "/none" ? new Response(null, { status: 204 }) : new Response("abc")
  );
  const client = await server.connect(request("HEAD", "/"));
  assertEquals((await client.answer()).body, "");
  await client.send(get("/none"));
  const none = await client.answer();
  assertEquals([none.status, none.body], [204, ""]);
  assertEquals(/content-length|transfer-encoding/i.test(none.head), false, none.head);
  await client.send(get("/"));
  assertEquals((await client.answer()).body, "abc");
});

Deno.test("the head comes although the body is still being made, and each piece at once", async () => {
  const [handler, body] = given();
  await using server = await TestServer.start(handler);
  const client = await server.connect(get("/"));
  assertMatch(await client.until("\r\n\r\n"), /transfer-encoding: chunked/i);
  body.enqueue(encode("one"));
  await client.until("3\r\none\r\n");
  body.enqueue(new Uint8Array());
  body.enqueue(encode("two"));
  await client.until("3\r\ntwo\r\n");
  body.close();
  await client.until("0\r\n\r\n");
});

Deno.test("a client of HTTP/1.0 gets the pieces as they are", async () => {
  const [handler, body] = given();
  await using server = await TestServer.start(handler);
  const client = await server.connect("GET / HTTP/1.0\r\nAuthorization: yes\r\n\r\n");
  assert(!(await client.until("\r\n\r\n")).toLowerCase().includes("chunked"));
  body.enqueue(encode("a"));
  body.close();
  assert((await client.rest()).endsWith("\r\n\r\na"));
});

Deno.test("megabytes arrive whole, and are made no faster than they are read", async () => {
  const count = 500;
  let made = 0;
  await using server = await TestServer.start(() =>
    new Response(
      new ReadableStream({
        pull(controller) {
          if (++made > count) return controller.close();
          controller.enqueue(new Uint8Array(100_000).fill(0x78));
        },
      }),
    )
  );
  const client = await server.connect(request("GET", "/", "Connection: close"));
  await client.until("\r\n\r\n");
  let before = -1;
  await eventually(() => before === (before = made), { what: "a halt", intervalMs: 100 });
  assert(made < count, `${made} pieces were made for a client that reads none`);
  const rest = await client.rest();
  assertEquals(rest.match(/x/g)?.length, count * 100_000);
});

Deno.test("a body that fails halfway is not ended as if it were whole", async () => {
  const [handler, body] = given();
  await using server = await TestServer.start(handler);
  const client = await server.connect(get("/"));
  body.enqueue(encode("one"));
  await client.until("one");
  body.error(new Error("no disk"));
  const all = await client.rest().catch(() => "reset");
  assert(!all.includes("0\r\n\r\n"));
});
