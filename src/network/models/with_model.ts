/** Changes the name of the model in a request, and not a byte besides. */

import { NetworkError } from "../../base/errors.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * @param json An object of JSON that has a text called `model`. Of several the last counts, as it
 * does for whoever parses it, so all are changed.
 * @throws {NetworkError} `INVALID_ARGUMENT` when it has none.
 */
export function withModel(json: string, model: string): string {
  const pieces: string[] = [];
  let copied = 0;
  let depth = 0;
  let at = 0;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === OPEN_OBJECT || unit === OPEN_LIST) depth++;
    else if (unit === CLOSE_OBJECT || unit === CLOSE_LIST) depth--;
    else if (unit === QUOTE) {
      const end = endOfText(json, at);
      if (depth === 1) {
        const value = valueAfter(json, end);
        if (value !== undefined && isModel(json, at, end)) {
          const valueEnd = endOfText(json, value);
          pieces.push(json.slice(copied, value), JSON.stringify(model));
          copied = valueEnd;
          at = valueEnd;
          continue;
        }
      }
      at = end;
      continue;
    }
    at++;
  }
  if (pieces.length === 0) {
    throw new NetworkError("INVALID_ARGUMENT", "Cannot read the request: it names no model.");
  }
  pieces.push(json.slice(copied));
  return pieces.join("");
}

/** The place behind the quotation mark that ends the text which begins at `start`. */
function endOfText(json: string, start: number): number {
  for (let at = start + 1;; at++) {
    at = json.indexOf('"', at);
    if (at === -1) return json.length;
    let slashes = 0;
    while (json.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
}

function isModel(json: string, start: number, end: number): boolean {
  if (end - start > 32) return false;
  const text = json.slice(start, end);
  if (!text.includes("\\")) return text === '"model"';
  // Nobody writes it with escapes, but somebody may; and what a peer sends may be no JSON.
  try {
    return JSON.parse(text) === "model";
  } catch {
    return false;
  }
}

/** Where the text begins that is the value of a key that ends there. */
function valueAfter(json: string, end: number): number | undefined {
  const match = /\s*:\s*"/y;
  match.lastIndex = end;
  return match.test(json) ? match.lastIndex - 1 : undefined;
}
