/** `state export` and `state import`: what all devices share, as one file. */

import { safeLine } from "../../base/safe_text.ts";
import type { OptionSpec, OptionValues } from "../command.ts";
import type { NodeClient } from "../node_client.ts";
import { needNewFile, writeOutput } from "../output_file.ts";
import { plural } from "../show.ts";
import { readInput } from "../task_options.ts";
import type { Terminal } from "../terminal.ts";

/** Their options. */
export const TRANSFER_OPTIONS: readonly OptionSpec[] = [
  { name: "overwrite", kind: "flag", help: "with export: a FILE that is there gives way" },
  {
    name: "replace",
    kind: "flag",
    help: "with import: delete what the file does not have (default: that stays)",
  },
  { name: "dry-run", kind: "flag", help: "with import: only say what would change" },
];

interface Transfer {
  /** `-` is standard output, or input. */
  readonly file: string;
  readonly options: OptionValues;
  readonly node: NodeClient;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Writes all that there is to a file of mode 0600, or to stdout. */
export async function exportState(
  { file, options, node, terminal, signal }: Transfer,
): Promise<number> {
  const overwrite = options.flag("overwrite");
  if (file !== "-") await needNewFile(file, overwrite);
  const text = await node.state.export(signal);
  if (file === "-") {
    terminal.write(text);
    return 0;
  }
  await writeOutput(file, text, overwrite);
  const keys: number = JSON.parse(text).entries.length;
  if (terminal.json) terminal.value({ file, keys });
  else terminal.line(safeLine(`Wrote ${plural(keys, "key")} to ${file}.`));
  return 0;
}

/** Brings in what a file, or stdin, holds, and says what that has changed. */
export async function importState(
  { file, options, node, terminal, signal }: Transfer,
): Promise<number> {
  const [replace, dryRun] = [options.flag("replace"), options.flag("dry-run")];
  const imported = await node.state.import(await readInput(file), { replace, dryRun }, signal);
  if (terminal.json) {
    terminal.value(imported);
    return 0;
  }
  const { set, same, deleted, before } = imported;
  const told = `${plural(set, "key")} set, ${deleted} deleted, ${same} as before`;
  const kept = before === null ? "" : ` What was there before is "${before}".`;
  terminal.line(safeLine(`${dryRun ? "It would be" : "Imported"}: ${told}.${kept}`));
  return 0;
}
