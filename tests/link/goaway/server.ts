/**
 * A child process: a gRPC server that parts from its clients over and over.
 * Arguments: `guarded` or `bare`; `plain`, `tryShutdown`, `forceShutdown` or `maxAge`.
 * Prints its port, which it keeps.
 */

import * as grpc from "@grpc/grpc-js";
import { installGoawayGuard } from "../../../src/link/goaway_guard.ts";
import { TEST_SERVICE } from "./service.ts";

const [guarding, manner] = Deno.args;
if (guarding === "guarded") installGoawayGuard();

async function listen(port: number): Promise<{ server: grpc.Server; port: number }> {
  const age = { "grpc.max_connection_age_ms": 60, "grpc.max_connection_age_grace_ms": 40 };
  const server = new grpc.Server(manner === "maxAge" ? age : {});
  server.addService(TEST_SERVICE, {
    Echo(call: grpc.ServerUnaryCall<Uint8Array, Uint8Array>, done: grpc.sendUnaryData<Uint8Array>) {
      done(null, call.request);
    },
    Hold(call: grpc.ServerDuplexStream<Uint8Array, Uint8Array>) {
      call.on("data", (data) => call.write(data));
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
  });
  return await new Promise((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => error === null ? resolve({ server, port: bound }) : reject(error),
    );
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function stop(server: grpc.Server): Promise<void> {
  if (manner === "forceShutdown") return server.forceShutdown();
  const stopped = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  // Open streams would hold it up for ever.
  await pause(30);
  server.forceShutdown();
  await stopped;
}

/** The port is free as soon as the last connection to it is. */
async function listenAgain(port: number): Promise<grpc.Server> {
  while (true) {
    try {
      return (await listen(port)).server;
    } catch {
      await pause(5);
    }
  }
}

const first = await listen(0);
console.log(first.port);
if (manner === "tryShutdown" || manner === "forceShutdown") {
  for (let server = first.server;; server = await listenAgain(first.port)) {
    await pause(80);
    await stop(server);
  }
}
