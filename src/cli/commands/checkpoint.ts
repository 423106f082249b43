/** `checkpoint`: the shared state as of some moment. */

import { safeLine, safeName } from "../../base/safe_text.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { findNode } from "../node_client.ts";
import { plural } from "../show.ts";
import { table } from "../table.ts";

/** How many arguments each action takes. */
const ACTIONS: Readonly<Record<string, number>> = { list: 0, save: 1, restore: 1, delete: 1 };

export const command: Command = {
  positionals: "list | save NAME | restore NAME | delete NAME",
  summary: "Keep the shared state as it is, and bring it back",
  options: NODE_OPTIONS,
  example: "hanzo-network checkpoint save monday",
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    const [action = "list", ...rest] = positionals;
    if (!Object.hasOwn(ACTIONS, action)) {
      const names = Object.keys(ACTIONS).join(", ");
      throw new UsageError(
        `checkpoint has no action "${safeName(action, 64)}", expected ${names}.`,
      );
    }
    if (rest.length !== ACTIONS[action]) {
      throw new UsageError(
        `checkpoint ${action} takes ${ACTIONS[action] === 0 ? "nothing more" : "one NAME"}.`,
      );
    }
    const node = await findNode(options);
    const [name] = rest;
    if (action === "list") {
      const all = await node.checkpoints.list(signal);
      if (terminal.json) {
        terminal.value(all);
        return 0;
      }
      const rows = all.map((one) => [
        safeLine(one.name),
        one.kind,
        new Date(one.createdAt).toISOString(),
        `${one.keys}`,
        `${one.bytes}`,
      ]);
      const headings = ["NAME", "KIND", "MADE", "KEYS", "BYTES"];
      for (const line of table(headings, rows, terminal.columns)) terminal.line(line);
      return 0;
    }
    if (action === "delete") {
      const { deleted } = await node.checkpoints.delete({ name }, signal);
      if (terminal.json) terminal.value({ name, deleted });
      else terminal.line(safeLine(deleted ? `Deleted ${name}.` : `There was no ${name}.`));
      return deleted ? 0 : 1;
    }
    if (action === "save") {
      const saved = await node.checkpoints.save({ name }, signal);
      if (terminal.json) terminal.value(saved);
      else terminal.line(safeLine(`Saved ${name}: ${plural(saved.keys, "key")}.`));
      return 0;
    }
    const restored = await node.checkpoints.restore({ name }, signal);
    if (terminal.json) terminal.value(restored);
    else {
      const { set, deleted, before } = restored;
      const kept = before === null ? "" : ` What was there before is "${before}".`;
      terminal.line(
        safeLine(`Restored ${name}: ${plural(set, "key")} set, ${deleted} deleted.${kept}`),
      );
    }
    return 0;
  },
};
