/** OpenAI's chat, completions and embeddings, as its official client reads them. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import OpenAI from "openai";
import { NetworkError } from "../../src/base/errors.ts";
import type { JsonObject } from "../../src/dialects/dialect.ts";
import { dialectOf } from "../../src/dialects/dialects.ts";
import { openAiChat } from "../../src/dialects/openai/chat.ts";
import { openAiCompletions } from "../../src/dialects/openai/completions.ts";
import { openAiEmbeddings, vectorsOf } from "../../src/dialects/openai/embeddings.ts";
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
const HELLO = { model: MODEL, messages: [{ role: "user" as const, content: "Hello?" }] };

function clientOf(answer: EngineAnswer, dialect = openAiChat) {
  const gate = front(dialect, answer);
  const baseURL = "http://127.0.0.1:1/v1";
  return {
    ...gate,
    client: new OpenAI({ apiKey: "x", baseURL, maxRetries: 0, fetch: gate.fetch }),
  };
}

Deno.test("OpenAI's client reads a stream under the name that it asked for", async () => {
  const { client, told } = clientOf({ pieces: words("Hello", " there") });
  const answer = await client.chat.completions.stream(HELLO).finalChatCompletion();
  assertEquals(answer.choices[0].message.content, "Hello there");
  assertEquals(answer.model, MODEL);
  assertEquals(answer.usage, undefined);
  assertEquals(watched(openAiChat, told[0]), {
    hasSpoken: true,
    tokens: 2,
    isComplete: true,
    fault: undefined,
  });
});

Deno.test("who does not ask what a stream took is not told, wherever the engine says it", () => {
  const pieces = openAiChat.toChat!({ ...HELLO, stream: true }, testNeeds()).pieces();
  assertEquals(pieces.push(usageChunk(9, 2)), "");
  const { usage } = usageChunk(9, 2);
  assert(!pieces.push(chunk({ content: "a" }, "stop", { usage })).includes("usage"));
});

Deno.test("who asks for it is told what a stream took", async () => {
  const { client } = clientOf({ pieces: words("Hello", " there") });
  const stream = client.chat.completions.stream({
    ...HELLO,
    stream_options: { include_usage: true },
  });
  const { usage } = await stream.finalChatCompletion();
  assertEquals(usage, { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 });
});

Deno.test("OpenAI's client reads two calls of tools at once", async () => {
  const { client } = clientOf({ pieces: PARALLEL_CALLS });
  const { choices: [{ message, finish_reason }] } = await client.chat.completions.stream(HELLO)
    .finalChatCompletion();
  assertEquals(finish_reason, "tool_calls");
  assertEquals(
    message.tool_calls?.map((call) => call.type === "function" && call.function),
    [
      { name: "weather", arguments: '{"city":"Graz"}' },
      { name: "clock", arguments: '{"zone":"CET","h24":true}' },
    ],
  );
});

Deno.test("whatever options a chat has go on as they are, known or not", () => {
  const body: JsonObject = {
    model: MODEL,
    stream: false,
    messages: [{ role: "user", content: [{ type: "text", text: "?" }], name: "Ada" }],
    n: 2,
    temperature: null,
    chat_template_kwargs: { enable_thinking: false },
    stream_options: { include_usage: true },
    a_new_option: [1, { x: null }],
  };
  const { request } = openAiChat.toChat!(body, testNeeds());
  const { model: _m, stream: _s, stream_options: _o, ...rest } = body;
  assertEquals<unknown>(request, rest);
});

Deno.test("of a stream it is always asked what it took", () => {
  const { request } = openAiChat.toChat!({
    ...HELLO,
    stream: true,
    stream_options: { include_obfuscation: false },
  }, testNeeds());
  assertEquals(request.stream_options, { include_obfuscation: false, include_usage: true });
});

Deno.test("OpenAI's client throws an error that comes in the middle of a stream", async () => {
  const breaksOff = { code: "UNKNOWN_OUTCOME" as const, message: "the engine has gone" };
  const { client, told } = clientOf({ pieces: [chunk({ content: "He" })], breaksOff });
  const error = await assertRejects(
    () => client.chat.completions.stream(HELLO).finalChatCompletion(),
    OpenAI.APIError,
  );
  assertStringIncludes(error.message, "the engine has gone");
  assertEquals(watched(openAiChat, told[0]).fault, "the engine has gone");
});

Deno.test("each refusal is one that OpenAI's client knows by its status", async () => {
  const refused = async (code: NetworkError["code"]) => {
    const { status, body } = openAiChat.refuse({ code, message: "told so" });
    const client = new OpenAI({
      apiKey: "x",
      maxRetries: 0,
      fetch: () => Promise.resolve(Response.json(body, { status })),
    });
    return await assertRejects(() => client.chat.completions.create(HELLO), OpenAI.APIError);
  };
  const missing = await refused("NOT_FOUND");
  assertEquals(missing.constructor, OpenAI.NotFoundError);
  assertEquals([missing.code, missing.param], ["model_not_found", "model"]);
  assertStringIncludes(missing.message, "told so");
  assertEquals((await refused("INVALID_ARGUMENT")).constructor, OpenAI.BadRequestError);
  assertEquals((await refused("PERMISSION_DENIED")).constructor, OpenAI.PermissionDeniedError);
  assertEquals((await refused("RESOURCE_EXHAUSTED")).constructor, OpenAI.RateLimitError);
  assertEquals((await refused("UNAVAILABLE")).status, 503);
  assertEquals((await refused("INTERNAL")).status, 500);
});

const WRONG_CHATS: [JsonObject, string][] = [
  [{}, "model is missing"],
  [{ model: "" }, 'model is ""'],
  [{ model: 5 }, "model is 5"],
  [{ model: "m", stream: "yes" }, "stream is"],
  [{ model: "m" }, "messages is missing"],
  [{ model: "m", messages: {} }, "messages is an object"],
];

Deno.test("a chat that lacks what every one needs is refused by the name of the field", () => {
  for (const [body, part] of WRONG_CHATS) {
    const error = assertThrows(() => openAiChat.read(body), NetworkError, part);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  const toChat = (messages: JsonObject[string]) => () =>
    openAiChat.toChat!({ model: "m", messages }, testNeeds());
  assertThrows(toChat([]), NetworkError, "messages is an empty list");
  assertThrows(toChat([null]), NetworkError, "messages[0] is null");
  assertThrows(toChat([{ role: "user" }, {}]), NetworkError, "messages[1].role is missing");
});

Deno.test("a prompt is completed by a chat, whole and in pieces, twice if that is asked", async () => {
  const pieces = [
    chunk({ role: "assistant" }),
    { ...chunk({}), choices: [0, 1].map((index) => ({ index, delta: { content: `A${index}` } })) },
    {
      ...chunk({}),
      choices: [1, 0].map((index) => ({ index, delta: {}, finish_reason: "length" })),
    },
    usageChunk(3, 2),
  ];
  const whole = completion({ content: " a time" }, "stop");
  const { client, asked, told } = clientOf({ pieces, whole }, openAiCompletions);
  const body = { model: MODEL, prompt: ["Once upon"], max_tokens: 5, n: 2 };

  const answer = await client.completions.create({ ...body, echo: true });
  assertEquals(answer.object, "text_completion");
  assertEquals(answer.choices[0].text, "Once upon a time");
  assertEquals(answer.usage?.completion_tokens, 4);
  assertEquals<unknown>(asked[0], {
    messages: [{ role: "user", content: "Once upon" }],
    max_tokens: 5,
    n: 2,
  });

  const texts = ["", ""];
  const ends: unknown[] = [];
  for await (const piece of await client.completions.create({ ...body, stream: true })) {
    for (const { index, text, finish_reason } of piece.choices) {
      texts[index] += text;
      ends[index] = finish_reason;
    }
  }
  assertEquals([texts, ends], [["A0", "A1"], ["length", "length"]]);
  assertEquals(watched(openAiCompletions, told[1]).tokens, 2);

  const echoed = { "0": "", "1": "" } as Record<string, string>;
  for await (
    const { choices } of await client.completions.create({ ...body, echo: true, stream: true })
  ) {
    for (const { index, text } of choices) echoed[index] += text;
  }
  assertEquals(echoed, { "0": "Once uponA0", "1": "Once uponA1" });
});

const WRONG_PROMPTS: [JsonObject, string][] = [
  [{}, "prompt is missing"],
  [{ prompt: ["a", "b"] }, "prompt is several texts"],
  [{ prompt: [1, 2] }, "made of tokens"],
  [{ prompt: [null] }, "prompt[0] is null"],
  [{ prompt: "a", suffix: "b" }, "suffix"],
  [{ prompt: "a", logprobs: 2 }, "logprobs"],
  [{ prompt: "a", best_of: 3, n: 1 }, "best_of"],
];

Deno.test("a prompt that a chat has no words for is refused by the name of the field", () => {
  for (const [body, part] of WRONG_PROMPTS) {
    const toChat = () => openAiCompletions.toChat!({ model: "m", ...body }, testNeeds());
    assertEquals(assertThrows(toChat, NetworkError, part).code, "INVALID_ARGUMENT");
  }
});

Deno.test("OpenAI's client reads embeddings, whichever form the engine gives them in", async () => {
  const vector = [0.5, -0.25, 1];
  const base64 = new Uint8Array(Float32Array.from(vector).buffer).toBase64();
  for (const given of [vector, base64]) {
    for (const encoding_format of [undefined, "float", "base64"] as const) {
      const client = new OpenAI({
        apiKey: "x",
        fetch: async (input, init) => {
          const body = await new Request(input as string, init).json();
          const data = [{ object: "embedding", index: 0, embedding: given }];
          const { request, whole } = openAiEmbeddings.toEmbeddings!(body, testNeeds());
          assertEquals(request.input, ["one"]);
          return Response.json(whole({ object: "list", data, model: "x", usage: {} }));
        },
      });
      const { data, model } = await client.embeddings.create({
        model: MODEL,
        input: ["one"],
        ...(encoding_format && { encoding_format }),
      });
      assertEquals(model, MODEL);
      const expected = encoding_format === "base64" ? base64 : vector;
      assertEquals<unknown>(data[0].embedding, expected);
    }
  }
});

Deno.test("embeddings stand in the order of what was asked", () => {
  const data = [{ index: 1, embedding: [1] }, { index: 0, embedding: [0] }];
  assertEquals(vectorsOf({ data }), [[0], [1]]);
  assertEquals(vectorsOf({ data: data.map(({ embedding }) => ({ embedding })) }), [[1], [0]]);
  const broken = { data: [{ embedding: "?" }] };
  assertEquals(assertThrows(() => vectorsOf(broken), NetworkError).code, "PROTOCOL");
});

Deno.test("each path has its dialect, and others have none", () => {
  assertEquals(dialectOf("/v1/chat/completions"), openAiChat);
  assertEquals(dialectOf("/v1/embeddings"), openAiEmbeddings);
  assertEquals(dialectOf("/v1/models"), undefined);
  assertEquals(dialectOf("constructor"), undefined);
});
