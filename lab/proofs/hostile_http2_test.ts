/**
 * HTTP/2 as weapon, against a process of its own: in the clear, where anybody gets that far, and
 * with keys, where the attacker is a member. What it costs is the attacker's own connection.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import type http2 from "node:http2";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { NetworkError } from "../../src/base/errors.ts";
import { decodeFrame } from "../../src/link/frame_codec.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { findPythonWithGrpc } from "../../tests/support/python.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { startServer } from "../../tests/link/goaway/children.ts";
import {
  frame,
  goaway,
  join,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  windowUpdate,
} from "../../tests/link/goaway/frames.ts";
import {
  call,
  continuation,
  data,
  grpcMessage,
  headerBomb,
  HEALTH_PATH,
  initialWindow,
  LINK_PATH,
  manyHeaders,
  priority,
  repeat,
} from "../../tests/link/http2/frames.ts";
import { HELLO, RawConnection } from "../../tests/link/http2/raw_connection.ts";
import { type Mode, Scene } from "../../tests/link/http2/scene.ts";

const MODES: Mode[] = ["in the clear", "with keys"];
const MIB = 1024 * 1024;
/** What a node says before it answers a call is less. */
const GREETING_BYTES = 64;
/** How often whoever was cut off comes again. */
const ROUNDS = 8;
const [RESOURCE_EXHAUSTED, UNIMPLEMENTED] = ["8", "12"];

const link = request(1, LINK_PATH);
const one = new Uint8Array(1);
/** Calls with odd numbers, each followed by what breaks it off. */
const broken = (breakOff: (stream: number) => Uint8Array) =>
  join(
    ...Array.from({ length: 500 }, (_, i) => {
      return join(request(2 * i + 1, HEALTH_PATH), breakOff(2 * i + 1));
    }),
  );

/** Here nghttp2 is sooner to end it, as with all that breaks the rules. */
const BROKEN_BY_NODE = "calls that it makes the node break off";

/**
 * What to begin with, and what to send then as long as anybody takes it; and, where nghttp2 would
 * end it otherwise, how much of that HTTP/2's flow control is about, which is kept then.
 */
const FLOODS: Record<string, [beginning: Uint8Array, flood: Uint8Array, inData?: number]> = {
  "pings": [HELLO, repeat(ping(), 3_000)],
  "answers to pings that nobody sent": [HELLO, repeat(frame(6, 1, 0, new Uint8Array(8)), 3_000)],
  "settings": [HELLO, repeat(settings(), 6_000)],
  "window updates of the connection": [HELLO, repeat(windowUpdate(0, 1), 4_000)],
  "window updates of a stream": [join(HELLO, link), repeat(windowUpdate(1, 1), 4_000)],
  "priorities": [HELLO, repeat(priority(1), 4_000)],
  "data without any": [join(HELLO, link), repeat(data(1, new Uint8Array()), 6_000)],
  "data without any but padding": [
    join(HELLO, link),
    repeat(frame(0, 8, 1, new Uint8Array([9, ...new Uint8Array(9)])), 2_000),
    20_000,
  ],
  "data byte by byte": [
    join(HELLO, link, data(1, grpcMessage(one.subarray(1), { length: 15 * MIB }))),
    repeat(data(1, one), 2_000),
    2_000,
  ],
  "data in small pieces": [
    join(HELLO, link, data(1, grpcMessage(one.subarray(1), { length: 15 * MIB }))),
    repeat(data(1, new Uint8Array(20)), 1_000),
    20_000,
  ],
  "messages to a method that takes one": [
    join(HELLO, request(1, HEALTH_PATH)),
    data(1, repeat(grpcMessage(one.subarray(1)), 3_000)),
    15_000,
  ],
  "frames of a later version": [HELLO, repeat(frame(77, 0, 0, one), 6_000)],
  "goodbyes": [HELLO, repeat(goaway(0), 3_000)],
  "calls that are broken off": [HELLO, broken((stream) => reset(stream, 8))],
  [BROKEN_BY_NODE]: [HELLO, broken((stream) => windowUpdate(stream, 0))],
  "headers without an end": [
    join(HELLO, call(1, one.subarray(1), { isComplete: false })),
    repeat(continuation(1, manyHeaders(200)), 60),
  ],
  "headers without an end or anything": [
    join(HELLO, call(1, one.subarray(1), { isComplete: false })),
    repeat(continuation(1, new Uint8Array()), 6_000),
  ],
  "more headers than a call has": [HELLO, repeat(call(1, manyHeaders(150)), 10)],
  "headers that inflate": [HELLO, repeat(call(1, headerBomb(10_000)), 4)],
  "headers that inflate, and end within a field": [
    HELLO,
    call(1, join(headerBomb(10_000), new Uint8Array([0x40]))),
  ],
  "headers that inflate, without an end": [
    HELLO,
    call(1, headerBomb(10_000), { isComplete: false }),
  ],
};

