/** Asking the engines of a device: which stands in for which, and what the client is told. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { createEngineAgent } from "../../../src/network/models/engine_agent.ts";
import { allOf, askEngines, chatBody, type Script, scripted } from "./rig.ts";

const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: string) =>
  event({ id: "c", created: 1, model: "own", choices: [{ index: 0, delta: { content } }] });
const role = event({ choices: [{ index: 0, delta: { role: "assistant", content: "" } }] });
const finish = event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
const DONE = "data: [DONE]\n\n";
const completion = (content: string) => ({
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "own",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 7, total_tokens: 8 },
});
const broken = new NetworkError("UNKNOWN_OUTCOME", "the connection ended");
const silent = new NetworkError("DEADLINE_EXCEEDED", "no answer came for 600 s");

const well: Script = { body: JSON.stringify(completion("well")) };
const stream: Script = { type: "text/event-stream", body: [role, delta("well"), finish, DONE] };

/** Whatever an engine may fail with before its first word. */
const failures: Record<string, Script | Error> = {
  "nobody is there": new NetworkError("UNAVAILABLE", "nobody answers"),
  "it breaks off": broken,
  "it falls silent": silent,
  "it sends elsewhere": new NetworkError("PROTOCOL", "it answers 302"),
  "it may not be asked": new NetworkError("PERMISSION_DENIED", "no --allow-net"),
  "it fails": { status: 500, body: '{"error":{"message":"out of memory"}}' },
  "it fails with a page": { status: 502, type: "text/html", body: "<h1>Bad gateway</h1>" },
  "it fails without end": {
    status: 500,
    body: Array.from({ length: 64 }, () => "x".repeat(2 ** 18)),
  },
  "it breaks off while it says why": { status: 500, body: ["{", broken] },
  "it is full": { status: 429, headers: { "retry-after": "7" }, body: "{}" },
  "it loads": { status: 503, body: '{"error":{"message":"Loading model"}}' },
  "it has it no more": { status: 404, body: '{"error":"model not found"}' },
  "its key is wrong": { status: 401, body: '{"error":{"message":"Incorrect API key"}}' },
  "there is to pay": { status: 402, body: "{}" },
  "it forbids it": { status: 403, body: "{}" },
};

const wholeFailures: Record<string, Script | Error> = {
  ...failures,
  "its answer is empty": { body: "" },
  "its answer is no JSON": { body: "<html>" },
  "its answer is cut off": { body: '{"choices":[' },
  "its answer breaks off": { body: ['{"choices":[', broken] },
  "its answer is no object": { body: "null" },
  "its answer is an error": { body: '{"error":{"message":"CUDA error"}}' },
};

const streamFailures: Record<string, Script | Error> = {
  ...failures,
  "its stream is empty": { type: "text/event-stream", body: "" },
  "its stream ends before a word": { type: "text/event-stream", body: [role] },
  "its stream breaks off before a word": { type: "text/event-stream", body: [role, broken] },
  "its stream falls silent before a word": { type: "text/event-stream", body: [role, silent] },
  "its stream is none": { type: "text/event-stream", body: "data: <html>\n\n" },
  "its stream is an error": {
    type: "text/event-stream",
    body: [role, event({ error: { message: "CUDA error" } })],
  },
  "its answer is whole and an error": { body: '{"error":"CUDA error"}' },
  "its answer is whole and no JSON": { body: "<html>" },
};

for (const isStream of [false, true]) {
  const kinds = isStream ? streamFailures : wholeFailures;
  for (const dialect of ["openai-chat", "anthropic-messages"] as const) {
    const what = `${isStream ? "a stream" : "an answer"} of ${dialect}`;
    Deno.test(`${what}: whatever an engine fails with before its first word, the next one is asked`, async () => {
      for (const [what, script] of Object.entries(kinds)) {
        const [bad, good] = [scripted({ script }), scripted({ script: isStream ? stream : well })];
        const told = await askEngines([bad, good], { dialect, stream: isStream });
        assertEquals(told.error, undefined, what);
        assertEquals([bad.asked.length, good.asked.length], [1, 1], what);
        assertEquals(told.head.status, 200);
        assertStringIncludes(told.text, "well");
      }
    });

    Deno.test(`${what}: where all fail the error says of which engine, and is another device's turn`, async () => {
      for (const [what, script] of Object.entries(kinds)) {
        const bad = scripted({ script });
        const { error, pieces } = await askEngines([bad], { dialect, stream: isStream });
        assert(error !== undefined, what);
        assertEquals(pieces, [], what);
        const codes = ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "NOT_FOUND", "PERMISSION_DENIED"];
        assert(codes.includes(error.code), `${what}: ${error.code}`);
        assertMatch(error.message, /^Cannot (ask|take the answer of) model "m" of vllm: /, what);
      }
    });
  }
}

