/** Agents whose file changes while their node runs: real processes. */

import { assertEquals, assertMatch } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import { eventually } from "../support/eventually.ts";
import { CLI, peerEvent, ready, TestMachine } from "../support/nodes.ts";
import { startProcess } from "../support/process.ts";
import { withTempDir } from "../support/temp.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A module with an agent that answers so, at once or when the file beside it is there. */
function greeter(answer: string): string {
  return `import { createAgent } from "${ROOT}mod.ts";
export const greeter = createAgent({
  name: "greeter",
  description: ${JSON.stringify(answer)},
  async run({ prompt, signal }) {
    if (prompt === "now") return ${JSON.stringify(answer)};
    console.error("begun");
    const watch = Deno.watchFs(prompt);
    signal.addEventListener("abort", () => watch.close());
    for await (const { paths } of watch) if (paths.some((path) => path.endsWith("go"))) break;
    return ${JSON.stringify(answer)};
  },
});
`;
}

Deno.test("a node takes up its agents' file when it changes, without a right to run programs", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/agents.ts`;
    await Deno.writeTextFile(file, greeter("one"));
    const machine = new TestMachine(directory);
    const [, , , , ...args] = machine.upArgs("B", `--agents=${file}`);
    const grants = ["read", "write", "net", "env", "sys"].map((kind) => `--allow-${kind}`);
    await using a = machine.up("A");
    await using b = startProcess(
      Deno.execPath(),
      ["run", "-q", "--no-prompt", ...grants, CLI]
        .concat(args),
    );
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const ask = (prompt: string) =>
      machine.askJson<RunResult>("A", "run", prompt, "--agent", "greeter");
    const running = ask(directory);
    await eventually(() => b.stderrText().includes("begun"), { what: "the run" });

    await Deno.writeTextFile(`${file}.new`, greeter("two"));
    await Deno.rename(`${file}.new`, file);
    await eventually(async () => {
      const agents = await machine.askJson<{ agent: { description: string } }[]>("A", "agents");
      return agents.some(({ agent }) => agent.description === "two");
    }, { what: "the other agent, as A knows it" });
    assertEquals((await ask("now")).output, "two");
    await Deno.writeTextFile(`${directory}/go`, "");
    assertEquals((await running).output, "one");
    assertMatch(b.stderrText(), /files of --agents have changed: the agents are greeter now/);
  });
});
