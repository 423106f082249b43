/**
 * A network of agents without any model: `deno run -A examples/newsroom.ts "The Raspberry Pi"` runs
 * it on this machine alone. `deno run -A cli.ts up --agents examples/newsroom.ts` offers it to all
 * your devices: `deno run -A cli.ts run "The Raspberry Pi" --agent newsroom`. With `--thread NAME`
 * what it notes stays for the next run, so that each run begins by saying what it is about.
 *
 * A researcher notes facts, a writer makes a text of them, and a reviewer sends it back until it is
 * short enough.
 */

import { type AgentNetwork, createAgent, createNetwork, createRouter } from "@hanzo/network";

const researcher = createAgent({
  name: "researcher",
  description: "Notes what there is to say",
  run({ prompt, state }) {
    const facts = ["It is a computer", "It is small", "It is quiet", "It needs little power"];
    state.data.set("facts", facts.map((fact) => fact.replace("It", prompt)));
    state.data.set("drafts", 0);
    return `${facts.length} facts about ${prompt}`;
  },
});

const writer = createAgent({
  name: "writer",
  description: "Makes a text of the facts, one shorter each time it is asked",
  run({ state }) {
    const facts = state.data.get("facts") as string[];
    const drafts = state.data.get("drafts") as number;
    state.data.set("drafts", drafts + 1);
    return `${facts.slice(0, facts.length - drafts).join(". ")}.`;
  },
});

const reviewer = createAgent({
  name: "reviewer",
  description: "Reads it, and says whether it may be printed",
  run({ state }) {
    const text = state.agentResults.at(-1)!.output;
    const isGood = text.split(". ").length <= 2;
    state.data.set("approved", isGood);
    return isGood ? text : "Too long!";
  },
});

/** Asked what to write about, it answers with a text that its reviewer is content with. */
export const newsroom: AgentNetwork = createNetwork({
  name: "newsroom",
  description: "Writes a short text about what it is asked",
  agents: [researcher, writer, reviewer],
  router: createRouter(({ state, lastResult }) => {
    if (lastResult === undefined) return researcher;
    if (lastResult.agent === "writer") return reviewer;
    const isDone = lastResult.agent === "reviewer" && state.data.get("approved") === true;
    return isDone ? undefined : writer;
  }, { name: "editor" }),
});

if (import.meta.main) {
  for await (const event of newsroom.stream(Deno.args[0] ?? "The Raspberry Pi")) {
    if (event.type === "step-result") {
      console.log(`${event.step}. ${event.result.agent}: ${event.result.output}`);
    } else if (event.type === "result") {
      console.log(`\n${event.result.output}`);
    }
  }
}
