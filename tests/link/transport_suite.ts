/** What every `LinkTransport` must do, whatever it is made of. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import type {
  Address,
  FrameListener,
  FrameStream,
  LinkTransport,
} from "../../src/link/frame_stream.ts";

/** A transport, and where to try it. */
export interface LinkBed {
  /** Of the side that listens. */
  readonly server: LinkTransport;
  /** Of the side that dials; how the server sees it is {@linkcode clientHost}. */
  readonly client: LinkTransport;
  readonly serverHost: string;
  readonly clientHost: string;
  /** Lets time pass until `promise` settles: real time, or the test's own. */
  wait<T>(promise: Promise<T>): Promise<T>;
  /** Waits until `check` holds. */
  until(what: string, check: () => boolean): Promise<void>;
  /** What a dial that came to nothing leaves behind for a while is gone when this resolves. */
  afterFailedDials(): Promise<void>;
}

/** One end of a stream, with what has happened at it. */
export interface End {
  readonly stream: FrameStream;
  readonly frames: Uint8Array[];
  /** One for each `onClose`: there must never be a second. */
  readonly closes: (NetworkError | undefined)[];
  drains: number;
  started: boolean;
  start(): void;
}

const MIB = 1024 * 1024;

/** Keeps what a stream tells. */
export function endOf(stream: FrameStream): End {
  const end: End = {
    stream,
    frames: [],
    closes: [],
    drains: 0,
    started: false,
    start() {
      end.started = true;
      stream.start({
        onFrame: (frame) => end.frames.push(frame),
        onDrain: () => end.drains++,
        onClose: (error) => end.closes.push(error),
      });
    },
  };
  return end;
}

/** A listener and the streams to it. */
class Fixture {
  readonly bed: LinkBed;
  readonly accepted: End[] = [];
  listener!: FrameListener;
  readonly #dialled: End[] = [];

  constructor(bed: LinkBed) {
    this.bed = bed;
  }

  async listen(port = 0): Promise<Address> {
    const accept = (stream: FrameStream) => void this.accepted.push(endOf(stream));
    this.listener = await this.bed.wait(
      this.bed.server.listen({ host: this.bed.serverHost, port }, accept),
    );
    return this.listener.address;
  }

  async dial(address = this.listener.address): Promise<End> {
    const { signal } = new AbortController();
    const end = endOf(await this.bed.wait(this.bed.client.dial(address, signal)));
    this.#dialled.push(end);
    return end;
  }

  /** Both ends of a new stream, started. */
  async open(): Promise<{ near: End; far: End }> {
    if (this.listener === undefined) await this.listen();
    const count = this.accepted.length;
    const near = await this.dial();
    await this.bed.until("the stream to be accepted", () => this.accepted.length > count);
    const far = this.accepted.at(-1)!;
    near.start();
    far.start();
    return { near, far };
  }

  /** Closing the listener ends every stream, so that the test leaves nothing behind. */
  async close(): Promise<void> {
    await this.listener?.close();
    for (const end of this.#dialled) {
      if (!end.started) end.start();
      await this.bed.until("the streams to end", () => end.closes.length > 0);
    }
  }
}

