/** What waits to be sent on a link to somebody who does not take it. */

import { assert, assertEquals } from "@std/assert";
import { MAX_BODY_BYTES } from "../../src/link/call.ts";
import { Kind } from "../../src/link/frame.ts";
import type { FrameStream } from "../../src/link/frame_stream.ts";
import { Outbox } from "../../src/link/outbox.ts";

/** An outbox to somebody who takes one frame, and how often it was told that this is too much. */
function stalled(): { outbox: Outbox; told: () => number } {
  let told = 0;
  const stream: FrameStream = {
    remoteHost: "10.0.0.1",
    credential: undefined,
    start() {},
    send: () => false,
    close() {},
    reset() {},
  };
  const idle = { running: 0, queued: 0, slots: 1, callsReceived: 0 };
  return { outbox: new Outbox(stream, () => idle, () => told++), told: () => told };
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
