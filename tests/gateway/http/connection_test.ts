/** One connection: its requests and answers, and what becomes of clients that are slow or odd. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Clock } from "../../../src/base/clock.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import {
  BODY_MS,
  type ClientSocket,
  HEAD_MS,
  HttpConnection,
  IDLE_MS,
  LINGER_MS,
} from "../../../src/gateway/http/connection.ts";
import { MAX_HEAD_BYTES } from "../../../src/gateway/http/head.ts";
import type { HttpService } from "../../../src/gateway/http/service.ts";
import { eventually } from "../../support/eventually.ts";
import { soon } from "../../support/soon.ts";
import { type Handler, request, TestServer } from "./test_server.ts";

/** Says what it was asked, with the body. */
const echo: Handler = async (request) => {
  const body = request.body === null ? "" : ` ${await request.text()}`;
  return new Response(`${request.method} ${new URL(request.url).pathname}${body}`);
};

const get = (path: string) => request("GET", path);
const post = (path: string, body: string) =>
  request("POST", path, `Content-Length: ${body.length}`) + body;

Deno.test("requests that are sent together are answered one after the other, in order", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect(get("/1") + post("/2", "two") + "\r\n" + get("/3"));
  const answers = [await client.answer(), await client.answer(), await client.answer()];
  assertEquals(answers.map(({ body }) => body), ["GET /1", "POST /2 two", "GET /3"]);
  await client.send(get("/4"));
  assertEquals((await client.answer()).body, "GET /4");
  assertEquals(server.listener.report().answered, 4);
});

Deno.test("a request may come byte by byte", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect(...post("/1", "body"));
  assertEquals((await client.answer()).body, "POST /1 body");
});

Deno.test("a client that says that it is done is told so, too, and the connection is closed", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect(request("GET", "/1", "Connection: close"));
  const answer = await client.rest();
  assertStringIncludes(answer, "\r\nconnection: close\r\n");
  assert(answer.endsWith("GET /1"));
});

Deno.test("a client that asks before it sends its body is told to go on when that is wanted", async () => {
  const wanted = Promise.withResolvers<void>();
  await using server = new TestServer(async (request, ending) => {
    await wanted.promise;
    return await echo(request, ending);
  });
  const ask = request("POST", "/1", "Content-Length: 4", "Expect: 100-continue");
  const client = await server.connect(ask);
  wanted.resolve();
  assertEquals((await client.answer()).status, 100);
  await client.send("body");
  assertEquals((await client.answer()).body, "POST /1 body");
});

Deno.test("who is not let in is answered before the body has come, and read no further", async () => {
  await using server = new TestServer(echo);
  const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n";
  const waiting = await server.connect(head);
  assertStringIncludes(await server.wait(waiting.rest()), "connection: close\r\n");
  // Also one that sends it all the same gets to read the answer.
  const sending = await server.connect(head);
  await server.wait(sending.send("x".repeat(3_000_000)));
  const { status, body } = await sending.answer();
  assertEquals([status, body], [401, "who?"]);
  assertEquals(server.listener.report().refused["not-admitted"], 2);
});

Deno.test("a body that nobody has read does not become the next request", async () => {
  await using server = new TestServer(() => new Response("done"));
  const short = await server.connect(post("/1", get("/evil")) + get("/2"));
  assertEquals([(await short.answer()).body, (await short.answer()).body], ["done", "done"]);
  assertEquals(server.listener.report().answered, 2);
  const long = await server.connect(request("POST", "/1", "Content-Length: 99") + get("/evil"));
  assertEquals((await server.wait(long.rest())).match(/HTTP\/1.1 200/g)?.length, 1);
});

for (
  const [what, sent] of Object.entries({
    nothing: "",
    "half a head": "GET / HTTP/1.1\r\nHos",
    "empty lines": "\r\n",
  })
) {
  Deno.test(`a client that sends ${what} is closed after ten seconds`, async () => {
    await using server = new TestServer(echo);
    const client = await server.connect(sent);
    await eventually(() => server.listener.report().open.stranger === 1, { what: "the client" });
    await server.clock.advance(HEAD_MS - 1);
    assertEquals(server.listener.report().open.stranger, 1);
    await server.clock.advance(1);
    assertEquals(await client.rest(), "");
    assertEquals(server.listener.report().refused.slow, 1);
  });
}

