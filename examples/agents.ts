/**
 * Agents for a node: `deno run -A cli.ts up --agents examples/agents.ts`, and then
 * `deno run -A cli.ts run "3 dice" --agent dice`.
 */

import { type Agent, createAgent, createTool } from "@hanzo/network";
import { z } from "zod";

const roll = createTool({
  name: "roll",
  description: "Rolls dice",
  parameters: z.object({ count: z.number().int().min(1).max(100) }),
  handler: ({ count }) => Array.from({ length: count }, () => 1 + Math.floor(Math.random() * 6)),
});

/** Rolls as many dice as the prompt says, and streams them one by one. */
export const dice: Agent = createAgent({
  name: "dice",
  description: 'Rolls dice: "3 dice"',
  tools: [roll],
  // Another roll would be another answer: it must not be run again after an unclear end.
  idempotent: false,
  async *run({ prompt, callTool }) {
    const count = Number(/\d+/.exec(prompt)?.[0] ?? 1);
    const rolled = await callTool("roll", { count }) as number[];
    for (const eyes of rolled) yield `${eyes} `;
    const sum = rolled.reduce((a, b) => a + b, 0);
    return { output: `${rolled.join(" + ")} = ${sum}`, data: { rolled, sum } };
  },
});

/** Says how long a text is; background work, so it goes to the smallest device. */
export const length: Agent = createAgent({
  name: "length",
  description: "Counts the characters of the text beside the prompt",
  workload: "background",
  run: ({ prompt, context }) => `${[...(context || prompt)].length} characters`,
});
