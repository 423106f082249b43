/** Finds the command that is meant, runs it, and turns what goes wrong into an exit code. */

import type { Command } from "./command.ts";

/** 0 ok, 1 failed, 2 wrong usage. */
const FAILED = 1;
const WRONG_USAGE = 2;

// Summaries stand here so that `--help` loads nothing else.
const COMMANDS: Record<string, { summary: string; load(): Promise<{ command: Command }> }> = {
  up: { summary: "Run a node in the foreground", load: () => import("./commands/up.ts") },
  run: {
    summary: "Run an agent, or ask a model, on the device that suits it best",
    load: () => import("./commands/run.ts"),
  },
  map: {
    summary: "Run an agent with each line of a file, spread over the devices",
    load: () => import("./commands/map.ts"),
  },
  chat: {
    summary: "Talk to an agent or a model of the network",
    load: () => import("./commands/chat.ts"),
  },
  status: {
    summary: "Show this node, its peers and its tasks",
    load: () => import("./commands/status.ts"),
  },
  tasks: {
    summary: "Show what runs where since when, and what the last tasks came to",
    load: () => import("./commands/tasks.ts"),
  },
  cancel: {
    summary: "Stop a task, wherever it runs",
    load: () => import("./commands/cancel.ts"),
  },
  drain: {
    summary: "Let a node finish what runs, take nothing new, and stop",
    load: () => import("./commands/drain.ts"),
  },
  peers: { summary: "List the peers", load: () => import("./commands/peers.ts") },
  agents: { summary: "List the agents of the network", load: () => import("./commands/agents.ts") },
  models: { summary: "List the models of the network", load: () => import("./commands/models.ts") },
  state: {
    summary: "Show and change the state that all devices share",
    load: () => import("./commands/state.ts"),
  },
  threads: {
    summary: "Show conversations of agents, and delete them",
    load: () => import("./commands/threads.ts"),
  },
  checkpoint: {
    summary: "Keep the shared state as it is, and bring it back",
    load: () => import("./commands/checkpoint.ts"),
  },
  mcp: {
    summary: "Let Claude Code and other programs use the network, by MCP",
    load: () => import("./commands/mcp.ts"),
  },
  invite: {
    summary: "Show a code by which another device joins",
    load: () => import("./commands/invite.ts"),
  },
  join: {
    summary: "Join the network of a code",
    load: () => import("./commands/join.ts"),
  },
  key: {
    summary: "Show and change who is in the network",
    load: () => import("./commands/key.ts"),
  },
  doctor: {
    summary: "Find out why a peer is not seen",
    load: () => import("./commands/doctor.ts"),
  },
  detect: {
    summary: "Show what this device is and where each figure comes from",
    load: () => import("./commands/detect.ts"),
  },
  demo: {
    summary: "Three nodes on this machine, doing real work",
    load: () => import("./commands/demo.ts"),
  },
  version: { summary: "Show the version", load: () => import("./commands/version.ts") },
};

/**
 * Runs the command line.
 *
 * @param args What follows the program's name.
 * @returns The exit code: 0 ok, 1 failed, 2 wrong usage.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (thrown) {
    // Whoever read our output has had enough: `hanzo-network peers | head -1`.
    if (thrown instanceof Deno.errors.BrokenPipe) return 0;
    return await fail(thrown, args.includes("--json"));
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    return help(rest[0]);
  }
  if (name === "--version" || name === "-V") return await invoke("version", rest);
  if (!Object.hasOwn(COMMANDS, name)) {
    const { safeLine } = await import("../base/safe_text.ts");
    const shown = JSON.stringify(safeLine(name));
    printError(`There is no command ${shown}. See: hanzo-network --help`);
    return WRONG_USAGE;
  }
  return await invoke(name, rest);
}

async function help(name: string | undefined): Promise<number> {
  const isCommand = name !== undefined && name !== "help" && !name.startsWith("-");
  if (isCommand) return await dispatch([name, "--help"]);
  const width = Math.max(...Object.keys(COMMANDS).map((command) => command.length));
  console.log([
    "One network out of all the devices you own.",
    "",
    "Usage: hanzo-network <command> [options]",
    "",
    "Commands:",
    ...Object.entries(COMMANDS).map(([command, { summary }]) =>
      `  ${command.padEnd(width)}  ${summary}`
    ),
    "",
    "hanzo-network <command> --help shows the options of a command.",
    "",
    "Example: hanzo-network up",
  ].join("\n"));
  return 0;
}

async function invoke(name: string, args: readonly string[]): Promise<number> {
  const { command } = await COMMANDS[name].load();
  // What follows `--` is no option.
  const end = args.indexOf("--");
  const options = end === -1 ? args : args.slice(0, end);
  if (options.includes("--help") || options.includes("-h")) {
    const { commandHelp } = await import("./command.ts");
    const { Terminal } = await import("./terminal.ts");
    const { columns } = new Terminal({ json: false, colours: false });
    console.log(commandHelp(name, command, columns).trimEnd());
    return 0;
  }
  const json = options.includes("--json");
  const { Terminal } = await import("./terminal.ts");
  const { readInvocation, unreadSettings } = await import("./option_values.ts");
  const terminal = new Terminal({
    json,
    colours: !json && Deno.stdout.isTerminal() && !Deno.noColor,
  });
  const stop = stopSignal(command.ownInterrupts);
  try {
    const read = await readInvocation(name, command, args);
    const flags = unreadSettings(command);
    if (flags.length > 0) printError(`Settings may not be read: grant ${flags.join(" ")}`);
    return await command.run({ ...read, terminal, signal: stop.signal });
  } finally {
    stop.dispose();
  }
}

async function fail(thrown: unknown, json: boolean): Promise<number> {
  const { NetworkError } = await import("../base/errors.ts");
  const { UsageError } = await import("./command.ts");
  const { safeJson, safeLine } = await import("../base/safe_text.ts");
  const isUsage = thrown instanceof UsageError;
  const { code, message } = isUsage
    ? { code: "INVALID_ARGUMENT", message: thrown.message }
    : NetworkError.from(thrown);
  try {
    printError(safeLine(message));
    if (json) console.log(safeJson(JSON.stringify({ error: { code, message } })));
  } catch {
    // Nobody reads it, or its disk is full: the exit code says that it failed.
  }
  return isUsage ? WRONG_USAGE : FAILED;
}

function printError(message: string): void {
  console.error(`hanzo-network: ${message}`);
}

/** Aborts at the first SIGINT or SIGTERM; the second ends the process at once. */
function stopSignal(hasOwnInterrupts = false): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const signals: Deno.Signal[] = [
    ...(hasOwnInterrupts ? [] : ["SIGINT" as const]),
    ...(Deno.build.os === "windows" ? [] : ["SIGTERM" as const]),
  ];
  const onSignal = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort();
  };
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  return {
    signal: controller.signal,
    dispose: () => {
      for (const name of signals) Deno.removeSignalListener(name, onSignal);
    },
  };
}
