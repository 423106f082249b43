/** Agents that a model drives: the loop of its tools, its bounds, its answers by schema. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { z } from "zod";
import { createAgent, type ModelAgentOptions } from "../../../src/agents/agent.ts";
import type { Model } from "../../../src/agents/models/model.ts";
import type { AgentEvent } from "../../../src/agents/run_event.ts";
import { RunStateStore } from "../../../src/agents/run_state_store.ts";
import { createTool, type Tool } from "../../../src/agents/tool.ts";
import { Cancellation } from "../../../src/base/cancellation.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { answerOf, callOf } from "../calls.ts";
import { calling, ScriptedModel } from "./scripted_model.ts";

const add = createTool({
  name: "add",
  description: "Adds",
  parameters: z.object({ a: z.number(), b: z.number() }),
  handler: ({ a, b }) => a + b,
});

function agentOf(model: Model | string, options: Partial<ModelAgentOptions> = {}) {
  return createAgent({ name: "thinker", description: "Thinks", model, ...options });
}

function toolOf(name: string, handler: Parameters<typeof createTool>[0]["handler"]): Tool {
  return createTool({ name, description: name, handler });
}

Deno.test("what a model says is streamed, and is the answer, with what it took", async () => {
  const model = new ScriptedModel({
    text: "Hello to you",
    usage: { inputTokens: 7, outputTokens: 3 },
  });
  const events: AgentEvent[] = [];
  const agent = agentOf(model, { system: "Be kind.", temperature: 0, maxTokens: 50 });
  const call = callOf({
    prompt: "Hi",
    context: "A letter",
    emit: (event) => void events.push(event),
  });

  const answer = await answerOf(agent, call);

  assertEquals(answer, {
    output: "Hello to you",
    usage: { inputTokens: 7, outputTokens: 3, modelCalls: 1 },
  });
  assertEquals(events, ["Hello", " to", " you"].map((text) => ({ type: "token", text })));
  const [{ messages, temperature, maxTokens, tools }] = model.asked;
  assertEquals(messages, [
    { role: "system", content: "Be kind." },
    { role: "user", content: "Hi\n\nA letter" },
  ]);
  assertEquals([temperature, maxTokens, tools], [0, 50, []]);
});

Deno.test("a model's calls of tools are answered until it answers itself", async () => {
  const model = new ScriptedModel(
    { ...calling(["add", { a: 2, b: 3 }]), text: "Let me see." },
    "It is 5.",
  );
  const events: AgentEvent[] = [];
  const call = callOf({ prompt: "2 + 3", emit: (event) => void events.push(event) });

  const { output, usage } = await answerOf(agentOf(model, { tools: [add] }), call);

  assertEquals(output, "It is 5.");
  assertEquals(usage?.modelCalls, 2);
  assertEquals(events.map((event) => event.type === "token" ? event.text : event), [
    "Let",
    " me",
    " see.",
    { type: "tool-call", callId: "call-0", tool: "add", arguments: { a: 2, b: 3 } },
    { type: "tool-result", callId: "call-0", tool: "add", result: 5 },
    "\n\nIt",
    " is",
    " 5.",
  ]);
  assertEquals(model.asked[0].tools, [{
    name: "add",
    description: "Adds",
    parameters: {
      type: "object",
      properties: { a: { type: "number" }, b: { type: "number" } },
      required: ["a", "b"],
    },
  }]);
  assertEquals(model.asked[0].messages.length, 1, "what it was asked stays what it was");
  assertEquals(model.asked[1].messages.slice(1), [
    { role: "assistant", content: "Let me see.", ...calling(["add", { a: 2, b: 3 }]) },
    { role: "tool", toolCallId: "call-0", content: "5" },
  ]);
});

Deno.test("the tools of one answer run side by side, eight at a time, and are answered in order", async () => {
  let running = 0;
  let most = 0;
  const slow = toolOf("slow", async (n) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 0));
    running--;
    return n as number;
  });
  const model = new ScriptedModel(
    calling(...Array.from({ length: 20 }, (_, n): [string, number] => ["slow", n])),
    "Done",
  );

  await answerOf(agentOf(model, { tools: [slow] }), callOf());

  assertEquals(most, 8);
  const told = model.asked[1].messages.filter(({ role }) => role === "tool");
  assertEquals(told.map(({ content }) => Number(content)), Array.from({ length: 20 }, (_, n) => n));
});

Deno.test("more calls in one answer than are good are not made, and the model is told so", async () => {
  let calls = 0;
  const count = toolOf("count", () => ++calls);
  const model = new ScriptedModel(
    calling(...Array.from({ length: 100 }, (): [string] => ["count"])),
    "Done",
  );

  await answerOf(agentOf(model, { tools: [count] }), callOf());

  assertEquals(calls, 64);
  assertStringIncludes(model.asked[1].messages.at(-1)!.content, "Not called");
});

Deno.test("what goes wrong with a tool is told to the model, which mends it", async () => {
  const breaks = toolOf("breaks", () => {
    throw new Error("the printer is on fire");
  });
  const model = new ScriptedModel(
    calling(["subtract"], ["add", { a: "two" }], ["add", "{a: 2"], ["breaks"]),
    "I give up.",
  );

  const { output } = await answerOf(agentOf(model, { tools: [add, breaks] }), callOf());

  assertEquals(output, "I give up.");
  const told = model.asked[1].messages.slice(-4).map(({ content }) => content);
  assertStringIncludes(told[0], 'There is no tool "subtract", only: add, breaks.');
  assertStringIncludes(told[1], "a: Invalid input");
  assertStringIncludes(told[2], "no JSON");
  assertStringIncludes(told[3], "Error: the printer is on fire");
});

for (
  const [what, line, tools, says] of [
    ["calls a tool that is not there", calling(["ad"]), [add], 'no tool "ad"'],
    ["gives arguments that do not fit", calling(["add", { a: 1 }]), [add], "b: Invalid input"],
    [
      "calls a tool that fails in the same way",
      calling(["fails"]),
      [toolOf("fails", () => Promise.reject(new Error("no paper")))],
      "no paper",
    ],
  ] as const
) {
  Deno.test(`a model that ${what} three times in a row ends the run`, async () => {
    const model = new ScriptedModel(line);

    const error = await assertRejects(
      () => answerOf(agentOf(model, { tools }), callOf()),
      NetworkError,
      "in vain 3 times in a row",
    );

    assertEquals(error.code, "AGENT_FAILED");
    assertStringIncludes(error.message, says);
    assertEquals(model.asked.length, 3);
  });
}

Deno.test("failures with something else between them, or of different kinds, end nothing", async () => {
  let n = 0;
  const fails = toolOf("fails", () => Promise.reject(new Error(`attempt ${++n}`)));
  const model = new ScriptedModel(
    calling(["fails"]),
    calling(["fails"]),
    calling(["fails"]),
    calling(["nobody"]),
    calling(["nobody"]),
    calling(["add", { a: 1, b: 1 }]),
    calling(["nobody"]),
    calling(["nobody"]),
    "Done",
  );

  const events: string[] = [];
  const call = callOf({ emit: ({ type }) => void events.push(type) });
  const { output } = await answerOf(agentOf(model, { tools: [add, fails] }), call);

  assertEquals(output, "Done");
  const failed = ["tool-call", "tool-error"];
  assertEquals(events, [...failed, ...failed, ...failed, "tool-call", "tool-result", "token"]);
});

Deno.test("what an engine numbers anew in each answer has ids of its own in the run", async () => {
  const model = new ScriptedModel(
    calling(["add", { a: 1, b: 1 }], ["add", { a: 1, b: 2 }]),
    calling(["add", { a: 1, b: 3 }]),
    "Done",
  );
  const ids: string[] = [];
  const emit = (event: AgentEvent) => {
    if (event.type === "tool-call") ids.push(event.callId);
  };

  await answerOf(agentOf(model, { tools: [add] }), callOf({ emit }));

  assertEquals(ids, ["call-0", "call-1", "call_1"]);
});

Deno.test("a model that does not come to an answer is asked no more than maxSteps times", async () => {
  const model = new ScriptedModel(calling(["add", { a: 1, b: 1 }]));

  await assertRejects(
    () => answerOf(agentOf(model, { tools: [add], maxSteps: 5 }), callOf()),
    NetworkError,
    "was asked 5 times",
  );

  assertEquals(model.asked.length, 5);
});

Deno.test("by default a model is asked 16 times", async () => {
  const model = new ScriptedModel(calling(["add", { a: 1, b: 1 }]));

  await assertRejects(() => answerOf(agentOf(model, { tools: [add] }), callOf()), NetworkError);

  assertEquals(model.asked.length, 16);
});

Deno.test("of a long result the model is told the beginning, and how much is missing", async () => {
  const long = toolOf("long", () => "x".repeat(100_000));
  const model = new ScriptedModel(calling(["long"]), "Done");

  await answerOf(agentOf(model, { tools: [long] }), callOf());

  const { content } = model.asked[1].messages.at(-1)!;
  assertEquals(content.length < 66_000, true);
  assertStringIncludes(content, "[cut: 34464 of 100000 characters more]");
});

Deno.test("a tool that takes no object is told as one with one member", async () => {
  const double = createTool({
    name: "maths.double",
    description: "Doubles",
    parameters: z.number(),
    handler: (n) => 2 * n,
  });
  const model = new ScriptedModel(calling(["maths_double", { input: 21 }]), "Done");

  await answerOf(agentOf(model, { tools: [double] }), callOf());

  assertEquals(model.asked[0].tools, [{
    name: "maths_double",
    description: "Doubles",
    parameters: { type: "object", properties: { input: { type: "number" } }, required: ["input"] },
  }]);
  assertEquals(model.asked[1].messages.at(-1)!.content, "42");
});

Deno.test("when the run is cancelled the model is stopped, and no tool is called any more", async () => {
  const cancellation = new Cancellation();
  const signals: AbortSignal[] = [];
  const model = new ScriptedModel(({ signal }) => {
    signals.push(signal!);
    return new Promise((_, reject) =>
      signal!.addEventListener("abort", () => reject(signal!.reason))
    );
  });
  const running = answerOf(agentOf(model, { tools: [add] }), callOf({ cancellation }));
  while (signals.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => running, NetworkError, "Given up.");
  assertEquals(signals[0].aborted, true);
});

Deno.test("when the run is cancelled while a tool works, the model is not told of a failure", async () => {
  const cancellation = new Cancellation();
  const stuck = createTool({
    name: "stuck",
    description: "",
    handler: (_, { signal }) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")));
        cancellation.cancel(new NetworkError("CANCELLED", "Given up."));
      }),
  });
  const model = new ScriptedModel(calling(["stuck"]), "never");

  await assertRejects(
    () => answerOf(agentOf(model, { tools: [stuck] }), callOf({ cancellation })),
    NetworkError,
    "Given up.",
  );
  await new Promise((resolve) => setTimeout(resolve, 0));

  assertEquals(model.asked.length, 1);
});

Deno.test("a model that fails fails the run with its own words", async () => {
  const model = new ScriptedModel(() => {
    throw new NetworkError("UNAVAILABLE", "Cannot ask model: its GPU melted.");
  });

  await assertRejects(() => answerOf(agentOf(model), callOf()), NetworkError, "its GPU melted");
});

Deno.test("the caller that takes no more holds the model up", async () => {
  let said = 0;
  let take = () => {};
  const model: Model = {
    name: "talker",
    async generate({ onToken }) {
      for (; said < 100; said++) await onToken!("x".repeat(1_024));
      return { text: "", toolCalls: [] };
    },
  };
  const running = answerOf(
    agentOf(model),
    callOf({ emit: () => new Promise<void>((resolve) => take = resolve) }),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));

  assertEquals(said < 40, true, `it said ${said} pieces`);

  const taking = setInterval(() => take(), 0);
  await running;
  clearInterval(taking);
  assertEquals(said, 100);
});

const place = z.object({ town: z.string(), people: z.number().int() });

Deno.test("an answer by schema is asked for, checked, and the data of the run", async () => {
  const model = new ScriptedModel('```json\n{"town": "Oslo", "people": 717710}\n```');
  const events: AgentEvent[] = [];
  const call = callOf({ prompt: "Oslo", emit: (event) => void events.push(event) });

  const { output, data } = await answerOf(agentOf(model, { output: place, system: "S" }), call);

  assertEquals(data, { town: "Oslo", people: 717_710 });
  assertEquals(JSON.parse(output), data);
  assertEquals(events, []);
  const [{ responseFormat, messages }] = model.asked;
  assertEquals(responseFormat?.schema.required, ["town", "people"]);
  assertStringIncludes(messages[0].content, "S\n\nAnswer with JSON");
  assertStringIncludes(messages[0].content, '"people":{"type":"integer"');
});

Deno.test("an answer that does not fit is asked for once more, with what is wrong", async () => {
  const model = new ScriptedModel(
    '{"town": "Oslo", "people": "many"}',
    '{"town": "Oslo", "people": 1}',
  );

  const { data, usage } = await answerOf(agentOf(model, { output: place }), callOf());

  assertEquals(data, { town: "Oslo", people: 1 });
  assertEquals(usage?.modelCalls, 2);
  const [, again] = model.asked;
  assertEquals(again.messages.at(-2), {
    role: "assistant",
    content: '{"town": "Oslo", "people": "many"}',
  });
  assertStringIncludes(again.messages.at(-1)!.content, "people: Invalid input");
});

for (
  const [what, line, says] of [
    ["no JSON", "Oslo is in Norway.", "no JSON"],
    ["cut off", { text: '{"town": "Os', isCut: true }, "let it say more with maxTokens"],
    ["nothing", "", "no JSON"],
  ] as const
) {
  Deno.test(`an answer that is ${what} twice ends the run`, async () => {
    const model = new ScriptedModel(line);

    const error = await assertRejects(
      () => answerOf(agentOf(model, { output: place }), callOf()),
      NetworkError,
      "no answer that fits its schema",
    );

    assertStringIncludes(error.message, says);
    assertEquals(model.asked.length, 2);
  });
}

Deno.test("with tools the engine holds the model to the schema only when it has missed it", async () => {
  const model = new ScriptedModel(
    calling(["add", { a: 1, b: 1 }]),
    "It is 2",
    '{"town": "Two", "people": 2}',
  );

  const { data } = await answerOf(agentOf(model, { output: place, tools: [add] }), callOf());

  assertEquals(data, { town: "Two", people: 2 });
  assertEquals(model.asked.map(({ responseFormat }) => responseFormat !== undefined), [
    false,
    false,
    true,
  ]);
  assertEquals(model.asked[2].tools, undefined);
});

Deno.test("in a thread the model is told what was said before, its own words as its own", async () => {
  const state = new RunStateStore();
  state.addMessage({ role: "system", content: "The user is a pilot." });
  state.addMessage({ role: "user", content: "Hello" });
  state.addMessage({ role: "assistant", agent: "thinker", content: "Hi!" });
  state.addMessage({ role: "user", content: "Weather?" });
  state.addMessage({ role: "assistant", agent: "weather", content: "Rain." });
  state.addMessage({ role: "user", content: "And tomorrow?" });
  const model = new ScriptedModel("Sun.");

  await answerOf(
    agentOf(model, { system: "Be brief." }),
    callOf({ prompt: "And tomorrow?", state }),
  );

  assertEquals(model.asked[0].messages, [
    { role: "system", content: "Be brief.\n\nThe user is a pilot." },
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hi!" },
    { role: "user", content: 'Weather?\n\nAgent "weather" says: Rain.\n\nAnd tomorrow?' },
  ]);
});

Deno.test("of a long thread the model is told the newest, as far as there is room", async () => {
  const state = new RunStateStore();
  for (let i = 0; i < 100; i++) {
    state.addMessage({ role: i % 2 ? "assistant" : "user", content: `${i}:${"x".repeat(1_000)}` });
  }
  const model = new ScriptedModel("Yes.");

  await answerOf(agentOf(model), callOf({ prompt: "Still there?", state }));

  const { messages } = model.asked[0];
  assertEquals(messages.length, 32);
  assertStringIncludes(messages[0].content, "69:");
  assertEquals(messages.at(-1)?.content, "Still there?");
});

Deno.test("how it is to behave may be made for each run", async () => {
  const model = new ScriptedModel("Yes.");
  const agent = agentOf(model, {
    system: ({ nodeId }) => Promise.resolve(`You run on ${nodeId}.`),
  });

  await answerOf(agent, callOf({ nodeId: "desk" }));

  assertEquals(model.asked[0].messages[0], { role: "system", content: "You run on desk." });
});

for (
  const [what, options, says] of [
    ["no model", { model: 7 }, "neither a name nor an object"],
    ["an empty name of a model", { model: " " }, "neither a name nor an object"],
    ["no schema", { output: { type: "object" } }, '"output" is no schema'],
    ["steps without end", { maxSteps: Infinity }, "maxSteps is Infinity"],
    ["a temperature of 3", { temperature: 3 }, "temperature is 3, expected 0 to 2"],
    ["no token", { maxTokens: 0 }, "maxTokens is 0"],
    ["a run as well", { run: () => "" }, 'both "run" and "model"'],
    ["a tool that no node has", { tools: ["telepathy"] }, 'no tool "telepathy" comes with a node'],
    ["a tool twice", { tools: ["calculator", "calculator"] }, "same name"],
    ["an MCP server that is none", { mcpServers: { files: {} } }, 'MCP server "files"'],
  ] as const
) {
  Deno.test(`an agent with ${what} is refused`, () => {
    const error = assertThrows(
      () => agentOf("m", options as unknown as Partial<ModelAgentOptions>),
      NetworkError,
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, says);
    assertStringIncludes(error.message, 'Cannot create agent "thinker"');
  });
}

Deno.test("an agent may be run again elsewhere as long as its tools only look", () => {
  const model = new ScriptedModel("");
  const mcpServers = { files: { command: "files" } };
  assertEquals(agentOf(model).idempotent, true);
  assertEquals(agentOf(model, { tools: ["calculator", "web_search"] }).idempotent, true);
  assertEquals(agentOf(model, { tools: ["shared_state"] }).idempotent, false);
  assertEquals(agentOf(model, { tools: [add] }).idempotent, false);
  assertEquals(agentOf(model, { mcpServers }).idempotent, false);
});

Deno.test("what a model says that does not stream is told at once", async () => {
  const model: Model = {
    name: "slow",
    generate: () =>
      Promise.resolve({
        text: "All of it",
        toolCalls: [],
        usage: { inputTokens: NaN, outputTokens: 1.6 },
      }),
  };
  const events: AgentEvent[] = [];

  const { usage } = await answerOf(
    agentOf(model),
    callOf({ emit: (event) => void events.push(event) }),
  );

  assertEquals(events, [{ type: "token", text: "All of it" }]);
  assertEquals(usage, { inputTokens: 0, outputTokens: 2, modelCalls: 1 });
});

Deno.test("arguments that do not fit, each time in another way, are the same failure", async () => {
  const model = new ScriptedModel(
    calling(["add", { a: 1 }]),
    calling(["add", { b: 1 }]),
    calling(["add", {}]),
    "never",
  );

  await assertRejects(
    () => answerOf(agentOf(model, { tools: [add] }), callOf()),
    NetworkError,
    "in vain 3 times",
  );
});

Deno.test("tools whose names models cannot tell apart are told apart", async () => {
  const tools = ["a.b", "a_b"].map((name) => toolOf(name, () => `this is ${name}`));
  const model = new ScriptedModel(calling(["a_b"], ["a_b_2"]), "Done");

  await answerOf(agentOf(model, { tools }), callOf());

  assertEquals(
    model.asked[1].messages.slice(-2).map(({ content }) => content),
    ["this is a.b", "this is a_b"],
  );
});

Deno.test("a model whose caller is lost is stopped", async () => {
  let signal: AbortSignal | undefined;
  const model: Model = {
    name: "talker",
    async generate(request) {
      signal = request.signal;
      await request.onToken!("one");
      return await new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(signal!.reason))
      );
    },
  };
  const emit = () => Promise.reject(new NetworkError("UNAVAILABLE", "The caller is gone."));

  await assertRejects(() => answerOf(agentOf(model), callOf({ emit })), NetworkError, "is gone");

  assertEquals(signal?.aborted, true);
});