Deno.test("what failed is told with its reason, and when to ask again", async () => {
  const { error } = await askEngines([scripted({ script: failures["it fails"] })]);
  assertEquals(error?.message, 'Cannot ask model "m" of vllm: it answers 500, "out of memory".');
  const full = await askEngines([scripted({ script: failures["it is full"] })]);
  assertEquals([full.error?.code, full.error?.retryAfterMs], ["RESOURCE_EXHAUSTED", 7_000]);
  for (const after of ["1e999", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "1e300"]) {
    const script = { status: 429, headers: { "retry-after": after }, body: "{}" };
    const { retryAfterMs } = (await askEngines([scripted({ script })])).error!;
    assert(retryAfterMs === undefined || retryAfterMs <= 3_600_000, after);
  }
  const shouting = { status: 500, body: `{"error":"\\u001b[2J${"x".repeat(5_000)}"}` };
  const { message } = (await askEngines([scripted({ script: shouting })])).error!;
  assert(message.length < 700 && !message.includes("\u001b"));
});

Deno.test("after its first word an engine has no stand-in: what breaks off is an error", async () => {
  const ends: [string, readonly (string | Error)[]][] = [
    ["it breaks off", [delta("once "), broken]],
    ["it falls silent", [delta("once "), silent]],
    ["it ends without its end", [delta("once ")]],
    ["it says nonsense", [delta("once "), 'data: {"choices": [{"del\n\n']],
    ["it says an error", [delta("once "), event({ error: { message: "CUDA error" } })]],
  ];
  for (const [what, body] of ends) {
    for (const dialect of ["openai-chat", "anthropic-messages", "ollama-chat"] as const) {
      const [bad, good] = [
        scripted({ script: { type: "text/event-stream", body } }),
        scripted({ script: stream }),
      ];
      const { error, text } = await askEngines([bad, good], { dialect, stream: true });
      assertEquals([error?.code, good.asked.length], ["UNAVAILABLE", 0], what);
      assertStringIncludes(text, "once ");
    }
  }
});

Deno.test("a stream that says nothing and ends well is an answer, too", async () => {
  for (const dialect of ["openai-chat", "anthropic-messages", "openai-responses"] as const) {
    const script = { type: "text/event-stream", body: [role, DONE] };
    const body = JSON.stringify({ ...JSON.parse(chatBody), input: "hi" });
    const { head, text, pieces } = await askEngines([scripted({ script })], {
      dialect,
      stream: true,
      body,
    });
    assertEquals(head, { status: 200, contentType: "text/event-stream" });
    if (dialect === "openai-chat") assertEquals(text, role + DONE);
    assert(pieces.every((piece) => piece !== ""));
  }
});

Deno.test("an engine that has said all is at its end, also without OpenAI's last event", async () => {
  for (const dialect of ["openai-chat", "anthropic-messages"] as const) {
    const script = { type: "text/event-stream", body: [role, delta("once"), finish] };
    const { text, error } = await askEngines([scripted({ script })], { dialect, stream: true });
    assertEquals(error, undefined);
    if (dialect === "openai-chat") assertEquals(text, role + delta("once") + finish + DONE);
    else assertStringIncludes(text, "message_stop");
    const broken = { type: "text/event-stream", body: [role, delta("once")] };
    const cut = await askEngines([scripted({ script: broken })], { dialect, stream: true });
    assertEquals(cut.error?.code, "UNAVAILABLE");
  }
});

Deno.test("the head comes with the first word, in whatever portions the engine speaks", async () => {
  const whole = role + delta("Grüße, 世界") + finish + DONE;
  const bytes = new TextEncoder().encode(whole);
  const model = scripted({});
  const byByte = {
    ...model,
    ask: () => {
      const body = (async function* () {
        for (const byte of bytes) yield new Uint8Array([byte]);
      })();
      return Promise.resolve({
        status: 200,
        headers: { "content-type": "text/event-stream" },
        body,
        bytes: (maxBytes: number) => allOf(body, maxBytes),
      });
    },
  };
  const { head, text, pieces } = await askEngines([byByte], { stream: true });
  assertEquals(head, { status: 200, contentType: "text/event-stream" });
  assertEquals(text, whole);
  assertStringIncludes(pieces[1], "世界");
});

