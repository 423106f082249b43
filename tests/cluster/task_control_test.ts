/** Seeing and stopping tasks on a network: who lists them, who may stop them, who is told. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import type { EndedTask, TaskStatus } from "../../src/network/status.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

const errorOf = (promise: Promise<unknown>): Promise<NetworkError> =>
  promise.then(
    () => Promise.reject(new Error("It should have failed.")),
    (thrown) => thrown,
  );

const tasksOf = ({ network }: MemoryNode): TaskStatus[] => network.getNetworkStatus().tasks;
const recentOf = ({ network }: MemoryNode): EndedTask[] => network.getNetworkStatus().recentTasks;

/** Two nodes of which both have the agent, with one slot each. */
async function pair(fleet: MemoryFleet) {
  const [onA, onB] = [heldAgent(), heldAgent()];
  const a = await fleet.start({ nodeId: "a", agents: [onA.agent], slots: 1 });
  const b = await fleet.start({ nodeId: "b", agents: [onB.agent], slots: 1 });
  await fleet.advance(500);
  return { a, b, onA, onB };
}

Deno.test("a task that runs elsewhere is listed on both nodes, and then remembered by its caller", async () => {
  await using fleet = new MemoryFleet(701);
  const { a, b, onB } = await pair(fleet);
  const running = a.network.run("a secret", { initialAgent: "held", nodeId: "b" });
  const waiting = a.network.run("a secret", { initialAgent: "held", nodeId: "b" });
  await fleet.advance(100);
  const short = (node: MemoryNode) =>
    tasksOf(node).map(({ state, nodeId, caller }) => [state, nodeId, caller]);
  const expected = [["running", "b", "a"], ["waiting", "b", "a"]];
  assertEquals(short(a), expected);
  assertEquals(short(b), expected);
  assertEquals(tasksOf(a).map(({ taskId }) => taskId), tasksOf(b).map(({ taskId }) => taskId));
  const [{ since, runningMs }] = tasksOf(a);
  assertEquals(since, Math.round(fleet.clock.wallTime() - runningMs));
  assert(runningMs > 90 && runningMs <= 100, `${runningMs}`);

  onB.runs[0].answer("done");
  await fleet.wait(running);
  await fleet.advance(10);
  onB.runs[1].fail(new Error("no"));
  await fleet.wait(errorOf(waiting));
  assertEquals([tasksOf(a), tasksOf(b), recentOf(b)], [[], [], []]);
  const recent = recentOf(a);
  assertEquals(recent.map(({ outcome, nodeIds, attempts }) => [outcome, nodeIds, attempts]), [
    ["AGENT_FAILED", ["b"], 1],
    ["ok", ["b"], 1],
  ]);
  assertEquals(recent[1].reason, "it was asked for");
  assert(!JSON.stringify(a.network.getNetworkStatus()).includes("secret"), "a prompt is kept");
});

Deno.test("whoever has asked for a task stops it where it runs, and the slot is free", async () => {
  await using fleet = new MemoryFleet(702);
  const { a, b, onB } = await pair(fleet);
  const failed = errorOf(a.network.run("x", { initialAgent: "held", nodeId: "b" }));
  await fleet.advance(50);
  const [{ taskId }] = tasksOf(a);
  const { nodeId, state } = a.network.cancel(taskId);
  assertEquals([nodeId, state], ["b", "running"]);
  const { code, message } = await fleet.wait(failed, 100);
  assertEquals(code, "CANCELLED");
  assertEquals(message, `Task ${taskId} was cancelled on node "a".`);
  await fleet.advance(10);
  assert(onB.runs[0].context.signal.aborted, "it goes on there");
  assertEquals(b.network.getNetworkStatus().activeTasks, 0);
  assertEquals(recentOf(a).map(({ outcome }) => outcome), ["CANCELLED"]);
});

for (const which of ["running", "waiting"]) {
  Deno.test(`the device where a task is ${which} stops it, and no other one runs it instead`, async () => {
    await using fleet = new MemoryFleet(703);
    const a = await fleet.start({ nodeId: "a" });
    const held = [heldAgent(), heldAgent()];
    const others = [
      await fleet.start({ nodeId: "b", agents: [held[0].agent], slots: 1 }),
      await fleet.start({ nodeId: "c", agents: [held[1].agent], slots: 1 }),
    ];
    await fleet.advance(500);
    if (which === "waiting") {
      for (const { network } of others) {
        network.run("first", { initialAgent: "held", nodeId: network.nodeId }).catch(() => {});
      }
      await fleet.advance(50);
    }
    const failed = errorOf(a.network.run("x", { initialAgent: "held" }));
    await fleet.advance(50);
    const [{ taskId, state, nodeId }] = tasksOf(a);
    assertEquals(state, which);
    const { network } = others.find(({ network }) => network.nodeId === nodeId)!;
    assertEquals(network.cancel(taskId).caller, "a");
    const { code, message } = await fleet.wait(failed, 100);
    assertEquals([code, message], [
      "CANCELLED",
      `Task ${taskId} was cancelled on node "${nodeId}".`,
    ]);
    await fleet.advance(1_000);
    const begun = held.flatMap(({ prompts }) => prompts).filter((prompt) => prompt === "x");
    assertEquals(begun.length, which === "running" ? 1 : 0, "another device runs it");
    assertEquals(tasksOf(a), []);
  });
}

