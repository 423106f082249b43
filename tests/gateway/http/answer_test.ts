/** An answer on the wire: framed by its length where that is known, else piece by piece. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { type AnswerSetting, writeAnswer } from "../../../src/gateway/http/answer.ts";
import { eventually } from "../../support/eventually.ts";

interface Wire {
  readonly setting: AnswerSetting;
  /** What each write has brought. */
  readonly writes: string[];
}

function wire(setting: Partial<AnswerSetting> = {}): Wire {
  const writes: string[] = [];
  return {
    writes,
    setting: {
      sink: {
        write(bytes) {
          writes.push(String.fromCharCode(...bytes.subarray(0, 60_000)));
          return Promise.resolve(Math.min(bytes.length, 60_000));
        },
      },
      clock: new ManualClock(),
      headers: [["x-default", "1"]],
      method: "GET",
      isHttp10: false,
      closes: false,
      ...setting,
    },
  };
}

async function sent(response: Response, setting?: Partial<AnswerSetting>): Promise<string[]> {
  const { writes, setting: all } = wire(setting);
  await writeAnswer(response, all);
  return writes.join("").split("\r\n");
}

/** A body whose pieces the test gives. */
function given(): [Response, ReadableStreamDefaultController<Uint8Array>] {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) });
  return [new Response(body), controller];
}

const encode = (text: string) => new TextEncoder().encode(text);
const DATE = "date: Thu, 01 Jan 2026 00:00:00 GMT";

Deno.test("a body that is there is sent with its length, in one write with the head", async () => {
  const { writes, setting } = wire();
  await writeAnswer(Response.json({ a: 1 }, { status: 404 }), setting);
  assertEquals(writes.length, 1);
  assertEquals(writes[0].split("\r\n"), [
    "HTTP/1.1 404 Not Found",
    "content-type: application/json",
    "x-default: 1",
    DATE,
    "content-length: 7",
    "",
    '{"a":1}',
  ]);
});

Deno.test("an answer's own headers go before those of every answer, and framing is not its own", async () => {
  const headers = { "X-Default": "2", "x-name": "\u00ff", "content-length": "99" };
  const lines = await sent(new Response("abc", { headers }));
  assertEquals(lines.filter((line) => line.startsWith("x-")), ["x-default: 2", "x-name: \u00ff"]);
  assertEquals(lines.filter((line) => /length/.test(line)), ["content-length: 3"]);
});

Deno.test("the client is told when the connection will be closed", async () => {
  assert((await sent(new Response("a"), { closes: true })).includes("connection: close"));
  assert(!(await sent(new Response("a"))).some((line) => line.startsWith("connection")));
});

Deno.test("an answer to HEAD, and one without a body, have none", async () => {
  const head = await sent(new Response("abc"), { method: "HEAD" });
  assertEquals(head.slice(-2), ["", ""]);
  const none = await sent(new Response(null, { status: 204 }));
  assertEquals(none.slice(-3), [DATE, "", ""]);
  assertEquals((await sent(new Response(null))).slice(-3), ["content-length: 0", "", ""]);
});

Deno.test("the head goes out although the body is still being made, and each piece at once", async () => {
  const { writes, setting } = wire();
  const [response, body] = given();
  const writing = writeAnswer(response, setting);
  await eventually(() => writes.length === 1, { what: "the head" });
  assert(writes[0].endsWith("transfer-encoding: chunked\r\n\r\n"));
  body.enqueue(encode("one"));
  await eventually(() => writes.length === 2, { what: "the first piece" });
  body.enqueue(encode("two"));
  body.enqueue(new Uint8Array());
  body.enqueue(encode("three"));
  await eventually(() => writes.length === 3, { what: "what was there together" });
  body.close();
  await writing;
  assertEquals(writes.slice(1), ["3\r\none\r\n", "8\r\ntwothree\r\n", "0\r\n\r\n"]);
});

Deno.test("an empty piece is not taken for the end", async () => {
  const { writes, setting } = wire();
  const [response, body] = given();
  const writing = writeAnswer(response, setting);
  await eventually(() => writes.length === 1, { what: "the head" });
  body.enqueue(new Uint8Array());
  body.enqueue(encode("a"));
  body.close();
  await writing;
  assertEquals(writes.slice(1).join(""), "1\r\na\r\n0\r\n\r\n");
});

Deno.test("a client of HTTP/1.0 gets the pieces as they are", async () => {
  const { writes, setting } = wire({ isHttp10: true, closes: true });
  const [response, body] = given();
  const writing = writeAnswer(response, setting);
  await eventually(() => writes.length === 1, { what: "the head" });
  body.enqueue(encode("a"));
  body.close();
  await writing;
  assert(!writes[0].includes("chunked"));
  assertEquals(writes.slice(1).join(""), "a");
});

Deno.test("megabytes arrive whole although the system takes them in parts", async () => {
  const lines = await sent(new Response("x".repeat(1_000_000)));
  assertEquals(lines.at(-1)!.length, 1_000_000);
});

Deno.test("a body that fails halfway is not ended as if it were whole", async () => {
  const { writes, setting } = wire();
  const [response, body] = given();
  const writing = writeAnswer(response, setting);
  await eventually(() => writes.length === 1, { what: "the head" });
  body.error(new Error("no disk"));
  await assertRejects(() => writing, Error, "no disk");
  assertEquals(writes.length, 1);
});

Deno.test("a body is made no further when nobody is there to read it", async () => {
  const lost = Promise.withResolvers<undefined>();
  const { writes, setting } = wire({ lost: lost.promise });
  let isCancelled = false;
  const body = new ReadableStream({ cancel: () => void (isCancelled = true) });
  const writing = writeAnswer(new Response(body), setting);
  await eventually(() => writes.length === 1, { what: "the head" });
  lost.resolve(undefined);
  await writing;
  assert(isCancelled);
});
