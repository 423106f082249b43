/** One run of an agent: its answer, its events in order, and its end when it is given up. */

import { assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { type AgentAnswer, type AgentRun, createAgent } from "../../src/agents/agent.ts";
import { Cancellation } from "../../src/base/cancellation.ts";
import type { AgentEvent } from "../../src/agents/run_event.ts";
import { createTool } from "../../src/agents/tool.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { answerOf, callOf } from "./calls.ts";

const add = createTool<{ a: number; b: number }>({
  name: "add",
  description: "Adds",
  handler: ({ a, b }) => a + b,
});

function agentOf(run: AgentRun) {
  return createAgent({ name: "subject", description: "", run, tools: [add] });
}

/** Lets everything happen that needs no further time. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

for (
  const [what, run, answer] of [
    ["a string", () => "yes", { output: "yes" }],
    ["a promise of a string", () => Promise.resolve("yes"), { output: "yes" }],
    ["text with data", () => ({ output: "yes", data: [1] }), { output: "yes", data: [1] }],
    ["the empty string", () => "", { output: "" }],
  ] satisfies [string, AgentRun, AgentAnswer][]
) {
  Deno.test(`an agent may answer with ${what}`, async () => {
    assertEquals(await answerOf(agentOf(run), callOf()), answer);
  });
}

Deno.test("an agent is given the prompt, the context, the task and the node", async () => {
  const given: unknown[] = [];
  const agent = agentOf(({ prompt, context, taskId, nodeId }) => {
    given.push(prompt, context, taskId, nodeId);
    return "";
  });

  await answerOf(agent, callOf({ prompt: "p", context: "c", taskId: "t", nodeId: "n" }));

  assertEquals(given, ["p", "c", "t", "n"]);
});

Deno.test("what a generator yields is streamed in order, and is the answer", async () => {
  const events: AgentEvent[] = [];
  const agent = agentOf(async function* () {
    yield "Hel";
    yield "lo";
  });

  const answer = await answerOf(agent, callOf({ emit: (event) => void events.push(event) }));

  assertEquals(answer, { output: "Hello" });
  assertEquals(events, [{ type: "token", text: "Hel" }, { type: "token", text: "lo" }]);
});

Deno.test("a character that a generator cuts in two goes as one", async () => {
  const events: AgentEvent[] = [];
  const agent = agentOf(async function* () {
    yield* "a\u{1f600}b\u{1f389}".split("");
    yield "\ud83d";
  });

  const answer = await answerOf(agent, callOf({ emit: (event) => void events.push(event) }));

  assertEquals(answer, { output: "a\u{1f600}b\u{1f389}\ud83d" });
  const texts = events.map((event) => event.type === "token" ? event.text : event.type);
  // What has no other half is told all the same, as it is in the answer.
  assertEquals(texts.filter((text) => text !== ""), ["a", "\u{1f600}", "b", "\u{1f389}", "\ud83d"]);
});

Deno.test("what a generator returns is the answer instead of what it yielded", async () => {
  const agent = agentOf(async function* () {
    yield "thinking…";
    return { output: "42", data: 42 };
  });

  assertEquals(await answerOf(agent, callOf()), { output: "42", data: 42 });
});

Deno.test("a generator waits while its caller takes no more", async () => {
  let produced = 0;
  let takeOne: () => void = () => {};
  const agent = agentOf(async function* () {
    for (; produced < 3; produced++) yield "x";
  });
  const running = answerOf(
    agent,
    callOf({ emit: () => new Promise<void>((resolve) => takeOne = resolve) }),
  );

  await turn();
  assertEquals(produced, 0);
  takeOne();
  await turn();
  assertEquals(produced, 1);
  takeOne();
  await turn();
  takeOne();

  assertEquals((await running).output, "xxx");
});

Deno.test("an abort ends a run at once with the signal's reason, and the generator's finally runs", async () => {
  const cancellation = new Cancellation();
  const reason = new NetworkError("CANCELLED", "Given up.");
  const steps: string[] = [];
  const agent = agentOf(async function* ({ signal }) {
    try {
      yield "one";
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error())));
      yield "never";
    } finally {
      steps.push("cleaned up");
    }
  });
  const running = answerOf(
    agent,
    callOf({ cancellation, emit: (event) => void steps.push(event.type) }),
  );
  await turn();

  cancellation.cancel(reason);

  assertStrictEquals(await running.catch((thrown) => thrown), reason);
  await turn();
  assertEquals(steps, ["token", "cleaned up"]);
});

Deno.test("the generator's finally runs even while its caller never takes the last token", async () => {
  const cancellation = new Cancellation();
  let cleanedUp = false;
  const agent = agentOf(async function* () {
    try {
      yield "one";
    } finally {
      cleanedUp = true;
    }
  });
  const running = answerOf(
    agent,
    callOf({ cancellation, emit: () => new Promise(() => {}) }),
  );
  await turn();

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => running, NetworkError, "Given up.");
  await turn();
  assertEquals(cleanedUp, true);
});

Deno.test("an agent that ignores the abort holds nobody up and says nothing more", async () => {
  const cancellation = new Cancellation();
  const events: string[] = [];
  const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
  const agent = agentOf(async function* ({ callTool }) {
    await blocked;
    yield "too late";
    await callTool("add", { a: 1, b: 1 });
    return "too late";
  });
  const running = answerOf(
    agent,
    callOf({ cancellation, emit: (event) => void events.push(event.type) }),
  );

  cancellation.cancel(new NetworkError("DEADLINE_EXCEEDED", "Time is up."));
  await assertRejects(() => running, NetworkError, "Time is up.");
  release();
  await turn();

  assertEquals(events, []);
});

Deno.test("a run that is cancelled already does not start", async () => {
  let started = false;
  const agent = agentOf(() => {
    started = true;
    return "";
  });
  const cancellation = new Cancellation();
  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => answerOf(agent, callOf({ cancellation })), NetworkError, "Given up.");
  assertEquals(started, false);
});

Deno.test("when the caller is lost the generator's finally runs and the run fails", async () => {
  let cleanedUp = false;
  const agent = agentOf(async function* () {
    try {
      yield "one";
      yield "two";
    } finally {
      cleanedUp = true;
    }
  });
  const emit = () => Promise.reject(new NetworkError("UNAVAILABLE", "The caller is gone."));

  await assertRejects(() => answerOf(agent, callOf({ emit })), NetworkError, "is gone");
  assertEquals(cleanedUp, true);
});

for (
  const [how, run] of [
    ["at once", () => {
      throw new TypeError("no\n  good");
    }],
    ["later", () => Promise.reject(new TypeError("no good"))],
    ["while it streams", async function* () {
      yield "so far";
      throw new TypeError("no good");
    }],
  ] satisfies [string, AgentRun][]
) {
  Deno.test(`an agent that throws ${how} fails with its own message, in one line`, async () => {
    const error = await assertRejects(() => answerOf(agentOf(run), callOf()), NetworkError);

    assertEquals(error.code, "AGENT_FAILED");
    assertEquals(error.message, 'Agent "subject" failed: no good');
    assertEquals(error.cause instanceof TypeError, true);
  });
}

Deno.test("a coded error of an agent keeps its code", async () => {
  const fault = new NetworkError("INVALID_ARGUMENT", "Cannot read the prompt.");
  const agent = agentOf(() => {
    throw fault;
  });

  assertStrictEquals(await answerOf(agent, callOf()).catch((thrown) => thrown), fault);
});

for (
  const [what, run] of [
    ["returned undefined", () => undefined],
    ["returned null", () => null],
    ["returned a value of type number", () => 42],
    ["returned a value of type object", () => ({ text: "42" })],
    ["yielded a value of type number", async function* () {
      yield 42;
    }],
  ] satisfies [string, () => unknown][]
) {
  // What an agent's file does is checked by no compiler.
  Deno.test(`an agent that ${what} fails and says so`, async () => {
    const error = await assertRejects(
      () => answerOf(agentOf(run as unknown as AgentRun), callOf()),
      NetworkError,
      what,
    );

    assertEquals(error.code, "AGENT_FAILED");
  });
}

Deno.test("a call of a tool is seen as two events, in order with the tokens", async () => {
  const events: AgentEvent[] = [];
  const agent = agentOf(async function* ({ callTool }) {
    yield "1 + 2 = ";
    yield String(await callTool("add", { a: 1, b: 2 }));
  });

  const answer = await answerOf(agent, callOf({ emit: (event) => void events.push(event) }));

  assertEquals(answer.output, "1 + 2 = 3");
  assertEquals(events, [
    { type: "token", text: "1 + 2 = " },
    { type: "tool-call", callId: "call_1", tool: "add", arguments: { a: 1, b: 2 } },
    { type: "tool-result", callId: "call_1", tool: "add", result: 3 },
    { type: "token", text: "3" },
  ]);
});

Deno.test("a call of a tool that fails is seen to end, and the agent may go on", async () => {
  const events: AgentEvent[] = [];
  const look = createTool({
    name: "look",
    description: "",
    handler: () => Promise.reject(new Error("it is dark")),
  });
  const agent = createAgent({
    name: "subject",
    description: "",
    tools: [look],
    run: ({ callTool }) =>
      callTool("look", {}).then(String, ({ message }) => `It says: ${message}`),
  });

  const answer = await answerOf(agent, callOf({ emit: (event) => void events.push(event) }));

  assertMatch(answer.output, /^It says: .*it is dark/);
  assertEquals(events, [
    { type: "tool-call", callId: "call_1", tool: "look", arguments: {} },
    {
      type: "tool-error",
      callId: "call_1",
      tool: "look",
      reason: answer.output.slice("It says: ".length),
    },
  ]);
});

Deno.test("parallel calls of one tool are told apart, and agents that fail from those that answer", async () => {
  const events: AgentEvent[] = [];
  const turns = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const look = createTool({
    name: "look",
    description: "",
    handler: (at) => turns[at as number].promise,
  });
  const agent = createAgent({
    name: "subject",
    description: "",
    tools: [look],
    run: async ({ callTool, callAgent }) => {
      const both = [
        callTool("look", 0, { callId: "mine" }),
        callTool("look", 1, { callId: "mine" }),
      ];
      await turn();
      turns[1].resolve("second");
      await both[1];
      turns[0].resolve("first");
      await both[0];
      await callAgent("gone", "well?").catch(() => {});
      return "done";
    },
  });

  await answerOf(agent, callOf({ emit: (event) => void events.push(event) }));

  assertEquals(events, [
    { type: "tool-call", callId: "mine", tool: "look", arguments: 0 },
    { type: "tool-call", callId: "call_1", tool: "look", arguments: 1 },
    { type: "tool-result", callId: "call_1", tool: "look", result: "second" },
    { type: "tool-result", callId: "mine", tool: "look", result: "first" },
    { type: "agent-call", callId: "call_2", agent: "gone", prompt: "well?" },
    {
      type: "agent-error",
      callId: "call_2",
      agent: "gone",
      reason: "Nobody is here to ask for gone.",
    },
  ]);
});

Deno.test("a tool that the agent does not have is named, with those that it has", async () => {
  const agent = agentOf(async ({ callTool }) => String(await callTool("subtract", {})));

  const error = await assertRejects(() => answerOf(agent, callOf()), NetworkError);

  assertEquals(error.code, "NOT_FOUND");
  assertEquals(error.message, 'Cannot call tool "subtract": agent "subject" has only add.');
});

Deno.test("a tool is told of the abort, and calls after it are refused", async () => {
  const cancellation = new Cancellation();
  const told: string[] = [];
  const wait = createTool({
    name: "wait",
    description: "Waits for the abort",
    handler: (_, { signal }) =>
      new Promise<never>((_, reject) =>
        signal.addEventListener("abort", () => {
          told.push("tool");
          reject(signal.reason);
        })
      ),
  });
  const agent = createAgent({
    name: "subject",
    description: "",
    tools: [wait],
    run: async ({ callTool }) => {
      await callTool("wait", {}).catch(() => {});
      await callTool("wait", {}).catch((thrown) => told.push((thrown as Error).message));
      return "";
    },
  });
  const running = answerOf(agent, callOf({ cancellation }));
  await turn();

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));
  await assertRejects(() => running, NetworkError, "Given up.");
  await turn();

  assertEquals(told, ["tool", "Given up."]);
});

Deno.test("a call of a tool that outlives the answer emits nothing and ends no process", async () => {
  const events: string[] = [];
  const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
  const slow = createTool({
    name: "slow",
    description: "",
    handler: async () => {
      await blocked;
      return 1;
    },
  });
  const agent = createAgent({
    name: "subject",
    description: "",
    tools: [slow],
    run: ({ callTool }) => {
      void callTool("slow", {});
      void callTool("unknown", {});
      return "done";
    },
  });

  await answerOf(agent, callOf({ emit: (event) => void events.push(event.type) }));
  release();
  await turn();

  assertEquals(events, ["tool-call"]);
});

Deno.test("a run leaves no listener behind", async () => {
  let listeners = 0;
  class Counting extends Cancellation {
    override onCancel(listener: (reason: unknown) => void): () => void {
      listeners++;
      const forget = super.onCancel(listener);
      return () => {
        listeners--;
        forget();
      };
    }
  }
  const agent = agentOf(async function* () {
    yield "x";
  });

  await answerOf(agent, callOf({ cancellation: new Counting() }));

  assertEquals(listeners, 0);
});

Deno.test("an agent that runs alone has a state of its own, with what it was asked", async () => {
  const agent = agentOf((context) => {
    const { state } = { ...context };
    state.data.set("a", 1);
    state.addMessage({ role: "system", content: "noted" });
    return JSON.stringify(state);
  });
  const { output } = await answerOf(agent, callOf({ prompt: "Go" }));
  assertEquals(JSON.parse(output), {
    messages: [{ role: "user", content: "Go" }, { role: "system", content: "noted" }],
    data: { a: 1 },
    agentResults: [],
  });
});

Deno.test("a tool whose result cannot be told has failed, and its call has an end", async () => {
  const circle: Record<string, unknown> = {};
  circle.around = circle;
  const odd = createTool({ name: "odd", description: "", handler: () => circle as never });
  const agent = createAgent({
    name: "a",
    description: "",
    tools: [odd],
    run: ({ callTool }) => callTool("odd", {}).then(() => "told", () => "failed"),
  });
  const events: string[] = [];

  const { output } = await answerOf(
    agent,
    callOf({
      emit: (event) => {
        JSON.stringify(event);
        events.push(event.type);
      },
    }),
  );

  assertEquals([output, events], ["failed", ["tool-call", "tool-error"]]);
});
