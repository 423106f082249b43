/** `drain`: lets a node finish what it has, and then stop. */

import { sleep, systemClock } from "../../base/clock.ts";
import { NetworkError } from "../../base/errors.ts";
import { dataDirectory, runningNodes } from "../../network/data_directory.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { environment } from "../option_values.ts";
import { plural } from "../show.ts";

const LOOK_INTERVAL_MS = 200;

export const command: Command = {
  positionals: "",
  summary: "Let a node finish what runs, take nothing new, and stop",
  options: NODE_OPTIONS,
  example: "hanzo-network drain --node-id old-laptop",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const node = await findNode(options);
    const { nodeId, tasks } = await node.drain(signal);
    if (!terminal.json && tasks.length > 0) {
      terminal.line(`${nodeId} takes no new tasks and finishes ${plural(tasks.length, "task")} …`);
    }
    const directory = dataDirectory(options.text("data-dir"), environment);
    // One that is only slow to answer has not stopped.
    while ((await runningNodes(directory)).some((one) => one.nodeId === nodeId)) {
      await sleep(systemClock, LOOK_INTERVAL_MS, signal).catch(() => {
        throw new NetworkError("CANCELLED", `Waits no longer: ${nodeId} goes on draining.`);
      });
    }
    if (terminal.json) terminal.value({ nodeId, state: "stopped", tasks });
    else terminal.line(`${nodeId} has stopped.`);
    return 0;
  },
};
