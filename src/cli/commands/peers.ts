/** `peers`: the peers that a node knows. */

import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { showMilliseconds } from "../show.ts";
import { table } from "../table.ts";

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
    const rows = peers.sort((a, b) => a.nodeId < b.nodeId ? -1 : 1).map((peer) => [
      peer.nodeId,
      peer.state,
      peer.address,
      peer.interface ?? "–",
      peer.via,
      showMilliseconds(peer.latencyMs),
      `${((Date.now() - peer.lastSeen) / 1000).toFixed(1)} s ago`,
      peer.problem ?? "",
    ]);
    const headings = [
      "NODE",
      "STATE",
      "ADDRESS",
      "INTERFACE",
      "FOUND BY",
      "ROUND TRIP",
      "LAST SEEN",
      "PROBLEM",
    ];
    for (const line of table(headings, rows, terminal.columns)) terminal.line(line);
    return 0;
  },
};
