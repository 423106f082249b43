/** Runs one agent once and reports what it says. */

import type { JsonValue } from "../base/bounded_json.ts";
import type { Cancellation } from "../base/cancellation.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { WholeCharacters } from "../base/whole_characters.ts";
import type {
  Agent,
  AgentAnswer,
  AgentContext,
  CallAgentOptions,
  CallToolOptions,
} from "./agent.ts";
import { RunTools, type ToolSource } from "./agent_tools.ts";
import { CallIds } from "./call_ids.ts";
import type { Model } from "./models/model.ts";
import { usageFault } from "./models/usage.ts";
import type { AgentEvent, RunResult } from "./run_event.ts";
import type { RunState } from "./run_state.ts";
import { type AskModel, RunModels } from "./run_models.ts";
import { LoneRunState, type RunStateStore } from "./run_state_store.ts";
import type { Tool } from "./tool.ts";

/** Gets another agent run, wherever that is best, until `signal` aborts. */
export type CallAgent = (
  agent: string,
  prompt: string,
  options: CallAgentOptions,
  signal: AbortSignal,
) => Promise<RunResult>;

/** One run of an agent. */
export interface AgentCall {
  prompt: string;
  context: string;
  taskId: string;
  nodeId: string;
  /** Which attempt at the task it is, from 1; by default the first. */
  attempt?: number;
  cancellation: Cancellation;
  /** What it shares with the other agents of its run; by default one of its own. */
  state?: RunStateStore;
  /** Takes each event; while the returned promise is pending the agent's generator waits. */
  emit: (event: AgentEvent) => Promise<void> | void;
  /** What the agent asks others by. */
  callAgent: CallAgent;
  /** What it asks models by; without it there are none but those that it brings. */
  askModel?: AskModel;
  /** Where the tools are that it does not bring itself. */
  tools?: ToolSource;
}

/**
 * Runs `agent` and returns its answer: at once from an agent that answers at once, which most of
 * the price of a promise would be wasted on. Nothing is emitted once it has returned or settled.
 *
 * @throws {NetworkError} The cancellation's reason as soon as it is requested, whatever the agent
 * does then; `AGENT_FAILED` with the agent's own message when it throws, or answers with what is no
 * answer.
 */
export function runAgent(agent: Agent, call: AgentCall): AgentAnswer | Promise<AgentAnswer> {
  call.cancellation.throwIfRequested();
  const run = new Run(agent, call);
  try {
    const said = agent.run(new Context(call, run));
    if (isLater(said)) {
      return run.settled(isAsyncGenerator(said) ? stream(said, call) : answered(said));
    }
    const answer = toAnswer(said);
    run.end();
    return run.counted(answer);
  } catch (thrown) {
    run.end();
    throw run.failure(thrown);
  }
}

/** What an agent gets. All of it is the object's own: people copy it with a spread. */
class Context implements AgentContext {
  /**
   * One accessor for all: with one for each, as in a literal, every context has a shape of its own,
   * and young garbage collections keep all that hangs on it (a third of the price of a run).
   */
  static readonly #SIGNAL: PropertyDescriptor & ThisType<Context> = {
    enumerable: true,
    get() {
      return this.#cancellation.signal;
    },
  };

  readonly prompt: string;
  readonly context: string;
  readonly taskId: string;
  readonly nodeId: string;
  readonly state: RunState;
  declare readonly signal: AbortSignal;
  readonly callTool: AgentContext["callTool"];
  readonly callAgent: AgentContext["callAgent"];
  readonly model: AgentContext["model"];
  readonly tools: AgentContext["tools"];
  readonly #cancellation: Cancellation;

  constructor({ prompt, context, taskId, nodeId, cancellation, state }: AgentCall, run: Run) {
    this.prompt = prompt;
    this.context = context;
    this.taskId = taskId;
    this.nodeId = nodeId;
    this.state = state ?? new LoneRunState(prompt);
    this.#cancellation = cancellation;
    // First made, then assigned: see tasks/remote.ts.
    const callTool: AgentContext["callTool"] = (name, args, options) =>
      noticed(run.callTool(name, args, options));
    const callAgent: AgentContext["callAgent"] = (agent, prompt, options) =>
      noticed(run.callAgent(agent, prompt, options));
    this.callTool = callTool;
    const model: AgentContext["model"] = (name) => run.model(name);
    const tools: AgentContext["tools"] = () => noticed(run.tools());
    this.callAgent = callAgent;
    this.model = model;
    this.tools = tools;
    Object.defineProperty(this, "signal", Context.#SIGNAL);
  }
}

