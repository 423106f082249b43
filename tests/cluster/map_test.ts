/** Many prompts in a whole network in memory: that they are spread, and wait for room. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import type { MapItem } from "../../src/tasks/map_prompts.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

/** `a`, which asks, and `b` and `c`, which have the agent and one slot each. */
async function startThree(fleet: MemoryFleet) {
  const held = heldAgent({ workload: "heavy" });
  const a = await fleet.start({ nodeId: "a" });
  for (const nodeId of ["b", "c"]) {
    await fleet.start({ nodeId, agents: [held.agent], slots: 1 });
  }
  await fleet.advance(500);
  return { a, held };
}

function collect({ network }: MemoryNode, prompts: string[], concurrency?: number) {
  return Array.fromAsync(network.map("held", prompts, { concurrency }));
}

/** Lets the runs end one after the other until all is told. */
async function answerAll(
  fleet: MemoryFleet,
  { runs }: ReturnType<typeof heldAgent>,
  all: Promise<MapItem[]>,
): Promise<MapItem[]> {
  let isDone = false;
  all.finally(() => isDone = true).catch(() => {});
  let answered = 0;
  for (let i = 0; !isDone; i++) {
    assert(i < 1_000, "it does not end");
    if (answered < runs.length) {
      const { context, answer } = runs[answered++];
      answer(`${context.prompt} done`);
    }
    await fleet.advance(100);
  }
  return await all;
}

Deno.test("prompts are spread over the devices, twice their slots at a time", async () => {
  await using fleet = new MemoryFleet(701);
  const { a, held } = await startThree(fleet);
  const prompts = Array.from({ length: 12 }, (_, i) => `p${i}`);
  const all = collect(a, prompts);
  await fleet.advance(100);
  assertEquals(a.network.getNetworkStatus().peers.b.state, "alive");
  assertEquals(new Set(held.runs.map(({ context }) => context.nodeId)), new Set(["b", "c"]));
  const items = await answerAll(fleet, held, all);
  assertEquals(
    items.map((item) => "result" in item ? item.result.output : item.error.message),
    prompts.map((prompt) => `${prompt} done`),
  );
});

Deno.test("a network that is full for a while fails no prompt", async () => {
  await using fleet = new MemoryFleet(702);
  const { a, held } = await startThree(fleet);
  const prompts = Array.from({ length: 40 }, (_, i) => `p${i}`);
  // Two run and eight wait at most: the others are refused at first.
  const items = await answerAll(fleet, held, collect(a, prompts, 40));
  assertEquals(items.filter((item) => "error" in item), []);
  assertEquals(items.map(({ index }) => index), prompts.map((_, i) => i));
});

Deno.test("the first answer stops the others, on other devices, too", async () => {
  await using fleet = new MemoryFleet(703);
  const { a, held } = await startThree(fleet);
  const first = a.network.first("held", ["slow", "fast"]);
  await fleet.advance(100);
  held.runs.find(({ context }) => context.prompt === "fast")!.answer("done");
  const { output } = await fleet.wait(first);
  assertEquals(output, "done");
  await fleet.advance(100);
  const slow = held.runs.find(({ context }) => context.prompt === "slow")!;
  assertEquals(slow.context.signal.aborted, true);
});

Deno.test("what is wrong with the whole is told at once", async () => {
  await using fleet = new MemoryFleet(704);
  const { a } = await startThree(fleet);
  const { network } = a;
  for (const concurrency of [0, 257, 1.5, NaN]) {
    const error = assertThrows(() => network.map("held", [], { concurrency }), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  assertThrows(() => network.map("nobody", []), NetworkError, "no node of the network has it");
  await assertRejects(() => network.first("held", []), NetworkError, "no prompts");
});

Deno.test("what is no prompt is told, and a text alone is not taken for its letters", async () => {
  await using fleet = new MemoryFleet(709);
  const { network } = await fleet.start({ nodeId: "a" });
  for (const prompts of ["1 + 1", 7, undefined, null]) {
    // deno-lint-ignore no-explicit-any
    const error = assertThrows(() => network.map("calculator", prompts as any), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  // deno-lint-ignore no-explicit-any
  const items = await Array.fromAsync(network.map("calculator", ["1 + 1", 2 as any]));
  assertEquals(
    items.map((item) => "result" in item ? item.result.output : item.error.message),
    ["2", "Cannot run an agent: the prompt is of the type number, expected a string."],
  );
});