for (const mode of MODES) {
  Deno.test(`${mode}, whoever floods is cut off at once, and again, and members are served`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    for (const [what, [beginning, flood, inData = 0]] of Object.entries(FLOODS)) {
      const times = await scene.honest.echoDuring((async () => {
        for (let i = 0; i < ROUNDS; i++) {
          using attacker = await scene.attack();
          await attacker.write(beginning);
          for (let sent = 0; sent < 4 * MIB && !attacker.isOver; sent += flood.length) {
            await attacker.writeAllowed(flood, inData);
          }
          assert(await attacker.endsWithin(5_000), `${what} are taken without end`);
        }
      })());
      assertLess(times, 100, `a member waits for its echo in a flood of ${what}, ms`);
    }
    const counted = Object.keys(FLOODS).filter((what) => what !== BROKEN_BY_NODE);
    assertEquals((await scene.report()).floods, ROUNDS * counted.length, "each was counted");
    await scene.assertUnharmed(before, 200);
  });
}

for (const mode of MODES) {
  Deno.test(`${mode}, pings and settings in small helpings are no way around that`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    // nghttp2 alone ends a connection where 1,000 wait for an answer, and counts no others.
    for (const [flood, answerBytes] of [[ping(), 17], [settings(), 9]] as const) {
      using attacker = await scene.attack();
      await attacker.write(HELLO);
      for (let round = 0; round < 20 && !attacker.isOver; round++) {
        const { received } = attacker;
        await attacker.write(repeat(flood, 500));
        await eventually(
          () => attacker.isOver || attacker.received - received >= 500 * answerBytes,
          { what: "the answers", intervalMs: 1 },
        );
      }
      assert(attacker.isOver, "10,000 were answered");
    }
    assertEquals((await scene.report()).floods, 2);
    await scene.assertUnharmed(before, 100);
  });

  Deno.test(`${mode}, whoever sends nothing but tiny messages is slowed down, and nobody else`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    using attacker = await scene.attack();
    await attacker.write(join(HELLO, link));
    const messages = data(1, repeat(grpcMessage(new Uint8Array(4)), 1_600));
    const startedAt = performance.now();
    const median = await scene.honest.echoDuring((async () => {
      while (performance.now() - startedAt < 500) {
        await attacker.writeAllowed(messages, messages.length - 9);
      }
    })());
    const { frames, floods } = await scene.report();
    const took = performance.now() - startedAt;
    attacker[Symbol.dispose]();
    assertLess(median, 50);
    // The honest ones among them are a few hundred.
    assertLess(frames - before.frames, 3_000 + 100 * took, "a hundred for each millisecond");
    assertEquals(floods, 0);
    await scene.assertUnharmed(before, 100);
  });

  Deno.test(`${mode}, messages that lie, are bombs, or too long are refused, and no others`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    const bomb = gzipSync(new Uint8Array(16 * MIB));
    const gzip = { "grpc-encoding": "gzip" };
    const compressed = grpcMessage(bomb, { isCompressed: true });
    const refused: [path: string, message: Uint8Array, headers: object, status: string][] = [
      [LINK_PATH, grpcMessage(one, { length: 2 ** 32 - 1 }), {}, RESOURCE_EXHAUSTED],
      [LINK_PATH, grpcMessage(one, { length: 200 * MIB }), {}, RESOURCE_EXHAUSTED],
      [HEALTH_PATH, grpcMessage(one, { length: 5 * MIB }), {}, RESOURCE_EXHAUSTED],
      // Nodes do not compress: a link takes nothing that is.
      [LINK_PATH, compressed, gzip, UNIMPLEMENTED],
      [HEALTH_PATH, compressed, gzip, RESOURCE_EXHAUSTED],
      [HEALTH_PATH, compressed, { "grpc-encoding": "brotli" }, UNIMPLEMENTED],
    ];
    for (const [path, message, headers, status] of refused) {
      // All at once, and as many as a connection takes: they must not add up.
      const statuses = await scene.withClient((session) =>
        Promise.all(Array.from({ length: 12 }, () => statusOf(session, path, message, headers)))
      );
      // A connection carries one link at a time.
      const allowed = path === LINK_PATH ? [status, RESOURCE_EXHAUSTED] : [status];
      assertEquals(statuses[0], status, `${message.length} bytes to ${path}`);
      assertEquals(statuses.filter((one) => !allowed.includes(one)), [], path);
    }
    await scene.honest.echo(5 * MIB);
    await scene.assertUnharmed(before, 250);
  });

  Deno.test(`${mode}, messages nested a hundred thousand deep are refused or ignored`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    for (const method of ["CollectTopology", "SendOpaqueStatus", "HealthCheck", "SendTensor"]) {
      for (const message of [nested(100_000), new Uint8Array(100_000).fill(0x0b)]) {
        const path = `/node_service.NodeService/${method}`;
        const median = await scene.honest.echoDuring(
          scene.withClient((session) => statusOf(session, path, grpcMessage(message))),
        );
        assertLess(median, 500, method);
      }
    }
    await scene.assertUnharmed(before, 150);
  });
}

