/** JSON from outside, with a bound on its size and depth before anything walks it. */

import { NetworkError } from "./errors.ts";

/** A value that JSON can carry. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };

/** The bounds of {@linkcode parseBoundedJson}. */
export interface JsonBounds {
  /** Bytes of UTF-8 at most. */
  maxBytes: number;
  /**
   * Levels of nesting at most. `JSON.parse` itself accepts 200,000, and whatever recurses over
   * the result then overflows the stack.
   *
   * @default {32}
   */
  maxDepth?: number;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Parses UTF-8 JSON that came from outside.
 *
 * @throws {NetworkError} `PROTOCOL` when it is too large, too deep, not UTF-8 or not JSON.
 */
export function parseBoundedJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  if (bytes.length > bounds.maxBytes) {
    throw new NetworkError(
      "PROTOCOL",
      `Cannot read JSON: ${bytes.length} bytes, at most ${bounds.maxBytes} are taken.`,
    );
  }
  const maxDepth = bounds.maxDepth ?? 32;
  if (nestsDeeperThan(bytes, maxDepth)) {
    throw new NetworkError("PROTOCOL", `Cannot read JSON: nested deeper than ${maxDepth} levels.`);
  }
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw NetworkError.from(cause, "PROTOCOL", "Cannot read JSON");
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Whether JSON is nested deeper than `maxDepth`.
 *
 * Counts brackets outside strings; the bytes of UTF-8 beyond ASCII never look like one.
 */
export function nestsDeeperThan(bytes: Uint8Array, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxDepth) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return false;
}
