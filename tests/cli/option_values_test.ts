/** What the command line means: options, their values, and what is neither. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import {
  type Command,
  type OptionSpec,
  type OptionValues,
  UsageError,
} from "../../src/cli/command.ts";
import { environment, readInvocation } from "../../src/cli/option_values.ts";
import { SETTING_NAMES } from "../../src/cli/settings.ts";

const OPTIONS: readonly OptionSpec[] = [
  { name: "name", kind: "text", value: "NAME", help: "" },
  { name: "port", kind: "text", value: "PORT", help: "" },
  { name: "agents", kind: "list", value: "FILE", help: "" },
  { name: "open", kind: "maybe", value: "CIDR", help: "" },
  { name: "watch", kind: "flag", help: "" },
  { name: "accept-tasks", kind: "flag", help: "" },
];

function command(options: readonly OptionSpec[]): Command {
  return { positionals: "TEXT", summary: "", options, example: "", run: () => Promise.resolve(0) };
}

function read(...args: string[]): Promise<{ positionals: string[]; options: OptionValues }> {
  return readInvocation("test", command(OPTIONS), args);
}

async function assertUsage(args: string[], part: string): Promise<void> {
  await assertRejects(() => read(...args), UsageError, part);
}

Deno.test("values are given behind a blank or =, flags without, and the rest is positional", async () => {
  const { positionals, options } = await read("one", "--name", "a", "--port=7", "--watch", "two");
  assertEquals(positionals, ["one", "two"]);
  assertEquals(
    [options.text("name"), options.text("port"), options.flag("watch")],
    ["a", "7", true],
  );
});

Deno.test("a number below zero is told where to go", async () => {
  for (const arg of ["-5", "-1.5", "-.5", "-10"]) {
    await assertUsage([arg], `; a number below zero goes behind --: -- ${arg}`);
  }
  assertEquals((await read("add", "n", "--", "-5")).positionals, ["add", "n", "-5"]);
});

Deno.test("a flag is true or false, and nothing else", async () => {
  const watch = async (...args: string[]) => (await read(...args)).options.flag("watch");
  assertEquals(await watch("--watch=true"), true);
  assertEquals([await watch("--watch=false"), await watch("--watch=0")], [false, false]);
  await assertRejects(() => watch("--watch=perhaps"), UsageError, "expected true or false");
});

Deno.test("what is not given is not there", async () => {
  const { positionals, options } = await read();
  assertEquals(positionals, []);
  assertEquals(
    [options.text("name"), options.list("agents"), options.flag("watch"), options.text("open")],
    [undefined, [], false, undefined],
  );
  assertEquals(options.integer("port", 0, 9), undefined);
});

Deno.test("a list takes its option again and again, a text only the last one", async () => {
  const { options } = await read("--agents", "a.ts", "--name", "x", "--agents=b.ts", "--name=y");
  assertEquals([options.list("agents"), options.text("name")], [["a.ts", "b.ts"], "y"]);
  assertEquals((await read("--agents", "a.ts,b.ts")).options.list("agents"), ["a.ts,b.ts"]);
});

Deno.test("--open alone takes nothing from what follows, --open=CIDR takes its range", async () => {
  const alone = await read("--open", "10.0.0.0/8");
  assertEquals([alone.options.text("open"), alone.positionals], ["true", ["10.0.0.0/8"]]);
  const ranged = await read("--open=10.0.0.0/8", "rest");
  assertEquals([ranged.options.text("open"), ranged.positionals], ["10.0.0.0/8", ["rest"]]);
  assertEquals((await read("rest", "--open")).options.text("open"), "true");
});

Deno.test("behind -- everything is positional, also what looks like an option", async () => {
  const { positionals, options } = await read(
    "--watch",
    "--",
    "--open",
    "--name",
    "-",
    "--nonsense",
    "--",
    "-x",
  );
  assertEquals(positionals, ["--open", "--name", "-", "--nonsense", "--", "-x"]);
  assertEquals([options.flag("watch"), options.text("open"), options.text("name")], [
    true,
    undefined,
    undefined,
  ]);
});

Deno.test("- is a value of an option that takes one, and else positional", async () => {
  for (const args of [["--name", "-"], ["--name=-"]]) {
    const { positionals, options } = await read(...args, "prompt");
    assertEquals([options.text("name"), positionals], ["-", ["prompt"]]);
  }
  assertEquals((await read("--agents", "-", "--agents", "b")).options.list("agents"), ["-", "b"]);
  assertEquals((await read("-", "--watch", "-")).positionals, ["-", "-"]);
});

Deno.test("a positional is taken as it was typed, also when it looks like a number", async () => {
  const texts = ["1e3", "0x1f", "007", "12345678901234567890", "1.50", "", " 7 ", "true"];
  assertEquals((await read(...texts)).positionals, texts);
  assertEquals((await read("--name", "007")).options.text("name"), "007");
});

Deno.test("an option without its value says what is missing", async () => {
  await assertUsage(["--name"], "--name needs a value: --name NAME");
  await assertUsage(["--name", "--watch"], "--name needs a value");
  await assertUsage(["--agents", "a", "--agents"], "--agents needs a value: --agents FILE");
  await assertUsage(["--name", ""], "--name needs a value");
  await assertUsage(["--name="], "--name needs a value: --name NAME");
  await assertUsage(["--agents=a", "--agents="], "--agents needs a value: --agents FILE");
  await assertUsage(["--name", "--", "x"], "--name needs a value");
});

Deno.test("an option that there is not is named, with where to look", async () => {
  for (
    const arg of ["--nonsense", "--nonsense=1", "-x", "--no-watch", "--Name=a", "--names=a", "-5"]
  ) {
    await assertUsage([arg], `Unknown option ${arg}. See: hanzo-network test --help`);
  }
});

Deno.test("a flag is true or false, and nothing else", async () => {
  const flag = async (...args: string[]) => (await read(...args)).options.flag("watch");
  assertEquals(await flag("--watch"), true);
  assertEquals(await flag("--watch=true"), true);
  assertEquals(await flag("--watch=false"), false);
});

Deno.test("a whole number in its range is read, and anything else is refused with the range", async () => {
  const { options: seven } = await read("--port=7");
  assertEquals([seven.integer("port", 7, 7), seven.integer("port", 0, 65_535)], [7, 7]);
  for (const [least, most] of [[0, 6], [8, 65_535]]) {
    assertThrows(
      () => seven.integer("port", least, most),
      UsageError,
      `--port is "7", expected a whole number from ${least} to ${most}.`,
    );
  }
  for (const text of ["-1", "1.5", "1e3", "0x10", " 7", "seven", "9".repeat(400)]) {
    const { options } = await read(`--port=${text}`);
    assertThrows(() => options.integer("port", 0, 65_535), UsageError, "expected a whole number");
  }
});

Deno.test("asking for an option that the command does not declare is a fault of the program", async () => {
  const { options } = await read();
  assertThrows(() => options.text("nonsense"), Error, "no option --nonsense");
});

Deno.test("every command takes --json and --help", async () => {
  const { options } = await readInvocation("test", command([]), ["--json", "--help"]);
  assertEquals([options.flag("json"), options.flag("help")], [true, true]);
});

// The environment: names that no other test and no setting uses.

const SETTINGS: readonly OptionSpec[] = OPTIONS.map((option) => ({
  ...option,
  name: `unit-test-${option.name}`,
  setting: true,
}));

async function withEnvironment(
  variables: Record<string, string>,
  args: string[],
  use: (options: OptionValues) => void,
): Promise<void> {
  const names = Object.keys(variables).map((name) => `HANZO_NETWORK_UNIT_TEST_${name}`);
  for (const [i, value] of Object.values(variables).entries()) Deno.env.set(names[i], value);
  try {
    use((await readInvocation("test", command(SETTINGS), args)).options);
  } finally {
    for (const name of names) Deno.env.delete(name);
  }
}

Deno.test("a setting that is not typed comes from the environment, one that is typed does not", async () => {
  const variables = { NAME: "env", PORT: "5", ACCEPT_TASKS: "true" };
  await withEnvironment(variables, ["--unit-test-name=typed"], (options) => {
    assertEquals(options.text("unit-test-name"), "typed");
    assertEquals(options.integer("unit-test-port", 0, 9), 5);
    assertEquals(options.flag("unit-test-accept-tasks"), true);
  });
});

Deno.test("a flag that is typed as false stays so, whatever the environment says", async () => {
  await withEnvironment({ ACCEPT_TASKS: "true" }, ["--unit-test-accept-tasks=false"], (options) => {
    assertEquals(options.flag("unit-test-accept-tasks"), false);
  });
});

Deno.test("a flag of the environment that is neither true nor false is refused, not taken for true", async () => {
  for (const [value, expected] of [["1", true], ["true", true], ["0", false], ["false", false]]) {
    await withEnvironment({ ACCEPT_TASKS: `${value}` }, [], (options) => {
      assertEquals(options.flag("unit-test-accept-tasks"), expected);
    });
  }
  for (const value of ["no", "off", "FALSE?", "maybe"]) {
    await withEnvironment({ ACCEPT_TASKS: value }, [], (options) => {
      assertThrows(() => options.flag("unit-test-accept-tasks"), UsageError, "true or false");
    });
  }
});

Deno.test("a list of the environment is parted by commas, blanks around them do not count", async () => {
  await withEnvironment({ AGENTS: "a.ts, b.ts ,,c.ts" }, [], (options) => {
    assertEquals(options.list("unit-test-agents"), ["a.ts", "b.ts", "c.ts"]);
  });
});

Deno.test("an empty variable is as good as none", async () => {
  await withEnvironment({ NAME: "", AGENTS: "" }, [], (options) => {
    assertEquals([options.text("unit-test-name"), options.list("unit-test-agents")], [
      undefined,
      [],
    ]);
  });
});

Deno.test("an option that is no setting does not look at the environment", async () => {
  Deno.env.set("HANZO_NETWORK_WATCH", "true");
  try {
    assertEquals((await read()).options.flag("watch"), false);
  } finally {
    Deno.env.delete("HANZO_NETWORK_WATCH");
  }
});

Deno.test("the file's settings are those that some command declares, each once and sorted", () => {
  assertEquals(SETTING_NAMES, [...new Set(SETTING_NAMES)].sort());
  for (const name of ["open", "data-dir", "api", "listen-port"]) {
    assertEquals(SETTING_NAMES.includes(name), true, name);
  }
  assertEquals(SETTING_NAMES.includes("watch"), false);
});

Deno.test({
  name: "a home that may not be read is not taken for one that is not set",
  permissions: { env: false },
  fn() {
    const { code, message } = assertThrows(() => environment("HOME"), NetworkError);
    assertEquals(code, "PERMISSION_DENIED");
    assertStringIncludes(message, "--allow-env");
    assertEquals(environment("HANZO_NETWORK_NAME"), undefined);
  },
});
