/** Networks of agents on one machine: routers, state, hooks, limits, and how they fail. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type AgentRun, createAgent } from "../../../src/agents/agent.ts";
import {
  AgentNetwork,
  type AgentNetworkOptions,
  type AgentNetworkRunOptions,
  createNetwork,
} from "../../../src/agents/networks/agent_network.ts";
import { createRouter, type RouterFunction } from "../../../src/agents/networks/agent_router.ts";
import type { NetworkHooks } from "../../../src/agents/networks/network_hooks.ts";
import {
  conditionalRouter,
  sequentialRouter,
  stateRouter,
} from "../../../src/agents/networks/routers.ts";
import type { NetworkRunResult, RunEvent } from "../../../src/agents/run_event.ts";
import { type ErrorCode, NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import type { RunState } from "../../../src/agents/run_state.ts";
import { heldAgent } from "../../support/task_rig.ts";

function agentOf(name: string, run: AgentRun = () => name.toUpperCase()) {
  return createAgent({ name, description: `Says ${name}`, run });
}

/** A network whose time the test moves. */
function networkOf(options: Partial<AgentNetworkOptions>, clock = new ManualClock()) {
  let ids = 0;
  return new AgentNetwork(
    { name: "net", agents: [agentOf("a"), agentOf("b"), agentOf("c")], ...options },
    clock,
    () => `task-${++ids}`,
  );
}

function order({ state }: NetworkRunResult): string {
  return state.agentResults.map(({ agent }) => agent).join(" ");
}

async function fails(
  network: AgentNetwork,
  code: ErrorCode,
  says: string,
  options?: AgentNetworkRunOptions,
): Promise<NetworkError> {
  const error = await assertRejects(() => network.run("Go", options), NetworkError);
  assertEquals([error.code, error.message.includes(says) ? says : error.message], [code, says]);
  return error;
}

Deno.test("without a router each agent is asked once, in order, and the last answer counts", async () => {
  const result = await networkOf({}).run("Go");
  assertEquals(order(result), "a b c");
  assertEquals([result.output, result.agent, result.stoppedBy], ["C", "c", "router"]);
  assertEquals([result.attempts, result.nodeId, result.taskId], [3, "local", "task-3"]);
  assertEquals(result.state.messages, [
    { role: "user", content: "Go" },
    { role: "assistant", agent: "a", content: "A" },
    { role: "assistant", agent: "b", content: "B" },
    { role: "assistant", agent: "c", content: "C" },
  ]);
});

Deno.test("a router function is told the state, the agents, the last answer and how many there were", async () => {
  const told: unknown[] = [];
  const result = await networkOf({
    router: ({ prompt, state, agents, lastResult, callCount }) => {
      told.push([
        prompt,
        state.messages.length,
        agents.map(({ name, description }) => `${name}: ${description}`).join(),
        lastResult?.output,
        callCount,
      ]);
      return callCount === 0 ? "b" : undefined;
    },
  }).run("Go");
  assertEquals(order(result), "b");
  const agents = "a: Says a,b: Says b,c: Says c";
  assertEquals(told, [["Go", 1, agents, undefined, 0], ["Go", 2, agents, "B", 1]]);
});

Deno.test("a router may answer later, with an agent, its name, or either and a prompt", async () => {
  const echo = agentOf("echo", ({ prompt }) => prompt);
  const choices = [echo, "echo", { agent: "echo", prompt: "other" }, { agent: echo }, undefined];
  const result = await networkOf({
    agents: [echo],
    router: ({ callCount }) => Promise.resolve(choices[callCount]),
  }).run("Go");
  assertEquals(result.state.agentResults.map(({ output }) => output), ["Go", "Go", "other", "Go"]);
});

Deno.test("agents share data and messages, and see what those before them answered", async () => {
  const first = agentOf("first", ({ state }) => {
    state.data.set("n", state.data.get("start") as number + 1);
    state.addMessage({ role: "system", content: "be brief" });
    return { output: "one", data: { one: 1 } };
  });
  const second = agentOf("second", ({ state }) => {
    const { output, data } = state.agentResults[0];
    const said = state.messages.map(({ role, content }) => `${role}:${content}`).join(" ");
    return `${state.data.get("n")} ${output} ${JSON.stringify(data)} ${said}`;
  });
  const network = networkOf({ agents: [first, second] });
  const { output, state } = await network.run("Go", { data: { start: 1 } });
  assertEquals(output, '2 one {"one":1} user:Go system:be brief assistant:one');
  assertEquals(Object.fromEntries(state.data), { start: 1, n: 2 });
});

