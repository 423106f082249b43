/** What clients send that is no request, or one that two servers could read as two things. */

import { assert, assertEquals } from "@std/assert";
import { MAX_HEAD_BYTES } from "../../../src/gateway/http/fault.ts";
import { echo, get, post, request, TestServer } from "./test_server.ts";

const SMUGGLED = get("/evil");
const chunked = (...headers: string[]) =>
  request("POST", "/", "Transfer-Encoding: chunked", ...headers);

/** The status that each is told, and then nothing more: the connection is closed. */
const REFUSED: Record<string, [status: number, sent: string]> = {
  "HTTP/2 without asking": [400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
  "a version that is to come": [400, get("/").replace("1.1", "3.0")],
  "TLS": [400, "\x16\x03\x01\x00\x05hello\r\n\r\n"],
  "a method that nobody knows": [400, request("BREW", "/")],
  "the method that shows a request to itself": [400, request("TRACE", "/")],
  "a path of another server": [400, get("http://evil.example/")],
  "no path": [400, request("OPTIONS", "*")],
  "a path with a space": [400, get("/a b")],
  "a path with a control character": [400, get("/\x01")],
  "a head without end": [431, "GET / HTTP/1.1\r\na: ".padEnd(MAX_HEAD_BYTES + 1_000, "b")],
  "a head that is too long": [431, request("GET", "/", `a: ${"b".repeat(MAX_HEAD_BYTES)}`)],
  "a header without a name": [400, request("GET", "/", ": b")],
  "a header without a colon": [400, request("GET", "/", "a")],
  "a space behind a name": [400, request("POST", "/", "Content-Length : 5") + SMUGGLED],
  "a header over two lines": [400, request("GET", "/", "a: b", " c")],
  "lines that end with a line feed only": [400, get("/").replaceAll("\r", "")],
  "a line feed in a header": [400, request("GET", "/", "a: b\nContent-Length: 5")],
  "a carriage return in a header": [400, request("GET", "/", "a: b\rContent-Length: 5")],
  "a NUL in a header": [400, request("GET", "/", "a: \0")],
  "two lengths": [400, request("POST", "/", "Content-Length: 1", "Content-Length: 1") + "x"],
  "two lengths that differ": [
    400,
    request("POST", "/", "Content-Length: 0", "Content-Length: 99") + SMUGGLED,
  ],
  "a list of lengths": [400, request("POST", "/", "Content-Length: 1, 1") + "x"],
  "a length with a sign": [400, request("POST", "/", "Content-Length: +1") + "x"],
  "a length that is no number": [400, request("POST", "/", "Content-Length: 0x1") + "x"],
  "a length beyond counting": [400, request("POST", "/", `Content-Length: ${"9".repeat(30)}`)],
  "a length and chunks": [400, chunked("Content-Length: 4") + "0\r\n\r\n" + SMUGGLED],
  "an encoding besides chunks": [400, request("POST", "/", "Transfer-Encoding: gzip") + "x"],
  "chunks that are encoded again": [
    400,
    request("POST", "/", "Transfer-Encoding: chunked, gzip") + "0\r\n\r\n",
  ],
  "something like chunks": [400, request("POST", "/", "Transfer-Encoding: xchunked") + SMUGGLED],
  "chunks with a length that is no number": [400, chunked() + "0x4\r\nWiki\r\n0\r\n\r\n"],
  "chunks with a negative length": [400, chunked() + "-4\r\nWiki\r\n0\r\n\r\n"],
  "chunks with a length beyond counting": [400, chunked() + `${"f".repeat(17)}\r\nWiki\r\n`],
  "a chunk that is longer than it says": [400, chunked() + "3\r\nWiki\r\n0\r\n\r\n"],
  "chunks with line feeds only": [400, chunked() + "4\nWiki\n0\n\n"],
  "trailers without end": [431, chunked() + "0\r\n" + "a: b\r\n".repeat(10_000)],
};

for (const [what, [status, sent]] of Object.entries(REFUSED)) {
  Deno.test(`a client that sends ${what} is told ${status}, once, and closed`, async () => {
    const asked: string[] = [];
    await using server = await TestServer.start((request, ending) => {
      asked.push(request.url.href);
      return echo(request, ending);
    });
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.listener.port });
    await conn.write(Uint8Array.from(sent, (char) => char.charCodeAt(0))).catch(() => {});
    const answer = await server.wait(new Response(conn.readable).text());
    assertEquals(answer.match(/HTTP\/1\.1 \d+/g), [`HTTP/1.1 ${status}`]);
    assert(/\r\nconnection: close\r\n/i.test(answer), answer);
    assertEquals(server.listener.report().refused.malformed, 1);
    assert(!asked.some((url) => url.includes("evil")), asked.join());
  });
}

Deno.test("a tunnel is not made, and not talked about", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(request("CONNECT", "10.0.0.1:22"));
  assertEquals(await client.rest(), "");
});

Deno.test("an upgrade to something else is not made", async () => {
  await using server = await TestServer.start(echo);
  const asked = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
  const client = await server.connect(request("GET", "/1", ...asked));
  assertEquals((await client.answer()).body, "GET /1");
});

Deno.test("a header that may be there once and is there twice has a value that nobody knows", async () => {
  await using server = await TestServer.start(({ headers }) =>
    Response.json([headers.get("host"), headers.get("authorization"), headers.get("origin")])
  );
  const twice = request("GET", "/", "Host: y", "Authorization: no", "Origin: a", "origin: b");
  const { body } = await (await server.connect(twice)).answer();
  assertEquals(JSON.parse(body), ["x, y", "yes, no", "a, b"]);
});

Deno.test("however many headers there are, the last one is seen", async () => {
  await using server = await TestServer.start(({ headers }) =>
    new Response(`${headers.get("origin")}`)
  );
  const many = request("GET", "/", ...Array(2_900).fill("a:"), "Origin: evil");
  assertEquals((await (await server.connect(many)).answer()).body, "evil");
});

Deno.test("chunks are put together, wherever their bytes are cut", async () => {
  await using server = await TestServer.start(echo);
  const body = "4;name=value\r\nWiki\r\n05\r\npedia\r\n0\r\nTrailer: x\r\n\r\n";
  for (let cut = 0; cut <= body.length; cut++) {
    const client = await server.connect(chunked() + body.slice(0, cut), body.slice(cut));
    assertEquals((await client.answer()).body, "POST / Wikipedia");
    client.close();
  }
});

Deno.test("a body that comes with a question is no request, and no part of it", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(
    post("/1", SMUGGLED).replace("POST", "GET") + get("/2"),
  );
  assertEquals([(await client.answer()).body, (await client.answer()).body], ["GET /1", "GET /2"]);
});
