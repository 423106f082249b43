/** What dialects of models cost for each piece of an answer; the baseline is reading its JSON. */

import type { ChatChunk } from "../src/dialects/chat.ts";
import { ChatStreamReader } from "../src/dialects/chat_stream.ts";
import { DIALECTS } from "../src/dialects/dialects.ts";
import { eventText } from "../src/dialects/events.ts";

const chunk: ChatChunk = {
  id: "chatcmpl-123456",
  object: "chat.completion.chunk",
  created: 1_735_689_600,
  model: "llama3.2:latest",
  choices: [{ index: 0, delta: { content: " word" }, finish_reason: null }],
};
const json = JSON.stringify(chunk);
const event = eventText(chunk);
const body = {
  model: "llama3.2:latest",
  stream: true,
  max_tokens: 5,
  input: "Hello?",
  messages: [{ role: "user", content: "Hello?" }],
};
const needs = { model: "llama3.2:latest", now: Date.now, newId: () => "1" };

Deno.bench({
  name: "JSON.parse",
  group: "watch over a piece",
  baseline: true,
  fn: () => void JSON.parse(json),
});
const watch = DIALECTS["openai-chat"].watch();
Deno.bench({ name: "watch", group: "watch over a piece", fn: () => watch.push(event) });
const reader = new ChatStreamReader();
Deno.bench({ name: "read", group: "watch over a piece", fn: () => void reader.push(event) });

Deno.bench({
  name: "JSON.stringify",
  group: "translate a piece",
  baseline: true,
  fn: () => void JSON.stringify(chunk),
});
for (const name of ["openai-responses", "anthropic-messages", "ollama-chat"] as const) {
  const pieces = DIALECTS[name].toChat!(body, needs).pieces();
  Deno.bench({ name, group: "translate a piece", fn: () => void pieces.push(chunk) });
}
