/** Answers that end with their signal. */

import { assertEquals, assertRejects } from "@std/assert";
import { stoppable } from "../../src/base/stoppable.ts";
import { soon } from "../support/soon.ts";
import { UnendingServer } from "../support/unending.ts";

/** A signal of which nobody else is told. */
function signalOf(stop: AbortController): AbortSignal {
  return AbortSignal.any([stop.signal, new AbortController().signal]);
}

Deno.test("an answer is stopped by its signal, also after a collection of garbage", async () => {
  await using server = new UnendingServer("one");
  const stop = new AbortController();
  const open = async () => {
    const signal = signalOf(stop);
    return stoppable(await fetch(server.url, { signal }), signal).body!.getReader();
  };
  const reader = await open();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "one");
  const end = assertRejects(() => reader.read(), Error, "enough");
  await server.forgotten();
  stop.abort(new Error("enough"));
  await soon(end, "the end of the answer");
  await server.left();
});

Deno.test("one that is stopped before it is read, and one whose reader leaves, are let go of", async () => {
  for (const leave of ["abort", "cancel"] as const) {
    await using server = new UnendingServer("one");
    const stop = new AbortController();
    const answer = stoppable(await fetch(server.url, { signal: stop.signal }), stop.signal);
    if (leave === "abort") stop.abort(new Error("enough"));
    else await answer.body!.cancel();
    if (leave === "abort") await assertRejects(() => answer.text(), Error, "enough");
    await server.left();
  }
});

Deno.test("an answer that ends is the same, and leaves nothing at its signal", async () => {
  const listening = new Set<unknown>();
  const { signal } = new AbortController();
  signal.addEventListener = (_: string, listener: unknown) => void listening.add(listener);
  signal.removeEventListener = (_: string, listener: unknown) => void listening.delete(listener);
  const init = { status: 418, statusText: "Short", headers: { "x-a": "b" } };
  const answer = stoppable(new Response("all of it", init), signal);
  assertEquals(listening.size, 1);
  assertEquals([answer.status, answer.statusText, answer.headers.get("x-a")], [418, "Short", "b"]);
  assertEquals(await answer.text(), "all of it");
  assertEquals(listening.size, 0);

  const broken = new ReadableStream({ pull: () => Promise.reject(new Error("cut")) });
  const cut = stoppable(new Response(broken), signal);
  await assertRejects(() => cut.text(), Error, "cut");
  assertEquals(listening.size, 0);

  const empty = new Response(null, { status: 204 });
  assertEquals(stoppable(empty, signal), empty);
  assertEquals(stoppable(answer, undefined), answer);
});