Deno.test("frames of a link nested a hundred thousand deep are read in no time", () => {
  for (const bytes of [nested(100_000), nested(100_000, 2), new Uint8Array(100_000).fill(0x0b)]) {
    const startedAt = performance.now();
    try {
      decodeFrame(bytes);
    } catch (thrown) {
      assert(thrown instanceof NetworkError);
      assertEquals(thrown.code, "PROTOCOL");
    }
    assertLess(performance.now() - startedAt, 500);
  }
});

Deno.test("a call to an unknown method in front of a flood does not end the process", async () => {
  // Without the guard of the session: what came before the flood is answered behind its end.
  await using server = await startServer("guarded", "plain", {});
  let hasEnded = false;
  void server.process.status.then(() => hasEnded = true);
  for (let i = 0; i < 5; i++) {
    using attacker = await RawConnection.open(server.port);
    await attacker.write(join(HELLO, request(1, "/no.Such/Method"), repeat(ping(), 2_000)));
    assert(await attacker.endsWithin(5_000));
  }
  assert(!hasEnded, server.process.stderrText());
});

Deno.test("in the clear, clients without a link use up nothing that others need", async () => {
  await using scene = await Scene.open("in the clear");
  const before = await scene.report();
  const clients: RawConnection[] = [];
  for (let i = 0; i < 200; i++) {
    const client = await scene.attack();
    clients.push(client);
    await client.write(
      join(HELLO, request(1, HEALTH_PATH), data(1, grpcMessage(one.subarray(1)), true)),
    );
    // Before they have called they are strangers, of whom there may be as many.
    await eventually(() => client.received > GREETING_BYTES, { what: "an answer", intervalMs: 1 });
  }
  const open = () => clients.filter(({ isOver }) => !isOver);
  await eventually(() => open().length === 64, { what: "64 of 200 clients to be left" });
  assertEquals(open(), clients.slice(-64), "those that called last");
  for (const client of clients) client[Symbol.dispose]();
  assertEquals((await scene.report()).crowd, 136);
  await scene.assertUnharmed(before, 150);
});

Deno.test("in the clear, one host has so many links and no more, each on a connection of its own", async () => {
  await using scene = await Scene.open("in the clear");
  const before = await scene.report();
  const attackers: RawConnection[] = [];
  for (let i = 0; i < 150; i++) {
    const attacker = await scene.attack();
    attackers.push(attacker);
    await attacker.write(join(HELLO, link));
    await eventually(() => attacker.isOver || attacker.received > GREETING_BYTES, {
      what: "an answer",
      intervalMs: 1,
    });
  }
  const open = () => attackers.filter(({ isOver }) => !isOver);
  await eventually(() => open().length === 127, { what: "127 of 150 links to be left" });
  assertEquals((await scene.report()).links, 128, "and the honest one");
  await scene.honest.echo();
  for (const attacker of attackers) attacker[Symbol.dispose]();
  await scene.assertUnharmed(before, 200);
});

