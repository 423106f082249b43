/** `map` with real nodes: many prompts, spread over two processes, answered in order. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { MapLine } from "../../src/gateway/control_api.ts";
import { hanzo, peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("map answers each line of a file in order, from all devices, and says which line failed", async () => {
  await withTempDir(async (directory) => {
    const agents = `${directory}/agents.ts`;
    await Deno.writeTextFile(
      agents,
      `import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
      export default createAgent({
        name: "shout",
        description: "Says it louder",
        run: async ({ prompt }) => {
          if (prompt === "p7") throw new Error("seven is too much");
          await new Promise((resolve) => setTimeout(resolve, 20));
          return prompt.toUpperCase() + "!\\nreally";
        },
      });`,
    );
    const machine = new TestMachine(directory);
    await using a = machine.up("A", `--agents=${agents}`, "--slots=2");
    await ready(a);
    await using b = machine.up("B", `--agents=${agents}`, "--slots=2");
    await ready(b);
    await peerEvent(a, "peer-joined", "B");

    const file = `${directory}/prompts.txt`;
    const prompts = Array.from({ length: 40 }, (_, i) => `p${i}`);
    await Deno.writeTextFile(file, `${prompts.join("\n")}\n`);
    const human = await machine.ask("A", "map", file, "--agent=shout");
    assertEquals(
      human.stdout,
      prompts.map((p) => p === "p7" ? "\n" : `${p.toUpperCase()}! really\n`).join(""),
    );
    assertEquals(human.code, 1);
    assertStringIncludes(human.stderr, 'Prompt 8 failed: Agent "shout" failed: seven is too much');
    assertStringIncludes(human.stderr, "40 of 40 done, 1 failed");

    const node = ["--node-id=A", `--data-dir=${directory}`];
    const stdin = prompts.slice(8).map((prompt) => `${JSON.stringify(`${prompt}\n?`)}\n`).join("");
    const options = ["--agent=shout", "--json-lines", "--json", "--concurrency=40"];
    const json = await hanzo(["map", "-", ...options, ...node], { stdin });
    assertEquals([json.code, json.stderr], [0, ""]);
    const lines = json.stdout.trimEnd().split("\n").map((line): MapLine => JSON.parse(line));
    const results = lines.map((line) => "result" in line ? line.result : undefined);
    assertEquals(
      results.map((one) => one?.output),
      prompts.slice(8).map((p) => `${p.toUpperCase()}\n?!\nreally`),
    );
    assertEquals(new Set(results.map((one) => one?.nodeId)), new Set(["A", "B"]));

    const wrong = await machine.ask("A", "map", "--agent=shout");
    assertEquals(wrong.code, 2);
    const broken = await hanzo(["map", "-", ...options, ...node], { stdin: '"a"\nb\n' });
    assertEquals(broken.code, 2);
    assert(broken.stderr.includes("Line 2 is no JSON string"), broken.stderr);
  });
});
