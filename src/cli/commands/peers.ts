/** `peers`: the peers that a node knows. */

import { systemClock } from "../../base/clock.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { peersReport } from "../show.ts";

export const command: Command = {
  positionals: "",
  summary: "List the peers",
  options: NODE_OPTIONS,
  example: "hanzo-network peers",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const peers = await (await findNode(options)).peers(signal);
    if (terminal.json) {
      terminal.value(peers);
      return 0;
    }
    if (peers.length === 0) {
      terminal.line("No peers yet. Start another node: hanzo-network up");
      return 0;
    }
    const now = systemClock.wallTime();
    for (const line of peersReport(peers, terminal, now)) terminal.line(line);
    return 0;
  },
};
