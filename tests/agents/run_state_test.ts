/** What the agents of a run share: copies, changes that come back, bounds. */

import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../../src/base/bounded_value.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { RunMessage } from "../../src/agents/run_state.ts";
import {
  MAX_STATE_BYTES,
  type PlainRunState,
  RunStateStore,
} from "../../src/agents/run_state_store.ts";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { decodeAnswer, decodeTask } from "../../src/tasks/task_codec.ts";
import { encodeAnswer, encodeTask, task } from "../support/task_rig.ts";

function fails(code: ErrorCode, says: string, work: () => unknown): void {
  const error = assertThrows(work, NetworkError);
  assertEquals(error.code, code);
  assertStringIncludes(error.message, says);
}

/** As it comes out at the other end of a link. */
function overTheWire(state: RunStateStore): RunStateStore {
  return decodeTask(encodeTask(task({ state }))).state!;
}

function plain(state: RunStateStore): PlainRunState {
  return JSON.parse(JSON.stringify(state));
}

const said = (content: string): RunMessage => ({ role: "assistant", agent: "a", content });

Deno.test("what is read from the data is the reader's own", () => {
  const { data } = new RunStateStore();
  const list = [1];
  data.set("list", list);
  list.push(2);
  (data.get("list") as number[]).push(3);
  assertEquals(data.get("list"), [1]);
});

Deno.test("what a copy changes is its own until its changes are applied, and then nothing is lost", () => {
  const state = new RunStateStore();
  state.data.set("kept", 1);
  state.data.set("gone", 1);
  const [one, other] = [state.fork(), state.fork()];
  one.data.set("both", "one");
  one.data.delete("gone");
  one.addMessage(said("one"));
  other.data.set("both", "other");
  other.data.set("others", true);
  other.addMessage(said("other"));
  assertEquals([...state.data.keys()], ["kept", "gone"]);

  state.apply(other.changes()!);
  state.apply(one.changes()!);

  assertEquals(Object.fromEntries(state.data), { kept: 1, others: true, both: "one" });
  assertEquals(state.messages, [said("other"), said("one")]);
});

Deno.test("a copy that was only read has no changes", () => {
  const state = new RunStateStore();
  state.data.set("key", 1);
  const copy = state.fork();
  copy.data.get("key");
  copy.data.delete("none");
  assertEquals(copy.changes(), undefined);
});

