/** Runs in a thread: one agent, a network of agents, or whom a router names, noted step by step. */

import { toAgentResult } from "../../agents/agent_result.ts";
import type { AgentLoop } from "../../agents/networks/agent_loop.ts";
import { toRouter } from "../../agents/networks/agent_router.ts";
import type { EmitRunEvent, RunResult } from "../../agents/run_event.ts";
import { NetworkError } from "../../base/errors.ts";
import { isLabel } from "../../base/safe_text.ts";
import { loopOf, routerOf, routingOf, runAgents } from "../agent_run.ts";
import type { NetworkParts } from "../parts.ts";
import {
  noPrompt,
  type RoutedRunOptions,
  type RunOptions,
  runRequest,
  stepRequest,
} from "../run_options.ts";
import type { Asked } from "./run_record.ts";
import type { ThreadRun } from "./thread_runs.ts";

/** What a run in a thread can be told. */
export type ThreadRunOptions = (RunOptions | RoutedRunOptions) & { readonly thread: string };

/**
 * Runs what is asked for, or goes on with it where it broke off.
 *
 * @param prompt Undefined: the last run of the thread goes on.
 * @throws {NetworkError} As `network.run` does.
 */
export async function runInThread(
  parts: NetworkParts,
  prompt: string | undefined,
  options: ThreadRunOptions,
  emit: EmitRunEvent = () => {},
): Promise<RunResult> {
  if (prompt !== undefined && typeof prompt !== "string") throw noPrompt(prompt);
  const { thread, context = "", resume = true, rerun = false } = options;
  const { data = {} } = options as RoutedRunOptions;
  // What is wrong with the options is told before anything is noted.
  stepRequest(prompt ?? "", options);
  const run = parts.threadRuns.open({
    thread,
    prompt,
    asked: askedOf(parts, prompt, options),
    context,
    data,
    resume,
    rerun,
  });
  try {
    const loop = loopFor(parts, run, options);
    // Who cannot go on with it takes it from nobody.
    if (run.journal.progress !== undefined) await run.journal.taken();
    return loop === undefined
      ? await runOne(parts, run, options, emit)
      : await runAgents(parts, requestOf(run, options), loop, run, emit);
  } catch (thrown) {
    await run.journal.released(thrown);
    throw thrown;
  } finally {
    run.close();
  }
}

/** Who is asked; undefined where the thread has to say it. */
function askedOf(
  parts: NetworkParts,
  prompt: string | undefined,
  options: ThreadRunOptions,
): Asked | undefined {
  const router = routerOf(parts, options);
  if (router !== undefined) {
    const { name } = toRouter(router);
    return { kind: "router", name: isLabel(name) ? name : "router" };
  }
  if (prompt === undefined) return undefined;
  const { name } = runRequest(prompt, options as RunOptions, parts.findAgent).agent;
  return { kind: parts.ownAgents.loop(name) === undefined ? "agent" : "network", name };
}

/** How the run goes on from agent to agent; undefined where it is one agent's. */
function loopFor(
  parts: NetworkParts,
  { asked: { kind, name }, journal }: ThreadRun,
  options: ThreadRunOptions,
): AgentLoop | undefined {
  if (kind === "agent") return undefined;
  if (kind === "network") {
    const loop = parts.ownAgents.loop(name);
    if (loop !== undefined) return loop;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot resume thread "${options.thread}": it goes on from agent to agent as network ` +
        `"${name}" says, which this node does not have. Resume it on a node that has: see ` +
        "hanzo-network agents",
    );
  }
  const router = routerOf(parts, options);
  if (router !== undefined) {
    const loop = loopOf(parts, routingOf(parts, options, router));
    // Who begins is of no account any more.
    return journal.progress === undefined ? loop : { ...loop, initialAgent: undefined };
  }
  throw new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot resume thread "${options.thread}": router "${name}" of the program that began the run ` +
      "says which agent goes on. Pass it: run(undefined, { thread, router }).",
  );
}

async function runOne(
  parts: NetworkParts,
  run: ThreadRun,
  options: ThreadRunOptions,
  emit: EmitRunEvent,
): Promise<RunResult> {
  const { asked, journal, prompt, state } = run;
  const agent = asked.name;
  const { router: _, ...rest } = options as RunOptions;
  const request = runRequest(
    prompt,
    { ...rest, initialAgent: agent, context: run.context },
    parts.findAgent,
  );
  if (journal.progress === undefined) state.addMessage({ role: "user", content: prompt });
  state.thread = { name: options.thread, run: journal.run };
  // Both at once: they become durable together.
  const begun = journal.progress === undefined ? journal.begun(prompt) : undefined;
  await Promise.all([begun, journal.calling({ agent, prompt: undefined })]);
  let result: RunResult;
  try {
    result = await parts.dispatcher.run({ ...request, state }, emit);
  } catch (thrown) {
    await journal.failed(NetworkError.from(thrown));
    throw thrown;
  }
  state.addMessage({ role: "assistant", agent: result.agent, content: result.output });
  const kept = toAgentResult(result);
  state.addResult(kept);
  await journal.answered(kept, true);
  return result;
}

function requestOf({ prompt, context }: ThreadRun, options: ThreadRunOptions) {
  return stepRequest(prompt, { ...options, context });
}
