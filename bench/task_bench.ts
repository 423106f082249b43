/** What tasks, their events and answers cost to write and read; the baseline is JSON, unchecked. */

import type { AgentEvent } from "../src/agents/run_event.ts";
import type { Task } from "../src/tasks/task.ts";
import { decodeAnswer, decodeEvent, decodeTask } from "../src/tasks/task_codec.ts";
import { encodeAnswer, encodeEvent, encodeTask } from "../tests/support/task_rig.ts";

const task: Task = {
  taskId: "01JDD0000000000000000000ZZ",
  attempt: 1,
  agent: "summarize",
  prompt: "x".repeat(64),
  context: "",
  timeoutMs: 300_000,
  priority: "normal",
  hops: 0,
};
const token: AgentEvent = { type: "token", text: " word" };
const call: AgentEvent = {
  type: "tool-call",
  callId: "call_1",
  tool: "read",
  arguments: { path: "a.txt", lines: 9 },
};
const answer = { output: "y".repeat(256), serviceMs: 12.5 };

compare("a task", task, encodeTask, decodeTask);
compare(
  "a task with a document of 4 KiB",
  { ...task, context: "z".repeat(4_096) },
  encodeTask,
  decodeTask,
);
compare("a token", token, encodeEvent, decodeEvent);
compare("a call of a tool", call, encodeEvent, decodeEvent);
compare("an answer", answer, encodeAnswer, decodeAnswer);

function compare<T>(
  what: string,
  value: T,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): void {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const bytes = encode(value);
  const json = encoder.encode(JSON.stringify(value));
  bench(
    `write ${what}`,
    "JSON.stringify and encode",
    () => encoder.encode(JSON.stringify(value)),
    true,
  );
  bench(`write ${what}`, "ours", () => encode(value));
  bench(`read ${what}`, "decode and JSON.parse", () => JSON.parse(decoder.decode(json)), true);
  bench(`read ${what}`, "ours: bounds, shape, names", () => decode(bytes));
}

function bench(group: string, name: string, run: () => unknown, baseline = false): void {
  Deno.bench({ group, name: `${name} (${group})`, baseline, fn: () => void run() });
}
