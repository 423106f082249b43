/** A conversation that goes on is found, whoever carries it. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { JsonObject } from "../../../src/dialects/dialect.ts";
import { conversationKeys, Conversations } from "../../../src/network/models/conversations.ts";

const said = (role: string, content: JsonObject["content"]): JsonObject => ({ role, content });
const system = said("system", "Be short.");
const question = said("user", "What is 1 + 1?");
const answer = said("assistant", "2");
const next = said("user", "And 2 + 2?");

Deno.test("a conversation that goes on is found where it was, and no other", () => {
  const conversations = new Conversations();
  const first = conversationKeys({ messages: [system, question] });
  conversations.note("m", first, "a");
  const keys = conversationKeys({ messages: [system, question, answer, next] });
  assertEquals(conversations.find("m", keys), "a");
  assertEquals(conversations.find("m", first), "a");
  assertEquals(conversations.find("other", keys), undefined);
  const others = [
    [system, next],
    [system, said("user", "What is 1 + 1? "), answer, next],
    [said("system", "Be long."), question, answer, next],
    [system, said("assistant", "What is 1 + 1?")],
    [question, answer, next],
  ];
  for (const messages of others) {
    assertEquals(conversations.find("m", conversationKeys({ messages })), undefined);
  }
  assertEquals(conversations.find("m", []), undefined);
});

Deno.test("of two nodes that have read it the one is meant that has read more", () => {
  const conversations = new Conversations();
  const keys = conversationKeys({ messages: [system, question, answer, next] });
  conversations.note("m", keys.slice(0, 2), "a");
  conversations.note("m", keys, "b");
  assertEquals(conversations.find("m", keys), "b");
  assertEquals(conversations.find("m", keys.slice(0, 3)), "a");
});

Deno.test("the same conversation is the same in every dialect that has messages", () => {
  const parts = (role: string, text: string, type = "text") => said(role, [{ type, text }]);
  const openAi = conversationKeys({ messages: [system, question, answer, next] });
  const same: JsonObject[] = [
    { messages: [parts("system", "Be short."), parts("user", "What is 1 + 1?"), answer, next] },
    { instructions: "Be short.", input: [question, answer, next] },
    {
      instructions: "Be short.",
      input: [{ type: "message", ...parts("user", "What is 1 + 1?", "input_text") }, answer, next],
    },
    { system: "Be short.", messages: [question, answer, next] },
    { system: [{ type: "text", text: "Be short." }], messages: [question, answer, next] },
  ];
  for (const body of same) {
    assertEquals(conversationKeys(body).at(-1), openAi.at(-1), JSON.stringify(body));
  }
});

Deno.test("what is to be kept in a cache is another part each time, and the same conversation", () => {
  const cached = (text: string) =>
    said("user", [{ type: "text", text, cache_control: { type: "ephemeral" } }]);
  const result = (mark: JsonObject) =>
    said("user", [{ type: "tool_result", tool_use_id: "t", content: "2", ...mark }]);
  const before = conversationKeys({ messages: [cached("What is 1 + 1?")] });
  const after = conversationKeys({ messages: [question, answer, cached("And 2 + 2?")] });
  assertEquals(after[0], before[0]);
  assertEquals(
    conversationKeys({ messages: [result({ cache_control: { type: "ephemeral" } })] }),
    conversationKeys({ messages: [result({})] }),
  );
});

Deno.test("messages without text, and what is long, are told from each other", () => {
  const picture = (end: string) =>
    said("user", [{ type: "image_url", image_url: { url: `data:${"A".repeat(5_000)}${end}` } }]);
  const one = (message: JsonObject) => conversationKeys({ messages: [message] })[0];
  assertNotEquals(one(picture("1")), one(picture("2")));
  assertNotEquals(
    one({ role: "assistant", content: null, tool_calls: [{ id: "1" }] }),
    one({ role: "assistant", content: null, tool_calls: [{ id: "2" }] }),
  );
  assertNotEquals(
    one({ type: "function_call", name: "a" }),
    one({ type: "function_call", name: "b" }),
  );
});

Deno.test("what is no conversation has no keys", () => {
  const none: JsonObject[] = [
    {},
    { messages: "hello" },
    { messages: ["hello"] },
    { messages: [null] },
    { input: "hello" },
    { input: ["a", "b"] },
    { prompt: "hello" },
  ];
  for (const body of none) assertEquals(conversationKeys(body), []);
});

Deno.test("only the last thousands of conversations are remembered, and those that go on", () => {
  const conversations = new Conversations();
  const keys = (i: number) => [`key${i}`];
  conversations.note("m", keys(-1), "a");
  for (let i = 0; i < 5_000; i++) {
    conversations.note("m", keys(i), "a");
    if (i % 1_000 === 0) conversations.note("m", keys(-1), "b");
  }
  assertEquals(conversations.find("m", keys(0)), undefined);
  assertEquals(conversations.find("m", keys(-1)), "b");
  assertEquals(conversations.find("m", keys(4_999)), "a");
});

Deno.test("a long conversation, and one of long messages, is looked at in no time", () => {
  const messages = Array.from(
    { length: 2_000 },
    (_, i) => said("user", `${i}`.repeat(200_000 / 50)),
  );
  const began = performance.now();
  assertEquals(conversationKeys({ messages }).length, 2_000);
  assert(performance.now() - began < 1_000);
});
