/** Routers that ask a model of the network by its name: real engines beside another node. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { createNetwork } from "../../src/agents/networks/agent_network.ts";
import { createRoutingAgent } from "../../src/agents/networks/routing_agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ModelsRig } from "../gateway/models/models_rig.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel, type TestPrompt, type TestReply } from "../support/engines/test_model.ts";

const shout = createAgent({
  name: "shout",
  description: "Says it louder",
  run: ({ prompt }) => prompt.toUpperCase(),
});

/** Lets "shout" go on, until it has said something. */
function leads({ messages }: TestPrompt): TestReply {
  const done = messages.some(({ text }) => text.includes("shout: HELLO"));
  const name = done ? "finish" : "choose_agent";
  return { toolCalls: [{ name, arguments: done ? {} : { agent: "shout", prompt: "hello" } }] };
}

Deno.test("a routing agent asks a model of the network by its name, wherever that is", async (t) => {
  await using engine = await new OpenAiEngine({ models: [testModel("qwen3:8b")], reply: leads })
    .start();
  const lead = createRoutingAgent({ name: "lead", model: "qwen3" });
  const desk = createNetwork({ name: "desk", agents: [shout], router: lead });
  await using rig = await ModelsRig.start({
    there: [engine],
    models: 1,
    agents: [shout, desk.asAgent()],
  });
  const asked = () => engine.asked("/v1/chat/completions").length;

  await t.step("in a run from agent to agent", async () => {
    const { output, state, usage } = await rig.here.run("Say hello", { router: lead });
    assertEquals([output, state.agentResults.length], ["HELLO", 1]);
    assertEquals([usage?.modelCalls, asked()], [2, 2]);
    assertEquals((usage?.outputTokens ?? 0) > 0, true);
  });

  await t.step("in a network of agents that is asked as an agent", async () => {
    const { output, usage } = await rig.here.run("Say hello", { initialAgent: "desk" });
    assertEquals([output, usage?.modelCalls, asked()], ["HELLO", 2, 4]);
  });

  await t.step("a model that nobody has fails the run with what there is", async () => {
    const router = createRoutingAgent({ name: "lead", model: "gone" });
    const error = await assertRejects(() => rig.here.run("Say hello", { router }), NetworkError);
    assertEquals(error.code, "NOT_FOUND");
    assertStringIncludes(error.message, 'Router "lead"');
    assertStringIncludes(error.message, "qwen3:8b");
  });
});
