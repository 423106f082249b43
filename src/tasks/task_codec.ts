/** Tasks, their events and answers to bytes and back: proto/hanzo_task_v1.proto by hand. */

import type { AgentAnswer } from "../agents/agent.ts";
import { isCallId } from "../agents/call_ids.ts";
import type { RunChanges, RunStateStore } from "../agents/run_state_store.ts";
import type { AgentUsage } from "../agents/models/model.ts";
import type { AgentEvent } from "../agents/run_event.ts";
import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import {
  bytesTag,
  type Encodable,
  ProtoReader,
  type ProtoWriter,
  textOfUtf8,
  varintTag,
} from "../base/protobuf.ts";
import { isLabel, safeText } from "../base/safe_text.ts";
import { ULID_PATTERN } from "../base/ulid.ts";
import { MAX_HOPS, MAX_TASK_BYTES, MAX_TIMEOUT_MS, type Task } from "./task.ts";
import { readChanges, readState } from "./task_state.ts";
import type { Priority } from "./waiting_line.ts";

/** An answer on the wire: without `output` it is all that was streamed. */
export interface WireAnswer extends Partial<AgentAnswer> {
  /** Instead of all else: who has stopped the task there. */
  cancelled?: string;
  /** How long it had a slot there, in milliseconds. */
  serviceMs: number;
  /** What it has changed of the state of its run. */
  changes?: RunChanges;
}

const TASK_ID = bytesTag(1);
const TASK_ATTEMPT = varintTag(2);
const TASK_AGENT = bytesTag(3);
const TASK_PROMPT = bytesTag(4);
const TASK_CONTEXT = bytesTag(5);
const TASK_TIMEOUT_US = varintTag(6);
const TASK_PRIORITY = varintTag(7);
const TASK_HOPS = varintTag(8);
const TASK_STATE = bytesTag(9);
const TASK_TRACEPARENT = bytesTag(10);
const EVENT_TOKEN = bytesTag(1);
const EVENT_TOOL_CALL = bytesTag(2);
const EVENT_TOOL_RESULT = bytesTag(3);
const EVENT_AGENT_CALL = bytesTag(4);
const EVENT_AGENT_RESULT = bytesTag(5);
const EVENT_TOOL_ERROR = bytesTag(6);
const EVENT_AGENT_ERROR = bytesTag(7);
const ANSWER_OUTPUT = bytesTag(1);
const ANSWER_DATA = bytesTag(2);
const ANSWER_SERVICE_US = varintTag(3);
const ANSWER_CANCELLED = bytesTag(4);
const ANSWER_CHANGES = bytesTag(5);
const ANSWER_USAGE = bytesTag(6);
/** In the order of their numbers. */
const USAGE_FIELDS = ["inputTokens", "outputTokens", "modelCalls"] as const;
/** Of the messages in an event: all their fields are strings, or JSON. */
const FIRST = bytesTag(1);
const SECOND = bytesTag(2);
const THIRD = bytesTag(3);
const FOURTH = bytesTag(4);
const FIFTH = bytesTag(5);

const PRIORITIES: readonly Priority[] = ["normal", "high", "low"];
const MAX_ATTEMPT = 1_000;
/** Of 55 characters, as W3C has it now; it goes on to other nodes as it is. */
const TRACEPARENT = /^[ -~]{1,256}$/;
const MAX_REASON_LENGTH = 1_000;
/** Of all tags, lengths and numbers of one message. */
const NUMBERS_BOUND = 48;

const encoder = new TextEncoder();

/** A task as the body of a call. */
export class TaskBody implements Encodable {
  readonly bound: number;
  readonly #task: Task;
  readonly #state: Uint8Array | undefined;

