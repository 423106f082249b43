/** The bounds of bodies: of each one, and of all that are being read. */

import { assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { JsonBodies, MAX_ALL_BODIES_BYTES, MAX_BODY_BYTES } from "../../src/gateway/json_bodies.ts";
import { eventually } from "../support/eventually.ts";

const URL = "http://127.0.0.1:1/";

function post(body: BodyInit): Request {
  return new Request(URL, { method: "POST", body });
}

/** A body of `length` spaces that has no end until the test says so. */
function endless(length: number): { request: Request; isRead: () => boolean; end: () => void } {
  const end = Promise.withResolvers<void>();
  let left = length;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (left === 0) {
        await end.promise;
        controller.enqueue(new TextEncoder().encode("1"));
        return controller.close();
      }
      const count = Math.min(left, 1_048_576);
      left -= count;
      controller.enqueue(new Uint8Array(count).fill(0x20));
    },
  }, { highWaterMark: 0 });
  return { request: post(body), isRead: () => left === 0, end: end.resolve };
}

Deno.test("a body is read whole, in however many pieces it comes", async () => {
  const bodies = new JsonBodies();
  assertEquals(await bodies.read(post('{"a":[1]}')), { a: [1] });
  const long = endless(3_000_000);
  long.end();
  assertEquals(await bodies.read(long.request), 1);
  const none = await assertRejects(() => bodies.read(new Request(URL)), NetworkError);
  assertEquals(none.code, "PROTOCOL");
});

Deno.test("a body may be as long as the bound and no byte longer", async () => {
  const bodies = new JsonBodies();
  const longest = endless(MAX_BODY_BYTES - 1);
  longest.end();
  assertEquals(await bodies.read(longest.request), 1);
  const error = await assertRejects(() => bodies.read(endless(MAX_BODY_BYTES + 1).request));
  assertEquals((error as NetworkError).code, "INVALID_ARGUMENT");
});

Deno.test("long bodies at the same time are refused beyond what may be held, short ones go on", async () => {
  const bodies = new JsonBodies();
  const count = MAX_ALL_BODIES_BYTES / MAX_BODY_BYTES - 1;
  const held = Array.from({ length: count }, () => endless(MAX_BODY_BYTES - 1));
  const reading = held.map(({ request }) => bodies.read(request));
  await eventually(() => held.every(({ isRead }) => isRead()), { what: "the long bodies" });
  const tooMuch = endless(MAX_BODY_BYTES - 1);
  const error = await assertRejects(() => bodies.read(tooMuch.request), NetworkError);
  assertEquals([error.code, error.retryAfterMs], ["RESOURCE_EXHAUSTED", 1_000]);
  assertEquals(await bodies.read(post("2")), 2);
  for (const { end } of held) end();
  assertEquals(await Promise.all(reading), held.map(() => 1));
  const later = endless(MAX_BODY_BYTES - 1);
  later.end();
  assertEquals(await bodies.read(later.request), 1);
});
