/** Ollama's API, as its official client reads it. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Ollama } from "ollama";
import { NetworkError } from "../../src/base/errors.ts";
import type { Dialect, JsonObject } from "../../src/dialects/dialect.ts";
import { ollamaChat } from "../../src/dialects/ollama/chat.ts";
import { ollamaEmbed, ollamaEmbeddings } from "../../src/dialects/ollama/embed.ts";
import { ollamaGenerate } from "../../src/dialects/ollama/generate.ts";
import {
  chunk,
  completion,
  type EngineAnswer,
  front,
  PARALLEL_CALLS,
  portions,
  testNeeds,
  usageChunk,
  watched,
  words,
} from "./rig.ts";

const MODEL = "llama3.2:latest";
// Ollama's client writes into what it is given.
const HELLO = { model: MODEL, messages: [{ role: "user", content: "Hello?" }] };
const PNG = "iVBORw0KGgoAAAANSUhEUg==";

function clientOf(answer: EngineAnswer, dialect: Dialect = ollamaChat) {
  const gate = front(dialect, answer);
  return { ...gate, client: new Ollama({ host: "http://127.0.0.1:1", fetch: gate.fetch }) };
}

Deno.test("Ollama's client reads a chat in pieces", async () => {
  const pieces = [
    chunk({ role: "assistant", content: "" }),
    chunk({ reasoning: "Hm" }),
    chunk({ content: "Hello" }),
    chunk({ content: " there" }, "length", { usage: { prompt_tokens: 9, completion_tokens: 3 } }),
  ];
  const { client, told } = clientOf({ pieces });
  let text = "";
  let thought = "";
  let last;
  for await (const piece of await client.chat({ ...HELLO, stream: true })) {
    text += piece.message.content;
    thought += piece.message.thinking ?? "";
    assertEquals(piece.model, MODEL);
    assert(!Number.isNaN(Date.parse(`${piece.created_at}`)));
    last = piece;
  }
  assertEquals([text, thought], ["Hello there", "Hm"]);
  assertEquals([last?.done, last?.done_reason], [true, "length"]);
  assertEquals([last?.prompt_eval_count, last?.eval_count], [9, 3]);
  assert(last!.eval_duration > 0 && last!.total_duration >= last!.eval_duration);
  assertEquals(watched(ollamaChat, told[0]), {
    hasSpoken: true,
    tokens: 3,
    isComplete: true,
    fault: undefined,
  });
});

Deno.test("tokens are counted by pieces where the engine does not count", async () => {
  const { client } = clientOf({ pieces: words("a", "b", "c").slice(0, -1) });
  const pieces = await Array.fromAsync(await client.chat({ ...HELLO, stream: true }));
  assertEquals(pieces.at(-1)?.eval_count, 3);
});

const CALLS: { name: string; arguments: JsonObject }[] = [
  { name: "weather", arguments: { city: "Graz" } },
  { name: "clock", arguments: { zone: "CET", h24: true } },
];

Deno.test("Ollama's client reads calls of tools, in pieces and whole", async () => {
  const tool_calls = CALLS.map(({ name, arguments: given }) => ({
    function: { name, arguments: JSON.stringify(given) },
  }));
  const whole = completion({ content: null, tool_calls }, "tool_calls");
  const { client } = clientOf({ pieces: PARALLEL_CALLS, whole });
  const pieces = await Array.fromAsync(await client.chat({ ...HELLO, stream: true }));
  const calls = pieces.flatMap(({ message }) => message.tool_calls ?? []);
  const known = (given: typeof calls) =>
    given.map(({ function: { name, arguments: args } }) => ({ name, arguments: args }));
  assertEquals(known(calls), CALLS);
  assertEquals(pieces.at(-1)?.done_reason, "stop");

  const answer = await client.chat({ ...HELLO });
  assertEquals(known(answer.message.tool_calls!), CALLS);
  assertEquals(answer.message.content, "");
});

Deno.test("what models write that is no object is an argument all the same", async () => {
  const tool_calls = ["", "[1]", '{"a'].map((json) => ({
    function: { name: "f", arguments: json },
  }));
  const { client } = clientOf({ whole: completion({ tool_calls }) });
  const { message } = await client.chat({ ...HELLO });
  assertEquals(message.tool_calls?.map((call) => call.function.arguments), [
    {},
    { value: [1] },
    { arguments: '{"a' },
  ]);
});

Deno.test("Ollama's client reads a whole chat, with what it took", async () => {
  const { client } = clientOf({ whole: completion({ content: "Hi", reasoning_content: "Hm" }) });
  const { message, done, done_reason, eval_count, prompt_eval_count, ...rest } = await client.chat({
    ...HELLO,
  });
  assertEquals(message, { role: "assistant", content: "Hi", thinking: "Hm" });
  assertEquals([done, done_reason, prompt_eval_count, eval_count], [true, "stop", 9, 4]);
  assert(rest.total_duration > 0);
});

Deno.test("who does not want to know what a model thinks is not told", async () => {
  const { client, asked } = clientOf({
    whole: completion({ content: "Hi", reasoning: "Hm" }),
    pieces: [chunk({ reasoning: "Hm" }), ...words("Hi")],
  });
  const whole = await client.chat({ ...HELLO, think: false });
  assertEquals(whole.message, { role: "assistant", content: "Hi" });
  const pieces = await Array.fromAsync(await client.chat({ ...HELLO, think: false, stream: true }));
  assertEquals(pieces.map(({ message }) => message.thinking ?? "").join(""), "");
  assertEquals(asked[0].reasoning_effort, "none");
});

Deno.test("all that a chat can say is said in OpenAI's words", () => {
  const schema = { type: "object", properties: { a: { type: "string" } } };
  const tool = { type: "function", function: { name: "weather", parameters: schema } };
  const { request } = ollamaChat.toChat!({
    model: MODEL,
    stream: false,
    keep_alive: "5m",
    think: "high",
    format: schema,
    tools: [tool],
    options: {
      temperature: 0,
      top_p: 0.5,
      num_predict: 7,
      seed: 3,
      stop: ["x"],
      num_ctx: 4096,
      top_k: null,
    },
    messages: [
      { role: "system", content: "Be short." },
      { role: "user", content: "What is it?", images: [PNG, "/9j/4AAQ"] },
      {
        role: "assistant",
        content: "",
        thinking: "Hm",
        tool_calls: CALLS.map((one) => ({ function: one })),
      },
      { role: "tool", content: "noon", tool_name: "clock" },
      { role: "tool", content: "sunny", tool_name: "weather" },
    ],
  }, testNeeds());
  assertEquals<unknown>(request, {
    messages: [
      { role: "system", content: "Be short." },
      {
        role: "user",
        content: [
          { type: "text", text: "What is it?" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
          { type: "image_url", image_url: { url: "data:image/jpeg;base64,/9j/4AAQ" } },
        ],
      },
      {
        role: "assistant",
        content: "",
        reasoning_content: "Hm",
        tool_calls: CALLS.map(({ name, arguments: given }, i) => ({
          id: `call_${i + 1}`,
          type: "function",
          function: { name, arguments: JSON.stringify(given) },
        })),
      },
      { role: "tool", tool_call_id: "call_2", content: "noon" },
      { role: "tool", tool_call_id: "call_1", content: "sunny" },
    ],
    tools: [tool],
    temperature: 0,
    top_p: 0.5,
    max_tokens: 7,
    seed: 3,
    stop: ["x"],
    response_format: { type: "json_schema", json_schema: { name: "answer", schema } },
    reasoning_effort: "high",
  });
});

Deno.test("without a bound, a format or a word on thinking, nothing is said of it", () => {
  const { request } = ollamaChat.toChat!({
    ...HELLO,
    format: "",
    think: true,
    options: { num_predict: -1, stop: "x" },
  }, testNeeds());
  const { messages: _, ...options } = request;
  assertEquals<unknown>(options, { stop: ["x"], stream_options: { include_usage: true } });
  const json = ollamaChat.toChat!({ ...HELLO, format: "json" }, testNeeds()).request;
  assertEquals(json.response_format, { type: "json_object" });
});

Deno.test("Ollama's client reads what a prompt generates, in pieces and whole", async () => {
  const { client, asked, told } = clientOf({
    pieces: words("Once", " more"),
    whole: completion({ content: "Once" }),
  }, ollamaGenerate);
  const body = { model: MODEL, prompt: "Again?", system: "Be short.", images: [PNG] };
  const pieces = await Array.fromAsync(await client.generate({ ...body, stream: true }));
  assertEquals(pieces.map(({ response }) => response).join(""), "Once more");
  assertEquals(pieces.at(-1)?.eval_count, 2);
  assertEquals(watched(ollamaGenerate, told[0]).tokens, 2);
  assertEquals((await client.generate(body)).response, "Once");
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
  assertEquals<unknown>(asked[1].messages, [
    { role: "system", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "Again?" }, image] },
  ]);
});

Deno.test("who asks nothing has the model read into memory, and is told nothing", async () => {
  const answer = { pieces: words("Hi"), whole: completion({ content: "Hi" }) };
  const generate = clientOf(answer, ollamaGenerate);
  const loaded = await generate.client.generate({ model: MODEL, prompt: "", keep_alive: "5m" });
  assertEquals([loaded.response, loaded.done, loaded.done_reason], ["", true, "load"]);
  assertEquals(generate.asked[0].max_tokens, 1);
  const chat = clientOf(answer);
  const pieces = await Array.fromAsync(await chat.client.chat({ model: MODEL, stream: true }));
  assertEquals(pieces.map(({ message, done_reason }) => [message.content, done_reason]), [
    ["", "load"],
  ]);
  const error = await assertRejects(() => chat.client.chat({ model: MODEL, keep_alive: "0s" }));
  assertStringIncludes(`${error}`, "keep_alive");
});

const WRONG: [Dialect, JsonObject, string][] = [
  [ollamaChat, { messages: [{ role: "robot", content: "" }] }, 'messages[0].role is "robot"'],
  [ollamaChat, { messages: ["x"] }, 'messages[0] is "x", expected an object'],
  [
    ollamaChat,
    { messages: [{ role: "user", content: [] }] },
    "messages[0].content is an empty list",
  ],
  [ollamaChat, { messages: [{ role: "user", images: [5] }] }, "messages[0].images[0] is 5"],
  [ollamaChat, { ...HELLO, options: { temperature: "hot" } }, "options.temperature is"],
  [ollamaChat, { ...HELLO, options: 5 }, "options is 5"],
  [ollamaChat, { ...HELLO, format: "yaml" }, 'format is "yaml"'],
  [ollamaChat, { ...HELLO, tools: [{ type: "function" }] }, "tools[0].function is missing"],
  [ollamaGenerate, { prompt: "a", suffix: "b" }, "suffix"],
  [ollamaGenerate, { prompt: "a", raw: true }, "raw"],
  [ollamaGenerate, { prompt: "a", template: "{{ .Prompt }}" }, "template"],
  [ollamaGenerate, { prompt: "a", context: [1] }, "context"],
  [ollamaGenerate, { prompt: 5 }, "prompt is 5"],
];

Deno.test("what is wrong, or cannot be said in a chat, is refused by the name of the field", () => {
  for (const [dialect, body, part] of WRONG) {
    const toChat = () => dialect.toChat!({ model: MODEL, ...body }, testNeeds());
    assertEquals(assertThrows(toChat, NetworkError, part).code, "INVALID_ARGUMENT");
  }
  assertThrows(() => ollamaChat.read({ messages: [] }), NetworkError, "model is missing");
  assertEquals(ollamaChat.read({ name: "m" }), { model: "m", stream: true });
  assertEquals(ollamaGenerate.read({ model: "m", stream: false }), { model: "m", stream: false });
});

Deno.test("Ollama's client reads vectors, of many texts and of one", async () => {
  const asked: JsonObject[] = [];
  const client = new Ollama({
    fetch: async (input, init) => {
      const request = new Request(input as string, init);
      const dialect = new URL(request.url).pathname === "/api/embed"
        ? ollamaEmbed
        : ollamaEmbeddings;
      const body = await request.json();
      assertEquals(dialect.read(body), { model: MODEL, stream: false });
      const translation = dialect.toEmbeddings!(body, testNeeds());
      asked.push(translation.request);
      const data = [{ index: 0, embedding: [0.5, 1] }];
      return Response.json(translation.whole({ data, usage: { prompt_tokens: 3 } }));
    },
  });
  const many = await client.embed({ model: MODEL, input: "one", dimensions: 2 });
  assertEquals([many.embeddings, many.prompt_eval_count], [[[0.5, 1]], 3]);
  const one = await client.embeddings({ model: MODEL, prompt: "one" });
  assertEquals(one.embedding, [0.5, 1]);
  assertEquals<unknown>(asked, [
    { input: ["one"], encoding_format: "float", dimensions: 2 },
    { input: ["one"], encoding_format: "float" },
  ]);
});

Deno.test("Ollama's client throws what is refused, and what breaks off", async () => {
  const { status, body } = ollamaChat.refuse({ code: "NOT_FOUND", message: "no such model" });
  const refused = new Ollama({ fetch: () => Promise.resolve(Response.json(body, { status })) });
  const error = await assertRejects(() => refused.chat({ ...HELLO }), Error, "no such model");
  assertEquals((error as Error & { status_code?: number }).status_code, 404);

  const breaksOff = { code: "UNAVAILABLE" as const, message: "it has gone" };
  const { client, told } = clientOf({ pieces: words("Hi"), breaksOff });
  const stream = await client.chat({ ...HELLO, stream: true });
  await assertRejects(() => Array.fromAsync(stream), Error, "it has gone");
  assertEquals(watched(ollamaChat, told[0]).fault, "it has gone");
});

Deno.test("a stream has spoken with its first word or its end, in portions of any size", () => {
  const line = (message: JsonObject, rest = {}) =>
    `${JSON.stringify({ message, done: false, ...rest })}\n`;
  const text = line({ content: "" }) + line({ content: "", thinking: "Hm" }) +
    line({ content: "", tool_calls: [{ function: { name: "f" } }] }) + line({ content: "a" }) +
    line({ content: "" }, { done: true, eval_count: 9 });
  const sizes = [1, 2, 3, 7, 50, 1000];
  for (const size of sizes) assertEquals(watched(ollamaChat, text, size).tokens, 9);
  const watch = ollamaChat.watch();
  const spoken = portions(text, text.indexOf("\n") + 1).map((portion) => {
    watch.push(portion);
    return watch.hasSpoken;
  });
  assertEquals(spoken.slice(0, 2), [false, false]);
  assertEquals(
    watched(ollamaGenerate, '{"response":"","done":true,"done_reason":"load"}').isComplete,
    true,
  );
});

Deno.test("how likely each token was is told where that is asked", async () => {
  const content = [{
    token: "Hi",
    logprob: -0.5,
    bytes: [72],
    top_logprobs: [{ token: "Ho", logprob: -1, bytes: null }],
  }];
  const piece = { index: 0, delta: { content: "Hi" }, logprobs: { content } };
  const { client, asked } = clientOf({
    pieces: [{ ...chunk({}), choices: [piece] }, chunk({}, "stop"), usageChunk(1, 1)],
  });
  const [first] = await Array.fromAsync(
    await client.chat({ ...HELLO, stream: true, logprobs: true, top_logprobs: 1 }),
  );
  assertEquals<unknown>(first.logprobs, [
    { token: "Hi", logprob: -0.5, bytes: [72], top_logprobs: [{ token: "Ho", logprob: -1 }] },
  ]);
  assertEquals([asked[0].logprobs, asked[0].top_logprobs], [true, 1]);
});
