/** JSON whose values know where they stand. */

import type { NetworkError } from "../base/errors.ts";
import { Cursor, type Located, shown, type Source } from "./located.ts";

/** The peers take five levels; what else is in the file is passed over, but walked. */
const MAX_JSON_DEPTH = 32;

/**
 * Reads JSON (RFC 8259). `JSON.parse` does not tell where a value stands, nor that a key is there
 * twice, and where its own errors are only now and then.
 */
export class JsonReader {
  readonly #source: Source;
  readonly #cursor: Cursor;

  constructor(source: Source) {
    this.#source = source;
    this.#cursor = new Cursor(source.text);
  }

  read(): Located {
    const root = this.#value(0);
    this.#skipBlanks();
    if (!this.#cursor.isAtEnd) throw this.#unexpected("the end of the file");
    return root;
  }

  #value(depth: number, keyAt = 0): Located {
    this.#skipBlanks();
    const { at } = this.#cursor;
    if (depth > MAX_JSON_DEPTH) {
      throw this.#unexpected(`at most ${MAX_JSON_DEPTH} levels of nesting`);
    }
    const value = this.#take("{")
      ? this.#members(depth)
      : this.#take("[")
      ? this.#items(depth)
      : this.#string() ?? this.#scalar();
    return { value, at, keyAt };
  }

  #members(depth: number): Map<string, Located> {
    const members = new Map<string, Located>();
    if (this.#take("}")) return members;
    do {
      this.#skipBlanks();
      const keyAt = this.#cursor.at;
      const key = this.#string();
      if (key === undefined) throw this.#unexpected("a key in quotes");
      if (members.has(key)) {
        throw this.#source.fault(keyAt, `the key ${shown(key)} is there again, expected it once`);
      }
      if (!this.#take(":")) throw this.#unexpected('":"');
      members.set(key, this.#value(depth + 1, keyAt));
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#unexpected('"," or "}"');
    return members;
  }

  #items(depth: number): Located[] {
    const items: Located[] = [];
    if (this.#take("]")) return items;
    do items.push(this.#value(depth + 1)); while (this.#take(","));
    if (!this.#take("]")) throw this.#unexpected('"," or "]"');
    return items;
  }

  #string(): string | undefined {
    const begun = this.#cursor.match(
      // deno-lint-ignore no-control-regex -- JSON forbids just these
      /"[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\0-\x1f]*)*/y,
    );
    if (begun === null) return undefined;
    // A line break, a backslash that escapes nothing, or the end.
    if (this.#cursor.match(/"/y) === null) throw this.#unexpected('a text that ends with "');
    return JSON.parse(`${begun[0]}"`);
  }

  #scalar(): number | boolean | null {
    const word = this.#cursor.match(
      /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y,
    );
    if (word === null) throw this.#unexpected("a value");
    return JSON.parse(word[0]);
  }

  /** Reads a character, if it comes next after blanks. */
  #take(character: string): boolean {
    this.#skipBlanks();
    if (this.#cursor.text[this.#cursor.at] !== character) return false;
    this.#cursor.at++;
    return true;
  }

  #skipBlanks(): void {
    this.#cursor.match(/[ \t\r\n]*/y);
  }

  #unexpected(expected: string): NetworkError {
    const { at } = this.#cursor;
    const word = this.#cursor.match(/[\w.+-]{1,40}|[^]/uy)?.[0];
    const found = word === undefined ? "the end of the file" : shown(word);
    return this.#source.fault(at, `found ${found}, expected ${expected}`);
  }
}
