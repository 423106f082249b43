/** What a network notes that a run in a thread asks as one agent. */

import { assertEquals } from "@std/assert";
import type { AgentResult } from "../../../src/agents/run_state.ts";
import { RunStateStore } from "../../../src/agents/run_state_store.ts";
import { InsideJournal } from "../../../src/network/threads/inside_journal.ts";
import { Replica } from "../../support/replicas.ts";

const INSIDE = "threads/t/inside/r";
const RUN = "threads/t/run/r";

const resultOf = (agent: string): AgentResult => (
  { agent, nodeId: "n", taskId: "t", output: agent, durationMs: 1 }
);

function rig() {
  const { state: shared } = new Replica(0);
  const open = (network = "press", asked = "Go") => {
    const state = new RunStateStore().fork();
    const thread = { name: "t", run: "r" };
    return {
      state,
      journal: new InsideJournal({ shared: () => shared, thread, network, asked, state }),
    };
  };
  /** One of its agents answers, as the loop has it. */
  const answer = async ({ state, journal }: ReturnType<typeof open>, agent: string) => {
    state.data.set(agent, true);
    state.addMessage({ role: "assistant", agent, content: agent });
    state.addResult(resultOf(agent));
    await journal.answered(resultOf(agent));
  };
  return { shared, open, answer };
}

Deno.test("who is asked again finds what was changed and answered, and only for the same question", async () => {
  const { shared, open, answer } = rig();
  await shared.set(RUN, {});
  const first = open();
  assertEquals(first.journal.progress, undefined);
  first.state.addMessage({ role: "user", content: "Go!" });
  await first.journal.begun("Go!");
  await answer(first, "a");
  await answer(first, "b");
  const again = open();
  assertEquals(again.journal.progress, {
    prompt: "Go!",
    steps: 2,
    last: resultOf("b"),
    calling: undefined,
  });
  assertEquals(again.state.messages.map(({ content }) => content), ["Go!", "a", "b"]);
  assertEquals([...again.state.data.keys()], ["a", "b"]);
  assertEquals(again.state.changes()?.data, { a: true, b: true });
  await answer(again, "c");
  assertEquals(open().journal.progress?.steps, 3);
  for (const other of [open("press", "Stop"), open("desk")]) {
    assertEquals([other.journal.progress, other.state.messages], [undefined, []]);
  }
});

Deno.test("who is late neither takes back what was noted since, nor notes anything of what is over", async () => {
  const { shared, open, answer } = rig();
  await shared.set(RUN, {});
  const late = open();
  const ahead = open();
  await answer(ahead, "a");
  await answer(ahead, "b");
  await answer(late, "x");
  assertEquals(open().journal.progress?.last?.agent, "b");
  await shared.delete(RUN);
  await shared.delete(INSIDE);
  await answer(late, "y");
  assertEquals(shared.keys(), []);
});

Deno.test("what cannot be kept, or is none of ours, stops nobody", async () => {
  const { shared, open, answer } = rig();
  await shared.set(RUN, {});
  for (const wrong of [7, "{", '{"network":"press"}', "[".repeat(1_000)]) {
    await shared.set(INSIDE, wrong);
    assertEquals(open().journal.progress, undefined);
  }
  await shared.delete(INSIDE);
  const long = open();
  long.state.addMessage({ role: "system", content: "x".repeat(2 ** 20) });
  await answer(long, "a");
  assertEquals(shared.keys(), [RUN]);
});