Deno.test("keys that objects have anyway are keys like any other, also over the wire", () => {
  const state = new RunStateStore();
  const keys = ["__proto__", "constructor", "toString", "", "0", "\u0000\n"];
  for (const key of keys) state.data.set(key, { [key]: key } as JsonValue);
  const arrived = overTheWire(state);
  assertEquals([...arrived.data.keys()].sort(), keys.sort());
  assertEquals(JSON.stringify(arrived.data.get("__proto__")), '{"__proto__":"__proto__"}');
  assertEquals(({} as Record<string, unknown>).polluted, undefined);

  const copy = arrived.fork();
  copy.data.set("__proto__", { polluted: true });
  const answer = decodeAnswer(encodeAnswer({ serviceMs: 0, changes: copy.changes() }));
  state.apply(answer.changes!);
  assertEquals(state.data.get("__proto__"), { polluted: true });
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("any state comes out at the other end as it went in", () => {
  const content = fc.string({ unit: "grapheme" });
  fc.assert(fc.property(
    fc.array(fc.tuple(content, fc.jsonValue({ maxDepth: 5 }))),
    fc.array(content),
    (entries, contents) => {
      const state = new RunStateStore();
      for (const [key, value] of entries) state.data.set(key, value as JsonValue);
      for (const one of contents) state.addMessage(said(one));
      const arrived = overTheWire(state);
      assertEquals(plain(arrived), plain(state));
      assertEquals(arrived.bytes, state.bytes);
    },
  ));
});

Deno.test("what is too large is refused, and nothing is changed", () => {
  const state = new RunStateStore();
  const { data } = state;
  data.set("k".repeat(MAX_KEY_BYTES), "x".repeat(MAX_VALUE_BYTES - 2));
  fails("RESOURCE_EXHAUSTED", "513 bytes", () => data.set("k".repeat(MAX_KEY_BYTES + 1), 1));
  // Each of these takes two bytes, and so does a quote.
  fails("RESOURCE_EXHAUSTED", "Keep it in a file", () => data.set("k", "é".repeat(2 ** 19)));
  for (let i = 1; i < 7; i++) data.set(`${i}`, "x".repeat(MAX_VALUE_BYTES - 2));
  const copy = state.fork();
  copy.data.set("small", 1);
  copy.data.set("1", 0);
  copy.data.set("large", "x".repeat(MAX_VALUE_BYTES - 2));
  copy.addMessage(said("x".repeat(900_000)));
  state.addMessage(said("y".repeat(900_000)));
  data.set("2", "a");
  state.addMessage(said("y".repeat(900_000)));
  const [full, before] = [plain(state), state.bytes];
  fails("RESOURCE_EXHAUSTED", `at most ${MAX_STATE_BYTES}`, () => state.apply(copy.changes()!));
  assertEquals([plain(state), state.bytes], [full, before]);
  const messages = [said("short"), said("x".repeat(2 ** 20))];
  fails("RESOURCE_EXHAUSTED", "state of the run", () => state.apply({ messages }));
  assertEquals([plain(state), state.bytes], [full, before]);

  data.delete("3");
  state.apply(copy.changes()!);
  assertEquals(data.get("small"), 1);
});

for (
  const [what, value, says] of [
    ["a function", () => {}, "JSON has no function"],
    ["nothing", undefined, "JSON has no undefined"],
    ["a BigInt", 1n, "BigInt"],
    [
      "a cycle",
      (() => {
        const a: unknown[] = [];
        a.push(a);
        return a;
      })(),
      "circular",
    ],
    ["what is too deep", JSON.parse("[".repeat(33) + "]".repeat(33)), "deeper than 32 levels"],
  ] as [string, unknown, string][]
) {
  Deno.test(`${what} is no value of the data`, () => {
    fails(
      "INVALID_ARGUMENT",
      says,
      () => new RunStateStore().data.set("key", value as JsonValue),
    );
  });
}

Deno.test("a state that lies about itself does not come in", () => {
  const states: unknown[] = [
    1,
    { messages: [], data: [], agentResults: [] },
    { messages: [{ role: "root", content: "" }], data: {}, agentResults: [] },
    { messages: [], data: { k: "x".repeat(MAX_VALUE_BYTES) }, agentResults: [] },
    { messages: [], data: {}, agentResults: [{ agent: "../x" }] },
  ];
  for (const state of states) {
    const lying = { toJSON: () => state } as unknown as RunStateStore;
    const bytes = encodeTask(task({ state: lying }));
    const error = assertThrows(() => decodeTask(bytes), NetworkError);
    assertEquals(error.code, "PROTOCOL");
    assertStringIncludes(error.message, "Cannot read the state of the peer's task");
  }
});

Deno.test("changes are taken piece by piece, and all of them are there since the fork", () => {
  const state = new RunStateStore();
  state.data.set("before", 1);
  const fork = state.fork();
  assertEquals([fork.takeChanges(), fork.changes()], [undefined, undefined]);
  fork.data.set("a", 1);
  fork.addMessage({ role: "user", content: "one" });
  const first = { data: { a: 1 }, messages: [{ role: "user" as const, content: "one" }] };
  assertEquals(fork.takeChanges(), first);
  assertEquals(fork.takeChanges(), undefined);
  fork.data.delete("before");
  assertEquals(fork.takeChanges(), { deleted: ["before"] });
  assertEquals(fork.changes(), { ...first, deleted: ["before"] });
});