/** A call on its way. */
class Run {
  readonly #agent: Agent;
  readonly #call: AgentCall;
  /** As soon as its caller has been told how it ended. */
  #over = false;
  /** Stops the agents and models that it has asked. */
  #asked: AbortController | undefined;
  #tools: RunTools | undefined;
  #models: RunModels | undefined;
  #ids: CallIds | undefined;

  constructor(agent: Agent, call: AgentCall) {
    this.#agent = agent;
    this.#call = call;
  }

  /** Settles with `answer`, or as soon as the call is cancelled. */
  settled(answer: Promise<AgentAnswer>): Promise<AgentAnswer> {
    const { cancellation } = this.#call;
    return new Promise((resolve, reject) => {
      const forget = cancellation.onCancel((reason) => {
        this.end();
        reject(reason);
      });
      answer.then((value) => {
        forget();
        this.end();
        resolve(this.counted(value));
      }, (thrown) => {
        forget();
        this.end();
        reject(this.failure(thrown));
      });
    });
  }

  end(): void {
    this.#over = true;
    this.#asked?.abort(new NetworkError("CANCELLED", `Agent "${this.#agent.name}" has ended.`));
    this.#tools?.end();
  }

  /** What the caller is told when the agent throws. */
  failure(thrown: unknown): unknown {
    const { requested, reason } = this.#call.cancellation;
    if (requested) return reason;
    if (thrown instanceof NetworkError) return thrown;
    return NetworkError.from(thrown, "AGENT_FAILED", `Agent "${this.#agent.name}" failed`);
  }

  /** An answer with what its models took, unless it says that itself. */
  counted(answer: AgentAnswer): AgentAnswer {
    const usage = this.#models?.usage;
    return usage === undefined || answer.usage !== undefined ? answer : { ...answer, usage };
  }

  /** The tools that it may call. */
  async tools(): Promise<readonly Tool[]> {
    this.#throwIfOver("tools");
    return await this.#toolbox.list();
  }

  model(name: unknown): Model {
    const { cancellation, askModel } = this.#call;
    this.#models ??= new RunModels({
      agent: this.#agent.name,
      askModel,
      signal: () => AbortSignal.any([cancellation.signal, this.#ending()]),
      throwIfOver: (asked) => this.#throwIfOver(asked),
    });
    return this.#models.model(name);
  }

  /** Aborts what it has asked, when it ends. */
  #ending(): AbortSignal {
    this.#asked ??= new AbortController();
    return this.#asked.signal;
  }

  get #toolbox(): RunTools {
    const { cancellation, tools } = this.#call;
    return this.#tools ??= new RunTools(this.#agent, tools, () => cancellation.signal);
  }

  get #callIds(): CallIds {
    return this.#ids ??= new CallIds(this.#call.attempt);
  }

  async callTool(
    name: string,
    args: JsonValue,
    options?: CallToolOptions,
  ): Promise<JsonValue> {
    const { cancellation, emit } = this.#call;
    this.#throwIfOver(`tool "${name}"`);
    const found = this.#agent.toolset.get(name) ?? this.#toolbox.find(name);
    const tool = found instanceof Promise ? await found : found;
    this.#throwIfOver(`tool "${name}"`);
    const callId = this.#callIds.next(options?.callId);
    await emit({ type: "tool-call", callId, tool: name, arguments: args });
    this.#throwIfOver(`tool "${name}"`);
    try {
      const result = await tool.call(args, { signal: cancellation.signal });
      this.#throwIfOver(`tool "${name}"`);
      // What cannot be told is no result: it is too long, or no JSON.
      await emit({ type: "tool-result", callId, tool: name, result });
      return result;
    } catch (thrown) {
      this.#throwIfOver(`tool "${name}"`);
      await emit({ type: "tool-error", callId, tool: name, reason: describeError(thrown) });
      throw thrown;
    }
  }

  async callAgent(
    asked: { readonly name: string } | string,
    prompt: string,
    options: CallAgentOptions = {},
  ): Promise<RunResult> {
    const { cancellation, emit, callAgent } = this.#call;
    const name = typeof asked === "string" ? asked : asked?.name;
    checkQuestion(name, prompt, options);
    this.#throwIfOver(`agent "${name}"`);
    const callId = this.#callIds.next();
    await emit({ type: "agent-call", callId, agent: name, prompt });
    this.#throwIfOver(`agent "${name}"`);
    const signal = AbortSignal.any([cancellation.signal, this.#ending()]);
    let result: RunResult;
    try {
      result = await callAgent(name, prompt, options, signal);
    } catch (thrown) {
      this.#throwIfOver(`agent "${name}"`);
      await emit({ type: "agent-error", callId, agent: name, reason: describeError(thrown) });
      throw thrown;
    }
    this.#throwIfOver(`agent "${name}"`);
    const { nodeId, taskId, output } = result;
    await emit({ type: "agent-result", callId, agent: name, nodeId, taskId, output });
    return result;
  }

  #throwIfOver(called: string): void {
    this.#call.cancellation.throwIfRequested();
    if (this.#over) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot call ${called}: agent "${this.#agent.name}" has answered. Await its calls first.`,
      );
    }
  }
}

