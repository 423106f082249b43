/** Agents that ask models: while these think, the slot is somebody else's. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type AgentContext, createAgent } from "../../src/agents/agent.ts";
import type { ModelReply } from "../../src/agents/models/chat_model.ts";
import { Cancellation } from "../../src/base/cancellation.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { Executor, type ModelQuestion } from "../../src/tasks/executor.ts";
import { MAX_HOPS, type Served, type Task } from "../../src/tasks/task.ts";
import { heldAgent, task } from "../support/task_rig.ts";

/** A question to a model, and what the test answers. */
interface Asked {
  readonly question: ModelQuestion;
  readonly reply: (reply: Partial<ModelReply>) => void;
  readonly fail: (error: NetworkError) => void;
}

const encoder = new TextEncoder();

function answer(text: string, more: Record<string, unknown> = {}): Uint8Array {
  return encoder.encode(JSON.stringify({ choices: [{ message: { content: text } }], ...more }));
}

function body(...pieces: Uint8Array[]): AsyncIterable<Uint8Array> {
  return (async function* () {
    yield* pieces;
  })();
}

/** An executor with one slot, an agent that a test holds, and one that a model drives. */
class Rig {
  readonly clock = new ManualClock();
  readonly held = heldAgent();
  readonly asked: Asked[] = [];
  readonly executor: Executor;

  constructor(run?: (context: AgentContext) => Promise<string>) {
    const thinker = run === undefined
      ? createAgent({ name: "thinker", description: "", model: "llama3" })
      : createAgent({ name: "thinker", description: "", run });
    this.executor = new Executor({
      nodeId: "here",
      clock: this.clock,
      slots: 1,
      agents: new Map([thinker, this.held.agent].map((agent) => [agent.name, agent])),
      ask: () => Promise.reject(new Error("Nobody is here.")),
      sendToModel: (question) => {
        const { promise, resolve, reject } = Promise.withResolvers<ModelReply>();
        const reply = (given: Partial<ModelReply>) =>
          resolve({ status: 200, body: body(), ...given });
        this.asked.push({ question, reply, fail: reject });
        question.signal.addEventListener("abort", () => reject(question.signal.reason));
        return promise;
      },
    });
  }

  give(overrides: Partial<Task>, cancellation = new Cancellation()): Promise<Served> {
    return Promise.try(() =>
      this.executor.execute(task(overrides), () => {}, cancellation, "caller")
    );
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await this.clock.advance(0);
  }
}

Deno.test("while its model thinks an agent takes no slot, and the model is asked for what is left", async () => {
  const rig = new Rig();
  const thinking = rig.give({
    agent: "thinker",
    prompt: "why?",
    timeoutMs: 5_000,
    hops: 1,
    priority: "high",
  });
  await rig.settle();
  await rig.clock.advance(1_000);
  const other = rig.give({ agent: "held" });
  await rig.settle();

  assertEquals(rig.held.runs.length, 1, "the slot was given away");
  const [{ question, reply }] = rig.asked;
  assertEquals(
    [question.model, question.path, question.asker.name, question.priority, question.hops],
    ["llama3", "/v1/chat/completions", "thinker", "high", 2],
  );
  assertEquals(question.timeoutMs, 5_000);
  assertEquals(JSON.parse(question.body).messages, [{ role: "user", content: "why?" }]);
  reply({
    body: body(
      encoder.encode('data: {"choices":[{"delta":{"content":"So."}}]}\n\n'),
      encoder.encode('data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n'),
      encoder.encode("data: [DONE]\n\n"),
    ),
  });

  const { output, usage } = await thinking;
  assertEquals(output, "So.");
  assertEquals(usage, { inputTokens: 4, outputTokens: 2, modelCalls: 1 });
  rig.held.runs[0].answer("done");
  await other;
  assertEquals(rig.executor.running, 0);
});

Deno.test("the slot is away until the model has said all", async () => {
  const rest = Promise.withResolvers<void>();
  const rig = new Rig(async ({ model }) => {
    const { text } = await model("m").generate({ messages: [] });
    await new Promise(() => {});
    return text;
  });
  rig.give({ agent: "thinker" }).catch(() => {});
  await rig.settle();
  assertEquals(rig.executor.running, 0);
  rig.asked[0].reply({
    body: (async function* () {
      await rest.promise;
      yield answer("So.");
    })(),
  });
  await rig.settle();
  assertEquals(rig.executor.running, 0, "it has begun to speak");

  rest.resolve();
  await rig.settle();

  assertEquals(rig.executor.running, 1, "it has said all, and its agent goes on");
});

