/** Routers that ask a model: what it is told, what it may say, and what becomes of nonsense. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { createAgent } from "../../../src/agents/agent.ts";
import type { Model, ModelAnswer, ModelRequest } from "../../../src/agents/models/model.ts";
import { AgentNetwork } from "../../../src/agents/networks/agent_network.ts";
import { createRoutingAgent } from "../../../src/agents/networks/routing_agent.ts";
import { sequentialRouter } from "../../../src/agents/networks/routers.ts";
import type { JsonValue } from "../../../src/base/bounded_json.ts";
import { NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";

const says = (text: string): ModelAnswer => ({ text, toolCalls: [] });
const calls = (name: string, args: JsonValue = {}): ModelAnswer => ({
  text: "",
  toolCalls: [{ id: "1", name, arguments: args }],
});

/** A model that says what the test has written, and what it was asked. */
function scripted(...answers: (ModelAnswer | Error | Promise<ModelAnswer>)[]) {
  const requests: ModelRequest[] = [];
  const model: Model = {
    name: "scripted",
    generate: async (request) => {
      requests.push({ ...request, messages: [...request.messages] });
      const answer = answers[requests.length - 1];
      if (answer instanceof Error) throw answer;
      return await answer;
    },
  };
  return { model, requests };
}

function deskWith(
  model: Model | string,
  options: Partial<Parameters<typeof createRoutingAgent>[0]> = {},
  clock = new ManualClock(),
): AgentNetwork {
  const echo = (name: string) =>
    createAgent({
      name,
      description: `Does ${name}`,
      run: ({ prompt, state }) => {
        state.data.set("last", name);
        return `${name}(${prompt})`;
      },
    });
  const router = createRoutingAgent({ name: "lead", model, ...options });
  return new AgentNetwork(
    { name: "desk", agents: [echo("sums"), echo("words")], router },
    clock,
    () => "id",
  );
}

const outputs = async (network: AgentNetwork) =>
  (await network.run("Go")).state.agentResults.map(({ output }) => output);

Deno.test("a model chooses agents by calling tools, with a prompt of its own if it likes, until it is done", async () => {
  const { model, requests } = scripted(
    calls("choose_agent", { agent: "words" }),
    calls("choose_agent", { agent: "sums", prompt: "1 + 1" }),
    calls("finish"),
  );
  assertEquals(await outputs(deskWith(model, { description: "Be quick." })), [
    "words(Go)",
    "sums(1 + 1)",
  ]);
  const [{ messages: [system, user], tools }, , last] = requests;
  assertStringIncludes(system.content, "- sums: Does sums\n- words: Does words");
  assertStringIncludes(system.content, "Be quick.");
  assertStringIncludes(user.content, "The request: Go");
  assertEquals(tools!.map(({ name }) => name), ["choose_agent", "finish"]);
  assertStringIncludes(last.messages[1].content, "words: words(Go)\nsums: sums(1 + 1)");
  assertStringIncludes(last.messages[1].content, 'last = "sums"');
});

Deno.test("what a model of the router's own takes is counted with the run", async () => {
  const usage = { inputTokens: 7, outputTokens: 2 };
  const { model } = scripted(
    { ...calls("choose_agent", { agent: "words" }), usage },
    { text: "nonsense", toolCalls: [], usage },
    { ...calls("finish"), usage },
  );
  const result = await deskWith(model).run("Go");
  assertEquals(result.usage, { inputTokens: 21, outputTokens: 6, modelCalls: 3 });
  assertEquals(
    (await deskWith(scripted(calls("choose_agent", { agent: "sums" }), calls("finish")).model).run(
      "Go",
    )).usage,
    {
      inputTokens: 0,
      outputTokens: 0,
      modelCalls: 2,
    },
  );
});

Deno.test("a model that cannot call tools may say the same as JSON", async () => {
  const { model } = scripted(
    says('{"agent": "words"}'),
    says('```json\n{"agent": "sums", "prompt": "2"}\n```'),
    says('{"agent": null}'),
  );
  assertEquals(await outputs(deskWith(model)), ["words(Go)", "sums(2)"]);
});

