/** OpenAI's Responses, as its official client reads them. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import OpenAI from "openai";
import type { ChatChunk } from "../../src/dialects/chat.ts";
import { NetworkError } from "../../src/base/errors.ts";
import type { CallError, JsonObject } from "../../src/dialects/dialect.ts";
import { openAiResponses } from "../../src/dialects/openai/responses.ts";
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
const HELLO = { model: MODEL, input: "Hello?" };

function clientOf(answer: EngineAnswer) {
  const gate = front(openAiResponses, answer);
  const baseURL = "http://127.0.0.1:1/v1";
  return {
    ...gate,
    client: new OpenAI({ apiKey: "x", baseURL, maxRetries: 0, fetch: gate.fetch }),
  };
}

const requestOf = (body: JsonObject) =>
  openAiResponses.toChat!({ ...HELLO, ...body }, testNeeds()).request;

/** The events of a stream, without what is in them that depends on nothing else. */
function eventsOf(told: string): JsonObject[] {
  return told.trimEnd().split("\n\n").map((event) => {
    const [, name, json] = event.match(/^event: (.*)\ndata: (.*)$/)!;
    const value = JSON.parse(json);
    assertEquals(value.type, name);
    return value;
  });
}

Deno.test("OpenAI's client reads a response in pieces, with what it took", async () => {
  const details = {
    prompt_tokens_details: { cached_tokens: 5 },
    completion_tokens_details: { reasoning_tokens: 1 },
  };
  const { client, told } = clientOf({
    pieces: [...words("Hello", " there").slice(0, -1), usageChunk(9, 2, details)],
  });
  const response = await client.responses.stream(HELLO).finalResponse();
  assertEquals(response.output_text, "Hello there");
  assertEquals([response.model, response.status, response.error], [MODEL, "completed", null]);
  assertEquals(response.usage, {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 5, cache_write_tokens: 0 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 11,
  });
  assertEquals(watched(openAiResponses, told[0]), {
    hasSpoken: true,
    tokens: 2,
    isComplete: true,
    fault: undefined,
  });
});

Deno.test("the events of a response come in their order, numbered, and speak of one response", async () => {
  const call = { index: 0, id: "c", function: { name: "f", arguments: "{}" } };
  const { client, told } = clientOf({
    pieces: [chunk({ reasoning: "Hm" }), chunk({ content: "Hi" }), chunk({ tool_calls: [call] })],
  });
  const final = await client.responses.stream(HELLO).finalResponse();
  const events = eventsOf(told[0]);
  assertEquals(events.map(({ sequence_number }) => sequence_number), events.map((_, i) => i));
  assertEquals(
    events.map(({ type, output_index: i }) =>
      `${type}`.slice(9) + (i === undefined ? "" : ` ${i}`)
    ),
    [
      "created",
      "in_progress",
      "output_item.added 0",
      "content_part.added 0",
      "reasoning_text.delta 0",
      "reasoning_text.done 0",
      "content_part.done 0",
      "output_item.done 0",
      "output_item.added 1",
      "content_part.added 1",
      "output_text.delta 1",
      "output_text.done 1",
      "content_part.done 1",
      "output_item.done 1",
      "output_item.added 2",
      "function_call_arguments.delta 2",
      "function_call_arguments.done 2",
      "output_item.done 2",
      "completed",
    ],
  );
  const ids = new Set(
    events.flatMap(({ response }) => response === undefined ? [] : [(response as JsonObject).id]),
  );
  assertEquals([...ids], [final.id]);
  const done = events.filter(({ type }) => type === "response.output_item.done");
  assertEquals<unknown>(
    done.map(({ item }) => item),
    (events.at(-1)!.response as JsonObject).output,
  );
  assertEquals(new Set(final.output.map(({ id }) => id)).size, 3);
});

