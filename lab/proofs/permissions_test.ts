/** Each command with what it is granted and no more, and with less: that is named, and costs itself. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { NodeClient } from "../../src/cli/node_client.ts";
import { TOOLS } from "../../src/device/tools.ts";
import { runningNodes } from "../../src/network/data_directory.ts";
import type { Finding } from "../../src/network/diagnosis_facts.ts";
import { deadline } from "../../tests/support/deadline.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { type CommandOutcome, freeUdpPort, hanzo, ready } from "../../tests/support/nodes.ts";
import {
  flagsOf,
  type Grant,
  grantsOf,
  permissionSets,
} from "../../tests/support/permission_sets.ts";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";
import { withTools } from "../../tests/support/tools.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CLI = `${ROOT}cli.ts`;
const CHILD = new URL("permissions_child.ts", import.meta.url).pathname;
const SETS = await permissionSets();
/** The tools of this system, which a test is to find on every machine. */
const HERE = TOOLS[Deno.build.os] ?? [];
/** Processes at a time. */
const AT_A_TIME = 4;
const DATA = "./.data";
const ignore = skipUnless(
  Deno.build.os !== "windows" && /\/deno$/.test(Deno.execPath()),
  "sets name tools that shell scripts stand in for, and the command deno",
);

Deno.test("SECURITY.md has for each command just the flags of its set in deno.json", async () => {
  const text = await Deno.readTextFile(`${ROOT}docs/SECURITY.md`);
  const rows = text.matchAll(/^\| (`[a-z]+`(?:, `[a-z]+`)*) +\| (none|`--allow-.*`) +\|$/gm);
  const documented = [...rows].flatMap(([, commands, flags]) =>
    quoted(commands).map((command) => [command, quoted(flags)])
  );
  const values = { [DATA]: "DIR", "./hanzo-network.toml": "hanzo-network.toml", "./src": "src" };
  const granted = Object.entries(SETS).map((
    [command, set],
  ) => [command, flagsOf(grantsOf(set), values)]);
  assertEquals(Object.fromEntries(documented), Object.fromEntries(granted));

  const { stdout } = await hanzo(["--help"], { denoArgs: [] });
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]);
  assertEquals(commands.sort(), Object.keys(SETS).sort());
  const tools = new Set(Object.values(TOOLS).flat());
  assertEquals(new Set(SETS.up.run as string[]), tools);
});

Deno.test({
  name: "each command does its work with its set alone, and misses nothing",
  ignore,
  fn: () =>
    withMachine(async (machine) => {
      await using node = machine.up(machine.data, machine.setOf("up", machine.data));
      await ready(node);
      const client = await machine.client(machine.data);
      assertEquals(flagsIn(node.stderrText(), await client.doctor()), []);
      assertEquals(await answer(client, "calculator", "6 * 7"), "42");
      const others = Object.keys(SETS).filter((command) => command !== "up" && command !== "drain");
      await atATime(others, async (command) => {
        const data = command === "join" ? machine.newData() : machine.data;
        const outcome = await machine.run(command, data, machine.setOf(command, data));
        // There is nothing to cancel, which it has to be told.
        const code = command === "cancel" ? 1 : 0;
        assertEquals([command, outcome.code, flagsIn(outcome.stderr)], [command, code, []]);
      });
      // The others' node is no more then.
      const drained = await machine.run(
        "drain",
        machine.data,
        machine.setOf("drain", machine.data),
      );
      assertEquals([drained.code, flagsIn(drained.stderr)], [0, []]);
      const empty = machine.newData();
      const alone = await machine.run("doctor", empty, machine.setOf("doctor", empty));
      assertEquals(flagsIn(alone.stdout, alone.stderr), []);
    }),
});

