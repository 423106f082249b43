/** What a command is made of, and how its options are declared. */

import type { Terminal } from "./terminal.ts";
import { wrap } from "./width.ts";

/** One option of the command line. */
export interface OptionSpec {
  readonly name: string;
  /**
   * - `flag`: there or not.
   * - `text`: with a value.
   * - `list`: with a value, and repeatable.
   * - `maybe`: there or not, and when there with a value behind `=` or without.
   */
  readonly kind: "flag" | "text" | "list" | "maybe";
  /** What stands for the value in the help: `PORT`. */
  readonly value?: string;
  readonly help: string;
  /** Whether `HANZO_NETWORK_…` and `hanzo-network.toml` may give it, too. */
  readonly setting?: true;
}

/** A command of the command line. */
export interface Command {
  /** What follows the command's name: `PROMPT`. */
  readonly positionals: string;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  /** One line that can be typed as it is. */
  readonly example: string;
  /** Whether it sees to Ctrl-C itself: its signal aborts at SIGTERM alone. */
  readonly ownInterrupts?: true;
  /** Does it and resolves to the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** A command with what the user has given it. */
export interface Invocation {
  readonly positionals: readonly string[];
  readonly options: OptionValues;
  readonly terminal: Terminal;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** The values of options, wherever they come from. */
export interface OptionValues {
  /**
   * Whether it is set.
   *
   * @throws {UsageError} When its value is neither true nor false.
   */
  flag(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): string[];
  /**
   * A whole number.
   *
   * @throws {UsageError} When it is none, or out of range.
   */
  integer(name: string, least: number, most: number): number | undefined;
}

/** The command line was wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Options that every command has. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: "json", kind: "flag", help: "print JSON on stdout, for programs" },
  { name: "help", kind: "flag", help: "show this" },
];

/** Options of the commands that talk to a running node. */
export const NODE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "node-id",
    kind: "text",
    value: "ID",
    help: "the node of this machine to talk to (default: the one that runs longest)",
    setting: true,
  },
  {
    name: "api",
    kind: "text",
    value: "URL",
    help: "the same, by the address of its API",
    setting: true,
  },
  {
    name: "data-dir",
    kind: "text",
    value: "DIR",
    help: "where this machine's nodes keep their files",
    setting: true,
  },
];

/** Narrower than this there is no use in parting a help. */
const LEAST_HELP = 30;

/**
 * The help of one command.
 *
 * @param columns The terminal's width; where there is none, no line is parted.
 */
export function commandHelp(name: string, command: Command, columns: number = Infinity): string {
  const { positionals, summary, options, example } = command;
  const rows = [...options, ...COMMON_OPTIONS].map((option): [string, string] => [
    `--${option.name}${valueOf(option)}`,
    option.help + (option.kind === "list" ? " (repeatable)" : ""),
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    `${summary}.`,
    "",
    `Usage: hanzo-network ${name}${positionals === "" ? "" : ` ${positionals}`} [options]`,
    "",
    "Options:",
    ...rows.flatMap(([left, right]) => {
      const room = Math.max(columns, width + 4 + LEAST_HELP);
      return wrap(right, room, `  ${left.padEnd(width)}  `, " ".repeat(width + 4));
    }),
    "",
    `Example: ${example}`,
    "",
  ].join("\n");
}

function valueOf({ kind, value = "VALUE" }: OptionSpec): string {
  if (kind === "flag") return "";
  return kind === "maybe" ? `[=${value}]` : ` ${value}`;
}
