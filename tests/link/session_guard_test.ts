/** What one connection of HTTP/2 may make a node do: counted before nghttp2 reads it. */

import { assert, assertEquals } from "@std/assert";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { FrameScanner, type ScannedFrame } from "../../src/link/frame_scanner.ts";
import { HeaderEstimate } from "../../src/link/header_block.ts";
import { messageLimits } from "../../src/link/message_limits.ts";
import { type Excess, guardSession, SessionGuard } from "../../src/link/session_guard.ts";
import { eventually } from "../support/eventually.ts";
import { frame, join, message, ping, PREFACE, request, reset } from "./goaway/frames.ts";
import { call, continuation, data, headerBomb, manyHeaders, repeat } from "./http2/frames.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** What a scanner tells of these pieces. */
function scan(pieces: Iterable<Uint8Array>): { frames: ScannedFrame[]; blocks: string[] } {
  const frames: ScannedFrame[] = [];
  const blocks: string[] = [];
  const scanner = new FrameScanner({
    onFrame: (frame) => frames.push(frame),
    onHeaders: (block) => blocks.push(Buffer.from(block).toString("hex")),
  });
  for (const piece of pieces) scanner.push(piece);
  assertEquals(scanner.headerBytes, 0);
  return { frames, blocks };
}

Deno.test("frames and blocks of headers are the same however the bytes are cut", () => {
  const random = seededRandom(9113);
  const padded = join(new Uint8Array([3]), text("block"), new Uint8Array(3));
  const both = join(new Uint8Array([2, 0, 0, 0, 0, 16]), text("block"), new Uint8Array(2));
  const bytes = join(
    PREFACE,
    ping(),
    frame(1, 4 | 8, 1, padded),
    message(1),
    frame(1, 4 | 8 | 32, 3, both),
    frame(1, 0, 5, text("bl")),
    continuation(5, text("o")),
    continuation(5, new Uint8Array()),
    frame(9, 4, 5, text("ck")),
    data(5, new Uint8Array(20_000)),
    reset(5, 8),
  );
  const whole = scan([bytes]);
  assertEquals(whole.frames.map(({ type }) => type), [6, 1, 0, 1, 1, 9, 9, 9, 0, 3]);
  assertEquals(whole.blocks, Array(3).fill(Buffer.from("block").toString("hex")));
  for (let round = 0; round < 200; round++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + Math.floor(random.next() * (round % 4 === 0 ? 3 : 3_000));
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    assertEquals(scan(pieces), whole);
  }
});

Deno.test("headers are weighed by what they come to, those that were sent before as well", () => {
  const estimate = new HeaderEstimate();
  const usual = request(1, "/a.B/C").subarray(9);
  assertEquals(estimate.of(usual)?.fields, 6);
  assertEquals(estimate.of(manyHeaders(150)), { fields: 150, bytes: 300 });
  const bomb = estimate.of(headerBomb(1_000))!;
  assertEquals([bomb.fields, bomb.bytes > 1_000 * 4_000], [1_001, true]);
  // It counts for later blocks of the connection, too, and for no other connection.
  const reference = new Uint8Array([0xbe]);
  assert(estimate.of(reference)!.bytes > 4_000);
  assertEquals(new HeaderEstimate().of(reference), { fields: 1, bytes: 0 });
  // Changes of the table's size, and a value in Huffman's code.
  assertEquals(estimate.of(new Uint8Array([0x3f, 0xe1, 0x1f])), { fields: 0, bytes: 0 });
  assertEquals(estimate.of(new Uint8Array([0x00, 1, 0x61, 0x85, 1, 2, 3, 4, 5]))?.bytes, 9);
});

Deno.test("headers of any content at all are weighed or not, and end nothing", () => {
  const random = seededRandom(7541);
  let read = 0;
  for (let round = 0; round < 5_000; round++) {
    const block = random.fill(new Uint8Array(Math.floor(random.next() * 40)));
    if (new HeaderEstimate().of(block) !== undefined) read++;
  }
  assert(read > 100 && read < 4_900, `${read} could be read`);
});

Deno.test("pings are free up to a number, which comes back with time, calls and answers", async () => {
  const clock = new ManualClock();
  const guard = new SessionGuard(clock);
  const pings = (count: number, bytesSent = 0) => guard.take(repeat(ping(), count), bytesSent);
  assertEquals([guard.take(PREFACE, 0), pings(200)], [undefined, undefined]);
  await clock.advance(1_000);
  assertEquals(pings(100), undefined, "a second later");
  assertEquals(pings(1_000, 64_000), undefined, "for a thousand short answers");
  guard.take(repeat(call(1, new Uint8Array()), 100), 64_000);
  assertEquals(pings(400, 64_000), undefined, "for a hundred calls");
  assertEquals(pings(1, 64_000), "idle-work");
  assertEquals(guard.take(new Uint8Array(), 2 ** 30), "idle-work", "once too much is too much");
});

Deno.test("what was not used is kept only up to a bound, however long a link has lived", async () => {
  const clock = new ManualClock();
  const guard = new SessionGuard(clock);
  guard.take(PREFACE, 0);
  await clock.advance(3_600_000);
  assertEquals(guard.take(repeat(ping(), 4_000), 2 ** 40), undefined);
  assertEquals(guard.take(repeat(ping(), 4_000), 2 ** 40), "idle-work");
});

Deno.test("a connection that has much waiting for it and goes on asking is ended, once", () => {
  const ends: Excess[] = [];
  const seen: number[] = [];
  const socket = Object.assign(new EventEmitter(), { writableLength: 0, bytesWritten: 0 });
  guardSession(socket as unknown as Socket, new ManualClock(), (excess) => ends.push(excess));
  socket.on("data", (chunk: Uint8Array) => seen.push(chunk.length));
  socket.emit("data", PREFACE);
  socket.writableLength = 65 * 2 ** 20;
  for (let i = 0; i < 2; i++) socket.emit("data", ping());
  assertEquals([ends, seen], [["unread"], [PREFACE.length]]);
});

Deno.test("messages that never end hold so much memory together, and the greatest has to go", async () => {
  const limits = messageLimits(() => ({ maxBytes: 8 * 2 ** 20, compressed: false }), 2 ** 20);
  const server = new grpc.Server({ interceptors: [limits] });
  const asIs = (bytes: Buffer) => bytes;
  const path = "/test.Test/Take";
  const taken: number[] = [];
  server.addService({
    Take: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  }, {
    Take(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", ({ length }: Buffer) => taken.push(length));
      call.on("error", () => {});
      call.on("end", () => call.end());
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
  const open = (bytes: number) => {
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, asIs, asIs);
    let status: number | undefined;
    call.on("data", () => {});
    call.on("error", () => {});
    call.on("status", ({ code }: grpc.StatusObject) => status = code);
    call.write(Buffer.alloc(bytes));
    return { call, client, status: () => status };
  };
  const small = open(300_000);
  await eventually(() => taken.length === 1, { what: "a message that fits" });
  // Its message is longer than all that may be held.
  const great = open(6 * 2 ** 20);
  await eventually(() => great.status() !== undefined, { what: "the end of the greatest" });
  assertEquals(great.status(), grpc.status.UNAVAILABLE);
  small.call.write(Buffer.alloc(400_000));
  await eventually(() => taken.length === 2, { what: "another message of the small one" });
  small.call.end();
  await eventually(() => small.status() === grpc.status.OK, { what: "its end" });
  assertEquals(taken, [300_000, 400_000]);
  for (const { client } of [small, great]) client.close();
  server.forceShutdown();
});
