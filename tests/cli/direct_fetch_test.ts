/** What a command asks its node can be stopped, whenever that is. */

import { assertRejects } from "@std/assert";
import { directFetch } from "../../src/cli/direct_fetch.ts";
import { soon } from "../support/soon.ts";
import { UnendingServer } from "../support/unending.ts";

Deno.test("an answer is stopped by its signal, also after a collection of garbage", async () => {
  await using server = new UnendingServer("one");
  const stop = new AbortController();
  const open = async () => {
    const signal = AbortSignal.any([stop.signal, new AbortController().signal]);
    const { body } = await directFetch(new URL(server.url), { method: "GET", headers: {}, signal });
    const reader = body!.getReader();
    await reader.read();
    return reader;
  };
  const reader = await open();
  const end = assertRejects(() => reader.read(), Error, "enough");
  await server.forgotten();
  stop.abort(new Error("enough"));
  await soon(end, "the end of the answer");
  await server.left();
});