/** An agent that did not wait for what it has called must not end the process by its failure. */
function noticed<T>(called: Promise<T>): Promise<T> {
  called.catch(() => {});
  return called;
}

async function answered(said: PromiseLike<unknown>): Promise<AgentAnswer> {
  return toAnswer(await said);
}

async function stream(
  generator: AsyncGenerator<string, string | AgentAnswer | void>,
  { cancellation, emit }: AgentCall,
): Promise<AgentAnswer> {
  // Lets the agent's own `finally` blocks run when we leave early: at once when the generator waits
  // at a `yield`, even while `emit` is pending, or else as soon as it comes to one.
  const leave = () => generator.return(undefined);
  const forget = cancellation.onCancel(() => void leave().catch(() => {}));
  const characters = new WholeCharacters();
  let streamed = "";
  try {
    for (let step = await generator.next();; step = await generator.next()) {
      cancellation.throwIfRequested();
      if (step.done) {
        if (step.value !== undefined) return toAnswer(step.value);
        const rest = characters.rest();
        if (rest !== "") await emit({ type: "token", text: rest });
        return { output: streamed };
      }
      if (typeof step.value !== "string") throw new TypeError(`it yielded ${kindOf(step.value)}`);
      streamed += step.value;
      const told = emit({ type: "token", text: characters.with(step.value) });
      if (told !== undefined) await told;
    }
  } finally {
    forget();
    await leave();
  }
}

/** What an agent's file asks is checked by no compiler either, and goes to other nodes. */
function checkQuestion(
  agent: unknown,
  prompt: unknown,
  { context, timeoutMs }: CallAgentOptions,
): void {
  const wrong = typeof agent !== "string"
    ? `its name is ${kindOf(agent)}. Pass an agent, or its name`
    : typeof prompt !== "string"
    ? `its prompt is no text, but ${kindOf(prompt)}`
    : context !== undefined && typeof context !== "string"
    ? `its context is no text, but ${kindOf(context)}`
    : timeoutMs !== undefined && (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs))
    ? `its timeoutMs is no number, but ${String(timeoutMs)}`
    : undefined;
  if (wrong === undefined) return;
  const name = typeof agent === "string" ? ` "${agent}"` : "";
  throw new NetworkError("INVALID_ARGUMENT", `Cannot ask agent${name}: ${wrong}.`);
}

/** What an agent's file returns is checked by no compiler. */
function toAnswer(value: unknown): AgentAnswer {
  if (typeof value === "string") return { output: value };
  if (typeof value === "object" && value !== null && "output" in value) {
    if (typeof value.output === "string") {
      const fault = usageFault((value as AgentAnswer).usage);
      if (fault !== undefined) throw new TypeError(fault);
      return value as AgentAnswer;
    }
  }
  throw new TypeError(`it returned ${kindOf(value)}, neither a string nor { output: "…" }`);
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

/** Whether the answer is not there yet. */
function isLater<T>(
  said: T,
): said is Extract<T, PromiseLike<unknown> | AsyncGenerator<string>> {
  return typeof said === "object" && said !== null &&
    ("then" in said || Symbol.asyncIterator in said);
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator<string> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
