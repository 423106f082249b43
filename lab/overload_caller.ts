/**
 * A node that asks in `overload.ts`: phase after phase, as files appear; prints the figures of each.
 *
 *     deno run -A lab/overload_caller.ts NODE_ID DATA_DIRECTORY BEACON_PORT PHASES_DIRECTORY
 */

import { createDistributedNetwork, NetworkError, type RunOptions } from "../mod.ts";
import {
  BACKGROUND,
  DIRECT,
  Histogram,
  type Phase,
  type PhaseFigures,
  type RefusalKind,
  WORKERS,
} from "./overload_plan.ts";

const [nodeId, dataDirectory, port, phases] = Deno.args;
const network = createDistributedNetwork({
  nodeId,
  dataDirectory,
  networkInterfaces: ["lo"],
  listenPort: 0,
  broadcastPort: Number(port),
});
await network.start();
const workers = () => network.agents().find(({ agent }) => agent.name === "unit")?.nodes.length;
while (workers() !== WORKERS.length) await wait(20);
console.log("ready");
for (let number = 1;; number++) {
  const phase = await nextPhase(`${phases}/${number}.json`);
  if (phase.durationMs === 0) break;
  console.log(JSON.stringify(await offer(phase)));
}
await network.stop({ drainMs: 0 });

async function nextPhase(path: string): Promise<Phase> {
  for (;;) {
    try {
      return JSON.parse(await Deno.readTextFile(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await wait(20);
    }
  }
}

async function offer({ durationMs, perSecond, concurrency = 0 }: Phase): Promise<PhaseFigures> {
  const refusal: Record<RefusalKind, Histogram> = {
    direct: new Histogram(),
    routed: new Histogram(),
    background: new Histogram(),
  };
  const answer = new Histogram();
  const failed: Record<string, number> = {};
  const doneBySecond = Array.from({ length: Math.floor(durationMs / 1_000) }, () => 0);
  let [offered, done, refused, inFlight, mostInFlight] = [0, 0, 0, 0, 0];
  const begun = performance.now();
  const isOver = () => performance.now() - begun >= durationMs;

  const one = async () => {
    const kind = kindOf(++offered);
    mostInFlight = Math.max(mostInFlight, ++inFlight);
    const asked = performance.now();
    try {
      await network.run("", optionsOf(kind, offered));
      const now = performance.now();
      answer.add(now - asked);
      done++;
      const second = Math.floor((now - begun) / 1_000);
      if (second < doneBySecond.length) doneBySecond[second]++;
    } catch (thrown) {
      const { code } = NetworkError.from(thrown);
      if (code === "RESOURCE_EXHAUSTED") {
        refused++;
        refusal[kind].add(performance.now() - asked);
      } else failed[code] = (failed[code] ?? 0) + 1;
    }
    inFlight--;
  };

  if (perSecond === undefined) {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (!isOver()) await one();
    }));
  } else {
    while (!isOver()) {
      const due = Math.floor((performance.now() - begun) / 1_000 * perSecond);
      while (offered < due) void one();
      await wait(2);
    }
    while (inFlight > 0) await wait(10);
  }
  return { offered, done, doneBySecond, refused, failed, mostInFlight, refusal, answer };
}

/** As many of each kind in any hundred. */
function kindOf(number: number): RefusalKind {
  const place = number % 100 / 100;
  return place < DIRECT ? "direct" : place < DIRECT + BACKGROUND ? "background" : "routed";
}

function optionsOf(kind: RefusalKind, number: number): RunOptions {
  const options: RunOptions = { initialAgent: "unit", timeoutMs: 10_000 };
  if (kind === "direct") options.nodeId = WORKERS[number % WORKERS.length];
  if (kind === "background") options.workload = "background";
  return options;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