Deno.test("routers by sequence, condition and state choose as they say", async () => {
  const set = (name: string, stage: string | number) =>
    agentOf(name, ({ state }) => {
      state.data.set("stage", stage);
      return name;
    });
  const agents = [set("a", "review"), set("b", "constructor"), set("c", 7)];
  const run = async (options: Partial<AgentNetworkOptions>) =>
    order(await networkOf({ agents, ...options }).run("Go"));
  assertEquals(await run({ router: sequentialRouter(["c", agents[0]]) }), "c a");
  assertEquals(await run({ router: sequentialRouter(["c", "a"]), initialAgent: "b" }), "b a");
  const conditional = conditionalRouter([
    { when: ({ callCount }) => Promise.resolve(callCount === 2) },
    { when: ({ lastResult }) => lastResult?.agent === "a", agent: "c" },
    { when: () => true, agent: agents[0] },
  ]);
  assertEquals(await run({ router: conditional }), "a c");
  const byState = {
    initialAgent: agents[0],
    router: stateRouter("stage", { review: "c", 7: "b" }),
  };
  assertEquals(await run(byState), "a c b");
  const byMessages = stateRouter(({ messages }) => `${messages.length}`, { 1: "b", 2: "c" });
  assertEquals(await run({ router: byMessages }), "b c");
});

Deno.test("at the limit a run ends with the last answer, and says so", async () => {
  const forever: RouterFunction = ({ lastResult }) => lastResult?.agent === "a" ? "b" : "a";
  const events: RunEvent<NetworkRunResult>[] = [];
  const network = networkOf({ router: forever, maxIterations: 3 });
  for await (const event of network.stream("Go")) events.push(event);
  const last = events.at(-1)!;
  assert(last.type === "result");
  assertEquals([order(last.result), last.result.stoppedBy, last.result.output], [
    "a b a",
    "limit",
    "A",
  ]);
  assertEquals(events.filter(({ type }) => type === "step").length, 3);
  assertEquals((await networkOf({ router: forever }).run("Go")).state.agentResults.length, 10);
});

Deno.test("a router that ends just at the limit was not stopped by it", async () => {
  const result = await networkOf({ maxIterations: 3 }).run("Go");
  assertEquals(result.stoppedBy, "router");
});

Deno.test("the events of a run say which agent each piece is from", async () => {
  const slow = agentOf("slow", async function* () {
    yield "one ";
    yield "two";
  });
  const said: string[] = [];
  for await (const event of networkOf({ agents: [slow, agentOf("a")] }).stream("Go")) {
    if (event.type === "step") said.push(`${event.step} ${event.agent} of ${event.network}`);
    else if (event.type === "token") said.push(event.text);
    else if (event.type === "step-result") said.push(`= ${event.result.output}`);
    else if (event.type === "result") said.push(`== ${event.result.output}`);
  }
  assertEquals(said, ["1 slow of net", "one ", "two", "= one two", "2 a of net", "= A", "== A"]);
});

Deno.test("the calls of all steps have ids of their own, of agents that fail, too", async () => {
  const asks = agentOf("asks", async ({ callAgent }) => {
    const [fails] = await Promise.allSettled([callAgent("fails", "x"), callAgent("a", "y")]);
    return fails.status;
  });
  const fails = agentOf("fails", () => Promise.reject(new Error("it is dark")));
  const network = networkOf({
    agents: [asks, agentOf("a"), fails],
    router: ({ callCount }) => callCount < 2 ? "asks" : undefined,
  });
  const calls: unknown[] = [];
  for await (const event of network.stream("Go")) {
    if ("callId" in event && "agent" in event) {
      calls.push([event.callId, event.type, event.agent]);
    }
    if (event.type === "agent-error") calls.push(event.reason);
  }
  const of = (step: number) => [
    [`${step}/call_1`, "agent-call", "fails"],
    [`${step}/call_2`, "agent-call", "a"],
    [`${step}/call_2`, "agent-result", "a"],
    [`${step}/call_1`, "agent-error", "fails"],
    'Agent "fails" failed: it is dark',
  ];
  assertEquals(calls, [...of(1), ...of(2)]);
});

