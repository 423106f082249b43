/** gRPC's own troubles, on real sockets: whoever is on the other side, and whatever it sends. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { NetworkError } from "../../src/base/errors.ts";
import { MAX_FRAME_BYTES } from "../../src/link/call.ts";
import type { FrameListener, FrameStream } from "../../src/link/frame_stream.ts";
import { RECEIVE_WINDOW_BYTES } from "../../src/link/receive_window.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { eventually } from "../support/eventually.ts";
import { skipUnless } from "../support/skip.ts";
import { type End, endOf } from "./transport_suite.ts";

const transport = grpcTransport();
const LOOPBACK = { host: "127.0.0.1", port: 0 };
const LINK_PATH = "/hanzo.network.v1.Network/Link";

/** A listener that starts whatever it accepts. */
async function listen(): Promise<{ listener: FrameListener; accepted: End[] }> {
  const accepted: End[] = [];
  const listener = await transport.listen(LOOPBACK, (stream: FrameStream) => {
    const end = endOf(stream);
    accepted.push(end);
    end.start();
  });
  return { listener, accepted };
}

function dial(port: number, signal = new AbortController().signal): Promise<FrameStream> {
  return transport.dial({ host: "127.0.0.1", port }, signal);
}

/** Timers of gRPC's after a dial that came to nothing: they hold up nothing but are counted. */
async function afterFailedDial(): Promise<void> {
  const end = performance.now() + 300;
  await eventually(() => performance.now() > end, { what: "gRPC's timers" });
}

/** A stream of frames to `listener` goes on working, whatever happened to others. */
async function assertGoesOn(
  { listener, accepted }: { listener: FrameListener; accepted: End[] },
): Promise<void> {
  const count = accepted.length;
  const near = endOf(await dial(listener.address.port));
  near.start();
  near.stream.send(new Uint8Array([42]));
  await eventually(() => accepted[count]?.frames[0]?.[0] === 42, { what: "a frame" });
  near.stream.close();
  await eventually(() => near.closes.length === 1, { what: "the end" });
}

/** gRPC without this package's limits. */
const UNLIMITED = { "grpc.max_send_message_length": -1, "grpc.max_receive_message_length": -1 };
const asIs = (bytes: Buffer) => bytes;

Deno.test("a dial that is given up while nobody answers leaves no connection behind", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const controller = new AbortController();
  const dialling = assertRejects(() => dial(port, controller.signal), NetworkError, "Enough.");
  // The first only sees whether anybody is there.
  (await listener.accept()).close();
  using connection = await listener.accept();
  const buffer = new Uint8Array(1_024);
  assert(await connection.read(buffer) !== null, "the beginning of HTTP/2");

  controller.abort(new NetworkError("CANCELLED", "Enough."));
  await dialling;
  while (await connection.read(buffer).catch(() => null) !== null);
  await afterFailedDial();
});

Deno.test("a port where something else answers is UNAVAILABLE, and is left alone then", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  let tries = 0;
  let open = 0;
  const serve = async (connection: Deno.Conn) => {
    open++;
    // The first only sees whether anybody is there. gRPC tries again by itself: nobody answers then.
    const answer = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
    if (tries++ === 1) await connection.write(answer);
    else while (await connection.read(new Uint8Array(1_024)).catch(() => null) !== null);
    connection.close();
    open--;
  };
  const serving = (async () => {
    for await (const connection of listener) void serve(connection);
  })();
  const error = await assertRejects(() => dial(port), NetworkError);
  assertEquals([error.code, error.unanswered], ["UNAVAILABLE", undefined]);
  assertStringIncludes(error.message, `Cannot reach 127.0.0.1:${port}`);
  await afterFailedDial();
  await eventually(() => open === 0, { what: "the end of every connection" });
  listener.close();
  await serving;
});

Deno.test("a gRPC server that is no node is UNAVAILABLE", async () => {
  const server = new grpc.Server();
  const port = await bind(server);
  const error = await assertRejects(() => dial(port), NetworkError);
  assertEquals(error.code, "UNAVAILABLE");
  server.forceShutdown();
});

