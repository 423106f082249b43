/** What a command asks its node can be stopped, whenever that is. */

import { assertEquals } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { directFetch } from "../../src/cli/direct_fetch.ts";

Deno.test("an answer is stopped by its signal, also after a collection of garbage", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const gone = Promise.withResolvers<void>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const start = (controller: ReadableStreamDefaultController) =>
      controller.enqueue(new TextEncoder().encode("one"));
    return new Response(new ReadableStream({ start, cancel: () => gone.resolve() }));
  });
  const { port } = server.addr;
  const stop = new AbortController();
  const open = async () => {
    const signal = AbortSignal.any([stop.signal, new AbortController().signal]);
    const url = new URL(`http://127.0.0.1:${port}/`);
    const { body } = await directFetch(url, { method: "GET", headers: {}, signal });
    const reader = body!.getReader();
    await reader.read();
    return reader;
  };
  const reader = await open();
  const end = reader.read().then(() => "ended", (error) => error.message);
  // The first collection is after the turn in which the head came.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    collect();
  }
  stop.abort(new Error("enough"));
  assertEquals(await end, "enough");
  await gone.promise;
});