const CALLS = [
  { type: "function_call", call_id: "call_a", name: "weather", arguments: '{"city":"Graz"}' },
  {
    type: "function_call",
    call_id: "call_b",
    name: "clock",
    arguments: '{"zone":"CET","h24":true}',
  },
];

Deno.test("OpenAI's client reads two calls of tools at once, in pieces and whole", async () => {
  const tool_calls = CALLS.map(({ call_id, name, arguments: json }) => ({
    id: call_id,
    function: { name, arguments: json },
  }));
  const { client } = clientOf({
    pieces: PARALLEL_CALLS,
    whole: completion({ content: null, tool_calls }, "tool_calls"),
  });
  const known = (given: OpenAI.Responses.Response) =>
    given.output.map((item) => {
      assert(item.type === "function_call");
      const { type, call_id, name, arguments: json } = item;
      return { type, call_id, name, arguments: json };
    });
  assertEquals(known(await client.responses.stream(HELLO).finalResponse()), CALLS);
  assertEquals(known(await client.responses.create(HELLO)), CALLS);
});

Deno.test("arguments are JSON also where the model gave none, and answers are what a schema says", async () => {
  const parameters = { type: "object", properties: {}, required: [], additionalProperties: false };
  const tools = [{ type: "function" as const, name: "now", strict: true, parameters }];
  const pieces = [
    chunk({ content: '{"a":1}' }),
    chunk({ tool_calls: [{ function: { name: "now", arguments: "" } }] }, "tool_calls"),
  ];
  const { client, asked, told } = clientOf({ pieces });
  const format = { type: "json_schema" as const, name: "it", strict: true, schema: parameters };
  const response = await client.responses.stream({ ...HELLO, tools, text: { format } })
    .finalResponse();
  assertEquals<unknown>(response.output_parsed, { a: 1 });
  const [, call] = response.output;
  assert(call.type === "function_call");
  assertEquals([call.arguments, call.parsed_arguments as unknown], ["{}", {}]);
  const deltas = eventsOf(told[0]).filter(({ type }) =>
    type === "response.function_call_arguments.delta"
  );
  assertEquals(deltas.map(({ delta }) => delta), ["{}"]);
  assertEquals(asked[0].response_format, {
    type: "json_schema",
    json_schema: { name: "it", strict: true, schema: parameters },
  });
});

Deno.test("OpenAI's client reads a whole response, thoughts and all", async () => {
  const { client } = clientOf({ whole: completion({ content: "Hi", reasoning: "Hm" }) });
  const response = await client.responses.create({
    ...HELLO,
    temperature: 0.5,
    metadata: { a: "b" },
  });
  assertEquals(response.output_text, "Hi");
  const [thought, message] = response.output;
  assert(thought.type === "reasoning" && message.type === "message");
  assertEquals(thought.content, [{ type: "reasoning_text", text: "Hm" }]);
  assertEquals([message.role, message.status], ["assistant", "completed"]);
  assertEquals([response.temperature, response.metadata], [0.5, { a: "b" }]);
  assertEquals(response.usage?.total_tokens, 13);
});

Deno.test("a response that is cut off says so, and why", async () => {
  for (
    const [finish, reason] of [["length", "max_output_tokens"], [
      "content_filter",
      "content_filter",
    ]] as const
  ) {
    const { client, told } = clientOf({
      pieces: [chunk({ content: "He" }), chunk({}, finish)],
      whole: completion({ content: "He" }, finish),
    });
    const streamed = await client.responses.stream(HELLO).finalResponse();
    const whole = await client.responses.create(HELLO);
    for (const response of [streamed, whole]) {
      assertEquals([response.status, response.incomplete_details?.reason], ["incomplete", reason]);
      const [item] = response.output;
      assertEquals(item.type === "message" && item.status, "incomplete");
    }
    assertEquals(eventsOf(told[0]).at(-1)!.type, "response.incomplete");
    assertEquals(watched(openAiResponses, told[0]).isComplete, true);
  }
});

