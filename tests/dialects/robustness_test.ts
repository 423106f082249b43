/** What holds for every dialect, whatever clients ask and engines answer. */

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ERROR_CODES, NetworkError } from "../../src/base/errors.ts";
import { ChatStreamReader } from "../../src/dialects/chat_stream.ts";
import type { ChatTranslation, Dialect, JsonObject } from "../../src/dialects/dialect.ts";
import { DIALECTS } from "../../src/dialects/dialects.ts";
import { chunk, PARALLEL_CALLS, portions, testNeeds, usageChunk, watched, words } from "./rig.ts";

const ALL: readonly Dialect[] = Object.values(DIALECTS);
const CHATS = ALL.filter(({ toChat }) => toChat !== undefined);
/** By name, which is what a failure shows. */
const chatNames = fc.constantFrom(...CHATS.map(({ name }) => name));

/** A request that every dialect takes: each reads the fields that it knows. */
const BODY: JsonObject = {
  model: "llama3.2:latest",
  stream: true,
  max_tokens: 100,
  prompt: "Hello?",
  input: "Hello?",
  messages: [{ role: "user", content: "Hello?" }],
  thinking: { type: "enabled" },
};

function translated({ toChat, name }: Dialect): ChatTranslation {
  const { prompt, ...rest } = BODY;
  return toChat!(name === "openai-responses" ? rest : { ...rest, prompt }, testNeeds());
}

/** What a client is told when the engine's text comes in portions of so many characters. */
function told(dialect: Dialect, text: string, size: number): string {
  const reader = new ChatStreamReader();
  const pieces = translated(dialect).pieces();
  let told = "";
  for (const portion of portions(text, size)) {
    for (const chunk of reader.push(portion)) told += pieces.push(chunk);
  }
  return told + pieces.end();
}

const STREAMS = [
  words("Hello", " there", " 🦕"),
  PARALLEL_CALLS,
  [
    chunk({ reasoning: "Hm" }),
    chunk({ content: "a" }, "length", { usage: usageChunk(1, 2).usage }),
  ],
].map((pieces) =>
  pieces.map((piece) => `data: ${JSON.stringify(piece)}\r\n\r\n`).join("") + "data: [DONE]\r\n\r\n"
);

Deno.test("a client is told the same in whatever portions the engine's text comes", () => {
  const expected = new Map(
    CHATS.flatMap((dialect) =>
      STREAMS.map((text) => [`${dialect.name} ${text}`, told(dialect, text, text.length)])
    ),
  );
  fc.assert(fc.property(
    chatNames,
    fc.constantFrom(...STREAMS),
    fc.integer({ min: 1, max: 300 }),
    (name, text, size) => {
      assertEquals(told(DIALECTS[name], text, size), expected.get(`${name} ${text}`));
    },
  ));
});

Deno.test("the watch of each dialect sees the same in portions of any size", () => {
  fc.assert(fc.property(
    chatNames,
    fc.constantFrom(...STREAMS),
    fc.integer({ min: 1, max: 300 }),
    (name, text, size) => {
      const dialect = DIALECTS[name];
      const said = told(dialect, text, 1_000);
      const seen = watched(dialect, said, size);
      assertEquals(seen, watched(dialect, said, said.length));
      assert(seen.isComplete && seen.hasSpoken);
      assertEquals(seen.fault, undefined);
    },
  ));
});

Deno.test("each dialect's watch understands how each dialect breaks off", () => {
  for (const dialect of ALL) {
    const text = dialect.breakOff({ code: "INTERNAL", message: "it\nbroke" });
    const { fault, isComplete } = watched(dialect, text, 3);
    assertEquals([fault, isComplete], ["it broke", false], dialect.name);
  }
});

Deno.test("an error with status 200, or what is no answer, is refused with what the engine says", () => {
  const NOT: [unknown, string][] = [
    [{ error: "Unexpected endpoint or method." }, "Unexpected endpoint"],
    [{ error: { message: "no such model" } }, "no such model"],
    [{ choices: null, data: null }, "it has no"],
    [null, "it has no"],
    ["<html>", "it has no"],
  ];
  for (const dialect of ALL) {
    const { whole } = dialect.toEmbeddings?.(BODY, testNeeds()) ?? translated(dialect);
    for (const [answer, part] of NOT) {
      const error = assertThrows(() => whole(answer as never), NetworkError, part);
      assertEquals(error.code, "PROTOCOL");
    }
  }
});

