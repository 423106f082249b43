/** Agents on one device whose model is on another one: real processes, and engines of the test's. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { EngineServer } from "../../tests/support/engines/engine_server.ts";
import { OllamaEngine } from "../../tests/support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../../tests/support/engines/open_ai_engine.ts";
import {
  testModel,
  type TestPrompt,
  type TestReply,
} from "../../tests/support/engines/test_model.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../../tests/support/nodes.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const AGENTS = new URL("thinking_agents.ts", import.meta.url).pathname;

/** What the model says: it calls a tool where it has one, once, and tells what that said. */
function reply({ messages, tools }: TestPrompt): TestReply {
  const last = messages.at(-1)!;
  if (last.role === "tool") return { text: `That makes ${last.text} together.` };
  if (tools.includes("double")) {
    return { text: "Let me see.", toolCalls: [{ name: "double", arguments: { n: 21 } }] };
  }
  if (last.text.startsWith("Total")) return { text: '{"total": 42}' };
  return { text: "one two three four five" };
}

const options = { models: [testModel("llama3.2:latest")], reply };
const ENGINES: readonly [name: string, make: () => EngineServer, suffix: string][] = [
  ["an engine of OpenAI's protocol", () => new OpenAiEngine(options), "/v1"],
  ["Ollama", () => new OllamaEngine(options), ""],
];

for (const [name, make, suffix] of ENGINES) {
  Deno.test(`an agent here asks a model there, with tools and by schema: ${name}`, async () => {
    const engine = make();
    await using _ = engine;
    const server = engine as unknown as OpenAiEngine;
    await server.start();
    await withTempDir(async (directory) => {
      const machine = new TestMachine(directory);
      await using a = machine.up("A", `--agents=${AGENTS}`);
      await using b = machine.up("B", `--engine=${engine.url}${suffix}`);
      await Promise.all([ready(a), ready(b)]);
      await peerEvent(a, "peer-joined", "B");
      await eventually(
        async () => (await machine.askJson<unknown[]>("A", "models")).length === 1 || undefined,
        // An engine that was too slow for the first look is found by the next one.
        { what: "the model of B", timeoutMs: 20_000 },
      );
      const run = (agent: string, prompt: string) =>
        machine.askJson<RunResult>("A", "run", prompt, "--agent", agent, "--node=A");

      const doubled = await run("doubler", "Double 21");
      assertEquals([doubled.output, doubled.nodeId], ["That makes 42 together.", "A"]);
      assertEquals(doubled.usage?.modelCalls, 2);
      assertEquals((doubled.usage?.outputTokens ?? 0) > 0, true);

      assertEquals((await run("clerk", "Total?")).data, { total: 42 });

      const plain = await machine.ask("A", "run", "Hello", "--agent=assistant", "--node=A");
      assertEquals(plain.stdout, "one two three four five\n", plain.stderr);
      assertMatch(plain.stderr, /^models: 1 call, \d+ tokens read, \d+ written$/m);

      // What it says before its answer is read as it comes; the answer itself stands there once.
      const shown = await machine.ask("A", "run", "Double 21", "--agent=doubler", "--node=A");
      assertEquals(shown.stdout, "Let me see.\n\nThat makes 42 together.\n", shown.stderr);
    });
  });
}

Deno.test("who gives up a run stops the engine on the other device", async () => {
  await using engine = await new OpenAiEngine(options).start();
  engine.fault = { type: "stall", afterTokens: 2 };
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--engine=${engine.url}/v1`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    const args = ["run", "Hello", "--agent=assistant", "--node=A", "--timeout=4"];
    const { code, stdout, stderr } = await machine.ask("A", ...args);

    assertEquals([code, stdout.trim()], [1, "one two"], stderr);
    assertStringIncludes(stderr, "was not done within");
    const [asked] = engine.asked("/v1/chat/completions");
    assertEquals(await asked.outcome, "cancelled");
  });
});
