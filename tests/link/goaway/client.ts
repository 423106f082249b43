/**
 * A child process: a gRPC client that calls a server which keeps parting from it.
 * Arguments: `guarded` or `bare`; the server's port; how many connections to live through.
 * Prints how the calls ended, by status code; exits with 3 if one did not, or if it takes too long.
 */

import * as grpc from "@grpc/grpc-js";
import http2 from "node:http2";
import { installGoawayGuard } from "../../../src/link/goaway_guard.ts";
import { bytes, ECHO_PATH, HOLD_PATH } from "./service.ts";

const [guarding, port, rounds] = Deno.args;
const GIVE_UP_MS = 15_000;
const CALL_MS = 5_000;

let connections = 0;
const connect = http2.connect as (...args: unknown[]) => http2.ClientHttp2Session;
(http2 as { connect: typeof connect }).connect = (...args) => {
  connections++;
  return connect(...args);
};
if (guarding === "guarded") installGoawayGuard();

const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
  "grpc.enable_http_proxy": 0,
  "grpc.initial_reconnect_backoff_ms": 20,
  "grpc.min_reconnect_backoff_ms": 20,
  "grpc.max_reconnect_backoff_ms": 50,
});
const payload = bytes(new Uint8Array(50));
const statuses: Record<number, number> = {};

function deadline(): grpc.CallOptions {
  return { deadline: Date.now() + CALL_MS };
}

function echo(): Promise<number> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(ECHO_PATH, bytes, bytes, payload, deadline(), (error) => {
      resolve(error?.code ?? grpc.status.OK);
    });
  });
}

/** Stays open for five messages, so that some partings come in a stream and some between two. */
function hold(): Promise<number> {
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(HOLD_PATH, bytes, bytes, deadline());
    let left = 5;
    const timer = setInterval(() => left-- > 0 ? call.write(payload) : call.end(), 7);
    call.on("data", () => {});
    call.on("error", () => {});
    call.on("status", ({ code }) => {
      clearInterval(timer);
      setTimeout(() => resolve(code), 30);
    });
  });
}

async function repeat(call: () => Promise<number>): Promise<void> {
  while (connections < Number(rounds)) {
    const code = await call();
    statuses[code] = (statuses[code] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const late = setTimeout(() => {
  console.error(`${connections} of ${rounds} connections, calls ended with`, statuses);
  Deno.exit(3);
}, GIVE_UP_MS);
await Promise.all([repeat(hold), repeat(echo), repeat(echo), repeat(echo)]);
clearTimeout(late);
client.close();
console.log(JSON.stringify(statuses));
