/** Real nodes and commands of this program, on the loopback, with data directories of their own. */

import { silentLogger } from "../../src/base/log.ts";
import { type Keyring, newKeyring } from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { startProcess, type TestProcess } from "./process.ts";

/** The program itself. */
export const CLI: string = new URL("../../cli.ts", import.meta.url).pathname;

/** What a command came to. */
export interface CommandOutcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** The arguments for Deno to run this program with all permissions. */
export function programArgs(...args: string[]): string[] {
  return ["run", "--quiet", "--allow-all", CLI, ...args];
}

/** Runs a command of this program to its end. */
export async function hanzo(
  args: string[],
  options: RunCommandOptions = {},
): Promise<CommandOutcome> {
  const { cwd, env, denoArgs = ["--allow-all"], stdin = "" } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...denoArgs, CLI, ...args],
    cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A command that reads none of it may have ended before.
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Options of {@linkcode hanzo}. */
export interface RunCommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** What it finds on its standard input. */
  stdin?: string;
  /** Deno's own arguments, by default all permissions. */
  denoArgs?: string[];
}

/** A port for beacons that no other test uses at the same time. */
export function freeUdpPort(): number {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  socket.close();
  return port;
}

/** Makes one network of machines that have not started yet, without joining. */
export async function shareNetwork(...directories: string[]): Promise<void> {
  const ring = newKeyring("hanzo");
  for (const directory of directories) await keepKeyring(directory, ring);
}

/** Makes a machine one of a network, without joining. */
export async function keepKeyring(directory: string, ring: Keyring): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  await new KeyringFile(directory, silentLogger).write(ring);
}

/** Any number of nodes that share one data directory and one port for beacons. */
export class TestMachine {
  readonly #directory: string;
  /** Shared by all its nodes. */
  readonly broadcastPort: number;

  constructor(directory: string, broadcastPort: number = freeUdpPort()) {
    this.#directory = directory;
    this.broadcastPort = broadcastPort;
  }

  /** Starts a node; await its `ready` before talking to it. */
  up(nodeId: string, ...args: string[]): TestProcess {
    return startProcess(Deno.execPath(), this.upArgs(nodeId, ...args));
  }

  /** Deno's arguments for a node. */
  upArgs(nodeId: string, ...args: string[]): string[] {
    return programArgs(
      "up",
      "--json",
      `--node-id=${nodeId}`,
      `--data-dir=${this.#directory}`,
      `--broadcast-port=${this.broadcastPort}`,
      "--network-interface=lo",
      "--listen-port=0",
      "--api-port=0",
      "--no-engines",
      ...args,
    );
  }

  /** Runs a command against the node `nodeId`. */
  ask(nodeId: string, ...args: string[]): Promise<CommandOutcome> {
    return hanzo([...args, `--node-id=${nodeId}`, `--data-dir=${this.#directory}`]);
  }

  /** Runs a command with `--json` against the node `nodeId` and returns what it printed. */
  async askJson<T>(nodeId: string, ...args: string[]): Promise<T> {
    const { stdout, stderr } = await this.ask(nodeId, ...args, "--json");
    try {
      return JSON.parse(stdout);
    } catch {
      throw new Error(`${args.join(" ")} printed no JSON: ${stdout}${stderr}`);
    }
  }
}

/** The first line of `up --json`. */
export async function ready(
  node: TestProcess,
): Promise<{ nodeId: string; api: string; grpc: string }> {
  const line = await node.waitForLine((line) => line.includes('"event":"ready"'), {
    what: "the ready event",
    timeoutMs: 15_000,
  });
  return JSON.parse(line);
}

/** An event of `up --json` about a peer. */
export async function peerEvent(node: TestProcess, type: string, nodeId: string): Promise<void> {
  await node.waitForLine(
    (line) => line.startsWith(`{"event":"${type}","nodeId":"${nodeId}"`),
    { what: `${type} of ${nodeId}` },
  );
}
