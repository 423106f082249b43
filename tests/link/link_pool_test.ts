/** Who is linked, who is refused, and which of two links stays. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import type { CallEnd, CallSink } from "../../src/link/call.ts";
import { Kind } from "../../src/link/frame.ts";
import type { FrameStream } from "../../src/link/frame_stream.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import type { PeerLink } from "../../src/link/peer_link.ts";
import { eventually } from "../support/eventually.ts";
import { LINK_PORT, makePool, PoolLan, RawPeer } from "../support/pool_lan.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/** Calls over a link and keeps the end. */
function call(link: PeerLink | undefined, body = ""): CallEnd[] {
  assert(link !== undefined, "there is no link to call on");
  const ends: CallEnd[] = [];
  const sink: CallSink = { onItem() {}, onEnd: (end) => ends.push(end) };
  link.call("echo", body, sink);
  return ends;
}

/** The answer of an end, or the code of its error. */
function outcome([end]: readonly CallEnd[]): string | undefined {
  if (end === undefined) return undefined;
  return end.ok ? new TextDecoder().decode(end.body) : end.error.code;
}

async function refusal(dialling: Promise<unknown>): Promise<[ErrorCode, string]> {
  const { code, message } = await assertRejects(() => dialling, NetworkError);
  return [code, message];
}

Deno.test("two nodes that dial each other's address are linked, and know who is there", async () => {
  const lan = new PoolLan();
  const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
  const link = await lan.dial(a, b);
  await lan.clock.advance(5);
  assertEquals([link.peer.nodeId, link.remoteHost, link.dialled], ["b", B, true]);
  assertEquals([a.told, b.told], [["linked b"], ["linked a"]]);
  assertEquals(a.pool.get("b"), link);
  assertEquals(b.pool.get("a")?.remoteHost, A);
  assertEquals(a.pool.get("c"), undefined);
});

Deno.test("what a node says of itself while a link opens is told as soon as that is open", async () => {
  const lan = new PoolLan();
  const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
  const dialled = a.pool.dial([{ host: B, port: LINK_PORT }]);
  // It has introduced itself, and the other side has not yet.
  while (b.pool.links().length === 0 && a.told.length === 0) {
    await lan.clock.advance(1);
    a.describe({ labels: [`${lan.clock.now()}`] });
  }
  await lan.wait(dialled);
  assertEquals(a.told, ["linked b", "outdated b"]);
  const again = await lan.add("10.0.0.3", "c");
  await lan.dial(a, again);
  assertEquals(a.told.slice(2), ["linked c"]);
});

Deno.test("a node of another network is refused and told of which one this is", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const b = await lan.add(B, "b", { description: { network: "office" } });
  const [code, message] = await refusal(lan.dial(a, b));
  assertEquals(code, "PERMISSION_DENIED");
  assertStringIncludes(message, '"office"');
  assertStringIncludes(message, '"home"');
  await lan.clock.advance(5);
  assertEquals([a.told, b.told, lan.links.openStreams], [[], [], 0]);
});

Deno.test("a node that dials its own address is not linked to itself", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const [code, message] = await refusal(lan.dial(a, a));
  assertEquals([code, message], ["FAILED_PRECONDITION", "This node dialled itself."]);
  await lan.clock.advance(5);
  assertEquals([a.told, a.conflicts, a.refusals, lan.links.openStreams], [[], [], [], 0]);
});

Deno.test("a node that claims this one's label is refused, and both are told", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "twin");
  const b = await lan.add(B, "twin", { description: { bootId: "OTHER" } });
  const [code, message] = await refusal(lan.dial(b, a));
  assertEquals(code, "NAME_CONFLICT");
  assertStringIncludes(message, '"twin"');
  assertStringIncludes(message, "--node-id");
  await lan.clock.advance(5);
  assertEquals([a.told, b.told, lan.links.openStreams], [[], [], 0]);
  assertEquals(a.conflicts, [`twin at ${B}`]);
  assertEquals([a.refusals, b.refusals], [[], [`? at ${A}:${LINK_PORT} NAME_CONFLICT`]]);
});

