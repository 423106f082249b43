/** What is seen of a stream that goes by. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { judgeChat } from "../../src/dialects/chat_stream.ts";
import type { StreamWatch } from "../../src/dialects/dialect.ts";
import { openAiChat } from "../../src/dialects/openai/chat.ts";
import { watchEvents, watchLines } from "../../src/dialects/stream_watch.ts";
import { chunk, PARALLEL_CALLS, portions, usageChunk, words } from "./rig.ts";

const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const DONE = "data: [DONE]\n\n";

function sight({ hasSpoken, tokens, isComplete, missingEnd, fault }: StreamWatch) {
  return { hasSpoken, tokens, isComplete, missingEnd, fault };
}

function watch(...texts: string[]) {
  const watch = watchEvents(judgeChat);
  for (const text of texts) watch.push(text);
  return sight(watch);
}

Deno.test("a stream has spoken with its first word, thought, call or end, and not before", () => {
  const before = event(chunk({ role: "assistant", content: "" })) + ": ping\n\n" +
    event(chunk({ content: null, tool_calls: [] })) + event(usageChunk(5, 0));
  assert(!watch(before).hasSpoken);
  const speaking: unknown[] = [
    chunk({ content: "a" }),
    chunk({ reasoning_content: "a" }),
    chunk({ reasoning: "a" }),
    chunk({ tool_calls: [{ function: { name: "f" } }] }),
    chunk({ function_call: { name: "f" } }),
    chunk({ refusal: "no" }),
    chunk({}, "stop"),
    { choices: [{ text: "a" }] },
    { choices: [{ index: 1, delta: { content: "a" } }] },
  ];
  for (const one of speaking) {
    assert(watch(before, event(one)).hasSpoken, JSON.stringify(one));
  }
});

Deno.test("tokens are what the engine counts, and pieces until it does", () => {
  const pieces = words("a", " b", " c").slice(0, -1).map(event).join("");
  assertEquals(watch(pieces).tokens, 3);
  assertEquals(watch(pieces, event(usageChunk(9, 17)), DONE).tokens, 17);
  // In the same piece as the end, or in every piece, or null.
  const withUsage = (n: number, rest = {}) =>
    event(chunk({ content: "x" }, null, { usage: { completion_tokens: n }, ...rest }));
  assertEquals(watch(withUsage(4), withUsage(9)).tokens, 9);
  assertEquals(watch(withUsage(4), event(chunk({ content: "y" }))).tokens, 5);
  assertEquals(watch(event(chunk({ content: "x" }, null, { usage: null }))).tokens, 1);
  assertEquals(watch(withUsage(0)).tokens, 1);
  assertEquals(watch(withUsage(-4)).tokens, 1);
});

Deno.test("a stream is complete when it says so, or when each choice has said why it ends", () => {
  const open = event(chunk({ content: "a" }));
  assertEquals([watch(open).isComplete, watch(open).missingEnd], [false, ""]);
  for (const end of [DONE, "data: [DONE]"]) {
    assertEquals([watch(open, end).isComplete, watch(open, end).missingEnd], [true, ""]);
  }
  // Not all engines have OpenAI's last event: llama.cpp and TGI had none for long.
  const said = words("a").map(event).join("");
  assertEquals([watch(said).isComplete, watch(said).missingEnd], [true, DONE]);
  assertEquals(watch(said, DONE).missingEnd, "");
  const choice = (index: number, finish_reason: string | null) =>
    event({ choices: [{ index, delta: { content: "a" }, finish_reason }] });
  const two = choice(0, null) + choice(1, null) + choice(1, "stop");
  assertEquals(watch(two).isComplete, false);
  assertEquals(watch(two, choice(0, "length")).isComplete, true);
  assertEquals(watch(said, event({ error: "out of memory" })).isComplete, false);
  assertEquals(watch("").isComplete, false);
});

const ERRORS: [string, string][] = [
  [event({ error: { message: "out of memory", code: 500 } }), "out of memory"],
  [event({ error: "out of memory" }), "out of memory"],
  [event({ object: "error", message: "out of memory", code: 400 }), "out of memory"],
  [event({ type: "error", error: { type: "api_error", message: "out of memory" } }), "out of"],
  ['event: error\ndata: {"message":"out of memory"}\n\n', "out of memory"],
  ["event: error\ndata: out of memory\n\n", "out of memory"],
  ['error: {"code":500,"message":"out of memory"}\n\n', "out of memory"],
  ['{"error":{"message":"out of memory"}}\n', "out of memory"],
  [event({ error: { code: 7 } }), '{"code":7}'],
  [event({ error: "\u001b[2J" }), "[2J"],
];

Deno.test("an error that an engine tells in the middle is the fault, in whatever form", () => {
  for (const [text, message] of ERRORS) {
    const seen = watch(event(chunk({ content: "a" })), text, DONE);
    assertStringIncludes(seen.fault ?? "none", message);
    assert(!seen.fault!.includes("\u001b"));
    assertEquals(seen.isComplete, false);
    assertEquals(seen.tokens, 1);
  }
});

Deno.test("an error that is null is none", () => {
  assertEquals(watch(event({ ...chunk({ content: "a" }), error: null }), DONE).fault, undefined);
});

Deno.test("what is no JSON is a fault that shows how it begins", () => {
  assertStringIncludes(watch('data: {"choices": [{"del\n\n').fault!, '{"choices": [{"del');
  assertStringIncludes(watch("data: 5\n\n").fault!, "5");
  const lines = watchLines(() => {});
  lines.push("<html>\n");
  assertStringIncludes(lines.fault!, "<html>");
});

Deno.test("after its end, or after a fault, nothing changes any more", () => {
  const ended = watch(event(chunk({ content: "a" })), DONE);
  const more = watch(
    event(chunk({ content: "a" })),
    DONE,
    event(chunk({ content: "b" })),
    "data: x\n\n",
  );
  assertEquals(more, ended);
});

Deno.test("a line of more than 16 MiB is a fault, whether it ends or not", () => {
  const mebibyte = "x".repeat(1024 * 1024);
  for (const make of [watchEvents, watchLines]) {
    const watch = make(() => {});
    watch.push("data: ");
    for (let i = 0; i < 15; i++) watch.push(mebibyte);
    assertEquals(watch.fault, undefined);
    watch.push(mebibyte);
    assertStringIncludes(watch.fault!, "16 MiB");
  }
});

Deno.test("data in many lines is bounded, too", () => {
  const watch = watchEvents(() => {});
  const line = `data: ${"x".repeat(1024 * 1024)}\n`;
  for (let i = 0; i < 17; i++) watch.push(line);
  assertStringIncludes(watch.fault!, "16 MiB");
});

Deno.test("the last line of JSON counts without its end, and not before it is whole", () => {
  const make = () =>
    watchLines((piece, findings) => {
      findings.piece();
      if (piece.done === true) findings.isComplete = true;
    });
  const whole = make();
  whole.push('{"done":false}\n{"x":{"done":true}');
  assertEquals([whole.isComplete, whole.tokens], [false, 1]);
  whole.push(',"done":true}');
  assertEquals([whole.isComplete, whole.tokens], [true, 2]);
});

Deno.test("what is nested too deeply to be walked is a fault, and no more than that", () => {
  const deep = `${'[{"text":'.repeat(50_000)}0${"}]".repeat(50_000)}`;
  assert(watch(`data: {"error":${deep}}\n\n`).fault !== undefined);
  assert(watch(`data: {"choices":[{"delta":{"content":${deep}}}]}\n\n`).fault !== undefined);
});

Deno.test("the same is seen in portions of any size", () => {
  const streams = [
    words("Hello", " there").map(event).join("") + DONE,
    PARALLEL_CALLS.map(event).join("").replaceAll("\n", "\r\n") + DONE,
    event(chunk({ content: "ä🦕" })) + event({ error: { message: "broken" } }),
    `${event(chunk({ content: "a" }))}data: {"cho\n\n`,
  ];
  fc.assert(fc.property(
    fc.constantFrom(...streams),
    fc.integer({ min: 1, max: 200 }),
    (text, size) => assertEquals(watch(...portions(text, size)), watch(text)),
  ));
});

Deno.test("nothing that an engine sends makes a watch throw", () => {
  const odd = fc.oneof(fc.string(), fc.json(), fc.json().map((json) => `data: ${json}\n\n`));
  fc.assert(fc.property(fc.array(odd), (texts) => {
    for (const make of [openAiChat.watch, () => watchLines(judgeChat)]) {
      const watch = make();
      for (const text of texts) watch.push(text);
      assertEquals(typeof watch.tokens, "number");
      assertEquals(typeof watch.isComplete, "boolean");
    }
  }));
});
