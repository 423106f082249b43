/** Anthropic's Messages, as its official client reads them. */

import Anthropic from "@anthropic-ai/sdk";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { anthropicMessages } from "../../src/dialects/anthropic/messages.ts";
import type { JsonObject } from "../../src/dialects/dialect.ts";
import {
  chunk,
  completion,
  type EngineAnswer,
  front,
  PARALLEL_CALLS,
  testNeeds,
  usageChunk,
  watched,
  words,
} from "./rig.ts";

const MODEL = "llama3.2:latest";
const HELLO = {
  model: MODEL,
  max_tokens: 100,
  messages: [{ role: "user" as const, content: "Hello?" }],
};
const THINKING = { thinking: { type: "enabled" as const, budget_tokens: 1024 } };

function clientOf(answer: EngineAnswer) {
  const gate = front(anthropicMessages, answer);
  const baseURL = "http://127.0.0.1:1";
  const options = { apiKey: "x", baseURL, maxRetries: 0, logLevel: "off" as const };
  return { ...gate, client: new Anthropic({ ...options, fetch: gate.fetch }) };
}

const requestOf = (body: JsonObject) =>
  anthropicMessages.toChat!({ ...HELLO, ...body }, testNeeds()).request;

Deno.test("Anthropic's client reads a message in pieces, with what it took", async () => {
  const details = { prompt_tokens_details: { cached_tokens: 5 } };
  const { client, told } = clientOf({
    pieces: [...words("Hello", " there").slice(0, -1), usageChunk(9, 2, details)],
  });
  const message = await client.messages.stream(HELLO).finalMessage();
  assertEquals(message.content.map((block) => block.type === "text" && block.text), [
    "Hello there",
  ]);
  assertEquals([message.model, message.role, message.stop_reason], [
    MODEL,
    "assistant",
    "end_turn",
  ]);
  const { input_tokens, output_tokens, cache_read_input_tokens } = message.usage;
  assertEquals([input_tokens, cache_read_input_tokens, output_tokens], [4, 5, 2]);
  assertEquals(watched(anthropicMessages, told[0]), {
    hasSpoken: true,
    tokens: 2,
    isComplete: true,
    fault: undefined,
  });
});

Deno.test("the events of a message come in their order, each under its name", async () => {
  const { client, told } = clientOf({ pieces: [chunk({ reasoning: "Hm" }), ...words("Hi")] });
  await client.messages.stream({ ...HELLO, ...THINKING }).finalMessage();
  const events = told[0].trimEnd().split("\n\n").map((event) => {
    const [, name, json] = event.match(/^event: (.*)\ndata: (.*)$/)!;
    const { type, index } = JSON.parse(json);
    assertEquals(type, name);
    return index === undefined ? type : `${type} ${index}`;
  });
  assertEquals(events, [
    "message_start",
    "content_block_start 0",
    "content_block_delta 0",
    "content_block_stop 0",
    "content_block_start 1",
    "content_block_delta 1",
    "content_block_stop 1",
    "message_delta",
    "message_stop",
  ]);
});

const CALLS = [
  { type: "tool_use", id: "call_a", name: "weather", input: { city: "Graz" } },
  { type: "tool_use", id: "call_b", name: "clock", input: { zone: "CET", h24: true } },
];

Deno.test("Anthropic's client reads two calls of tools at once, in pieces and whole", async () => {
  const tool_calls = CALLS.map(({ id, name, input }) => ({
    id,
    function: { name, arguments: JSON.stringify(input) },
  }));
  // Some say that it was an end like any other.
  const whole = completion({ content: null, tool_calls }, "stop");
  const { client } = clientOf({ pieces: PARALLEL_CALLS, whole });
  const streamed = await client.messages.stream(HELLO).finalMessage();
  assertEquals<unknown>(streamed.content.map((block) => ({ ...block })), CALLS);
  assertEquals(streamed.stop_reason, "tool_use");
  const answer = await client.messages.create(HELLO);
  assertEquals<unknown>(answer.content, CALLS);
  assertEquals(answer.stop_reason, "tool_use");
});

