/** `threads`: conversations that every device can go on with. */

import { safeLine, safeName, safeText } from "../../base/safe_text.ts";
import type { ThreadBody } from "../../gateway/thread_routes.ts";
import type { UnfinishedRun } from "../../network/threads/thread.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { findNode } from "../node_client.ts";
import { plural } from "../show.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** How many arguments each action takes. */
const ACTIONS: Readonly<Record<string, number>> = { list: 0, show: 1, delete: 1 };

export const command: Command = {
  positionals: "list | show NAME | delete NAME",
  summary: "Show conversations of agents, and delete them",
  options: NODE_OPTIONS,
  example: "hanzo-network threads show trip",
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    const [action = "list", ...rest] = positionals;
    if (!Object.hasOwn(ACTIONS, action)) {
      const names = Object.keys(ACTIONS).join(", ");
      throw new UsageError(`threads has no action "${safeName(action, 64)}", expected ${names}.`);
    }
    if (rest.length !== ACTIONS[action]) {
      throw new UsageError(
        `threads ${action} takes ${ACTIONS[action] === 0 ? "nothing more" : "one NAME"}.`,
      );
    }
    const node = await findNode(options);
    const [name] = rest;
    if (action === "delete") {
      const { deleted } = await node.threads.delete({ name }, signal);
      if (terminal.json) terminal.value({ name, deleted });
      else terminal.line(safeLine(deleted ? `Deleted ${name}.` : `There was no ${name}.`));
      return deleted ? 0 : 1;
    }
    if (action === "show") {
      const thread = await node.threads.get(name, signal);
      if (terminal.json) terminal.value(thread);
      else show(thread, terminal);
      return 0;
    }
    const all = await node.threads.list(signal);
    if (terminal.json) {
      terminal.value(all);
      return 0;
    }
    const rows = all.map((one) => [
      safeLine(one.name),
      `${one.messages}`,
      `${one.agentResults}`,
      one.unfinished === undefined ? "–" : safeLine(stage(one.unfinished)),
    ]);
    const headings = ["NAME", "MESSAGES", "ANSWERS", "NOT ENDED"];
    for (const line of table(headings, rows, terminal.columns)) terminal.line(line);
    return 0;
  },
};

function show({ name, messages, data, unfinished }: ThreadBody, terminal: Terminal): void {
  for (const { role, agent, content } of messages) {
    const who = terminal.style("dim", `${safeLine(agent ?? role)}:`);
    terminal.line(`${who} ${safeText(content)}`);
  }
  for (const [key, value] of Object.entries(data)) {
    terminal.line(terminal.style("dim", safeLine(`${key} = ${JSON.stringify(value)}`)));
  }
  if (unfinished === undefined) return;
  terminal.error(terminal.style("yellow", safeLine(stage(unfinished))));
  if (unfinished.isUnderWay) return;
  const mend = `Resume it: hanzo-network run --thread ${JSON.stringify(name)}`;
  terminal.error(terminal.style("yellow", safeLine(mend)));
}

/** How far a run has come. */
function stage({ isUnderWay, nodeId, steps, calling, failure }: UnfinishedRun): string {
  const after = `after ${plural(steps, "answer")}`;
  const next = calling === undefined ? "" : `, with ${calling} asked`;
  if (isUnderWay) return `under way on ${nodeId} ${after}${next}`;
  return `broke off on ${nodeId} ${after}${next}${failure === undefined ? "" : `: ${failure}`}`;
}
