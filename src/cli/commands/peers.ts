/** `peers`: the peers that a node knows. */

import { systemClock } from "../../base/clock.ts";
import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { peersReport, refusalNotes, unreachedNotes } from "../show.ts";

export const command: Command = {
  positionals: "",
  summary: "List the peers",
  options: NODE_OPTIONS,
  example: "hanzo-network peers",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const node = await findNode(options);
    const peers = await node.peers(signal);
    if (terminal.json) {
      terminal.value(peers);
      return 0;
    }
    if (peers.length === 0) {
      const { refusedBy, unreached } = await node.status(signal);
      const lines = [...refusalNotes(refusedBy, terminal), ...unreachedNotes(unreached, terminal)];
      if (lines.length > 0) { for (const line of lines) terminal.line(line); }
      else terminal.line("No peers yet. Start another node: hanzo-network up");
      return 0;
    }
    const now = systemClock.wallTime();
    for (const line of peersReport(peers, terminal, now)) terminal.line(line);
    return 0;
  },
};