Deno.test("a head that comes byte by byte is not waited for longer", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect("G");
  await eventually(() => server.listener.report().open.stranger === 1, { what: "the client" });
  for (const letter of "ET /longer/t") {
    await server.clock.advance(HEAD_MS / 10);
    await client.send(letter).catch(() => {});
  }
  assertEquals(server.listener.report().refused.slow, 1);
});

Deno.test("the second head of a connection has ten seconds, too, from its first byte", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect(get("/1"));
  await client.answer();
  await server.clock.advance(HEAD_MS * 2);
  await client.send("GET /2");
  await eventually(() => server.listener.report().open.idle === 1, { what: "the client" });
  // It is read by when another one is.
  const other = await server.connect(get("/3"));
  await other.answer();
  await server.clock.advance(HEAD_MS);
  assertEquals(await client.rest(), "");
  assertEquals(server.listener.report().refused.slow, 1);
});

Deno.test("a connection is kept for the next request for two minutes", async () => {
  await using server = new TestServer(echo);
  const client = await server.connect(get("/1"));
  await client.answer();
  await eventually(() => server.listener.report().open.idle === 1, { what: "the end of it" });
  await server.clock.advance(IDLE_MS - 1);
  await client.send(get("/2"));
  assertEquals((await client.answer()).body, "GET /2");
  await eventually(() => server.listener.report().open.idle === 1, { what: "the end of it" });
  await server.clock.advance(IDLE_MS);
  assertEquals(await client.rest(), "");
  const { refused } = server.listener.report();
  assertEquals(Object.values(refused).every((count) => count === 0), true, "that is no refusal");
});

for (const length of ["Content-Length: 1000", "Transfer-Encoding: chunked"]) {
  Deno.test(`a body with ${length} that does not end is refused after 30 s`, async () => {
    let isReading = false;
    await using server = new TestServer((request, ending) => {
      isReading = true;
      return echo(request, ending);
    });
    const client = await server.connect(request("POST", "/", length));
    await eventually(() => isReading, { what: "the request" });
    for (let i = 0; i < 30; i++) {
      await client.send(length.includes("chunked") ? "1\r\nx\r\n" : "x");
      await server.clock.advance(BODY_MS / 30);
    }
    const { status, head, body } = await server.wait(client.answer());
    assertEquals(status, 408);
    assertStringIncludes(head, "connection: close");
    assertEquals(body, "Cannot read the request: its body has not come within 30 s.");
    assertEquals(server.listener.report().refused.slow, 1);
  });
}

const ODD: Record<string, [status: number, sent: string]> = {
  "HTTP/2 without asking": [505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
  TLS: [400, "\x16\x03\x01\x00\x05hello\r\n\r\n"],
  "a head without end": [431, "GET / HTTP/1.1\r\na: ".padEnd(MAX_HEAD_BYTES, "b")],
  "a head that is too long": [431, `GET / HTTP/1.1\r\na: ${"b".repeat(MAX_HEAD_BYTES)}\r\n\r\n`],
  "many empty lines": [431, "\r\n\n".repeat(MAX_HEAD_BYTES)],
  "half a body and an end": [400, post("/", "four").replace(": 4", ": 5")],
};

for (const [what, [status, sent]] of Object.entries(ODD)) {
  Deno.test(`a client that sends ${what} is told ${status}, once, and closed`, async () => {
    await using server = new TestServer(echo);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.listener.port });
    await conn.write(new TextEncoder().encode(sent)).catch(() => {});
    if (what.includes("an end")) await conn.closeWrite();
    const answer = await server.wait(new Response(conn.readable).text());
    assertEquals(answer.match(/HTTP\/1\.1 \d+/g), [`HTTP/1.1 ${status}`]);
    assertEquals(server.listener.report().refused.malformed, 1);
  });
}

Deno.test("an upgrade to something else is not made", async () => {
  await using server = new TestServer(echo);
  const asked = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
  const client = await server.connect(request("GET", "/1", ...asked));
  assertEquals((await client.answer()).body, "GET /1");
});

Deno.test("what a handler throws is told as its failure, and the connection goes on", async () => {
  await using server = new TestServer((request) => {
    if (request.url.endsWith("/1")) throw new Error("no disk");
    return Promise.reject(new Error("no net"));
  });
  const client = await server.connect(get("/1") + get("/2"));
  const answers = [await client.answer(), await client.answer()];
  assertEquals(answers.map(({ status, body }) => [status, body]), [
    [500, "failed: Error: no disk"],
    [500, "failed: Error: no net"],
  ]);
});

