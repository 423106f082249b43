/** The API's server: where it listens, and how it stops whatever its clients do. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { RunEvent } from "../../src/agents/run_event.ts";
import type { ErrorBody } from "../../src/gateway/control_api.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { skipUnless } from "../support/skip.ts";
import { soon } from "../support/soon.ts";
import { heldAgent } from "../support/task_rig.ts";
import { jsonLines, TestApi, TOKEN } from "./test_api.ts";

/** What a client that behaves sends before its body. */
function head(api: TestApi, method: string, path: string, ...more: string[]): string {
  return [
    `${method} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${api.port}`,
    `Authorization: Bearer ${TOKEN}`,
    "Content-Type: application/json",
    ...more,
    "",
    "",
  ].join("\n");
}

Deno.test({
  name: "the API listens on 127.0.0.1 and nowhere else",
  ignore: skipUnless(Deno.build.os === "linux", "only Linux has the rest of 127.0.0.0/8"),
  async fn() {
    await using api = await TestApi.start();
    assertMatch(api.gateway.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    await assertRejects(
      () => Deno.connect({ hostname: "127.0.0.2", port: api.port }),
      Deno.errors.ConnectionRefused,
    );
  },
});

Deno.test("a port that was asked for and is taken is an error that says what to do", async () => {
  await using api = await TestApi.start();
  const start = () =>
    Gateway.start({
      network: api.node.network,
      port: api.port,
      token: TOKEN,
      logger: silentLogger,
    });
  const error = await assertRejects(start, NetworkError);
  assertEquals(error.code, "PORT_IN_USE");
  assertEquals(
    error.message,
    `Cannot serve the API on 127.0.0.1:${api.port}: the port is taken. ` +
      `Choose another with --api-port.`,
  );
  assertEquals(await api.fetch("/healthz").then((response) => response.text()), "ok\n");
});

Deno.test("without a port of its own each API takes the next free one", async () => {
  await using api = await TestApi.start();
  const { log, node: { network } } = api;
  const start = () => Gateway.start({ network, port: undefined, token: TOKEN, logger: log.logger });
  const [first, second] = [await start(), await start()];
  const ports = [first, second].map(({ url }) => Number(new URL(url).port));
  assert(ports[0] >= 5680 && ports[1] > ports[0], ports.join());
  assertEquals(log.lines("info").at(-1), `Port 5680 is taken; the API listens on ${ports[1]}`);
  await Promise.all([first.stop(), second.stop()]);
});

Deno.test({
  name: "a network that Deno may not use names the flag that is missing",
  permissions: { net: false },
  async fn() {
    const network = undefined as never;
    const start = () => Gateway.start({ network, port: 0, token: TOKEN, logger: silentLogger });
    const error = await assertRejects(start, NetworkError);
    assertEquals(error.code, "PERMISSION_DENIED");
    assertMatch(error.message, /Grant --allow-net=127\.0\.0\.1:0\.$/);
  },
});

Deno.test("a stop tells every run what happened, frees the port, and may be repeated", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const response = await api.run({ prompt: "x" });
  const { context } = await held.run(0);
  const reading = Array.fromAsync(jsonLines<RunEvent | ErrorBody>(response));
  // No time passes: the stop waits for nobody who reads.
  await soon(Promise.all([api.gateway.stop(), api.gateway.stop()]), "the stop");
  assertEquals((await reading).at(-1), {
    error: { code: "CANCELLED", message: "Stopped: the node is stopping." },
  });
  assertEquals(context.signal.aborted, true);
  const again = Deno.listen({ hostname: "127.0.0.1", port: api.port });
  again.close();
  await api.gateway.stop();
});

Deno.test("events end when the API stops", async () => {
  await using api = await TestApi.start();
  const responses = [await api.fetch("/control/v1/events"), await api.fetch("/control/v1/events")];
  await soon(api.gateway.stop(), "the stop");
  for (const response of responses) assertEquals(await response.text(), ": connected\n\n");
});

const BAD_CLIENTS: Record<string, (api: TestApi) => Promise<Deno.TcpConn>> = {
  "says nothing": (api) => api.open(""),
  "stops in the middle of the headers": (api) => api.open("GET /control/v1/status HTTP/1.1\nHo"),
  "stops in the middle of the body": (api) =>
    api.open(`${head(api, "POST", "/control/v1/run", "Content-Length: 100")}{"prompt":`),
  "keeps its connection": async (api) => {
    const connection = await api.open(head(api, "GET", "/control/v1/status"));
    await connection.read(new Uint8Array(1_024));
    return connection;
  },
  "does not read its events": (api) => api.open(head(api, "GET", "/control/v1/events")),
  "does not read the answer of its run": async (api) => {
    const body = JSON.stringify({ prompt: "", agent: "held" });
    return await api.open(
      head(api, "POST", "/control/v1/run", `Content-Length: ${body.length}`) + body,
    );
  },
};

for (const [what, connect] of Object.entries(BAD_CLIENTS)) {
  Deno.test(`a client that ${what} does not keep the API from stopping`, async () => {
    const held = heldAgent();
    await using api = await TestApi.start([held.agent]);
    using connection = await connect(api);
    // Behind it in the line of accepted connections: when this is answered, that one is served.
    await (await api.fetch("/healthz")).body?.cancel();
    await api.fleet.wait(api.gateway.stop(), 2_000);
    const buffer = new Uint8Array(65_536);
    while (await connection.read(buffer).catch(() => null) !== null);
  });
}

Deno.test("a client that never reads a long answer is not waited for longer than a second", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const body = JSON.stringify({ prompt: "", agent: "held" });
  using _connection = await api.open(
    head(api, "POST", "/control/v1/run", `Content-Length: ${body.length}`) + body,
  );
  // More than the buffers of the system take.
  (await held.run(0)).answer("x".repeat(32 * 1024 * 1024));
  const before = api.fleet.clock.now();
  await api.fleet.wait(api.gateway.stop(), 2_000);
  assert(api.fleet.clock.now() - before <= 1_010);
});

Deno.test("the API can be asked how it fares, and logs who is turned away", async () => {
  await using api = await TestApi.start();
  await (await api.fetch("/control/v1/status")).body?.cancel();
  for (let i = 0; i < 3; i++) await (await fetch(`${api.gateway.url}/`)).body?.cancel();
  await api.raw("BREW / HTTP/1.1\n\n");
  const { answered, refused } = api.gateway.report();
  assertEquals([answered, refused["not-admitted"], refused.malformed], [1, 3, 1]);
  assertEquals(api.log.lines("warn").length, 2);
});

Deno.test("a question without the wish for an answer's body is answered by its head", async () => {
  await using api = await TestApi.start();
  for (const path of ["/healthz", "/control/v1/status", "/control/v1/events"]) {
    const response = await api.fetch(path, { method: "HEAD" });
    assertEquals([response.status, await response.text()], [200, ""], path);
  }
  assertEquals((await api.fetch("/control/v1/run", { method: "HEAD" })).status, 404);
});
