/** A task: one request to run an agent, and what an executor needs to know of it. */

import { z } from "zod";
import type { AgentEvent } from "../agents/run_event.ts";
import type { AgentAnswer } from "../agents/agent.ts";
import { type JsonValue, parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import { LABEL_PATTERN, safeText } from "../base/safe_text.ts";
import { ULID_PATTERN } from "../base/ulid.ts";
import type { Priority } from "./waiting_line.ts";

/** One attempt at a task, as it is given to an executor. */
export interface Task {
  /** A ULID, also the idempotency key. */
  readonly taskId: string;
  /** 1, 2, …: each attempt is started at most once. */
  readonly attempt: number;
  readonly agent: string;
  readonly prompt: string;
  /** The text beside the prompt; "" if there is none. */
  readonly context: string;
  /** How long it may take from now on, in milliseconds; shrinks at each hop. */
  readonly timeoutMs: number;
  /** Its place among those that wait. */
  readonly priority: Priority;
  /** How many agents have asked each other until it came to this one; 0 from a caller. */
  readonly hops: number;
}

/** What an executor tells while an attempt runs. */
export type AttemptEvent = { type: "started" } | AgentEvent;

/** Takes what an attempt tells; while a returned promise is pending the agent waits. */
export type EmitAttemptEvent = (event: AttemptEvent) => Promise<void> | void;

/** The longest a task may be asked to take: a week. */
export const MAX_TIMEOUT_MS = 7 * 24 * 3_600_000;
/** Agents that ask each other for ever are stopped here; what people build is two or three deep. */
export const MAX_HOPS = 16;
/** The longest JSON of a task, of an event and of an answer. */
export const MAX_TASK_BYTES = 16 * 1024 * 1024;

/** What a caller keeps of the tokens of one attempt elsewhere, in UTF-16 units. */
export const MAX_STREAMED_LENGTH = 64 * 1024 * 1024;

const taskSchema: z.ZodType<Task> = z.object({
  taskId: z.string().regex(ULID_PATTERN),
  attempt: z.number().int().min(1).max(1000),
  agent: z.string().regex(LABEL_PATTERN),
  prompt: z.string(),
  context: z.string(),
  timeoutMs: z.number().positive().max(MAX_TIMEOUT_MS),
  priority: z.enum(["high", "normal", "low"]).default("normal"),
  hops: z.number().int().min(0).max(MAX_HOPS).default(0),
});

const jsonSchema: z.ZodType<JsonValue> = z.any();

const agentEventSchema: z.ZodType<AgentEvent> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("token"), text: z.string() }),
  z.object({ type: z.literal("tool-call"), tool: z.string(), arguments: jsonSchema }),
  z.object({ type: z.literal("tool-result"), tool: z.string(), result: jsonSchema }),
  z.object({ type: z.literal("agent-call"), agent: z.string(), prompt: z.string() }),
  z.object({
    type: z.literal("agent-result"),
    agent: z.string(),
    nodeId: z.string().regex(LABEL_PATTERN),
    taskId: z.string().regex(ULID_PATTERN),
    output: z.string(),
  }),
]);

/** Somebody has stopped the task on the device that had it: no other one is to run it instead. */
export class TaskCancelled extends NetworkError {
  /** @param message Who did, for its caller. */
  constructor(message: string) {
    super("CANCELLED", message);
  }
}

/** An answer on the wire: without `output` it is all that was streamed. */
export interface WireAnswer extends Partial<AgentAnswer> {
  /** Instead of all else: who has stopped the task there. */
  cancelled?: string;
  /** How long it had a slot there, in milliseconds. */
  serviceMs: number;
}

const answerSchema: z.ZodType<WireAnswer> = z.object({
  cancelled: z.string().max(1_000).transform(safeText).optional(),
  output: z.string().optional(),
  data: jsonSchema.optional(),
  serviceMs: z.number().nonnegative().max(MAX_TIMEOUT_MS).default(0),
});

/**
 * Reads a task off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function parseTask(bytes: Uint8Array): Task {
  return parse("task", taskSchema, bytes, plainTask);
}

/**
 * Reads an agent's event off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function parseAgentEvent(bytes: Uint8Array): AgentEvent {
  return parse("event", agentEventSchema, bytes, plainToken);
}

/**
 * Reads an answer off the wire.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit.
 */
export function parseAnswer(bytes: Uint8Array): WireAnswer {
  return parse("answer", answerSchema, bytes, plainAnswer);
}

/**
 * @param plain What nearly all are, checked at a tenth of the price: a task costs 20 µs in all, of
 * which the schemas took 2. Undefined where it is anything else, good or bad.
 */
function parse<T>(
  what: string,
  schema: z.ZodType<T>,
  bytes: Uint8Array,
  plain: (value: Record<string, unknown>) => T | undefined,
): T {
  const value = parseBoundedJson(bytes, { maxBytes: MAX_TASK_BYTES, maxDepth: 64 });
  if (typeof value === "object" && value !== null) {
    const found = plain(value as Record<string, unknown>);
    if (found !== undefined) return found;
  }
  return parseWith(schema, value, "PROTOCOL", `Cannot read the peer's ${what}`);
}

function plainTask(value: Record<string, unknown>): Task | undefined {
  const { taskId, attempt, agent, prompt, context, timeoutMs, priority, hops } = value;
  const isPlain = typeof taskId === "string" && ULID_PATTERN.test(taskId) &&
    attempt === 1 &&
    typeof agent === "string" && LABEL_PATTERN.test(agent) &&
    typeof prompt === "string" && typeof context === "string" &&
    typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS &&
    priority === "normal" && hops === 0;
  return isPlain
    ? { taskId, attempt, agent, prompt, context, timeoutMs, priority, hops }
    : undefined;
}

function plainToken({ type, text }: Record<string, unknown>): AgentEvent | undefined {
  return type === "token" && typeof text === "string" ? { type, text } : undefined;
}

function plainAnswer(value: Record<string, unknown>): WireAnswer | undefined {
  const { output, data, serviceMs, cancelled } = value;
  const isPlain = (output === undefined || typeof output === "string") && data === undefined &&
    cancelled === undefined &&
    typeof serviceMs === "number" && serviceMs >= 0 && serviceMs <= MAX_TIMEOUT_MS;
  if (!isPlain) return undefined;
  return output === undefined ? { serviceMs } : { output, serviceMs };
}

/** What a task ends with when its time is up. */
export function deadlineExceeded({ taskId, agent, timeoutMs }: Task): NetworkError {
  return new NetworkError(
    "DEADLINE_EXCEEDED",
    `Task ${taskId} on agent "${agent}" was not done within ${Math.round(timeoutMs)} ms. ` +
      `Allow more with --timeout.`,
  );
}
