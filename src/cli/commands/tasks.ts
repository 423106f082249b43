/** `tasks`: what runs where since when, and what the last tasks came to. */

import { sleep, systemClock } from "../../base/clock.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { LiveRegion } from "../live_region.ts";
import { findNode } from "../node_client.ts";
import { tasksReport } from "../show_tasks.ts";

const WATCH_INTERVAL_MS = 1_000;

export const command: Command = {
  positionals: "",
  summary: "Show what runs where since when, and what the last tasks came to",
  options: [
    { name: "explain", kind: "flag", help: "say what was thought of each device" },
    { name: "watch", kind: "flag", help: "show it again every second, until Ctrl-C" },
    ...NODE_OPTIONS,
  ],
  example: "hanzo-network tasks --watch",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const node = await findNode(options);
    const isWatching = options.flag("watch");
    const region = new LiveRegion(terminal);
    do {
      const tasks = await node.tasks(signal, options.flag("explain")).catch((thrown) => {
        if (isWatching && signal.aborted) return undefined;
        throw thrown;
      });
      if (tasks === undefined) break;
      const report = () => tasksReport(tasks, terminal, systemClock.wallTime());
      if (terminal.json) terminal.value(tasks);
      // Drawn over the last one for a person, one after the other into a file.
      else if (terminal.isInteractive && isWatching) region.show(report());
      else for (const line of report()) terminal.line(line);
      if (isWatching) await sleep(systemClock, WATCH_INTERVAL_MS, signal).catch(() => {});
    } while (isWatching && !signal.aborted);
    return 0;
  },
};
