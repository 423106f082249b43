/** One connection: its requests and answers, and what becomes of clients that are slow or odd. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LINGER_MS } from "../../../src/gateway/http/exchange.ts";
import { HTTP_TIMES } from "../../../src/gateway/http/listener.ts";
import { MAX_KNOWN } from "../../../src/gateway/http/seats.ts";
import { eventually } from "../../support/eventually.ts";
import { soon } from "../../support/soon.ts";
import { echo, get, post, request, TestServer } from "./test_server.ts";

/** Node waits a second longer than it is told for the next request. */
const HASTE = { headMs: 300, requestMs: 600, idleMs: 1, checkMs: 20 };

Deno.test("requests that are sent together are answered in order", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(get("/1") + post("/2", "two") + "\r\n" + get("/3"));
  const answers = [await client.answer(), await client.answer(), await client.answer()];
  assertEquals(answers.map(({ body }) => body), ["GET /1", "POST /2 two", "GET /3"]);
  await client.send(get("/4"));
  assertEquals((await client.answer()).body, "GET /4");
  await eventually(() => server.listener.report().answered === 4, { what: "the end of the last" });
  assertEquals(server.listener.report().open, { stranger: 0, idle: 1, answering: 0 });
});

Deno.test("a request may come byte by byte", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(...post("/1", "body"));
  assertEquals((await client.answer()).body, "POST /1 body");
});

Deno.test("a client that says that it is done is told so, too, and the connection is closed", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(request("GET", "/1", "Connection: close"));
  const answer = await client.rest();
  assert(/\r\nconnection: close\r\n/i.test(answer));
  assert(answer.endsWith("GET /1"));
});

