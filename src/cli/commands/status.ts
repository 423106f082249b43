/** `status`: what a node and its peers are doing now. */

import { sleep, systemClock } from "../../base/clock.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { LiveRegion } from "../live_region.ts";
import { findNode } from "../node_client.ts";
import { statusReport } from "../show.ts";

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
    const isWatching = options.flag("watch");
    const region = new LiveRegion(terminal);
    do {
      const status = await node.status(signal).catch((thrown) => {
        if (isWatching && signal.aborted) return undefined;
        throw thrown;
      });
      if (status === undefined) break;
      const report = () => statusReport(status, terminal, systemClock.wallTime());
      if (terminal.json) terminal.value(status);
      // Drawn over the last one for a person, one after the other into a file.
      else if (terminal.isInteractive && isWatching) region.show(report());
      else for (const line of report()) terminal.line(line);
      if (isWatching) await sleep(systemClock, WATCH_INTERVAL_MS, signal).catch(() => {});
    } while (isWatching && !signal.aborted);
    return 0;
  },
};
