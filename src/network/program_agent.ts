/** An agent that a program in another language serves, as one of this node's. */

import { type Agent, type AgentContext, createAgent } from "../agents/agent.ts";
import type { AgentAnswer, AgentDescription } from "../agents/agent.ts";
import { AgentLost } from "../agents/agent_lost.ts";
import type { Tool } from "../agents/tool.ts";
import type { JsonValue } from "../base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../base/errors.ts";
import type { AskedOfProgram, ProgramEvent } from "../link/run_messages.ts";

/** What runs it. */
export type RunInProgram = (
  asked: AskedOfProgram,
  signal: AbortSignal,
) => AsyncGenerator<ProgramEvent, void, void>;

/** What a program fails with that is not there, or was lost. */
const PROGRAM_LOST: ReadonlySet<ErrorCode> = new Set(["UNAVAILABLE", "UNKNOWN_OUTCOME"]);

/** See the top of the file. */
export function programAgent(description: AgentDescription, runInProgram: RunInProgram): Agent {
  const { name } = description;
  const runs = new WeakMap<AbortSignal, ToolCalls>();

  async function* run(context: AgentContext): AsyncGenerator<string, AgentAnswer | void> {
    const { prompt, context: text, taskId, signal } = context;
    const calls = new ToolCalls(context);
    runs.set(signal, calls);
    let streamed = "";
    let answer: Partial<AgentAnswer> | undefined;
    try {
      const asked = { agent: name, prompt, context: text, taskId };
      for await (const event of runInProgram(asked, signal)) {
        if (event.type === "token") {
          streamed += event.text;
          yield event.text;
        } else if (event.type === "tool-call") await calls.begin(event);
        else if (event.type === "tool-result") await calls.end(event);
        else if (event.type === "tool-error") await calls.fail(event);
        else answer = event.answer;
      }
    } catch (thrown) {
      if (thrown instanceof NetworkError && PROGRAM_LOST.has(thrown.code)) {
        throw new AgentLost(thrown.message, thrown);
      }
      throw thrown;
    } finally {
      calls.close();
    }
    if (answer !== undefined) return { output: streamed, ...answer };
  }

  return createAgent({
    ...description,
    run,
    tools: description.tools.map((tool) =>
      standIn(tool, (signal) => {
        const calls = runs.get(signal);
        if (calls !== undefined) return calls.result(tool);
        throw new NetworkError("INTERNAL", `Tool "${tool}" was called outside of a run.`);
      })
    ),
  });
}

/** A tool that is called in the program: here its call waits for what comes of that. */
function standIn(name: string, result: (signal: AbortSignal) => Promise<JsonValue>): Tool {
  return Object.freeze({
    name,
    description: "",
    call: (_: unknown, { signal }: { signal: AbortSignal }) => result(signal),
  });
}

/** What the program says of a call. */
type Said<Type extends ProgramEvent["type"]> = Extract<ProgramEvent, { type: Type }>;

/** One call of a tool that the program makes. */
interface ToolCall {
  readonly tool: string;
  /** What the program calls it; "" where it does not say. */
  readonly callId: string;
  /** Settles when the caller of the run was told of the call. */
  readonly begun: PromiseWithResolvers<void>;
  readonly result: PromiseWithResolvers<JsonValue>;
  isBegun: boolean;
  /** Settles when the caller was told of the result. */
  told: Promise<unknown>;
}

/**
 * The calls of one run: where the program gives them no ids, those of one tool end in the order in
 * which they have begun.
 */
class ToolCalls {
  readonly #context: AgentContext;
  readonly #open: ToolCall[] = [];

  constructor(context: AgentContext) {
    this.#context = context;
  }

  /** The program calls a tool; resolves when that was told. */
  async begin({ tool, callId, arguments: args }: Said<"tool-call">): Promise<void> {
    const call: ToolCall = {
      tool,
      callId,
      begun: Promise.withResolvers(),
      result: Promise.withResolvers(),
      isBegun: false,
      told: Promise.resolve(),
    };
    call.result.promise.catch(() => {});
    this.#open.push(call);
    call.told = this.#context.callTool(tool, args, { callId });
    await Promise.race([call.begun.promise, call.told]);
  }

  /** The stand-in is called: its caller knows by now. */
  result(tool: string): Promise<JsonValue> {
    const call = this.#open.find((one) => one.tool === tool && !one.isBegun);
    if (call === undefined) throw new NetworkError("INTERNAL", `Nobody calls tool "${tool}".`);
    call.isBegun = true;
    call.begun.resolve();
    return call.result.promise;
  }

  /** The tool has answered; resolves when that was told. */
  async end(said: Said<"tool-result">): Promise<void> {
    const call = this.#take(said);
    call.result.resolve(said.result);
    await call.told;
  }

  /** The tool has failed; resolves when that was told. */
  async fail(said: Said<"tool-error">): Promise<void> {
    const call = this.#take(said);
    call.result.reject(new NetworkError("AGENT_FAILED", said.reason));
    // What it is told to the program's caller by; the program knows it.
    await call.told.catch(() => {});
  }

  /** The run is over: what has not ended will not. */
  close(): void {
    for (const { result } of this.#open) {
      result.reject(
        new NetworkError("AGENT_FAILED", "The run ended before the tool had answered."),
      );
    }
  }

  #take({ tool, callId }: Said<"tool-result" | "tool-error">): ToolCall {
    const at = this.#open.findIndex((one) =>
      one.tool === tool && (callId === "" || one.callId === callId)
    );
    if (at < 0) {
      throw new NetworkError(
        "AGENT_FAILED",
        `The program tells what came of tool "${tool}", which it has not called.`,
      );
    }
    return this.#open.splice(at, 1)[0];
  }
}
