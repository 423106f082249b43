/** What one connection of HTTP/2 may make a node do: counted before nghttp2 reads it. */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { FrameScanner, type ScannedFrame } from "../../src/link/frame_scanner.ts";
import { HeaderEstimate } from "../../src/link/header_block.ts";
import { type Excess, guardSession, SessionGuard } from "../../src/link/session_guard.ts";
import { eventually } from "../support/eventually.ts";
import { frame, join, message, ping, PREFACE, request, reset } from "./goaway/frames.ts";
import { call, continuation, data, headerBomb, manyHeaders, repeat } from "./http2/frames.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** What a scanner tells of these pieces. */
function scan(pieces: Iterable<Uint8Array>): { frames: ScannedFrame[]; blocks: string[] } {
  const frames: ScannedFrame[] = [];
  const blocks: string[] = [];
  let block = "";
  const scanner = new FrameScanner({
    onFrame: (frame) => frames.push(frame),
    onHeaders: (fragment) => block += Buffer.from(fragment).toString("latin1"),
    onHeadersEnd() {
      blocks.push(block);
      block = "";
    },
  });
  for (const piece of pieces) scanner.push(piece);
  assertEquals(block, "");
  return { frames, blocks };
}

/** Some bytes in pieces of all lengths, other ones each time. */
function* cut(bytes: Uint8Array, random: { next(): number }, most: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + Math.floor(random.next() * most);
    yield bytes.subarray(at, end);
    at = end;
  }
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
    frame(0, 8, 5, new Uint8Array([3, 0, 0, 0])),
    reset(2 ** 31 - 1, 8),
  );
  const whole = scan([bytes]);
  assertEquals(whole.frames.map(({ type }) => type), [6, 1, 0, 1, 1, 9, 9, 9, 0, 0, 3]);
  assertEquals(whole.frames.map(({ stream }) => stream), [
    0,
    1,
    1,
    3,
    5,
    5,
    5,
    5,
    5,
    5,
    2 ** 31 - 1,
  ]);
  const carried = [8, 5, 8, 10, 2, 1, 0, 2, 20_000, 0, 4];
  assertEquals(whole.frames.map(({ length }) => length), carried, "without padding");
  assertEquals(whole.blocks, ["block", "block", "block"]);
  for (let round = 0; round < 200; round++) {
    assertEquals(scan(cut(bytes, random, round % 4 === 0 ? 3 : 3_000)), whole);
  }
});

Deno.test("headers are weighed by what they come to, those that were sent before as well", () => {
  const estimate = new HeaderEstimate();
  /** Of one block. */
  const costOf = (block: Uint8Array) => {
    const cost = estimate.push(block);
    assert(estimate.end());
    return cost;
  };
  assertEquals(costOf(request(1, "/a.B/C").subarray(9))?.fields, 6);
  assertEquals(costOf(manyHeaders(150)), { fields: 150, bytes: 300 });
  assertEquals(costOf(headerBomb(1_000)), { fields: 1_001, bytes: 1_001 * 4_001 });
  // It counts for later blocks of the connection, too, and for no other connection.
  const newest = new Uint8Array([0xbe]);
  assertEquals(costOf(newest), { fields: 1, bytes: 4_001 });
  assertEquals(new HeaderEstimate().push(newest), undefined);
  // A name that was sent before, and a value in Huffman's code.
  assertEquals(costOf(new Uint8Array([0x7e, 0x85, 1, 2, 3, 4, 5])), { fields: 1, bytes: 9 });
});

Deno.test("of headers that were sent before the table's own length counts, and no other", () => {
  const estimate = new HeaderEstimate();
  const long = literal("k".repeat(2_900));
  const short = Array.from({ length: 20 }, (_, i) => literal(`v${i}`));
  assertEquals(estimate.push(join(long, ...short))?.fields, 21);
  assert(estimate.end());
  const again = new Uint8Array(21).map((_, i) => 0xbe + i);
  assertEquals(estimate.push(again), { fields: 21, bytes: 2_901 + 10 * 3 + 10 * 4 });
  assert(estimate.end());
  // What comes then lets the table forget the oldest, which is the long one.
  estimate.push(join(literal("w".repeat(500)), literal("x".repeat(100))));
  assert(estimate.end());
  assertEquals(estimate.push(again), { fields: 21, bytes: 101 + 501 + 10 * 4 + 9 * 3 });
});

