/** Tasks of real nodes on the loopback: seen on both sides, stopped, and finished before a node goes. */

import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { EndedTask, NetworkStatus, TaskStatus } from "../../src/network/status.ts";
import { NodeClient } from "../../src/cli/node_client.ts";
import { runningNodes } from "../../src/network/data_directory.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../../tests/support/nodes.ts";
import type { TestProcess } from "../../tests/support/process.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const AGENTS = new URL("../../tests/support/patient_agent.ts", import.meta.url).pathname;

type AnyTask = TaskStatus | EndedTask;

interface Pair {
  machine: TestMachine;
  a: TestProcess;
  b: TestProcess;
  client: Record<"A" | "B", NodeClient>;
}

/** Two nodes of one slot that both have the agent. */
async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const up = (nodeId: string) => machine.up(nodeId, "--slots=1", `--agents=${AGENTS}`);
    await using a = up("A");
    await ready(a);
    await using b = up("B");
    await ready(b);
    await Promise.all([peerEvent(a, "peer-joined", "B"), peerEvent(b, "peer-joined", "A")]);
    const nodes = await runningNodes(directory);
    const clientOf = (id: string) => new NodeClient(nodes.find(({ nodeId }) => nodeId === id)!);
    await use({ machine, a, b, client: { A: clientOf("A"), B: clientOf("B") } });
  });
}

/** Runs it and resolves to its result, or to the code of its error. */
async function outcomeOf(client: NodeClient, prompt: string, node?: string) {
  try {
    for await (const event of client.run({ prompt, agent: "patient", node })) {
      if (event.type === "result") return event.result;
    }
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
}

function runningOn(client: NodeClient, nodeId: string): Promise<TaskStatus> {
  return eventually(
    async () =>
      (await client.tasks()).find((task): task is TaskStatus =>
        task.state === "running" && task.nodeId === nodeId
      ),
    { what: `a task that runs on ${nodeId}` },
  );
}

Deno.test("a task on another node is listed on both, and cancel stops it within 100 ms and frees the slot", async () => {
  await withPair(async ({ machine, client }) => {
    const outcome = outcomeOf(client.A, "60000", "B");
    const [seenByA, seenByB] = await Promise.all([
      runningOn(client.A, "B"),
      runningOn(client.B, "B"),
    ]);
    assertEquals(seenByA.taskId, seenByB.taskId);
    assertEquals([seenByA.caller, seenByB.caller], ["A", "A"]);
    const { stdout } = await machine.ask("B", "tasks");
    assertStringIncludes(stdout, seenByA.taskId);

    const started = performance.now();
    await client.A.cancel({ taskId: seenByA.taskId });
    await eventually(async () => (await client.B.status()).activeTasks === 0, {
      what: "the free slot",
      intervalMs: 1,
    });
    assertLess(performance.now() - started, 100, "it was stopped too late");
    assertEquals(await outcome, "CANCELLED");

    // By the command, from the side where it runs, by the beginning of its id.
    const again = outcomeOf(client.A, "60000", "B");
    const { taskId } = await runningOn(client.B, "B");
    const cancelled = await machine.askJson<TaskStatus>("B", "cancel", taskId.slice(0, 20));
    assertEquals([cancelled.taskId, cancelled.caller], [taskId, "A"]);
    assertEquals(await again, "CANCELLED");
    const none = await machine.ask("B", "cancel", taskId);
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, "It may have ended. See: hanzo-network tasks");

    const recent = await machine.askJson<AnyTask[]>("A", "tasks");
    assertEquals(
      recent.map((task) => task.state === "ended" ? [task.outcome, task.nodeIds] : task.state),
      [["CANCELLED", ["B"]], ["CANCELLED", ["B"]]],
    );
  });
});

for (const way of ["drain", "SIGTERM"] as const) {
  Deno.test(`a node that drains by ${way} finishes what runs while new tasks go elsewhere, and is gone`, async () => {
    await withPair(async ({ machine, a, b, client }) => {
      // Longer than a stop that has no time would wait.
      const first = outcomeOf(client.A, "6500", "B");
      await runningOn(client.B, "B");
      const draining = way === "drain"
        ? machine.ask("B", "drain")
        : Promise.resolve(b.kill("SIGTERM"));
      await eventually(async () => (await client.B.status()).state === "stopping", {
        what: "its draining",
      });
      for (let i = 0; i < 5; i++) {
        const result = await outcomeOf(client.A, "1") as RunResult;
        assertEquals(result.nodeId, "A");
      }
      assertEquals(await outcomeOf(client.A, "1", "B"), "UNAVAILABLE");
      assertEquals((await first as RunResult).output, "slept on B");
      await draining;
      assertEquals((await b.status).code, 0);
      await peerEvent(a, "peer-left", "B");
      const { peers } = await machine.askJson<NetworkStatus>("A", "status");
      assert(!("B" in peers));
    });
  });
}
