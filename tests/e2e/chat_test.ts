/** `chat` as a process of its own: with a model on another device, and a person who has heard enough. */

import { assertEquals } from "@std/assert";
import { deadline } from "../support/deadline.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { peerEvent, programArgs, ready, TestMachine } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("a conversation streams from a model on another device, and Ctrl-C stops the engine there", async () => {
  await using engine = await new OpenAiEngine({
    models: [testModel("llama3.2")],
    reply: ({ messages }) => ({ text: `answer ${messages.length}` }),
  }).start();
  await withTempDir(async (directory) => {
    const machine = new TestMachine(directory);
    await using a = machine.up("A");
    await using b = machine.up("B", `--engine=${engine.url}/v1`);
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    await eventually(
      async () => (await machine.askJson<unknown[]>("A", "models")).length === 1,
      { what: "the model of B", timeoutMs: 15_000 },
    );
    const args = programArgs("chat", "--model=llama3.2", "--node-id=A", `--data-dir=${directory}`);
    await using chat = new Deno.Command(Deno.execPath(), {
      args,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const typed = chat.stdin.getWriter();
    const said = chat.stdout.pipeThrough(new TextDecoderStream()).getReader();
    using limit = deadline(15_000);
    const until = async (end: string) => {
      let text = "";
      while (!text.endsWith(end)) {
        const read = await limit.race(said.read());
        if (!read?.value) throw new Error(`"${end}" did not come, but ${JSON.stringify(text)}.`);
        text += read.value;
      }
      return text;
    };
    await typed.write(new TextEncoder().encode("hello\n"));
    assertEquals(await until("\n"), "answer 1\n");
    await typed.write(new TextEncoder().encode("and?\n"));
    assertEquals(await until("\n"), "answer 3\n");
    engine.fault = { type: "stall", afterTokens: 1 };
    await typed.write(new TextEncoder().encode("more\n"));
    await until("answer");
    chat.kill("SIGINT");
    assertEquals(await engine.asked("/v1/chat/completions").at(-1)!.outcome, "cancelled");
    assertEquals((await chat.status).code, 1);
    await said.cancel();
    await typed.close().catch(() => {});
  });
});