Deno.test("a second node of a peer's label is refused while the first one is heard", async () => {
  const lan = new PoolLan();
  const [a, first] = [await lan.add(A, "a"), await lan.add(B, "twin")];
  const second = await lan.add(C, "twin", { description: { bootId: "OTHER" } });
  await lan.dial(first, a);
  await lan.clock.advance(2_900);
  assertEquals((await refusal(lan.dial(second, a)))[0], "NAME_CONFLICT");
  assertEquals(a.conflicts, [`twin at ${C}`]);
  assertEquals(a.pool.get("twin")?.remoteHost, B);
  assertEquals(a.told, ["linked twin"]);
});

Deno.test("a label whose node has fallen silent is free: its next start takes over", async () => {
  const lan = new PoolLan();
  const [a, first] = [await lan.add(A, "a"), await lan.add(B, "twin")];
  await lan.dial(first, a);
  await lan.clock.advance(3_100);
  const again = await lan.add(C, "twin", { description: { bootId: "OTHER" } });
  await lan.dial(again, a);
  await lan.clock.advance(5);
  assertEquals(a.pool.get("twin")?.peer.bootId, "OTHER");
  assertEquals(a.told, ["linked twin", "unlinked twin closed", "linked twin"]);
  assertEquals([a.conflicts, first.told], [[], ["linked a", "unlinked a lost"]]);
});

Deno.test("who describes itself wrongly is refused, and told what was wrong", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  for (
    const [body, reason] of [
      ["not JSON", "Cannot read JSON"],
      ["{}", "Cannot read the peer's description"],
      ["[".repeat(100), "nested deeper"],
      [`"${"x".repeat(300_000)}"`, "bytes"],
    ]
  ) {
    const peer = await lan.dialRaw(B, a);
    peer.send({ kind: Kind.Hello, body });
    await lan.clock.advance(5);
    const [goodbye] = peer.of(Kind.Goodbye);
    assertEquals(goodbye?.errorCode, "PROTOCOL");
    assertStringIncludes(new TextDecoder().decode(goodbye.body), reason);
    assertEquals(peer.closes, 1);
  }
  const peer = await lan.dialRaw(B, a);
  peer.hello("b", { protocol: 99 });
  await lan.clock.advance(5);
  assertStringIncludes(new TextDecoder().decode(peer.received[0].body), "speaks protocol 99");
  assertEquals([a.told, lan.links.openStreams], [[], 0]);
});

Deno.test("who has introduced itself is not linked before it says that it takes this node", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const peer = await lan.dialRaw(B, a);
  peer.introduce("b");
  await lan.clock.advance(1_000);
  assertEquals(peer.of(Kind.Hello).length, 1, "it was admitted");
  assertEquals([a.told, a.pool.get("b"), a.pool.links()], [[], undefined, []]);
  // A dialler of an earlier version has no other way to say so.
  peer.send({ kind: Kind.Call, call: 1, method: "run", body: "{}" });
  await lan.clock.advance(5);
  assertEquals([a.told, a.calls.length], [["linked b"], 1]);
});

Deno.test("a dialler that refuses who has answered was never linked, and says why", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const peer = await lan.dialRaw(B, a);
  peer.introduce("b");
  await lan.clock.advance(5);
  peer.send({ kind: Kind.Goodbye, errorCode: "NAME_CONFLICT", body: "Taken." });
  await lan.clock.advance(5);
  assertEquals([a.told, a.refusals], [[], [`b at ${B}:${LINK_PORT} NAME_CONFLICT`]]);
  assertEquals(lan.links.openStreams, 0);
});