Deno.test("whoever makes an answer learns that the client is gone, also while nothing is sent", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  await using server = new TestServer((_, ending) => {
    asked.resolve(ending);
    return new Promise<Response>(() => {});
  });
  const client = await server.connect(get("/1"));
  const ending = await soon(asked.promise, "the request");
  client.close();
  await eventually(() => ending.aborted, { what: "the abort" });
  assertEquals(ending.reason.message, "Cancelled: the client went away.");
  await eventually(() => server.listener.report().open.answering === 0, { what: "the end" });
});

/** A connection whose other side the test plays, by what `socket` has of a socket. */
function played(socket: Partial<ClientSocket>, service: Partial<HttpService>, clock: Clock) {
  const nothing: ClientSocket = {
    read: () => new Promise(() => {}),
    write: (bytes) => Promise.resolve(bytes.length),
    setNoDelay() {},
    closeWrite: () => Promise.resolve(),
    close() {},
  };
  return new HttpConnection({ ...nothing, ...socket }, {
    service: {
      admit: () => undefined,
      answer: () => new Response("ok"),
      refuse: () => new Response("no"),
      fail: () => new Response("failed"),
      ...service,
    },
    clock,
    base: "http://x",
    headers: [],
    seat: () => true,
    release() {},
    answered() {},
    refused() {},
  });
}

/** Reads that text, then whatever `then` says. */
function reading(text: string, then: ClientSocket["read"]): ClientSocket["read"] {
  let isFirst = true;
  return (buffer) => {
    if (!isFirst) return then(buffer);
    isFirst = false;
    return Promise.resolve(new TextEncoder().encodeInto(text, buffer).written);
  };
}

Deno.test("whoever makes an answer learns that its body is not wanted", async () => {
  let ending: AbortSignal | undefined;
  await using server = new TestServer((_, signal) => {
    ending = signal;
    return new Response(new ReadableStream());
  });
  const client = await server.connect(request("HEAD", "/"));
  assertEquals((await client.answer()).status, 200);
  await eventually(() => ending?.aborted, { what: "the abort" });
  await client.send(request("HEAD", "/"));
  assertEquals((await client.answer()).status, 200, "the connection goes on");
});

Deno.test("whoever makes an answer learns that it cannot be sent any more", async () => {
  let ending: AbortSignal | undefined;
  let isCancelled = false;
  const connection = played({
    read: reading(get("/"), () => new Promise(() => {})),
    write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")),
  }, {
    answer(_, signal) {
      ending = signal;
      return new Response(new ReadableStream({ cancel: () => void (isCancelled = true) }));
    },
  }, new ManualClock());
  await soon(connection.serve(), "the end of the connection");
  assertEquals([ending?.aborted, isCancelled], [true, true]);
});

const UNREAD: Record<string, [sent: string, service: Partial<HttpService>]> = {
  "a refusal": [
    request("POST", "/", "Content-Length: 1000000000"),
    { admit: () => new Response("no", { status: 401 }) },
  ],
  "an answer that does not depend on it": [request("POST", "/", "Content-Length: 1000000000"), {}],
  "something that is no HTTP": ["PRI * HTTP/2.0\r\n\r\n", {}],
};

for (const [what, [sent, service]] of Object.entries(UNREAD)) {
  Deno.test(`what is sent behind ${what} is read for a second, and not without a pause`, async () => {
    const clock = new ManualClock();
    let reads = 0;
    let isClosed = false;
    const connection = played(
      {
        read: reading(sent, (buffer) => Promise.resolve(++reads < 1_000 ? buffer.length : null)),
        close: () => void (isClosed = true),
      },
      service,
      clock,
    );
    const served = connection.serve();
    await clock.advance(LINGER_MS - 1);
    assertEquals([isClosed, reads > 10, reads <= 100], [false, true, true], `${reads} reads`);
    await clock.advance(1);
    assertEquals(isClosed, true);
    await clock.advance(LINGER_MS);
    await soon(served, "the end of the connection");
  });
}

Deno.test("an answer under way is ended in order when the connection is to end", async () => {
  await using server = new TestServer((_, ending) =>
    new Response(
      new ReadableStream({
        start(controller) {
          ending.addEventListener("abort", () => {
            controller.enqueue(new TextEncoder().encode(ending.reason.message));
            controller.close();
          });
        },
      }),
    )
  );
  const client = await server.connect(get("/1"));
  await eventually(() => server.listener.report().open.answering === 1, { what: "the request" });
  const closing = server.close();
  assert((await client.rest()).endsWith("10\r\nStopped: enough.\r\n0\r\n\r\n"));
  await soon(closing, "the end");
});
