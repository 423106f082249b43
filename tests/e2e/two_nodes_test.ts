/** Two real processes on the loopback, from the outside. */

import { assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { eventually } from "../support/eventually.ts";
import { freeUdpPort, peerEvent, ready, shareNetwork, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("two nodes see each other within a second, run for each other, and notice a death", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await ready(a);
    await using b = machine.up("B");
    const { api, grpc } = await ready(b);
    const started = performance.now();
    await Promise.all([peerEvent(a, "peer-joined", "B"), peerEvent(b, "peer-joined", "A")]);
    assertLess(performance.now() - started, 1_000, "they saw each other too late");
    assertMatch(api, /^http:\/\/127\.0\.0\.1:\d+$/);
    assertMatch(grpc, /^127\.0\.0\.1:\d+$/);

    for (const [one, other] of ["AB", "BA"]) {
      const { peers, peerCount } = await machine.askJson<NetworkStatus>(one, "status");
      assertEquals([peerCount, peers[other]?.state], [1, "alive"]);
    }

    const run = ["run", "2^10 + sqrt(2)", "--agent", "calculator"];
    const result = await machine.askJson<RunResult>("A", ...run, "--node", "B");
    assertEquals([result.nodeId, result.attempts], ["B", 1]);
    assertEquals(Number(result.output), 2 ** 10 + Math.sqrt(2));
    const human = await machine.ask("A", ...run, "--node", "B");
    assertEquals(Number(human.stdout), 2 ** 10 + Math.sqrt(2));
    assertStringIncludes(human.stderr, "calculator on B");

    const all = await machine.askJson<{ nodeId: string; result: RunResult }[]>(
      "A",
      "run",
      "now",
      "--all",
      "--agent",
      "monitor",
    );
    assertEquals(all.map(({ nodeId, result }) => [nodeId, result.nodeId]), [["A", "A"], [
      "B",
      "B",
    ]]);

    b.kill("SIGKILL");
    await b.status;
    const killed = performance.now();
    await peerEvent(a, "peer-died", "B");
    assertLess(performance.now() - killed, 1_000, "the death was noticed too late");
    const { peers } = await machine.askJson<NetworkStatus>("A", "status");
    assertEquals(Object.keys(peers), []);
  });
});

for (const label of ["a0", "zz"]) {
  Deno.test(`another device that starts as "${label}" is refused by "aa" and told so, until the first is forgotten`, async () => {
    await withTempDir(async (directory) => {
      const directories = ["one", "two", "three"].map((name) => `${directory}/${name}`);
      await shareNetwork(...directories);
      const port = freeUdpPort();
      const [one, two, three] = directories.map((path) => new TestMachine(path, port));
      await using aa = one.up("aa");
      await ready(aa);
      {
        await using first = two.up(label);
        await peerEvent(aa, "peer-joined", label);
        first.kill("SIGTERM");
        await first.status;
      }
      await using second = three.up(label);
      await ready(second);
      await eventually(() => second.stderrText().includes("NAME_CONFLICT"), {
        what: "the refusal in its log",
      });
      // Long enough for each side to have dialled the other several times.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const { refusedBy, peers } = await three.askJson<NetworkStatus>(label, "status");
      assertEquals(refusedBy.map(({ nodeId, code }) => [nodeId, code]), [["aa", "NAME_CONFLICT"]]);
      assertEquals(peers.aa.state, "discovered");
      for (const command of ["status", "peers", "doctor"]) {
        const { code, stdout } = await three.ask(label, command);
        assertMatch(stdout, /Cannot talk to "\w+": it was another\s+device before/, command);
        assertEquals(code, command === "doctor" ? 1 : 0);
      }
      const about = second.stderrText().split("\n").filter((line) => line !== "");
      assertEquals(about.length, 1, "it is told once");

      const { code } = await one.ask("aa", "key", "forget", label);
      assertEquals(code, 0);
      const forgotten = performance.now();
      await peerEvent(second, "peer-joined", "aa");
      assertLess(performance.now() - forgotten, 1_000, "nobody is to wait out a pause then");
      second.kill("SIGTERM");
      const told: string[] = [];
      for await (const line of second.lines()) {
        const { event, nodeId } = JSON.parse(line);
        if (nodeId === "aa") told.push(event);
      }
      assertEquals(told.slice(0, 2), ["peer-discovered", "peer-joined"], "nothing came and went");
    });
  });
}

Deno.test("SIGTERM and SIGINT finish what runs, say goodbye, and end with 0", async () => {
  await withTempDir(async (directory) => {
    const agents = `${directory}/agents.ts`;
    await Deno.writeTextFile(
      agents,
      `import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      export default createAgent({
        name: "patient",
        description: "Answers when it is told that its node stops",
        run: ({ taskId }) => new Promise((resolve) => {
          console.log("begun " + taskId);
          Deno.addSignalListener("SIGTERM", () => setTimeout(() => resolve("done"), 50));
          Deno.addSignalListener("SIGINT", () => setTimeout(() => resolve("done"), 50));
        }),
      });`,
    );
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await ready(a);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      await using b = machine.up("B", `--agents=${agents}`);
      await ready(b);
      await peerEvent(b, "peer-joined", "A");
      const running = machine.askJson<RunResult>("A", "run", "x", "--agent", "patient");
      await b.waitForLine((line) => line.startsWith("begun"), { what: "the agent's first word" });
      b.kill(signal);
      assertEquals((await running).output, "done");
      assertEquals((await b.status).code, 0);
      await a.waitForLine((line) => line.startsWith('{"event":"peer-left"'), { what: "a goodbye" });
      assertEquals(b.stderrText(), "");
    }
    const { peers } = await machine.askJson<NetworkStatus>("A", "status");
    assertEquals(Object.keys(peers), []);
  });
});

Deno.test("the answer streams while it is made", async () => {
  await withTempDir(async (directory) => {
    const agents = `${directory}/agents.ts`;
    await Deno.writeTextFile(
      agents,
      `import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      export const counter = createAgent({
        name: "counter",
        description: "Counts",
        run: async function* ({ prompt }) {
          for (let i = 1; i <= Number(prompt); i++) yield i + " ";
        },
      });`,
    );
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--agents=${agents}`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const { stdout, stderr } = await machine.ask("A", "run", "5", "--agent", "counter");
    assertEquals(stdout, "1 2 3 4 5 \n");
    assertStringIncludes(stderr, "counter on B");
    // It is the only agent that is not built in: it need not be named.
    assertEquals((await machine.ask("A", "run", "2")).stdout, "1 2 \n");
  });
});

Deno.test("an answer longer than a message may be is streamed whole, and not sent twice", async () => {
  await withTempDir(async (directory) => {
    const agents = `${directory}/agents.ts`;
    await Deno.writeTextFile(
      agents,
      `import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      export default createAgent({
        name: "novel",
        description: "Writes at length",
        run: async function* () {
          for (let i = 0; i < 20; i++) yield "x".repeat(1_000_000);
        },
      });`,
    );
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--agents=${agents}`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const { output } = await machine.askJson<RunResult>("A", "run", "x", "--agent", "novel");
    assertEquals(output.length, 20_000_000);
  });
});
