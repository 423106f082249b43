/** Values of a file that know where they stand, so that each fault is told with its line. */

import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";

/** What was read, and where it stands: counted in UTF-16 units from the start of the text. */
export interface Located {
  /** A map of keys is a `Map`: no key of a file is ever looked up in a prototype. */
  readonly value: unknown;
  readonly at: number;
  /** Where its key stands. */
  readonly keyAt: number;
}

/** The text of a file, and faults in it. */
export class Source {
  readonly file: string;
  readonly text: string;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  fault(at: number, problem: string): NetworkError {
    const lines = this.text.slice(0, at).split("\n");
    return this.faultIn(lines.length, lines[lines.length - 1].length + 1, problem);
  }

  faultIn(line: number, column: number, problem: string): NetworkError {
    return new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${this.file}, line ${line}, column ${column}: ${problem}.`,
    );
  }
}

/** A field of the file, whether it is there or not. */
export class Field {
  readonly #source: Source;
  readonly #path: readonly string[];
  readonly #found: Located | undefined;
  readonly #parent: Field | undefined;

  constructor(
    source: Source,
    path: readonly string[],
    found: Located | undefined,
    parent?: Field,
  ) {
    this.#source = source;
    this.#path = path;
    this.#found = found;
    this.#parent = parent;
  }

  /** Whether it says anything. */
  get isThere(): boolean {
    return this.#found !== undefined && this.#found.value !== null;
  }

  /** A field of this one; when this is not there, that is not either. */
  get(key: string): Field {
    const found = this.isThere ? this.members().get(key) : undefined;
    return new Field(this.#source, [...this.#path, key], found, this);
  }

  /** All fields of this one. */
  members(expected = "a map"): ReadonlyMap<string, Located> {
    return this.as((value) => value instanceof Map, expected);
  }

  /** Its value. */
  as<T>(fits: (value: unknown) => value is T, expected: string): T {
    if (this.#found === undefined) {
      const others = [...this.#parent?.members().keys() ?? []].slice(0, 5).map(shown).join(", ");
      throw this.fault(`is missing (there is ${others || "nothing"}), expected ${expected}`);
    }
    const { value } = this.#found;
    if (fits(value)) return value;
    throw this.fault(`is ${shown(value)}, expected ${expected}`);
  }

  /** Its value, `null` when it is not there. */
  orNull<T>(fits: (value: unknown) => value is T, expected: string): T | null {
    return this.isThere ? this.as(fits, expected) : null;
  }

  /** What is wrong with it, where it stands or, when it is not there, where it should. */
  fault(problem: string): NetworkError {
    const { at } = this.#found ?? this.#parent!.#found!;
    const name = this.#path.map((key) => /^[\w-]+$/.test(key) ? key : shown(key)).join(".");
    return this.#source.fault(at, `${name || "the file"} ${problem}`);
  }
}

/** A value as an error shows it. */
export function shown(value: unknown): string {
  if (value instanceof Map) return "{…}";
  if (Array.isArray(value)) return "[…]";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${safeName(text, 80)}…` : safeName(text);
}

/** A text and how far it has been read. */
export class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Reads what a sticky pattern matches here, if it does. */
  match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match !== null) this.at = pattern.lastIndex;
    return match;
  }
}
