/** The one error, and sentences of whatever was thrown. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { describeError, ERROR_CODES, NetworkError } from "../../src/base/errors.ts";

Deno.test("an error carries its code, its cause and when to try again", () => {
  const cause = new TypeError("underneath");
  const error = new NetworkError("RESOURCE_EXHAUSTED", "Full.", { cause, retryAfterMs: 250 });
  assertEquals(
    [error.name, error.code, error.message, error.retryAfterMs],
    ["NetworkError", "RESOURCE_EXHAUSTED", "Full.", 250],
  );
  assertStrictEquals(error.cause, cause);
});

Deno.test("an error says where nobody answered at all", () => {
  const error = new NetworkError("UNAVAILABLE", "Nobody is there.", { unanswered: true });
  assertEquals(error.unanswered, true);
});

Deno.test("what an error was not given, it does not have", () => {
  const error = new NetworkError("INTERNAL", "Broken.");
  assertEquals(
    ["cause" in error, error.retryAfterMs, error.unanswered],
    [false, undefined, undefined],
  );
});

Deno.test("from leaves a NetworkError as it is, whatever code is asked for", () => {
  const error = new NetworkError("NOT_FOUND", "No such agent.");
  assertStrictEquals(NetworkError.from(error, "INTERNAL", "Cannot run"), error);
});

Deno.test("from says what was being done and keeps what was thrown", () => {
  const thrown = new RangeError("too far");
  const error = NetworkError.from(thrown, "PROTOCOL", "Cannot read frame");
  assertEquals([error.code, error.message], ["PROTOCOL", "Cannot read frame: too far"]);
  assertStrictEquals(error.cause, thrown);
  assertEquals(NetworkError.from("plain").message, "plain");
  assertEquals(NetworkError.from("plain").code, "INTERNAL");
});

Deno.test("a description is one line, without a stack", () => {
  assertEquals(
    describeError(new Error("first\n  second\r\n\n third \u2028fourth\rfifth\n")),
    "first second third fourth fifth",
  );
  assertEquals(describeError(new TypeError()), "TypeError");
  assertEquals(describeError(undefined), "undefined");
});

Deno.test("whatever an agent throws can be described", () => {
  const odd = Object.assign(new Error(), { message: 42 });
  const hostile = {
    toString() {
      throw new Error("no text of me");
    },
  };
  assertEquals(describeError(odd), "42");
  assertEquals(describeError(Object.create(null)), "a value of the type object");
  assertEquals(describeError(hostile), "a value of the type object");
  assertEquals(
    NetworkError.from(hostile, "AGENT_FAILED", "The agent failed").message,
    "The agent failed: a value of the type object",
  );
  fc.assert(fc.property(fc.anything({ withNullPrototype: true }), (thrown) => {
    assertEquals(typeof describeError(thrown), "string");
  }));
});

Deno.test("a message of a hundred thousand blanks is described in no time", () => {
  const start = performance.now();
  assertEquals(describeError(`a${" ".repeat(100_000)}b`).length, 100_002);
  assertEquals(performance.now() - start < 500, true);
});

Deno.test("every code is listed once", () => {
  assertEquals(new Set(ERROR_CODES).size, ERROR_CODES.length);
});