Deno.test("a dialler that never says whether it takes this node is cut off after five seconds", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const peer = await lan.dialRaw(B, a);
  peer.introduce("b");
  await lan.clock.advance(4_900);
  assertEquals(peer.closes, 0);
  await lan.clock.advance(200);
  assertEquals([peer.closes, a.told, a.refusals, lan.links.openStreams], [1, [], [], 0]);
});

Deno.test("of two of one label that dial at once the one that was started first is linked", async () => {
  const orders = [["1", "2"], ["2", "1"]];
  for (const [order, answers] of orders.flatMap((one) => orders.map((other) => [one, other]))) {
    const lan = new PoolLan();
    const a = await lan.add(A, "a");
    const peers = new Map<string, RawPeer>();
    for (const [i, bootId] of order.entries()) {
      const peer = await lan.dialRaw([B, C][i], a);
      peer.introduce("twin", { bootId });
      peers.set(bootId, peer);
    }
    await lan.clock.advance(5);
    for (const bootId of answers) {
      peers.get(bootId)!.send({ kind: Kind.Ping, call: 1 });
      await lan.clock.advance(5);
    }
    assertEquals([a.pool.get("twin")?.peer.bootId, peers.get("2")!.closes], ["1", 1]);
    assertEquals(a.told, ["linked twin"]);
  }
});

Deno.test("whoever dials first, the link that the smaller label dialled stays", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const lan = new PoolLan({ jitterMs: 40 }, seed);
    const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
    const dials = [lan.dial(a, b), lan.dial(b, a)];
    await Promise.all(dials);
    await lan.clock.advance(500);
    assertEquals(lan.links.openStreams, 2, `seed ${seed}: two ends of one link`);
    assertEquals([a.pool.get("b")?.dialled, b.pool.get("a")?.dialled], [true, false]);
    assertEquals([a.told, b.told], [["linked b"], ["linked a"]], "nobody was ever gone");
  }
});

Deno.test("of two links that one node dialled at once, both sides keep the same", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const lan = new PoolLan({ jitterMs: 40 }, seed);
    const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
    const [dialler, other] = seed % 2 === 0 ? [a, b] : [b, a];
    await Promise.all([lan.dial(dialler, other), lan.dial(dialler, other)]);
    await lan.clock.advance(500);
    assertEquals(lan.links.openStreams, 2, `seed ${seed}: two ends of one link`);
    const ends = [call(a.pool.get("b")), call(b.pool.get("a"))];
    await lan.clock.advance(100);
    for (const node of [a, b]) node.calls[0].end("here");
    await lan.clock.advance(100);
    assertEquals(ends.map(outcome), ["here", "here"]);
    assertEquals([a.told, b.told], [["linked b"], ["linked a"]], "nobody was ever gone");
  }
});

Deno.test("however many links there were, one is left", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const lan = new PoolLan({ jitterMs: 40 }, seed);
    const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
    const dials = [lan.dial(a, b), lan.dial(b, a), lan.dial(a, b), lan.dial(b, a)];
    await Promise.allSettled(dials);
    await lan.clock.advance(1_000);
    assertEquals(lan.links.openStreams, 2, `seed ${seed}: two ends of one link`);
    assertEquals([a.told, b.told], [["linked b"], ["linked a"]], `seed ${seed}`);
  }
});

Deno.test("a call that runs on the link that retires comes to its end", async () => {
  const lan = new PoolLan();
  const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
  await lan.dial(b, a);
  await lan.clock.advance(5);
  const old = call(a.pool.get("b"));
  await lan.clock.advance(5);
  await lan.dial(a, b);
  await lan.clock.advance(100);
  assertEquals(lan.links.openStreams, 4, "the old one waits for its call");
  const later = call(a.pool.get("b"));
  await lan.clock.advance(5);
  b.calls[0].end("on the old link");
  b.calls[1].end("on the new link");
  await lan.clock.advance(50);
  assertEquals([outcome(old), outcome(later)], ["on the old link", "on the new link"]);
  assertEquals(lan.links.openStreams, 2);
});