  constructor(task: Task) {
    const { taskId, agent, prompt, context, state, traceparent } = task;
    this.#task = task;
    this.#state = state === undefined ? undefined : encoder.encode(JSON.stringify(state));
    this.bound = NUMBERS_BOUND + taskId.length + 3 * agent.length +
      3 * (prompt.length + context.length) +
      (traceparent?.length ?? 0) + (this.#state?.length ?? 0);
  }

  encode(writer: ProtoWriter): void {
    const { taskId, attempt, agent, prompt, context } = this.#task;
    const { timeoutMs, priority, hops, traceparent } = this.#task;
    writer.string(TASK_ID, taskId);
    if (attempt > 1) writer.number(TASK_ATTEMPT, attempt);
    writer.string(TASK_AGENT, agent);
    if (prompt !== "") writer.string(TASK_PROMPT, prompt);
    if (context !== "") writer.string(TASK_CONTEXT, context);
    // Never 0, which would be no time at all.
    writer.number(TASK_TIMEOUT_US, Math.max(1, microseconds(timeoutMs)));
    if (priority !== "normal") writer.small(TASK_PRIORITY, PRIORITIES.indexOf(priority));
    if (hops > 0) writer.number(TASK_HOPS, hops);
    if (traceparent !== undefined) writer.string(TASK_TRACEPARENT, traceparent);
    if (this.#state !== undefined) writer.bytes(TASK_STATE, this.#state);
  }
}

/**
 * Reads a task off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function decodeTask(bytes: Uint8Array): Task {
  const reader = new ProtoReader("the peer's task", bytes);
  let taskId = "";
  let attempt = 1;
  let agent = "";
  let prompt = "";
  let context = "";
  let timeoutMs = 0;
  let priority: Priority | undefined = "normal";
  let hops = 0;
  let traceparent: string | undefined;
  let state: RunStateStore | undefined;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === TASK_ID) taskId = reader.string();
    else if (tag === TASK_ATTEMPT) attempt = reader.number();
    else if (tag === TASK_AGENT) agent = reader.string();
    else if (tag === TASK_PROMPT) prompt = reader.string();
    else if (tag === TASK_CONTEXT) context = reader.string();
    else if (tag === TASK_TIMEOUT_US) timeoutMs = reader.number() / 1_000;
    else if (tag === TASK_PRIORITY) priority = PRIORITIES[reader.number()];
    else if (tag === TASK_HOPS) hops = reader.number();
    else if (tag === TASK_TRACEPARENT) traceparent = traceparentIn(reader.string());
    else if (tag === TASK_STATE) state = readState(jsonIn(reader.bytes()));
    else reader.skip(tag);
  }
  if (!ULID_PATTERN.test(taskId)) throw unfit("task", "taskId is no ULID");
  if (!(attempt >= 1 && attempt <= MAX_ATTEMPT)) throw unfit("task", `attempt is ${attempt}`);
  if (!isLabel(agent)) throw unfit("task", "agent is no label");
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw unfit("task", `timeoutMs is ${timeoutMs}`);
  }
  if (priority === undefined) throw unfit("task", "priority is none that is known");
  if (hops > MAX_HOPS) throw unfit("task", `hops is ${hops}`);
  const task: Task = { taskId, attempt, agent, prompt, context, timeoutMs, priority, hops };
  if (state === undefined && traceparent === undefined) return task;
  return { ...task, ...(state && { state }), ...(traceparent && { traceparent }) };
}

/** One that is none is left out, and the task begins a trace of its own. */
function traceparentIn(text: string): string | undefined {
  return TRACEPARENT.test(text) ? text : undefined;
}

/**
 * An agent's event as the body of an item.
 *
 * @throws {NetworkError} `AGENT_FAILED` when what it carries cannot be JSON.
 */
export function eventBody(event: AgentEvent): Encodable {
  switch (event.type) {
    case "token":
      return new FieldBody(EVENT_TOKEN, event.text);
    case "tool-call":
      return new FieldsBody(EVENT_TOOL_CALL, [event.tool, jsonOf(event.arguments), event.callId]);
    case "tool-result":
      return new FieldsBody(EVENT_TOOL_RESULT, [event.tool, jsonOf(event.result), event.callId]);
    case "tool-error":
      return new FieldsBody(EVENT_TOOL_ERROR, [event.tool, event.reason, event.callId]);
    case "agent-call":
      return new FieldsBody(EVENT_AGENT_CALL, [event.agent, event.prompt, event.callId]);
    case "agent-result": {
      const { agent, nodeId, taskId, output, callId } = event;
      return new FieldsBody(EVENT_AGENT_RESULT, [agent, nodeId, taskId, output, callId]);
    }
    case "agent-error":
      return new FieldsBody(EVENT_AGENT_ERROR, [event.agent, event.reason, event.callId]);
  }
}

/**
 * Reads an agent's event off the wire; undefined for one of a kind that only newer nodes know.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function decodeEvent(bytes: Uint8Array): AgentEvent | undefined {
  const reader = new ProtoReader("the peer's event", bytes);
  let event: AgentEvent | undefined;
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === EVENT_TOKEN) event = { type: "token", text: reader.string() };
    else if (tag >= EVENT_TOOL_CALL && tag <= EVENT_AGENT_ERROR && (tag & 7) === 2) {
      event = structuredEvent(tag, fieldsOf(reader.nested()));
    } else reader.skip(tag);
  }
  return event;
}

function structuredEvent(tag: number, fields: readonly (Uint8Array | undefined)[]): AgentEvent {
  const [first, second, third, fourth] = fields;
  const name = textOf(first);
  const callId = callIdIn(fields[tag === EVENT_AGENT_RESULT ? 4 : 2]);
  switch (tag) {
    case EVENT_TOOL_CALL:
      return { type: "tool-call", callId, tool: name, arguments: valueOf(second) };
    case EVENT_TOOL_RESULT:
      return { type: "tool-result", callId, tool: name, result: valueOf(second) };
    case EVENT_TOOL_ERROR:
      return { type: "tool-error", callId, tool: name, reason: textOf(second) };
    case EVENT_AGENT_CALL:
      return { type: "agent-call", callId, agent: name, prompt: textOf(second) };
    case EVENT_AGENT_ERROR:
      return { type: "agent-error", callId, agent: name, reason: textOf(second) };
    default: {
      const [nodeId, taskId] = [textOf(second), textOf(third)];
      if (!isLabel(nodeId)) throw unfit("event", "nodeId is no label");
      if (!ULID_PATTERN.test(taskId)) throw unfit("event", "taskId is no ULID");
      const output = textOf(fourth);
      return { type: "agent-result", callId, agent: name, nodeId, taskId, output };
    }
  }
}

/** Nodes of before there were such ids give none. */
function callIdIn(bytes: Uint8Array | undefined): string {
  const callId = textOf(bytes);
  if (callId === "" || isCallId(callId)) return callId;
  throw unfit("event", "callId is no id of a call");
}

/** An answer as the body of its end. */
export class AnswerBody implements Encodable {
  readonly bound: number;
  readonly #answer: WireAnswer;
  readonly #data: Uint8Array | undefined;
  readonly #changes: Uint8Array | undefined;

  /**
   * @throws {NetworkError} `AGENT_FAILED` when the data cannot be JSON: it is checked by no compiler,
   * and may be a cycle, or hold a BigInt.
   */
  constructor(answer: WireAnswer) {
    const { output = "", data, cancelled = "", changes } = answer;
    this.#answer = answer;
    this.#data = data === undefined ? undefined : encoder.encode(jsonOf(data));
    this.#changes = changes === undefined ? undefined : encoder.encode(JSON.stringify(changes));
    this.bound = 2 * NUMBERS_BOUND + 3 * (output.length + cancelled.length) +
      (this.#data?.length ?? 0) + (this.#changes?.length ?? 0);
  }

  encode(writer: ProtoWriter): void {
    const { output, serviceMs, cancelled, usage } = this.#answer;
    if (output !== undefined) writer.string(ANSWER_OUTPUT, output);
    if (this.#data !== undefined) writer.bytes(ANSWER_DATA, this.#data);
    writer.number(ANSWER_SERVICE_US, microseconds(serviceMs));
    if (cancelled !== undefined) writer.string(ANSWER_CANCELLED, cancelled);
    if (this.#changes !== undefined) writer.bytes(ANSWER_CHANGES, this.#changes);
    if (usage !== undefined) {
      const start = writer.begin(ANSWER_USAGE, NUMBERS_BOUND);
      USAGE_FIELDS.forEach((field, i) => writer.number(varintTag(i + 1), usage[field]));
      writer.end(start, NUMBERS_BOUND);
    }
  }
}

/**
 * Reads an answer off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function decodeAnswer(bytes: Uint8Array): WireAnswer {
  const reader = new ProtoReader("the peer's answer", bytes);
  const answer: WireAnswer = { serviceMs: 0 };
  while (!reader.atEnd) {
    const tag = reader.number();
    if (tag === ANSWER_OUTPUT) answer.output = reader.string();
    else if (tag === ANSWER_DATA) answer.data = valueOf(reader.bytes());
    else if (tag === ANSWER_CHANGES) answer.changes = readChanges(jsonIn(reader.bytes()));
    else if (tag === ANSWER_USAGE) answer.usage = readUsage(reader.nested());
    else if (tag === ANSWER_SERVICE_US) answer.serviceMs = reader.number() / 1_000;
    else if (tag === ANSWER_CANCELLED) {
      answer.cancelled = safeText(reader.string().slice(0, MAX_REASON_LENGTH));
    } else reader.skip(tag);
  }
  if (answer.serviceMs > MAX_TIMEOUT_MS) {
    throw unfit("answer", `serviceMs is ${answer.serviceMs}`);
  }
  return answer;
}

function readUsage(reader: ProtoReader): AgentUsage {
  const usage = { inputTokens: 0, outputTokens: 0, modelCalls: 0 };
  while (!reader.atEnd) {
    const tag = reader.number();
    const field = USAGE_FIELDS.find((_, i) => tag === varintTag(i + 1));
    if (field !== undefined) usage[field] = reader.number();
    else reader.skip(tag);
  }
  return usage;
}

/** One string. */
class FieldBody implements Encodable {
  readonly bound: number;
  readonly #tag: number;
  readonly #text: string;

  constructor(tag: number, text: string) {
    this.bound = NUMBERS_BOUND + 3 * text.length;
    this.#tag = tag;
    this.#text = text;
  }

  encode(writer: ProtoWriter): void {
    writer.string(this.#tag, this.#text);
  }
}

/** A message in a message, whose fields from 1 on are strings. */
class FieldsBody implements Encodable {
  readonly bound: number;
  readonly #tag: number;
  readonly #fields: readonly string[];

  constructor(tag: number, fields: readonly string[]) {
    this.bound = 2 * NUMBERS_BOUND + 3 * fields.reduce((sum, { length }) => sum + length, 0);
    this.#tag = tag;
    this.#fields = fields;
  }

  encode(writer: ProtoWriter): void {
    const bound = this.bound - NUMBERS_BOUND;
    const start = writer.begin(this.#tag, bound);
    this.#fields.forEach((field, i) => writer.string(bytesTag(i + 1), field));
    writer.end(start, bound);
  }
}

function fieldsOf(reader: ProtoReader): (Uint8Array | undefined)[] {
  const fields: (Uint8Array | undefined)[] = new Array(5).fill(undefined);
  while (!reader.atEnd) {
    const tag = reader.number();
    if (
      tag === FIRST || tag === SECOND || tag === THIRD || tag === FOURTH || tag === FIFTH
    ) {
      fields[(tag >> 3) - 1] = reader.bytes();
    } else reader.skip(tag);
  }
  return fields;
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : textOfUtf8(bytes);
}

function valueOf(bytes: Uint8Array | undefined): JsonValue {
  return bytes === undefined ? null : jsonIn(bytes) as JsonValue;
}

function jsonIn(bytes: Uint8Array): unknown {
  return parseBoundedJson(bytes, { maxBytes: MAX_TASK_BYTES, maxDepth: 64 });
}

/** What tools and agents return is checked by no compiler. */
function jsonOf(value: JsonValue): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (thrown) {
    throw NetworkError.from(thrown, "AGENT_FAILED", "The agent's answer cannot be sent as JSON");
  }
}

function microseconds(ms: number): number {
  return Math.round(ms * 1_000);
}

function unfit(what: string, why: string): NetworkError {
  return new NetworkError("PROTOCOL", `Cannot read the peer's ${what}: ${why}.`);
}