Deno.test({
  name: "a node that misses one of its grants names it, and goes on unless it is one of three",
  ignore,
  fn: () =>
    withMachine((machine) =>
      atATime(grantsHere("up"), async (missing) => {
        const data = machine.newData();
        const values = machine.values(data);
        const granted = grantsOf(SETS.up).filter((grant) => !isSame(grant, missing));
        await using node = machine.up(data, flagsOf(granted, values));
        if (missing.kind === "net" || missing.value === DATA) {
          assertEquals((await node.status).code, 1);
          return assertNamed(missing, values, node.stderrText());
        }
        await ready(node);
        const client = await machine.client(data);
        assertNamed(missing, values, node.stderrText(), await client.doctor());
        assertStringIncludes(await answer(client, "monitor", ""), "CPU ");
      })
    ),
});

Deno.test({
  name: "a command that misses one of its grants names it, without a stack",
  ignore,
  fn: () =>
    withMachine(async (machine) => {
      await using node = machine.up(machine.data, ["--allow-all"]);
      await ready(node);
      const cases = Object.keys(SETS).filter((command) => command !== "up").flatMap((command) =>
        grantsHere(command)
          // With a setting less it still would end the node of the others.
          .filter(({ kind, value }) => command !== "drain" || kind === "net" || value === DATA)
          .map((missing) => ({ command, missing }))
      );
      await atATime(cases, async ({ command, missing }) => {
        // What the doctor needs where no node runs.
        const isAlone = missing.value === "0.0.0.0" || missing.value === "networkInterfaces";
        const data = command === "join" || isAlone ? machine.newData() : machine.data;
        const values = machine.values(data);
        const granted = grantsOf(SETS[command]).filter((grant) => !isSame(grant, missing));
        const outcome = await machine.run(command, data, flagsOf(granted, values));
        const stops = command === "demo" || missing.kind === "net" || missing.value === DATA ||
          isAlone;
        const code = stops || command === "cancel" ? 1 : 0;
        assertEquals([command, missing, outcome.code], [command, missing, code]);
        assertNamed(missing, values, outcome.stderr, outcome.stdout);
      });
    }),
});

Deno.test({
  name: "what is denied is missed like what is not granted",
  ignore,
  fn: () =>
    withMachine(async (machine) => {
      const denied = (grant: Grant, values: Record<string, string>) =>
        flagsOf([grant], values)[0].replace("--allow-", "--deny-");
      const cases = ["up", "detect"].flatMap((command) =>
        grantsHere(command)
          .filter(({ kind, value }) => command === "detect" || kind === "net" || value === DATA)
          .map((missing) => ({ command, missing }))
      );
      await atATime(cases, async ({ command, missing }) => {
        const data = machine.newData();
        const values = machine.values(data);
        // Of one and the same value Deno takes what is allowed by name to be allowed.
        const outcome = await machine.run(command, data, ["--allow-all", denied(missing, values)]);
        assertEquals(outcome.code, command === "up" ? 1 : 0);
        assertNamed(missing, values, outcome.stderr, outcome.stdout);
      });
      const data = machine.newData();
      await using node = machine.up(data, [
        "--allow-all",
        "--deny-sys",
        "--deny-run",
        "--deny-env",
        `--deny-read=${ROOT}src`,
      ]);
      await ready(node);
      const client = await machine.client(data);
      const flags = flagsIn(node.stderrText(), await client.doctor());
      for (const grant of grantsHere("up")) {
        if (grant.kind !== "net" && grant.kind !== "write" && !/data|toml/.test(grant.value!)) {
          assert(flags.some((flag) => isNamed(flag, grant, machine.values(data))), grant.value);
        }
      }
      assertStringIncludes(await answer(client, "monitor", ""), "CPU ");
    }),
});

