/** How a call of a model travels as a task: what is asked beside the body, and how an answer begins. */

import { z } from "zod";
import { parseBoundedJson } from "../../base/bounded_json.ts";
import { parseWith } from "../../base/schema.ts";
import { DIALECT_NAMES, type DialectName } from "../../dialects/dialect.ts";

/**
 * The agent that every node has, and tells nobody of: it asks the engines of its device. The prompt
 * of a task for it is the body of a request, the context an {@linkcode EngineTask}.
 */
export const ENGINE_AGENT = "hanzo.model";

/** What is asked beside the body. */
export interface EngineTask {
  readonly dialect: DialectName;
  /** By the name that the network knows. */
  readonly model: string;
  /** As the client calls it, which stands in the body. */
  readonly asked: string;
  readonly stream: boolean;
}

/** How an answer begins: the first piece of one that comes in pieces, else its data. */
export interface EngineHead {
  /** As the engine gave it, errors that are the client's included. */
  readonly status: number;
  /** The type of its body. */
  readonly contentType: string;
}

/** What was measured of a call on its device. */
export interface EngineFigures {
  /** Until the first token, in milliseconds; null of an answer that comes whole. */
  readonly firstMs: number | null;
  /** How many there were; 0 where nobody counted. */
  readonly tokens: number;
}

/** The longest name, or list of names, that a client asks for, in UTF-16 units. */
export const MAX_ASKED = 1_024;
/** The longest type of a body that is told. */
const MAX_CONTENT_TYPE = 256;
/** What stands in a header of ours, and comes from a peer, or an engine. */
const CONTENT_TYPE = /^[\x20-\x7e]*$/;

/** Names in any script, with every character written as `\uXXXX`. */
const MAX_TASK_BYTES = 16_384;
const MAX_HEAD_BYTES = 4_096;

const taskSchema: z.ZodType<EngineTask> = z.object({
  dialect: z.enum(DIALECT_NAMES),
  model: z.string().min(1).max(1_024),
  asked: z.string().min(1).max(MAX_ASKED),
  stream: z.boolean(),
});
const headSchema: z.ZodType<EngineHead> = z.object({
  status: z.number().int().min(200).max(599),
  contentType: z.string().refine(isContentType, "it is no type of a body"),
});
const figuresSchema: z.ZodType<EngineFigures> = z.object({
  firstMs: z.number().nonnegative().nullable(),
  tokens: z.number().int().nonnegative(),
});

/** Whether a text can be told as the type of a body. */
export function isContentType(text: string): boolean {
  return text.length <= MAX_CONTENT_TYPE && CONTENT_TYPE.test(text);
}

/** @throws {NetworkError} `PROTOCOL` naming the field that does not fit. */
export function parseEngineTask(context: string): EngineTask {
  return parse(taskSchema, context, MAX_TASK_BYTES, "Cannot read a call of a model");
}

/** The model that is asked; "" where that cannot be read, which the task fails with by itself. */
export function modelAsked(context: string): string {
  try {
    return parseEngineTask(context).model;
  } catch {
    return "";
  }
}

/** @throws {NetworkError} `PROTOCOL` naming the field that does not fit. */
export function parseEngineHead(text: string): EngineHead {
  return parse(headSchema, text, MAX_HEAD_BYTES, "Cannot read the answer of a model");
}

/** @throws {NetworkError} `PROTOCOL` naming the field that does not fit. */
export function checkEngineHead(value: unknown): EngineHead {
  return parseWith(headSchema, value, "PROTOCOL", "Cannot read the answer of a model");
}

/** The figures in the data of an answer; undefined where they are none. */
export function figuresIn(data: unknown): EngineFigures | undefined {
  return figuresSchema.safeParse(data).data;
}

const encoder = new TextEncoder();

function parse<T>(schema: z.ZodType<T>, text: string, maxBytes: number, action: string): T {
  const value = parseBoundedJson(encoder.encode(text), { maxBytes, maxDepth: 4 });
  return parseWith(schema, value, "PROTOCOL", action);
}