Deno.test("an engine that talks without a word is held back up to a bound", async () => {
  const comment = `: ${"x".repeat(2 ** 16)}\n\n`;
  let given = 0;
  const body = Array.from({ length: 64 }, () => [comment, () => void given++]).flat();
  const script = { type: "text/event-stream", body: [...body, delta("late"), finish, DONE] };
  let atHead: number | undefined;
  const { text } = await askEngines([scripted({ script })], {
    stream: true,
    onPiece: () => atHead ??= given,
  });
  assert(atHead! >= 15 && atHead! <= 17, `${atHead}`);
  assertStringIncludes(text, "late");
});

Deno.test("an answer longer than any task's is refused while it comes, and left", async () => {
  const piece = "x".repeat(2 ** 20);
  const engine = scripted({ script: { body: Array.from({ length: 100 }, () => piece) } });
  const { error } = await askEngines([engine, scripted({ script: well })]);
  assertEquals([error?.code, engine.left], ["AGENT_FAILED", 1]);
  assertStringIncludes(error!.message, "longer than 15 MiB");
});

Deno.test("what the client did wrong it hears in its own dialect, and no other engine is asked", async () => {
  const said = '{"error":{"message":"temperature is too high","type":"x"}}';
  for (const status of [400, 409, 413, 422]) {
    for (const isStream of [false, true]) {
      const [first, second] = [scripted({ script: { status, body: said } }), scripted({})];
      const same = await askEngines([first, second], { stream: isStream });
      assertEquals([same.head.status, same.text, second.asked.length], [status, said, 0]);
      const translated = await askEngines([first], {
        stream: isStream,
        dialect: "anthropic-messages",
      });
      assertEquals(translated.head, { status, contentType: "application/json" });
      assertEquals(JSON.parse(translated.text), {
        type: "error",
        error: { type: "invalid_request_error", message: "temperature is too high" },
      });
    }
  }
  const empty = await askEngines([scripted({ script: { status: 400 } })], { stream: true });
  assertEquals([empty.head.status, empty.text], [400, ""]);
});

Deno.test("a whole answer passes through as it is, with what it took", async () => {
  const body = `{ "choices" : [],\n"usage":{"completion_tokens":12}, "x": 1e3 }`;
  const type = "application/json; charset=utf-8";
  const { text, head } = await askEngines([scripted({ script: { body, type } })]);
  assertEquals(text, body);
  assertEquals(head, { status: 200, contentType: type, firstMs: null, tokens: 12 });
  const ollama = scripted({ engine: "ollama", script: { body: '{"eval_count":5,"message":{}}' } });
  const asked = { dialect: "ollama-chat" } as const;
  assertEquals((await askEngines([ollama], asked)).head.tokens, 5);
  const odd = scripted({ script: { ...well, type: "x".repeat(1_000) } });
  assertEquals((await askEngines([odd])).head.contentType, "application/json");
  // A list of embeddings is not read for it.
  const long = `{"data":[${"1,".repeat(200_000)}1],"usage":{"completion_tokens":1}}`;
  assertEquals((await askEngines([scripted({ script: { body: long } })])).head.tokens, 0);
});

