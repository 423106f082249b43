/** Where connections come in: those that have not proved themselves use up nothing that others need. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import net from "node:net";
import { NetworkError } from "../../src/base/errors.ts";
import type { FrameStream } from "../../src/link/frame_stream.ts";
import { Front } from "../../src/link/front.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { eventually } from "../support/eventually.ts";
import { FrontRig } from "../support/front_rig.ts";
import { membersOf } from "../support/members.ts";
import { skipUnless } from "../support/skip.ts";
import { knockPlainly } from "../support/tls_client.ts";
import { WatchedClock } from "../support/watched_clock.ts";

const members = await membersOf(NetworkKey.generate(), "server", "client");
const [member] = members.client.credentials();
const MEMBER = { shown: member, serverName: member.serverName };

/** Connections that say nothing. They are closed by disposing of them. */
class Idlers implements Disposable {
  readonly #connections: Deno.TcpConn[] = [];

  async add(port: number, count: number, hostname = "127.0.0.1"): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#connections.push(await Deno.connect({ hostname, port }));
    }
  }

  /** How many of them the other side has ended by now. */
  async ended(): Promise<number> {
    const ends = this.#connections.map((connection) =>
      connection.read(new Uint8Array(1)).catch(() => null).then(() => true)
    );
    const later = Symbol();
    const pause = new Promise((resolve) => setImmediate(() => resolve(later)));
    const states = await Promise.all(ends.map((end) => Promise.race([end, pause])));
    return states.filter((state) => state !== later).length;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close();
  }
}

function streamTo(port: number): Promise<FrameStream> {
  const { signal } = new AbortController();
  return grpcTransport({ security: members.client }).dial({ host: "127.0.0.1", port }, signal);
}

/** The servers that are made while something is done. */
async function serversOf<T>(make: () => Promise<T>): Promise<{ made: T; servers: net.Server[] }> {
  const servers: net.Server[] = [];
  const { createServer } = net;
  net.createServer = ((...args: Parameters<typeof createServer>) => {
    const server = createServer(...args);
    servers.push(server);
    return server;
  }) as typeof createServer;
  try {
    return { made: await make(), servers };
  } finally {
    net.createServer = createServer;
  }
}

Deno.test("400 connections that say nothing do not keep a member from dialling", async () => {
  const accepted: FrameStream[] = [];
  const listener = await grpcTransport({ security: members.server }).listen(
    { host: "127.0.0.1", port: 0 },
    (stream) => {
      accepted.push(stream);
      stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
    },
  );
  const { port } = listener.address;
  {
    using idlers = new Idlers();
    for (let round = 1; round <= 4; round++) {
      await idlers.add(port, 100);
      const stream = await streamTo(port);
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      stream.start({ onFrame() {}, onDrain() {}, onClose: () => resolve() });
      assertEquals(accepted.length, round);
      stream.close();
      await closed;
    }
  }
  await listener.close();
});

Deno.test("of more than 64 that have not proved themselves the oldest goes", async () => {
  await using rig = await FrontRig.listen(members.server);
  using idlers = new Idlers();
  await idlers.add(rig.port, 64);
  using more = new Idlers();
  await more.add(rig.port, 10);
  await rig.untilRefused("crowd", 10);
  assertEquals(rig.front.report().crowd.host, "127.0.0.1");
  await eventually(async () => await idlers.ended() === 10, { what: "the end of ten" });
  assertEquals(await more.ended(), 0);
  assert(await rig.tries(MEMBER) !== undefined, "and whoever proves itself is let in");
});

Deno.test({
  name: "two connections from one port to two of a node's addresses are not mixed up",
  ignore: skipUnless(Deno.build.os === "linux", "other systems have only one address of their own"),
  async fn() {
    await using rig = await FrontRig.listen(members.server, "0.0.0.0");
    const connect = (host: string, localPort?: number) => {
      const socket = net.connect({
        host,
        port: rig.port,
        localAddress: "127.0.0.1",
        ...(localPort && { localPort }),
      });
      return socket.on("error", () => {}).resume();
    };
    for (let i = 0; i < 3; i++) {
      const first = connect("127.0.0.1");
      await new Promise((resolve) => first.once("connect", resolve));
      const second = connect("127.0.0.2", first.localPort);
      await eventually(() => second.closed, { what: "the end of the second" });
      // The first one counts on, and its time runs.
      await eventually(() => rig.clock.pending >= 2, { what: "its timer" });
      await rig.clock.advance(2_000);
      await eventually(() => first.closed, { what: "its end" });
      assertEquals(rig.refused().slow, i + 1);
    }
  },
});

