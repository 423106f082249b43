/**
 * A node that is maltreated. Whatever it starts it writes to a file first, in one write to its end,
 * so that it is there whatever becomes of the node.
 *
 *     deno run -A lab/chaos_worker.ts NODE_ID DATA_DIRECTORY FILE SLOTS
 */

import { type AgentContext, createAgent, createDistributedNetwork } from "../mod.ts";
import { PIECE_MS, piecesOf } from "./chaos_plan.ts";

const [nodeId, dataDirectory, file, slots] = Deno.args;
const starts = await Deno.open(file, { append: true, create: true });
const encoder = new TextEncoder();

interface Prompt {
  readonly index: number;
  readonly ms: number;
}

const work = async (context: AgentContext) => {
  const { index, ms } = begin(context);
  await wait(ms, context.signal);
  return `${index}`;
};

async function* talk(context: AgentContext) {
  const prompt = begin(context);
  for (const piece of piecesOf(prompt)) {
    await wait(PIECE_MS, context.signal);
    yield piece;
  }
}

const network = createDistributedNetwork({
  nodeId,
  dataDirectory,
  slots: Number(slots),
  agents: [true, false].flatMap((idempotent) => {
    const name = (short: string) => idempotent ? short : `${short}-once`;
    return [
      createAgent({ name: name("work"), description: "Takes its time", idempotent, run: work }),
      createAgent({ name: name("talk"), description: "Talks", idempotent, run: talk }),
    ];
  }),
});
await network.start();
console.log("ready");

function begin({ prompt, taskId }: AgentContext): Prompt {
  const read: Prompt = JSON.parse(prompt);
  const { attempt } = network.getNetworkStatus().tasks.find((task) => task.taskId === taskId)!;
  const line = { index: read.index, taskId, attempt, node: nodeId, at: now() };
  starts.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));
  return read;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const id = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(id);
      reject(signal.reason);
    });
  });
}
