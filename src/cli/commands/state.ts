/** `state`: what all devices share. */

import type { JsonValue } from "../../base/bounded_json.ts";
import { safeLine, safeName } from "../../base/safe_text.ts";
import type { StateChangeLine, StateEntry } from "../../gateway/state_routes.ts";
import {
  type Command,
  type Invocation,
  NODE_OPTIONS,
  type OptionValues,
  UsageError,
} from "../command.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { exportState, importState, TRANSFER_OPTIONS } from "./state_transfer.ts";

export const command: Command = {
  positionals: "list [PREFIX] | get KEY | set KEY VALUE | delete KEY | add KEY [NUMBER] | " +
    "append KEY VALUE... | watch [PREFIX] | export [FILE|-] | import FILE|-",
  summary: "Show and change the state that all devices share",
  options: [
    ...NODE_OPTIONS,
    { name: "text", kind: "flag", help: "with set and append: a VALUE is a text, also 5 or {}" },
    ...TRANSFER_OPTIONS,
  ],
  example: "hanzo-network state set greeting hello",
  async run({ positionals: [action = "list", ...rest], options, terminal, signal }: Invocation) {
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (act === undefined) {
      const names = Object.keys(ACTIONS).join(", ");
      throw new UsageError(`state has no action "${safeName(action, 64)}", expected ${names}.`);
    }
    const [least, most] = act.takes;
    if (rest.length < least || rest.length > most) {
      throw new UsageError(`state ${action} takes ${act.of}.`);
    }
    const isText = options.flag("text");
    for (const [flag, actions] of Object.entries(FLAGS)) {
      if (!options.flag(flag) || actions.includes(action)) continue;
      throw new UsageError(`--${flag} goes with ${actions.join(" and ")}, not with ${action}.`);
    }
    const valueOf = (text: string) => isText ? text : parsed(text);
    const node = await findNode(options);
    return await act.run({ args: rest, valueOf, options, node, terminal, signal });
  },
};

/** The actions that a flag goes with. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  text: ["set", "append"],
  overwrite: ["export"],
  replace: ["import"],
  "dry-run": ["import"],
};

interface Act {
  readonly args: readonly string[];
  readonly options: OptionValues;
  readonly valueOf: (text: string) => JsonValue;
  readonly node: NodeClient;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

interface Action {
  /** How many arguments, at least and at most. */
  readonly takes: readonly [number, number];
  readonly of: string;
  run(act: Act): Promise<number>;
}

const ACTIONS: Record<string, Action> = {
  list: {
    takes: [0, 1],
    of: "a PREFIX, or nothing more",
    run: async ({ args: [prefix = ""], node, terminal, signal }) => {
      const entries = await node.state.entries(prefix, signal);
      if (terminal.json) {
        terminal.value(entries);
        return 0;
      }
      const rows = entries.map(({ key, value }) => [safeLine(key), line(value)]);
      for (const row of table(["KEY", "VALUE"], rows, terminal.columns)) terminal.line(row);
      return 0;
    },
  },
  get: {
    takes: [1, 1],
    of: "one KEY",
    run: async ({ args: [key], node, terminal, signal }) =>
      show(await node.state.entry(key, signal), terminal),
  },
  set: {
    takes: [2, 2],
    of: "a KEY and a VALUE, which is JSON or a text",
    run: async ({ args: [key, text], valueOf, node, terminal, signal }) =>
      show(await node.state.set({ key, value: valueOf(text) }, signal), terminal),
  },
  delete: {
    takes: [1, 1],
    of: "one KEY",
    run: async ({ args: [key], node, terminal, signal }) => {
      const { deleted } = await node.state.delete({ key }, signal);
      if (terminal.json) terminal.value({ key, deleted });
      else terminal.line(safeLine(deleted ? `Deleted ${key}.` : `There was no ${key}.`));
      return deleted ? 0 : 1;
    },
  },
  add: {
    takes: [1, 2],
    of: "a KEY, and by how much (1)",
    run: async ({ args: [key, text = "1"], node, terminal, signal }) => {
      const by = text.trim() === "" ? NaN : Number(text);
      if (!Number.isFinite(by)) {
        throw new UsageError(`Cannot add ${JSON.stringify(safeName(text, 64))}: it is no number.`);
      }
      return show(await node.state.add({ key, by }, signal), terminal);
    },
  },
  append: {
    takes: [2, Infinity],
    of: "a KEY and one VALUE or more, which are JSON or texts",
    run: async ({ args: [key, ...texts], valueOf, node, terminal, signal }) =>
      show(await node.state.append({ key, items: texts.map(valueOf) }, signal), terminal),
  },
  export: {
    takes: [0, 1],
    of: "a FILE, or - for standard output, or nothing more",
    run: ({ args: [file = "-"], ...act }) => exportState({ file, ...act }),
  },
  import: {
    takes: [1, 1],
    of: "one FILE, or - for standard input",
    run: ({ args: [file], ...act }) => importState({ file, ...act }),
  },
  watch: {
    takes: [0, 1],
    of: "a PREFIX, or nothing more",
    run: async ({ args: [prefix = ""], node, terminal, signal }) => {
      try {
        for await (const change of node.state.watch(prefix, signal)) {
          if (terminal.json) {
            if (change !== undefined) terminal.value(change);
          } else if (change === undefined) terminal.error("Watching; Ctrl-C ends it.");
          else terminal.line(told(change));
        }
      } catch (thrown) {
        // That is how it is meant to end.
        if (!signal.aborted) throw thrown;
      }
      return 0;
    },
  },
};

/** JSON, or else a text as it is: who writes `hello` means "hello". */
function parsed(text: string): JsonValue {
  const finite = (_: string, value: JsonValue) => {
    // JSON may say it, and would carry it as null.
    if (typeof value === "number" && !Number.isFinite(value)) {
      const asked = safeName(text, 64);
      throw new UsageError(
        `Cannot use ${asked}: a number in it is too large. --text makes it a text.`,
      );
    }
    return value;
  };
  try {
    return JSON.parse(text, finite);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return text;
    if (thrown instanceof RangeError) {
      throw new UsageError("Cannot use the value: it nests too deep.");
    }
    throw thrown;
  }
}

function show({ key, value }: StateEntry, terminal: Terminal): number {
  if (terminal.json) terminal.value({ key, value });
  else terminal.line(line(value));
  return 0;
}

/** A text as it is, and all else as JSON. */
function line(value: JsonValue): string {
  return safeLine(typeof value === "string" ? value : JSON.stringify(value));
}

function told({ key, value, previous, nodeId, isConcurrent }: StateChangeLine): string {
  const what = value === undefined ? "deleted" : line(value);
  const lost = isConcurrent && previous !== undefined
    ? `, in the place of ${line(previous)}, which was written at the same time`
    : "";
  return safeLine(`${key}: ${what} (${nodeId}${lost})`);
}