Deno.test({
  name: "a host that floods hits itself first: who came from another one keeps its place",
  ignore: skipUnless(
    Deno.networkInterfaces().some(({ family }) => family === "IPv6"),
    "this machine has no IPv6, and so no two addresses of its own",
  ),
  async fn() {
    await using rig = await FrontRig.listen(members.server, "::");
    using other = new Idlers();
    await other.add(rig.port, 3, "::1");
    using flood = new Idlers();
    await flood.add(rig.port, 200, "127.0.0.1");
    await rig.untilRefused("crowd", 139);
    assertEquals(rig.front.report().crowd.host, "127.0.0.1");
    assertEquals(await other.ended(), 0);
  },
});

Deno.test("connections that are proved count no more, and are kept however many they are", async () => {
  await using rig = await FrontRig.listen();
  using idlers = new Idlers();
  for (let round = 0; round < 3; round++) {
    await idlers.add(rig.port, 40);
    await eventually(() => rig.letIn.length === 40 * (round + 1), { what: "them to come in" });
    for (const { socket } of rig.letIn) {
      rig.front.prove(`${socket.remoteAddress}:${socket.remotePort}`);
    }
  }
  await rig.clock.advance(60_000);
  assertEquals([rig.refused(), await idlers.ended()], [{}, 0]);
});