for (const mode of MODES) {
  Deno.test(`${mode}, calls whose answers nobody takes hold up nobody`, async () => {
    await using scene = await Scene.open(mode);
    const before = await scene.report();
    const attackers: RawConnection[] = [];
    const question = data(1, grpcMessage(one.subarray(1)), true).subarray(9);
    const questions = (path: string) =>
      Array.from({ length: 16 }, (_, i) => {
        return join(request(2 * i + 1, path), data(2 * i + 1, question, true));
      });
    const topology = "/node_service.NodeService/CollectTopology";
    const noWindow = join(PREFACE, initialWindow(0));
    for (let i = 0; i < 40; i++) {
      const reads = i % 2 === 0;
      const attacker = await scene.attack({ reads });
      attackers.push(attacker);
      // The one half gives no window, the other one does not even read that.
      await attacker.write(join(reads ? noWindow : HELLO, ...questions(topology)));
      await attacker.write(join(...questions(HEALTH_PATH)).subarray(0, 500));
    }
    for (let i = 0; i < 20; i++) assertLess(await scene.honest.echo(), 1_000);
    for (const attacker of attackers) attacker[Symbol.dispose]();
    await scene.assertUnharmed(before, 150);
  });
}

Deno.test("what real clients send is far from any limit", async () => {
  await using scene = await Scene.open("with keys");
  const before = await scene.report();
  // As fast as one after the other go, which is faster than anybody asks for health.
  await scene.withClient(async (session) => {
    for (let i = 0; i < 500; i++) {
      assertEquals(await statusOf(session, HEALTH_PATH, grpcMessage(one.subarray(1))), "0");
    }
  });
  for (let i = 0; i < 500; i++) await scene.honest.echo();
  for (let i = 0; i < 20; i++) await scene.honest.echo(MIB);
  const links = await Promise.all(Array.from({ length: 20 }, () => scene.link()));
  await Promise.all(links.map((link) => link.echo(100_000)));
  const { floods, crowd } = await scene.report();
  assertEquals([floods, crowd], [0, 0]);
  await scene.assertUnharmed(before, 300);
});

const python = await findPythonWithGrpc();

Deno.test({
  name: "a client in C may break off what was answered early, and send long metadata again",
  ignore: skipUnless(python !== undefined, "no Python with grpcio"),
  fn: async () => {
    await using scene = await Scene.open("in the clear");
    const { stdout } = await new Deno.Command(python!, {
      args: [
        fileURLToPath(new URL("../../tests/link/http2/legal_client.py", import.meta.url)),
        `${scene.port}`,
      ],
      stderr: "null",
    }).output();
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
      HealthCheck: { OK: 500 },
      SendResult: { OK: 400 },
      SendTensor: { UNIMPLEMENTED: 400 },
    });
    assertEquals((await scene.report()).floods, 0);
  },
});

/** The `grpc-status` of a call that sends this message, whatever the session makes of the rest. */
function statusOf(
  session: http2.ClientHttp2Session,
  path: string,
  message: Uint8Array,
  headers: object = {},
): Promise<string> {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  return new Promise((resolve, reject) => {
    for (const event of ["response", "trailers"]) {
      stream.on(event, (headers: http2.IncomingHttpHeaders) => {
        const status = headers["grpc-status"];
        if (status !== undefined) resolve(String(status));
      });
    }
    stream.on("error", reject);
    stream.resume();
    stream.end(message);
  });
}

/** Field 1 in field 1 in field 1 … */
function nested(depth: number, field = 1): Uint8Array {
  // From the inside out, so each length is known: the bytes come in reverse.
  const reversed: number[] = [];
  for (let i = 0; i < depth; i++) {
    const length: number[] = [];
    for (let rest = reversed.length; rest > 0 || length.length === 0; rest >>>= 7) {
      length.push(rest & 0x7f | (rest > 0x7f ? 0x80 : 0));
    }
    reversed.push(...length.reverse(), field << 3 | 2);
  }
  return new Uint8Array(reversed.reverse());
}
