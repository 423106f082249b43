/** The help of commands, and what all of them have in common. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Command, commandHelp } from "../../src/cli/command.ts";
import { command as agents } from "../../src/cli/commands/agents.ts";
import { command as models } from "../../src/cli/commands/models.ts";
import { command as doctor } from "../../src/cli/commands/doctor.ts";
import { command as demo } from "../../src/cli/commands/demo.ts";
import { command as cancel } from "../../src/cli/commands/cancel.ts";
import { command as chat } from "../../src/cli/commands/chat.ts";
import { command as checkpoint } from "../../src/cli/commands/checkpoint.ts";
import { command as detect } from "../../src/cli/commands/detect.ts";
import { command as drain } from "../../src/cli/commands/drain.ts";
import { command as invite } from "../../src/cli/commands/invite.ts";
import { command as join } from "../../src/cli/commands/join.ts";
import { command as key } from "../../src/cli/commands/key.ts";
import { command as map } from "../../src/cli/commands/map.ts";
import { command as mcp } from "../../src/cli/commands/mcp.ts";
import { command as peers } from "../../src/cli/commands/peers.ts";
import { command as run } from "../../src/cli/commands/run.ts";
import { command as state } from "../../src/cli/commands/state.ts";
import { command as threads } from "../../src/cli/commands/threads.ts";
import { command as status } from "../../src/cli/commands/status.ts";
import { command as tasks } from "../../src/cli/commands/tasks.ts";
import { command as up } from "../../src/cli/commands/up.ts";
import { command as version } from "../../src/cli/commands/version.ts";
import { main } from "../../src/cli/main.ts";
import { readInvocation } from "../../src/cli/option_values.ts";

const COMMANDS: Record<string, Command> = {
  chat,
  doctor,
  up,
  run,
  map,
  checkpoint,
  state,
  threads,
  status,
  tasks,
  cancel,
  drain,
  peers,
  agents,
  models,
  mcp,
  invite,
  join,
  key,
  detect,
  demo,
  version,
};

/** What goes to stdout meanwhile. */
async function printed(action: () => Promise<unknown>): Promise<string> {
  const { log } = console;
  const { writeSync } = Deno.stdout;
  const lines: unknown[] = [];
  console.log = (...args) => void lines.push(...args);
  Deno.stdout.writeSync = (bytes) => {
    lines.push(new TextDecoder().decode(bytes).trimEnd());
    return bytes.length;
  };
  try {
    await action();
  } finally {
    console.log = log;
    Deno.stdout.writeSync = writeSync;
  }
  return lines.join("\n");
}

Deno.test("the help of a command lists its options in one column, and ends with an example", () => {
  const help = commandHelp("paint", {
    positionals: "WALL",
    summary: "Paint a wall",
    options: [
      { name: "colour", kind: "text", value: "NAME", help: "the colour" },
      { name: "brush", kind: "list", help: "a brush" },
      { name: "dry", kind: "maybe", value: "HOURS", help: "wait for it" },
      { name: "quick", kind: "flag", help: "one coat" },
    ],
    example: "hanzo-network paint north --colour red",
    run: () => Promise.resolve(0),
  });
  assertEquals(help.split("\n"), [
    "Paint a wall.",
    "",
    "Usage: hanzo-network paint WALL [options]",
    "",
    "Options:",
    "  --colour NAME  the colour",
    "  --brush VALUE  a brush (repeatable)",
    "  --dry[=HOURS]  wait for it",
    "  --quick        one coat",
    "  --json         print JSON on stdout, for programs",
    "  --help         show this",
    "",
    "Example: hanzo-network paint north --colour red",
    "",
  ]);
});

Deno.test("on a terminal the help of every option stands in its column, and no line is wider", () => {
  const whole = commandHelp("run", run).split("\n");
  const parted = commandHelp("run", run, 80).split("\n");
  assert(whole.some((line) => line.length > 80));
  assert(parted.every((line) => line.length <= 80), parted.join("\n"));
  const words = (lines: string[]) => lines.join(" ").split(/\s+/);
  assertEquals(words(parted), words(whole));
});

Deno.test("a command without positionals shows none", () => {
  assertStringIncludes(commandHelp("peers", peers), "Usage: hanzo-network peers [options]\n");
});

Deno.test("the list of commands says of each what its own help says", async () => {
  const help = await printed(() => main(["--help"]));
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    assert(new RegExp(`^  ${name} +${summary}$`, "m").test(help), `${name}: ${summary}`);
  }
  assertEquals(help.match(/^ {2}\w/gm)?.length, Object.keys(COMMANDS).length);
});

Deno.test("the example of every command can be typed as it is", async () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    const words = [...command.example.matchAll(/"([^"]*)"|(\S+)/g)].map((it) => it[1] ?? it[2]);
    assertEquals(words.slice(0, 2), ["hanzo-network", name]);
    await readInvocation(name, command, words.slice(2));
  }
});

Deno.test("every option has a name of its own, a help, and a value unless it is a flag", () => {
  for (const [name, { options }] of Object.entries(COMMANDS)) {
    assertEquals(new Set(options.map((option) => option.name)).size, options.length, name);
    for (const { name: option, kind, value, help } of options) {
      assert(help !== "" && !help.endsWith("."), option);
      assertEquals(value !== undefined, kind !== "flag", option);
    }
  }
});

Deno.test("--help and -h show the help wherever they stand, but behind -- they are the prompt", async () => {
  for (const args of [["run", "--help"], ["run", "prompt", "-h"], ["help", "run"]]) {
    const help = await printed(async () => assertEquals(await main(args), 0));
    assertEquals(help, commandHelp("run", run).trimEnd());
  }
  // `version` takes none, and says so instead of showing its help.
  const text = await printed(async () => assertEquals(await main(["version", "--", "--help"]), 2));
  assertEquals(text, "");
});
