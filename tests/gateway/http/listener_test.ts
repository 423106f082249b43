/** All connections together: what many can hold, and what happens without file descriptors. */

import { assertEquals } from "@std/assert";
import type { ConnectionSource } from "../../../src/gateway/http/listener.ts";
import { GRACE_MS, MAX_KNOWN, MAX_STRANGERS } from "../../../src/gateway/http/seats.ts";
import { eventually } from "../../support/eventually.ts";
import type { HttpClient } from "../../support/http_client.ts";
import { soon } from "../../support/soon.ts";
import { type Handler, request, TestServer } from "./test_server.ts";

const ok: Handler = () => new Response("ok");
const GET = request("GET", "/");

/** Connects that many clients, each of which sends that; time moves on so that there is room. */
async function crowd(server: TestServer, count: number, sent: string): Promise<HttpClient[]> {
  const clients: HttpClient[] = [];
  for (let i = 0; i < count; i++) {
    clients.push(await server.connect());
    await clients[i].send(sent).catch(() => {});
    if (i % 16 === 0) await server.clock.advance(GRACE_MS);
  }
  return clients;
}

for (
  const [what, sent] of Object.entries({
    "say nothing": "",
    "stop in the middle of the head": "GET / HTTP/1.1\r\nHo",
    "stop in the middle of the body": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
  })
) {
  Deno.test(`200 clients that ${what} keep neither new nor known clients from being answered`, async () => {
    await using server = new TestServer(ok);
    const known = await server.connect(GET);
    await known.answer();
    await crowd(server, 200, sent);
    for (let i = 0; i < 20; i++) {
      const client = await server.connect(GET);
      assertEquals((await server.wait(client.answer())).body, "ok");
      await known.send(GET);
      assertEquals((await known.answer()).body, "ok");
    }
    const { open, answered, refused } = server.listener.report();
    assertEquals(open.stranger <= MAX_STRANGERS, true, `${open.stranger} strangers`);
    assertEquals(answered, 41);
    assertEquals(refused.crowd + refused["not-admitted"] >= 200 - MAX_STRANGERS, true);
  });
}

Deno.test("more requests than can be answered at a time are told when to come again", async () => {
  const held: (() => void)[] = [];
  await using server = new TestServer(() =>
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
  const next = await server.connect(GET);
  await eventually(() => held.length === MAX_KNOWN + 1, { what: "the next request" });
  for (const answer of held) answer();
  for (const client of [...clients.slice(1), next]) {
    assertEquals((await client.answer()).status, 200);
  }
});

/** A source that gives no connections while it is starved. */
class StarvedSource implements ConnectionSource {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  isStarved = false;
  failures = 0;

  get addr(): Deno.NetAddr {
    return this.#listener.addr;
  }

  async accept(): Promise<Deno.TcpConn> {
    const conn = await this.#listener.accept();
    if (!this.isStarved) return conn;
    this.failures++;
    conn.close();
    throw new Error("Too many open files (os error 24)");
  }

  close(): void {
    this.#listener.close();
  }
}

Deno.test("without file descriptors half of the strangers go, and those who come later are served", async () => {
  const source = new StarvedSource();
  await using server = new TestServer(ok, source);
  const known = await server.connect(GET);
  await known.answer();
  for (let i = 0; i < 20; i++) await server.connect();
  await eventually(() => server.listener.report().open.stranger === 20, { what: "20 strangers" });
  source.isStarved = true;
  await server.connect();
  await eventually(() => server.listener.report().refused.starved === 1, { what: "a failure" });
  assertEquals(server.listener.report().open, { stranger: 10, idle: 0, answering: 0 });
  source.isStarved = false;
  const client = await server.connect(GET);
  assertEquals((await server.wait(client.answer())).body, "ok");
  assertEquals(server.log.lines("warn").length, 1);
});

Deno.test("a source that goes on failing is asked again at once, later once a second, and for ever", async () => {
  const source = new StarvedSource();
  await using server = new TestServer(ok, source);
  source.isStarved = true;
  for (let i = 0; i < 40; i++) (await server.connect()).close();
  await eventually(() => source.failures === 1, { what: "the first failure" });
  await server.clock.advance(10);
  await eventually(() => source.failures === 2, { what: "the second" });
  for (let second = 0; second < 10; second++) await server.clock.advance(1_000);
  await eventually(() => source.failures > 10, { what: "ten more" });
  assertEquals(source.failures < 20, true, `${source.failures} failures in ten seconds`);
  source.isStarved = false;
  const client = await server.connect(GET);
  assertEquals((await server.wait(client.answer())).body, "ok");
});

Deno.test("a server that closes frees its port and closes whoever is there", async () => {
  await using server = new TestServer(ok);
  const known = await server.connect(GET);
  await known.answer();
  const stranger = await server.connect("GET ");
  await eventually(() => server.listener.report().open.stranger === 1, { what: "the stranger" });
  await soon(server.close(), "the close");
  assertEquals([await known.rest(), await stranger.rest()], ["", ""]);
  Deno.listen({ hostname: "127.0.0.1", port: server.listener.port }).close();
});
