/** Three agents in a row that write down when they begin, for nodes of the tests. */

import { type Agent, createAgent } from "../../src/agents/agent.ts";
import { type AgentNetwork, createNetwork } from "../../src/agents/networks/agent_network.ts";

/** The prompt is a file: who begins is written into it, and `second` does not end while FILE.hold is there. */
function noting(name: string): Agent {
  return createAgent({
    name,
    description: "Writes into the file of the prompt that it has begun",
    run: async ({ prompt, state, signal }) => {
      const file = new URL(prompt);
      await Deno.writeTextFile(file, `${name}\n`, { append: true });
      if (name === "second" && await exists(new URL(`${prompt}.hold`))) {
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        );
      }
      return `${name} after ${state.agentResults.map(({ agent }) => agent).join("+") || "nobody"}`;
    },
  });
}

async function exists(file: URL): Promise<boolean> {
  return await Deno.stat(file).then(() => true, () => false);
}

export const press: AgentNetwork = createNetwork({
  name: "press",
  agents: [noting("first"), noting("second"), noting("third")],
});