Deno.test("an engine that says nothing at all has given an empty response", async () => {
  const { client } = clientOf({ pieces: [], whole: { choices: [] } });
  const streamed = await client.responses.stream(HELLO).finalResponse();
  assertEquals([streamed.output, streamed.status], [[], "completed"]);
  assertEquals((await client.responses.create(HELLO)).output_text, "");
});

const text = (type: string, text: string): JsonObject => ({ type, text });

Deno.test("all that a response can be asked is said in the words of a chat", () => {
  const parameters = { type: "object", properties: {} };
  const image = { type: "input_image", image_url: "data:image/png;base64,iVBO", detail: "auto" };
  const request = requestOf({
    instructions: "Be short.",
    stream: true,
    max_output_tokens: 50,
    temperature: 0,
    top_p: 0.5,
    user: "ada",
    parallel_tool_calls: false,
    reasoning: { effort: "low", summary: "auto" },
    text: { format: { type: "json_object" }, verbosity: "low" },
    tool_choice: { type: "function", name: "weather" },
    tools: [
      { type: "function", name: "weather", description: "Looks up", parameters, strict: true },
      { type: "function", name: "now", parameters: null, strict: null },
      { type: "web_search" },
    ],
    input: [
      { role: "developer", content: "Be kind." },
      { role: "user", content: [text("input_text", "What is it?"), image] },
      { type: "reasoning", id: "rs_1", summary: [], content: [text("reasoning_text", "Hm")] },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        content: [{ ...text("output_text", "Let me see."), annotations: [] }],
      },
      { ...CALLS[0] },
      { ...CALLS[1] },
      {
        type: "function_call_output",
        call_id: "call_a",
        output: [text("input_text", "so"), image],
      },
      { type: "function_call_output", call_id: "call_b", output: "noon" },
      { role: "user", content: "Well?" },
      { type: "reasoning", summary: [text("summary_text", "lost")] },
    ],
  });
  const picture = { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } };
  assertEquals<unknown>(request, {
    messages: [
      { role: "system", content: "Be short.\n\nBe kind." },
      { role: "user", content: [text("text", "What is it?"), picture] },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: CALLS.map(({ call_id, name, arguments: json }) => ({
          id: call_id,
          type: "function",
          function: { name, arguments: json },
        })),
        reasoning_content: "Hm",
      },
      { role: "tool", tool_call_id: "call_a", content: "so" },
      { role: "tool", tool_call_id: "call_b", content: "noon" },
      { role: "user", content: [picture, text("text", "Well?")] },
    ],
    max_tokens: 50,
    temperature: 0,
    top_p: 0.5,
    user: "ada",
    reasoning_effort: "low",
    response_format: { type: "json_object" },
    tools: [
      {
        type: "function",
        function: { name: "weather", description: "Looks up", parameters, strict: true },
      },
      { type: "function", function: { name: "now", parameters } },
    ],
    tool_choice: { type: "function", function: { name: "weather" } },
    parallel_tool_calls: false,
    stream_options: { include_usage: true },
  });
});

Deno.test("what one side says twice is two messages, and what a tool shows is shown in the end", () => {
  const output = [{ type: "input_image", image_url: "https://example.org/a.png" }];
  const { messages } = requestOf({
    input: [
      { role: "assistant", content: "a" },
      { role: "assistant", content: "b" },
      { ...CALLS[0] },
      { type: "function_call_output", call_id: "call_a", output },
    ],
  });
  const roles = messages.map(({ role, tool_calls }) => `${role} ${tool_calls?.length ?? 0}`);
  assertEquals(roles, ["assistant 0", "assistant 1", "tool 0", "user 0"]);
});

