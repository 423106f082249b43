/** How what an agent asks a model becomes a call of the network. */

import { assertEquals } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { RawModelAnswer, RawModelCall } from "../../src/network/models/model_calls.ts";
import { sendToModel } from "../../src/network/send_to_model.ts";
import type { ModelQuestion } from "../../src/tasks/executor.ts";

const { signal } = new AbortController();
const messages = [{ role: "user", content: "Hello" }];

async function sent(request: Record<string, unknown>, body: RawModelAnswer["body"]) {
  const calls: RawModelCall[] = [];
  const question: ModelQuestion = {
    asker: createAgent({ name: "a", description: "", run: () => "" }),
    taskId: "t",
    model: "llama3, gpt-4o",
    path: "/v1/chat/completions",
    body: JSON.stringify(request),
    timeoutMs: 1_000,
    priority: "high",
    hops: 2,
    traceparent: "00-1",
    signal,
  };
  const reply = await sendToModel(question, {
    call: (call) => {
      calls.push(call);
      const head = { status: 404, contentType: "", model: "llama3", nodeId: "b", taskId: "u" };
      return Promise.resolve({ ...head, body });
    },
  });
  const text = new TextDecoder().decode(
    new Uint8Array((await Array.fromAsync(reply.body)).flatMap((piece) => [...piece])),
  );
  return { call: calls[0], status: reply.status, text };
}

Deno.test("all that bounds the run bounds the call, and what is said comes back as it is", async () => {
  const { call, status, text } = await sent({ model: "m", messages }, "grüße");

  const { conversation, ...rest } = call;
  assertEquals(rest, {
    dialect: "openai-chat",
    body: JSON.stringify({ model: "m", messages }),
    model: "llama3, gpt-4o",
    stream: false,
    timeoutMs: 1_000,
    priority: "high",
    hops: 2,
    traceparent: "00-1",
    signal,
  });
  assertEquals(conversation?.length, 1);
  assertEquals([status, text], [404, "grüße"]);
});

Deno.test("an answer in pieces stays in pieces, and leaving it leaves the model", async () => {
  let isLeft = false;
  const pieces = () =>
    (async function* () {
      try {
        yield "one";
        yield "two";
      } finally {
        isLeft = true;
      }
    })();
  const { call, text } = await sent({ model: "m", messages, stream: true }, pieces());

  assertEquals([call.stream, text, isLeft], [true, "onetwo", true]);
});