Deno.test("an engine that takes no wish for pieces is told in pieces all the same", async () => {
  const engine = () => scripted({ script: { body: JSON.stringify(completion("whole")) } });
  const same = await askEngines([engine()], { stream: true });
  assertMatch(same.text, /^data: \{.*"delta":\{.*"whole".*\n\ndata: \[DONE\]\n\n$/);
  assertEquals(same.head.contentType, "text/event-stream");
  const translated = await askEngines([engine()], { stream: true, dialect: "anthropic-messages" });
  assertEquals(translated.head.contentType, "text/event-stream");
  assertMatch(translated.text, /^event: message_start\n/);
  assertStringIncludes(translated.text, '"whole"');
  assertMatch(translated.text, /event: message_stop\n.*\n\n$/);
});

Deno.test("what somebody else's engine is never takes the place of one that fails here", async () => {
  const own = scripted({ script: failures["it fails"] });
  const second = scripted({ script: failures["it fails"] });
  const cloud = scripted({ script: well, lastResort: true });
  const { error } = await askEngines([own, second, cloud]);
  assertEquals(error?.code, "UNAVAILABLE");
  assertEquals([own, second, cloud].map(({ asked }) => asked.length), [1, 1, 0]);
  assertEquals((await askEngines([cloud])).head.status, 200);
});

Deno.test("a device that has the model no more says so", async () => {
  const { error } = await askEngines([]);
  assertEquals(error?.code, "NOT_FOUND");
  assertStringIncludes(error!.message, 'model "m": no engine of this device has it any more');
});

Deno.test("a call that is taken back stops its engine, and no other one is asked", async () => {
  for (const isStream of [false, true]) {
    const controller = new AbortController();
    const reason = new NetworkError("CANCELLED", "enough");
    const first = scripted({
      script: () => {
        controller.abort(reason);
        return new NetworkError("CANCELLED", "whoever asked has taken it back");
      },
    });
    const second = scripted({ script: well });
    const { signal } = controller;
    const { error } = await askEngines([first, second], { stream: isStream, signal });
    assertEquals([error, second.asked.length], [reason, 0]);
    assertEquals(first.asked[0].signal, signal);
  }
});

Deno.test("who leaves a stream in the middle leaves its engine", async () => {
  const engine = scripted({ script: stream });
  const agent = createEngineAgent({
    engines: { find: () => [engine] },
    clock: new ManualClock(),
    newId: () => "1",
  });
  const context = JSON.stringify({ dialect: "openai-chat", model: "m", asked: "m", stream: true });
  const { signal } = new AbortController();
  // deno-lint-ignore no-explicit-any
  const running = agent.run({ prompt: chatBody, context, signal } as any) as AsyncGenerator<string>;
  await running.next();
  assertEquals(engine.left, 0);
  await running.return(undefined);
  assertEquals(engine.left, 1);
});

Deno.test("the first token's time counts from the call, with what went by with an engine that failed", async () => {
  const clock = new ManualClock();
  const pass = (ms: number) => () => clock.advance(ms);
  const slow = scripted({ script: { type: "text/event-stream", body: [pass(400), broken] } });
  const good = scripted({
    script: {
      type: "text/event-stream",
      body: [role, pass(100), delta("a"), pass(50), delta("b"), finish, DONE],
    },
  });
  const { answer } = await askEngines([slow, good], { stream: true, clock });
  assertEquals(answer?.data, { firstMs: 500, tokens: 2 });
});

Deno.test("an engine's own Responses and Messages pass through, and fall back before their first word", async () => {
  const chunk = (type: string, rest: object = {}) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  const cases = {
    "openai-responses": {
      paths: ["/responses"],
      whole: { object: "response", status: "completed", error: null, output: [] },
      pieces: [
        chunk("response.created", { response: {} }),
        chunk("response.output_text.delta", { delta: "well" }),
        chunk("response.completed", { response: { usage: { output_tokens: 7 } } }),
      ],
    },
    "anthropic-messages": {
      paths: ["/messages"],
      whole: { type: "message", content: [{ type: "text", text: "well" }], odd: 1 },
      pieces: [
        chunk("message_start", { message: {} }),
        chunk("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
        chunk("content_block_delta", { index: 0, delta: { type: "text_delta", text: "well" } }),
        chunk("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } }),
        chunk("message_stop"),
      ],
    },
  } as const;
  for (const dialect of ["openai-responses", "anthropic-messages"] as const) {
    const { paths, whole, pieces } = cases[dialect];
    const type = "text/event-stream";
    const cut = scripted({ paths: [...paths], script: { type, body: pieces.slice(0, 1) } });
    const good = scripted({ paths: [...paths], script: { type, body: pieces } });
    const streamed = await askEngines([cut, good], { dialect, stream: true });
    assertEquals([streamed.error, streamed.text], [undefined, pieces.join("")]);

    const odd = scripted({ paths: [...paths], script: { body: '{"choices":[]}' } });
    const well = scripted({ paths: [...paths], script: { body: JSON.stringify(whole) } });
    const told = await askEngines([odd, well], { dialect, stream: false });
    assertEquals([told.error, told.text], [undefined, JSON.stringify(whole)]);
    assertEquals(
      well.asked[0].path,
      dialect === "openai-responses" ? "/v1/responses" : "/v1/messages",
    );
  }
});
