/** `cancel`: stops a task, wherever it runs. */

import { NetworkError } from "../../base/errors.ts";
import { safeLine, safeName } from "../../base/safe_text.ts";
import type { TaskStatus } from "../../network/status.ts";
import { type Command, type Invocation, NODE_OPTIONS, UsageError } from "../command.ts";
import { findNode } from "../node_client.ts";
import { whatRuns } from "../show_tasks.ts";

export const command: Command = {
  positionals: "ID",
  summary: "Stop a task, wherever it runs",
  options: NODE_OPTIONS,
  example: "hanzo-network cancel 01JD3VPK",
  async run({ positionals, options, terminal, signal }: Invocation): Promise<number> {
    const [prefix = ""] = positionals;
    if (positionals.length !== 1 || prefix === "") {
      throw new UsageError("cancel takes one ID, or its beginning. See: hanzo-network tasks");
    }
    const node = await findNode(options);
    const tasks = (await node.tasks(signal)).filter((task) => task.state !== "ended");
    const task = await node.cancel({ taskId: theOne(prefix, tasks).taskId }, signal);
    if (terminal.json) terminal.value(task);
    else {
      const where = task.nodeId === null ? "before a device was chosen" : `on ${task.nodeId}`;
      terminal.line(
        safeLine(`Cancelled ${task.taskId}: ${whatRuns(task)} ${where}, for ${task.caller}.`),
      );
    }
    return 0;
  },
};

/**
 * The task whose id begins so.
 *
 * @throws {NetworkError} `NOT_FOUND` when there is none, `INVALID_ARGUMENT` when there are several.
 */
export function theOne(prefix: string, tasks: readonly TaskStatus[]): TaskStatus {
  // Ids are in capitals; who types one may not be.
  const found = tasks.filter(({ taskId }) => taskId.startsWith(prefix.toUpperCase()));
  if (found.length === 1) return found[0];
  const shown = JSON.stringify(safeName(prefix, 64));
  if (found.length > 1) {
    const ids = found.slice(0, 5).map(({ taskId }) => taskId).join(", ");
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot cancel ${shown}: ${found.length} tasks begin so (${ids}${
        found.length > 5 ? ", …" : ""
      }). Give more of the id.`,
    );
  }
  throw new NetworkError(
    "NOT_FOUND",
    `Cannot cancel ${shown}: the node neither runs such a task nor waits for one. It may have ` +
      "ended. See: hanzo-network tasks",
  );
}
