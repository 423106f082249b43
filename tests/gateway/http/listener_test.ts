/** All connections together: what many can hold, and what happens without file descriptors. */

import { assert, assertEquals } from "@std/assert";
import { GRACE_MS, MAX_KNOWN, MAX_STRANGERS } from "../../../src/gateway/http/seats.ts";
import { eventually } from "../../support/eventually.ts";
import type { HttpClient } from "../../support/http_client.ts";
import { soon } from "../../support/soon.ts";
import { get, type Handler, request, TestServer } from "./test_server.ts";

const ok: Handler = () => new Response("ok");
const GET = get("/");

for (
  const [what, sent] of Object.entries({
    "say nothing": "",
    "stop in the middle of the head": "GET / HTTP/1.1\r\nHo",
    "stop in the middle of the body": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
  })
) {
  Deno.test(`200 clients that ${what} keep neither new nor known clients from being answered`, async () => {
    await using server = await TestServer.start(ok);
    const known = await server.connect(GET);
    await known.answer();
    for (let i = 0; i < 200; i++) {
      await (await server.connect()).send(sent).catch(() => {});
      if (i % 16 === 0) await server.clock.advance(GRACE_MS);
    }
    for (let i = 0; i < 20; i++) {
      const client = await server.connect(GET);
      assertEquals((await server.wait(client.answer())).body, "ok");
      await known.send(GET);
      assertEquals((await known.answer()).body, "ok");
    }
    const { open, answered, refused } = server.listener.report();
    assert(open.stranger <= MAX_STRANGERS, `${open.stranger} strangers`);
    assertEquals(answered, 41);
    assert(refused.crowd + refused["not-admitted"] >= 200 - MAX_STRANGERS);
  });
}

Deno.test("more requests than can be answered at a time are told when to come again", async () => {
  const held: (() => void)[] = [];
  await using server = await TestServer.start(() =>
    new Promise((resolve) => held.push(() => resolve(new Response("ok"))))
  );
  const clients: HttpClient[] = [];
  for (let i = 0; i < MAX_KNOWN; i++) {
    clients.push(await server.connect(GET));
    await eventually(() => held.length === i + 1, { what: "the next request", intervalMs: 1 });
  }
  const body = request("POST", "/", "Content-Length: 99");
  const { status, head } = await server.wait((await server.connect(body)).answer());
  assertEquals([status, /^retry-after: (.*)$/m.exec(head)?.[1]], [503, "1"]);
  assertEquals(server.listener.report().refused.busy, 1);
  held[0]();
  assertEquals((await clients[0].answer()).status, 200);
  await eventually(() => server.listener.report().open.idle === 1, { what: "the end of it" });
  const next = await server.connect(GET);
  await eventually(() => held.length === MAX_KNOWN + 1, { what: "the next request" });
  for (const answer of held) answer();
  for (const client of [...clients.slice(1), next]) {
    assertEquals((await client.answer()).status, 200);
  }
});

Deno.test("a server that closes frees its port and closes whoever is there", async () => {
  await using server = await TestServer.start(ok);
  const known = await server.connect(GET);
  await known.answer();
  const stranger = await server.connect();
  await eventually(() => server.listener.report().open.stranger === 1, { what: "the stranger" });
  await soon(server.close(), "the close");
  assertEquals([await known.rest(), await stranger.rest()], ["", ""]);
  Deno.listen({ hostname: "127.0.0.1", port: server.listener.port }).close();
});
