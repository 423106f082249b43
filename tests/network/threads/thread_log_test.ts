/** What a thread keeps: entries whole or in pieces, what is no entry, what agents are given of it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { AgentResult } from "../../../src/agents/run_state.ts";
import type { JsonValue } from "../../../src/base/bounded_json.ts";
import { MAX_VALUE_BYTES } from "../../../src/base/bounded_value.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import {
  MAX_DATA_BYTES,
  MAX_HISTORY_BYTES,
  stateOf,
} from "../../../src/network/threads/thread_history.ts";
import {
  dataKeyOf,
  escapedDataKey,
  threadKeys,
  threadOf,
} from "../../../src/network/threads/thread_keys.ts";
import {
  messagesOf,
  readLog,
  type ThreadEntry,
  toItems,
} from "../../../src/network/threads/thread_log.ts";

function resultOf(output: string, data?: JsonValue): AgentResult {
  const [agent, nodeId, taskId] = ["writer", "a", "01"];
  return { agent, nodeId, taskId, output, ...(data !== undefined && { data }), durationMs: 1 };
}

function nested(depth: number): JsonValue {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

Deno.test("an entry is messages, a prompt as one, an answer as one and as a result", () => {
  const entry: ThreadEntry = {
    run: "r",
    messages: [{ role: "system", content: "be kind" }],
    prompt: "Go",
    asked: "go",
    result: resultOf("done"),
  };
  assertEquals(readLog(toItems(entry, "1")), [entry]);
  assertEquals(messagesOf(entry), [
    { role: "system", content: "be kind" },
    { role: "user", content: "Go" },
    { role: "assistant", agent: "writer", content: "done" },
  ]);
});

Deno.test("what a value has no room for, or is too deep, is kept in pieces, between those of others", () => {
  const long: ThreadEntry = {
    run: "r",
    result: resultOf(`${'\\"ü\u{1f600}\u0001'.repeat(400_000)}`),
  };
  const deep: ThreadEntry = { run: "s", result: resultOf("", nested(48)) };
  const lone: ThreadEntry = { run: "t", prompt: "\ud800".repeat(200_000) };
  const [one, two, three] = [toItems(long, "1"), toItems(deep, "2"), toItems(lone, "3")];
  assert(one.length > 2 && two.length === 1 && three.length > 1);
  for (const item of [...one, ...three]) {
    assert(new TextEncoder().encode(JSON.stringify(item)).length <= MAX_VALUE_BYTES);
  }
  const small: ThreadEntry = { run: "u", prompt: "small" };
  const mixed = [
    one[0],
    three[0],
    ...two,
    ...one.slice(1),
    ...toItems(small, "4"),
    ...three.slice(1),
  ];
  assertEquals(readLog(mixed), [deep, long, small, lone]);
});

Deno.test("pieces out of their order are passed over", () => {
  const entry: ThreadEntry = { run: "r", prompt: "x".repeat(MAX_VALUE_BYTES) };
  const items = toItems(entry, "1");
  assertEquals(readLog([items[1], items.at(-1)!, ...items]), [entry]);
});

Deno.test("what is no entry is passed over, and so is one that lacks a piece", () => {
  const good: ThreadEntry = { run: "r", prompt: "good" };
  const [first, ...rest] = toItems({ run: "r", prompt: "x".repeat(3e6) }, "1");
  const wrong: JsonValue[] = [
    null,
    7,
    "text",
    [],
    { run: 7 },
    { run: "r", prompt: 7 },
    { run: "r", messages: [{ role: "king", content: "" }] },
    { run: "r", result: { agent: "../x" } },
    { run: "r", surplus: 1 },
    { run: "x".repeat(65) },
    { of: "2", piece: 0, pieces: 1, text: "{" },
    { of: "3", piece: 0, pieces: 1, text: `{"run":"r","prompt":${"[".repeat(9e4)}` },
    { of: "4", piece: 1, pieces: 2, text: "}" },
    { of: "5", piece: 0, pieces: 1e9, text: "{" },
    { of: "6", piece: -1, pieces: 1, text: "{" },
    ...rest,
  ];
  assertEquals(readLog([...wrong, ...toItems(good, "7"), first, first]), [good]);
});

Deno.test("names are any text, and no thread is within another one's keys", () => {
  const names = ["trip", "trip/2", "trip%2f2", "a b", "ü", "..", "__proto__", "x".repeat(128)];
  const prefixes = names.map((name) => threadKeys(name, "test").prefix);
  for (const [i, prefix] of prefixes.entries()) {
    assertEquals(threadOf(`${prefix}log`), names[i]);
    assertEquals(prefixes.filter((one) => one.startsWith(prefix)), [prefix]);
  }
  for (const name of ["", "x".repeat(129), "a\0b", "a\nb", "\ud800", "\u202eab"]) {
    const error = assertThrows(() => threadKeys(name, "test"), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  for (const key of ["threads/", "threads/%/log", "threads//log", "thread/a/log", "threads/a"]) {
    assertEquals(threadOf(key), undefined, key);
  }
  for (const key of ["a", "a/b", "%", "%2f", "\0", "", "__proto__"]) {
    assertEquals(dataKeyOf(escapedDataKey(key)), key);
    assert(!escapedDataKey(key).includes("\0"));
  }
  assertEquals(dataKeyOf("50%"), "50%");
});

Deno.test("agents are given the newest of a long thread, all data and all of their own run", () => {
  const data = new Map<string, JsonValue>([["k", 1]]);
  const size = 100_000;
  const entries = Array.from({ length: 100 }, (_, i): ThreadEntry => ({
    run: `run ${i}`,
    prompt: String(i).padEnd(size),
  }));
  const all = stateOf({ entries, data }, "t", {});
  assertEquals(all.messages.at(-1)!.content.trim(), "99");
  assertEquals(all.messages.length, Math.floor(MAX_HISTORY_BYTES / (size + 30)));
  assertEquals([...all.data], [["k", 1]]);
  assertEquals(all.takeChanges(), undefined);

  // Its own are old: others have run meanwhile.
  const own = stateOf({ entries, data }, "t", { run: "run 3" });
  assertEquals(own.messages[0].content.trim(), "3");
  assertEquals(own.messages.length, all.messages.length + 1);

  // What is older than one that is too long is left out with it.
  const gap = [
    ...entries.slice(0, 5),
    { run: "g", prompt: "x".repeat(3e6) },
    ...entries.slice(5, 8),
  ];
  const after = stateOf({ entries: gap, data }, "t", {});
  assertEquals(after.messages.map(({ content }) => content.trim()), ["5", "6", "7"]);

  // A prompt that takes all that is left.
  assertEquals(stateOf({ entries, data }, "t", { reserve: MAX_DATA_BYTES }).messages, []);
});

Deno.test("data that is too much is told, with the mend", () => {
  const data = new Map<string, JsonValue>(
    Array.from({ length: 5 }, (_, i) => [`k${i}`, "x".repeat(900_000)]),
  );
  const error = assertThrows(() => stateOf({ entries: [], data }, "t", {}), NetworkError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assert(error.message.includes('network.thread("t").data.delete'), error.message);
});