Deno.test("what the table cannot have cannot be referred to", () => {
  const tooLong = literal("z".repeat(4_064));
  const noTable = new Uint8Array([0x20]);
  for (const before of [new Uint8Array(), tooLong, join(literal("a"), noTable)]) {
    const estimate = new HeaderEstimate();
    assert(estimate.push(before) !== undefined);
    assertEquals(estimate.push(new Uint8Array([0xbe])), undefined);
  }
  assertEquals(new HeaderEstimate().push(new Uint8Array([0x80])), undefined, "there is no zeroth");
  // A table of 4,096 bytes is offered, and one of 4,097 asked for.
  const changed = (low: number) => new HeaderEstimate().push(new Uint8Array([0x3f, low, 0x1f]));
  assertEquals([changed(0xe1), changed(0xe2)], [{ fields: 0, bytes: 0 }, undefined]);
});

Deno.test("headers are weighed as they come, however they are cut", () => {
  const random = seededRandom(7541);
  const block = join(request(1, "/a.B/C").subarray(9), manyHeaders(20), headerBomb(50));
  const whole = new HeaderEstimate().push(block);
  for (let round = 0; round < 100; round++) {
    const estimate = new HeaderEstimate();
    let cost;
    for (const piece of cut(block, random, 1 + round)) cost = estimate.push(piece);
    assertEquals(cost, whole);
    assert(estimate.end());
  }
});

Deno.test("headers of any content at all are weighed or not, and end nothing", () => {
  const random = seededRandom(7541);
  let read = 0;
  for (let round = 0; round < 5_000; round++) {
    const block = random.fill(new Uint8Array(Math.floor(random.next() * 40)));
    const estimate = new HeaderEstimate();
    if (estimate.push(block) !== undefined && estimate.end()) read++;
  }
  assert(read > 100 && read < 4_900, `${read} could be read`);
});

Deno.test("a bomb of headers is one at its first bytes, with an end or without", () => {
  const truncated = call(1, join(headerBomb(10_000), new Uint8Array([0x40])));
  const halfRead = call(1, headerBomb(10_000)).subarray(0, 5_000);
  const unended = call(1, headerBomb(100), { isComplete: false });
  const inPieces = join(
    call(1, headerBomb(40), { isComplete: false }),
    continuation(1, new Uint8Array(40).fill(0xbe)),
  );
  const unreadable = call(1, new Uint8Array(7).fill(0xff), { isComplete: false });
  const cutField = call(1, new Uint8Array([0x40, 1]));
  for (const bomb of [truncated, halfRead, unended, inPieces, unreadable, cutField]) {
    assertEquals(new SessionGuard(new ManualClock()).take(join(PREFACE, bomb)), "headers");
  }
});

