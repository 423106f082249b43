/** An agent that takes as many milliseconds as its prompt says, for nodes of the tests. */

import { createAgent } from "../../src/agents/agent.ts";
import { sleep, systemClock } from "../../src/base/clock.ts";

export const patient = createAgent({
  name: "patient",
  description: "Takes as many milliseconds as it is told",
  run: async ({ prompt, nodeId, signal }) => {
    await sleep(systemClock, Number(prompt), signal);
    return `slept on ${nodeId}`;
  },
});
