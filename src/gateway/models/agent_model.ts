/** An agent of the network as if it were a model: `agent/NAME`. */

import { NetworkError } from "../../base/errors.ts";
import type { RunEvent, RunResult } from "../../agents/run_event.ts";
import type { ChatChunk, ChatCompletion, ChatMessage, ChatUsage } from "../../dialects/chat.ts";
import type { ChatTranslation, Dialect, JsonObject } from "../../dialects/dialect.ts";
import type { DistributedNetwork } from "../../network/distributed_network.ts";
import type { KeptItems } from "./kept_items.ts";
import { inDialect, piecesOf } from "./model_response.ts";

/** What asking an agent needs. */
export interface AgentModelNeeds {
  readonly network: DistributedNetwork;
  /** Makes an id that nobody else has: a ULID. */
  readonly newId: () => string;
  readonly kept: KeptItems;
}

const PREFIX = "agent/";

/** The agent that is asked for as a model; undefined where it is a model. */
export function agentNamed(model: string): string | undefined {
  return model.startsWith(PREFIX) ? model.slice(PREFIX.length) : undefined;
}

/** What is said of a run beside the body. */
export interface AgentRunNeeds {
  /** Only this node. */
  readonly nodeId: string | undefined;
  /** Takes it back. */
  readonly signal: AbortSignal;
}

/**
 * Runs an agent: what was asked last is its prompt, what was said before its context.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when that is no chat; what the run fails with before the
 * agent has said anything.
 */
export async function askAgent(
  { network, newId, kept }: AgentModelNeeds,
  dialect: Dialect,
  agent: string,
  body: JsonObject,
  { nodeId, signal }: AgentRunNeeds,
): Promise<Response> {
  if (dialect.toChat === undefined) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot ask agent "${agent}" at ${dialect.path}: agents answer chats only.`,
    );
  }
  const now = Date.now;
  const model = `${PREFIX}${agent}`;
  const translation = dialect.toChat(body, { model, now, newId });
  const { prompt, context } = asked(translation.request.messages);
  const options = { initialAgent: agent, context, nodeId, signal };
  const head = { id: `chatcmpl-${newId()}`, created: Math.floor(now() / 1_000), model };
  if (!dialect.read(body).stream) {
    const result = await network.run(prompt, options);
    const answer = JSON.stringify(translation.whole(completion(head, result)));
    return new Response(kept.keep(dialect.name, body, answer), {
      headers: { "content-type": "application/json", ...headers(model, result) },
    });
  }
  const events = network.stream(prompt, options);
  const before: RunEvent[] = [];
  // The status is known when the agent has said something, or has answered.
  for (;;) {
    const { done, value } = await events.next();
    if (done) break;
    before.push(value);
    if (value.type === "token" || value.type === "result") break;
  }
  const routed = before.findLast((event) => event.type === "routed");
  const all = async function* () {
    try {
      yield* before;
      yield* events;
    } finally {
      await events.return();
    }
  };
  const answer = kept.keep(dialect.name, body, pieces(translation, head, all()));
  return inDialect(piecesOf(dialect, answer), {
    status: 200,
    headers: {
      "content-type": dialect.streamType,
      ...(routed?.type === "routed" && headers(model, routed)),
    },
  });
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

function headers(
  model: string,
  { nodeId, taskId }: { nodeId: string; taskId: string },
): Record<string, string> {
  return { "x-hanzo-node": nodeId, "x-hanzo-model": encodeURI(model), "x-hanzo-task": taskId };
}

function completion(head: Head, result: RunResult): ChatCompletion {
  return {
    ...head,
    object: "chat.completion",
    choices: [{
      index: 0,
      message: { role: "assistant", content: result.output },
      finish_reason: "stop",
    }],
    usage: usageOf(result),
  };
}

/** What the models took that the agent has asked; an agent without any takes nothing. */
function usageOf({ usage }: RunResult): ChatUsage {
  const { inputTokens = 0, outputTokens = 0 } = usage ?? {};
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}

async function* pieces(
  translation: ChatTranslation,
  head: Head,
  events: AsyncGenerator<RunEvent, void, void>,
): AsyncGenerator<string, void, void> {
  const translator = translation.pieces();
  const chunk = (
    delta: ChatChunk["choices"][number]["delta"],
    finish: "stop" | null = null,
  ): ChatChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  let hasSaid = false;
  let usage: ChatUsage | undefined;
  yield translator.push(chunk({ role: "assistant", content: "" }));
  for await (const event of events) {
    if (event.type === "token") {
      hasSaid = true;
      yield translator.push(chunk({ content: event.text }));
    } else if (event.type === "result") {
      usage = usageOf(event.result);
      if (!hasSaid) yield translator.push(chunk({ content: event.result.output }));
    }
  }
  yield translator.push(chunk({}, "stop"));
  if (usage !== undefined) yield translator.push({ ...chunk({}), choices: [], usage });
  yield translator.end();
}

/** What was said last by whoever asks, and all before it as text. */
function asked(messages: readonly ChatMessage[]): { prompt: string; context: string } {
  const last = messages.findLastIndex(({ role }) => role === "user");
  if (last === -1) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      "Cannot ask an agent: no message of the request is the user's.",
    );
  }
  const before = messages.slice(0, last).map((message) => `${message.role}: ${textOf(message)}`);
  return { prompt: textOf(messages[last]), context: before.join("\n\n") };
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.type === "text" ? part.text : "").join("");
}
