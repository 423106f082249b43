/** `threads`, and `run --thread`: what is shown, what is wrong usage. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { commandLine } from "../support/command_line.ts";
import { LocalNode } from "../support/local_node.ts";
import { withTempDir } from "../support/temp.ts";

const AGENTS = [
  createAgent({
    name: "echo",
    description: "",
    run: ({ prompt, state }) => {
      if (prompt === "fail") throw new Error("\x1b[31mas it was asked");
      state.data.set("asked", prompt);
      return `${state.messages.length}: ${prompt}`;
    },
  }),
];

Deno.test("a conversation goes on by its name, is listed, shown, resumed and deleted", async () => {
  await withTempDir(async (dataDirectory) => {
    await using _ = await LocalNode.start({ nodeId: "A", dataDirectory, agents: AGENTS });
    const hanzo = (...args: string[]) => commandLine([...args, `--data-dir=${dataDirectory}`]);
    const run = (...args: string[]) => hanzo("run", ...args, "--agent=echo", "--thread=trip");
    assertEquals((await run("Hello")).stdout, "1: Hello\n");
    assertEquals((await run("again")).stdout, "3: again\n");
    assertEquals((await run("fail")).code, 1);
    const list = await hanzo("threads");
    assertEquals(list.stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3)), [
      ["NAME", "MESSAGES", "ANSWERS"],
      ["trip", "5", "2"],
      [""],
    ]);
    assertStringIncludes(list.stdout, "broke off on A after 0 answers");
    const shown = await hanzo("threads", "show", "trip");
    assertEquals(
      shown.stdout,
      [
        "user: Hello",
        "echo: 1: Hello",
        "user: again",
        "echo: 3: again",
        "user: fail",
        'asked = "again"',
        "",
      ].join("\n"),
    );
    assertStringIncludes(shown.stderr, 'Resume it: hanzo-network run --thread "trip"');
    assertEquals(shown.stderr.includes("\x1b[31m"), false);
    assertStringIncludes((await hanzo("run", "--thread=trip")).stderr, "as it was asked");
    const json = JSON.parse((await hanzo("threads", "show", "trip", "--json")).stdout);
    assertEquals([json.messages.length, json.unfinished.agent], [5, "echo"]);
    assertEquals((await hanzo("threads", "delete", "trip")).stdout, "Deleted trip.\n");
    assertEquals((await hanzo("threads", "delete", "trip")).code, 1);
    assertStringIncludes((await hanzo("threads", "show", "trip")).stderr, "There is no thread");
  });
});

Deno.test("what cannot be meant is wrong usage", async () => {
  const cases: [args: string[], says: string][] = [
    [["run"], "Say what to run"],
    [["run", "x", "--anew"], "--anew goes with --thread"],
    [["run", "x", "--rerun"], "--rerun goes with --thread"],
    [["run", "x", "--thread=t", "--anew", "--rerun"], "exclude each other"],
    [["run", "--thread=t", "--anew"], "--anew needs a PROMPT"],
    [["run", "x", "--thread=t", "--all"], "--all and --thread exclude each other"],
    [["threads", "drop"], 'no action "drop"'],
    [["threads", "show"], "takes one NAME"],
    [["threads", "list", "x"], "takes nothing more"],
  ];
  for (const [args, says] of cases) {
    const { code, stderr } = await commandLine(args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(stderr, says);
  }
});
