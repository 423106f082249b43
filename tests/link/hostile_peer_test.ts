/** Peers that break the protocol: what it costs is their own link, and nothing else. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type CallEnd, CREDIT_WINDOW, MAX_FRAME_BYTES } from "../../src/link/call.ts";
import { Kind, type OutgoingMessage } from "../../src/link/frame.ts";
import { encodeFrame } from "../../src/link/frame_codec.ts";
import {
  descriptionOf,
  PoolLan,
  type PoolNode,
  type PoolNodeOptions,
  type RawPeer,
} from "../support/pool_lan.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/** A node, an honest peer of it, and a hostile one that has introduced itself. */
class Scene {
  readonly lan = new PoolLan();
  node!: PoolNode;
  honest!: PoolNode;
  hostile!: RawPeer;

  static async open(options: PoolNodeOptions = {}): Promise<Scene> {
    const scene = new Scene();
    scene.node = await scene.lan.add(A, "node", options);
    scene.honest = await scene.lan.add(B, "honest");
    await scene.lan.dial(scene.honest, scene.node);
    scene.hostile = await scene.lan.dialRaw(C, scene.node);
    scene.hostile.hello("hostile");
    await scene.settle();
    return scene;
  }

  settle(): Promise<void> {
    return this.lan.clock.advance(10);
  }

  /** Calls the hostile peer. */
  call(): { ends: CallEnd[]; items: number[]; id: number } {
    const ends: CallEnd[] = [];
    const items: number[] = [];
    this.node.pool.get("hostile")!.call("x", "", {
      onItem: (body) => items.push(body.length),
      onEnd: (end) => ends.push(end),
    });
    return { ends, items, id: 2 };
  }

  /** The hostile link is closed with that code, and the honest one goes on. */
  async assertCutOff(code: ErrorCode = "PROTOCOL"): Promise<void> {
    await this.settle();
    assertEquals(this.node.told.at(-1), "unlinked hostile lost");
    const end = this.node.ends.at(-1)!;
    assertEquals("error" in end && end.error.code, code);
    assertEquals(this.hostile.closes, 1, "its stream is closed");
    await this.assertHonestGoesOn();
  }

  async assertHonestGoesOn(): Promise<void> {
    let answered = false;
    const calls = this.node.calls.length;
    this.honest.pool.get("node")!.call("echo", "", {
      onItem() {},
      onEnd: (end) => answered = end.ok,
    });
    await this.settle();
    this.node.calls[calls].end();
    await this.settle();
    assert(answered);
  }
}

Deno.test("garbage ends the link that it came on", async () => {
  const scene = await Scene.open();
  scene.hostile.stream.send(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff]));
  await scene.assertCutOff();
});

Deno.test("a frame without anything ends its link: it costs as much as one that says something", async () => {
  const scene = await Scene.open();
  scene.hostile.stream.send(new Uint8Array());
  await scene.assertCutOff();
});

Deno.test("a frame longer than any may be ends its link, though all of it could be read", async () => {
  const scene = await Scene.open();
  // One message of a later version's kind, which is ignored otherwise.
  const body = new Uint8Array(MAX_FRAME_BYTES);
  const kind = 99 as Kind;
  scene.hostile.stream.send(encodeFrame([{ kind, body: body.subarray(0, MAX_FRAME_BYTES - 100) }]));
  await scene.settle();
  assertEquals(scene.hostile.closes, 0, "the longest is taken");
  scene.hostile.stream.send(encodeFrame([{ kind, body }]));
  await scene.assertCutOff();
});

Deno.test("a frame of millions of empty messages ends its link before it fills the memory", async () => {
  const scene = await Scene.open();
  const frame = new Uint8Array(16 * 1024 * 1024);
  // Field 1 of the frame, of no length, again and again.
  for (let i = 0; i < frame.length; i += 2) frame[i] = 0x0a;
  const start = performance.now();
  scene.hostile.stream.send(frame);
  await scene.assertCutOff();
  assert(performance.now() - start < 1_000);
});

Deno.test("a call with a number of this side's parity, or one that is in use, ends the link", async () => {
  for (const numbers of [[2], [0], [1, 1]]) {
    const scene = await Scene.open();
    for (const call of numbers) {
      scene.hostile.send({ kind: Kind.Call, call, method: "x", body: "" });
    }
    await scene.assertCutOff();
  }
});

