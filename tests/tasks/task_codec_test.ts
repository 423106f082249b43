/** The hand-written codec of tasks against `proto/`, and against bytes that lie. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import protobuf from "protobufjs";
import type { AgentEvent } from "../../src/agents/run_event.ts";
import { RunStateStore } from "../../src/agents/run_state_store.ts";
import type { JsonValue } from "../../src/base/bounded_json.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { MAX_HOPS, MAX_TIMEOUT_MS, type Task } from "../../src/tasks/task.ts";
import {
  decodeAnswer,
  decodeEvent,
  decodeTask,
  type WireAnswer,
} from "../../src/tasks/task_codec.ts";
import { encodeAnswer, encodeEvent, encodeTask, task } from "../support/task_rig.ts";

const proto = await Deno.readTextFile(new URL("../../proto/hanzo_task_v1.proto", import.meta.url));
const { root } = protobuf.parse(proto);

/** What a codec that is made of `proto/` reads. */
function read(type: string, bytes: Uint8Array): Record<string, unknown> {
  const message = root.lookupType(`hanzo.task.v1.${type}`);
  return message.toObject(message.decode(bytes), { longs: Number, enums: String, bytes: String });
}

/** What a codec that is made of `proto/` writes. */
function written(type: string, fields: Record<string, unknown>): Uint8Array {
  const message = root.lookupType(`hanzo.task.v1.${type}`);
  return message.encode(message.fromObject(fields)).finish();
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  // As files of other systems begin: it is a part of the text.
  fc.string().map((text) => `\ufeff${text}`),
);
const label = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/);
const json = fc.jsonValue({ maxDepth: 3 }).map((value) =>
  JSON.parse(JSON.stringify(value)) as JsonValue
);
const taskId = task().taskId;
const anyTask: fc.Arbitrary<Task> = fc.record({
  taskId: fc.constant(taskId),
  attempt: fc.integer({ min: 1, max: 1_000 }),
  agent: label,
  prompt: text,
  context: text,
  timeoutMs: fc.integer({ min: 1, max: MAX_TIMEOUT_MS }),
  priority: fc.constantFrom("high", "normal", "low"),
  hops: fc.integer({ min: 0, max: MAX_HOPS }),
  traceparent: fc.constant(`00-${"1a".repeat(16)}-${"2b".repeat(8)}-01`),
}, {
  requiredKeys: [
    "taskId",
    "attempt",
    "agent",
    "prompt",
    "context",
    "timeoutMs",
    "priority",
    "hops",
  ],
});
/** Nodes of before there were such ids give none. */
const callId = fc.stringMatching(/^[!-~]{0,64}$/);
const anyEvent: fc.Arbitrary<AgentEvent> = fc.oneof(
  fc.record({ type: fc.constant("token" as const), text }),
  fc.record({ type: fc.constant("tool-call" as const), callId, tool: label, arguments: json }),
  fc.record({ type: fc.constant("tool-result" as const), callId, tool: label, result: json }),
  fc.record({ type: fc.constant("tool-error" as const), callId, tool: label, reason: text }),
  fc.record({ type: fc.constant("agent-call" as const), callId, agent: label, prompt: text }),
  fc.record({
    type: fc.constant("agent-result" as const),
    callId,
    agent: label,
    nodeId: label,
    taskId: fc.constant(taskId),
    output: text,
  }),
  fc.record({ type: fc.constant("agent-error" as const), callId, agent: label, reason: text }),
);
const anyAnswer: fc.Arbitrary<WireAnswer> = fc.record({
  output: text,
  data: json,
  cancelled: fc.stringMatching(/^[a-z ]{1,20}[a-z]$/),
  serviceMs: fc.integer({ min: 1, max: MAX_TIMEOUT_MS }),
  usage: fc.record({
    inputTokens: fc.maxSafeNat(),
    outputTokens: fc.maxSafeNat(),
    modelCalls: fc.nat(),
  }, { noNullPrototype: true }),
  changes: fc.record({
    data: fc.dictionary(label, json, { noNullPrototype: true }),
    deleted: fc.array(text),
    messages: fc.array(fc.record({ role: fc.constant("assistant" as const), content: text })),
  }, { requiredKeys: [], noNullPrototype: true }),
}, { requiredKeys: ["serviceMs"] });

Deno.test("a task, an event and an answer come back as they were", () => {
  fc.assert(fc.property(anyTask, anyEvent, anyAnswer, (task, event, answer) => {
    assertEquals(decodeTask(encodeTask(task)), task);
    assertEquals(decodeEvent(encodeEvent(event)), event);
    assertEquals(decodeAnswer(encodeAnswer(answer)), answer);
  }));
});