Deno.test({
  name: "a program's node goes without what the program was not granted, or was denied",
  ignore,
  fn: () =>
    withMachine(async (machine) => {
      const { data } = machine;
      const files = `--allow-read=${data} --allow-write=${data}`;
      const homes = Deno.build.os === "darwin" ? "HOME" : "HOME,XDG_DATA_HOME";
      const ownNetwork = /has a network of its own that ends with it: .* Grant (.*)$/m;
      const cases: { kinds: string[]; data?: string; works: boolean; says: RegExp | string[] }[] = [
        { kinds: [], data, works: true, says: [] },
        { kinds: ["read", "write"], data, works: true, says: ownNetwork },
        { kinds: ["env"], data, works: true, says: [] },
        { kinds: ["env"], works: true, says: ownNetwork },
        { kinds: ["run"], data, works: true, says: [`--allow-run=${HERE}`] },
        {
          kinds: ["sys"],
          data,
          works: true,
          says: SETS.up.sys === true ? [] : SETS.up.sys!.map((kind) => `--allow-sys=${kind}`),
        },
        { kinds: ["net"], data, works: false, says: /not permitted\. Grant --allow-net\.?$/m },
        { kinds: ["net", "read", "write", "env", "sys", "run"], works: false, says: /--allow-net/ },
      ];
      const all = ["net", "read", "write", "env", "sys", "run"];
      const ways = [
        (kinds: string[]) =>
          all.filter((kind) => !kinds.includes(kind)).map((kind) => `--allow-${kind}`),
        (kinds: string[]) => ["--allow-all", ...kinds.map((kind) => `--deny-${kind}`)],
      ];
      const runs = cases.flatMap((one) => ways.map((way) => ({ ...one, flags: way(one.kinds) })));
      await atATime(runs, async ({ kinds, data, works, says, flags }) => {
        const { output, error, warnings, findings = [] } = await machine.program(data, flags);
        const text = [error?.message, ...warnings].join("\n");
        assertEquals([kinds, output !== undefined, error?.code], [
          kinds,
          works,
          works ? undefined : "PERMISSION_DENIED",
        ], text);
        if (Array.isArray(says)) {
          // `df` stands in where Deno may not say how full the disk is.
          const named = flagsIn(text, findings).filter((flag) => !flag.startsWith("--allow-read"));
          const expected = says.filter((flag) => flag !== "--allow-sys=statfs");
          assertEquals(new Set(named), new Set(expected), text);
        } else {
          const [, flag] = says.exec(text) ?? [];
          assertMatch(text, says);
          if (flag !== undefined) {
            assertEquals(flag, data === undefined ? `--allow-env=${homes}` : files);
          }
        }
      });
    }),
});

Deno.test({
  name: "at a terminal nobody is asked for a permission, and no node stands still",
  ignore: ignore || skipUnless(await hasScript(), "there is no command script with -c"),
  fn: () =>
    withMachine(async (machine) => {
      const commands = Object.keys(SETS);
      await atATime(commands, async (command) => {
        const args = await machine.args(command === "join" ? "status" : command, machine.data);
        await using session = machine.atTerminal([], args);
        await assertNotAsked(session);
      });
      const { data } = machine;
      const granted = [
        `--allow-read=${data}`,
        `--allow-write=${data}`,
        "--allow-net=127.0.0.1,127.255.255.255",
      ];
      const beyond = ["--peer=127.0.0.9:5681", "--peer=nowhere.invalid:5681"];
      const args = upArgs(data).filter((arg) => arg !== "--json");
      await using session = machine.atTerminal(granted, [...args, ...beyond]);
      const isUp = (line: string) => line.includes("Stop with Ctrl-C");
      await session.waitForLine(isUp, { what: "that it is up", timeoutMs: 15_000 });
      const client = await machine.client(data);
      // Asked, its only thread would wait.
      assertStringIncludes(await answer(client, "monitor", ""), "CPU unknown");
      const refused = await assertRejects(() => answer(client, "calculator", "1 + 1"));
      assertEquals(flagsIn((refused as Error).message), [`--allow-read=${ROOT}src/`]);
      await eventually(async () => {
        const { unreached } = await client.status();
        const flags = flagsIn(JSON.stringify(unreached)).sort();
        return `${flags}` === "--allow-net=127.0.0.9:5681,--allow-net=nowhere.invalid";
      }, { what: "both peers that may not be talked to" });
      const [{ pid }] = await runningNodes(data);
      Deno.kill(pid, "SIGKILL");
      await assertNotAsked(session);
    }),
});

