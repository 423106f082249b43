/**
 * The node that asks: so many tasks at a time until all are asked for. Prints a line when it sees
 * all others, and one for each task: what came of it, as its caller saw it.
 *
 *     deno run -A lab/chaos_caller.ts DATA_DIRECTORY SEED TASKS CONCURRENCY
 */

import { createDistributedNetwork, NetworkError, type RunResult } from "../mod.ts";
import { type Outcome, TIMEOUT_MS } from "./chaos_judge.ts";
import { type PlannedTask, planTasks, WORKERS } from "./chaos_plan.ts";

const [dataDirectory, seed, count, concurrency] = Deno.args;
const tasks = planTasks(Number(seed), Number(count));
// It has no agent of theirs: each task goes to one of the others.
const network = createDistributedNetwork({ nodeId: "caller", dataDirectory });
await network.start({ waitForPeers: WORKERS.length });
// They say what they can do when they have found it out.
while (
  network.agents().find(({ agent }) => agent.name === "work")?.nodes.length !== WORKERS.length
) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
console.log(JSON.stringify({ ready: now() }));

let next = 0;
await Promise.all(Array.from({ length: Number(concurrency) }, async () => {
  while (next < tasks.length) console.log(JSON.stringify(await outcomeOf(tasks[next++])));
}));
await network.stop();

async function outcomeOf(task: PlannedTask): Promise<Outcome> {
  const { index, agent, ms, isStreamed } = task;
  const outcome: { -readonly [K in keyof Outcome]: Outcome[K] } = {
    index,
    taskId: null,
    askedAt: now(),
    settledAt: 0,
    results: 0,
    output: null,
    streamed: null,
    firstPieceAt: null,
    code: null,
    message: null,
    sent: [],
  };
  const prompt = JSON.stringify({ index, ms });
  const options = { initialAgent: agent, timeoutMs: TIMEOUT_MS };
  const take = ({ taskId, output }: RunResult) => {
    outcome.results++;
    Object.assign(outcome, { taskId, output });
  };
  try {
    if (!isStreamed) take(await network.run(prompt, options));
    else {
      for await (const event of network.stream(prompt, options)) {
        if (event.type === "result") take(event.result);
        if (event.type === "routed") {
          const { taskId, attempt, nodeId } = event;
          outcome.taskId = taskId;
          outcome.sent.push({ attempt, node: nodeId, at: now() });
        }
        if (event.type === "token") {
          outcome.streamed = (outcome.streamed ?? "") + event.text;
          outcome.firstPieceAt ??= now();
        }
      }
    }
  } catch (thrown) {
    const { code, message } = NetworkError.from(thrown);
    Object.assign(outcome, { code, message });
  }
  outcome.settledAt = now();
  return outcome;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