/** Registers the suite for one transport. */
export function testLinkTransport(name: string, makeBed: () => LinkBed): void {
  const test = (what: string, fn: (fixture: Fixture, bed: LinkBed) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      const fixture = new Fixture(makeBed());
      try {
        await fn(fixture, fixture.bed);
      } catch (thrown) {
        await fixture.close().catch(() => {});
        throw thrown;
      }
      await fixture.close();
    });

  test("frames arrive whole and in order, both ways at once", async (fixture, bed) => {
    const { near, far } = await fixture.open();
    for (let i = 0; i < 500; i++) {
      near.stream.send(bytesOf(`to ${i}`));
      far.stream.send(bytesOf(`back ${i}`));
    }
    await bed.until("all frames", () => near.frames.length === 500 && far.frames.length === 500);
    assertEquals(far.frames.map(textOf), Array.from({ length: 500 }, (_, i) => `to ${i}`));
    assertEquals(near.frames.map(textOf), Array.from({ length: 500 }, (_, i) => `back ${i}`));
  });

  test("each side sees the other one's host", async (fixture, bed) => {
    const { near, far } = await fixture.open();
    assertEquals(near.stream.remoteHost, bed.serverHost);
    assertEquals(far.stream.remoteHost, bed.clientHost);
  });

  test(
    "a frame of a mebibyte, one of a byte and an empty one arrive as they were",
    async (fixture, bed) => {
      const { near, far } = await fixture.open();
      const large = new Uint8Array(MIB).map((_, i) => i % 251);
      for (const { stream } of [near, far]) {
        for (const frame of [large, new Uint8Array([7]), new Uint8Array(0), large]) {
          stream.send(frame);
        }
      }
      for (const { frames } of [near, far]) {
        await bed.until("all frames", () => frames.length === 4);
        // Compared as text: a difference would print a million lines.
        assertEquals(frames.map((frame) => frame.length), [MIB, 1, 0, MIB]);
        for (const i of [0, 3]) assert(frames[i].every((byte, at) => byte === large[at]));
        assertEquals(frames[1][0], 7);
      }
    },
  );

  test("several streams to one listener do not mix", async (fixture, bed) => {
    const pairs = [await fixture.open(), await fixture.open(), await fixture.open()];
    for (const [i, { near, far }] of pairs.entries()) {
      near.stream.send(bytesOf(`to ${i}`));
      far.stream.send(bytesOf(`back ${i}`));
    }
    for (const [i, { near, far }] of pairs.entries()) {
      await bed.until("both frames", () => near.frames.length + far.frames.length === 2);
      assertEquals([textOf(near.frames[0]), textOf(far.frames[0])], [`back ${i}`, `to ${i}`]);
    }
  });

  test("frames that arrive before start() are not lost", async (fixture, bed) => {
    await fixture.listen();
    const near = await fixture.dial();
    await bed.until("the stream to be accepted", () => fixture.accepted.length === 1);
    const [far] = fixture.accepted;
    near.stream.send(bytesOf("early"));
    far.stream.send(bytesOf("early back"));
    // Another stream that has been there and back: by then the early frames have arrived.
    const other = await fixture.open();
    other.near.stream.send(bytesOf("marker"));
    await bed.until("the marker", () => other.far.frames.length === 1);
    assertEquals([near.frames, far.frames], [[], []]);
    near.start();
    far.start();
    near.stream.send(bytesOf("late"));
    await bed.until("the frames", () => far.frames.length === 2 && near.frames.length === 1);
    assertEquals(far.frames.map(textOf), ["early", "late"]);
    assertEquals(near.frames.map(textOf), ["early back"]);
  });

  for (const who of ["dialler", "acceptor"] as const) {
    test(
      `when the ${who} closes, what was sent still arrives and both sides are told once`,
      async (fixture, bed) => {
        const { near, far } = await fixture.open();
        const [closing, other] = who === "dialler" ? [near, far] : [far, near];
        for (let i = 0; i < 20; i++) closing.stream.send(new Uint8Array(64 * 1024));
        closing.stream.send(bytesOf("goodbye"));
        closing.stream.close();
        closing.stream.close();
        closing.stream.send(bytesOf("too late"));
        await bed.until("both to be told", () => near.closes.length + far.closes.length === 2);
        assertEquals(other.frames.length, 21);
        assertEquals(textOf(other.frames[20]), "goodbye");
        assertEquals([near.closes, far.closes], [[undefined], [undefined]]);
      },
    );

    test(
      `a stream that the ${who} has closed before start() says so then`,
      async (fixture, bed) => {
        await fixture.listen();
        const near = await fixture.dial();
        await bed.until("the stream to be accepted", () => fixture.accepted.length === 1);
        const [far] = fixture.accepted;
        const [closing, other] = who === "dialler" ? [near, far] : [far, near];
        closing.start();
        closing.stream.send(bytesOf("last words"));
        closing.stream.close();
        const marker = await fixture.open();
        marker.near.stream.send(bytesOf("marker"));
        await bed.until("the marker", () => marker.far.frames.length === 1);
        other.start();
        await bed.until("the end", () => other.closes.length > 0);
        assertEquals(other.frames.map(textOf), ["last words"]);
        assertEquals(other.closes, [undefined]);
      },
    );
  }

  for (const who of ["dialler", "acceptor"] as const) {
    test(`when the ${who} resets a stream, both sides are told once`, async (fixture, bed) => {
      const { near, far } = await fixture.open();
      const resetting = who === "dialler" ? near : far;
      resetting.stream.reset();
      resetting.stream.reset();
      await bed.until("both to be told", () => near.closes.length + far.closes.length === 2);
      assertEquals([near.closes.length, far.closes.length], [1, 1]);
    });
  }

  test("a stream that broke before start() says so then", async (fixture, bed) => {
    await fixture.listen();
    const near = await fixture.dial();
    await bed.until("the stream to be accepted", () => fixture.accepted.length === 1);
    const [far] = fixture.accepted;
    await bed.wait(fixture.listener.close());
    await fixture.listen();
    const marker = await fixture.open();
    marker.near.stream.send(bytesOf("marker"));
    await bed.until("the marker", () => marker.far.frames.length === 1);
    near.start();
    far.start();
    await bed.until("both ends to be told", () => near.closes.length + far.closes.length === 2);
    assertEquals([near.closes[0]?.code, far.closes[0]?.code], ["UNAVAILABLE", "UNAVAILABLE"]);
  });

  test("sending on a stream that is over does nothing", async (fixture, bed) => {
    const { near, far } = await fixture.open();
    far.stream.close();
    await bed.until("the end", () => near.closes.length === 1);
    assertEquals(near.stream.send(bytesOf("late")), true);
    near.stream.close();
    await bed.until("the other end", () => far.closes.length === 1);
    assertEquals(far.frames, []);
  });

  test("a host where nothing listens refuses, and the error says so", async (fixture, bed) => {
    const address = await fixture.listen();
    await bed.wait(fixture.listener.close());
    const error = await assertRejects(() => fixture.dial(address), NetworkError);
    await bed.afterFailedDials();
    assertEquals([error.code, error.unanswered], ["UNAVAILABLE", true]);
    assertStringIncludes(error.message, "refused");
    assertStringIncludes(error.message, `${address.host}:${address.port}`);
  });

  test(
    "a dial that is aborted before or on the way rejects with the signal's reason",
    async (fixture, bed) => {
      const address = await fixture.listen();
      const reason = new NetworkError("CANCELLED", "Enough.");
      const early = await assertRejects(
        () => bed.wait(bed.client.dial(address, AbortSignal.abort(reason))),
        NetworkError,
      );
      assert(early === reason);

      const controller = new AbortController();
      const dialling = bed.client.dial(address, controller.signal);
      controller.abort(reason);
      const late = await assertRejects(() => bed.wait(dialling), NetworkError);
      assert(late === reason);
      // Whatever of it has reached the other side comes to its end there.
      const { near, far } = await fixture.open();
      far.stream.send(bytesOf("marker"));
      await bed.until("the marker", () => near.frames.length === 1);
      for (const end of fixture.accepted.slice(0, -1)) {
        end.start();
        await bed.until("the aborted stream to end", () => end.closes.length === 1);
      }
      await bed.afterFailedDials();
    },
  );

  test("an abort after the stream was opened does not touch it", async (fixture, bed) => {
    const address = await fixture.listen();
    const controller = new AbortController();
    const near = endOf(await bed.wait(bed.client.dial(address, controller.signal)));
    near.start();
    controller.abort();
    await bed.until("the stream to be accepted", () => fixture.accepted.length === 1);
    const [far] = fixture.accepted;
    far.start();
    near.stream.send(bytesOf("still here"));
    await bed.until("the frame", () => far.frames.length === 1);
    near.stream.close();
    await bed.until("the end", () => near.closes.length === 1);
  });

  test(
    "port 0 lets the system choose, and a port that is taken is PORT_IN_USE",
    async (fixture, bed) => {
      const { host, port } = await fixture.listen();
      assertEquals(host, bed.serverHost);
      assert(port > 0 && port < 65_536);
      const error = await assertRejects(
        () => bed.wait(bed.server.listen({ host, port }, () => {})),
        NetworkError,
      );
      assertEquals(error.code, "PORT_IN_USE");
      assertStringIncludes(error.message, `${host}:${port}`);
      const { near, far } = await fixture.open();
      near.stream.send(bytesOf("the first one goes on"));
      await bed.until("the frame", () => far.frames.length === 1);
    },
  );

  test(
    "closing the listener ends every stream that it accepted, may be done again, and frees the port",
    async (fixture, bed) => {
      const pairs = [await fixture.open(), await fixture.open()];
      const { listener } = fixture;
      await bed.wait(listener.close());
      await bed.wait(listener.close());
      for (const { near, far } of pairs) {
        await bed.until("both ends to be told", () => near.closes.length + far.closes.length === 2);
        assertEquals([near.closes.length, far.closes.length], [1, 1]);
      }
      await fixture.listen(listener.address.port);
      const { near, far } = await fixture.open();
      near.stream.send(bytesOf("again"));
      await bed.until("a frame on the new one", () => far.frames.length === 1);
    },
  );

  test("goodbyes that were said just before the listener closed arrive", async (fixture, bed) => {
    for (let round = 0; round < 10; round++) {
      await fixture.listen();
      const pairs = [await fixture.open(), await fixture.open()];
      for (const { far } of pairs) {
        far.stream.send(bytesOf("goodbye"));
        far.stream.close();
      }
      await bed.wait(fixture.listener.close());
      for (const { near } of pairs) {
        await bed.until("the end", () => near.closes.length === 1);
        assertEquals(near.frames.map(textOf), ["goodbye"], `round ${round}`);
      }
    }
  });

  for (const who of ["dialler", "acceptor"] as const) {
    test(
      `a ${who} that sends faster than the other side reads is told to wait, and when to go on`,
      async (fixture, bed) => {
        await fixture.listen();
        const near = await fixture.dial();
        await bed.until("the stream to be accepted", () => fixture.accepted.length === 1);
        const [far] = fixture.accepted;
        const [sender, reader] = who === "dialler" ? [near, far] : [far, near];
        sender.start();
        const frame = new Uint8Array(MIB);
        let sent = 0;
        // The other side has not started: what is under way is bounded.
        do {
          frame[0] = sent;
          sent++;
        } while (sender.stream.send(frame.slice()) && sent < 100);
        assert(sent < 100, "a hundred mebibytes were taken without a word");
        assertEquals(sender.drains, 0);
        reader.start();
        await bed.until("the drain", () => sender.drains > 0);
        sender.stream.send(new Uint8Array([255]));
        await bed.until("all frames", () => reader.frames.length === sent + 1);
        assertEquals(reader.frames.map(([first]) => first), [
          ...Array.from({ length: sent }, (_, i) => i),
          255,
        ]);
      },
    );
  }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