/** A node "b", and a raw peer "a" that has dialled it and has then been dialled by it. */
async function twoLinksToRawPeer(lan: PoolLan) {
  const b = await lan.add(B, "b");
  const all: RawPeer[] = [];
  await lan.listenRaw(A, (peer) => {
    all.push(peer);
    peer.hello("a");
  });
  const old = await lan.dialRaw(A, b);
  old.hello("a");
  await lan.clock.advance(5);
  await lan.dial(b, { host: A });
  await lan.clock.advance(5);
  return { b, old, other: all[0], all };
}

Deno.test("a link that is dead without knowing it never wins over one that works", async () => {
  const lan = new PoolLan();
  const { b, old, other } = await twoLinksToRawPeer(lan);
  // The one that "a" dialled would stay, but it does not answer.
  assertEquals(old.of(Kind.Ping).length, 1);
  await lan.clock.advance(60_000);
  assertEquals([old.of(Kind.Retire), other.of(Kind.Retire)], [[], []]);
  const ends = call(b.pool.get("a"));
  await lan.clock.advance(5);
  const [{ call: id }] = other.of(Kind.Call);
  other.send({ kind: Kind.End, call: id, body: "alive" });
  await lan.clock.advance(5);
  assertEquals(outcome(ends), "alive");
});

Deno.test("a link retires as soon as the better one has answered", async () => {
  const lan = new PoolLan();
  const { b, old, other } = await twoLinksToRawPeer(lan);
  old.send({ kind: Kind.Pong, call: old.of(Kind.Ping)[0].call });
  await lan.clock.advance(5);
  assertEquals([old.of(Kind.Retire).length, other.of(Kind.Retire).length], [0, 1]);
  call(b.pool.get("a"));
  await lan.clock.advance(5);
  assertEquals([old.of(Kind.Call).length, other.of(Kind.Call).length], [1, 0]);
});

Deno.test("when the better of two links breaks, the other one takes over and nobody is gone", async () => {
  const lan = new PoolLan();
  const { b, old, other } = await twoLinksToRawPeer(lan);
  other.stream.close();
  await lan.clock.advance(5);
  call(b.pool.get("a"));
  await lan.clock.advance(5);
  assertEquals(old.of(Kind.Call).length, 1);
  assertEquals(b.told, ["linked a"]);
});

Deno.test("when the best of three links breaks, the best of the other two is found", async () => {
  const lan = new PoolLan();
  const { b, old, all } = await twoLinksToRawPeer(lan);
  await lan.dial(b, { host: A });
  await lan.clock.advance(5);
  const [second, third] = all;
  old.stream.close();
  await lan.clock.advance(5);
  third.send({ kind: Kind.Pong, call: third.of(Kind.Ping).at(-1)!.call });
  await lan.clock.advance(5);
  assertEquals([second.of(Kind.Retire).length, third.of(Kind.Retire).length], [1, 0]);
  assertEquals(b.told, ["linked a"]);
});

Deno.test("a goodbye on one of two links ends both: it is the node that leaves", async () => {
  const lan = new PoolLan();
  const { b, old, other } = await twoLinksToRawPeer(lan);
  old.send({ kind: Kind.Goodbye });
  await lan.clock.advance(5);
  assertEquals([old.closes, other.closes], [1, 1]);
  assertEquals(b.told.length, 2);
  assertEquals(b.pool.get("a"), undefined);
});

Deno.test("dropping a peer closes its link without a word", async () => {
  const lan = new PoolLan();
  const [a, b, c] = [await lan.add(A, "a"), await lan.add(B, "b"), await lan.add(C, "c")];
  await lan.dial(a, b);
  await lan.dial(a, c);
  a.pool.drop("b");
  a.pool.drop("nobody");
  await lan.clock.advance(5);
  assertEquals(a.told, ["linked b", "linked c", "unlinked b closed"]);
  assertEquals(b.told, ["linked a", "unlinked a lost"]);
  assertEquals(c.told, ["linked a"]);
});

