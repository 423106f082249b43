/**
 * Where the values of options come from: the command line, else the environment, else
 * `hanzo-network.toml`.
 */

import { parseArgs } from "@std/cli/parse-args";
import { describeError, NetworkError } from "../base/errors.ts";
import { flagsOf, isGranted, type Permission } from "../base/permissions.ts";
import { HOME_VARIABLES } from "../network/data_directory.ts";
import {
  type Command,
  COMMON_OPTIONS,
  type OptionSpec,
  type OptionValues,
  UsageError,
} from "./command.ts";

/** The file of settings, looked for in the working directory. */
const SETTINGS_FILE = "hanzo-network.toml";

type RawValues = Map<string, string[]>;

/**
 * Reads the command line of one command.
 *
 * @throws {UsageError} For an unknown option, one without its value, or a bad settings file.
 */
export async function readInvocation(
  name: string,
  command: Command,
  args: readonly string[],
): Promise<{ positionals: string[]; options: OptionValues }> {
  const specs = [...command.options, ...COMMON_OPTIONS];
  const given = parse(name, specs, args);
  const settings = specs.some(({ setting }) => setting) ? await readSettings() : new Map();
  const find = (option: string): string[] | undefined => {
    const spec = specs.find((one) => one.name === option);
    if (spec === undefined) throw new Error(`The command has no option --${option}.`);
    const typed = given.values.get(option);
    if (typed !== undefined || !spec.setting) return typed;
    return fromEnvironment(spec) ?? settings.get(option);
  };
  const options: OptionValues = {
    flag(option) {
      const text = find(option)?.at(-1);
      if (text === undefined || text === "false" || text === "0") return false;
      if (text === "true" || text === "1") return true;
      throw new UsageError(`--${option} is ${JSON.stringify(text)}, expected true or false.`);
    },
    text: (option) => find(option)?.at(-1),
    list: (option) => find(option) ?? [],
    integer(option, least, most) {
      const text = find(option)?.at(-1);
      if (text === undefined) return undefined;
      const value = /^\d+$/.test(text) ? Number(text) : NaN;
      if (value >= least && value <= most) return value;
      throw new UsageError(
        `--${option} is ${JSON.stringify(text)}, expected a whole number from ${least} to ${most}.`,
      );
    },
  };
  const [surplus] = command.positionals === "" ? given.positionals : [];
  if (surplus !== undefined) {
    throw new UsageError(
      `Cannot do anything with ${JSON.stringify(surplus)}. See: hanzo-network ${name} --help`,
    );
  }
  return { positionals: given.positionals, options };
}

function parse(
  name: string,
  specs: readonly OptionSpec[],
  args: readonly string[],
): { positionals: string[]; values: RawValues } {
  const named = (...kinds: OptionSpec["kind"][]) =>
    specs.filter(({ kind }) => kinds.includes(kind)).map((spec) => spec.name);
  const parsed = parseArgs(withPlainValues(args, named("maybe"), named("text", "list")), {
    boolean: named("flag"),
    // The positionals, too: a prompt of digits is no number.
    string: [...named("text", "list", "maybe"), "_"],
    collect: named("list"),
    // A flag that is not given is told apart from one that is false.
    default: Object.fromEntries(named("flag").map((option) => [option, null])),
    unknown(arg, key) {
      if (key === undefined || !arg.startsWith("-") || arg === "-") return;
      // As `--name=$NAME` is where there is no such variable.
      const spec = specs.find((one) => one.kind !== "flag" && arg === `--${one.name}=`);
      if (spec !== undefined) throw needsValue(spec);
      const mend = /^-\.?\d/.test(arg) ? `; a number below zero goes behind --: -- ${arg}` : "";
      throw new UsageError(`Unknown option ${arg}. See: hanzo-network ${name} --help${mend}`);
    },
  }) as Record<string, unknown>;
  const values: RawValues = new Map();
  for (const spec of specs) {
    const { name: option, kind } = spec;
    const found = parsed[option];
    if (kind === "flag") {
      // The parser takes any value but "false" for true.
      const typed = valueGiven(args, option) ?? found;
      if (typeof found === "boolean") values.set(option, [`${typed}`]);
      continue;
    }
    const texts = found === undefined
      ? []
      : Array.isArray(found)
      ? found.map(String)
      : [`${found}`];
    if (texts.some((text) => text === "")) throw needsValue(spec);
    if (texts.length > 0) values.set(option, texts);
  }
  return { positionals: (parsed._ as unknown[]).map(String), values };
}