Deno.test("a task of its own that runs here is cancelled, and then there is nothing to cancel", async () => {
  await using fleet = new MemoryFleet(704);
  const held = heldAgent();
  const { network } = await fleet.start({ nodeId: "a", agents: [held.agent], slots: 1 });
  const failed = errorOf(network.run("x", { initialAgent: "held" }));
  await fleet.advance(10);
  const [{ taskId, nodeId, caller }] = network.getNetworkStatus().tasks;
  assertEquals([nodeId, caller], ["a", "a"]);
  network.cancel(taskId);
  assertEquals((await fleet.wait(failed, 100)).code, "CANCELLED");
  assertEquals(network.getNetworkStatus().tasks, []);
  const { code, message } = assertThrows(() => network.cancel(taskId), NetworkError);
  assertEquals(code, "NOT_FOUND");
  assertStringIncludes(message, "It may have ended. See: hanzo-network tasks");
});

Deno.test("a node that drains takes nothing new, and goes when the last task has ended", async () => {
  await using fleet = new MemoryFleet(705);
  const { a, b, onA, onB } = await pair(fleet);
  const first = a.network.run("x", { initialAgent: "held", nodeId: "b" });
  await fleet.advance(50);
  const draining = b.network.drain();
  // Before the news of it has arrived it is asked and refuses, and the next one does it at once.
  const early = a.network.run("early", { initialAgent: "held", near: ["b"] });
  await fleet.advance(50);
  assertEquals(onA.prompts, ["early"]);
  onA.runs[0].answer("done");
  assertEquals((await fleet.wait(early)).nodeId, "a");
  const refused = await fleet.wait(
    errorOf(a.network.run("y", { initialAgent: "held", nodeId: "b" })),
  );
  assertEquals(refused.code, "UNAVAILABLE");
  assertStringIncludes(refused.message, "b is draining");
  await fleet.advance(60_000);
  assertEquals([b.network.getNetworkStatus().state, onB.prompts], ["stopping", ["x"]]);
  onB.runs[0].answer("done");
  assertEquals((await fleet.wait(first)).output, "done");
  await fleet.wait(draining, 1_000);
  assertEquals(b.network.getNetworkStatus().state, "stopped");
  await fleet.advance(100);
  assertEquals(a.told.at(-1), "peer-left b");
});

Deno.test("a node that drains waits for what it has asked others, and a stop sets it a limit", async () => {
  await using fleet = new MemoryFleet(706);
  const { a, onB } = await pair(fleet);
  const run = () => a.network.run("x", { initialAgent: "held", nodeId: "b" });
  const first = run();
  await fleet.advance(50);
  const draining = a.network.drain();
  await fleet.advance(60_000);
  assertEquals(a.network.getNetworkStatus().state, "stopping");
  const stopping = a.network.stop({ drainMs: 1_000 });
  const outcome = errorOf(first);
  await fleet.advance(900);
  assertEquals(a.network.getNetworkStatus().state, "stopping");
  await fleet.wait(Promise.all([draining, stopping]), 1_000);
  assertEquals((await outcome).code, "UNKNOWN_OUTCOME");
  await fleet.advance(10);
  assert(onB.runs[0].context.signal.aborted, "it goes on there");
});

Deno.test("what was thought of each device is remembered with the figures of that moment", async () => {
  await using fleet = new MemoryFleet(707);
  const { a, onB } = await pair(fleet);
  const running = [1, 2].map(() => a.network.run("x", { initialAgent: "held", near: ["b"] }));
  await fleet.advance(50);
  const { tasks, recentTasks } = a.network.getNetworkStatus();
  assertEquals([...tasks, ...recentTasks].map((one) => "considered" in one), [false, false]);
  const considered = () => {
    const { tasks, recentTasks } = a.network.getNetworkStatus({ explain: true });
    return [...tasks, ...recentTasks].map(({ considered }) =>
      considered?.map(({ nodeId, place, reason }) => [nodeId, place, reason])
    );
  };
  const guess = "about 0.2 TFLOPS";
  const [first, second] = [
    [["b", 1, `${guess}, 0 tasks on 1 slot`], ["a", 2, `${guess}, 0 tasks on 1 slot`]],
    [["a", 1, `${guess}, 0 tasks on 1 slot`], ["b", 2, `${guess}, 1 task on 1 slot`]],
  ];
  assertEquals(considered(), [second, first]);
  onB.runs[0].answer("done");
  await fleet.wait(running[0]);
  assertEquals(considered(), [second, first]);
  a.network.cancel(a.network.getNetworkStatus().tasks[0].taskId);
  await fleet.wait(errorOf(running[1]));
});
