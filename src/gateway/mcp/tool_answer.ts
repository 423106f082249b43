/** What a tool answers: data, and the same as text for clients that read no data. */

import type { CallToolResult } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { JsonValue } from "../../base/bounded_json.ts";
import { NetworkError } from "../../base/errors.ts";
import { safeJson } from "../../base/safe_text.ts";

/**
 * Characters of an answer. It is sent twice in one message, and many clients end the connection at
 * one of 10 MiB.
 */
const MAX_ANSWER = 2 * 1024 * 1024;

/**
 * The answer of a tool.
 *
 * @throws {NetworkError} `RESOURCE_EXHAUSTED` when it is too large to be sent.
 */
export function toolAnswer(value: Record<string, unknown>): CallToolResult {
  const json = JSON.stringify(value);
  if (json.length > MAX_ANSWER) {
    throw new NetworkError(
      "RESOURCE_EXHAUSTED",
      `Cannot answer: ${json.length} characters, and at most ${MAX_ANSWER} are sent. Ask for less, ` +
        "or use the command hanzo-network.",
    );
  }
  return { content: [{ type: "text", text: safeJson(json) }], structuredContent: value };
}

/**
 * Any JSON, with its types named one by one: some clients make nothing of a schema that says
 * nothing.
 */
export const anyJson: z.ZodType<JsonValue> = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.unknown() as z.ZodType<JsonValue>),
  z.record(z.string(), z.unknown() as z.ZodType<JsonValue>),
]);

/** What is known of a value. A field that may be `null` is a type of two, which many clients drop. */
export type Known<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** Leaves out what is `null`. */
export function known<T extends object>(value: T): Known<T> {
  const entries = Object.entries(value).filter(([, one]) => one !== null && one !== undefined);
  return Object.fromEntries(entries) as Known<T>;
}