Deno.test("a call without arguments has none", async () => {
  const pieces = [chunk({ tool_calls: [{ function: { name: "now" } }] }), chunk({}, "tool_calls")];
  const { client } = clientOf({ pieces });
  const { content: [block] } = await client.messages.stream(HELLO).finalMessage();
  assertEquals<unknown>({ ...block }, { type: "tool_use", id: "call_id2", name: "now", input: {} });
});

Deno.test("thoughts are told to who wants to know them, and to nobody else", async () => {
  const { client } = clientOf({
    pieces: [chunk({ reasoning_content: "Hm" }), chunk({ reasoning_content: "m" }), ...words("Hi")],
    whole: completion({ content: "Hi", reasoning: "Hmm" }),
  });
  const types = async (more: Partial<typeof THINKING>) => {
    const streamed = await client.messages.stream({ ...HELLO, ...more }).finalMessage();
    const whole = await client.messages.create({ ...HELLO, ...more });
    const known = (given: typeof whole.content) =>
      given.map((one) => one.type === "thinking" ? one.thinking : one.type);
    assertEquals(known(streamed.content), known(whole.content));
    return known(whole.content);
  };
  assertEquals(await types(THINKING), ["Hmm", "text"]);
  assertEquals(await types({}), ["text"]);
});

Deno.test("why a message ends is said in Anthropic's words", async () => {
  const reasonOf = async (finish: string | null, rest: Record<string, unknown> = {}) => {
    const piece = {
      ...chunk({ content: "x" }),
      choices: [{ index: 0, delta: {}, finish_reason: finish, ...rest }],
    };
    const { client } = clientOf({ pieces: [piece] });
    const body = { ...HELLO, stop_sequences: ["END"] };
    const { stop_reason, stop_sequence } = await client.messages.stream(body).finalMessage();
    return [stop_reason, stop_sequence];
  };
  assertEquals(await reasonOf("stop"), ["end_turn", null]);
  assertEquals(await reasonOf(null), ["end_turn", null]);
  assertEquals(await reasonOf("eos"), ["end_turn", null]);
  assertEquals(await reasonOf("length"), ["max_tokens", null]);
  assertEquals(await reasonOf("content_filter"), ["refusal", null]);
  assertEquals(await reasonOf("stop", { stop_reason: "END" }), ["stop_sequence", "END"]);
  assertEquals(await reasonOf("stop", { stop_reason: "<|eot|>" }), ["end_turn", null]);
  assertEquals(await reasonOf("stop", { stop_reason: 128009 }), ["end_turn", null]);
});

Deno.test("an engine that says nothing at all has given an empty message", async () => {
  const { client } = clientOf({ pieces: [], whole: { choices: [] } });
  const streamed = await client.messages.stream(HELLO).finalMessage();
  assertEquals([streamed.content, streamed.stop_reason], [[], "end_turn"]);
  assertEquals((await client.messages.create(HELLO)).content, []);
});