Deno.test("every error has a status and a body in every dialect", () => {
  for (const { refuse, name } of ALL) {
    for (const code of ERROR_CODES) {
      const { status, body } = refuse({ code, message: "told so" });
      assert(status >= 400 && status < 600, `${name} ${code}`);
      assert(JSON.stringify(body).includes("told so"), `${name} ${code}`);
    }
  }
});

/** JSON in which the words of the dialects come up. */
const oddJson = fc.letrec<{ value: unknown }>((tie) => {
  const word = fc.constantFrom(
    ...[
      "user",
      "assistant",
      "tool",
      "system",
      "text",
      "image",
      "function",
      "auto",
      "",
      "stop",
      "x",
    ],
    ...["tool_use", "tool_result", "function_call", "function_call_output", "input_text", "base64"],
  );
  const key = fc.constantFrom(
    ...["role", "content", "type", "text", "messages", "input", "tools", "function", "name", "id"],
    ...[
      "arguments",
      "tool_calls",
      "index",
      "delta",
      "choices",
      "usage",
      "finish_reason",
      "message",
    ],
    ...[
      "format",
      "options",
      "source",
      "data",
      "images",
      "tool_choice",
      "system",
      "call_id",
      "output",
    ],
    ...["prompt_tokens", "completion_tokens", "logprobs", "__proto__", "thinking", "reasoning"],
  );
  return {
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 1.5),
      word,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map((entries) =>
        Object.fromEntries(entries)
      ),
    ),
  };
}).value;

/** An object in which what most requests need may be there. */
const oddBody = fc.tuple(
  fc.dictionary(
    fc.constantFrom(
      "messages",
      "input",
      "prompt",
      "tools",
      "system",
      "tool_choice",
      "text",
      "format",
      "images",
      "options",
      "thinking",
      "metadata",
      "stream",
      "suffix",
    ),
    oddJson,
  ),
  fc.boolean(),
).map(([odd, hasNeeded]) => (hasNeeded ? { ...BODY, ...odd } : odd) as JsonObject);

Deno.test("whatever a client asks is taken, or refused as its own fault", () => {
  const isRefusal = (work: () => unknown) => {
    try {
      work();
    } catch (thrown) {
      assertInstanceOf(thrown, NetworkError);
      assertEquals(thrown.code, "INVALID_ARGUMENT");
    }
  };
  fc.assert(
    fc.property(oddBody, (body) => {
      for (const dialect of ALL) {
        isRefusal(() => dialect.read(body));
        isRefusal(() => dialect.toChat?.(body, testNeeds()));
        isRefusal(() => dialect.toEmbeddings?.(body, testNeeds()));
      }
    }),
    { numRuns: 500 },
  );
});

function wholeOrRefused(translation: ChatTranslation, answer: unknown): void {
  try {
    JSON.stringify(translation.whole(answer as never));
  } catch (thrown) {
    assertInstanceOf(thrown, NetworkError);
    assertEquals(thrown.code, "PROTOCOL");
  }
}

const oddAnswer = fc.oneof(
  oddJson,
  fc.record({
    choices: fc.array(
      fc.record({ delta: oddJson, message: oddJson, index: oddJson, finish_reason: oddJson }),
    ),
    usage: oddJson,
  }),
  fc.record({
    choices: fc.array(
      fc.record({ delta: fc.record({ tool_calls: fc.array(oddJson), content: oddJson }) }),
    ),
  }),
);

Deno.test("whatever an engine answers becomes an answer that the dialect's own watch takes", () => {
  fc.assert(
    fc.property(fc.array(oddAnswer, { maxLength: 5 }), (answers) => {
      // Between the engine and a translator stands the reader, which lets through no error.
      const text = answers.map((one) => `data: ${JSON.stringify(one)}\n\n`).join("");
      const reader = new ChatStreamReader();
      const chunks = reader.push(text);
      for (const dialect of CHATS) {
        const translation = translated(dialect);
        const pieces = translation.pieces();
        const said = chunks.map((chunk) => pieces.push(chunk)).join("") + pieces.end();
        const { fault, isComplete } = watched(dialect, said, 100);
        if (reader.fault === undefined) {
          assertEquals([fault, isComplete], [undefined, true], dialect.name);
        }
        for (const answer of answers) wholeOrRefused(translation, answer);
      }
    }),
    { numRuns: 500 },
  );
});
