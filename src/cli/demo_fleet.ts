/** The three nodes of the demo: real processes of this program, on the loopback only. */

import { fileURLToPath } from "node:url";
import { NetworkError } from "../base/errors.ts";
import { isGranted, needGranted } from "../base/permissions.ts";
import type { CapabilityOverrides } from "../device/capabilities.ts";
import { TOOLS } from "../device/tools.ts";
import { type RunningNode, runningNodes } from "../network/data_directory.ts";
import { NodeClient } from "./node_client.ts";

/** A device that the demo pretends to be. */
export interface DemoDevice {
  readonly nodeId: string;
  readonly capabilities: CapabilityOverrides;
}

/** The three devices of the specification. */
export const DEMO_DEVICES: readonly DemoDevice[] = [
  {
    nodeId: "macbook",
    capabilities: {
      model: "MacBook Pro",
      chip: "Apple M3",
      memory: 16_384,
      flops: { fp32: 3.55, fp16: 7.10, int8: 14.20 },
    },
  },
  {
    nodeId: "gpu-server",
    capabilities: {
      model: "GPU Server",
      chip: "NVIDIA GEFORCE RTX 4090",
      memory: 131_072,
      flops: { fp32: 82.58, fp16: 165.16, int8: 330.32 },
    },
  },
  {
    nodeId: "raspberry-pi",
    capabilities: { model: "Raspberry Pi 4 Model B", chip: "Raspberry Pi 4", memory: 8_192 },
  },
];

const READY_TIMEOUT_MS = 15_000;

/** A node that was started for the demo. */
export interface DemoNode {
  readonly nodeId: string;
  readonly client: NodeClient;
  /** Ends the process at once, as a power cut would. */
  kill(): Promise<void>;
  /** Asks it to stop and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts one node as a process of its own.
 *
 * @throws {NetworkError} `UNAVAILABLE` with what it wrote, when it is not ready in time.
 */
export async function startDemoNode(
  device: DemoDevice,
  options: { directory: string; broadcastPort: number },
): Promise<DemoNode> {
  const { nodeId, capabilities } = device;
  const { directory, broadcastPort } = options;
  needGranted("Cannot start the demo's nodes", { name: "run", command: program() });
  const file = `${directory}/${nodeId}.json`;
  await Deno.writeTextFile(file, JSON.stringify(capabilities));
  const child = thisProgram(grants(directory), [
    "up",
    "--json",
    // Even if this process is killed, no node is left behind.
    "--until-stdin-ends",
    "--log-level=warning",
    `--node-id=${nodeId}`,
    "--name=demo",
    "--network-interface=lo",
    "--listen-port=0",
    "--api-port=0",
    "--slots=2",
    `--broadcast-port=${broadcastPort}`,
    `--capabilities=${file}`,
    `--agents=${import.meta.resolve("./demo_agents.ts")}`,
    `--data-dir=${directory}`,
  ]).spawn();
  const stderr = new Response(child.stderr).text();
  let node: RunningNode | undefined;
  try {
    await firstLine(child.stdout, READY_TIMEOUT_MS);
    node = (await runningNodes(directory)).find((one) => one.nodeId === nodeId);
  } catch {
    // Told below, with what the process itself has to say.
  }
  if (node === undefined) {
    child.kill("SIGKILL");
    await child.status;
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot start the demo's node "${nodeId}": ${(await stderr).trim() || "it said nothing"}`,
    );
  }
  const end = async (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
    await child.status;
    await stderr;
    // Its other end is gone already.
    await child.stdin.close().catch(() => {});
  };
  return {
    nodeId,
    client: new NodeClient(node),
    kill: () => end("SIGKILL"),
    stop: () => end(Deno.build.os === "windows" ? "SIGKILL" : "SIGTERM"),
  };
}

/** What such a node may do, and no more. */
function grants(directory: string): string[] {
  const here = new URL("../", import.meta.url);
  const files = here.protocol === "file:" ? [directory, fileURLToPath(here)] : [directory];
  return [
    `--allow-read=${files.map(listed).join(",")}`,
    `--allow-write=${listed(directory)}`,
    // Not every system lets a node listen at the address that beacons on the loopback go to.
    "--allow-net=127.0.0.0/8,0.0.0.0",
    "--allow-sys=cpus,hostname,loadavg,networkInterfaces,osUptime,statfs,systemMemoryInfo",
    `--allow-run=${(TOOLS[Deno.build.os] ?? ["cat"]).join(",")}`,
    "--allow-env=SystemRoot",
    // The demo's agents are modules of this program, wherever that comes from.
    "--allow-import",
  ];
}

/** A path in a list of them, where a comma is written twice. */
function listed(path: string): string {
  return path.replaceAll(",", ",,");
}

/** This program itself with other arguments, however it was started. */
/** This Deno; or the one of the PATH, which is all that `--allow-run=deno` grants. */
function program(): string {
  const own = Deno.execPath();
  const isOther = !isGranted({ name: "run", command: own }) &&
    isGranted({ name: "run", command: "deno" });
  return isOther ? "deno" : own;
}

function thisProgram(allowed: string[], args: string[]): Deno.Command {
  const start = Deno.build.standalone
    ? []
    : ["run", "--quiet", "--no-prompt", ...allowed, Deno.mainModule];
  return new Deno.Command(program(), {
    args: [...start, ...args],
    env: { DENO_NO_UPDATE_CHECK: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Waits for the first line; the rest is read and dropped, so that the writer never blocks. */
async function firstLine(stdout: ReadableStream<Uint8Array>, timeoutMs: number): Promise<void> {
  const reader = stdout.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timeout")), timeoutMs);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), timeout]);
      if (done) throw new Error("ended");
      if (value.includes(0x0a)) break;
    }
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
  void stdout.pipeTo(new WritableStream());
}