function needsValue({ name, value = "VALUE" }: OptionSpec): UsageError {
  return new UsageError(`--${name} needs a value: --${name} ${value}`);
}

/** What stands behind `--option=`, the last time. */
function valueGiven(args: readonly string[], option: string): string | undefined {
  const end = args.indexOf("--");
  const given = (end === -1 ? args : args.slice(0, end))
    .findLast((arg) => arg === `--${option}` || arg.startsWith(`--${option}=`));
  return given?.slice(option.length + 3) || undefined;
}

/** The arguments with `=` where the parser would misunderstand a value, up to `--`. */
function withPlainValues(
  args: readonly string[],
  maybe: readonly string[],
  valued: readonly string[],
): string[] {
  const end = args.indexOf("--");
  const result: string[] = [];
  for (const [i, arg] of args.entries()) {
    const isOption = (names: readonly string[], text: string | undefined) =>
      (end === -1 || i < end) && names.some((name) => text === `--${name}`);
    // `--open` alone must not take the next argument for its value.
    if (isOption(maybe, arg)) result.push(`${arg}=true`);
    // `-` is a value.
    else if (arg === "-" && isOption(valued, result.at(-1))) result.push(`${result.pop()}=-`);
    else result.push(arg);
  }
  return result;
}

function fromEnvironment({ name, kind }: OptionSpec): string[] | undefined {
  const value = environment(variableOf(name));
  if (value === undefined || value === "") return undefined;
  if (kind !== "list") return [value];
  return value.split(",").map((one) => one.trim()).filter((one) => one !== "");
}

/**
 * A variable of the environment; one that may not be read is as good as unset, but for the home.
 *
 * @throws {NetworkError} `PERMISSION_DENIED` when the home may not be read.
 */
export function environment(name: string): string | undefined {
  if (isGranted({ name: "env", variable: name })) return Deno.env.get(name);
  if (!HOME_VARIABLES.includes(name)) return undefined;
  const [flag] = flagsOf(HOME_VARIABLES.map((variable) => ({ name: "env", variable })));
  throw new NetworkError(
    "PERMISSION_DENIED",
    `Cannot find the data directory: ${name} may not be read. Grant ${flag}, or give a directory ` +
      `with --data-dir.`,
  );
}

/** The flags without which settings of a command are not read, though they may be there. */
export function unreadSettings({ options }: Command): string[] {
  const settings = options.filter(({ setting }) => setting);
  if (settings.length === 0) return [];
  const needed: [Permission, grants: Permission][] = [
    [{ name: "read", path: SETTINGS_FILE }, { name: "read", path: SETTINGS_FILE }],
    ...settings.map(({ name }): [Permission, Permission] => [
      { name: "env", variable: variableOf(name) },
      { name: "env", variable: variableOf("*") },
    ]),
  ];
  return flagsOf(needed.filter(([one]) => !isGranted(one)).map(([, grants]) => grants));
}

function variableOf(option: string): string {
  return `HANZO_NETWORK_${option.toUpperCase().replaceAll("-", "_")}`;
}

async function readSettings(): Promise<RawValues> {
  if (!isGranted({ name: "read", path: SETTINGS_FILE })) return new Map();
  let text: string;
  try {
    text = await Deno.readTextFile(SETTINGS_FILE);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return new Map();
    throw NetworkError.from(thrown, "FAILED_PRECONDITION", `Cannot read ${SETTINGS_FILE}`);
  }
  const { parse } = await import("@std/toml");
  const { SETTING_NAMES } = await import("./settings.ts");
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new UsageError(`${SETTINGS_FILE}: ${describeError(cause)}`);
  }
  const values: RawValues = new Map();
  for (const [key, value] of Object.entries(table)) {
    if (!SETTING_NAMES.includes(key)) {
      throw new UsageError(
        `${SETTINGS_FILE}: there is no setting "${key}". There are: ${SETTING_NAMES.join(", ")}.`,
      );
    }
    const texts = Array.isArray(value) ? value : [value];
    if (texts.some((one) => !["string", "number", "boolean", "bigint"].includes(typeof one))) {
      throw new UsageError(
        `${SETTINGS_FILE}: "${key}" must be a text, a number, or a list of them.`,
      );
    }
    values.set(key, texts.map(String));
  }
  return values;
}
