/** `demo`: the main job from end to end, with three nodes on this machine. */

import type { RunEvent, RunResult } from "../../agents/run_event.ts";
import { sleep, systemClock } from "../../base/clock.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { needGranted, type Permission } from "../../base/permissions.ts";
import type { RunBody } from "../../gateway/control_api.ts";
import type { Command, Invocation } from "../command.ts";
import { DEMO_DEVICES, type DemoNode, startDemoNode } from "../demo_fleet.ts";
import { showMilliseconds, statusTable } from "../show.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const MEETING_TIMEOUT_MS = 5_000;
const POLL_MS = 20;
/** Long enough to be killed in the middle of. */
const DOOMED_SECONDS = 1.5;

/** What one step came to, for `--json`. */
interface Step {
  step: string;
  ok: boolean;
  [detail: string]: unknown;
}

export const command: Command = {
  positionals: "",
  summary: "Three nodes on this machine, doing real work",
  options: [{
    name: "data-dir",
    kind: "text",
    value: "DIR",
    help: "where its nodes keep their files while it runs (default: where the system has such)",
  }],
  example: "hanzo-network demo",
  async run({ options, terminal, signal }: Invocation): Promise<number> {
    const started = performance.now();
    const directory = await newDirectory(options.text("data-dir"));
    const demo = new Demo(terminal, signal, directory);
    try {
      await demo.play();
    } catch (thrown) {
      if (!signal.aborted) {
        demo.tell("the demo went to its end", false, { error: describeError(thrown) });
      }
    } finally {
      await demo.cleanUp();
    }
    if (signal.aborted) {
      throw new NetworkError("CANCELLED", "Stopped before the end. Nothing is left behind.");
    }
    const seconds = (performance.now() - started) / 1000;
    if (terminal.json) terminal.value({ ok: demo.ok, seconds, steps: demo.steps });
    else {
      const verdict = demo.ok
        ? terminal.style("green", "Everything was as it should be")
        : terminal.style("red", "Not everything was as it should be");
      terminal.line(`\n${verdict} (${seconds.toFixed(1)} s). Nothing is left behind.`);
    }
    return demo.ok ? 0 : 1;
  },
};

/** A directory that is removed at the end, in another one. */
async function newDirectory(parent: string | undefined): Promise<string> {
  const use: Permission[] = [{ name: "read", path: parent }, { name: "write", path: parent }];
  needGranted("Cannot keep the files of the demo", ...use);
  if (parent !== undefined) await Deno.mkdir(parent, { recursive: true, mode: 0o700 });
  return await Deno.makeTempDir({ dir: parent, prefix: "hanzo-network-demo-" });
}

class Demo {
  readonly steps: Step[] = [];
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  readonly #directory: string;
  readonly #nodes = new Map<string, DemoNode>();

  constructor(terminal: Terminal, signal: AbortSignal, directory: string) {
    this.#terminal = terminal;
    this.#signal = signal;
    this.#directory = directory;
  }

  get ok(): boolean {
    return this.steps.every(({ ok }) => ok);
  }

  async play(): Promise<void> {
    await this.#start();
    await this.#meet();
    await this.#route("heavy", "benchmark", "gpu-server", { prompt: "0.3" });
    await this.#route("light", "calculator", "macbook", { prompt: "2^10 + sqrt(2)" });
    const text = this.steps.map((step) => JSON.stringify(step)).join("\n");
    await this.#route("background", "word-count", "raspberry-pi", { prompt: "", context: text });
    await this.#fanOut();
    await this.#loseOne();
  }