/** Whether `script` is here as Linux has it: it gives a command a terminal. */
async function hasScript(): Promise<boolean> {
  try {
    const args = ["-qec", "true", "/dev/null"];
    return (await new Deno.Command("script", { args, stdin: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** It ends by itself: a question would be waited for. */
async function assertNotAsked(session: TestProcess): Promise<void> {
  using limit = deadline(15_000);
  if (await limit.race(session.status) === undefined) session.kill("SIGKILL");
  let text = "";
  for await (const line of session.lines()) text += `${line}\n`;
  assert(!/Deno requests|Allow\?/.test(text), text);
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
}

function isSame(a: Grant, b: Grant): boolean {
  return a.kind === b.kind && a.value === b.value;
}

/** What a command is granted that is for this system. */
function grantsHere(command: string): Grant[] {
  return grantsOf(SETS[command]).filter(({ kind, value }) =>
    value !== "SystemRoot" && (kind !== "run" || value === "deno" || HERE.includes(value!))
  );
}

/** All flags that are named in what a command has said. */
function flagsIn(...said: readonly (string | readonly Finding[])[]): string[] {
  const text = said.map((one) => typeof one === "string" ? one : JSON.stringify(one)).join("\n");
  return [...text.matchAll(/--allow-[a-z]+(?:=[^\s";)]+)?/g)].map(([flag]) =>
    flag.replace(/[.:]$/, "")
  );
}

/** The missing grant is named, and no other; nothing was thrown that nobody caught. */
function assertNamed(
  missing: Grant,
  values: Record<string, string>,
  ...said: readonly (string | readonly Finding[])[]
): void {
  const flags = flagsIn(...said);
  const text = Deno.inspect({ missing, said }, { depth: 5 });
  assert(flags.some((flag) => isNamed(flag, missing, values)), text);
  assertEquals(flags.filter((flag) => !flag.startsWith(`--allow-${missing.kind}`)), [], text);
  for (const one of said) if (typeof one === "string") assert(!/^\s+at /m.test(one), text);
}

/** Whether a flag, or one of its values, would grant it or the part of it that was needed. */
function isNamed(flag: string, { kind, value }: Grant, values: Record<string, string>): boolean {
  const [name, list] = flag.split("=");
  if (name !== `--allow-${kind}`) return false;
  if (value === undefined || list === undefined) return value === undefined;
  const granted = values[value] ?? value;
  return list.split(",").some((one) => one.startsWith(granted) || granted.endsWith(`/${one}`));
}

/** What an agent of a node answers. */
async function answer(client: NodeClient, agent: string, prompt: string): Promise<string> {
  for await (const event of client.run({ agent, prompt })) {
    if (event.type === "result") return event.result.output;
  }
  throw new Error("No result came.");
}

/** Does something with each, a few at a time. */
async function atATime<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    for (const item of waiting) await action(item);
  }));
}

/** Where commands are run in the tests above. */
class Machine {
  readonly #directory: string;
  readonly #path: string;
  #count = 0;

  constructor(directory: string, path: string) {
    this.#directory = directory;
    this.#path = path;
  }

  /** Of the node that commands ask. */
  get data(): string {
    return `${this.#directory}/data`;
  }

  /** A data directory that nobody has used. */
  newData(): string {
    return `${this.#directory}/data${++this.#count}`;
  }

  /** What stands in a set for what is elsewhere on every machine. */
  values(data: string): Record<string, string> {
    const settings = `${this.#directory}/hanzo-network.toml`;
    return {
      [DATA]: data,
      "./hanzo-network.toml": settings,
      "./src": `${ROOT}src`,
      deno: Deno.execPath(),
    };
  }

  /** The set of a command as it is, but for its paths. */
  setOf(command: string, data: string): string[] {
    const paths = grantsOf(SETS[command]).filter(({ kind }) => kind === "read" || kind === "write");
    // Some hosts may be imported from without a grant.
    const never = ["--deny-ffi", "--deny-import"];
    return [`-P=${command}`, ...flagsOf(paths, this.values(data)), ...never];
  }

  up(data: string, denoArgs: string[]): TestProcess {
    return startProcess(
      Deno.execPath(),
      ["run", "--quiet", "--no-prompt", ...denoArgs, CLI, ...upArgs(data)],
      { cwd: this.#directory, env: { PATH: this.#path, ...LOOKS_FOR_ENGINES } },
    );
  }

  async client(data: string): Promise<NodeClient> {
    const [node] = await runningNodes(data);
    return new NodeClient(node);
  }

  /** Runs a program that makes a node. */
  async program(dataDirectory: string | undefined, denoArgs: string[]): Promise<ProgramOutcome> {
    const options = { dataDirectory, broadcastPort: freeUdpPort() };
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...denoArgs, CHILD, JSON.stringify(options)],
      cwd: this.#directory,
      env: { PATH: this.#path, ...LOOKS_FOR_ENGINES, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    assertEquals(decoder.decode(stderr), "");
    return JSON.parse(decoder.decode(stdout));
  }

  /** Starts the program where a person could answer; it reads the end of the input. */
  atTerminal(denoArgs: string[], args: string[]): TestProcess {
    const words = [Deno.execPath(), "run", "--quiet", ...denoArgs, CLI, ...args];
    const line = words.map((word) => `'${word}'`).join(" ");
    return startProcess("script", ["-qec", line, "/dev/null"], {
      cwd: this.#directory,
      env: { PATH: this.#path, ...LOOKS_FOR_ENGINES },
    });
  }

  /** Runs a command to its end. */
  async run(command: string, data: string, denoArgs: string[]): Promise<CommandOutcome> {
    return await hanzo(await this.args(command, data), {
      cwd: this.#directory,
      env: { PATH: this.#path, ...LOOKS_FOR_ENGINES },
      denoArgs,
    });
  }

  /** What a command is given, to do what it is for. */
  async args(command: string, data: string): Promise<string[]> {
    const args: Record<string, () => string[] | Promise<string[]>> = {
      up: () => upArgs(data),
      run: () => ["run", "2^5", "--agent=calculator", `--data-dir=${data}`],
      map: () => ["map", "-", "--agent=calculator", `--data-dir=${data}`],
      chat: () => ["chat", "--agent=calculator", `--data-dir=${data}`],
      cancel: () => ["cancel", "01", `--data-dir=${data}`],
      key: () => ["key", "list", `--data-dir=${data}`],
      state: () => ["state", "add", "visits", `--data-dir=${data}`],
      join: async () => {
        const { uri } = await (await this.client(this.data)).keys.invite({});
        return ["join", uri, `--data-dir=${data}`];
      },
      detect: () => ["detect"],
      version: () => ["version"],
    };
    return await args[command]?.() ?? [command, `--data-dir=${data}`];
  }
}

/** What `permissions_child.ts` prints. */
interface ProgramOutcome {
  output?: string;
  findings?: Finding[];
  error?: { code: string; message: string };
  warnings: string[];
}

/** What keeps the other tests from looking for engines is not to keep these from it. */
const LOOKS_FOR_ENGINES = { HANZO_NETWORK_NO_ENGINES: "false" };

function upArgs(data: string): string[] {
  return [
    "up",
    "--json",
    "--node-id=node",
    `--data-dir=${data}`,
    `--broadcast-port=${freeUdpPort()}`,
    "--network-interface=lo",
    "--listen-port=0",
    "--api-port=0",
  ];
}

async function withMachine(use: (machine: Machine) => Promise<void>): Promise<void> {
  const deno = Deno.execPath().replace(/\/deno$/, "");
  await withTools(
    HERE,
    (path) => withTempDir((directory) => use(new Machine(directory, `${path}:${deno}`))),
  );
}