Deno.test("a model that refuses, or that nobody reaches, gives the slot back to its agent", async () => {
  const errors: NetworkError[] = [];
  const rig = new Rig(async ({ model }) => {
    for (let i = 0; i < 3; i++) {
      await model("m").generate({ messages: [] }).catch((error) => errors.push(error));
    }
    await new Promise(() => {});
    return "";
  });
  rig.give({ agent: "thinker" }).catch(() => {});
  await rig.settle();
  rig.asked[0].fail(new NetworkError("NOT_FOUND", "No node has it."));
  await rig.settle();
  rig.asked[1].reply({
    status: 404,
    body: body(encoder.encode('{"error":{"message":"no such model"}}')),
  });
  await rig.settle();
  rig.asked[2].reply({ body: body(encoder.encode("<html>")) });
  await rig.settle();

  assertEquals(errors.map(({ code }) => code), ["NOT_FOUND", "NOT_FOUND", "PROTOCOL"]);
  assertStringIncludes(errors[1].message, 'Cannot ask model "m": status 404, "no such model"');
  assertStringIncludes(errors[1].message, "Try: hanzo-network models");
  assertEquals(rig.executor.running, 1);
});

Deno.test("who cancels the run, or lets its time pass, stops the model", async () => {
  const rig = new Rig();
  const cancellation = new Cancellation();
  const cancelled = rig.give({ agent: "thinker" }, cancellation);
  const late = rig.give({ agent: "thinker", timeoutMs: 1_000 });
  late.catch(() => {});
  await rig.settle();

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));
  await assertRejects(() => cancelled, NetworkError, "Given up.");
  await rig.clock.advance(1_000);
  const error = await assertRejects(() => late, NetworkError);

  assertEquals(error.code, "DEADLINE_EXCEEDED");
  assertEquals(rig.asked.map(({ question }) => question.signal.aborted), [true, true]);
  assertEquals(rig.executor.running, 0);
});

Deno.test("an agent that answers without its model stops it", async () => {
  const rig = new Rig(({ model }) => {
    void model().generate({ messages: [] });
    return new Promise((resolve) => setTimeout(() => resolve("anyway"), 0));
  });

  assertEquals((await rig.give({ agent: "thinker" })).output, "anyway");

  assertEquals(rig.asked[0].question.model, "default");
  assertEquals(rig.asked[0].question.signal.aborted, true);
  assertEquals(rig.executor.running, 0);
});

Deno.test("agents that have asked each other too deep ask no model", async () => {
  const rig = new Rig();

  const error = await assertRejects(
    () => rig.give({ agent: "thinker", hops: MAX_HOPS }),
    NetworkError,
    'Cannot ask model "llama3"',
  );

  assertEquals([error.code, rig.asked.length], ["AGENT_FAILED", 0]);
});

Deno.test("what a run's models took is counted, and an agent may say it itself", async () => {
  const usage = { prompt_tokens: 10, completion_tokens: 5 };
  const rig = new Rig(async ({ model }) => {
    await Promise.all([model("a"), model("b")].map((one) => one.generate({ messages: [] })));
    return "both";
  });
  const running = rig.give({ agent: "thinker" });
  await rig.settle();
  for (const { reply } of rig.asked) reply({ body: body(answer("x", { usage })) });

  assertEquals((await running).usage, { inputTokens: 20, outputTokens: 10, modelCalls: 2 });
});

for (const name of ["", " ", "a\nb", "x".repeat(600), 7]) {
  Deno.test(`${JSON.stringify(name).slice(0, 20)} is no model`, async () => {
    const rig = new Rig(async ({ model }) =>
      (await model(name as string).generate({ messages: [] })).text
    );

    const error = await assertRejects(() => rig.give({ agent: "thinker" }), NetworkError);

    assertEquals(error.code, "INVALID_ARGUMENT");
    assertEquals(rig.asked.length, 0);
  });
}

Deno.test("what an agent says itself of its models counts, if it can", async () => {
  const usage = { inputTokens: 1, outputTokens: 2, modelCalls: 3 };
  const answers = [usage, { ...usage, inputTokens: -1 }, { inputTokens: 1 }, "many"];
  const told: unknown[] = [];
  for (const said of answers) {
    const rig = new Rig(async ({ model }) => {
      await model("m").generate({ messages: [] });
      return { output: "", usage: said } as never;
    });
    const running = rig.give({ agent: "thinker" });
    await rig.settle();
    rig.asked[0].reply({ body: body(answer("x")) });
    told.push(await running.then(({ usage }) => usage, (error) => error.code));
  }

  assertEquals(told, [usage, "AGENT_FAILED", "AGENT_FAILED", "AGENT_FAILED"]);
});

Deno.test("a model that the agent itself gives up is stopped, and asked no more after its end", async () => {
  const abort = new AbortController();
  const errors: string[] = [];
  let after: () => Promise<unknown> = () => Promise.resolve();
  const rig = new Rig(async ({ model }) => {
    const asking = model("m").generate({ messages: [], signal: abort.signal });
    await asking.catch((error) => errors.push(error.message));
    after = () => model("m").generate({ messages: [] });
    return "without it";
  });
  const running = rig.give({ agent: "thinker" });
  await rig.settle();
  abort.abort(new NetworkError("CANCELLED", "Enough."));

  assertEquals((await running).output, "without it");
  assertEquals([errors, rig.asked[0].question.signal.aborted], [["Enough."], true]);
  await assertRejects(after, NetworkError, "has answered");
  assertEquals(rig.asked.length, 1);
});
