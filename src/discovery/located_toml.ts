/** TOML whose values know where they stand. */

import { describeError, NetworkError } from "../base/errors.ts";
import { Cursor, type Located, type Source } from "./located.ts";

/** Reads TOML (toml.io). Its parser tells where its errors are, but not where a value stands. */
export async function readToml(source: Source): Promise<Located> {
  // Loading it takes 2 ms, which only those pay who have such a file.
  const { parse } = await import("@std/toml");
  try {
    const unquote = (key: string) => parse(`key = ${key}`).key as string;
    return locate(parse(source.text), new TomlScanner(source.text, unquote).scan());
  } catch (thrown) {
    // Below its first line the message shows the place.
    const [summary] = thrown instanceof Error ? thrown.message.split("\n") : [];
    const [, line, column, reason] =
      /^Parse error on line (\d+), column (\d+): (.*)$/.exec(summary ?? "") ?? [];
    // It counts the characters before the place.
    if (line !== undefined) throw source.faultIn(Number(line), Number(column) + 1, reason);
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${source.file}: it is no TOML (${describeError(thrown)}). ` +
        `Expected tables such as [peers.gpu-server].`,
      { cause: thrown },
    );
  }
}

function locate(value: unknown, place: Place): Located {
  const { at } = place;
  const isTable = typeof value === "object" && !Array.isArray(value) && !(value instanceof Date);
  if (!isTable) return { value, at, keyAt: at };
  const members = new Map<string, Located>();
  for (const [key, member] of Object.entries(value as object)) {
    members.set(key, locate(member, place.below.get(key) ?? place));
  }
  return { value: members, at, keyAt: at };
}

/** Where a key is first mentioned, and those below it. */
interface Place {
  readonly at: number;
  readonly below: Map<string, Place>;
}

/** What parts statements, and the items of a list: blanks, line breaks, comments, commas. */
const BETWEEN = /(?:[\s,]+|#.*)*/y;

/** Finds where the keys of a document stand that is known to be TOML. */
class TomlScanner {
  readonly #cursor: Cursor;
  readonly #unquote: (key: string) => string;

  constructor(text: string, unquote: (key: string) => string) {
    this.#cursor = new Cursor(text);
    this.#unquote = unquote;
  }

  scan(): Place {
    const root: Place = { at: 0, below: new Map() };
    let table = root;
    for (this.#cursor.match(BETWEEN); !this.#cursor.isAtEnd; this.#cursor.match(BETWEEN)) {
      if (this.#cursor.match(/\[\[?/y) === null) {
        this.#pair(table);
      } else {
        table = this.#key(root);
        this.#cursor.match(/\]\]?/y);
      }
    }
    return root;
  }

  #pair(table: Place): void {
    const place = this.#key(table);
    this.#cursor.match(/=[ \t]*/y);
    this.#value(place);
  }

  /** Reads a key with all its dots. */
  #key(table: Place): Place {
    let place = table;
    let dot: string | undefined;
    do {
      this.#cursor.match(/[ \t]*/y);
      const { at } = this.#cursor;
      const part = this.#cursor.match(/("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)[ \t]*(\.?)/y);
      if (part === null) {
        // Not expected: what is left keeps the place of the table around it.
        this.#cursor.at = this.#cursor.text.length;
        break;
      }
      const key = /^["']/.test(part[1]) ? this.#unquote(part[1]) : part[1];
      if (!place.below.has(key)) place.below.set(key, { at, below: new Map() });
      place = place.below.get(key)!;
      dot = part[2];
    } while (dot === ".");
    return place;
  }

  #value(place: Place): void {
    if (this.#cursor.match(/\[/y) !== null) {
      // Nothing that is looked for is in an array.
      this.#list(/\]/y, () => this.#value({ at: 0, below: new Map() }));
    } else if (this.#cursor.match(/\{/y) !== null) {
      this.#list(/\}/y, () => this.#pair(place));
    } else if (!this.#string()) {
      this.#cursor.match(/[^,\]}#\n]+/y);
    }
  }

  #list(end: RegExp, readItem: () => void): void {
    this.#cursor.match(BETWEEN);
    while (!this.#cursor.isAtEnd && this.#cursor.match(end) === null) {
      readItem();
      this.#cursor.match(BETWEEN);
    }
  }

  #string(): boolean {
    const quotes = this.#cursor.match(/"""|'''|"|'/y)?.[0];
    if (quotes === undefined) return false;
    const { text } = this.#cursor;
    let { at } = this.#cursor;
    while (at < text.length && !text.startsWith(quotes, at)) {
      at += quotes[0] === '"' && text[at] === "\\" ? 2 : 1;
    }
    at += quotes.length;
    // Up to two more belong to the text.
    while (quotes.length === 3 && text[at] === quotes[0]) at++;
    this.#cursor.at = at;
    return true;
  }
}
