/** `run --model` and `models`, on a real node with an engine of the test's. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NodeClient } from "../../src/cli/node_client.ts";
import { commandLine } from "../support/command_line.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { LocalNode } from "../support/local_node.ts";
import { withTempDir } from "../support/temp.ts";

/** A node with an engine that says again what it is told. */
async function withNode(
  test: (
    run: (...args: string[]) => ReturnType<typeof commandLine>,
    engine: OpenAiEngine,
    node: LocalNode,
  ) => Promise<void>,
): Promise<void> {
  await withTempDir(async (dataDirectory) => {
    await using engine = await new OpenAiEngine({
      models: [testModel("llama3.2:3b"), testModel("other")],
      reply: ({ messages }) => ({
        text: messages.map(({ role, text }) => `${role}: ${text}`).join("; "),
      }),
    }).start();
    await using node = await LocalNode.start({
      nodeId: "a",
      dataDirectory,
      engines: [engine.url],
      modelAliases: { fast: ["gone", "other", "llama3.2:3b"], lost: "gone" },
    });
    await eventually(() => node.network.models().length === 2 || undefined, { what: "its models" });
    const run = (...args: string[]) => commandLine([...args, `--data-dir=${dataDirectory}`]);
    await test(run, engine, node);
  });
}

Deno.test("run --model asks a model for what it says, on which node, and in what time", () =>
  withNode(async (run, engine) => {
    const { code, stdout, stderr } = await run("run", "Say", "hello", "--model", "llama3");
    assertEquals([code, stdout], [0, "user: Say hello\n"]);
    assertMatch(
      stderr,
      /^llama3\.2:3b on a in \S+ m?s, the first word after \S+ m?s, 3 tokens\n$/,
    );
    const [{ body }] = engine.asked("/v1/chat/completions");
    assertEquals([body.model, body.stream], ["llama3.2:3b", true]);

    const json = await run("run", "Say hello", "--model=nobody, other", "--node=a", "--json");
    const { durationMs, firstTokenMs, taskId, ...value } = JSON.parse(json.stdout);
    assertEquals(value, {
      model: "other",
      nodeId: "a",
      output: "user: Say hello",
      finishReason: "stop",
      tokens: 3,
    });
    assert(taskId.length === 26 && durationMs >= firstTokenMs);

    // What was asked is known by its model, and what was measured is shown.
    const tasks = await run("tasks");
    assertMatch(tasks.stdout, / model other +ok, /);
    assert(!tasks.stdout.includes("hanzo.model"));
    const models = await run("models");
    assertMatch(models.stdout, /^MODEL .* ENGINE +FIRST TOKEN +TOKENS\/S *\n/);
    assertMatch(models.stdout, /\nother .* vllm +[\d.]+ ms +/);
  }));

Deno.test("models shows the node's other names for them, and which mean nothing now", () =>
  withNode(async (run) => {
    const { stdout } = await run("models");
    assertMatch(
      stdout,
      /\n\nALIAS +MEANS\nfast +other, llama3\.2:3b\nlost +no model now\n$/,
    );
    const models: { name: string; aliases: string[] }[] = JSON.parse(
      (await run("models", "--json")).stdout,
    );
    assertEquals(models.map(({ name, aliases }) => [name, aliases]), [
      ["llama3.2:3b", ["fast"]],
      ["other", ["fast"]],
    ]);
  }));

Deno.test("run --model tells what is wrong, and what --model does not go with", () =>
  withNode(async (run, engine) => {
    const none = await run("run", "hi", "--model", "nobody", "--json");
    assertEquals(none.code, 1);
    assertEquals(JSON.parse(none.stdout).error.code, "NOT_FOUND");
    assertStringIncludes(none.stderr, 'Cannot ask model "nobody": no device of the network has it');
    assertStringIncludes(none.stderr, "There are: llama3.2:3b, other.");
    const nowhere = await run("run", "hi", "--model", "other", "--node", "z");
    assertMatch(nowhere.stderr, /Cannot ask model "other" on "z": no such node is here now/);

    engine.nextFaults.push({ type: "drop", afterTokens: 1 });
    const broken = await run("run", "hi there", "--model", "other");
    assertEquals([broken.code, broken.stdout], [1, "user:\n"]);
    assertStringIncludes(broken.stderr, "its answer");
    engine.nextFaults.push({ type: "fail", status: 400, message: "temperature is too high" });
    const wrong = await run("run", "hi", "--model", "other", "--json");
    assertEquals(JSON.parse(wrong.stdout).error, {
      code: "INVALID_ARGUMENT",
      message: "temperature is too high",
    });

    for (const option of ["--all", "--gpu", "--near=b", "--hedge=1", "--label=x", "--explain"]) {
      const { code, stderr } = await run("run", "hi", "--model", "other", option);
      assertEquals(code, 2, option);
      assertStringIncludes(stderr, `${option.split("=")[0]} is for agents`);
    }
    const empty = await run("run", "--model", "other");
    assertEquals(empty.code, 2);
    assertStringIncludes(empty.stderr, "Say what to ask");
    // With an agent it says what its device must have.
    const agent = await run("run", "1+1", "--agent", "calculator", "--model", "other");
    assertEquals([agent.code, agent.stdout], [0, "2\n"]);
  }));

Deno.test("what goes with the prompt is said before it, and no escape sequence of a model is run", () =>
  withNode(async (run, engine) => {
    engine.reply = ({ messages }) => ({ text: `\u001b[2J${messages.map(({ role }) => role)}` });
    const { stdout } = await commandLineWith(run, "a document");
    assertEquals(stdout, "[2Jsystem,user\n");
    const [{ body }] = engine.asked("/v1/chat/completions");
    assertEquals(body.messages[0], { role: "system", content: "a document" });
  }));

async function commandLineWith(
  run: (...args: string[]) => ReturnType<typeof commandLine>,
  context: string,
) {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, context);
    return await run("run", "hi", "--model=other", `--context=${file}`);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("a call that is interrupted, or takes too long, stops the engine", () =>
  withNode(async (run, engine, { gateway, token }) => {
    engine.fault = { type: "stall", afterTokens: 1 };
    const late = await run("run", "hi there", "--model", "other", "--timeout", "1");
    assertEquals([late.code, late.stdout], [1, "user:\n"]);
    assertStringIncludes(late.stderr, "it has not answered within 1 s");
    assertEquals(await engine.asked("/v1/chat/completions")[0].outcome, "cancelled");

    const controller = new AbortController();
    const client = new NodeClient({ api: gateway.url, token });
    const { pieces } = await client.streamChat(
      { model: "other", messages: [{ role: "user", content: "hi" }], stream: true },
      { timeoutMs: 60_000, signal: controller.signal },
    );
    await pieces.next();
    controller.abort();
    const error = await Array.fromAsync(pieces).then(() => undefined, (thrown) => thrown);
    assertEquals(error.code, "CANCELLED");
    assertEquals(await engine.asked("/v1/chat/completions")[1].outcome, "cancelled");
  }));
