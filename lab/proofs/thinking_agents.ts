/** Agents whose models are the network's, for nodes of the tests. */

import { z } from "zod";
import { type Agent, createAgent } from "../../src/agents/agent.ts";
import { createTool } from "../../src/agents/tool.ts";

const double = createTool({
  name: "double",
  description: "Doubles a number",
  parameters: z.object({ n: z.number() }),
  handler: ({ n }) => 2 * n,
});

export const doubler: Agent = createAgent({
  name: "doubler",
  description: "Doubles numbers with a tool",
  model: "llama3.2",
  system: "Use the tool.",
  tools: [double, "calculator"],
});

export const clerk: Agent = createAgent({
  name: "clerk",
  description: "Answers with data",
  model: "default",
  output: z.object({ total: z.number() }),
});
