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
  return readBoundedJson(bytes, bounds).value;
}

/** The same, with the text that it was. */
export function readBoundedJson(
  bytes: Uint8Array,
  { maxBytes, maxDepth = 32 }: JsonBounds,
): { readonly text: string; readonly value: unknown } {
  if (bytes.length > maxBytes) {
    throw new NetworkError(
      "PROTOCOL",
      `Cannot read JSON: ${bytes.length} bytes, at most ${maxBytes} are taken.`,
    );
  }
  try {
    const text = decoder.decode(bytes);
    if (nestsDeeperThan(text, maxDepth)) {
      throw new NetworkError(
        "PROTOCOL",
        `Cannot read JSON: nested deeper than ${maxDepth} levels.`,
      );
    }
    return { text, value: JSON.parse(text) };
  } catch (cause) {
    throw NetworkError.from(cause, "PROTOCOL", "Cannot read JSON");
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Whether JSON is nested deeper than `maxDepth`; counts brackets outside strings. */
export function nestsDeeperThan(json: string, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const unit = json.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) {
      inString = true;
    } else if (unit === OPEN_LIST || unit === OPEN_OBJECT) {
      if (++depth > maxDepth) return true;
    } else if (unit === CLOSE_LIST || unit === CLOSE_OBJECT) {
      depth--;
    }
  }
  return false;
}
