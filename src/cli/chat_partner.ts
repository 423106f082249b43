/** Who answers in a conversation: an agent or a model of the network. */

import type { RunEvent } from "../agents/run_event.ts";
import type { NodeClient } from "./node_client.ts";

/** What was said so far. */
export interface ChatTurn {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** Who is asked. */
export interface ChatTarget {
  readonly kind: "agent" | "model";
  readonly name: string;
}

/** What comes of a message; `answer` is always the last. */
export type ChatEvent =
  | Exclude<RunEvent, { type: "result" }>
  /** What a model thinks before it answers. */
  | { type: "thought"; text: string }
  | { type: "answer"; from: string; nodeId: string; taskId: string; output: string };

/** A message, with what it belongs to. */
export interface ChatQuestion {
  readonly message: string;
  /** What was said before, the oldest first. */
  readonly turns: readonly ChatTurn[];
  /** The thread that keeps what is said, instead. */
  readonly thread?: string;
  /** What a model is told before all else. */
  readonly system?: string;
  /** Only this node. */
  readonly node?: string;
}

/** As long as a run of an agent. */
const TIMEOUT_MS = 300_000;
/** Of what was said before, an agent is told the end, in UTF-16 units. */
const MAX_CONTEXT = 64 * 1024;

/**
 * Asks, and tells what comes of it as it comes.
 *
 * @throws {NetworkError} What the run, or the model, fails with.
 */
export function askPartner(
  node: Pick<NodeClient, "run" | "streamChat" | "brokenOff">,
  target: ChatTarget,
  question: ChatQuestion,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, void> {
  const ask = target.kind === "agent" ? askAgent : askModel;
  return ask(node, target.name, question, signal);
}

async function* askAgent(
  node: Pick<NodeClient, "run" | "brokenOff">,
  agent: string,
  { message, turns, thread, node: only }: ChatQuestion,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, void> {
  const body = thread === undefined ? { context: transcript(turns) } : { thread };
  for await (const event of node.run({ prompt: message, agent, node: only, ...body }, signal)) {
    if (event.type !== "result") yield event;
    else {
      const { agent: from, nodeId, taskId, output } = event.result;
      return yield { type: "answer", from, nodeId, taskId, output };
    }
  }
  throw node.brokenOff();
}

async function* askModel(
  node: Pick<NodeClient, "streamChat">,
  model: string,
  { message, turns, system, node: only }: ChatQuestion,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, void> {
  const { model: from, nodeId, taskId, pieces } = await node.streamChat({
    model,
    messages: [
      ...system === undefined ? [] : [{ role: "system" as const, content: system }],
      ...turns,
      { role: "user", content: message },
    ],
    stream: true,
  }, { node: only, timeoutMs: TIMEOUT_MS, signal });
  let output = "";
  for await (const { text, thought } of pieces) {
    if (thought !== "") yield { type: "thought", text: thought };
    if (text !== "") yield { type: "token", text };
    output += text;
  }
  yield { type: "answer", from, nodeId, taskId, output };
}

/** What was said, as the gateway tells it to agents that are asked like models. */
function transcript(turns: readonly ChatTurn[]): string | undefined {
  const kept: string[] = [];
  let room = MAX_CONTEXT;
  for (const { role, content } of turns.toReversed()) {
    const text = `${role}: ${content}`;
    room -= text.length;
    if (room < 0) break;
    kept.unshift(text);
  }
  return kept.length === 0 ? undefined : kept.join("\n\n");
}
