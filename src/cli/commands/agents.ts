/** `agents`: what can be run on the network, and where. */

import { type Command, type Invocation, NODE_OPTIONS } from "../command.ts";
import { findNode } from "../node_client.ts";
import { table } from "../table.ts";

export const command: Command = {
  positionals: "",
  summary: "List the agents of the network",
  options: NODE_OPTIONS,
  example: "hanzo-network agents",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const agents = await (await findNode(options)).agents(signal);
    if (terminal.json) {
      terminal.value(agents);
      return 0;
    }
    const rows = agents.map(({ agent, nodes }) => [
      agent.name,
      agent.workload,
      agent.tools.join(", ") || "–",
      nodes.join(", "),
      agent.description,
    ]);
    const headings = ["AGENT", "WORK", "TOOLS", "NODES", "DESCRIPTION"];
    for (const line of table(headings, rows, terminal.columns)) terminal.line(line);
    return 0;
  },
};
