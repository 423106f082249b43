/** Frames of a link on a real socket, more than two nodes ever send: they wait. */

import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { eventually } from "../support/eventually.ts";
import { type End, endOf } from "./transport_suite.ts";

const AT_ONCE = 2_001;
/** In a rest of ten milliseconds. */
const MORE = 1_001;

for (const dialled of [false, true]) {
  const side = dialled ? "dials" : "listens";
  Deno.test(`whoever ${side} takes so many frames at once, and then as many as time allows`, async () => {
    const clock = new ManualClock();
    let far: End | undefined;
    const listener = await grpcTransport(dialled ? {} : { clock })
      .listen({ host: "127.0.0.1", port: 0 }, (stream) => {
        far = endOf(stream);
        far.start();
      });
    const near = endOf(
      await grpcTransport(dialled ? { clock } : {})
        .dial({ host: "127.0.0.1", port: listener.address.port }, new AbortController().signal),
    );
    near.start();
    const [sender, taker] = dialled ? [far!, near] : [near, far!];
    for (let i = 0; i < 5_000; i++) sender.stream.send(new Uint8Array([i & 0xff, 0, 0, 0]));
    const taken = (count: number) =>
      eventually(() => taker.frames.length === count, { what: `${count} frames` });
    await taken(AT_ONCE);
    // Many more have come, and another direction is not held up.
    taker.stream.send(new Uint8Array(4));
    await eventually(() => sender.frames.length === 1, { what: "a frame the other way" });
    assertEquals(taker.frames.length, AT_ONCE);
    await clock.advance(10);
    await taken(AT_ONCE + MORE);
    await clock.advance(10);
    await taken(AT_ONCE + 2 * MORE);
    await clock.advance(1_000);
    await taken(5_000);
    assert(taker.frames.every(([byte], i) => byte === (i & 0xff)), "in order");

    // One that ends in a rest ends.
    for (let i = 0; i < 5_000; i++) sender.stream.send(new Uint8Array(4));
    await eventually(() => taker.frames.length > 6_000, { what: "another rest" });
    taker.stream.reset();
    assertEquals(taker.closes.length, 1);
    await listener.close();
    await eventually(() => sender.closes.length === 1, { what: "the end" });
  });
}
