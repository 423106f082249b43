/** An agent or a router that runs here asks a model: a call like a client's, within its own bounds. */

import type { ModelReply } from "../agents/models/chat_model.ts";
import type { ModelQuestion } from "../tasks/executor.ts";
import { conversationKeys } from "./models/conversations.ts";
import type { ModelCalls } from "./models/model_calls.ts";

/**
 * Carries the question to wherever the model is, and the answer back.
 *
 * @throws {NetworkError} As {@linkcode ModelCalls.call}.
 */
export async function sendToModel(
  { model, body, timeoutMs, priority, hops, traceparent, signal }: Omit<
    ModelQuestion,
    "asker" | "taskId"
  >,
  calls: Pick<ModelCalls, "call">,
): Promise<ModelReply> {
  // Our own words: see agents/models/chat_wire.ts.
  const request = JSON.parse(body);
  const answer = await calls.call({
    dialect: "openai-chat",
    body,
    model,
    stream: request.stream === true,
    conversation: conversationKeys(request),
    timeoutMs,
    priority,
    hops,
    traceparent,
    signal,
  });
  return { status: answer.status, body: toBytes(answer.body) };
}

async function* toBytes(
  body: string | AsyncIterable<string>,
): AsyncGenerator<Uint8Array, void, void> {
  const encoder = new TextEncoder();
  if (typeof body === "string") yield encoder.encode(body);
  else for await (const piece of body) yield encoder.encode(piece);
}
