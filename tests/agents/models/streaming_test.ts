/** Answers in pieces, of an engine that speaks OpenAI's protocol in real time and fails as real ones do. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { createAgent } from "../../../src/agents/agent.ts";
import { AnswerInPieces, readAnswer } from "../../../src/agents/models/chat_wire.ts";
import { eventData } from "../../../src/agents/models/event_stream.ts";
import type { ModelAnswer, ModelRequest } from "../../../src/agents/models/model.ts";
import { createOpenAiModel } from "../../../src/agents/models/openai_model.ts";
import { chatModel } from "../../../src/agents/models/chat_model.ts";
import { createTool } from "../../../src/agents/tool.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import type { EngineFault } from "../../support/engines/engine_server.ts";
import { OpenAiEngine, type OpenAiEngineOptions } from "../../support/engines/open_ai_engine.ts";
import { answerOf, callOf } from "../calls.ts";

const HELLO = [{ role: "user", content: "one two three" }] as const;

function modelOf(engine: OpenAiEngine, timeoutMs?: number) {
  return createOpenAiModel({ model: "test-model", baseUrl: `${engine.url}/v1`, timeoutMs });
}

async function streamed(
  fault: EngineFault | undefined,
  request: Partial<ModelRequest> = {},
  options: OpenAiEngineOptions & { timeoutMs?: number } = {},
): Promise<{ pieces: string[]; answer?: ModelAnswer; error?: NetworkError; outcome: string }> {
  await using engine = await new OpenAiEngine(options).start();
  engine.fault = fault;
  const pieces: string[] = [];
  const onToken = (text: string) => void pieces.push(text);
  const asked = modelOf(engine, options.timeoutMs).generate({
    messages: HELLO,
    onToken,
    ...request,
  });
  const [end] = await Promise.allSettled([asked]);
  const outcome = await engine.requests[0].outcome;
  if (end.status === "fulfilled") return { pieces, answer: end.value, outcome };
  if (!(end.reason instanceof NetworkError)) throw end.reason;
  return { pieces, error: end.reason, outcome };
}

Deno.test("a model tells each piece as it comes, and at the end all of it with what it took", async () => {
  const { pieces, answer, outcome } = await streamed(undefined);

  assertEquals(pieces, ["You", " said:", " one", " two", " three"]);
  assertEquals(answer?.text, "You said: one two three");
  assertEquals(typeof answer?.usage?.inputTokens, "number");
  assertEquals(answer?.usage?.outputTokens, 5);
  assertEquals(outcome, "answered");
});

Deno.test("calls of tools are put together from their pieces", async () => {
  const tools = [{ name: "add", description: "Adds", parameters: { type: "object" } }];
  const { pieces, answer } = await streamed(undefined, { tools }, {
    reply: () => ({
      toolCalls: [
        { name: "add", arguments: { a: 1, b: "ü".repeat(100) } },
        { name: "add", arguments: {} },
      ],
    }),
  });

  assertEquals(pieces, []);
  assertEquals(answer?.toolCalls.map(({ name, arguments: args }) => [name, args]), [
    ["add", { a: 1, b: "ü".repeat(100) }],
    ["add", {}],
  ]);
  assertEquals(new Set(answer?.toolCalls.map(({ id }) => id)).size, 2);
});

for (
  const [what, fault, pieces, code, says] of [
    ["refuses", { type: "fail", status: 500 }, 0, "UNAVAILABLE", "could not be started"],
    [
      "is full",
      { type: "full", status: 429, retryAfterSeconds: 2 },
      0,
      "RESOURCE_EXHAUSTED",
      "429",
    ],
    ["dies before its first word", { type: "drop", afterTokens: 0 }, 0, "UNAVAILABLE", "broke off"],
    ["dies in the middle", { type: "drop", afterTokens: 2 }, 2, "UNAVAILABLE", "broke off"],
    ["says what is no JSON", { type: "malformed", afterTokens: 2 }, 2, "PROTOCOL", "no JSON"],
    ["says that it failed", { type: "error", afterTokens: 2 }, 2, "UNAVAILABLE", "has crashed"],
  ] as const
) {
  Deno.test(`a model that ${what} fails with that, after what it has said`, async () => {
    const end = await streamed(fault);

    assertEquals(end.pieces.length, pieces);
    assertEquals(end.error?.code, code, end.error?.message);
    assertStringIncludes(end.error!.message, says);
    assertStringIncludes(end.error!.message, 'Cannot ask model "test-model" at http://127.0.0.1:');
    if (code === "RESOURCE_EXHAUSTED") assertEquals(end.error?.retryAfterMs, 2_000);
  });
}

Deno.test("a model that falls silent is given up, and is told so", async () => {
  const { error, pieces, outcome } = await streamed({ type: "stall", afterTokens: 2 }, {}, {
    timeoutMs: 100,
  });

  assertEquals([error?.code, pieces.length, outcome], ["DEADLINE_EXCEEDED", 2, "cancelled"]);
});

Deno.test("a model may take longer than it may be silent", async () => {
  const { answer } = await streamed(undefined, {}, { timeoutMs: 150, tokenMs: 60 });

  assertEquals(answer?.text, "You said: one two three");
});

Deno.test("who cancels stops the model", async () => {
  const abort = new AbortController();
  const reason = new NetworkError("CANCELLED", "Given up.");
  const pieces: string[] = [];
  const { error, outcome } = await streamed({ type: "stall", afterTokens: 3 }, {
    signal: abort.signal,
    onToken: (text) => {
      if (pieces.push(text) === 3) abort.abort(reason);
    },
  });

  assertEquals([error?.message, outcome], ["Given up.", "cancelled"]);
});

Deno.test("the time that the reader takes is not the model's", async () => {
  const { answer } = await streamed(undefined, {
    onToken: () => new Promise((resolve) => setTimeout(resolve, 60)),
  }, { timeoutMs: 50 });

  assertEquals(answer?.text, "You said: one two three");
});

Deno.test("an agent whose model is an engine's streams, calls tools, and is stopped with its run", async () => {
  await using engine = await new OpenAiEngine({
    reply: ({ messages }) =>
      messages.some(({ role }) => role === "tool")
        ? { text: `It is ${messages.at(-1)!.text}.` }
        : { toolCalls: [{ name: "double", arguments: { n: 21 } }] },
  }).start();
  const double = createTool<{ n: number }>({
    name: "double",
    description: "Doubles",
    handler: ({ n }) => 2 * n,
  });
  const agent = createAgent({
    name: "a",
    description: "",
    model: modelOf(engine),
    tools: [double],
  });
  const events: string[] = [];

  const answer = await answerOf(
    agent,
    callOf({ prompt: "2 × 21", emit: (event) => void events.push(event.type) }),
  );

  assertEquals(answer.output, "It is 42.");
  assertEquals(answer.usage?.modelCalls, 2);
  assertEquals(events, ["tool-call", "tool-result", "token", "token", "token"]);
});

Deno.test("a body that does not end behind the answer is left after a second", async () => {
  const clock = new ManualClock();
  const waiting = Promise.withResolvers<AbortSignal>();
  async function* body(signal: AbortSignal) {
    yield encoder.encode('data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n');
    waiting.resolve(signal);
    await new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
  }
  const model = chatModel({
    name: "m",
    action: "Cannot",
    clock,
    send: ({ signal }) => Promise.resolve({ status: 200, body: body(signal) }),
  });

  const answer = model.generate({ messages: HELLO, onToken: () => {} });
  const left = await waiting.promise;
  await clock.advance(999);
  assertEquals(left.aborted, false);
  await clock.advance(1);

  assertEquals((await answer).text, "Hi");
  assertEquals(left.aborted, true);
});

Deno.test("calls of tools have ids of their own, whatever the engine calls them", () => {
  const ids = (...given: (string | null)[]) => {
    const tool_calls = given.map((id) => ({ id, function: { name: "look", arguments: "{}" } }));
    const answer = { choices: [{ message: { content: null, tool_calls } }] };
    const { toolCalls } = readAnswer(encoder.encode(JSON.stringify(answer)), "Cannot");
    return toolCalls.map(({ id }) => id);
  };

  assertEquals(ids("a", "b"), ["a", "b"]);
  assertEquals(ids(null, ""), ["call_1", "call_2"]);
  assertEquals(ids("0", "0", "0"), ["0", "call_1", "call_2"]);
  assertEquals(ids(null, "call_1", "call_1"), ["call_2", "call_1", "call_3"]);
});

const encoder = new TextEncoder();

async function* portions(bytes: Uint8Array, cuts: readonly number[]) {
  let from = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    yield bytes.subarray(from, Math.max(from, cut));
    from = Math.max(from, cut);
  }
}

Deno.test("events are the same in whatever portions they come, with any ends of lines", async () => {
  const line = fc.stringMatching(/^[^\r\n]{0,20}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { maxLength: 5 }),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.nat(400)),
      async (events, end, cuts) => {
        const text = events.map((lines) =>
          `: comment${end}event: x${end}${lines.map((one) => `data: ${one}${end}`).join("")}${end}`
        ).join("");
        const bytes = encoder.encode(text + `data: cut off${end}`);
        const told = await Array.fromAsync(
          eventData(portions(bytes, cuts.map((cut) => Math.min(cut, bytes.length))), "Cannot"),
        );
        assertEquals(
          // What ends with a carriage return may go on: it is told when more has come.
          told,
          events.map((lines) => lines.join("\n")),
        );
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("an event of many small portions is read in no more time than it is long", async () => {
  const bytes = encoder.encode(`data: ${"x".repeat(800_000)}\n\n`);
  const cuts = Array.from({ length: 8_000 }, (_, i) => 100 * i);
  const began = performance.now();
  const [data] = await Array.fromAsync(eventData(portions(bytes, cuts), "Cannot"));
  assertEquals(data.length, 800_000);
  assertEquals(performance.now() - began < 1_000, true);
});

Deno.test("an event that does not end is not kept", async () => {
  const endless = (async function* () {
    for (;;) yield new Uint8Array(1024 * 1024).fill(120);
  })();

  const error = await assertRejects(
    () => Array.fromAsync(eventData(endless, "Cannot ask")),
    NetworkError,
    "is longer than",
  );
  assertEquals(error.code, "PROTOCOL");
  const lines = (async function* () {
    for (;;) yield encoder.encode(`data: ${"x".repeat(1024 * 1024)}\n`);
  })();
  await assertRejects(() => Array.fromAsync(eventData(lines, "Cannot ask")), NetworkError);
});

for (
  const [what, calls, expected] of [
    ["without numbers", [
      [{ id: "a", function: { name: "x", arguments: '{"n":' } }],
      [{ function: { arguments: "1}" } }],
      [{ id: "b", function: { name: "y", arguments: "{}" } }],
    ], [["a", "x", { n: 1 }], ["b", "y", {}]]],
    ["without numbers and ids", [
      [{ function: { name: "x", arguments: '{"n":' } }],
      [{ function: { arguments: "1}" } }, { function: { name: "y", arguments: "{}" } }],
    ], [["call_1", "x", { n: 1 }], ["call_2", "y", {}]]],
    ["without numbers, with the id of each in all its pieces", [
      [{ id: "a", function: { name: "x", arguments: '{"n":' } }],
      [{ id: "a", function: { arguments: "1}" } }],
      [{ id: "b", function: { name: "x", arguments: "{}" } }],
    ], [["a", "x", { n: 1 }], ["b", "x", {}]]],
    ["all numbered 0", [
      [{ index: 0, id: "a", function: { name: "x", arguments: "{}" } }],
      [{ index: 0, id: "b", function: { name: "y", arguments: "{}" } }],
    ], [["a", "x", {}], ["b", "y", {}]]],
    ["without ids", [
      [{ index: 0, function: { name: "x", arguments: "" } }],
      [{ index: 1, function: { name: "y", arguments: { n: 1 } } }],
    ], [["call_1", "x", {}], ["call_2", "y", { n: 1 }]]],
    ["in turns", [
      [{ index: 0, id: "a", function: { name: "x", arguments: "{" } }, {
        index: 1,
        id: "b",
        function: { name: "y", arguments: "{" },
      }],
      [{ index: 1, function: { arguments: '"m":2}' } }],
      [{ index: 0, function: { arguments: '"n":1}' } }],
    ], [["a", "x", { n: 1 }], ["b", "y", { m: 2 }]]],
  ] as const
) {
  Deno.test(`calls of tools in pieces ${what} are told apart`, () => {
    const answer = new AnswerInPieces("Cannot ask");
    for (const tool_calls of calls) {
      answer.push(JSON.stringify({ choices: [{ delta: { tool_calls } }] }));
    }
    const { toolCalls } = answer.answer(true);
    assertEquals(
      toolCalls.map(({ id, name, arguments: args }) => [id, name, args]),
      expected as never,
    );
  });
}

Deno.test("very many calls of tools take no longer than they are many", () => {
  const answer = new AnswerInPieces("Cannot ask");
  const began = performance.now();
  for (let i = 0; i < 100; i++) {
    const tool_calls = Array.from({ length: 500 }, (_, j) => ({
      index: 500 * i + j,
      function: { name: "f", arguments: "{}" },
    }));
    answer.push(JSON.stringify({ choices: [{ delta: { tool_calls } }] }));
  }
  assertEquals(answer.answer(true).toolCalls.length, 50_000);
  assertEquals(performance.now() - began < 1_500, true);
});

Deno.test("an answer that was cut at its greatest length says so", () => {
  const answer = new AnswerInPieces("Cannot ask");
  answer.push('{"choices":[{"delta":{"content":"and then"},"finish_reason":"length"}]}');
  assertEquals(answer.answer(false), { text: "and then", toolCalls: [], isCut: true });
});

Deno.test("letters that a portion cuts in two are put together again", async () => {
  const bytes = encoder.encode("data: ü€😀\n\n");
  const cuts = Array.from(bytes, (_, i) => i);
  assertEquals(await Array.fromAsync(eventData(portions(bytes, cuts), "Cannot")), ["ü€😀"]);
});