Deno.test("all that a message can say is said in OpenAI's words", () => {
  const schema = { type: "object", properties: {} };
  const request = requestOf({
    system: [{ type: "text", text: "Be short.", cache_control: { type: "ephemeral" } }, {
      type: "text",
      text: "Be kind.",
    }],
    stream: true,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    stop_sequences: ["END"],
    metadata: { user_id: "ada" },
    thinking: { type: "disabled" },
    output_config: { format: { type: "json_schema", schema }, effort: "high" },
    tools: [
      { name: "weather", description: "Looks up", input_schema: schema },
      { type: "web_search_20250305", name: "web_search" },
      { type: "custom", name: "clock", input_schema: schema, strict: true },
    ],
    tool_choice: { type: "any", disable_parallel_tool_use: true },
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "What is it?" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } },
          { type: "image", source: { type: "url", url: "https://example.org/a.png" } },
          {
            type: "document",
            title: "T",
            source: { type: "text", media_type: "text/plain", data: "D" },
          },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm", signature: "" },
          { type: "redacted_thinking", data: "…" },
          { type: "text", text: "Let me see." },
          { type: "tool_use", id: "call_a", name: "weather", input: { city: "Graz" } },
          { type: "tool_use", id: "call_b", name: "clock", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "call_a", content: "sunny" },
          {
            type: "tool_result",
            tool_use_id: "call_b",
            is_error: true,
            content: [
              { type: "text", text: "it stands" },
              { type: "image", source: { type: "url", url: "https://example.org/b.png" } },
            ],
          },
          { type: "text", text: "Well?" },
        ],
      },
      { role: "assistant", content: "{" },
    ],
  });
  const image = (url: string) => ({ type: "image_url", image_url: { url } });
  const text = (text: string) => ({ type: "text", text });
  const call = (id: string, name: string, json: string) => ({
    id,
    type: "function",
    function: { name, arguments: json },
  });
  assertEquals<unknown>(request, {
    messages: [
      { role: "system", content: "Be short.\nBe kind." },
      {
        role: "user",
        content: [
          text("What is it?"),
          image("data:image/png;base64,iVBO"),
          image("https://example.org/a.png"),
          text("T"),
          text("D"),
        ],
      },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [call("call_a", "weather", '{"city":"Graz"}'), call("call_b", "clock", "{}")],
        reasoning_content: "Hm",
      },
      { role: "tool", tool_call_id: "call_a", content: "sunny" },
      { role: "tool", tool_call_id: "call_b", content: "Error: it stands" },
      { role: "user", content: [image("https://example.org/b.png"), text("Well?")] },
      { role: "assistant", content: "{" },
    ],
    max_tokens: 100,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    stop: ["END"],
    user: "ada",
    tools: [
      {
        type: "function",
        function: { name: "weather", description: "Looks up", parameters: schema },
      },
      { type: "function", function: { name: "clock", parameters: schema, strict: true } },
    ],
    tool_choice: "required",
    parallel_tool_calls: false,
    response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: true } },
    reasoning_effort: "none",
    stream_options: { include_usage: true },
  });
});

Deno.test("texts alone are one text, and what is not asked is not said", () => {
  assertEquals<unknown>(
    requestOf({
      messages: [{
        role: "user",
        content: [{ type: "text", text: "a" }, { type: "text", text: "b" }],
      }],
      tool_choice: { type: "auto" },
      stop_sequences: [],
      system: "",
      ...THINKING,
    }),
    { messages: [{ role: "user", content: "a\nb" }], max_tokens: 100 },
  );
});

const WEATHER = { name: "weather", input_schema: {} };
const says = (role: string, block: JsonObject): JsonObject => ({
  messages: [{ role, content: [block] }],
});
const WRONG: [JsonObject, string][] = [
  [{ max_tokens: null }, "max_tokens is null"],
  [{ max_tokens: 0 }, "max_tokens is 0"],
  [{ messages: [] }, "messages is an empty list"],
  [{ messages: [{ role: "user" }] }, "messages[0].content is missing"],
  [{ messages: [{ role: "tool", content: "" }] }, 'messages[0].role is "tool"'],
  [{ system: [{ type: "image" }] }, 'system[0].type is "image"'],
  [says("user", { type: "text" }), "messages[0].content[0].text is missing"],
  [says("user", { type: "video" }), 'messages[0].content[0].type is "video"'],
  [says("user", { type: "tool_result" }), "messages[0].content[0].tool_use_id is missing"],
  [
    says("user", { type: "image", source: { type: "file", file_id: "x" } }),
    'source.type is "file"',
  ],
  [
    says("user", { type: "document", source: { type: "base64", data: "" } }),
    "Give the document as text",
  ],
  [says("assistant", { type: "tool_use", id: "x" }), "messages[0].content[0].name is missing"],
  [{ tools: [{ name: "x" }] }, "tools[0].input_schema is missing"],
  [{ tools: [{ type: "bash_20250124", name: "bash" }] }, 'tools[0].type is "bash_20250124"'],
  [{ tools: [WEATHER], tool_choice: { type: "some" } }, 'tool_choice.type is "some"'],
  [{ tools: [WEATHER], tool_choice: { type: "tool" } }, "tool_choice.name is missing"],
  [{ stop_sequences: "x" }, 'stop_sequences is "x"'],
  [{ thinking: {} }, "thinking.type is missing"],
  [{ output_config: { format: { type: "text" } } }, "output_config.format is an object"],
];

