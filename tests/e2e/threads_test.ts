/** Threads of real nodes: one is killed in the middle of a run of three agents, and the run goes on. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { pathToFileURL } from "node:url";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { ThreadBody } from "../../src/gateway/thread_routes.ts";
import { eventually } from "../support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

const AGENTS = `--agents=${new URL("press_agents.ts", import.meta.url).pathname}`;

Deno.test("a run whose node is killed goes on from another device, and from the same one", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const fileOf = (thread: string) => `${pathToFileURL(directory)}/${thread}`;
    const begun = async (thread: string) =>
      (await Deno.readTextFile(new URL(fileOf(thread))).catch(() => "")).split("\n").slice(0, -1);
    const hold = (thread: string) => new URL(`${fileOf(thread)}.hold`);
    const run = (node: string, thread: string) =>
      machine.askJson<RunResult>(node, "run", fileOf(thread), "--agent=press", "--thread", thread);
    await using a = machine.up("A", AGENTS);
    await using b = machine.up("B", AGENTS);
    await Promise.all([ready(a), ready(b)]);
    await Promise.all([peerEvent(a, "peer-joined", "B"), peerEvent(b, "peer-joined", "A")]);

    const threads = ["elsewhere", "again"];
    const broken = threads.map(async (thread) => {
      await Deno.writeTextFile(hold(thread), "");
      return await machine.ask("A", "run", fileOf(thread), "--agent=press", "--thread", thread);
    });
    for (const thread of threads) {
      await eventually(async () => (await begun(thread)).length === 2, {
        what: "the second agent",
      });
    }
    a.kill("SIGKILL");
    await a.status;
    for (const { code, stderr } of await Promise.all(broken)) {
      assertEquals(code, 1);
      assertStringIncludes(stderr, "ended in the middle of its answer");
    }
    await peerEvent(b, "peer-died", "A");
    for (const thread of threads) await Deno.remove(hold(thread));

    const there = await run("B", "elsewhere");
    assertEquals([there.output, there.agent], ["third after first+second", "third"]);
    assertEquals(await begun("elsewhere"), ["first", "second", "second", "third"]);

    await using restarted = machine.up("A", AGENTS);
    await ready(restarted);
    const shown = await machine.ask("A", "threads", "show", "again");
    assertStringIncludes(shown.stderr, "broke off on A after 1 answer, with second asked\n");
    const here = await machine.askJson<RunResult>("A", "run", "--thread=again");
    assertEquals(here.output, "third after first+second");
    assertEquals(await begun("again"), ["first", "second", "second", "third"]);

    await eventually(async () => {
      const { agentResults } = await machine.askJson<ThreadBody>("B", "threads", "show", "again");
      return agentResults.map(({ agent }) => agent).join() === "first,second,third";
    }, { what: "the thread on B" });
    const nothing = await machine.ask("B", "run", "--thread=again");
    assertStringIncludes(nothing.stderr, "its last run has ended");
    assertEquals((await machine.ask("B", "threads", "delete", "again")).stdout, "Deleted again.\n");
  });
});
