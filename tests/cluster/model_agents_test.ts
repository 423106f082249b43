/** Agents that models drive, in whole networks: on other devices, with the tools of these, in threads. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { RunEvent, RunResult } from "../../src/agents/run_event.ts";
import { sequentialRouter } from "../../src/agents/networks/routers.ts";
import { calling, ScriptedModel } from "../agents/models/scripted_model.ts";
import { CLOCKED_URL, ClockedEngine } from "../support/engines/clocked_engine.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";

const took = { usage: { inputTokens: 10, outputTokens: 3 } };

Deno.test("an agent with a model runs on another device, with the tools of that device", async () => {
  await using fleet = new MemoryFleet(1201);
  const model = new ScriptedModel(
    {
      ...calling(["device_info"], ["shared_state", { action: "set", key: "seen", value: 1 }]),
      ...took,
    },
    { text: "Hello from there", ...took },
  );
  const agent = createAgent({
    name: "thinker",
    description: "Thinks",
    model,
    tools: ["device_info", "shared_state"],
  });
  const a = await fleet.start({ nodeId: "a" });
  await fleet.start({ nodeId: "b", agents: [agent], labels: ["attic"] });
  await fleet.advance(500);
  const events: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of a.network.stream("Who is there?", { initialAgent: "thinker" })) {
      events.push(event);
    }
  })();
  await fleet.wait(reading);
  await fleet.advance(100);

  assertEquals(events.map((event) => event.type === "token" ? event.text : event.type), [
    "routed",
    "started",
    "tool-call",
    "tool-call",
    "tool-result",
    "tool-result",
    "Hello",
    " from",
    " there",
    "result",
  ]);
  const { result } = events.at(-1) as { result: RunResult };
  assertEquals([result.output, result.nodeId], ["Hello from there", "b"]);
  assertEquals(result.usage, { inputTokens: 20, outputTokens: 6, modelCalls: 2 });
  const told = model.asked[1].messages.flatMap((one) => one.role === "tool" ? [one.content] : []);
  const device = JSON.parse(told.find((text) => text.includes("nodeId"))!);
  assertEquals([device.nodeId, device.labels], ["b", ["attic"]]);
  assertEquals(a.network.state.get("seen"), 1, "what the model has kept is on every device");
});

Deno.test("a model that an agent has heard to its end has done its task, and its speed is known", async () => {
  await using fleet = new MemoryFleet(1206);
  const engine = new ClockedEngine(fleet.clock);
  const agent = createAgent({ name: "thinker", description: "Thinks", model: "m" });
  const a = await fleet.start({ nodeId: "a", agents: [agent] });
  await fleet.start({ nodeId: "b", engines: [CLOCKED_URL] }, { platform: engine.platform });
  await fleet.advance(500);

  await fleet.wait(a.network.run("Hello", { initialAgent: "thinker" }));

  const { recentTasks } = a.network.getNetworkStatus();
  assertEquals(recentTasks.map(({ outcome }) => outcome), ["ok", "ok"]);
  assertEquals(engine.cancelled, 0);
  const [{ devices: [{ tokensPerSecond }] }] = a.network.models();
  assert(tokensPerSecond !== null);
});

Deno.test("what several agents took is told together", async () => {
  await using fleet = new MemoryFleet(1202);
  const [one, two] = ["one", "two"].map((name) =>
    createAgent({ name, description: name, model: new ScriptedModel({ text: name, ...took }) })
  );
  const a = await fleet.start({ nodeId: "a", agents: [one] });
  await fleet.start({ nodeId: "b", agents: [two] });
  await fleet.advance(500);

  const { output, usage } = await fleet.wait(
    a.network.run("Go", { router: sequentialRouter(["one", "two"]) }),
  );

  assertEquals(output, "two");
  assertEquals(usage, { inputTokens: 20, outputTokens: 6, modelCalls: 2 });
});

Deno.test("in a thread a model knows what was said before, on whatever device", async () => {
  await using fleet = new MemoryFleet(1203);
  const model = new ScriptedModel("Hello, Ada.", "You are Ada.");
  const agent = createAgent({ name: "thinker", description: "Thinks", model });
  const a = await fleet.start({ nodeId: "a" });
  await fleet.start({ nodeId: "b", agents: [agent] });
  await fleet.advance(500);
  const run = (prompt: string) =>
    fleet.wait(a.network.run(prompt, { initialAgent: "thinker", thread: "t" }));

  await run("I am Ada.");
  await run("Who am I?");

  assertEquals(model.asked[1].messages, [
    { role: "user", content: "I am Ada." },
    { role: "assistant", content: "Hello, Ada." },
    { role: "user", content: "Who am I?" },
  ]);
});

Deno.test("a model that no node has is said so", async () => {
  await using fleet = new MemoryFleet(1204);
  const { network } = await fleet.start({ nodeId: "a", assistantModel: "gpt-9" });

  const error = await fleet.wait(
    network.run("Hello", { initialAgent: "assistant" }).catch((thrown) => thrown),
  );

  assertStringIncludes(error.message, 'model "gpt-9"');
  assertStringIncludes(error.message, "no device of the network has it");
});

Deno.test("a tool that the owner of a device has not allowed is refused there, with how to allow it", async () => {
  await using fleet = new MemoryFleet(1205);
  const agent = createAgent({
    name: "reader",
    description: "",
    model: new ScriptedModel("never"),
    tools: ["http_request"],
  });
  const { network } = await fleet.start({ nodeId: "a", agents: [agent] });

  const error = await fleet.wait(
    network.run("Read", { initialAgent: "reader" }).catch((thrown) => thrown),
  );

  assertStringIncludes(error.message, 'Cannot use tool "http_request" on node "a"');
  assertStringIncludes(error.message, "--allow-host HOST");
});
