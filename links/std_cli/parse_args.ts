/**
 * Command line arguments into an object of flags: `parseArgs` as `@std/cli/parse-args` documents
 * it.
 *
 * @module
 */

import type { Aliases, Args, Names, ParseOptions, Values } from "./parse_args_types.ts";

export type { Args, ParseOptions } from "./parse_args_types.ts";

/**
 * Reads command line arguments.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue` for letters followed by digits, and groups
 * of letters (`-abc`) are flags; everything else, and everything after `--`, is in `_`. Values that
 * look like numbers become numbers unless their flag is declared a string.
 *
 * @typeParam TArgs Type of the flags; inferred from the options.
 * @typeParam TDoubleDash Whether the option `"--"` is set.
 * @param args The arguments, usually `Deno.args`.
 * @param options Which flags are booleans, strings, lists, negatable, and their aliases and
 * defaults.
 * @returns The flags by name, and the other arguments in `_`.
 *
 * @example Flags of three types
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 * import { assertEquals } from "@std/assert";
 *
 * const flags = parseArgs(["run", "--json", "--node", "b"], {
 *   boolean: ["json"],
 *   string: ["node"],
 *   collect: ["node"],
 * });
 *
 * assertEquals(flags, { _: ["run"], json: true, node: ["b"] });
 * ```
 */
export function parseArgs<
  TArgs extends Values<TBooleans, TStrings, TCollectable, TNegatable, TDefaults, TAliases>,
  TDoubleDash extends boolean | undefined = undefined,
  TBooleans extends boolean | Names = undefined,
  TStrings extends Names = undefined,
  TCollectable extends Names = undefined,
  TNegatable extends Names = undefined,
  TDefaults extends Record<string, unknown> | undefined = undefined,
  const TAliases extends Aliases | undefined = undefined,
>(
  args: string[],
  options: ParseOptions<
    TBooleans,
    TStrings,
    TCollectable,
    TNegatable,
    TDefaults,
    TAliases,
    TDoubleDash
  > = {},
): Args<TArgs, TDoubleDash> {
  const end = args.indexOf("--");
  const before = end === -1 ? args : args.slice(0, end);
  const after = end === -1 ? [] : args.slice(end + 1);

  const flags = new Flags(options);
  for (let index = 0; index < before.length; index++) {
    const arg = before[index];
    const next = before[index + 1];
    const long = LONG_FLAG.exec(arg)?.groups;
    if (long !== undefined) {
      index += readLong(flags, arg, long, next);
    } else if (arg.length > 1 && arg.startsWith("-")) {
      index += readShort(flags, arg, next);
    } else {
      flags.addPositional(arg);
      if (options.stopEarly) {
        flags.positional.push(...before.slice(index + 1));
        break;
      }
    }
  }
  flags.fillDefaults();

  const result = flags.result;
  if (options["--"]) result["--"] = after;
  else flags.positional.push(...after);
  return result as Args<TArgs, TDoubleDash>;
}

type FlagValue = string | boolean;

/** A table of flags, possibly nested: `--a.b 1` is `{ a: { b: 1 } }`. */
type Table = Record<string, unknown>;

const LONG_FLAG = /^--(?<negation>no-)?(?<name>.+?)(?:=(?<value>.+))?$/s;

/** What the options say about flags, and the flags found so far. */
class Flags {
  readonly result: Table = { _: [] };
  readonly #allBoolean: boolean;
  readonly #booleans: Set<string>;
  readonly #strings: Set<string>;
  readonly #collected: Set<string>;
  readonly #negatable: Set<string>;
  readonly #aliases = new Map<string, string[]>();
  readonly #defaults: Table;
  readonly #unknown: NonNullable<ParseOptions["unknown"]> | undefined;

  constructor(options: ParseOptions) {
    for (const [name, value] of Object.entries(options.alias ?? {})) {
      if (value === undefined) throw new TypeError("Alias value must be defined");
      const group = [name, ...[value].flat()];
      for (const one of group) this.#aliases.set(one, group.filter((other) => other !== one));
    }
    this.#allBoolean = options.boolean === true;
    this.#booleans = this.#declared(typeof options.boolean === "boolean" ? [] : options.boolean);
    this.#strings = this.#declared(options.string);
    this.#collected = this.#declared(options.collect);
    this.#negatable = this.#declared(options.negatable);
    this.#defaults = options.default ?? {};
    this.#unknown = options.unknown;
  }

  get positional(): (string | number)[] {
    return this.result._ as (string | number)[];
  }

  isBoolean(name: string): boolean {
    return this.#booleans.has(name);
  }

  isNegatable(name: string): boolean {
    return this.#negatable.has(name);
  }

  /** Whether the argument after a long flag cannot be its value, unless it is "true" or "false". */
  get allBoolean(): boolean {
    return this.#allBoolean;
  }

