/** The fields of a request that came from outside: read with their type, refused by their name. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeLine } from "../base/safe_text.ts";
import type { Asked, JsonObject } from "./dialect.ts";

/** Of a value that is wrong, so much is told. */
const MAX_SHOWN = 60;

/** The error for a field that is not what it may be. */
export function wrongField(
  field: string,
  value: JsonValue | undefined,
  expected: string,
): NetworkError {
  const is = value === undefined ? "missing" : shown(value);
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot read the request: ${field} is ${is}, expected ${expected}.`,
  );
}

/** The error for a field that has no words in the form that stands between dialects. */
export function untranslatable(field: string, why: string, mend: string): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ask the engine in its own way: ${field} ${why}. ${mend}`,
  );
}

function shown(value: JsonValue): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (isObject(value)) return "an object";
  const text = safeLine(JSON.stringify(value));
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** Whether a value is an object of JSON, and no list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a field says nothing: it is missing, or null. */
export function isAbsent(value: JsonValue | undefined): value is null | undefined {
  return value === undefined || value === null;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function objectOf(value: JsonValue | undefined, field: string): JsonObject {
  if (!isObject(value)) throw wrongField(field, value, "an object");
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function listOf(value: JsonValue | undefined, field: string): JsonValue[] {
  if (!Array.isArray(value)) throw wrongField(field, value, "a list");
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function stringOf(value: JsonValue | undefined, field: string): string {
  if (typeof value !== "string") throw wrongField(field, value, "a text");
  return value;
}

/** A text that says something. @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function nameOf(value: JsonValue | undefined, field: string): string {
  if (typeof value !== "string" || value === "") throw wrongField(field, value, "a name");
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function booleanOf(value: JsonValue | undefined, field: string): boolean {
  if (typeof value !== "boolean") throw wrongField(field, value, "true or false");
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function numberOf(value: JsonValue | undefined, field: string): number {
  if (typeof value !== "number") throw wrongField(field, value, "a number");
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function countOf(value: JsonValue | undefined, field: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw wrongField(field, value, "a whole number of at least 1");
  }
  return value;
}

/** @throws {NetworkError} `INVALID_ARGUMENT` naming the field. */
export function stringsOf(value: JsonValue | undefined, field: string): string[] {
  return listOf(value, field).map((one, i) => stringOf(one, `${field}[${i}]`));
}

/** What a field says, unless it says nothing. */
export function optional<T>(
  value: JsonValue | undefined,
  field: string,
  read: (value: JsonValue, field: string) => T,
): T | undefined {
  return isAbsent(value) ? undefined : read(value, field);
}

/** The object without what is undefined in it. */
export function compact<T extends Record<string, unknown>>(
  given: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** The object without some of its fields. */
export function without(given: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)));
}

/**
 * What every request has to say.
 *
 * @param streams Whether an answer comes in pieces unless it says otherwise.
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the field.
 */
export function readAsked(body: JsonObject, { streams }: { streams: boolean }): Asked {
  return {
    model: nameOf(body.model, "model"),
    stream: optional(body.stream, "stream", booleanOf) ?? streams,
  };
}
