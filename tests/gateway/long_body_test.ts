/** Long bodies: bounded, and one at a time. */

import { assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { LongBodies } from "../../src/gateway/long_body.ts";

const post = (body: BodyInit) => new Request("http://127.0.0.1:1/", { method: "POST", body });

Deno.test("a long body is read whole, in however many pieces it comes", async () => {
  const bodies = new LongBodies(10);
  const pieces = ReadableStream.from([[1, 2], [], [3]].map((bytes) => new Uint8Array(bytes)));
  const body = await bodies.use(post(pieces), (bytes) => Promise.resolve([...bytes]));
  assertEquals(body, [1, 2, 3]);
  const none = new Request("http://127.0.0.1:1/");
  assertEquals(await bodies.use(none, (bytes) => Promise.resolve(bytes.length)), 0);
});

Deno.test("one that is too long, and one beside another, is refused", async () => {
  const bodies = new LongBodies(10);
  const done = Promise.withResolvers<string>();
  const first = bodies.use(post("x".repeat(10)), () => done.promise);
  const refused = (request: Request) =>
    assertRejects(() => bodies.use(request, () => Promise.resolve()), NetworkError);
  assertEquals((await refused(post("x"))).code, "RESOURCE_EXHAUSTED");
  done.resolve("done");
  assertEquals(await first, "done");
  assertEquals((await refused(post("x".repeat(11)))).code, "INVALID_ARGUMENT");
  // Neither keeps the next one from coming.
  assertEquals(await bodies.use(post("x"), ({ length }) => Promise.resolve(length)), 1);
});
