/** What clients of Responses may name by its id. */

import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../../src/dialects/dialect.ts";
import { eventText } from "../../../src/dialects/events.ts";
import { KeptItems } from "../../../src/gateway/models/kept_items.ts";

const refer = (id: string): JsonObject => ({ input: [{ type: "item_reference", id }] });
const response = (...output: JsonObject[]) => ({ id: "resp_1", output });

function keep(items: KeptItems, ...output: JsonObject[]): void {
  items.keep("openai-responses", {}, JSON.stringify(response(...output)));
}

Deno.test("what refers to nothing that is kept stays as it is, and so does what refers to nothing", () => {
  const items = new KeptItems();
  keep(items, { id: "msg_1", type: "message" });
  for (const body of [refer("msg_2"), { input: "?" }, { input: [1, null, {}] }, {}]) {
    assertEquals(items.restored(body) === body, true);
  }
  const { input } = items.restored({ input: ["a", ...refer("msg_1").input as JsonObject[]] });
  assertEquals(input, ["a", { id: "msg_1", type: "message" }]);
});

Deno.test("an answer in pieces goes by untouched, however it is cut, and is kept at its end", async () => {
  const items = new KeptItems();
  const item = { id: "fc_1", type: "function_call", name: "a", arguments: "{}" };
  const text = eventText({ type: "response.created", response: response() }, "response.created") +
    eventText({ type: "response.completed", response: response(item) }, "response.completed");
  const pieces = items.keep("openai-responses", {}, inPieces(text));
  let told = "";
  for await (const piece of pieces) {
    told += piece;
    if (told.length < text.length) assertEquals("type" in items.restored(refer("fc_1")), false);
  }
  assertEquals(told, text);
  assertEquals(items.restored(refer("fc_1")).input, [item]);
});

Deno.test("of other dialects, of what is no response, and against a client's will nothing is kept", () => {
  const items = new KeptItems();
  const json = JSON.stringify(response({ id: "msg_1" }));
  items.keep("openai-chat", {}, json);
  items.keep("openai-responses", { store: false }, json);
  for (const odd of ["", "{", "[]", "null", '{"output":{}}', '{"output":[1,{"id":2}]}']) {
    assertEquals(items.keep("openai-responses", {}, odd), odd);
  }
  assertEquals(items.restored(refer("msg_1")), refer("msg_1"));
});

Deno.test("what came first goes first, and of two with one id the last one counts", () => {
  const items = new KeptItems();
  keep(items, { id: "first", text: "1" });
  keep(items, { id: "first", text: "2" });
  assertEquals(items.restored(refer("first")).input, [{ id: "first", text: "2" }]);
  for (let i = 0; i < 20; i++) keep(items, { id: "again", text: "x".repeat(1024 * 1024) });
  assertEquals(items.restored(refer("first")).input, [{ id: "first", text: "2" }]);
  keep(items, ...Array.from({ length: 4_096 }, (_, i) => ({ id: `${i}` })));
  assertEquals(items.restored(refer("first")), refer("first"));
  assertEquals(items.restored(refer("0")).input, [{ id: "0" }]);
  for (let i = 0; i < 9; i++) keep(items, { id: `long ${i}`, text: "x".repeat(1024 * 1024) });
  assertEquals(items.restored(refer("4095")), refer("4095"));
  assertEquals(items.restored(refer("long 1")), refer("long 1"));
  assertEquals(items.restored(refer("long 8")) === refer("long 8"), false);
  keep(items, { id: "too long", text: "x".repeat(8 * 1024 * 1024) });
  assertEquals(items.restored(refer("too long")), refer("too long"));
});

async function* inPieces(text: string): AsyncGenerator<string, void, void> {
  for (let at = 0; at < text.length; at += 7) {
    yield await Promise.resolve(text.slice(at, at + 7));
  }
}
