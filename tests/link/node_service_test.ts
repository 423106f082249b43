/** The service of existing peers on real sockets, byte by byte and with Google's own gRPC. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import http2, { type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { systemClock } from "../../src/base/clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import { decodeForeignBeacon, foreignFields } from "../../src/discovery/foreign_beacon.ts";
import { ForeignPeers } from "../../src/discovery/foreign_peers.ts";
import { MAX_FRAME_BYTES } from "../../src/link/call.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import {
  nodeService,
  type NodeServiceOptions,
  type OpaqueStatus,
} from "../../src/link/node_service.ts";
import { nodeServiceClient } from "../../src/link/node_service_client.ts";
import type { NodeCapabilities } from "../../src/link/node_service_codec.ts";
import { eventually } from "../support/eventually.ts";
import { startProcess, type TestProcess } from "../support/process.ts";
import { findPythonWithGrpc } from "../support/python.ts";
import { skipUnless } from "../support/skip.ts";
import { endOf } from "./transport_suite.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const CAPABILITIES: NodeCapabilities = {
  model: "GPU box",
  chip: "NVIDIA GeForce RTX 4090",
  memory: 65_536,
  flops: { fp32: 82.58, fp16: 165.16, int8: 660.6 },
};
const [OK, INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED] = [
  "0",
  "3",
  "7",
  "8",
  "12",
];

const QUERY = { visited: [], maxDepth: 1 };

const encoder = new TextEncoder();
const client = nodeServiceClient(systemClock);
const never = () => new AbortController().signal;

/** A node that serves the service beside its links. */
async function serve(options: Partial<NodeServiceOptions> = {}) {
  const statuses: OpaqueStatus[] = [];
  const service = nodeService({
    clock: systemClock,
    logger: silentLogger,
    allows: () => true,
    topology: () => ({ nodeId: "us", capabilities: CAPABILITIES, neighbours: [] }),
    collect: client.collectTopology,
    onStatus: (status) => statuses.push(status),
    ...options,
  });
  const transport = grpcTransport({ services: [service] });
  const listener = await transport.listen(LOOPBACK, (stream) => endOf(stream).start());
  return {
    address: listener.address,
    port: listener.address.port,
    transport,
    statuses,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

/** gRPC's frame around a message. */
function framed(message: Uint8Array, compressed = false): Uint8Array {
  const frame = new Uint8Array(5 + message.length);
  frame[0] = compressed ? 1 : 0;
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}

/** A field of bytes, number 1 to 15. */
function field(number: number, value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  const length: number[] = [];
  for (let rest = bytes.length; rest > 0 || length.length === 0; rest >>>= 7) {
    length.push(rest & 0x7f | (rest > 0x7f ? 0x80 : 0));
  }
  return new Uint8Array([number << 3 | 2, ...length, ...bytes]);
}

interface RawAnswer {
  /** `grpc-status`. */
  readonly status: string;
  readonly message: string;
  /** What came in DATA, as hexadecimal digits. */
  readonly body: string;
}

/** Calls over bare HTTP/2: what is sent is what is on the wire. */
async function rawCall(
  port: number,
  method: string,
  frames: Iterable<Uint8Array>,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/node_service.NodeService/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const end = Promise.withResolvers<void>();
    const said: Record<string, unknown> = {};
    const body: Buffer[] = [];
    let ended = false;
    stream.on("response", (headers) => Object.assign(said, headers));
    stream.on("trailers", (headers) => Object.assign(said, headers));
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.on("error", end.reject);
    stream.on("end", () => {
      ended = true;
      end.resolve();
    });
    for (const frame of frames) {
      if (ended) break;
      if (!stream.write(frame)) {
        await Promise.race([new Promise((resolve) => stream.once("drain", resolve)), end.promise]);
      }
    }
    if (!ended) stream.end();
    await end.promise;
    return {
      status: String(said["grpc-status"]),
      message: decodeURIComponent(String(said["grpc-message"] ?? "")),
      body: Buffer.concat(body).toString("hex"),
    };
  } finally {
    const closed = new Promise((resolve) => session.once("close", resolve));
    session.destroy();
    await closed;
  }
}

Deno.test("calls and answers have the bytes of existing peers", async () => {
  await using node = await serve({
    topology: () => ({
      nodeId: "us",
      capabilities: { ...CAPABILITIES, flops: { fp32: null, fp16: null, int8: null } },
      neighbours: [],
    }),
  });
  assertEquals(
    await rawCall(node.port, "HealthCheck", [Uint8Array.fromHex("0000000000")]),
    { status: OK, message: "OK", body: "00000000020801" },
  );
  const query = Uint8Array.fromHex("00000000100a0565786f2d620a0565786f2d611003");
  const { status, body } = await rawCall(node.port, "CollectTopology", [query]);
  const device = [
    ...field(1, "GPU box"),
    ...field(2, "NVIDIA GeForce RTX 4090"),
    ...[0x18, 0x80, 0x80, 0x04],
    ...field(4, ""),
  ];
  const entry = field(1, new Uint8Array([...field(1, "us"), ...field(2, new Uint8Array(device))]));
  assertEquals([status, body], [OK, framed(entry).toHex()]);
});

Deno.test("what existing peers compress is read", async () => {
  await using node = await serve();
  const uuids = Array.from({ length: 3 }, () => crypto.randomUUID());
  const query = new Uint8Array(uuids.flatMap((id) => [...field(1, id)]));
  for (const encoding of ["gzip", "identity"]) {
    const isCompressed = encoding === "gzip";
    const frame = framed(isCompressed ? gzipSync(query) : query, isCompressed);
    const headers = { "grpc-encoding": encoding, "grpc-accept-encoding": "identity,deflate,gzip" };
    const { status } = await rawCall(node.port, "CollectTopology", [frame], headers);
    assertEquals(status, OK, encoding);
  }
});

Deno.test("a message that inflates beyond a frame is refused, and not inflated on", async () => {
  await using node = await serve();
  const bomb = gzipSync(new Uint8Array(4 * MAX_FRAME_BYTES));
  assert(bomb.length < 100_000, `${bomb.length} bytes`);
  const headers = { "grpc-encoding": "gzip" };
  for (const method of ["CollectTopology", "SendOpaqueStatus", "HealthCheck"]) {
    const { status } = await rawCall(node.port, method, [framed(bomb, true)], headers);
    assertEquals(status, RESOURCE_EXHAUSTED, method);
  }
  assert(await client.healthCheck(node.address, never()));
});

Deno.test("work of existing peers is refused with what to do instead, however long it is", async () => {
  await using node = await serve();
  const megabyte = new Uint8Array(1024 * 1024);
  let sent = 0;
  function* tensor() {
    yield new Uint8Array([0, 0x10, 0, 0, 0]);
    for (; sent < 256; sent++) yield megabyte;
  }
  for (const method of ["SendPrompt", "SendTensor", "SendExample"]) {
    sent = 0;
    const { status, message } = await rawCall(node.port, method, tensor());
    assertEquals(status, UNIMPLEMENTED, method);
    assertMatch(message, /"us" is a node of Hanzo Network.*hanzo-network run .*--node us$/);
    assert(sent < 256, "it was answered before it was read");
  }
  const answer = await rawCall(node.port, "SendResult", tensor());
  assertEquals(answer, { status: OK, message: "OK", body: "0000000000" });
});

Deno.test("links have their port and their limits as before", async () => {
  await using node = await serve();
  const near = endOf(await node.transport.dial(node.address, never()));
  near.start();
  near.stream.send(new Uint8Array(MAX_FRAME_BYTES));
  near.stream.close();
  await eventually(() => near.closes.length === 1, { what: "the end" });
  assertEquals(near.closes, [undefined]);
});

Deno.test("a status is handed on without control characters, or not at all", async () => {
  await using node = await serve();
  const send = (status: string | Uint8Array) => {
    const message = new Uint8Array([...field(1, "re\u001bquest"), ...field(2, status)]);
    return rawCall(node.port, "SendOpaqueStatus", [framed(message)]);
  };
  const status = { type: "node_status", "k\u001bey": ["a\u001b[31mb", { n: 1, none: null }] };
  const empty = { status: OK, message: "OK", body: "0000000000" };
  assertEquals(await send(JSON.stringify(status)), empty);
  assertEquals(node.statuses, [{
    host: "127.0.0.1",
    requestId: "request",
    status: { type: "node_status", key: ["a[31mb", { n: 1, none: null }] },
  }]);
  const unreadable = [
    "",
    "{",
    "\u0000",
    new Uint8Array([0xff, 0xfe]),
    "[".repeat(17) + "]".repeat(17),
    JSON.stringify("x".repeat(64 * 1024)),
  ];
  for (const text of unreadable) assertEquals(await send(text), empty);
  assertEquals(node.statuses.length, 1);
  await send('{"__proto__":{"polluted":true},"constructor":1}');
  assertEquals(Object.keys(node.statuses[1].status as object), ["__proto__", "constructor"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("what is no message is INVALID_ARGUMENT", async () => {
  await using node = await serve();
  const answer = await rawCall(node.port, "CollectTopology", [framed(new Uint8Array([0x0a, 9]))]);
  assertEquals(answer.status, INVALID_ARGUMENT);
  assertMatch(answer.message, /^Cannot read the message of an existing peer/);
});

Deno.test("a host that this node does not talk to is refused every method", async () => {
  const hosts: string[] = [];
  await using node = await serve({
    allows: (host) => {
      hosts.push(host);
      return false;
    },
  });
  const methods = [
    "HealthCheck",
    "CollectTopology",
    "SendOpaqueStatus",
    "SendResult",
    "SendTensor",
  ];
  for (const method of methods) {
    const { status } = await rawCall(node.port, method, [framed(new Uint8Array())]);
    assertEquals(status, PERMISSION_DENIED, method);
  }
  assertEquals(new Set(hosts), new Set(["127.0.0.1"]));
  assertEquals(node.statuses, []);
});

Deno.test("two nodes ask each other, and no more than needed", async () => {
  const asked: string[] = [];
  await using far = await serve({
    topology: () => ({ nodeId: "far", capabilities: CAPABILITIES, neighbours: [] }),
  });
  await using near = await serve({
    topology: () => ({
      nodeId: "near",
      capabilities: CAPABILITIES,
      neighbours: [{ nodeId: "far", capabilities: null, description: "lo", askAt: far.address }],
    }),
    collect: (address, query, signal) => {
      asked.push(query.visited.join());
      return client.collectTopology(address, query, signal);
    },
  });
  const query = { visited: ["me"], maxDepth: 1 };
  const topology = await client.collectTopology(near.address, query, never());
  assertEquals(topology, {
    nodes: new Map([["near", CAPABILITIES], ["far", CAPABILITIES]]),
    connections: new Map([["near", [{ to: "far", description: "lo" }]]]),
  });
  await client.collectTopology(near.address, { visited: ["far"], maxDepth: 1 }, never());
  assertEquals(asked, ["me,near,far"]);
});

/** A node whose only neighbour never answers, and whether it still waits for that. */
async function serveBesideSilence() {
  const asked: AbortSignal[] = [];
  const node = await serve({
    topology: () => ({
      nodeId: "us",
      capabilities: CAPABILITIES,
      neighbours: [{ nodeId: "slow", capabilities: null, description: null, askAt: LOOPBACK }],
    }),
    collect: (_address, _query, signal) => {
      asked.push(signal);
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    },
  });
  return Object.assign(node, { asked });
}

Deno.test("whoever does not answer within the time that the caller gives is left out", async () => {
  await using node = await serveBesideSilence();
  const query = framed(new Uint8Array([0x10, 4]));
  const answer = await rawCall(node.port, "CollectTopology", [query], { "grpc-timeout": "1S" });
  assertEquals([answer.status, node.asked.map(({ aborted }) => aborted)], [OK, [true]]);
});

Deno.test("a caller that gives up ends what was asked on its behalf", async () => {
  await using node = await serveBesideSilence();
  const caller = new AbortController();
  const asking = assertRejects(
    () => client.collectTopology(node.address, QUERY, caller.signal),
    NetworkError,
    "Enough.",
  );
  await eventually(() => node.asked.length === 1, { what: "the question" });
  caller.abort(new NetworkError("CANCELLED", "Enough."));
  await asking;
  await eventually(() => node.asked[0].aborted, { what: "its end", timeoutMs: 2_000 });
});

Deno.test("who cannot be asked says why, and leaves no connection behind", async () => {
  const ask = (port: number, signal = never()) =>
    client.healthCheck({ host: "127.0.0.1", port }, signal);
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr as Deno.NetAddr;
  closed.close();
  const refused = await assertRejects(() => ask(port), NetworkError, "connection refused");
  assertEquals(refused.code, "UNAVAILABLE");

  const bare = await grpcTransport().listen(LOOPBACK, () => {});
  await assertRejects(() => ask(bare.address.port), NetworkError, "Cannot ask 127.0.0.1");
  await bare.close();

  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const asking = assertRejects(
    () => ask((silent.addr as Deno.NetAddr).port, controller.signal),
    NetworkError,
    "Enough.",
  );
  using connection = await silent.accept();
  controller.abort(new NetworkError("CANCELLED", "Enough."));
  await asking;
  const isOver = async () =>
    await connection.read(new Uint8Array(1_024)).catch(() => null) === null;
  await eventually(isOver, { what: "the end of the connection", intervalMs: 0 });
  await assertRejects(() => ask(port, controller.signal), NetworkError, "Enough.");
  await grpcTimers();
});

Deno.test("an answer that inflates beyond bounds is refused, and not inflated on", async () => {
  const server = http2.createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-encoding": "gzip" },
      { waitForTrailers: true },
    );
    stream.on("error", () => {});
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": OK }));
    stream.end(framed(gzipSync(new Uint8Array(64 * 1024 * 1024)), true));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const error = await assertRejects(
    () => client.collectTopology({ host: "127.0.0.1", port }, QUERY, never()),
    NetworkError,
    "decompresses to a size larger than 1048576",
  );
  assertEquals(error.code, "PROTOCOL");
  await new Promise((resolve) => server.close(resolve));
});

/** Timers of gRPC's after a call that came to nothing: they hold up nothing but are counted. */
async function grpcTimers(): Promise<void> {
  const end = performance.now() + 300;
  await eventually(() => performance.now() > end, { what: "gRPC's timers" });
}

const python = await findPythonWithGrpc();
const ignore = skipUnless(
  python !== undefined,
  "no Python with grpcio: apt-get install python3-grpcio",
);

function foreignPeer(...args: string[]): TestProcess {
  const path = fileURLToPath(new URL("../support/foreign_peer.py", import.meta.url));
  return startProcess(python!, [path, ...args]);
}

/** The next line that tells of `event`. */
async function told(process: TestProcess, event: string): Promise<Record<string, unknown>> {
  const isIt = (line: string) => JSON.parse(line).event === event;
  return JSON.parse(await process.waitForLine(isIt, { what: event, timeoutMs: 20_000 }));
}

/** Passes bytes on between one client and `port`, and keeps those of the client. */
function relay(port: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sent: Uint8Array[] = [];
  const passing = (async () => {
    const [near, far] = [
      await listener.accept(),
      await Deno.connect({ hostname: "127.0.0.1", port }),
    ];
    const watch = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        if (sent.length < 50) sent.push(chunk.slice());
        controller.enqueue(chunk);
      },
    });
    await Promise.allSettled([
      near.readable.pipeThrough(watch).pipeTo(far.writable),
      far.readable.pipeTo(near.writable),
    ]);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    sent,
    async [Symbol.asyncDispose]() {
      listener.close();
      await passing;
    },
  };
}

Deno.test({
  name: "Google's gRPC, with gzip, fifty visited nodes and 32 MiB, gets every answer",
  ignore,
  async fn() {
    await using node = await serve({
      topology: () => ({
        nodeId: "us",
        capabilities: CAPABILITIES,
        neighbours: [{ nodeId: "hz", capabilities: CAPABILITIES, description: "eth0" }],
      }),
    });
    await using wire = relay(node.port);
    await using peer = foreignPeer("call", `${wire.port}`);
    const line = await peer.waitForLine(() => true, { what: "the outcome", timeoutMs: 60_000 });
    const { SendPrompt, SendTensor, SendExample, ...outcome } = JSON.parse(line);
    const device = { model: "GPU box", memory: 65_536, fp16: 165.16 };
    assertEquals(outcome, {
      HealthCheck: [1],
      CollectTopology: { nodes: { us: device, hz: device }, graph: { us: ["hz"] } },
      SendOpaqueStatus: 0,
      SendResult: 0,
      SendLongResult: [0, 0],
      HealthCheckAgain: [1],
    });
    for (const refusal of [SendPrompt, SendTensor, SendExample]) {
      assertEquals(refusal.code, "UNIMPLEMENTED");
      assertMatch(refusal.details, /hanzo-network run/);
    }
    assertEquals(node.statuses.map(({ status }) => (status as { type: string }).type), [
      "node_status",
    ]);
    // Frames whose first byte says "compressed", with gzip's own mark behind their length.
    assertMatch(Buffer.concat(wire.sent).toString("hex"), /01[0-9a-f]{8}1f8b08/);
  },
});

Deno.test({
  name: "a peer with Google's gRPC is asked for its health and its topology",
  ignore,
  async fn() {
    await using peer = foreignPeer("serve", "exo-a", "exo-b");
    const address = { host: "127.0.0.1", port: Number((await told(peer, "ready")).grpcPort) };
    assert(await client.healthCheck(address, never()));
    const query = { visited: ["us", crypto.randomUUID()], maxDepth: 3 };
    const topology = await client.collectTopology(address, query, never());
    assertEquals(topology, {
      nodes: new Map([["exo-a", {
        model: "Linux Box (Device: CPU)",
        chip: "Unknown Chip (Device: CPU)",
        memory: 24_105,
        flops: { fp32: 1.5, fp16: 3, int8: null },
      }]]),
      connections: new Map([["exo-a", [{ to: "exo-b", description: "Ethernet (eth0)" }]]]),
    });
    assertEquals(await told(peer, "asked"), { event: "asked", ...query });
  },
});

Deno.test({
  name: "the beacons of both kinds of peer are read as they come",
  ignore,
  async fn() {
    const receiver = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const { port } = receiver.addr as Deno.NetAddr;
    await using _peer = foreignPeer("beacons", "127.0.0.1", `${port}`);
    const beacons = [await receiver.receive(), await receiver.receive()]
      .map(([bytes]) => decodeForeignBeacon(bytes));
    receiver.close();
    assertEquals(beacons.map(({ kind, nodeId, port }) => [kind, nodeId, port]), [
      ["exo", "exo-a", 50051],
      ["hanzo-network", "hz-a", null],
    ]);
  },
});

for (const kind of ["exo", "hanzo-network"] as const) {
  Deno.test({
    name: `a peer like ${kind} lists this node by one datagram, and is listed by this node`,
    ignore,
    async fn() {
      await using node = await serve();
      const receiver = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
      const peers = new ForeignPeers({
        clock: systemClock,
        random: seededRandom(1),
        check: client.healthCheck,
      });
      const hearing = (async () => {
        for await (const [bytes, from] of receiver) {
          peers.seen(decodeForeignBeacon(bytes), (from as Deno.NetAddr).hostname);
        }
      })();
      const { port } = receiver.addr as Deno.NetAddr;
      try {
        await using peer = foreignPeer("peer", kind, "theirs", "127.0.0.1", `${port}`);
        const ready = await told(peer, "ready");
        await eventually(() => peers.list().length === 1, { what: "its beacon" });
        const canBeAsked = kind === "exo";
        await eventually(() => peers.list()[0].healthy === canBeAsked, { what: "its health" });
        const [{ nodeId, host, port: grpcPort }] = peers.list();
        assertEquals(
          [nodeId, host, grpcPort],
          ["theirs", "127.0.0.1", canBeAsked ? Number(ready.grpcPort) : null],
        );

        const beacon = encodeBeacon({
          nodeId: "ours",
          bootId: "01ARYZ6S41TSV4RRFFQ69G5FAV",
          network: "home",
          listenPort: node.port,
          isAnswer: false,
        });
        const datagram = JSON.stringify({
          ...JSON.parse(new TextDecoder().decode(beacon)),
          ...foreignFields({
            broadcastPort: port,
            capabilities: CAPABILITIES,
            interfaceName: "lo",
            wallTime: systemClock.wallTime(),
          }),
        });
        const udpPort = Number(ready.udpPort);
        const to = { transport: "udp", hostname: "127.0.0.1", port: udpPort } as const;
        await receiver.send(encoder.encode(datagram), to);
        assertEquals((await told(peer, "listed")).nodeId, "ours");
      } finally {
        peers.stop();
        receiver.close();
        await hearing;
      }
    },
  });
}