Deno.test("leaving the stream stops the agent that runs", async () => {
  const held = heldAgent();
  for await (const { type } of networkOf({ agents: [held.agent] }).stream("Go")) {
    if (type === "step") {
      await held.run(0);
      break;
    }
  }
  const [{ context: { signal } }] = held.runs;
  await Promise.resolve();
  assert(signal.aborted);
});

const BROKEN_ROUTERS: [string, RouterFunction, ErrorCode, string][] = [
  [
    "throws",
    () => {
      throw new Error("no idea");
    },
    "AGENT_FAILED",
    'Router "lead" of network "net" failed: no idea',
  ],
  ["rejects", () => Promise.reject("no idea"), "AGENT_FAILED", 'Router "lead" of network "net"'],
  ["names nobody there", () => "d", "AGENT_FAILED", "There are: a, b, c."],
  ["returns nonsense", () => 7 as unknown as string, "AGENT_FAILED", "neither an agent nor"],
  ["chooses nobody", () => undefined, "INVALID_ARGUMENT", "nobody was chosen to begin"],
];
for (const [what, choose, code, says] of BROKEN_ROUTERS) {
  Deno.test(`a router that ${what} ends the run with an error that says so`, async () => {
    await fails(networkOf({ router: createRouter(choose, { name: "lead" }) }), code, says);
  });
}

Deno.test("a router that hangs ends the run after its time, a hook after the run's", async () => {
  const clock = new ManualClock();
  const never = () => new Promise<never>(() => {});
  const router = createRouter(never, { name: "lead", timeoutMs: 500 });
  const failed = fails(
    networkOf({ router }, clock),
    "DEADLINE_EXCEEDED",
    "made no choice within 500 ms",
  );
  let over = false;
  failed.then(() => over = true);
  await clock.advance(499);
  assert(!over);
  await clock.advance(1);
  await failed;
  const late = fails(
    networkOf({ hooks: { onStart: never } }, clock),
    "DEADLINE_EXCEEDED",
    'was not done within 2000 ms: hook "onStart" had not ended',
    { timeoutMs: 2_000 },
  );
  await clock.advance(2_000);
  await late;
});

Deno.test("where a router fails its fallback chooses", async () => {
  const fallback = sequentialRouter(["c"]);
  for (const choose of [() => "nobody", () => Promise.reject(new Error("no"))]) {
    const router = { ...createRouter(choose), fallback };
    assertEquals(order(await networkOf({ router }).run("Go")), "c");
  }
});

Deno.test("each step has the time that is left, and the last one is stopped with the run", async () => {
  const clock = new ManualClock();
  const held = heldAgent({ name: "held" });
  const network = networkOf({ agents: [held.agent, agentOf("a")], router: () => "held" }, clock);
  const failed = fails(
    network,
    "DEADLINE_EXCEEDED",
    'Step 2 of network "net" failed: Agent "held" was not done within 400 ms',
    { timeoutMs: 1_000 },
  );
  const first = await held.run(0);
  await clock.advance(600);
  first.answer("one");
  const second = await held.run(1);
  await clock.advance(399);
  assert(!second.context.signal.aborted);
  await clock.advance(1);
  assert(second.context.signal.aborted);
  await failed;
});

Deno.test("cancelling stops the agent, and the caller gets its reason", async () => {
  const held = heldAgent();
  const stop = new AbortController();
  const network = networkOf({ agents: [held.agent] });
  const failed = fails(network, "CANCELLED", "Cancelled by the caller: enough", {
    signal: stop.signal,
  });
  const { context } = await held.run(0);
  stop.abort(new Error("enough"));
  await failed;
  assert(context.signal.aborted);
});

