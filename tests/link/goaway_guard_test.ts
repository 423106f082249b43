/**
 * GOAWAY in every way that is known must not end a process: neither a client's nor a server's.
 * Real processes, because a crash takes the whole process, with freed memory poisoned, because
 * otherwise it takes only one in ten.
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import http2 from "node:http2";
import { installGoawayGuard } from "../../src/link/goaway_guard.ts";
import { findPythonWithGrpc } from "../support/python.ts";
import { skipUnless } from "../support/skip.ts";
import {
  type ClientOutcome,
  runClient,
  startPythonServer,
  startServer,
} from "./goaway/children.ts";
import { partRudely } from "./goaway/rude_client.ts";
import { RUDENESSES, startRudeServer } from "./goaway/rude_server.ts";

const SEED = 36788;
const OK = 0;
// CANCELLED, INTERNAL and UNAVAILABLE are what gRPC makes of a connection that ends in a call.
const POLITE = [OK, 1, 13, 14];
// RESOURCE_EXHAUSTED, PERMISSION_DENIED: error codes of HTTP/2 that a rude server sends.
const RUDE = [...POLITE, 7, 8];

const python = await findPythonWithGrpc();

/** Fails unless the process ended well, some calls were answered, and all ended as they may. */
function assertSurvived({ exitCode, statuses, stderr }: ClientOutcome, allowed: number[]): void {
  assertEquals(exitCode, 0, `the client ended with ${exitCode}: ${stderr}`);
  assert(statuses[OK] > 0, `no call was answered: ${JSON.stringify(statuses)}`);
  const others = Object.keys(statuses).map(Number).filter((code) => !allowed.includes(code));
  assertEquals(others, [], JSON.stringify(statuses));
}

for (const manner of ["tryShutdown", "forceShutdown", "maxAge"] as const) {
  Deno.test(`a client survives servers that part with ${manner}`, async () => {
    await using server = await startServer("guarded", manner);

    assertSurvived(await runClient("guarded", server.port, 10), POLITE);
  });
}

Deno.test({
  name: "a client survives a Python server whose connections reach their age",
  ignore: skipUnless(
    python !== undefined,
    "no Python with grpcio: apt-get install python3-grpcio",
  ),
  async fn() {
    await using server = await startPythonServer(python!);

    assertSurvived(await runClient("guarded", server.port, 10), POLITE);
  },
});

Deno.test("a client survives every rude way in which a server can part", async () => {
  await using server = startRudeServer(RUDENESSES, SEED);

  assertSurvived(await runClient("guarded", server.port, 10 * RUDENESSES.length), RUDE);
});

Deno.test("a server survives every rude way in which a client can part", async () => {
  await using server = await startServer("guarded", "plain");
  let ended = false;
  void server.process.status.then(() => ended = true);

  await partRudely(server.port, 10, SEED);

  assertSurvived(await runClient("guarded", server.port, 1), POLITE);
  assertEquals(ended, false);
});

// When these fail on a newer Deno, the guard has done its duty and can go.
const WITHOUT = Deno.version.deno === "2.9.6" && Deno.build.os === "linux";

Deno.test({
  name: "without the guard a client does not survive rude servers",
  ignore: !WITHOUT,
  async fn() {
    await using server = startRudeServer(["too many pings"], SEED);

    assertEquals((await runClient("bare", server.port, 20)).exitCode, 139);
  },
});

Deno.test({
  name: "without the guard a server does not survive a client that parts politely",
  ignore: !WITHOUT,
  async fn() {
    await using server = await startServer("bare", "plain");

    await partRudely(server.port, 5, SEED);

    assertEquals((await server.process.status).code, 139);
  },
});

Deno.test("installing the guard again changes nothing", () => {
  installGoawayGuard();
  const { connect, createServer, createSecureServer } = http2;

  installGoawayGuard();

  assertStrictEquals(http2.connect, connect);
  assertStrictEquals(http2.createServer, createServer);
  assertStrictEquals(http2.createSecureServer, createSecureServer);
});
