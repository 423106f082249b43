/** The MCP servers of a node's agents: real processes, and when they end. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Agent, type AgentRun, createAgent } from "../../src/agents/agent.ts";
import { LocalNode } from "../support/local_node.ts";
import { eventually } from "../support/eventually.ts";
import { withTempDir } from "../support/temp.ts";

const SCRIPT = new URL("../support/odd_mcp_server.ts", import.meta.url).pathname;

/** A server of its own for each mark, that tells its process. */
function server(mark: string) {
  const args = ["run", "--quiet", "--no-config", "--no-check", "-A", SCRIPT, "good", mark];
  return { command: Deno.execPath(), args };
}

/** An agent that answers with the process of a server. */
function teller(name: string, mark: string, run?: AgentRun): Agent {
  return createAgent({
    name,
    description: "",
    mcpServers: { odd: server(mark) },
    run: run ?? (async ({ callTool }) => `${await callTool("pid", {})}`),
  });
}

function isAlive(pid: number): boolean {
  try {
    // Changes nothing for a process that runs.
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

const gone = (pid: number) => eventually(() => !isAlive(pid), { what: `the end of ${pid}` });

async function withNode(
  agents: readonly Agent[],
  work: (node: LocalNode, pidOf: (agent: string) => Promise<number>) => Promise<void>,
): Promise<void> {
  await withTempDir(async (dataDirectory) => {
    await using node = await LocalNode.start({ nodeId: "desk", dataDirectory, agents });
    await work(node, async (initialAgent) => {
      return Number((await node.network.run("", { initialAgent })).output);
    });
  });
}

Deno.test("servers are shared by the runs of a node, and have ended when it has stopped", async () => {
  await withNode([teller("a", "1"), teller("b", "1"), teller("c", "2")], async (node, pidOf) => {
    const [a, b, c] = [await pidOf("a"), await pidOf("b"), await pidOf("c")];
    assertEquals(a, b);
    assertNotEquals(a, c);
    assertEquals([a, c].map(isAlive), [true, true]);

    await node.network.stop();

    assertEquals([a, c].map(isAlive), [false, false]);
  });
});

Deno.test("the server of an agent that is gone ends; one that another agent names stays", async () => {
  await withNode([teller("a", "1"), teller("b", "2")], async (node, pidOf) => {
    const [a, b] = [await pidOf("a"), await pidOf("b")];

    node.network.replaceAgents([teller("b", "2"), teller("new", "3")]);

    await gone(a);
    assertEquals(await pidOf("b"), b);
    const added = await pidOf("new");
    node.network.replaceAgents([teller("b", "4")]);
    await Promise.all([gone(b), gone(added)]);
    assertEquals(isAlive(await pidOf("b")), true);
  });
});

Deno.test("a run that goes on after its agent has gone keeps its server until it has ended", async () => {
  const begun = Promise.withResolvers<number>();
  const goOn = Promise.withResolvers<void>();
  const held = teller("held", "1", async ({ callTool }) => {
    begun.resolve(Number(await callTool("pid", {})));
    await goOn.promise;
    return `${await callTool("pid", {})}`;
  });
  await withNode([held], async ({ network }) => {
    const running = network.run("", { initialAgent: "held" });
    const pid = await begun.promise;

    network.replaceAgents([]);
    goOn.resolve();

    assertEquals(Number((await running).output), pid);
    await gone(pid);
  });
});

Deno.test("a run that first needs its server when its agent has gone has it for itself", async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const held = teller("held", "1", async ({ callTool }) => {
    begun.resolve();
    await goOn.promise;
    return `${await callTool("pid", {})}`;
  });
  await withNode([held], async ({ network }) => {
    const running = network.run("", { initialAgent: "held" });
    await begun.promise;
    network.replaceAgents([]);
    goOn.resolve();

    const pid = Number((await running).output);

    assert(pid > 0);
    await gone(pid);
  });
});
