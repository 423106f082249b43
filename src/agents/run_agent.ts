/** Runs one agent once and reports what it says. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import type { Agent, AgentAnswer } from "./agent.ts";
import type { AgentEvent } from "./run_event.ts";

/** One run of an agent. */
export interface AgentCall {
  prompt: string;
  context: string;
  taskId: string;
  nodeId: string;
  signal: AbortSignal;
  /** Takes each event; while the returned promise is pending the agent's generator waits. */
  emit: (event: AgentEvent) => Promise<void> | void;
}

/**
 * Runs `agent` and resolves to its answer. Nothing is emitted once it has settled.
 *
 * @throws {NetworkError} The signal's reason as soon as it aborts, whatever the agent does then;
 * `AGENT_FAILED` with the agent's own message when it throws, or answers with what is no answer.
 */
export async function runAgent(agent: Agent, call: AgentCall): Promise<AgentAnswer> {
  const { signal } = call;
  signal.throwIfAborted();
  const run: Run = { ...call, agent, over: false };
  const answer = answerOf(run);
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([answer, aborted]);
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    if (thrown instanceof NetworkError) throw thrown;
    throw NetworkError.from(thrown, "AGENT_FAILED", `Agent "${agent.name}" failed`);
  } finally {
    run.over = true;
    signal.removeEventListener("abort", onAbort!);
  }
}

/** A call on its way; `over` as soon as its caller has been told how it ended. */
interface Run extends AgentCall {
  readonly agent: Agent;
  over: boolean;
}

async function answerOf(run: Run): Promise<AgentAnswer> {
  const { agent, prompt, context, taskId, nodeId, signal } = run;
  const running = agent.run({
    prompt,
    context,
    taskId,
    nodeId,
    signal,
    callTool(name, args): Promise<JsonValue> {
      const result = callTool(run, name, args);
      // An agent that did not wait for it must not end the process by its failure.
      result.catch(() => {});
      return result;
    },
  });
  return isAsyncGenerator(running) ? await stream(running, run) : toAnswer(await running);
}

async function callTool(run: Run, name: string, args: JsonValue): Promise<JsonValue> {
  const { agent, signal, emit } = run;
  const tool = agent.toolset.get(name);
  if (tool === undefined) {
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot call tool "${name}": agent "${agent.name}" has ` +
        (agent.tools.length === 0 ? "no tools." : `only ${agent.tools.join(", ")}.`),
    );
  }
  throwIfOver(run, name);
  await emit({ type: "tool-call", tool: name, arguments: args });
  throwIfOver(run, name);
  const result = await tool.call(args, { signal });
  throwIfOver(run, name);
  await emit({ type: "tool-result", tool: name, result });
  return result;
}

function throwIfOver({ agent, over, signal }: Run, tool: string): void {
  signal.throwIfAborted();
  if (over) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot call tool "${tool}": agent "${agent.name}" has answered. Await its calls first.`,
    );
  }
}

async function stream(
  generator: AsyncGenerator<string, string | AgentAnswer | void>,
  { signal, emit }: Run,
): Promise<AgentAnswer> {
  // Lets the agent's own `finally` blocks run when we leave early: at once when the generator waits
  // at a `yield`, even while `emit` is pending, or else as soon as it comes to one.
  const leave = () => generator.return(undefined);
  const onAbort = () => void leave().catch(() => {});
  signal.addEventListener("abort", onAbort, { once: true });
  let streamed = "";
  try {
    for (let step = await generator.next();; step = await generator.next()) {
      signal.throwIfAborted();
      if (step.done) return step.value === undefined ? { output: streamed } : toAnswer(step.value);
      if (typeof step.value !== "string") throw new TypeError(`it yielded ${kindOf(step.value)}`);
      streamed += step.value;
      await emit({ type: "token", text: step.value });
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    await leave();
  }
}

/** What an agent's file returns is checked by no compiler. */
function toAnswer(value: unknown): AgentAnswer {
  if (typeof value === "string") return { output: value };
  if (typeof value === "object" && value !== null && "output" in value) {
    if (typeof value.output === "string") return value as AgentAnswer;
  }
  throw new TypeError(`it returned ${kindOf(value)}, neither a string nor { output: "…" }`);
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator<string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
