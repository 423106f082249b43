/**
 * TOML: `parse` and `stringify` as `@std/toml` documents them.
 *
 * @module
 */

import {
  parse as parseToml,
  stringify as stringifyToml,
  TomlDate,
  TomlError,
  type TomlTable,
} from "smol-toml";

/**
 * Reads a TOML document.
 *
 * Dates and times are `Date`, those without an offset in local time; times without a date are
 * strings.
 *
 * @param tomlString The document.
 * @returns Its root table.
 * @throws {SyntaxError} If it is not TOML; the message names line and column and shows the line.
 *
 * @example
 * ```ts
 * import { parse } from "@std/toml";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parse('[node]\nname = "gpu"'), { node: { name: "gpu" } });
 * ```
 */
export function parse(tomlString: string): Record<string, unknown> {
  try {
    return plain(parseToml(tomlString)) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.replace(/^Invalid TOML document: /, "");
    // The real package counts the characters before the error, smol-toml counts from one.
    throw new SyntaxError(
      `Parse error on line ${error.line}, column ${error.column - 1}: ${reason}`,
      { cause: error },
    );
  }
}

/**
 * Writes a TOML document.
 *
 * @param srcObj Its root table.
 * @returns The document, values before tables.
 *
 * @example
 * ```ts
 * import { stringify } from "@std/toml";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   stringify({ owner: "Ada", node: { name: "gpu" } }),
 *   'owner = "Ada"\n\n[node]\nname = "gpu"\n',
 * );
 * ```
 */
export function stringify(srcObj: Record<string, unknown>): string {
  return stringifyToml(srcObj);
}

/** Tables with the usual prototype, and dates as the real package has them. */
function plain(value: TomlTable[string]): unknown {
  if (value instanceof TomlDate) {
    if (value.isTime()) return value.toISOString().replace(/\.000$/, "");
    return new Date(value.toISOString());
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
