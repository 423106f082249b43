/** Each command as a user meets it: help, wrong usage, failures, and what a program reads. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { freeUdpPort, hanzo, programArgs, ready, TestMachine } from "../support/nodes.ts";
import { startProcess } from "../support/process.ts";
import { withTempDir } from "../support/temp.ts";

const COMMANDS = [
  ...["up", "run", "map", "status", "tasks", "cancel", "drain", "peers", "agents", "key", "detect"],
  ...["demo", "version"],
];

Deno.test("--help lists every command, and each command's --help has an example", async () => {
  const { code, stdout } = await hanzo(["--help"]);
  assertEquals(code, 0);
  for (const command of COMMANDS) assertMatch(stdout, new RegExp(`^  ${command} `, "m"));
  assertEquals((await hanzo([])).stdout, stdout);
  for (const command of COMMANDS) {
    const help = await hanzo([command, "--help"]);
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: hanzo-network ${command}`);
    assertStringIncludes(help.stdout, "Example: hanzo-network");
    assertStringIncludes(help.stdout, "--json");
  }
});

Deno.test("wrong usage ends with 2 and one line that says what is right", async () => {
  const cases: [string[], string][] = [
    [["fly"], 'no command "fly"'],
    [["status", "--verbose"], "Unknown option --verbose"],
    [["up", "--listen-port"], "--listen-port needs a value"],
    [["up", "--listen-port=http"], '--listen-port is "http", expected a whole number'],
    [["up", "--listen-port=70000"], "expected a whole number from 0 to 65535"],
    [["up", "--log-level=loud"], "expected debug, info, warning, error"],
    [["up", "--discovery=smoke"], '--discovery is "smoke", expected udp'],
    [["up", "--node-id=-a"], "a node id is 1 to 63 letters"],
    [["up", "--open-accept-tasks"], "openAcceptTasks is for an open network"],
    [["up", "--open=8.8.8.0/24"], "only private ranges"],
    [["up", "--open=soon"], "expected an IPv4 range"],
    [["up", "--tls-cert=a.pem"], "tlsCert, tlsKey and tlsCa belong together"],
    [["up", "--agents=/no/such/file.ts"], "Cannot load the agents of /no/such/file.ts"],
    [["up", "--verify-peers=false"], "a network with a key always verifies"],
    [["help", "fly"], 'no command "fly"'],
    [["join", ""], "join takes one CODE, FILE or -"],
    [["run"], "Say what to run"],
    [["status", "B"], 'Cannot do anything with "B"'],
    [["up", "agents.ts"], 'Cannot do anything with "agents.ts"'],
    [["run", "x", "--strategy=best"], "expected capability-based, least-loaded, latency-aware"],
    [["run", "x", "--all", "--node=B"], "--all and --node exclude each other"],
    [["run", "x", "--context=/no/such/file"], "there is no file /no/such/file"],
    [["run", "x", "--context=/"], "Cannot read /: it is a directory. Name a file."],
    [["run", "x", "--tflops=much"], '--tflops is "much", expected a number'],
    [["run", "x", "--all", "--hedge=5"], "leave out --hedge"],
    [["detect", "--capabilities=/no/such/file"], "/no/such/file"],
  ];
  await withTempDir(async (directory) => {
    for (const [args, message] of cases) {
      const outcome = await hanzo(args, { env: { HANZO_NETWORK_DATA_DIR: directory } });
      assertEquals(outcome.code, 2, args.join(" "));
      assertStringIncludes(outcome.stderr, message);
      assertEquals(outcome.stderr.trim().split("\n").length, 1, outcome.stderr);
    }
  });
});

Deno.test("what fails ends with 1, one line without a stack, and with --json an error as JSON", async () => {
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    const noNode = await machine.ask("A", "status");
    assertEquals(noNode.code, 1);
    assertStringIncludes(noNode.stderr, "Start one: hanzo-network up");

    await using a = machine.up("A");
    const { api, grpc } = await ready(a);
    const cases: [string[], string, string][] = [
      [
        ["run", "x", "--agent=poet"],
        "NOT_FOUND",
        "no node of the network has it. There are: assistant, calc",
      ],
      [["run", "x", "--agent=monitor", "--node=Z"], "NOT_FOUND", "no such node is here now"],
      [["run", "x"], "INVALID_ARGUMENT", "name one of assistant, calculator, monitor"],
      [["run", "2 +", "--agent=calculator"], "INVALID_ARGUMENT", "2 +"],
    ];
    for (const [args, code, message] of cases) {
      const outcome = await machine.ask("A", ...args, "--json");
      assertEquals(outcome.code, 1, args.join(" "));
      const { error } = JSON.parse(outcome.stdout);
      assertEquals(error.code, code);
      assertStringIncludes(error.message, message);
      assert(!/^\s+at /m.test(outcome.stderr), outcome.stderr);
    }

    const other = await machine.ask("B", "status");
    assertStringIncludes(other.stderr, `There are: A (${api})`);

    const port = grpc.split(":")[1];
    for (
      const [option, message] of [
        [`--listen-port=${port}`, `127.0.0.1:${port}: the port is taken`],
        [`--api-port=${new URL(api).port}`, "Choose another with --api-port"],
      ]
    ) {
      const outcome = await machine.ask("C", "up", "--network-interface=lo", option);
      assertEquals(outcome.code, 1, option);
      assertStringIncludes(outcome.stderr, message);
      assert(!/^\s+at /m.test(outcome.stderr), outcome.stderr);
      assert(!outcome.stderr.includes("WARNING"), outcome.stderr);
    }
    const twice = await machine.ask("A", "up", "--network-interface=lo");
    assertStringIncludes(twice.stderr, "it runs already on this machine");
  });
});

Deno.test({
  name: "a disk that is full fails a command, and a reader who has had enough does not",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const into = async (where: string, ...args: string[]) => {
      const { code, stderr } = await new Deno.Command("bash", {
        args: ["-c", `"$@" ${where}; exit \${PIPESTATUS[0]}`, "bash", Deno.execPath()]
          .concat(programArgs(...args)),
        env: { DENO_NO_UPDATE_CHECK: "1" },
        stdin: "null",
      }).output();
      return [code, new TextDecoder().decode(stderr)];
    };
    const full = "hanzo-network: Cannot write to stdout: the disk is full. Make room there.\n";
    assertEquals(await into("> /dev/full", "version", "--json"), [1, full]);
    for (const args of [["version"], ["--help"], ["run", "--help"]]) {
      assertEquals(await into("| true", ...args), [0, ""], args.join(" "));
    }
  },
});

Deno.test("a port that was not asked for and is taken moves to the next free one, and says so", async () => {
  await withTempDir(async (directory) => {
    const args = [
      "up",
      "--json",
      "--network-interface=lo",
      `--broadcast-port=${freeUdpPort()}`,
      `--data-dir=${directory}`,
    ];
    await using a = startProcess(Deno.execPath(), programArgs(...args));
    const first = await ready(a);
    await using b = startProcess(Deno.execPath(), programArgs(...args));
    const second = await ready(b);
    assert(first.nodeId !== second.nodeId);
    assert(first.api !== second.api && first.grpc !== second.grpc);
    assertStringIncludes(b.stderrText(), "taken");
    b.kill();
    await b.status;
    await using again = startProcess(Deno.execPath(), programArgs(...args));
    assertEquals((await ready(again)).nodeId, second.nodeId, "a label that was made up is kept");
  });
});

Deno.test("where no home may be read, commands say so, and how to do without", async () => {
  for (const args of [["up"], ["status"], ["join", "-"], ["invite", "--static"]]) {
    const homeless = await hanzo(args, { denoArgs: [] });
    assertEquals(homeless.code, 1);
    assertStringIncludes(homeless.stderr, "Grant --allow-env=");
    assertStringIncludes(homeless.stderr, "--data-dir");
  }
});

Deno.test("settings come from the command line, else the environment, else the file", async () => {
  await withTempDir(async (directory) => {
    const file = `${directory}/hanzo-network.toml`;
    const env = { HANZO_NETWORK_DATA_DIR: directory };
    await Deno.writeTextFile(file, 'capabilities = "from-file.json"\n');
    const fromFile = await hanzo(["detect"], { cwd: directory, env });
    assertStringIncludes(fromFile.stderr, "from-file.json");
    const fromEnv = { ...env, HANZO_NETWORK_CAPABILITIES: "from-env.json" };
    const fromEnvironment = await hanzo(["detect"], { cwd: directory, env: fromEnv });
    assertStringIncludes(fromEnvironment.stderr, "from-env.json");
    const typed = await hanzo(["detect", "--capabilities=typed.json"], {
      cwd: directory,
      env: fromEnv,
    });
    assertStringIncludes(typed.stderr, "typed.json");

    await Deno.writeTextFile(file, "listen-prot = 1\n");
    const typo = await hanzo(["status"], { cwd: directory, env });
    assertEquals(typo.code, 2);
    assertStringIncludes(typo.stderr, 'there is no setting "listen-prot"');
    await Deno.writeTextFile(file, "listen-port = \n");
    const broken = await hanzo(["status"], { cwd: directory, env });
    assertEquals(broken.code, 2);
    assertStringIncludes(broken.stderr, "hanzo-network.toml");
  });
});

Deno.test("detect prints one JSON value with every figure's source or the reason why not", async () => {
  const { code, stdout } = await hanzo(["detect", "--json"]);
  assertEquals(code, 0);
  const { capabilities, sources, missing } = JSON.parse(stdout);
  for (const field of ["model", "chip", "memory", "cores"]) {
    assert(capabilities[field] !== null || field in missing, field);
    assert(capabilities[field] === null || field in sources, field);
    assert(capabilities[field] !== 0, field);
  }
});

Deno.test("version names the program, Deno and the system", async () => {
  const { version } = JSON.parse((await hanzo(["version", "--json"])).stdout);
  const config = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assertEquals(version, config.version);
  assertStringIncludes((await hanzo(["--version"])).stdout, `hanzo-network ${version}`);
});