  /** Whether `name`, or a name that stands for it, is declared a boolean. */
  standsForBoolean(name: string): boolean {
    return [name, ...this.#namesFor(name)].some((one) => this.#booleans.has(one));
  }

  /** The value of a flag given without one. */
  bare(name: string): FlagValue {
    return this.#strings.has(name) ? "" : true;
  }

  /** Sets a flag and the names that stand for it, unless it is unknown and refused. */
  set(name: string, value: FlagValue, arg: string, collect = true): void {
    const known = this.#booleans.has(name) || this.#strings.has(name) || this.#aliases.has(name) ||
      (this.#allBoolean && /^--[^=]+$/.test(arg));
    if (!known && this.#unknown?.(arg, name, value) === false) return;

    const typed = typeof value === "string" && !this.#strings.has(name) ? asNumber(value) : value;
    const list = collect && this.#collected.has(name);
    for (const one of [name, ...this.#namesFor(name)]) put(this.result, one, typed, list);
  }

  addPositional(arg: string): void {
    if (this.#unknown?.(arg) === false) return;
    this.positional.push(this.#strings.has("_") ? arg : asNumber(arg));
  }

  fillDefaults(): void {
    for (const [name, value] of Object.entries(this.#defaults)) {
      if (has(this.result, name)) continue;
      for (const one of [name, ...this.#namesFor(name)]) put(this.result, one, value);
    }
    for (const name of this.#booleans) {
      if (!has(this.result, name)) put(this.result, name, this.#collected.has(name) ? [] : false);
    }
    for (const name of this.#strings) {
      if (!has(this.result, name) && this.#collected.has(name)) put(this.result, name, []);
    }
  }

  #namesFor(name: string): string[] {
    return this.#aliases.get(name) ?? [];
  }

  #declared(names: string | readonly string[] | undefined): Set<string> {
    const given = [names ?? []].flat().filter((name) => name !== "");
    return new Set(given.flatMap((name) => [name, ...this.#namesFor(name)]));
  }
}

/** Reads `--name`, `--name=value`, `--name value` or `--no-name`; returns how much of next it ate. */
function readLong(
  flags: Flags,
  arg: string,
  parts: Record<string, string | undefined>,
  next: string | undefined,
): 0 | 1 {
  let name = parts.name!;
  if (parts.value) {
    flags.set(name, flags.isBoolean(name) ? parts.value !== "false" : parts.value, arg);
    return 0;
  }
  if (parts.negation) {
    if (flags.isNegatable(name)) {
      flags.set(name, false, arg, false);
      return 0;
    }
    name = `no-${name}`;
  }
  const takesValue = !flags.allBoolean && !flags.standsForBoolean(name) && !next?.startsWith("-");
  return readValue(flags, name, arg, next, takesValue);
}

/** Reads a group of letters, the last of which may have a value; returns how much of next it ate. */
function readShort(flags: Flags, arg: string, next: string | undefined): 0 | 1 {
  for (let index = 1; index < arg.length - 1; index++) {
    const letter = arg[index];
    const rest = arg.slice(index + 1);
    if (rest === "-") {
      flags.set(letter, rest, arg);
      continue;
    }
    const isLetter = /[A-Za-z]/.test(letter);
    const assigned = isLetter ? /=(.+)/.exec(rest)?.[1] : undefined;
    const isNumeric = isLetter && /-?\d+(\.\d*)?(e-?\d+)?$/.test(rest);
    if (assigned !== undefined) {
      flags.set(letter, assigned, arg);
      return 0;
    }
    if (isNumeric || (rest.length > 1 && /^\W/.test(rest))) {
      flags.set(letter, rest, arg);
      return 0;
    }
    flags.set(letter, flags.bare(letter), arg);
  }

  const last = arg.slice(-1);
  if (last === "-") return 0;
  const takesValue = !flags.standsForBoolean(last) && !/^--?[^-]/.test(next ?? "");
  return readValue(flags, last, arg, next, takesValue);
}

/** Sets a flag from the argument after it, where that is a value, else without one. */
function readValue(
  flags: Flags,
  name: string,
  arg: string,
  next: string | undefined,
  takesValue: boolean,
): 0 | 1 {
  if (next && takesValue) {
    flags.set(name, next, arg);
    return 1;
  }
  if (next === "true" || next === "false") {
    flags.set(name, next === "true", arg);
    return 1;
  }
  flags.set(name, flags.bare(name), arg);
  return 0;
}

function asNumber(text: string): string | number {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Sets `name`, a path with dots, in `table`, appending to a list where `collect` is set. */
function put(table: Table, name: string, value: unknown, collect = false): void {
  const path = name.split(".");
  const last = path.pop()!;
  for (const key of path) table = (table[key] ??= {}) as Table;
  if (!collect) {
    table[last] = value;
    return;
  }
  const present = table[last];
  if (Array.isArray(present)) present.push(value);
  else table[last] = present ? [present, value] : [value];
}

function has(table: Table, name: string): boolean {
  let value: unknown = table;
  for (const key of name.split(".")) {
    if (value === null || value === undefined || !Object.hasOwn(value, key)) return false;
    value = (value as Table)[key];
  }
  return true;
}
