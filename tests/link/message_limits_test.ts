/** How long messages may be that come in, and how many, and who has to go when it is too much. */

import { assertEquals } from "@std/assert";
import * as grpc from "@grpc/grpc-js";
import type { Buffer } from "node:buffer";
import http2 from "node:http2";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { type MessageLimit, messageLimits } from "../../src/link/message_limits.ts";
import { eventually } from "../support/eventually.ts";
import { join } from "./goaway/frames.ts";
import { grpcMessage, repeat } from "./http2/frames.ts";

const MIB = 1024 * 1024;
const STREAM = "/test.Test/Stream";
const SINGLE = "/test.Test/Single";
const MAX_HELD_BYTES = 4 * MIB;
const LIMIT: MessageLimit = { maxBytes: 8 * MIB, compressed: false, maxMessages: Infinity };
const asIs = (bytes: Buffer) => bytes;
const TYPE = {
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};

/** A server with limits, and clients with a connection each. */
class Scene implements Disposable {
  readonly clock = new ManualClock();
  /** The lengths of messages that came. */
  readonly taken: number[] = [];
  /** Connections that were ended. */
  readonly floods: string[] = [];
  readonly #server: grpc.Server;
  readonly #sessions: http2.ClientHttp2Session[] = [];
  #port = 0;

  private constructor() {
    const limits = messageLimits({
      limitOf: (path) => ({ ...LIMIT, maxMessages: path === SINGLE ? 1 : Infinity }),
      clock: this.clock,
      onFlood: (peer) => this.floods.push(peer),
      maxHeldBytes: MAX_HELD_BYTES,
    });
    this.#server = new grpc.Server({ interceptors: [limits] });
    const take = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", ({ length }: Buffer) => this.taken.push(length));
      call.on("error", () => {});
      call.on("end", () => call.end());
    };
    this.#server.addService(
      { Stream: { path: STREAM, ...TYPE }, Single: { path: SINGLE, ...TYPE } },
      { Stream: take, Single: take },
    );
  }

  static async open(): Promise<Scene> {
    const scene = new Scene();
    const credentials = grpc.ServerCredentials.createInsecure();
    scene.#port = await new Promise<number>((resolve, reject) => {
      scene.#server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    return scene;
  }

  /** Begins a call on a connection of its own. */
  call(path = STREAM): Call {
    const session = http2.connect(`http://127.0.0.1:${this.#port}`);
    session.on("error", () => {});
    this.#sessions.push(session);
    return new Call(session, path);
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
    this.#server.forceShutdown();
  }
}

class Call {
  readonly #stream: http2.ClientHttp2Stream;
  readonly #over = Promise.withResolvers<void>();
  /** Whether its connection is. */
  isOver = false;

  constructor(session: http2.ClientHttp2Session, path: string) {
    session.once("close", () => {
      this.isOver = true;
      this.#over.resolve();
    });
    this.#stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream.on("error", () => {});
    this.#stream.resume();
  }

  /** Resolves when the network has taken the bytes, which is as good as the server here. */
  send(bytes: Uint8Array): Promise<void> {
    const sent = new Promise<void>((resolve) => this.#stream.write(bytes, () => resolve()));
    return Promise.race([sent, this.#over.promise]);
  }
}

Deno.test("of messages that never end who has held most for the longest has to go", async () => {
  using scene = await Scene.open();
  const attackers = [scene.call(), scene.call(), scene.call()];
  for (const [i, attacker] of attackers.entries()) {
    // The first message shows when the other one has begun.
    const begun = grpcMessage(new Uint8Array(MIB + i * 1_000)).subarray(0, -1);
    await attacker.send(join(grpcMessage(new Uint8Array(1)), begun));
    await eventually(() => scene.taken.length === i + 1, { what: "the first message" });
    await scene.clock.advance(1_000);
  }
  // It holds most of all when the fourth mebibyte is full, and has done so for no time.
  const honest = scene.call();
  await honest.send(grpcMessage(new Uint8Array(1.9 * MIB)));
  await eventually(() => scene.taken.length === 4, { what: "the longest message" });
  await eventually(() => attackers[0].isOver, { what: "the end of the first" });
  assertEquals([...attackers, honest].map(({ isOver }) => isOver), [true, false, false, false]);
  assertEquals(scene.floods.length, 1);
});

Deno.test("a message that begins behind another one has not been held any longer", async () => {
  using scene = await Scene.open();
  const honest = scene.call();
  const first = grpcMessage(new Uint8Array(MIB));
  await honest.send(first.subarray(0, -1));
  await scene.clock.advance(60_000);
  const attacker = scene.call();
  await attacker.send(grpcMessage(new Uint8Array(3 * MIB)).subarray(0, -1));
  await scene.clock.advance(1_000);
  await honest.send(join(first.subarray(-1), grpcMessage(new Uint8Array(2 * MIB))));
  await eventually(() => scene.taken.length === 2, { what: "both messages" });
  await eventually(() => attacker.isOver, { what: "the end of the attacker" });
});

Deno.test("whoever sends a message byte by byte is cut off, and nobody in kilobytes", async () => {
  using scene = await Scene.open();
  const honest = scene.call();
  await honest.send(grpcMessage(new Uint8Array(), { length: 2 * MIB }));
  for (let i = 0; i < 2_048; i++) await honest.send(new Uint8Array(1_024));
  await eventually(() => scene.taken.length === 1, { what: "a message in pieces" });
  const attacker = scene.call();
  await attacker.send(grpcMessage(new Uint8Array(), { length: MIB }));
  for (let i = 0; i < 5_000 && !attacker.isOver; i++) await attacker.send(new Uint8Array(1));
  await eventually(() => attacker.isOver, { what: "its end" });
  assertEquals([scene.floods.length, honest.isOver], [1, false]);
});

Deno.test("whoever sends many messages where there is to be one is cut off", async () => {
  using scene = await Scene.open();
  const messages = repeat(grpcMessage(new Uint8Array(1)), 1_000);
  const honest = scene.call();
  await honest.send(messages);
  await eventually(() => scene.taken.length === 1_000, { what: "a thousand messages" });
  const attacker = scene.call(SINGLE);
  await attacker.send(messages);
  await eventually(() => attacker.isOver, { what: "its end" });
  assertEquals([scene.taken.length, honest.isOver], [1_000, false]);
});