Deno.test("what is wrong, or cannot be said in a chat, is refused by the name of the field", () => {
  for (const [body, part] of WRONG) {
    assertEquals(assertThrows(() => requestOf(body), NetworkError, part).code, "INVALID_ARGUMENT");
  }
});

Deno.test("each refusal is one that Anthropic's client knows by its status and type", async () => {
  const refused = async (code: NetworkError["code"]) => {
    const { status, body } = anthropicMessages.refuse({ code, message: "told so" });
    const client = new Anthropic({
      apiKey: "x",
      maxRetries: 0,
      fetch: () => Promise.resolve(Response.json(body, { status })),
    });
    const error = await assertRejects(() => client.messages.create(HELLO), Anthropic.APIError);
    assertStringIncludes(error.message, "told so");
    return [error.status, error.type];
  };
  assertEquals(await refused("INVALID_ARGUMENT"), [400, "invalid_request_error"]);
  assertEquals(await refused("PERMISSION_DENIED"), [403, "permission_error"]);
  assertEquals(await refused("NOT_FOUND"), [404, "not_found_error"]);
  assertEquals(await refused("RESOURCE_EXHAUSTED"), [529, "overloaded_error"]);
  assertEquals(await refused("DEADLINE_EXCEEDED"), [504, "timeout_error"]);
  assertEquals(await refused("UNAVAILABLE"), [503, "api_error"]);
  assertEquals(await refused("INTERNAL"), [500, "api_error"]);
});

Deno.test("Anthropic's client throws an error that comes in the middle of a stream", async () => {
  const breaksOff = { code: "RESOURCE_EXHAUSTED" as const, message: "out of memory" };
  const { client, told } = clientOf({ pieces: words("Hi"), breaksOff });
  const error = await assertRejects(
    () => client.messages.stream(HELLO).finalMessage(),
    Anthropic.APIError,
  );
  assertEquals(error.type, "overloaded_error");
  assertEquals(watched(anthropicMessages, told[0]).fault, "out of memory");
});

Deno.test("a message has spoken with its first word, call or end, and not with its beginning", () => {
  const event = (type: string, rest: JsonObject) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  const start = (type: string) =>
    event("content_block_start", { index: 0, content_block: { type } });
  const delta = (delta: JsonObject) => event("content_block_delta", { index: 0, delta });
  const before = event("message_start", { message: { usage: { output_tokens: 1 } } }) +
    event("ping", {}) + start("text") + start("thinking") + delta({ type: "text_delta", text: "" });
  const seen = (text: string) => watched(anthropicMessages, before + text);
  assert(!seen("").hasSpoken);
  assert(seen(start("tool_use")).hasSpoken);
  assert(seen(delta({ type: "text_delta", text: "a" })).hasSpoken);
  assert(seen(delta({ type: "thinking_delta", thinking: "a" })).hasSpoken);
  const end = event("message_delta", {
    delta: { stop_reason: "end_turn" },
    usage: { output_tokens: 7 },
  });
  assertEquals(seen(end), { hasSpoken: true, tokens: 7, isComplete: false, fault: undefined });
  assertEquals(seen(end + event("message_stop", {})).isComplete, true);
});