Deno.test("of the tools those are offered that the choice allows", () => {
  const tools = ["a", "b"].map((name) => ({
    type: "function",
    name,
    parameters: {},
    strict: false,
  }));
  const choice = (mode: string) => ({
    type: "allowed_tools",
    mode,
    tools: [{ type: "function", name: "b" }],
  });
  const request = requestOf({ tools, tool_choice: choice("required") });
  const names = (request.tools as JsonObject[]).map((tool) => (tool.function as JsonObject).name);
  assertEquals([names, request.tool_choice], [["b"], "required"]);
  assertEquals(requestOf({ tools: [], tool_choice: "auto" }).tool_choice, undefined);
});

const item = (item: JsonObject): JsonObject => ({ input: [item] });
const WRONG: [JsonObject, string][] = [
  [{ input: [] }, "input is an empty list"],
  [{ input: ["x"] }, 'input[0] is "x"'],
  [item({ role: "robot", content: "" }), 'input[0].role is "robot"'],
  [item({ role: "user" }), "input[0].content is missing"],
  [
    item({ role: "user", content: [{ type: "input_file" }] }),
    'input[0].content[0].type is "input_file"',
  ],
  [item({ role: "user", content: [{ type: "input_image", file_id: "x" }] }), "has no image_url"],
  [item({ type: "item_reference", id: "x" }), "no such answer is kept here"],
  [item({ type: "computer_call" }), 'input[0].type is "computer_call"'],
  [item({ type: "function_call", name: "f", arguments: "" }), "input[0].call_id is missing"],
  [item({ type: "function_call_output", call_id: "x" }), "input[0].output is missing"],
  [{ previous_response_id: "resp_1" }, "previous_response_id"],
  [{ conversation: "c" }, "conversation"],
  [{ prompt: { id: "p" } }, "prompt"],
  [{ background: true }, "background"],
  [{ max_output_tokens: 1.5 }, "max_output_tokens is 1.5"],
  [{ tools: [{ type: "custom", name: "x" }] }, 'tools[0].type is "custom"'],
  [{ tools: [{ type: "function" }] }, "tools[0].name is missing"],
  [{ tool_choice: "some" }, 'tool_choice is "some"'],
  [{ tool_choice: { type: "web_search" } }, 'tool_choice.type is "web_search"'],
  [{ text: { format: { type: "yaml" } } }, 'text.format.type is "yaml"'],
  [{ text: { format: { type: "json_schema", name: "x" } } }, "text.format.schema is missing"],
];

Deno.test("what is wrong, or cannot be said in a chat, is refused by the name of the field", () => {
  for (const [body, part] of WRONG) {
    assertEquals(assertThrows(() => requestOf(body), NetworkError, part).code, "INVALID_ARGUMENT");
  }
  assertThrows(() => openAiResponses.read({ model: "m" }), NetworkError, "input is missing");
});

Deno.test("OpenAI's client throws an error that comes in the middle of a response", async () => {
  const breaksOff = { code: "UNKNOWN_OUTCOME" as const, message: "the engine has gone" };
  const { client, told } = clientOf({ pieces: [chunk({ content: "He" })], breaksOff });
  const error = await assertRejects(
    () => client.responses.stream(HELLO).finalResponse(),
    OpenAI.APIError,
  );
  assertStringIncludes(error.message, "the engine has gone");
  assertEquals(watched(openAiResponses, told[0]).fault, "the engine has gone");
});

