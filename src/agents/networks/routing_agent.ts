/** A router that asks a model which agent goes on. */

import { z } from "zod";
import { parseBoundedJson } from "../../base/bounded_json.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { unfenced } from "../models/fence.ts";
import { isModelName } from "../models/model_name.ts";
import type { Model, ModelAnswer, ModelMessage, ModelTool } from "../models/model.ts";
import {
  type AgentChoice,
  type AgentRouter,
  createRouter,
  type NextAgent,
  type RouterContext,
  type RouterFunction,
  toRouter,
} from "./agent_router.ts";

/** What {@linkcode createRoutingAgent} takes. */
export interface RoutingAgentOptions {
  /** What errors call it: a label. */
  name: string;
  /** What it is to see to, in words for the model. */
  description?: string;
  /**
   * The model that chooses: a name as the network knows it, such as `"llama3.2"` or `"default"` for
   * the best that is there, or a model of your own.
   */
  model: string | Model;
  /** Chooses instead when the model cannot be reached, or has said nonsense twice. */
  fallback?: AgentRouter | RouterFunction;
  /**
   * How long one choice may take, in milliseconds, 1 to 3,600,000.
   *
   * @default {30000}
   */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Of each message, and of each value of the data, the model is shown so much. */
const MAX_SHOWN_LENGTH = 4_000;
/** Of all that was said the last so many messages. */
const MAX_SHOWN_MESSAGES = 30;
/** Of the data so many keys. */
const MAX_SHOWN_KEYS = 30;
/** Of what it answers, so much is told when it is nonsense. */
const MAX_QUOTED_LENGTH = 200;

/**
 * Makes a router that asks a model: it is told the agents with their descriptions and what was said
 * so far, and names the next one or says that all is done.
 *
 * @example
 * ```ts
 * import { createAgent, createNetwork, createRoutingAgent, type Model } from "@hanzo/network";
 * import { assertEquals } from "@std/assert";
 *
 * const weather = createAgent({
 *   name: "weather",
 *   description: "Knows the weather of a town",
 *   run: ({ prompt }) => `${prompt}: sunny`,
 * });
 * // Any model will do, such as "llama3.2" where the network runs on devices that have it.
 * const model: Model = {
 *   name: "scripted",
 *   generate: ({ messages }) => {
 *     const done = messages.some(({ content }) => content.includes("sunny"));
 *     const choice = done ? { agent: null } : { agent: "weather", prompt: "Oslo" };
 *     return Promise.resolve({ text: JSON.stringify(choice), toolCalls: [] });
 *   },
 * };
 * const network = createNetwork({
 *   name: "desk",
 *   agents: [weather],
 *   router: createRoutingAgent({ name: "lead", model }),
 * });
 * assertEquals((await network.run("Do I need an umbrella in Oslo?")).output, "Oslo: sunny");
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is no label, there is no model, or the
 * time is out of range.
 */
export function createRoutingAgent(options: RoutingAgentOptions): AgentRouter {
  const { name, description, model, fallback, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (!isModelName(model) && typeof (model as Model | undefined)?.generate !== "function") {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create routing agent "${name}": it has no model. Give it a name, one such as ` +
        "createOpenAiModel makes, or use createRouter with a function.",
    );
  }
  const choose = (context: RouterContext) => askModel(context.model(model), description, context);
  const router = createRouter(choose, { name, timeoutMs });
  return fallback === undefined
    ? router
    : Object.freeze({ ...router, fallback: toRouter(fallback) });
}

async function askModel(
  model: Model,
  description: string | undefined,
  context: RouterContext,
): Promise<NextAgent> {
  const { agents, signal } = context;
  const messages: ModelMessage[] = [
    { role: "system", content: instructions(description, agents) },
    { role: "user", content: situation(context) },
  ];
  const tools = toolsFor(agents);
  const first = await model.generate({ messages, tools, signal });
  const choice = readAnswer(first, agents);
  if (!("fault" in choice)) return choice.next;
  // Once: who is told what was wrong and repeats it does not know better.
  if (first.text !== "") messages.push({ role: "assistant", content: first.text });
  messages.push({
    role: "user",
    content: `That was no choice: ${choice.fault}. Call exactly one of the tools.`,
  });
  const second = readAnswer(await model.generate({ messages, tools, signal }), agents);
  if (!("fault" in second)) return second.next;
  throw new NetworkError(
    "AGENT_FAILED",
    `model "${model.name}" chose nobody twice; the second time ${second.fault}. ` +
      "Use a model that calls tools, or give the routing agent a fallback.",
  );
}

function instructions(description: string | undefined, agents: readonly AgentChoice[]): string {
  return [
    "You lead a group of agents that work on one request. You do not answer it yourself: after " +
    "each answer you choose which agent goes on, or finish when the last answer settles the request.",
    ...(description === undefined ? [] : [description]),
    "The agents:",
    ...agents.map(({ name, description }) => `- ${name}: ${description}`),
    'Call the tool "choose_agent" or the tool "finish". If you cannot call tools, answer with JSON ' +
    'and nothing else: {"agent": "NAME"}, or {"agent": "NAME", "prompt": "WHAT TO ASK IT"}, or ' +
    '{"agent": null} to finish.',
  ].join("\n");
}

function situation({ prompt, state, callCount }: RouterContext): string {
  const said = state.messages.slice(-MAX_SHOWN_MESSAGES).map(({ role, agent, content }) =>
    `${agent ?? role}: ${shortened(content)}`
  );
  const keys = [...state.data.keys()].slice(0, MAX_SHOWN_KEYS);
  const data = keys.map((key) => `${key} = ${shortened(JSON.stringify(state.data.get(key)))}`);
  return [
    `The request: ${shortened(prompt)}`,
    `What was said so far, by ${callCount} agents:`,
    ...said,
    ...(data.length === 0 ? [] : ["What they have noted:", ...data]),
    "Who goes on?",
  ].join("\n");
}

function shortened(text: string): string {
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH)} […]`;
}

function toolsFor(agents: readonly AgentChoice[]): ModelTool[] {
  return [
    {
      name: "choose_agent",
      description: "Lets one of the agents go on",
      parameters: {
        type: "object",
        properties: {
          agent: { type: "string", enum: agents.map(({ name }) => name) },
          prompt: { type: "string", description: "What to ask it, instead of the request itself" },
        },
        required: ["agent"],
      },
    },
    {
      name: "finish",
      description: "Ends the work: the last answer settles the request",
      parameters: { type: "object", properties: {} },
    },
  ];
}

const choiceSchema = z.strictObject({ agent: z.string(), prompt: z.string().optional() });
const finishSchema = z.strictObject({ agent: z.null() });

/** A choice, or what is wrong with the answer. */
type Read = { next: NextAgent } | { fault: string };

function readAnswer({ text, toolCalls }: ModelAnswer, agents: readonly AgentChoice[]): Read {
  if (toolCalls.length > 1) return { fault: `it called ${toolCalls.length} tools at once` };
  if (toolCalls.length === 1) {
    const [call] = toolCalls;
    if (call.name === "finish") return { next: undefined };
    if (call.name === "choose_agent") return readChoice(call.arguments, agents);
    return { fault: `it called ${quoted(call.name)}, which is no tool` };
  }
  let value: unknown;
  try {
    value = parseBoundedJson(new TextEncoder().encode(unfenced(text)), { maxBytes: 65_536 });
  } catch {
    return { fault: `it called no tool, and said no JSON: ${quoted(text)}` };
  }
  if (finishSchema.safeParse(value).success) return { next: undefined };
  return readChoice(value, agents);
}

function readChoice(value: unknown, agents: readonly AgentChoice[]): Read {
  const { success, data } = choiceSchema.safeParse(value);
  if (!success) return { fault: `it chose ${quoted(JSON.stringify(value))}, which names no agent` };
  if (agents.some(({ name }) => name === data.agent)) return { next: data };
  return { fault: `it chose agent ${quoted(data.agent)}, which is not among them` };
}

/** What somebody else has said, in a sentence of ours. */
function quoted(text: string): string {
  const short = text.length <= MAX_QUOTED_LENGTH ? text : `${text.slice(0, MAX_QUOTED_LENGTH)}…`;
  return JSON.stringify(describeError(short));
}
