/** Agents of a node that talks without end, and of others that it must not keep from working. */

import { createAgent } from "../../src/agents/agent.ts";

/** What all runs of `flood` have handed over so far, in bytes, and how many go on. */
let emitted = 0;
let running = 0;

export const flood = createAgent({
  name: "flood",
  description: "Talks without end, as fast as it is heard, in pieces of so many bytes",
  async *run({ prompt }) {
    const piece = "x".repeat(Number(prompt));
    running++;
    try {
      for (;;) {
        emitted += piece.length;
        yield piece;
      }
    } finally {
      running--;
    }
  },
});

export const flooded = createAgent({
  name: "flooded",
  description: "Says how much was said",
  run: () => JSON.stringify({ emitted, running }),
});

export const echo = createAgent({
  name: "echo",
  description: "Says it again",
  run: ({ prompt }) => prompt,
});