Deno.test("closing says goodbye to every peer, and nobody is accepted any more", async () => {
  const lan = new PoolLan();
  const [a, b, c] = [await lan.add(A, "a"), await lan.add(B, "b"), await lan.add(C, "c")];
  await lan.dial(a, b);
  await lan.dial(c, a);
  const closing = a.pool.close();
  await lan.wait(closing);
  await lan.wait(a.pool.close());
  await lan.clock.advance(5);
  assertEquals(a.told.slice(2), ["unlinked b closed", "unlinked c closed"]);
  assertEquals(b.told, ["linked a", "unlinked a goodbye"]);
  assertEquals(c.told, ["linked a", "unlinked a goodbye"]);
  assertEquals(lan.links.openStreams, 0);
  const [code, message] = await refusal(lan.dial(b, a));
  assertEquals(code, "UNAVAILABLE");
  assertStringIncludes(message, "refused");
});

Deno.test("closing gives up dials at once, whatever they wait for", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  await lan.listenRaw(B, () => {});
  lan.network.setDown(C, true);
  const results = [B, C].map((host) => refusal(a.pool.dial([{ host, port: LINK_PORT }])));
  await lan.clock.advance(100);
  const closing = a.pool.close();
  await lan.clock.advance(1);
  for (const result of await Promise.all(results)) {
    assertEquals(result, ["CANCELLED", "Cannot dial: the node is stopping."]);
  }
  assertEquals((await refusal(a.pool.dial([{ host: B, port: LINK_PORT }])))[0], "CANCELLED");
  await lan.wait(closing);
  await lan.clock.advance(10);
  assertEquals(lan.links.openStreams, 0);
});

Deno.test("a host that does not answer is given up after three seconds", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  lan.network.setDown(B, true);
  let result: NetworkError | undefined;
  const dialling = assertRejects(() => a.pool.dial([{ host: B, port: LINK_PORT }]), NetworkError)
    .then((error) => result = error);
  await lan.clock.advance(2_990);
  assertEquals(result, undefined);
  await lan.clock.advance(10);
  await dialling;
  assertEquals([result?.code, result?.unanswered], ["UNAVAILABLE", true]);
  assertStringIncludes(result!.message, `${B}:${LINK_PORT}: no answer within 3000 ms`);
});

Deno.test("a host that may not be talked to is neither dialled nor let in", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a", { allows: (host) => host !== B });
  const b = await lan.add(B, "b");
  const before = lan.links.openStreams;
  const [code, message] = await refusal(lan.dial(a, b));
  assertEquals([code, lan.links.openStreams], ["PERMISSION_DENIED", before]);
  assertStringIncludes(message, B);
  assertEquals((await refusal(lan.dial(b, a)))[0], "UNAVAILABLE");
  await lan.clock.advance(5);
  assertEquals([a.told, b.told, lan.links.openStreams], [[], [], 0]);
});

Deno.test("a peer that is let in and says nothing is cut off after five seconds", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const silent = await lan.dialRaw(B, a);
  await lan.clock.advance(4_900);
  assertEquals(silent.closes, 0);
  await lan.clock.advance(200);
  assertEquals([silent.closes, lan.links.openStreams, a.told], [1, 0, []]);
});

Deno.test("a notice to all reaches every peer once, also where there are two links", async () => {
  const lan = new PoolLan();
  const [a, b, c] = [await lan.add(A, "a"), await lan.add(B, "b"), await lan.add(C, "c")];
  await lan.dial(b, a);
  await lan.dial(a, b);
  await lan.dial(a, c);
  a.pool.notifyAll("description", "{}");
  await lan.clock.advance(5);
  assertEquals([b.notices, c.notices], [["a description {}"], ["a description {}"]]);
});