Deno.test("a handshake that is not done within two seconds is ended", async () => {
  await using rig = await FrontRig.listen(members.server);
  using idlers = new Idlers();
  await idlers.add(rig.port, 3);
  using half = await Deno.connect({ hostname: "127.0.0.1", port: rig.port });
  // The head of a ClientHello that says it is longer than what follows.
  await half.write(new Uint8Array([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
  await eventually(() => rig.clock.pending === 5, { what: "four timers, and the watch's" });
  await rig.clock.advance(1_999);
  assertEquals([rig.refused(), await idlers.ended()], [{}, 0]);
  await rig.clock.advance(1);
  assertEquals(rig.refused(), { slow: 4 });
  await eventually(async () => await idlers.ended() === 3, { what: "their end" });
});

Deno.test("whoever has shown who it is has ten seconds for its first call, and no more", async () => {
  await using rig = await FrontRig.listen(members.server);
  const knocks = [rig.knock(MEMBER), rig.knock(MEMBER)];
  await eventually(() => rig.letIn.length === 2, { what: "both to be let in" });
  const [{ socket }] = rig.letIn;
  rig.front.prove(`${socket.remoteAddress}:${socket.remotePort}`);
  await rig.clock.advance(9_999);
  assertEquals(rig.refused(), {});
  await rig.clock.advance(1);
  assertEquals(rig.refused(), { slow: 1 });
  const ended = await Promise.race(knocks.map((made, i) => made.ended.then(() => i)));
  assert(ended === 0 || ended === 1);
  assert(!socket.destroyed, "who has called stays");
});

Deno.test("in the clear, too, a connection without a call is ended after ten seconds", async () => {
  await using rig = await FrontRig.listen();
  using idlers = new Idlers();
  await idlers.add(rig.port, 2);
  await eventually(() => rig.letIn.length === 2, { what: "both to come in" });
  assertEquals(rig.letIn[0].peer, undefined);
  await rig.clock.advance(9_999);
  assertEquals(rig.refused(), {});
  await rig.clock.advance(1);
  assertEquals(rig.refused(), { slow: 2 });
});

Deno.test("whoever only looks whether somebody is there is not counted as refused", async () => {
  await using rig = await FrontRig.listen(members.server);
  for (let i = 0; i < 5; i++) {
    (await Deno.connect({ hostname: "127.0.0.1", port: rig.port })).close();
    await rig.knock(MEMBER).close();
  }
  // Those who come later are dealt with later.
  await knockPlainly(rig.port, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await rig.untilRefused("stranger", 1);
  for (let i = 0; i < 5; i++) await rig.look();
  assertEquals(rig.refused(), { stranger: 1 }, "nor does the front count itself");
});

Deno.test("credentials that TLS cannot use end a connection, not the process", async () => {
  let credentials = [{ ...members.server.credentials()[0], privateKey: "no key" }];
  await using rig = await FrontRig.listen({ ...members.server, credentials: () => credentials });
  assertEquals(await rig.tries(MEMBER), undefined);
  credentials = [...members.server.credentials()];
  assert(await rig.tries(MEMBER) !== undefined);
});

Deno.test("each reason is counted by itself, with where the last one came from", async () => {
  let admitted = true;
  const security: LinkSecurity = { ...members.server, admits: () => admitted };
  await using rig = await FrontRig.listen(security);
  assert(await rig.tries(MEMBER) !== undefined);
  assertEquals(rig.front.report().stranger, { count: 0, host: "" });
  admitted = false;
  for (let i = 0; i < 2; i++) assertEquals(await rig.tries(MEMBER), undefined);
  for (let i = 0; i < 3; i++) assertEquals(await rig.tries({}), undefined);
  await rig.untilRefused("stranger", 3);
  assertEquals(rig.refused(), { stranger: 3, "not-admitted": 2 });
  const report = rig.front.report();
  assertEquals(report["not-admitted"], { count: 2, host: "127.0.0.1" });
  report.stranger.count = 99;
  assertEquals(rig.refused().stranger, 3, "a report is a copy");
});

Deno.test("a listener that takes nothing any more is found out and replaced, on the same port", async () => {
  const { made: rig, servers } = await serversOf(() => FrontRig.listen(members.server));
  await using _rig = rig;
  const { port } = rig;
  // As after running out of descriptors: the system still accepts, and nobody is told.
  const [dead] = servers;
  dead.removeAllListeners("connection").on("connection", (socket) => socket.destroy());
  assertEquals(await rig.tries(MEMBER), undefined);
  await eventually(async () => {
    await rig.clock.advance(1_000);
    return await rig.tries(MEMBER) !== undefined;
  }, { what: "a listener that works" });
  assertEquals([rig.port, dead.listening], [port, false]);
  assertEquals(rig.refused(), {});
});

Deno.test("a listener that is gone altogether is replaced, too", async () => {
  const { made: rig, servers } = await serversOf(() => FrontRig.listen(members.server));
  await using _rig = rig;
  await new Promise((resolve) => servers[0].close(resolve));
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: rig.port }));
  await eventually(async () => {
    await rig.clock.advance(1_000);
    return await rig.tries(MEMBER) !== undefined;
  }, { what: "a listener that works" });
});

Deno.test("a port that somebody else took meanwhile is tried again until it is free", async () => {
  const { made: rig, servers } = await serversOf(() => FrontRig.listen(members.server));
  await using _rig = rig;
  await new Promise((resolve) => servers[0].close(resolve));
  {
    using other = Deno.listen({ hostname: "127.0.0.1", port: rig.port });
    const connecting = (async () => {
      for await (const connection of other) connection.close();
    })();
    for (let i = 0; i < 6; i++) {
      await rig.clock.advance(1_000);
      (await Deno.connect({ hostname: "127.0.0.1", port: rig.port })).close();
    }
    other.close();
    await connecting.catch(() => {});
  }
  await eventually(async () => {
    await rig.clock.advance(1_000);
    return await rig.tries(MEMBER) !== undefined;
  }, { what: "a listener that works" });
});

Deno.test("a listener that works is left alone, however often it is looked at", async () => {
  const { made: rig, servers } = await serversOf(async () => {
    const rig = await FrontRig.listen(members.server);
    for (let i = 0; i < 5; i++) await rig.look();
    return rig;
  });
  await using _rig = rig;
  assertEquals(servers.length, 1);
  assertEquals(rig.letIn, []);
});

Deno.test("closing leaves no timer, no connection and no listener, at whatever moment", async () => {
  for (const moment of ["at once", "while it looks", "with a crowd"]) {
    const rig = await FrontRig.listen(members.server);
    const { port } = rig;
    using idlers = new Idlers();
    if (moment === "with a crowd") {
      await idlers.add(port, 20);
      rig.knock(MEMBER);
      await eventually(() => rig.letIn.length === 1, { what: "the member" });
    }
    if (moment === "while it looks") await rig.clock.advance(2_000);
    rig.front.close();
    rig.front.close();
    assertEquals(rig.clock.pending, 0, moment);
    await assertRejects(
      () => Deno.connect({ hostname: "127.0.0.1", port }),
      Error,
      undefined,
      moment,
    );
    await rig[Symbol.asyncDispose]();
  }
});

Deno.test("a port that is taken is PORT_IN_USE, and what is not permitted says which flag is missing", async () => {
  await using rig = await FrontRig.listen();
  const options = {
    address: { host: "127.0.0.1", port: rig.port },
    clock: new WatchedClock(),
    security: undefined,
    onConnection() {},
  };
  const error = await assertRejects(() => Front.listen(options), NetworkError);
  assertEquals(error.code, "PORT_IN_USE");
  assertStringIncludes(error.message, "--listen-port");
  assertEquals(options.clock.pending, 0);
});

Deno.test({
  name: "without Deno's permission to listen the error names the flag",
  permissions: { net: false },
  async fn() {
    const error = await assertRejects(() => FrontRig.listen(), NetworkError);
    assertEquals(error.code, "PERMISSION_DENIED");
    assertStringIncludes(error.message, "Grant --allow-net.");
  },
});

Deno.test({
  name: "without permission to dial itself it listens all the same",
  permissions: { net: ["127.0.0.1:0"] },
  async fn() {
    const rig = await FrontRig.listen();
    await rig.clock.advance(60_000);
    rig.front.close();
    assertEquals(rig.clock.pending, 0);
  },
});
