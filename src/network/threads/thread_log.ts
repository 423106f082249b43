/** The log of a thread: what was asked, said and answered, as entries of a list that only grows. */

import { z } from "zod";
import type { AgentResult, RunMessage } from "../../agents/run_state.ts";
import { MAX_STATE_BYTES } from "../../agents/run_state_store.ts";
import { type JsonValue, nestsDeeperThan, parseBoundedJson } from "../../base/bounded_json.ts";
import { bytesOf, MAX_VALUE_BYTES } from "../../base/bounded_value.ts";
import { agentResultSchema, runMessageSchema } from "../../tasks/task_state.ts";

/** One entry: what a run has brought at once. */
export interface ThreadEntry {
  /** Which run's it is; none's when somebody has added a message. */
  readonly run?: string;
  /** What was said. */
  readonly messages?: readonly RunMessage[];
  /** The run's prompt: a message after these. */
  readonly prompt?: string;
  /** What the run was asked, where a hook has made another prompt of it. */
  readonly asked?: string;
  /** What an agent answered: a message after these, and a result. */
  readonly result?: AgentResult;
}

/** What a thread or a run may be called by another program is bounded. */
const MAX_ID_LENGTH = 64;
/** How deep a value of the shared state may be nested. */
const MAX_VALUE_DEPTH = 32;
/** How deep an entry may be nested: a result's data may be 48 deep. */
const MAX_ENTRY_DEPTH = 52;
/** Of an entry that is kept in pieces, so much is in each, in UTF-16 units: of JSON, 6 bytes at most. */
const PIECE_LENGTH = Math.floor(MAX_VALUE_BYTES / 8);
/** A run's state has room for no more; as UTF-8, with what JSON adds. */
const MAX_ENTRY_BYTES = 2 * MAX_STATE_BYTES;
const MAX_PIECES = Math.ceil(MAX_ENTRY_BYTES / PIECE_LENGTH);

const entrySchema: z.ZodType<ThreadEntry> = z.strictObject({
  run: z.string().max(MAX_ID_LENGTH).optional(),
  messages: z.array(runMessageSchema).optional(),
  prompt: z.string().optional(),
  asked: z.string().optional(),
  result: agentResultSchema.optional(),
});

/** A part of an entry that one value of the shared state has no room for. */
const pieceSchema = z.strictObject({
  of: z.string().max(MAX_ID_LENGTH),
  piece: z.int().min(0).max(MAX_PIECES),
  pieces: z.int().min(1).max(MAX_PIECES),
  text: z.string(),
});

const encoder = new TextEncoder();

/**
 * An entry as items of the list.
 *
 * @param id Of the entry: nobody else's.
 */
export function toItems(entry: ThreadEntry, id: string): JsonValue[] {
  const json = JSON.stringify(entry);
  if (bytesOf(json) <= MAX_VALUE_BYTES && !nestsDeeperThan(json, MAX_VALUE_DEPTH)) {
    return [JSON.parse(json)];
  }
  const pieces = Math.ceil(json.length / PIECE_LENGTH);
  return Array.from({ length: pieces }, (_, piece) => ({
    of: id,
    piece,
    pieces,
    text: json.slice(piece * PIECE_LENGTH, (piece + 1) * PIECE_LENGTH),
  }));
}

/** The entries of a log; what is none is left out: any member can write anything there. */
export function readLog(items: readonly JsonValue[]): ThreadEntry[] {
  const entries: ThreadEntry[] = [];
  const parts = new Map<string, string[]>();
  for (const item of items) {
    const piece = pieceSchema.safeParse(item).data;
    const whole = piece === undefined ? item : joined(piece, parts);
    const entry = entrySchema.safeParse(whole);
    if (entry.success) entries.push(entry.data);
  }
  return entries;
}

/** The messages of an entry, in order. */
export function messagesOf({ messages = [], prompt, result }: ThreadEntry): RunMessage[] {
  return [
    ...messages,
    ...(prompt === undefined ? [] : [{ role: "user", content: prompt } as const]),
    ...(result === undefined
      ? []
      : [{ role: "assistant", agent: result.agent, content: result.output } as const]),
  ];
}

/** The entry that was kept in pieces, once the last of them has come; they come in order. */
function joined(
  { of, piece, pieces, text }: z.infer<typeof pieceSchema>,
  parts: Map<string, string[]>,
): unknown {
  const before = parts.get(of) ?? [];
  if (before.length !== piece) return undefined;
  before.push(text);
  parts.set(of, before);
  if (before.length < pieces) return undefined;
  parts.delete(of);
  try {
    return parseBoundedJson(encoder.encode(before.join("")), {
      maxBytes: MAX_ENTRY_BYTES,
      maxDepth: MAX_ENTRY_DEPTH,
    });
  } catch {
    return undefined;
  }
}
