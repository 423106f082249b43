/** The state of a run on the wire: it goes with a task, and its changes come back with the answer. */

import { z } from "zod";
import type { AgentResult, RunMessage } from "../agents/run_state.ts";
import { type PlainRunState, type RunChanges, RunStateStore } from "../agents/run_state_store.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { describeError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import { LABEL_PATTERN } from "../base/safe_text.ts";

const labelSchema = z.string().regex(LABEL_PATTERN);

/** One message of a run. */
export const runMessageSchema: z.ZodType<RunMessage> = z.object({
  role: z.enum(["user", "assistant", "system"]),
  agent: labelSchema.optional(),
  content: z.string(),
});

/** What one agent answered. */
export const agentResultSchema: z.ZodType<AgentResult> = z.object({
  agent: labelSchema,
  nodeId: labelSchema,
  taskId: z.string().max(64),
  output: z.string(),
  data: z.any().optional(),
  durationMs: z.number().nonnegative(),
});

/** Kept as it is: a schema of records would leave `__proto__` out. */
const dataSchema: z.ZodType<Record<string, JsonValue>> = z.custom<Record<string, JsonValue>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected an object",
);

const plainSchema: z.ZodType<PlainRunState> = z.object({
  messages: z.array(runMessageSchema),
  data: dataSchema,
  agentResults: z.array(agentResultSchema),
  thread: z.object({ name: z.string().max(512), run: z.string().max(64) }).optional(),
});

const runStateSchema: z.ZodType<RunStateStore> = plainSchema.transform((plain, context) => {
  try {
    return RunStateStore.of(plain);
  } catch (thrown) {
    context.issues.push({ code: "custom", message: describeError(thrown), input: undefined });
    return z.NEVER;
  }
});

/** What an attempt has changed. */
export const runChangesSchema: z.ZodType<RunChanges> = z.object({
  data: dataSchema.optional(),
  deleted: z.array(z.string()).optional(),
  messages: z.array(runMessageSchema).optional(),
});

/**
 * A run's state, as it has come with a task.
 *
 * @throws {NetworkError} `PROTOCOL` naming what does not fit.
 */
export function readState(value: unknown): RunStateStore {
  return parseWith(runStateSchema, value, "PROTOCOL", "Cannot read the state of the peer's task");
}

/**
 * What has changed of it, as it has come with an answer; whoever takes it over sees to the bounds.
 *
 * @throws {NetworkError} `PROTOCOL` naming what does not fit.
 */
export function readChanges(value: unknown): RunChanges {
  return parseWith(
    runChangesSchema,
    value,
    "PROTOCOL",
    "Cannot read what the peer's answer changes of the state",
  );
}