Deno.test("items beyond the credit end the link and the call", async () => {
  const scene = await Scene.open();
  const { ends, items, id } = scene.call();
  const body = new Uint8Array(CREDIT_WINDOW / 4);
  for (let i = 0; i < 4; i++) scene.hostile.send({ kind: Kind.Item, call: id, body });
  await scene.settle();
  assertEquals([items.length, ends.length], [4, 0], "as much as it had credit for");
  scene.hostile.send({ kind: Kind.Item, call: id, body: new Uint8Array(1) });
  await scene.assertCutOff();
  assertEquals(items.length, 4);
  assertEquals(ends.map((end) => !end.ok && end.error.code), ["UNKNOWN_OUTCOME"]);
});

Deno.test("whatever comes before HELLO is refused, told why, and cut off", async () => {
  // What would do as an introduction, if only it came as one.
  const body = JSON.stringify(descriptionOf("hostile"));
  const before: OutgoingMessage[][] = Object.entries(Kind)
    .filter(([name]) => name !== "Hello" && name !== "Goodbye")
    .map(([, kind]) => [{ kind, call: 1, method: "run", body }]);
  const scene = await Scene.open();
  const streams = scene.lan.links.openStreams;
  for (const messages of before) {
    const peer = await scene.lan.dialRaw(C, scene.node);
    peer.send(...messages);
    await scene.settle();
    assertEquals(peer.of(Kind.Goodbye).map(({ errorCode }) => errorCode), ["PROTOCOL"]);
    assertEquals(peer.closes, 1);
  }
  const peer = await scene.lan.dialRaw(C, scene.node);
  peer.stream.send(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await scene.settle();
  assertEquals(peer.of(Kind.Goodbye).map(({ errorCode }) => errorCode), ["PROTOCOL"]);
  assertEquals(scene.lan.links.openStreams, streams);
  assertEquals(scene.node.calls, []);
  await scene.assertHonestGoesOn();
});

Deno.test("a call in the frame of the HELLO that is refused does not run", async () => {
  const lan = new PoolLan();
  const node = await lan.add(A, "node");
  const peer = await lan.dialRaw(C, node);
  peer.send(
    { kind: Kind.Hello, body: "{}" },
    { kind: Kind.Call, call: 1, method: "run", body: "{}" },
  );
  await lan.clock.advance(10);
  assertEquals([node.calls.length, peer.closes], [0, 1]);
});

Deno.test("answers to calls that nobody made are ignored", async () => {
  const scene = await Scene.open();
  for (const kind of [Kind.Item, Kind.End, Kind.Cancel, Kind.Credit, Kind.Pong]) {
    scene.hostile.send({ kind, call: 77, credit: 5, body: "x" });
  }
  const { ends, id } = scene.call();
  scene.hostile.send({ kind: Kind.End, call: id, body: "1" });
  scene.hostile.send({ kind: Kind.End, call: id, body: "2" });
  scene.hostile.send({ kind: Kind.Item, call: id, body: "3" });
  scene.hostile.hello("somebody-else");
  await scene.settle();
  assertEquals(ends.length, 1);
  assertEquals(scene.hostile.closes, 0);
  assertEquals(scene.node.pool.get("hostile")?.peer.nodeId, "hostile");
});

Deno.test("more calls than may be open are refused one by one, and the link goes on", async () => {
  const scene = await Scene.open();
  const calls = Array.from({ length: 4_100 }, (_, i): OutgoingMessage => ({
    kind: Kind.Call,
    call: 2 * i + 1,
    method: "x",
    body: "",
  }));
  scene.hostile.send(...calls);
  await scene.settle();
  assertEquals(scene.node.calls.length, 4_096);
  const refused = scene.hostile.of(Kind.End);
  assertEquals(refused.map(({ errorCode }) => errorCode), Array(4).fill("RESOURCE_EXHAUSTED"));
  assert(refused[0].retryAfterMs > 0);
  scene.node.calls[0].end();
  scene.hostile.send({ kind: Kind.Call, call: 9_001, method: "x", body: "" });
  await scene.settle();
  assertEquals(scene.node.calls.length, 4_097);
  await scene.assertHonestGoesOn();
});

Deno.test("credit without end does not make a call send more than the window at once", async () => {
  let sent = 0;
  const scene = await Scene.open({
    onCall: async (call) => {
      if (call.method !== "flood") return;
      while (!call.cancellation.requested) {
        sent += 16 * 1024;
        await call.send(new Uint8Array(16 * 1024));
      }
    },
  });
  scene.hostile.send({ kind: Kind.Call, call: 1, method: "flood", body: "" });
  scene.hostile.send({ kind: Kind.Credit, call: 1, credit: 2 ** 31 });
  await scene.settle();
  assert(sent <= 2 * CREDIT_WINDOW, `${sent} bytes`);
  scene.hostile.stream.close();
  await scene.settle();
});

Deno.test("the reason of an error cannot do anything to a terminal or a log", async () => {
  const scene = await Scene.open();
  const { ends, id } = scene.call();
  const body = "no\x1b[2J\x1b]0;owned\x07 \u202egpj.exe\r\nnext line";
  scene.hostile.send({ kind: Kind.End, call: id, errorCode: "AGENT_FAILED", body });
  await scene.settle();
  const [end] = ends;
  assert(!end.ok);
  assertEquals(end.error.code, "AGENT_FAILED");
  assertEquals(end.error.message, "no[2J]0;owned gpj.exe\nnext line");
});

Deno.test("an error's reason of any length arrives shortened, and the link goes on", async () => {
  const scene = await Scene.open({
    onCall: (call) => {
      if (call.method === "fail") {
        call.fail(new NetworkError("AGENT_FAILED", "x".repeat(20 * 2 ** 20)));
      }
    },
  });
  scene.hostile.send({ kind: Kind.Call, call: 1, method: "fail", body: "" });
  await scene.settle();
  assertEquals(scene.hostile.of(Kind.End).map(({ body }) => body.length), [4_096]);

  const { ends, id } = scene.call();
  scene.hostile.send({
    kind: Kind.End,
    call: id,
    errorCode: "INTERNAL",
    body: "y".repeat(100_000),
  });
  await scene.settle();
  const [end] = ends;
  assert(!end.ok);
  assertEquals(end.error.message.length, 4_096);
  await scene.assertHonestGoesOn();
});

Deno.test("an error code of a later version is an error all the same", async () => {
  const scene = await Scene.open();
  const { ends, id } = scene.call();
  const frame = encodeFrame([
    { kind: Kind.End, call: id, errorCode: "INTERNAL", body: "What is this?" },
  ]);
  // The code follows the body, as the last byte.
  frame[frame.length - 1] = 120;
  scene.hostile.stream.send(frame);
  await scene.settle();
  assertEquals(ends.map((end) => !end.ok && end.error.code), ["INTERNAL"]);
});

Deno.test("a retirement that was never asked for ends only the link of who asked", async () => {
  const scene = await Scene.open();
  const { id, ends } = scene.call();
  scene.hostile.send({ kind: Kind.Retire }, { kind: Kind.Retire });
  await scene.settle();
  assertEquals(scene.node.pool.get("hostile"), undefined, "no new calls go there");
  scene.hostile.send({ kind: Kind.End, call: id });
  scene.hostile.stream.close();
  await scene.settle();
  assertEquals(ends.map(({ ok }) => ok), [true]);
  assertStringIncludes(scene.node.told.at(-1)!, "unlinked hostile");
  await scene.assertHonestGoesOn();
});

Deno.test("frames of any content at all never do more than end their link with PROTOCOL", async () => {
  const random = seededRandom(7);
  const pick = (below: number) => Math.floor(random.next() * below);
  const anyMessage = (): OutgoingMessage => ({
    kind: pick(14) as Kind,
    call: pick(8),
    method: pick(2) === 0 ? "x" : "\u202e".repeat(pick(50)),
    body: pick(2) === 0 ? "{}" : random.fill(new Uint8Array(pick(300))),
    errorCode: pick(4) === 0 ? "NOT_FOUND" : undefined,
    retryAfterMs: pick(1_000),
    credit: pick(2) * pick(2 ** 31),
  });
  const lan = new PoolLan();
  const node = await lan.add(A, "node", {
    onCall: (call) => {
      void call.send("item");
      if (pick(2) === 0) call.end("end");
    },
  });
  let survived = 0;
  for (let round = 0; round < 300; round++) {
    const peer = await lan.dialRaw(B, node);
    if (round % 10 > 0) peer.hello("b");
    await lan.clock.advance(2);
    node.pool.get("b")?.call("x", "", { onItem() {}, onEnd() {} });
    for (let i = 0; i < 10; i++) {
      const frame = encodeFrame(Array.from({ length: pick(4) }, anyMessage));
      for (let n = pick(3); n > 0 && frame.length > 0; n--) frame[pick(frame.length)] = pick(256);
      if (frame.length > 0) peer.stream.send(frame);
    }
    await lan.clock.advance(2);
    if (peer.closes === 0) survived++;
    peer.stream.close();
    await lan.clock.advance(5);
  }
  assert(survived > 10 && survived < 250, `${survived} of 300 links survived`);
  for (const end of node.ends) {
    // With a goodbye it may give any reason.
    if (end.type === "lost" && end.error.message !== "The peer closed the link.") {
      assertEquals(end.error.code, "PROTOCOL", end.error.message);
    }
  }
  assertEquals(lan.links.openStreams, 0);
});