Deno.test("before that it hears that the response has failed, and how far it had come", async () => {
  const call = { index: 0, id: "c", function: { name: "f", arguments: '{"a":' } };
  const pieces = [chunk({ reasoning: "Hm" }), chunk({ content: "Hi" }), chunk({ content: " the" })];
  const failures: [CallError, ChatChunk[], string][] = [
    [{ code: "UNKNOWN_OUTCOME", message: "it has gone" }, [], "server_error"],
    [
      { code: "RESOURCE_EXHAUSTED", message: "too much" },
      [chunk({ tool_calls: [call] })],
      "rate_limit_exceeded",
    ],
  ];
  for (const [breaksOff, more, code] of failures) {
    const { client, told } = clientOf({ pieces: [...pieces, ...more], breaksOff });
    const seen: OpenAI.Responses.ResponseStreamEvent[] = [];
    const reading = async () => {
      for await (const event of await client.responses.create({ ...HELLO, stream: true })) {
        seen.push(event);
      }
    };
    await assertRejects(reading, OpenAI.APIError, breaksOff.message);
    const [first, last] = [seen[0], seen.at(-1)!];
    assert(first.type === "response.created" && last.type === "response.failed");
    const { id, status, error, output, completed_at } = last.response;
    assertEquals([id, status, completed_at], [first.response.id, "failed", null]);
    assertEquals(error, { code, message: breaksOff.message } as typeof error);
    assertEquals<unknown>(output.map((item) => [item.type, "status" in item && item.status]), [
      ["reasoning", "completed"],
      ["message", more.length === 0 ? "incomplete" : "completed"],
      ...more.map(() => ["function_call", "incomplete"]),
    ]);
    const [, message, called] = output;
    const part = message.type === "message" && message.content[0];
    assertEquals(part && part.type === "output_text" && part.text, "Hi the");
    if (called?.type === "function_call") assertEquals(called.arguments, '{"a":');
    // Numbered to the end, the error included.
    const numbers = eventsOf(told[0]).map((event) => event.sequence_number);
    assertEquals(numbers, numbers.map((_, i) => i));
  }
});

Deno.test("what breaks off before a response has begun, or is no response, is an error and no more", () => {
  for (const before of ["", "data: {}\n\n", "data: x\n\ndata: 1\n\n", "data: [DONE]\n\n"]) {
    const followed = openAiResponses.follow!();
    followed.push(before);
    const [error, ...others] = eventsOf(followed.breakOff({ code: "INTERNAL", message: "no" }));
    assertEquals([error.type, error.message, others], ["error", "no", []]);
  }
});

Deno.test("what no response says of its items does no harm when it breaks off", () => {
  const event = (value: JsonObject) => `data: ${JSON.stringify(value)}\n\n`;
  const followed = openAiResponses.follow!();
  followed.push(event({ type: "response.created", response: { id: "r" } }));
  for (const at of [7, -1, 0.5, "0", null, 1e9]) {
    followed.push(event({ type: "response.output_item.added", output_index: at, item: {} }));
    followed.push(event({ type: "response.output_text.delta", output_index: at, delta: "x" }));
  }
  followed.push(event({ type: "response.output_text.delta", output_index: 0, delta: "x" }));
  const [failed] = eventsOf(followed.breakOff({ code: "INTERNAL", message: "no" }));
  assertEquals((failed.response as JsonObject).output, []);
});

Deno.test("a response has spoken with its first word, call or end, and not with its beginning", () => {
  const event = (type: string, rest: JsonObject = {}) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  const added = (type: string) => event("response.output_item.added", { item: { type } });
  const before = event("response.created", { response: { error: null } }) +
    event("response.in_progress") + added("message") + added("reasoning") +
    event("response.content_part.added") + event("response.output_text.delta", { delta: "" });
  const seen = (text: string) => watched(openAiResponses, before + text);
  assert(!seen("").hasSpoken);
  assert(seen(added("function_call")).hasSpoken);
  assert(seen(event("response.output_text.delta", { delta: "a" })).hasSpoken);
  assert(seen(event("response.reasoning_text.delta", { delta: "a" })).hasSpoken);
  const usage = { output_tokens: 7 };
  assertEquals(seen(event("response.completed", { response: { usage } })), {
    hasSpoken: true,
    tokens: 7,
    isComplete: true,
    fault: undefined,
  });
  const failed = seen(
    event("response.failed", { response: { error: { message: "out of memory" } } }),
  );
  assertEquals([failed.isComplete, failed.hasSpoken, failed.fault], [true, false, "out of memory"]);
  assertEquals(seen(event("error", { message: "flat", code: null })).fault, "flat");
});