Deno.test("an agent that fails ends the run; what it changed is gone with it", async () => {
  const bad = agentOf("bad", ({ state }) => {
    state.data.set("half", "done");
    throw new Error("broken");
  });
  let seen: unknown;
  const network = networkOf({
    agents: [agentOf("a"), bad],
    hooks: {
      onError: ({ error, state, network }) => {
        seen = [network, error.code, state.data.has("half"), state.agentResults.length];
        throw new Error("not told");
      },
    },
  });
  await fails(
    network,
    "AGENT_FAILED",
    'Step 2 of network "net" failed: Agent "bad" failed: broken',
  );
  assertEquals(seen, ["net", "AGENT_FAILED", false, 1]);
});

Deno.test("an answer that the state has no room for is an error that names the mend", async () => {
  const long = agentOf("long", () => "x".repeat(5 * 2 ** 20));
  const network = networkOf({ agents: [long], router: () => "long" });
  await fails(network, "RESOURCE_EXHAUSTED", "let the agents answer less");
});

Deno.test("hooks are called in order, and see the run go on", async () => {
  const said: string[] = [];
  const hooks: NetworkHooks = {
    onStart: ({ prompt, state }) => {
      said.push(`start ${prompt} ${state.messages.length}`);
    },
    onRoute: ({ step, agent }) => void said.push(`route ${step} ${agent}`),
    onResponse: async ({ step, result, state }) => {
      await Promise.resolve();
      said.push(`response ${step} ${result.output} ${state.agentResults.length}`);
    },
    onFinish: ({ result, stoppedBy }) => void said.push(`finish ${result.output} ${stoppedBy}`),
    onError: () => void said.push("error"),
  };
  await networkOf({ agents: [agentOf("a"), agentOf("b")], hooks }).run("Go");
  assertEquals(said, [
    "start Go 0",
    "route 1 a",
    "response 1 A 0",
    "route 2 b",
    "response 2 B 1",
    "finish B router",
  ]);
});

Deno.test("hooks may change the prompt, the choice and the answers, and end the run", async () => {
  const echo = agentOf("echo", ({ prompt, state }) => `${prompt}${state.agentResults.length}`);
  const network = networkOf({
    agents: [agentOf("a"), echo],
    router: () => "a",
    hooks: {
      onStart: ({ prompt }) => `${prompt}!`,
      onRoute: ({ step }) => step === 1 ? echo : step === 3 ? null : undefined,
      onResponse: ({ result }) => ({ output: `<${result.output}>`, data: [1] }),
      onFinish: ({ result }) => ({ output: `${result.output}.` }),
    },
  });
  const result = await network.run("Go");
  assertEquals(result.state.agentResults.map(({ output }) => output), ["<Go!0>", "<A>"]);
  assertEquals([result.output, result.data, result.stoppedBy], ["<A>.", undefined, "hook"]);
});

for (
  const hook of ["onStart", "onRoute", "onResponse", "onFinish"] satisfies (keyof NetworkHooks)[]
) {
  Deno.test(`${hook} that throws, or returns nonsense, fails the run by its name`, async () => {
    const broken = { [hook]: () => Promise.reject(new Error("oh")) };
    await fails(
      networkOf({ hooks: broken }),
      "AGENT_FAILED",
      `Hook "${hook}" of network "net" failed: oh`,
    );
    const nonsense = { [hook]: () => 7 };
    await fails(
      networkOf({ hooks: nonsense }),
      "AGENT_FAILED",
      `Hook "${hook}" of network "net" failed`,
    );
  });
}

Deno.test("a run may begin with another agent, if it is there", async () => {
  const network = networkOf({ initialAgent: "b", router: sequentialRouter(["a", "c"]) });
  assertEquals(order(await network.run("Go")), "b c");
  assertEquals(order(await network.run("Go", { initialAgent: agentOf("c") })), "c c");
  await fails(
    network,
    "NOT_FOUND",
    'agent "z" is to begin, and is not there. There are: a, b, c.',
    {
      initialAgent: "z",
    },
  );
});

Deno.test("an agent that only other devices have is not found here", async () => {
  const network = networkOf({ agents: [{ name: "far", description: "" }] });
  await fails(network, "NOT_FOUND", "does not have it itself");
});

