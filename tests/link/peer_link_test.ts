/** Calls, credit, pings and endings of one link. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { type CallEnd, MAX_BODY_BYTES } from "../../src/link/call.ts";
import { LinkPair } from "../support/memory_link.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Takes an answer and keeps it. */
function sink() {
  const taken = {
    items: [] as string[],
    bytes: 0,
    ends: [] as CallEnd[],
    onItem(body: Uint8Array) {
      taken.items.push(text(body.subarray(0, 32)));
      taken.bytes += body.length;
    },
    onEnd(end: CallEnd) {
      taken.ends.push(end);
    },
  };
  return taken;
}

function errorOf(end: CallEnd | undefined): string | undefined {
  return end === undefined || end.ok ? undefined : end.error.code;
}

Deno.test("a call reaches the other side, and its items and end come back in order", async () => {
  const pair = new LinkPair();
  await pair.open();
  pair.onCall = (call) => {
    call.send("one");
    call.send("two");
    call.end(`${call.method} ${text(call.body)}`);
  };
  const answer = sink();
  pair.dialler.link.call("run", "déjà vu", answer);
  await pair.clock.advance(5);
  assertEquals(answer.items, ["one", "two"]);
  assertEquals(answer.ends.map((end) => end.ok && text(end.body)), ["run déjà vu"]);
});

Deno.test("both sides call at the same time without mixing up their calls", async () => {
  const pair = new LinkPair();
  await pair.open();
  const [there, back] = [sink(), sink()];
  pair.dialler.link.call("x", "", there);
  pair.acceptor.link.call("y", "", back);
  await pair.clock.advance(5);
  pair.acceptor.calls[0].end("to the dialler");
  pair.dialler.calls[0].end("to the acceptor");
  await pair.clock.advance(5);
  assertEquals(there.ends.map((end) => end.ok && text(end.body)), ["to the dialler"]);
  assertEquals(back.ends.map((end) => end.ok && text(end.body)), ["to the acceptor"]);
});

Deno.test("an error keeps its code, its message and when to try again", async () => {
  const pair = new LinkPair();
  await pair.open();
  pair.onCall = (call) => {
    call.fail(new NetworkError("RESOURCE_EXHAUSTED", "Full.", { retryAfterMs: 120 }));
  };
  const answer = sink();
  pair.dialler.link.call("run", "", answer);
  await pair.clock.advance(5);
  const [end] = answer.ends;
  assert(!end.ok);
  assertEquals(
    [end.error.code, end.error.message, end.error.retryAfterMs],
    ["RESOURCE_EXHAUSTED", "Full.", 120],
  );
});

Deno.test("a reader that consumes nothing stops its own call, and no other", async () => {
  const pair = new LinkPair();
  await pair.open();
  let sent = 0;
  pair.onCall = async (call) => {
    if (call.method === "quick") return call.end("done");
    for (let i = 0; i < 100; i++) {
      sent++;
      await call.send("x".repeat(16 * 1024));
    }
    call.end();
  };
  const [slow, quick] = [sink(), sink()];
  const call = pair.dialler.link.call("slow", "", slow);
  await pair.clock.advance(20);
  assertEquals(sent, 16, "256 KiB of credit are 16 items of 16 KiB");
  pair.dialler.link.call("quick", "", quick);
  await pair.clock.advance(5);
  assertEquals(quick.ends.length, 1);

  for (let consumed = 0; slow.ends.length === 0;) {
    for (; consumed < slow.bytes; consumed += 16 * 1024) call.consumed(16 * 1024);
    await pair.clock.advance(5);
  }
  assertEquals(slow.bytes, 100 * 16 * 1024);
});

Deno.test("of items without content no more come at once than others can wait for", async () => {
  const pair = new LinkPair();
  await pair.open();
  let sent = 0;
  pair.onCall = async (call) => {
    for (; sent < 2_000; sent++) await call.send("");
    call.end();
  };
  const slow = sink();
  const call = pair.dialler.link.call("slow", "", slow);
  await pair.clock.advance(20);
  assertEquals(sent, 511, "and one that waits");
  for (let consumed = 0; slow.ends.length === 0;) {
    for (const { length } = slow.items; consumed < length; consumed++) call.consumed(0);
    await pair.clock.advance(5);
  }
  assertEquals(slow.items.length, 2_000);
});

Deno.test("cancelling a call asks the other side to stop", async () => {
  const pair = new LinkPair();
  await pair.open();
  const call = pair.dialler.link.call("run", "", sink());
  await pair.clock.advance(5);
  const { cancellation } = pair.acceptor.calls[0];
  assert(!cancellation.requested);
  call.cancel();
  await pair.clock.advance(5);
  assertEquals((cancellation.reason as NetworkError).code, "CANCELLED");
});

Deno.test("a broken link ends calls that went out with UNKNOWN_OUTCOME, and aborts the served", async () => {
  const pair = new LinkPair();
  await pair.open();
  const answer = sink();
  pair.dialler.link.call("run", "", answer);
  await pair.clock.advance(5);
  const { cancellation } = pair.acceptor.calls[0];
  pair.links.kill("10.0.0.1");
  await pair.clock.advance(5);
  assertEquals(pair.acceptor.end?.type, "lost");
  assert(cancellation.requested);

  const other = new LinkPair();
  await other.open();
  other.dialler.link.call("run", "", answer);
  await other.clock.advance(5);
  other.links.kill("10.0.0.2");
  await other.clock.advance(5);
  assertEquals(errorOf(answer.ends[0]), "UNKNOWN_OUTCOME");
});