const NONSENSE: [string, ModelAnswer, string][] = [
  [
    "prose",
    says("I would ask words."),
    'it called no tool, and said no JSON: "I would ask words."',
  ],
  ["nothing", says(""), "said no JSON"],
  ["newlines without end", says(`\`\`\`json${"\n".repeat(1_000_000)}x`), "said no JSON"],
  [
    "a stranger",
    calls("choose_agent", { agent: "boss" }),
    'chose agent "boss", which is not among',
  ],
  ["a stranger as JSON", says('{"agent": "__proto__"}'), "which is not among them"],
  ["other arguments", calls("choose_agent", { name: "words" }), "which names no agent"],
  ["arguments that are no JSON", calls("choose_agent", '{"agent": "wor'), "which names no agent"],
  ["another tool", calls("rm", { agent: "words" }), 'it called "rm", which is no tool'],
  ["JSON with more", says('{"agent": "words", "sudo": true}'), "which names no agent"],
  ["two tools", {
    text: "",
    toolCalls: [calls("finish").toolCalls[0], calls("finish").toolCalls[0]],
  }, "it called 2 tools at once"],
];
for (const [what, answer, fault] of NONSENSE) {
  Deno.test(`a model that says ${what} is told so once, and then the run fails or the fallback chooses`, async () => {
    const mended = scripted(answer, calls("choose_agent", { agent: "words" }), calls("finish"));
    assertEquals(await outputs(deskWith(mended.model)), ["words(Go)"]);
    assertStringIncludes(mended.requests[1].messages.at(-1)!.content, fault);

    const error = await assertRejects(
      () => deskWith(scripted(answer, answer).model).run("Go"),
      NetworkError,
    );
    assertEquals(error.code, "AGENT_FAILED");
    assertStringIncludes(error.message, 'Router "lead" of network "desk" failed: model "scripted"');
    assertStringIncludes(error.message, fault);
    assertStringIncludes(error.message, "give the routing agent a fallback");

    const fallback = sequentialRouter(["sums"]);
    const saved = scripted(answer, answer, calls("finish"));
    assertEquals(await outputs(deskWith(saved.model, { fallback })), ["sums(Go)"]);
  });
}

Deno.test("a model that cannot be reached fails the run with its own error, or the fallback chooses", async () => {
  const gone = new NetworkError("UNAVAILABLE", "Cannot ask model: no server answers there.");
  const error = await assertRejects(() => deskWith(scripted(gone).model).run("Go"), NetworkError);
  assertEquals(error.code, "UNAVAILABLE");
  assertStringIncludes(error.message, "no server answers there");
  const fallback = () => undefined;
  const { model } = scripted(calls("choose_agent", { agent: "words" }), gone);
  assertEquals(await outputs(deskWith(model, { fallback })), ["words(Go)"]);
});

Deno.test("a model that takes too long is stopped, and the fallback chooses", async () => {
  const clock = new ManualClock();
  const { model, requests } = scripted(new Promise<ModelAnswer>(() => {}), calls("finish"));
  const run = outputs(deskWith(model, { fallback: () => "sums", timeoutMs: 700 }, clock));
  await clock.advance(700);
  assertEquals(requests[0].signal?.aborted, true);
  assertEquals(await run, ["sums(Go)"]);
});

Deno.test("a model is shown no more than it can read", async () => {
  const { model, requests } = scripted(calls("choose_agent", { agent: "words" }), calls("finish"));
  const network = deskWith(model);
  await network.run("x".repeat(1_000_000), { data: { big: "y".repeat(1_000_000) } });
  assertEquals(requests[1].messages[1].content.length < 20_000, true);
});

Deno.test("a routing agent without a model is refused", () => {
  for (const model of [{} as Model, undefined as unknown as Model, "", "two\nlines"]) {
    const error = assertThrows(() => createRoutingAgent({ name: "lead", model }), NetworkError);
    assertStringIncludes(error.message, "it has no model");
  }
});

Deno.test("where there is no network no model is found by its name, and the fallback chooses", async () => {
  const error = await assertRejects(() => deskWith("llama3.2").run("Go"), NetworkError);
  assertEquals(error.code, "FAILED_PRECONDITION");
  assertStringIncludes(error.message, 'network "desk" runs in no network that has models');
  const fallback = sequentialRouter(["sums"]);
  assertEquals(await outputs(deskWith("llama3.2", { fallback })), ["sums(Go)"]);
});
