/**
 * A caller changes its mind: how soon does the work stop, two hops away? This process asks an agent
 * on one node, which asks an agent on another one; both are processes of their own.
 *
 *     deno task lab:cancel [--runs 300] [--json]
 *
 * Prints the times from the abort to the moment at which the working agent's signal aborts; the exit
 * status is 1 if the promise was missed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { createDistributedNetwork } from "../mod.ts";
import { newKeyring } from "../src/security/keyring.ts";
import { freeUdpPort, keepKeyring } from "../tests/support/nodes.ts";
import { startProcess } from "../tests/support/process.ts";
import { withTempDir } from "../tests/support/temp.ts";
import { percentile } from "./figures.ts";

const PROMISED_MS = 100;
/** Runs at a time: others that are cancelled meanwhile must not hold one up. */
const CONCURRENCY = 8;
const WARM_UP = 20;

const args = parseArgs(Deno.args, { string: ["runs"], boolean: ["json"] });
const runs = Number(args.runs ?? 300);
Deno.exit(await withTempDir(cancel) ? 0 : 1);

async function cancel(dataDirectory: string): Promise<boolean> {
  await keepKeyring(dataDirectory, newKeyring("hanzo"));
  const port = freeUdpPort();
  const start = (nodeId: string) => {
    const program = new URL("cancel_node.ts", import.meta.url).pathname;
    const own = ["run", "-A", "--quiet", program, nodeId, dataDirectory, `${port}`];
    return startProcess(Deno.execPath(), own);
  };
  await using first = start("first");
  await using second = start("second");
  for (const node of [first, second]) {
    await node.waitForLine((line) => line.includes("ready"), { what: "ready", timeoutMs: 20_000 });
  }
  await using network = createDistributedNetwork({
    nodeId: "caller",
    dataDirectory,
    networkInterfaces: ["lo"],
    listenPort: 0,
    broadcastPort: port,
  });
  await network.start({ waitForPeers: 2 });
  while (network.agents().every(({ agent }) => agent.name !== "asks")) await wait(20);

  const began = new Map<number, PromiseWithResolvers<void>>();
  const stopped = new Map<number, PromiseWithResolvers<number>>();
  const follow = async () => {
    for await (const line of second.lines()) {
      const { event, index, at } = JSON.parse(line);
      if (event === "began") began.get(index)?.resolve();
      if (event === "stopped") stopped.get(index)?.resolve(at);
    }
  };
  void follow();
  const one = async (index: number): Promise<number> => {
    began.set(index, Promise.withResolvers());
    stopped.set(index, Promise.withResolvers());
    const abort = new AbortController();
    const { signal } = abort;
    const running = network.run(`${index}`, { initialAgent: "asks", signal }).catch(() => {});
    await began.get(index)!.promise;
    await wait(5 + index % 20);
    const at = performance.timeOrigin + performance.now();
    abort.abort();
    await running;
    return await stopped.get(index)!.promise - at;
  };
  const times: number[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    while (next < runs + WARM_UP) {
      const index = next++;
      const ms = await one(index);
      if (index >= WARM_UP) times.push(ms);
    }
  }));
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => percentile(times, share));
  const met = p99 <= PROMISED_MS;
  console.log(
    `${times.length} runs cancelled over two hops: the work stopped after ${p50.toFixed(1)} ms ` +
      `(p50), ${p99.toFixed(1)} ms (p99), ${max.toFixed(1)} ms (max)${met ? "" : ": MISSED"}`,
  );
  if (args.json) console.log(JSON.stringify({ met, runs: times.length, p50, p99, max }));
  return met;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