Deno.test("a client that sends no HTTP/2 costs only itself", async () => {
  const listening = await listen();
  const { port } = listening.listener.address;
  for (
    const bytes of [
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      new Uint8Array(4_096).fill(0xff),
      new TextEncoder().encode(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\0\0\xff".repeat(200)}`),
    ]
  ) {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(bytes);
    await assertGoesOn(listening);
  }
  assertEquals(listening.accepted.length, 3, "only the honest ones");
  await listening.listener.close();
});

Deno.test("a dialler whose frame is too long loses its stream, and nobody else", async () => {
  const listening = await listen();
  const client = new grpc.Client(
    `127.0.0.1:${listening.listener.address.port}`,
    grpc.credentials.createInsecure(),
    UNLIMITED,
  );
  const call = client.makeBidiStreamRequest<Buffer, Buffer>(LINK_PATH, asIs, asIs);
  call.on("data", () => {});
  const failure = new Promise<grpc.ServiceError>((resolve) => call.once("error", resolve));
  call.write(Buffer.alloc(MAX_FRAME_BYTES + 1));
  assertEquals((await failure).code, grpc.status.RESOURCE_EXHAUSTED);
  const [far] = listening.accepted;
  await eventually(() => far.closes.length > 0, { what: "the end of its stream" });
  assertEquals([far.frames, far.closes[0]?.code], [[], "UNAVAILABLE"]);
  client.close();
  await assertGoesOn(listening);
  await listening.listener.close();
});

Deno.test("an acceptor whose frame is too long breaks the protocol", async () => {
  const server = new grpc.Server(UNLIMITED);
  const link = { path: LINK_PATH, requestStream: true, responseStream: true } as const;
  server.addService({
    Link: {
      ...link,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  }, {
    Link(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("error", () => {});
      call.sendMetadata(new grpc.Metadata());
      call.write(Buffer.alloc(MAX_FRAME_BYTES + 1));
    },
  });
  const port = await bind(server);
  const near = endOf(await dial(port));
  near.start();
  await eventually(() => near.closes.length > 0, { what: "the end of the stream" });
  assertEquals([near.frames, near.closes.map((error) => error?.code)], [[], ["PROTOCOL"]]);
  server.forceShutdown();
});

Deno.test("the longest frame that may be arrives", async () => {
  const { listener, accepted } = await listen();
  const near = endOf(await dial(listener.address.port));
  near.start();
  near.stream.send(new Uint8Array(MAX_FRAME_BYTES));
  await eventually(() => accepted[0]?.frames.length === 1, { what: "the frame" });
  assertEquals(accepted[0].frames[0].length, MAX_FRAME_BYTES);
  near.stream.close();
  await eventually(() => near.closes.length === 1, { what: "the end" });
  await listener.close();
});

Deno.test("a link that is served lets four mebibytes come ahead, and nothing else does", async () => {
  const { listener } = await listen();
  const session = http2.connect(`http://127.0.0.1:${listener.address.port}`);
  const settled = await new Promise<http2.Settings>((resolve) => {
    session.once("remoteSettings", resolve);
  });
  const unproved = [settled.initialWindowSize, session.state.remoteWindowSize];
  const stream = session.request({
    ":method": "POST",
    ":path": LINK_PATH,
    "content-type": "application/grpc",
    te: "trailers",
  }, { endStream: false });
  await new Promise((resolve) => stream.once("response", resolve));
  const linked = [session.remoteSettings.initialWindowSize, session.state.remoteWindowSize];
  const closed = new Promise((resolve) => session.once("close", resolve));
  session.destroy();
  await closed;
  await listener.close();
  assertEquals(unproved, [65_535, 65_535]);
  assertEquals(linked, [RECEIVE_WINDOW_BYTES, RECEIVE_WINDOW_BYTES]);
});

Deno.test("an address that cannot be listened on says so", async () => {
  const error = await assertRejects(
    () => transport.listen({ host: "203.0.113.1", port: 0 }, () => {}),
    NetworkError,
    "Cannot listen on 203.0.113.1:0",
  );
  assertEquals(error.code, "UNAVAILABLE");
});

function bind(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

Deno.test({
  name: "a listener on :: takes IPv4 and IPv6, and sees each host by its plain address",
  ignore: skipUnless(
    Deno.networkInterfaces().some(({ family }) => family === "IPv6"),
    "this machine has no IPv6",
  ),
  async fn() {
    const accepted: FrameStream[] = [];
    const listener = await transport.listen({ host: "::", port: 0 }, (stream) => {
      accepted.push(stream);
      stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
    });
    const { port } = listener.address;
    for (const host of ["127.0.0.1", "::1"]) {
      const near = endOf(await transport.dial({ host, port }, new AbortController().signal));
      near.start();
      await eventually(() => accepted.at(-1)?.remoteHost === host, {
        what: `a stream from ${host}`,
      });
      near.stream.close();
      await eventually(() => near.closes.length > 0, { what: "the end" });
    }
    await listener.close();
  },
});
