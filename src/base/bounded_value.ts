/** Keys and values that programs keep in shared places: JSON, within bounds. */

import { Buffer } from "node:buffer";
import { type JsonValue, nestsDeeperThan } from "./bounded_json.ts";
import { NetworkError } from "./errors.ts";
import { safeName } from "./safe_text.ts";

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 512;
/** The longest value, in bytes of JSON. */
export const MAX_VALUE_BYTES = 2 ** 20;

/** Bytes of UTF-8. */
export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

/** A key as errors name it. */
export function keyName(key: string): string {
  return safeName(String(key), 40);
}

/**
 * Checks a key.
 *
 * @param action What was to be done, for the error: `set "x" in the data of the run`.
 * @returns Its bytes.
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no text, or has half a character;
 * `RESOURCE_EXHAUSTED` when it is too long.
 */
export function checkKey(key: string, action: string): number {
  if (typeof key !== "string" || !key.isWellFormed()) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot ${action}: its key is no text. Take one of Unicode characters.`,
    );
  }
  const bytes = bytesOf(key);
  if (bytes <= MAX_KEY_BYTES) return bytes;
  throw tooLarge(action, `its key takes ${bytes} bytes, at most ${MAX_KEY_BYTES} may be`);
}

/**
 * A value as JSON. No compiler checks what it is: it may be a cycle, a function, or hold a BigInt.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when JSON has no such thing, or it is too deep;
 * `RESOURCE_EXHAUSTED` when it is too long.
 */
export function jsonOf(value: JsonValue, action: string, maxDepth: number): string {
  const json = jsonText(value, action);
  if (json.includes("null")) checkNumbers(value, action);
  // A UTF-16 unit takes at most three bytes: short ones need not be counted.
  const bytes = json.length * 3 <= MAX_VALUE_BYTES ? 0 : bytesOf(json);
  if (bytes > MAX_VALUE_BYTES) {
    throw tooLarge(
      action,
      `its value takes ${bytes} bytes, at most ${MAX_VALUE_BYTES} may be. ` +
        "Keep it in a file, and its path here",
    );
  }
  checkDepth(json, maxDepth, action);
  return json;
}

/** NaN and Infinity become null, silently. */
function checkNumbers(value: JsonValue, action: string): void {
  JSON.stringify(value, (_, one) => {
    if (typeof one !== "number" || Number.isFinite(one)) return one;
    throw new NetworkError("INVALID_ARGUMENT", `Cannot ${action}: JSON has no ${one}.`);
  });
}

/**
 * Any value as JSON, however long.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when JSON has no such thing.
 */
export function jsonText(value: unknown, action: string): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (thrown) {
    throw NetworkError.from(thrown, "INVALID_ARGUMENT", `Cannot ${action}`);
  }
  if (json !== undefined) return json;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ${action}: JSON has no ${typeof value}. Give it what JSON can carry, or delete the key.`,
  );
}

/** @throws {NetworkError} `INVALID_ARGUMENT` when JSON is nested deeper than that. */
export function checkDepth(json: string, maxDepth: number, action: string): void {
  // So short a text cannot be.
  if (json.length < 2 * maxDepth || !nestsDeeperThan(json, maxDepth)) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ${action}: it is nested deeper than ${maxDepth} levels. Make it flatter.`,
  );
}

/** A bound was hit. */
export function tooLarge(action: string, why: string): NetworkError {
  return new NetworkError("RESOURCE_EXHAUSTED", `Cannot ${action}: ${why}.`);
}
