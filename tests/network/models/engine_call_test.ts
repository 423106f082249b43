/** What nodes tell each other of calls of models is read within bounds. */

import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../../src/base/errors.ts";
import {
  checkEngineHead,
  type EngineTask,
  figuresIn,
  modelAsked,
  parseEngineHead,
  parseEngineTask,
} from "../../../src/network/models/engine_call.ts";

const task: EngineTask = { dialect: "openai-chat", model: "m", asked: "a, m", stream: true };

Deno.test("a call is read as it was written, with names as long as they may be", () => {
  for (const name of ["m", "モ".repeat(256), "\u0001".repeat(256), '"\\'.repeat(128)]) {
    const written = { ...task, model: name, asked: `${name},${name},${name}` };
    assertEquals(parseEngineTask(JSON.stringify(written)), written);
    assertEquals(modelAsked(JSON.stringify(written)), name);
  }
});

Deno.test("what is no call is refused, and names no model", () => {
  const wrong = [
    "",
    "null",
    "[]",
    "{}",
    JSON.stringify({ ...task, dialect: "smoke" }),
    JSON.stringify({ ...task, model: "" }),
    JSON.stringify({ ...task, model: "m".repeat(1_025) }),
    JSON.stringify({ ...task, asked: 1 }),
    JSON.stringify({ ...task, stream: "yes" }),
    `{"dialect":${"[".repeat(5_000)}`,
    " ".repeat(20_000),
  ];
  for (const text of wrong) {
    assertEquals(assertThrows(() => parseEngineTask(text), NetworkError).code, "PROTOCOL");
    assertEquals(modelAsked(text), "");
  }
});

Deno.test("the head of an answer has a status and a type, or is none", () => {
  const head = { status: 200, contentType: "text/event-stream" };
  assertEquals(parseEngineHead(JSON.stringify(head)), head);
  assertEquals(checkEngineHead({ ...head, firstMs: null, tokens: 3 }), head);
  for (const wrong of [null, 1, {}, { ...head, status: 100 }, { ...head, status: 200.5 }, [head]]) {
    assertEquals(assertThrows(() => checkEngineHead(wrong), NetworkError).code, "PROTOCOL");
    const text = JSON.stringify(wrong);
    assertEquals(assertThrows(() => parseEngineHead(text), NetworkError).code, "PROTOCOL");
  }
  for (
    const contentType of ["x".repeat(257), "text/plain\r\nset-cookie: a=b", "te\0xt", "モデル"]
  ) {
    const fault = assertThrows(() => checkEngineHead({ ...head, contentType }), NetworkError);
    assertEquals(fault.code, "PROTOCOL");
  }
});

Deno.test("figures are read where they are some, and are none otherwise", () => {
  assertEquals(figuresIn({ status: 200, firstMs: null, tokens: 3 }), { firstMs: null, tokens: 3 });
  assertEquals(figuresIn({ firstMs: 1.5, tokens: 0 }), { firstMs: 1.5, tokens: 0 });
  const wrong = [undefined, null, {}, { firstMs: -1, tokens: 1 }, { firstMs: 1, tokens: -1 }];
  for (const data of [...wrong, { firstMs: NaN, tokens: 1 }, { firstMs: 1, tokens: Infinity }]) {
    assertEquals(figuresIn(data), undefined);
  }
});