Deno.test("what the codec writes is what a codec made of proto/ reads, and the other way", () => {
  fc.assert(fc.property(anyTask, (task) => {
    const { timeoutMs, priority, attempt, hops, prompt, context, ...same } = task;
    const fields = read("Task", encodeTask(task));
    assertEquals(fields, {
      ...same,
      timeoutUs: timeoutMs * 1_000,
      ...(attempt > 1 && { attempt }),
      ...(prompt !== "" && { prompt }),
      ...(context !== "" && { context }),
      ...(priority !== "normal" && { priority: priority.toUpperCase() }),
      ...(hops > 0 && { hops }),
    });
    assertEquals(decodeTask(written("Task", fields)), task);
  }));
  fc.assert(fc.property(anyEvent, (event) => {
    assertEquals(decodeEvent(written("Event", read("Event", encodeEvent(event)))), event);
  }));
  fc.assert(fc.property(anyAnswer, (answer) => {
    assertEquals(decodeAnswer(written("Answer", read("Answer", encodeAnswer(answer)))), answer);
  }));
  const call: AgentEvent = { type: "tool-call", callId: "call_1", tool: "add", arguments: [1] };
  assertEquals(read("Event", encodeEvent(call)), {
    toolCall: { tool: "add", arguments: btoa("[1]"), callId: "call_1" },
  });
});

Deno.test("the state of a run is JSON in a field of its own", () => {
  const state = new RunStateStore();
  state.addMessage({ role: "user", content: "Go" });
  state.data.set("key", [1]);
  const fields = read("Task", encodeTask(task({ state })));
  assertEquals(JSON.parse(atob(fields.state as string)), {
    messages: [{ role: "user", content: "Go" }],
    data: { key: [1] },
    agentResults: [],
  });
  assertEquals(decodeTask(written("Task", fields)).state?.data.get("key"), [1]);
  assertEquals("state" in read("Task", encodeTask(task())), false);
});

Deno.test("whatever a peer says of its trace, it goes no further than what one may be, and spoils nothing", () => {
  const state = new RunStateStore();
  const long = "x".repeat(100_000);
  const plain = task();
  const bytes = encodeTask({ ...plain, traceparent: long, state });
  assertEquals(decodeTask(encodeTask(plain)), plain, "what is written next is whole");
  assertEquals((read("Task", bytes).traceparent as string).length, long.length);
  for (const traceparent of [long, "\u001b[31m", "\u2028"]) {
    assertEquals(decodeTask(encodeTask({ ...plain, traceparent })), plain);
  }
});

Deno.test("an answer that was empty is not one that was streamed", () => {
  assertEquals(decodeAnswer(encodeAnswer({ output: "", serviceMs: 1 })).output, "");
  assertEquals(decodeAnswer(encodeAnswer({ serviceMs: 1 })).output, undefined);
});

Deno.test("a task that is none is refused with the field that does not fit", () => {
  const good = { taskId, agent: "work", timeoutUs: 1_000_000 };
  assertEquals(decodeTask(written("Task", good)).agent, "work");
  const bad: [field: string, fields: Record<string, unknown>][] = [
    ["taskId", { taskId: "../../etc/passwd" }],
    ["taskId", { taskId: "" }],
    ["attempt", { attempt: 1_001 }],
    ["agent", { agent: "two words" }],
    ["agent", { agent: "\u001b[31m" }],
    ["timeoutMs", { timeoutUs: 0 }],
    ["timeoutMs", { timeoutUs: (MAX_TIMEOUT_MS + 1) * 1_000 }],
    ["hops", { hops: MAX_HOPS + 1 }],
    ["priority", { priority: 7 }],
  ];
  for (const [field, fields] of bad) {
    const { code, message } = assertThrows(
      () => decodeTask(written("Task", { ...good, ...fields })),
      NetworkError,
      `Cannot read the peer's task: ${field} is`.replace("agent is", "agent"),
    );
    assertEquals(code, "PROTOCOL", message);
  }
});

Deno.test("bytes that are no task, event or answer are refused, whatever they are", () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(anyTask.map(encodeTask), fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
      bytes[at % bytes.length] = value;
      return bytes;
    }),
    fc.tuple(anyEvent.map(encodeEvent), fc.nat()).map(([bytes, cut]) =>
      bytes.subarray(0, cut % (bytes.length + 1))
    ),
  );
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      for (const decode of [decodeTask, decodeEvent, decodeAnswer]) {
        try {
          decode(bytes);
        } catch (thrown) {
          assert(thrown instanceof NetworkError && thrown.code === "PROTOCOL", String(thrown));
        }
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("JSON that is nested too deep, or is none, does no harm", () => {
  const deep = new TextEncoder().encode(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
  assertThrows(
    () => decodeAnswer(written("Answer", { data: deep })),
    NetworkError,
    "nested deeper",
  );
  const evil = new TextEncoder().encode(`{"__proto__":{"evil":true}}`);
  const { data } = decodeAnswer(written("Answer", { data: evil }));
  assert(!("evil" in (data as object)));
  const none = new TextEncoder().encode("{");
  assertThrows(() => decodeAnswer(written("Answer", { data: none })), NetworkError, "JSON");
});

Deno.test("what an agent returns that cannot be JSON is the agent's failure", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const answer = { serviceMs: 1, data: cycle as JsonValue };
  assertEquals(assertThrows(() => encodeAnswer(answer), NetworkError).code, "AGENT_FAILED");
});