for (
  const [what, options, says] of [
    ["a name that is no label", { name: "a b" }, "a name is 1 to 63"],
    ["nobody in it", { agents: [] }, "it has no agents"],
    ["two of one name", { agents: [agentOf("a"), agentOf("a")] }, 'two in it are called "a"'],
    ["an agent of its own name", { agents: [agentOf("net")] }, 'two in it are called "net"'],
    ["a stranger to begin", { initialAgent: "z" }, '"z" is to begin and is not among its agents'],
    ["no steps", { maxIterations: 0 }, "maxIterations is 0, expected a whole number from 1"],
    ["a router that is none", { router: 7 as unknown as RouterFunction }, "it is no function"],
  ] satisfies [string, Partial<AgentNetworkOptions>, string][]
) {
  Deno.test(`a network with ${what} is refused`, () => {
    const error = assertThrows(() => networkOf(options), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, says);
  });
}

Deno.test("a network in a network shares its data, and nothing else", async () => {
  const inner = networkOf({
    name: "inner",
    agents: [
      agentOf("seen", ({ state }) => `${[...state.data.keys()]} ${state.messages.length}`),
      agentOf("set", ({ state }) => {
        state.data.set("new", 1);
        state.data.delete("old");
        return { output: state.agentResults[0].output, data: [1] };
      }),
    ],
  });
  const network = networkOf({ agents: [agentOf("a"), inner] });
  const { output, data, state } = await network.run("Go", { data: { old: 0, kept: 0 } });
  assertEquals([output, data], ["old,kept 1", [1]]);
  assertEquals(Object.fromEntries(state.data), { kept: 0, new: 1 });
  assertEquals(state.agentResults.map(({ agent }) => agent), ["a", "inner"]);
  assertEquals(state.messages.length, 3);
});

Deno.test("agents of a network may ask each other, but not in circles for ever", async () => {
  const shout = agentOf("shout", ({ prompt }) => prompt.toUpperCase());
  const asks = agentOf("asks", async ({ prompt, state, callAgent }) => {
    state.data.set("asked", 1);
    return (await callAgent(shout, prompt, { state, context: "c" })).output;
  });
  const network = networkOf({ agents: [asks, shout], router: sequentialRouter([asks]) });
  assertEquals((await network.run("Go")).output, "GO");
  const circle = agentOf("circle", async ({ callAgent }) => (await callAgent("circle", "")).output);
  await fails(networkOf({ agents: [circle] }), "FAILED_PRECONDITION", "16 deep already");
  const foreign = agentOf("foreign", async ({ callAgent }) => {
    const state = { messages: [], agentResults: [], addMessage() {} } as unknown as RunState;
    return (await callAgent("circle", "", { state })).output;
  });
  await fails(networkOf({ agents: [foreign] }), "INVALID_ARGUMENT", "{ state: context.state }");
});

Deno.test("a network may be run again elsewhere when all of its agents may", () => {
  const careful = createAgent({ name: "x", description: "", run: () => "", idempotent: false });
  const far = { name: "far", description: "" };
  const inner = networkOf({ name: "inner", agents: [careful] });
  const isIdempotent = (...agents: AgentNetworkOptions["agents"]) =>
    networkOf({ agents }).asAgent().idempotent;
  assertEquals(isIdempotent(agentOf("a"), agentOf("b")), true);
  assertEquals([isIdempotent(careful), isIdempotent(far), isIdempotent(inner)], [
    false,
    false,
    false,
  ]);
});

Deno.test("what the models of its agents took is told together, by a network and by one as an agent", async () => {
  const usage = { inputTokens: 10, outputTokens: 3, modelCalls: 1 };
  const agents = ["one", "two"].map((name) =>
    createAgent({ name, description: name, run: () => ({ output: name, usage }) })
  );
  const inner = createNetwork({
    name: "inner",
    agents,
    router: sequentialRouter(["one", "two"]),
  });
  const outer = createNetwork({
    name: "outer",
    agents: [inner],
    router: sequentialRouter(["inner"]),
  });
  const both = { inputTokens: 20, outputTokens: 6, modelCalls: 2 };

  assertEquals((await inner.run("Go")).usage, both);
  assertEquals((await outer.run("Go")).usage, both);
});