Deno.test("of several addresses the first that answers is used, and a dead one costs no wait", async () => {
  const lan = new PoolLan();
  const [a, b] = [await lan.add(A, "a"), await lan.add(B, "b")];
  lan.network.setDown(C, true);
  const dialling = a.pool.dial([C, B].map((host) => ({ host, port: LINK_PORT })));
  await lan.clock.advance(240);
  assertEquals(b.told, []);
  await lan.clock.advance(30);
  assertEquals((await dialling).remoteHost, B);
  // What still dials the dead one is given up.
  lan.network.setDown(C, false);
  await lan.clock.advance(10_000);
  assertEquals([a.told, lan.links.openStreams], [["linked b"], 2]);
});

Deno.test("several addresses: refused only when all refuse", async () => {
  const lan = new PoolLan();
  const a = await lan.add(A, "a");
  const at = (...hosts: string[]) => hosts.map((host) => ({ host, port: LINK_PORT }));
  lan.network.setDown(C, true);
  const silent = await refusal(lan.wait(a.pool.dial(at(B, C))));
  assertStringIncludes(silent[1], "no answer within");
  const refused = await refusal(lan.wait(a.pool.dial(at(B, "10.0.0.9"))));
  assertStringIncludes(refused[1], "refused");
});

Deno.test("over real sockets: linked, called both ways, and told goodbye by either side", async () => {
  const transport = grpcTransport();
  const onCall = (incoming: { body: Uint8Array; end(body: Uint8Array): void }) =>
    incoming.end(incoming.body);
  const options = { host: "127.0.0.1", transport, clock: systemClock, onCall };
  for (const leaver of ["dialler", "acceptor"] as const) {
    const [a, b] = [makePool("a", options), makePool("b", options)];
    const address = await b.pool.listen({ host: "127.0.0.1", port: 0 });
    const link = await a.pool.dial([address]);
    await eventually(() => b.pool.get("a"), { what: "the link at the other side" });
    const ends = [call(link, "there"), call(b.pool.get("a"), "back")];
    await eventually(() => ends.every(({ length }) => length > 0), { what: "both answers" });
    assertEquals(ends.map(outcome), ["there", "back"]);

    const [leaving, staying] = leaver === "dialler" ? [a, b] : [b, a];
    await leaving.pool.close();
    await eventually(() => staying.ends.length > 0, { what: "the goodbye" });
    assertEquals(staying.ends.map(({ type }) => type), ["goodbye"], leaver);
    await staying.pool.close();
  }
});

for (const leaver of ["dialler", "acceptor"] as const) {
  Deno.test(`leaving as the ${leaver} waits until the other side has closed, but not for ever`, async () => {
    const transport = grpcTransport();
    const clock = new ManualClock();
    const { signal } = new AbortController();
    for (const answers of [true, false]) {
      const peers: RawPeer[] = [];
      const hello = (stream: FrameStream) => {
        const peer = new RawPeer(stream);
        peers.push(peer);
        peer.hello("b");
      };
      const { pool } = makePool("a", { host: "127.0.0.1", transport, clock });
      const other = await transport.listen({ host: "127.0.0.1", port: 0 }, hello);
      const address = await pool.listen({ host: "127.0.0.1", port: 0 });
      if (leaver === "dialler") await pool.dial([other.address]);
      else hello(await transport.dial(address, signal));
      await eventually(() => pool.get("b"), { what: "the link" });

      let closed = false;
      const closing = pool.close().then(() => closed = true);
      await eventually(() => peers[0].of(Kind.Goodbye).length > 0, { what: "the goodbye" });
      // A stream that is opened and ended takes longer than a pool that does not wait.
      new RawPeer(await transport.dial(other.address, signal)).stream.reset();
      assertEquals([closed, peers[0].closes], [false, 0]);
      if (answers) peers[0].stream.close();
      else await clock.advance(1_000);
      await closing;
      await eventually(() => peers[0].closes > 0, { what: "the end" });
      await other.close();
    }
  });
}