Deno.test("metadata that a real client sends again and again is no bomb", async () => {
  const guard = new SessionGuard(new ManualClock());
  let excess: Excess | undefined;
  let calls = 0;
  const count = new FrameScanner({
    onFrame() {},
    onHeaders() {},
    onHeadersEnd: () => void calls++,
  });
  const server = net.createServer((socket) => {
    socket.on("data", (chunk: Uint8Array) => {
      excess = guard.take(chunk);
      count.push(chunk);
    });
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const client = http2.connect(`http://127.0.0.1:${port}`);
  const metadata = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`x-field-${i}`, `v${i}`]),
  );
  for (let i = 0; i < 50; i++) {
    client.request({ ":path": "/x", "x-token": "k".repeat(2_900), "x-call": `${i}`, ...metadata })
      .on("error", () => {});
  }
  await eventually(() => calls === 50, { what: "all calls" });
  assertEquals(excess, undefined);
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("a call that was answered may be broken off, and no other so often", () => {
  const legal = new SessionGuard(new ManualClock());
  legal.take(PREFACE);
  for (let stream = 1; stream < 10_000; stream += 2) {
    assertEquals(legal.take(request(stream, "/a.B/C")), undefined);
    legal.answered(stream);
    assertEquals(legal.take(reset(stream, 8)), undefined);
  }
  const rapid = new SessionGuard(new ManualClock());
  rapid.take(PREFACE);
  let calls = 0;
  for (let isCut = false; !isCut && calls < 1_000; calls++) {
    const stream = 2 * calls + 1;
    isCut = rapid.take(join(request(stream, "/a.B/C"), reset(stream, 8))) !== undefined;
    // Too late: an answer to nobody, which allows for nothing.
    rapid.answered(stream);
  }
  assertEquals(calls, 201);
});

Deno.test("headers in tiny pieces are idle work: those of gRPC fit into one frame", () => {
  const guard = new SessionGuard(new ManualClock());
  guard.take(join(PREFACE, call(1, new Uint8Array(), { isComplete: false })));
  // Each changes the size of the table, which is nothing at all.
  const piece = continuation(1, new Uint8Array([0x20]));
  assertEquals(guard.take(repeat(piece, 204)), undefined);
  assertEquals(guard.take(piece), "idle-work");
});

Deno.test("data that is none, or in tiny pieces, is idle work", () => {
  const padded = (bytes: number) =>
    frame(0, 8, 1, join(new Uint8Array([200]), new Uint8Array(bytes + 200)));
  for (const [tiny, enough] of [[0, 9], [8, 9]]) {
    for (const piece of [(bytes: number) => data(1, new Uint8Array(bytes)), padded]) {
      const guard = new SessionGuard(new ManualClock());
      guard.take(PREFACE);
      assertEquals(guard.take(repeat(piece(enough), 1_000)), undefined);
      assertEquals(guard.take(repeat(piece(tiny), 200)), undefined);
      assertEquals(guard.take(piece(tiny)), "idle-work");
    }
  }
});

Deno.test("more frames of data than a link may send are too many, whatever they carry", async () => {
  const clock = new ManualClock();
  const guard = new SessionGuard(clock);
  guard.take(PREFACE);
  const pieces = repeat(data(1, new Uint8Array(40)), 20_000);
  for (let i = 0; i < 5; i++) assertEquals(guard.take(pieces), undefined);
  for (let second = 0; second < 50; second++) {
    await clock.advance(100);
    assertEquals(guard.take(pieces), undefined, "200,000 a second");
  }
  assertEquals(guard.take(data(1, new Uint8Array(40))), "pieces");
});

Deno.test("pings are free up to a number, which comes back with time, calls and answers", async () => {
  const clock = new ManualClock();
  const guard = new SessionGuard(clock);
  const pings = (count: number) => guard.take(repeat(ping(), count));
  assertEquals([guard.take(PREFACE), pings(200)], [undefined, undefined]);
  await clock.advance(1_000);
  assertEquals(pings(100), undefined, "a second later");
  guard.earnFor(64_000);
  assertEquals(pings(1_000), undefined, "for a thousand short answers");
  guard.take(repeat(call(1, new Uint8Array()), 100));
  assertEquals(pings(400), undefined, "for a hundred calls");
  for (let i = 0; i < 100; i++) guard.earnForMessage();
  assertEquals(pings(400), undefined, "for a hundred pieces of answers");
  assertEquals(pings(1), "idle-work");
  guard.earnFor(2 ** 30);
  assertEquals(guard.take(new Uint8Array()), "idle-work", "once too much is too much");
});

Deno.test("what was not used is kept only up to a bound, however long a link has lived", async () => {
  const clock = new ManualClock();
  const guard = new SessionGuard(clock);
  guard.take(PREFACE);
  await clock.advance(3_600_000);
  guard.earnFor(2 ** 40);
  assertEquals(guard.take(repeat(ping(), 4_000)), undefined);
  assertEquals(guard.take(ping()), "idle-work");
});

Deno.test("a connection that has much waiting for it and goes on asking is ended, once", () => {
  const ends: Excess[] = [];
  const seen: number[] = [];
  const socket = Object.assign(new EventEmitter(), { writableLength: 0, bytesWritten: 0 });
  guardSession(socket as unknown as net.Socket, new ManualClock(), (excess) => ends.push(excess));
  socket.on("data", (chunk: Uint8Array) => seen.push(chunk.length));
  socket.emit("data", PREFACE);
  socket.writableLength = 65 * 2 ** 20;
  for (let i = 0; i < 2; i++) socket.emit("data", ping());
  assertEquals([ends, seen], [["unread"], [PREFACE.length]]);
});

/** A header that is kept, with a name of one letter. */
function literal(value: string): Uint8Array {
  const rest = value.length - 127;
  const length = rest < 0 ? [value.length] : [127, rest & 0x7f | 0x80, rest >> 7];
  return join(new Uint8Array([0x40, 1, 0x61, ...length]), text(value));
}
