/** Agents that a model drives: it is asked, its tools are called, it is asked again. */

import { NetworkError } from "../../base/errors.ts";
import type { StandardSchema } from "../../base/standard_schema.ts";
import type { AgentAnswer, AgentContext, AgentRun } from "../agent_context.ts";
import { beginning } from "./conversation.ts";
import type { AgentUsage, Model, ModelAnswer, ModelMessage, ModelRequest } from "./model.ts";
import { isModelName } from "./model_name.ts";
import { type OfferedTool, offeredTools } from "./model_tools.ts";
import { StructuredOutput } from "./structured_output.ts";
import { tokensOf } from "./token_stream.ts";
import { ToolCalls } from "./tool_calls.ts";
import { NO_USAGE, withCall } from "./usage.ts";

/** How a model drives an agent. */
export interface ModelRunOptions {
  /**
   * The model: a name as the network knows it, such as `"llama3.2"` or `"default"` for the best that
   * is there, or a model of your own. It need not be on the device on which the agent runs.
   */
  model: string | Model;
  /** How it is to behave; a function is asked once at the beginning of each run. */
  system?: string | ((context: AgentContext) => string | Promise<string>);
  /**
   * What its answer must be: a schema that says itself as JSON Schema, as those of zod do. The answer
   * is then checked, its value is the run's `data`, and nothing is streamed; a model that misses it
   * is told so once.
   */
  output?: StandardSchema;
  /**
   * How often the model may be asked in one run, 1 to 1,000: after each call of tools once more.
   *
   * @default {16}
   */
  maxSteps?: number;
  /** How freely it chooses its words, 0 to 2; by default as its engine has it. */
  temperature?: number;
  /** How many tokens each of its answers may have; by default as many as its engine lets it. */
  maxTokens?: number;
}

const DEFAULT_MAX_STEPS = 16;
const MAX_STEPS = 1_000;
const MAX_TOKENS = 1_000_000_000;

/**
 * The work of such an agent.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when an option is not what it may be.
 */
export function modelRun(name: string, options: ModelRunOptions): AgentRun {
  const means = meansOf(name, options);
  return (context) => new ModelRun(means, context).run();
}

/** The options, checked. */
interface Means extends ModelRunOptions {
  readonly agent: string;
  readonly maxSteps: number;
  readonly structured: StructuredOutput | undefined;
}

function meansOf(agent: string, options: ModelRunOptions): Means {
  const { model, system, output, maxSteps = DEFAULT_MAX_STEPS, temperature, maxTokens } = options;
  const action = `Cannot create agent "${agent}"`;
  const wrong = !isModelName(model) && typeof (model as Model)?.generate !== "function"
    ? "model is neither a name nor an object that generates"
    : system !== undefined && typeof system !== "string" && typeof system !== "function"
    ? "system is neither a text nor a function"
    : !isWhole(maxSteps, MAX_STEPS)
    ? `maxSteps is ${maxSteps}, expected a whole number from 1 to ${MAX_STEPS}`
    : maxTokens !== undefined && !isWhole(maxTokens, MAX_TOKENS)
    ? `maxTokens is ${maxTokens}, expected a whole number from 1 to ${MAX_TOKENS}`
    : temperature !== undefined && !(temperature >= 0 && temperature <= 2)
    ? `temperature is ${temperature}, expected 0 to 2`
    : undefined;
  if (wrong !== undefined) throw new NetworkError("INVALID_ARGUMENT", `${action}: ${wrong}.`);
  const structured = output && new StructuredOutput(output, action);
  return { agent, model, system, maxSteps, temperature, maxTokens, structured };
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most;
}

/** One run. */
class ModelRun {
  readonly #means: Means;
  readonly #context: AgentContext;
  readonly #model: Model;
  readonly #calls: ToolCalls;
  #usage: AgentUsage = NO_USAGE;
  #hasSpoken = false;

  constructor(means: Means, context: AgentContext) {
    const { model } = means;
    this.#means = means;
    this.#context = context;
    this.#model = typeof model === "string" ? context.model(model) : model;
    this.#calls = new ToolCalls(means.agent, context);
  }

