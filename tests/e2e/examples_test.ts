/** The examples, run as their first lines say. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url).pathname;

Deno.test("examples/agents.ts gives a node agents that another one can run", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--agents=${EXAMPLES}agents.ts`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const { stdout } = await machine.ask("A", "run", "3 dice", "--agent", "dice");
    assertMatch(stdout, /^([1-6] ){3}\n[1-6] \+ [1-6] \+ [1-6] = \d+\n$/);
    const text = `${directory}/text`;
    await Deno.writeTextFile(text, "déjà");
    const args = ["run", "", "--agent", "length", "--context", text];
    assertEquals((await machine.ask("A", ...args)).stdout, "4 characters\n");
    const tooMany = await machine.ask("A", "run", "900 dice", "--agent", "dice");
    assertStringIncludes(tooMany.stderr, 'Cannot call tool "roll": count:');
  });
});

const DRAFT = "The Pi is a computer. The Pi is small.";

Deno.test("examples/newsroom.ts is a network of agents on its own, and an agent for all devices", async () => {
  await withTempDir(async (directory) => {
    const alone = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", `${EXAMPLES}newsroom.ts`, "The Pi"],
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--agents=${EXAMPLES}newsroom.ts`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const { stdout, stderr } = await machine.ask("A", "run", "The Pi", "--agent", "newsroom");
    assertEquals(stdout, `${DRAFT}\n`);
    assertEquals(stderr.match(/asked \w+ on B/g), [
      "asked researcher on B",
      ...Array(3).fill(["asked writer on B", "asked reviewer on B"]).flat(),
    ]);
    // A conversation: what was approved in the first run does not end the second.
    for (const subject of ["The Pi", "Deno"]) {
      const talk = await machine.ask("B", "run", subject, "--agent=newsroom", "--thread=talk");
      assertEquals(talk.stdout, `${DRAFT.replaceAll("The Pi", subject)}\n`, talk.stderr);
    }
    const { code, stdout: steps } = await alone;
    assertEquals(code, 0);
    const lines = new TextDecoder().decode(steps).split("\n");
    assertEquals([lines[0], lines.at(-2)], ["1. researcher: 4 facts about The Pi", DRAFT]);
  });
});

Deno.test("examples/custom_router.ts sends the long text to the device with the most memory", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", `${EXAMPLES}custom_router.ts`],
    env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  assertStringIncludes(
    new TextDecoder().decode(stdout),
    "long text: ran on server, because the custom router chose it",
  );
});

Deno.test("examples/weather.ts is an agent whose model is the network's, and says when there is none", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A", `--agents=${EXAMPLES}weather.ts`, "--assistant-model=none");
    await ready(a);
    const weather = await machine.ask("A", "run", "Oslo?", "--agent", "weather");
    assertStringIncludes(weather.stderr, 'Cannot ask model "default"');
    const assistant = await machine.ask("A", "run", "Hello", "--agent", "assistant");
    assertStringIncludes(assistant.stderr, 'model "none"');
  });
});
