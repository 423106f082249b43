/** `status`: what a node and its peers are doing now. */

import { sleep, systemClock } from "../../base/clock.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode, type NodeClient } from "../node_client.ts";
import { plural, statusTable } from "../show.ts";
import type { Terminal } from "../terminal.ts";

const WATCH_INTERVAL_MS = 1_000;

export const command: Command = {
  positionals: "",
  summary: "Show this node, its peers and its tasks",
  options: [
    { name: "watch", kind: "flag", help: "show it again every second, until Ctrl-C" },
    ...NODE_OPTIONS,
  ],
  example: "hanzo-network status --watch",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const node = await findNode(options);
    if (!options.flag("watch")) {
      await show(node, terminal);
      return 0;
    }
    while (!signal.aborted) {
      // Drawn over the last one for a person, one after the other into a file.
      await show(node, terminal, terminal.isInteractive ? "\x1b[H\x1b[J" : "");
      await sleep(systemClock, WATCH_INTERVAL_MS, signal).catch(() => {});
    }
    return 0;
  },
};

async function show(node: NodeClient, terminal: Terminal, before = ""): Promise<void> {
  const status = await node.status();
  if (terminal.json) return terminal.value(status);
  const { name, nodeId, address, peerCount, activeTasks, queuedTasks, nameConflicts } = status;
  terminal.write(
    before + [
      `${terminal.style("bold", nodeId)} in network ${name}, links at ${address}: ` +
      `${plural(peerCount, "peer")}, ${
        plural(activeTasks, "task")
      } running, ${queuedTasks} waiting`,
      "",
      ...statusTable(status, terminal),
      ...nameConflicts.map(({ nodeId, host }) =>
        terminal.style("red", `A second node at ${host} calls itself ${nodeId} and was refused.`)
      ),
      "",
    ].join("\n"),
  );
}