Deno.test("a client that asks before it sends its body is told to go on when that is wanted", async () => {
  const wanted = Promise.withResolvers<void>();
  await using server = await TestServer.start(async (request, ending) => {
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

Deno.test("a client that expects something else gets its answer all the same", async () => {
  await using server = await TestServer.start(echo);
  const client = await server.connect(request("GET", "/1", "Expect: tea"));
  assertEquals((await client.answer()).body, "GET /1");
});

Deno.test("who is not let in is answered before the body has come, and read no further", async () => {
  await using server = await TestServer.start(echo);
  for (const more of ["", "Expect: 100-continue\r\n"]) {
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n${more}\r\n`;
    const waiting = await server.connect(head);
    const { status } = await waiting.answer();
    assertEquals(status, 401, "no time has passed, and nothing more was asked for");
    await server.wait(waiting.rest());
    // Also one that sends it all the same gets to read the answer.
    const sending = await server.connect(head);
    await server.wait(sending.send("x".repeat(3_000_000)));
    const { head: said, body } = await sending.answer();
    assert(/connection: close/i.test(said));
    assertEquals(body, "who?");
  }
  assertEquals(server.listener.report().refused["not-admitted"], 4);
});

Deno.test("what is sent behind a refusal is read for a second, and not as fast as it comes", async () => {
  await using server = await TestServer.start(echo);
  const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
  const client = await server.connect(head);
  await client.answer();
  const piece = "x".repeat(65_536);
  let sent = 0;
  const sending = (async () => {
    for (;;) {
      await client.send(piece);
      sent += piece.length;
    }
  })().catch(() => {});
  let before = -1;
  await eventually(() => before === (before = sent), { what: "a halt", intervalMs: 100 });
  await server.clock.advance(LINGER_MS);
  await soon(sending, "the end of the connection");
  assert(sent < 100_000_000, `${sent} bytes`);
});

Deno.test("a body that nobody has read does not become the next request", async () => {
  const asked: string[] = [];
  await using server = await TestServer.start(({ url }) => {
    asked.push(new URL(url).pathname);
    return new Response("done");
  });
  const short = await server.connect(post("/1", get("/evil")) + get("/2"));
  assertEquals([(await short.answer()).body, (await short.answer()).body], ["done", "done"]);
  const long = await server.connect(request("POST", "/1", "Content-Length: 999") + get("/evil"));
  assertEquals((await server.wait(long.rest())).match(/HTTP\/1.1 200/g)?.length, 1);
  assertEquals(asked, ["/1", "/2", "/1"]);
});

Deno.test("the times that clients have are those of the documentation", () => {
  const { headMs, requestMs, idleMs } = HTTP_TIMES;
  assertEquals([headMs, requestMs, idleMs], [10_000, 30_000, 120_000]);
});

for (
  const [what, sent] of Object.entries({
    nothing: [""],
    "half a head": ["GET / HTTP/1.1\r\nHos"],
    "empty lines": ["\r\n"],
    "half a head behind a whole one": [get("/"), "GET / HT"],
    "half a body": [request("POST", "/", "Content-Length: 1000") + "x"],
    "chunks without end": [request("POST", "/", "Transfer-Encoding: chunked") + "1\r\nx\r\n"],
  })
) {
  Deno.test(`a client that sends ${what} is told when its time is over, and closed`, async () => {
    await using server = await TestServer.start(echo, { times: { ...HASTE, idleMs: 5_000 } });
    const client = await server.connect(...sent);
    const answer = await client.until("408");
    assertStringIncludes(answer + await server.wait(client.rest()), "it did not come in time");
    assertEquals(server.listener.report().refused.slow, 1);
  });
}

Deno.test("a head that comes byte by byte is not waited for longer", async () => {
  await using server = await TestServer.start(echo, { times: HASTE });
  const client = await server.connect("GET /");
  await eventually(async () => {
    await client.send("x").catch(() => {});
    return server.listener.report().refused.slow === 1;
  }, { what: "the end of the wait" });
  assertStringIncludes(await server.wait(client.rest()), "408");
});

Deno.test("a connection is closed when the next request does not come, and that is no refusal", async () => {
  await using server = await TestServer.start(echo, { times: HASTE });
  const client = await server.connect(get("/1"));
  await client.answer();
  assertEquals(await client.rest(), "");
  const { refused } = server.listener.report();
  assertEquals(Object.values(refused).every((count) => count === 0), true);
});

Deno.test("an answer may take longer to be made than a request may take to come", async () => {
  const made = Promise.withResolvers<Response>();
  await using server = await TestServer.start(() => made.promise, {
    // The server's own timers, by the system's clock: the request must come within them.
    times: { headMs: 300, requestMs: 300, idleMs: 300, checkMs: 5 },
  });
  const client = await server.connect(get("/"));
  await eventually(() => server.listener.report().open.answering === 1, { what: "the request" });
  const other = await server.connect();
  await server.wait(other.rest());
  made.resolve(new Response("at last"));
  assertEquals((await client.answer()).body, "at last");
});

Deno.test("what a handler throws is told as its failure, and the connection goes on", async () => {
  await using server = await TestServer.start((request) => {
    if (request.url.pathname === "/1") throw new Error("no disk");
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
  const endings: AbortSignal[] = [];
  await using server = await TestServer.start((_, ending) => {
    endings.push(ending);
    return new Promise<Response>(() => {});
  });
  const client = await server.connect(get("/1") + get("/2"));
  await eventually(() => endings.length === 2, { what: "the requests" });
  client.close();
  await eventually(() => endings.every(({ aborted }) => aborted), { what: "the aborts" });
  assertEquals(endings[0].reason.message, "Cancelled: the client went away.");
  await eventually(() => server.listener.report().open.answering === 0, { what: "the end" });
});

Deno.test("whoever makes a body learns that the client is gone, also while it makes nothing", async () => {
  let ending: AbortSignal | undefined;
  let isCancelled = false;
  await using server = await TestServer.start((_, signal) => {
    ending = signal;
    return new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("one")),
        cancel: () => void (isCancelled = true),
      }),
    );
  });
  const client = await server.connect(get("/"));
  await client.until("one");
  client.close();
  await eventually(() => isCancelled && ending?.aborted, { what: "the end of it" });
});

Deno.test("whoever makes an answer learns that its body is not wanted", async () => {
  let ending: AbortSignal | undefined;
  await using server = await TestServer.start((_, signal) => {
    ending = signal;
    return new Response(new ReadableStream());
  });
  const client = await server.connect(request("HEAD", "/"));
  assertEquals((await client.answer()).status, 200);
  await eventually(() => ending?.aborted, { what: "the abort" });
  await client.send(request("HEAD", "/"));
  assertEquals((await client.answer()).status, 200, "the connection goes on");
});

Deno.test("who sends ever more requests without waiting for the answers is cut off", async () => {
  await using server = await TestServer.start(() => new Promise(() => {}));
  const client = await server.connect(get("/").repeat(MAX_KNOWN + 10));
  await client.rest().catch(() => {});
  await eventually(() => server.listener.report().open.answering === 0, { what: "its end" });
  assertEquals(server.listener.report().refused.busy, 1);
});

Deno.test("an answer under way is ended in order when the server closes", async () => {
  await using server = await TestServer.start((_, ending) =>
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
