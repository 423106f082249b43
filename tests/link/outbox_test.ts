/** What waits to be sent on a link to somebody who does not take it. */

import { assert, assertEquals } from "@std/assert";
import { MAX_BODY_BYTES } from "../../src/link/call.ts";
import { Kind } from "../../src/link/frame.ts";
import type { FrameStream } from "../../src/link/frame_stream.ts";
import { decodeFrame } from "../../src/link/frame_codec.ts";
import { Outbox } from "../../src/link/outbox.ts";

const IDLE = { running: 0, queued: 0, slots: 1, callsReceived: 0, modelCalls: 0 };

const TAKES_ALL: FrameStream = {
  remoteHost: "10.0.0.1",
  credential: undefined,
  start() {},
  send: () => true,
  close() {},
  reset() {},
};

/** An outbox to somebody who takes one frame, and how often it was told that this is too much. */
function stalled(): { outbox: Outbox; told: () => number } {
  let told = 0;
  const outbox = new Outbox({
    stream: { ...TAKES_ALL, send: () => false },
    load: () => IDLE,
    callsWaiting: () => 0,
    onUntaken: () => told++,
  });
  return { outbox, told: () => told };
}

const body = new Uint8Array(MAX_BODY_BYTES);

Deno.test("who asks on and on and takes no answer is too much at a quarter of a gibibyte", () => {
  const { outbox, told } = stalled();
  // The first goes out.
  for (let call = 0; call < 17; call++) outbox.post({ kind: Kind.End, call, body });
  assertEquals(told(), 1);
  outbox.close();
});

Deno.test("pings that are answered and not taken are too much some time", () => {
  const { outbox, told } = stalled();
  let count = 0;
  while (told() === 0 && count < 100_000_000) {
    outbox.post({ kind: Kind.Pong, call: 2 ** 40 + count++ });
  }
  assert(told() > 0);
  outbox.close();
});

Deno.test("calls of this side wait for as long as they like, however much they are", () => {
  const { outbox, told } = stalled();
  for (let call = 1; call < 40; call += 2) {
    outbox.post({ kind: Kind.Call, call, method: "x", body });
  }
  assertEquals(told(), 0);
  outbox.close();
});

/** How many calls leave together when `answered` of those in flight call again. */
async function framesOf(inFlight: number, answered: number): Promise<number[]> {
  const sizes: number[] = [];
  let waiting = 0;
  const outbox = new Outbox({
    stream: { ...TAKES_ALL, send: (frame) => sizes.push(decodeFrame(frame).messages.length) > 0 },
    load: () => IDLE,
    callsWaiting: () => waiting,
    onUntaken() {},
  });
  for (let round = 0; round < 10; round++) {
    waiting = Math.max(0, waiting - answered);
    sizes.length = 0;
    while (waiting < inFlight) {
      outbox.post({ kind: Kind.Call, call: 2 * waiting++ + 1, method: "x" });
    }
    await Promise.resolve();
  }
  outbox.close();
  return sizes;
}

Deno.test("calls leave a third of those in flight at a time, so that neither side rests", async () => {
  assertEquals(await framesOf(2, 2), [2]);
  assertEquals(await framesOf(8, 8), [4, 4]);
  assertEquals(await framesOf(30, 10), [10]);
  assertEquals(await framesOf(30, 20), [10, 10]);
  const many = await framesOf(300, 300);
  assert(many.length <= 4 && Math.max(...many) <= 100, `${many}`);
});