Deno.test("a call that had not gone out when the link closed is UNAVAILABLE: it was never begun", async () => {
  const pair = new LinkPair();
  await pair.open();
  const answer = sink();
  pair.dialler.link.call("run", "", answer);
  pair.dialler.link.close();
  assertEquals(errorOf(answer.ends[0]), "UNAVAILABLE");
  await pair.clock.advance(5);
  assertEquals(pair.acceptor.calls.length, 0);
});

Deno.test("a ping measures the round trip on the local clock", async () => {
  const pair = new LinkPair();
  await pair.open();
  const ping = pair.dialler.link.ping();
  await pair.clock.advance(5);
  assertEquals(await ping, 2);
});

Deno.test("load rides along with what is sent, and calls not yet reflected are counted", async () => {
  const pair = new LinkPair();
  await pair.open();
  const { link } = pair.dialler;
  pair.onCall = (call) => {
    pair.acceptor.load = { running: 3, queued: 2, slots: 4, modelCalls: 5 };
    if (call.method === "answered") call.end();
  };
  link.call("silent", "", sink());
  link.call("silent", "", sink());
  assertEquals(link.unreflectedCalls, 2);
  await pair.clock.advance(5);
  assertEquals(link.unreflectedCalls, 2, "nothing came back yet");
  link.call("answered", "", sink());
  await pair.clock.advance(5);
  assertEquals(link.unreflectedCalls, 0);
  const { running, queued, slots, modelCalls } = link.remoteLoad;
  assertEquals({ running, queued, slots, modelCalls }, {
    running: 3,
    queued: 2,
    slots: 4,
    modelCalls: 5,
  });
});

Deno.test("notices arrive with their topic", async () => {
  const pair = new LinkPair();
  await pair.open();
  pair.acceptor.link.notify("description", "{}");
  await pair.clock.advance(5);
  assertEquals(pair.dialler.notices, ["description:{}"]);
});

Deno.test("a retired link takes no new calls, finishes those that run, and is closed", async () => {
  const pair = new LinkPair();
  await pair.open();
  const answer = sink();
  pair.dialler.link.call("run", "", answer);
  await pair.clock.advance(5);
  pair.dialler.link.retire();
  assertThrows(() => pair.dialler.link.call("run", "", sink()), NetworkError, "retiring");
  await pair.clock.advance(5);
  assertEquals([pair.dialler.end, pair.acceptor.end], [undefined, undefined]);
  pair.acceptor.calls[0].end("done");
  await pair.clock.advance(5);
  assertEquals(answer.ends.map((end) => end.ok), [true]);
  assertEquals([pair.dialler.end?.type, pair.acceptor.end?.type], ["retired", "retired"]);
});

Deno.test("a goodbye is told apart from a loss", async () => {
  const pair = new LinkPair();
  await pair.open();
  pair.acceptor.link.leave();
  await pair.clock.advance(5);
  assertEquals([pair.dialler.end?.type, pair.acceptor.end?.type], ["goodbye", "closed"]);
});

Deno.test("who is refused is told why", async () => {
  const pair = new LinkPair();
  await pair.open(() => {
    throw new NetworkError("NAME_CONFLICT", "Taken.");
  });
  const { end } = pair.dialler;
  assert(end?.type === "refused");
  assertEquals([end.error.code, end.error.message], ["NAME_CONFLICT", "Taken."]);
});

Deno.test("a peer that does not introduce itself within five seconds is cut off", async () => {
  const pair = new LinkPair();
  const listening = pair.links.transport("10.0.0.2");
  await listening.listen({ host: "10.0.0.2", port: 1 }, (stream) => {
    // Takes the stream and stays silent.
    stream.start({ onFrame() {}, onDrain() {}, onClose() {} });
  });
  await pair.openDialler();
  await pair.clock.advance(4_000);
  assertEquals(pair.dialler.end, undefined);
  await pair.clock.advance(1_100);
  assertEquals(pair.dialler.end?.type, "refused");
});

Deno.test("a body beyond the bound is refused before anything is sent", async () => {
  const pair = new LinkPair();
  await pair.open();
  assertThrows(
    () => pair.dialler.link.call("run", new Uint8Array(MAX_BODY_BYTES + 1), sink()),
    NetworkError,
    "at most",
  );
  assertEquals(pair.dialler.link.callsInFlight, 0);
});

Deno.test("the bound of a body counts bytes, not letters", async () => {
  const pair = new LinkPair();
  await pair.open();
  const letters = "é".repeat(MAX_BODY_BYTES / 2 + 1);
  assertThrows(() => pair.dialler.link.call("run", letters, sink()), NetworkError, "at most");
  const answer = sink();
  pair.onCall = (call) => call.end(`${call.body.length}`);
  pair.dialler.link.call("run", "é".repeat(MAX_BODY_BYTES / 2), answer);
  await pair.clock.advance(5);
  assertEquals(answer.ends.map((end) => end.ok && text(end.body)), [`${MAX_BODY_BYTES}`]);
});