  async *run(): AsyncGenerator<string, AgentAnswer, void> {
    const { structured } = this.#means;
    const messages = await this.#begin();
    for (;;) {
      // Before each turn: the tools of MCP servers come and go.
      const offered = offeredTools(await this.#context.tools());
      const tools = [...offered.values()].map(({ told }) => told);
      const answer = yield* this.#ask({ messages, tools, ...this.#format(offered) });
      if (answer.toolCalls.length > 0) {
        messages.push(said(answer), ...await this.#calls.answer(answer.toolCalls, offered));
      } else if (structured === undefined) return { output: answer.text, usage: this.#usage };
      else return yield* this.#structured(structured, messages, answer);
    }
  }

  /** What the model is told first. */
  async #begin(): Promise<ModelMessage[]> {
    const { agent, system = "", structured } = this.#means;
    const { prompt, context, state: { messages } } = this.#context;
    const own = typeof system === "string" ? system : await system(this.#context);
    if (typeof own !== "string") throw new TypeError(`its system returned ${typeof own}, no text`);
    const all = structured === undefined ? own : `${own}\n\n${structured.instructions}`.trim();
    return beginning({ agent, system: all, prompt, context, messages });
  }

  /**
   * Engines that hold a model to a schema keep it from calling tools, so they hold it from the
   * beginning only where there are none.
   */
  #format(offered: ReadonlyMap<string, OfferedTool>): Pick<ModelRequest, "responseFormat"> {
    const { structured } = this.#means;
    return structured === undefined || offered.size > 0
      ? {}
      : { responseFormat: structured.format };
  }

  /** The value of an answer; who misses the schema is told so, once. */
  async *#structured(
    structured: StructuredOutput,
    messages: ModelMessage[],
    answer: ModelAnswer,
  ): AsyncGenerator<string, AgentAnswer, void> {
    let read = await structured.read(answer);
    if ("fault" in read) {
      const mend = `That does not fit: ${read.fault}. ${structured.instructions}`;
      messages.push({ role: "assistant", content: answer.text }, { role: "user", content: mend });
      answer = yield* this.#ask({ messages, responseFormat: structured.format });
      read = await structured.read(answer);
    }
    if ("fault" in read) {
      throw new NetworkError(
        "AGENT_FAILED",
        `Agent "${this.#means.agent}" has no answer that fits its schema: ${read.fault}, twice. ` +
          "Use a larger model, or a simpler schema" +
          `${answer.isCut ? ", or let it say more with maxTokens" : ""}.`,
      );
    }
    return { output: JSON.stringify(read.value) ?? "null", data: read.value, usage: this.#usage };
  }

  /** One answer; what it says is streamed where nobody has to check it first. */
  async *#ask(
    request: Pick<ModelRequest, "messages" | "tools" | "responseFormat">,
  ): AsyncGenerator<string, ModelAnswer, void> {
    const { agent, maxSteps, maxTokens, temperature, structured } = this.#means;
    if (this.#usage.modelCalls >= maxSteps) {
      throw new NetworkError(
        "AGENT_FAILED",
        `Agent "${agent}" gave up: its model was asked ${maxSteps} times without coming to ` +
          "an answer. Allow more with maxSteps, or ask for less.",
      );
    }
    const left = new AbortController();
    const signal = AbortSignal.any([this.#context.signal, left.signal]);
    // The model keeps what it was given; the conversation goes on.
    const asked = { ...request, messages: [...request.messages], maxTokens, temperature, signal };
    try {
      const answer = structured === undefined
        ? yield* this.#streamed((onToken) => this.#model.generate({ ...asked, onToken }))
        : await this.#model.generate(asked);
      this.#usage = withCall(this.#usage, answer.usage);
      return answer;
    } finally {
      left.abort(new NetworkError("CANCELLED", `Agent "${agent}" has stopped its model.`));
    }
  }

  async *#streamed(
    ask: (onToken: NonNullable<ModelRequest["onToken"]>) => Promise<ModelAnswer>,
  ): AsyncGenerator<string, ModelAnswer, void> {
    const tokens = tokensOf(ask);
    let isFirst = true;
    for (let step = await tokens.next();; step = await tokens.next()) {
      // Models that do not stream say it all at the end.
      const text = !step.done ? step.value : isFirst ? step.value.text : "";
      if (text !== "") {
        yield isFirst && this.#hasSpoken ? `\n\n${text}` : text;
        this.#hasSpoken = true;
        isFirst = false;
      }
      if (step.done) return step.value;
    }
  }
}

function said({ text, toolCalls }: ModelAnswer): ModelMessage {
  return { role: "assistant", content: text, toolCalls };
}
