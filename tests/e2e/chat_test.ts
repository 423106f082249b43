/** `chat` as a process of its own: with a model on another device, and a person who has heard enough. */

import { assertEquals } from "@std/assert";
import type { ThreadBody } from "../../src/gateway/thread_routes.ts";
import { deadline } from "../support/deadline.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { peerEvent, programArgs, ready, TestMachine } from "../support/nodes.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

/** What is typed into a process, and what it says. */
class Talk implements AsyncDisposable {
  readonly #typed: WritableStreamDefaultWriter<Uint8Array>;
  readonly #said: ReadableStreamDefaultReader<string>;
  readonly #limit = deadline(15_000);
  #text = "";

  constructor({ stdin, stdout }: Deno.ChildProcess) {
    this.#typed = stdin.getWriter();
    this.#said = stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async type(text: string): Promise<void> {
    await this.#typed.write(new TextEncoder().encode(text));
  }

  /** What it has said since the last time, up to the next place where that stands. */
  async until(end: string): Promise<string> {
    while (!this.#text.includes(end)) {
      const read = await this.#limit.race(this.#said.read());
      if (!read?.value) {
        throw new Error(`"${end}" did not come, but ${JSON.stringify(this.#text)}.`);
      }
      this.#text += read.value;
    }
    const at = this.#text.indexOf(end) + end.length;
    const text = this.#text.slice(0, at);
    this.#text = this.#text.slice(at);
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#limit[Symbol.dispose]();
    await this.#said.cancel();
    await this.#typed.close().catch(() => {});
  }
}

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
    await using talk = new Talk(chat);
    await talk.type("hello\n");
    assertEquals(await talk.until("\n"), "answer 1\n");
    await talk.type("and?\n");
    assertEquals(await talk.until("\n"), "answer 3\n");
    engine.fault = { type: "stall", afterTokens: 1 };
    await talk.type("more\n");
    await talk.until("answer");
    chat.kill("SIGINT");
    assertEquals(await engine.asked("/v1/chat/completions").at(-1)!.outcome, "cancelled");
    assertEquals((await chat.status).code, 1);
  });
});

const ignore = skipUnless(await hasScript(), "there is no command script with -c");

Deno.test({
  name: "at a terminal Ctrl-C stops an answer, a paste is one message, and Ctrl-D leaves",
  ignore,
  fn: () =>
    withTempDir(async (directory) => {
      const agents = `${directory}/agents.ts`;
      const mod = new URL("../../mod.ts", import.meta.url);
      await Deno.writeTextFile(
        agents,
        `import { createAgent } from ${JSON.stringify(mod)};
        export const patient = createAgent({
          name: "patient",
          description: "Says what it was told, and then may wait",
          async *run({ prompt, signal }) {
            yield JSON.stringify(prompt);
            if (prompt !== "wait") return;
            await new Promise((_, fail) => signal.addEventListener("abort", () => fail("stopped")));
          },
        });`,
      );
      const machine = new TestMachine(directory);
      await using a = machine.up("A", `--agents=${agents}`);
      await ready(a);
      const program = [Deno.execPath(), ...programArgs("chat", "--agent=patient", "--thread=t")];
      const command = [...program, `--data-dir=${directory}`].map((arg) => `'${arg}'`).join(" ");
      await using chat = new Deno.Command("script", {
        // The shell in between would take Ctrl-C for its own.
        args: ["-qec", `exec ${command}`, "/dev/null"],
        env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", SHELL: "/bin/sh" },
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      await using talk = new Talk(chat);
      await talk.until("Thread t begins.");
      await talk.until("patient> ");
      await talk.type("one\ntwo\nthree");
      await talk.until("Enter sends what was pasted.");
      await talk.type("\n");
      await talk.until(JSON.stringify("one\ntwo\nthree"));
      await talk.until("patient> ");
      await talk.type("wait\n");
      await talk.until('"wait"');
      await talk.type("\x03");
      await talk.until("Stopped.");
      await talk.until("patient> ");
      await talk.type("\x04");
      assertEquals((await chat.status).code, 0);
      const { messages } = await machine.askJson<ThreadBody>("A", "threads", "show", "t");
      assertEquals(messages.map(({ content }) => content), [
        "one\ntwo\nthree",
        JSON.stringify("one\ntwo\nthree"),
        "wait",
      ]);
    }),
});

/** Whether `script` is here as Linux has it: it gives a command a terminal. */
async function hasScript(): Promise<boolean> {
  try {
    const args = ["-qec", "true", "/dev/null"];
    return (await new Deno.Command("script", { args, stdin: "null" }).output()).success;
  } catch {
    return false;
  }
}