  async cleanUp(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()));
    await Deno.remove(this.#directory, { recursive: true });
  }

  /** Records a step, and shows it to a person. */
  tell(step: string, ok: boolean, details: Record<string, unknown>, lines: string[] = []): void {
    this.steps.push({ step, ok, ...details });
    if (this.#terminal.json) return;
    const mark = ok ? this.#terminal.style("green", "✓") : this.#terminal.style("red", "✗");
    this.#terminal.line(`\n${mark} ${this.#terminal.style("bold", step)}`);
    const shown = ok ? lines : [...lines, JSON.stringify(details)];
    for (const line of shown) this.#terminal.line(`  ${line}`);
  }

  async #start(): Promise<void> {
    const started = performance.now();
    const broadcastPort = await freeUdpPort();
    const options = { directory: this.#directory, broadcastPort };
    const starting = DEMO_DEVICES.map(async (device) => {
      this.#nodes.set(device.nodeId, await startDemoNode(device, options));
    });
    // All are waited for, so that none is left behind when one fails.
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === "rejected");
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    const ms = performance.now() - started;
    const names = DEMO_DEVICES.map(({ nodeId }) => nodeId).join(", ");
    this.tell("three nodes run, each a process of its own", true, { ms }, [
      `${names}: up after ${(ms / 1000).toFixed(1)} s`,
    ]);
  }

  async #meet(): Promise<void> {
    const started = performance.now();
    const others = DEMO_DEVICES.length - 1;
    let seen: number[] = [];
    while (performance.now() - started < MEETING_TIMEOUT_MS) {
      const nodes = [...this.#nodes.values()];
      const statuses = await Promise.all(nodes.map(({ client }) => client.status(this.#signal)));
      seen = statuses.map((status) =>
        Object.values(status.peers).filter((peer) => peer.healthy && peer.agents.length > 0).length
      );
      if (seen.every((count) => count === others)) break;
      await sleep(systemClock, POLL_MS, this.#signal);
    }
    const ms = performance.now() - started;
    const ok = seen.every((count) => count === others);
    const status = await this.#node("macbook").client.status(this.#signal);
    this.tell("they have found each other", ok, { seen, ms }, statusTable(status, this.#terminal));
  }

  async #route(
    workload: string,
    agent: string,
    expected: string,
    body: Pick<RunBody, "prompt" | "context">,
  ): Promise<void> {
    const asker = this.#node("macbook").client;
    const { result } = await finish(asker.run({ ...body, agent }, this.#signal));
    const { nodeId, reason, output, durationMs } = result;
    this.tell(
      `${workload} work goes to ${expected}`,
      nodeId === expected,
      { agent, nodeId, reason, output, durationMs },
      [`${agent} on ${nodeId} in ${showMilliseconds(durationMs)}: ${output}`, `because ${reason}`],
    );
  }

  async #fanOut(): Promise<void> {
    const asker = this.#node("raspberry-pi").client;
    const outcomes = await asker.runAll({ prompt: "", agent: "monitor" }, this.#signal);
    const rows = outcomes.map((outcome) => [
      outcome.nodeId,
      "result" in outcome ? outcome.result.output : `failed: ${outcome.error.message}`,
    ]);
    const ok = outcomes.length === DEMO_DEVICES.length &&
      outcomes.every((outcome) => "result" in outcome);
    this.tell(
      "every device says at once what it is doing",
      ok,
      { outcomes },
      table(["NODE", "ANSWER"], rows, this.#terminal.columns),
    );
  }

  async #loseOne(): Promise<void> {
    const asker = this.#node("macbook").client;
    const doomed = this.#node("gpu-server");
    const prompt = String(DOOMED_SECONDS);
    let killedAt = 0;
    const { result, events } = await finish(
      asker.run({ prompt, agent: "benchmark" }, this.#signal),
      async (event) => {
        if (event.type !== "started" || event.nodeId !== doomed.nodeId) return;
        killedAt = performance.now();
        await doomed.kill();
      },
      () => performance.now() - killedAt,
    );
    const fallback = events.find(({ event }) => event.type === "fallback");
    const fellBack = fallback !== undefined && result.nodeId === "macbook" && result.attempts === 2;
    this.tell(
      "the device dies in the middle of its work, and the next best does it",
      fellBack,
      { nodeId: result.nodeId, attempts: result.attempts, fallbackMs: fallback?.ms },
      [
        `gpu-server was killed; ${showMilliseconds(fallback?.ms ?? null)} later the work went ` +
        `to ${result.nodeId}: ${result.output}`,
      ],
    );
    const left = Object.keys((await asker.status(this.#signal)).peers);
    this.tell("the dead device is gone", left.join() === "raspberry-pi", { left }, [
      `macbook sees only ${left.join(", ")}`,
    ]);
  }

  #node(nodeId: string): DemoNode {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new NetworkError("INTERNAL", `Node "${nodeId}" was not started.`);
    return node;
  }
}

/** Reads a run to its end. */
async function finish(
  run: AsyncIterable<RunEvent>,
  onEvent: (event: RunEvent) => Promise<void> = () => Promise.resolve(),
  stamp: () => number = () => 0,
): Promise<{ result: RunResult; events: { event: RunEvent; ms: number }[] }> {
  const events: { event: RunEvent; ms: number }[] = [];
  for await (const event of run) {
    events.push({ event, ms: stamp() });
    if (event.type === "result") return { result: event.result, events };
    await onEvent(event);
  }
  throw new NetworkError("PROTOCOL", "The node ended the answer without a result.");
}

/** A port that nobody on this machine uses for beacons, so that the demo meets only itself. */
async function freeUdpPort(): Promise<number> {
  needGranted("Cannot let the demo's nodes meet", { name: "net", host: "127.0.0.1" });
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
