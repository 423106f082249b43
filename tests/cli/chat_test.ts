/** `chat`: a conversation in the terminal, and one that a program leads. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import type { ChatEvent, ChatQuestion, ChatTarget } from "../../src/cli/chat_partner.ts";
import { ChatSession } from "../../src/cli/chat_session.ts";
import { typedMessages } from "../../src/cli/typed_messages.ts";
import { commandLine } from "../support/command_line.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel, type TestPrompt, type TestReply } from "../support/engines/test_model.ts";
import { eventually } from "../support/eventually.ts";
import { LocalNode } from "../support/local_node.ts";
import { soon } from "../support/soon.ts";
import { withTempDir } from "../support/temp.ts";

/** A line of text that the test types, as long as it has not ended it. */
function typist() {
  const { readable, writable } = new TransformStream<string, string>();
  const writer = writable.getWriter();
  return {
    lines: readable,
    type: (...lines: string[]) => {
      for (const line of lines) void writer.write(line);
    },
    end: () => void writer.close(),
  };
}

/** A conversation at a terminal, with a partner that the test plays. */
function atTerminal(
  answer: (question: ChatQuestion, signal: AbortSignal) => AsyncGenerator<ChatEvent, void, void>,
) {
  let [stdout, stderr] = ["", ""];
  const asked: (ChatQuestion & { target: ChatTarget })[] = [];
  const session = new ChatSession({
    terminal: {
      json: false,
      write: (text) => void (stdout += text),
      line: (text = "") => void (stdout += `${text}\n`),
      error: (text) => void (stderr += `${text}\n`),
      value: () => {},
      style: (style, text) => style === "dim" ? `(${text})` : text,
    },
    isInteractive: true,
    target: { kind: "agent", name: "assistant" },
    thread: "trip",
    ask: (target, question, signal) => {
      asked.push({ target, ...question, turns: [...question.turns] });
      return answer(question, signal);
    },
    names: (kind) => Promise.resolve(kind === "model" ? ["llama3.2"] : ["assistant", "dice"]),
  });
  const { lines, type, end } = typist();
  return { session, asked, type, end, done: session.run(lines), shown: () => ({ stdout, stderr }) };
}

async function* says(output: string): AsyncGenerator<ChatEvent, void, void> {
  yield { type: "answer", from: "assistant", nodeId: "b", taskId: "01", output };
}

Deno.test("an answer is shown as it is made, what tools do beside it, and nothing that a terminal obeys", async () => {
  const chat = atTerminal(async function* () {
    yield { type: "thought", text: "hm" };
    yield { type: "thought", text: "hm" };
    yield { type: "token", text: "It is \x1b[31m" };
    yield {
      type: "tool-call",
      callId: "1",
      tool: "calculator",
      arguments: { expression: "6 * 7\x1b[2J" },
    };
    yield { type: "tool-call", callId: "2", tool: "calculator", arguments: null };
    yield { type: "tool-error", callId: "2", tool: "calculator", reason: "it is\x1b[2J asleep" };
    yield { type: "tool-result", callId: "1", tool: "calculator", result: "42" };
    yield { type: "token", text: "42." };
    yield { type: "answer", from: "assistant", nodeId: "b", taskId: "01", output: "It is 42." };
  });
  chat.type("6 * 7?");
  chat.end();
  assertEquals(await soon(chat.done, "the end"), true);
  assertEquals(chat.shown(), {
    stdout: "assistant> It is [31m\n42.\nassistant> ",
    stderr: [
      "(thinking …)",
      '(calculator {"expression":"6 * 7\\u001b[2J"})',
      "(calculator #2 null)",
      "(calculator #2 failed: it is[2J asleep)",
      '(calculator → "42")',
      "(assistant on b)",
      "",
    ].join("\n"),
  });
});

Deno.test("commands change who is asked, and what was said goes along until it is begun anew", async () => {
  const chat = atTerminal(({ message }) => says(`You said ${message}`));
  chat.type(
    "/agent",
    "/agent nobody",
    "/model llama3.2",
    "hello",
    "/new",
    "one",
    "/model llama3.2",
  );
  chat.type("two", "/new", "/agent dice", "three", "/nonsense", "  ", "/exit", "never");
  assertEquals(await soon(chat.done, "the end"), true);
  assertEquals(
    chat.asked.map(({ target, message, thread, turns }) => [
      `${target.kind} ${target.name}`,
      message,
      thread,
      turns.map(({ content }) => content),
    ]),
    [
      ["agent assistant", "hello", "trip", []],
      ["agent assistant", "one", undefined, []],
      ["model llama3.2", "two", undefined, ["one", "You said one"]],
      ["agent dice", "three", undefined, []],
    ],
  );
  const { stderr } = chat.shown();
  for (
    const text of [
      "There are: assistant, dice. Choose: /agent NAME",
      'No node has agent "nobody". There are: assistant, dice.',
      "Threads keep what agents are asked. Leave this one first: /new",
      "What was said stays in thread trip",
      "There is no command /nonsense.",
      "/exit          leave, as Ctrl-D does",
    ]
  ) assertStringIncludes(stderr, text);
});

Deno.test("Ctrl-C stops an answer, and the next one leaves; after a message it is counted anew", async () => {
  let begun = Promise.withResolvers<void>();
  const chat = atTerminal(async function* ({ message }, signal) {
    if (message === "quick") return yield* says("done");
    yield { type: "token", text: "so far" };
    begun.resolve();
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new NetworkError("CANCELLED", "stopped")));
    });
  });
  const isAsked = (times: number) =>
    eventually(() => chat.shown().stdout.split("assistant> ").length > times, { what: "a prompt" });
  chat.type("slow");
  await soon(begun.promise, "the first word");
  chat.session.interrupt();
  await isAsked(2);
  assertStringIncludes(chat.shown().stderr, "Stopped.");

  chat.type("quick");
  await isAsked(3);
  chat.session.interrupt();
  assertStringIncludes(chat.shown().stderr, "Ctrl-C once more, Ctrl-D or /exit leaves.");
  chat.type("quick");
  await isAsked(5);
  assertEquals(chat.session.left.aborted, false);

  begun = Promise.withResolvers();
  chat.type("slow");
  await soon(begun.promise, "the first word");
  chat.session.interrupt();
  chat.session.interrupt();
  await soon(chat.done, "the end");
  assertEquals(chat.asked[1].turns, []);
  assertEquals(chat.asked[3].turns.length, 4);
});

Deno.test("that an answer was stopped stands in a line of its own, behind the key that the terminal shows", async () => {
  for (const said of ["", "so far"]) {
    const begun = Promise.withResolvers<void>();
    const chat = atTerminal(async function* (_question, signal) {
      if (said !== "") yield { type: "token", text: said };
      begun.resolve();
      await new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new NetworkError("CANCELLED", "stopped")));
      });
    });
    chat.type("slow");
    await soon(begun.promise, "the question");
    const before = chat.shown().stderr.length;
    chat.session.interrupt();
    chat.session.interrupt();
    await soon(chat.done, "the end");

    const { stdout, stderr } = chat.shown();
    assertEquals(stderr.slice(before), `${said === "" ? "\n" : ""}(Stopped.)\n`);
    assertEquals(stdout.includes("so far\n"), said !== "");
  }
});

Deno.test("a line that a terminal may have cut is told of", async () => {
  const clock = new ManualClock();
  const { lines, type, end } = typist();
  let cuts = 0;
  const typed = typedMessages(lines, { clock, onPaste: () => {}, onCut: () => void cuts++ });
  const messages = Array.fromAsync(typed);
  for (
    const [line, count] of [["x".repeat(4_094), 0], ["ä".repeat(2_047) + "\ufffd", 1]] as const
  ) {
    type(line);
    await clock.advance(30);
    assertEquals(cuts, count);
  }
  end();
  assertEquals((await messages).length, 2);
});

Deno.test("lines that are pasted at once are one message with the line that is sent after them", async () => {
  const clock = new ManualClock();
  const { lines, type, end } = typist();
  let pastes = 0;
  const typed = typedMessages(lines, {
    clock,
    onPaste: () => void pastes++,
    onCut: () => {},
  });
  const messages = typed[Symbol.asyncIterator]();
  const next = async () => (await soon(messages.next(), "a message")).value;
  type("one");
  const first = next();
  await clock.advance(30);
  assertEquals(await first, "one");
  type("a", "b");
  const second = next();
  await clock.advance(30);
  assertEquals(pastes, 1);
  type("c");
  await clock.advance(30);
  assertEquals(await second, "a\nb\nc");
  type("taken", "back");
  const third = next();
  await clock.advance(30);
  typed.drop();
  type("d");
  await clock.advance(30);
  assertEquals([await third, pastes], ["d", 2]);
  type("last", "words");
  await clock.advance(10);
  end();
  assertEquals(await next(), "last\nwords");
  assertEquals(await next(), undefined);
});

/** What the model says: it calculates where it can, once, and else counts what it was told. */
function reply({ messages, tools }: TestPrompt): TestReply {
  const last = messages.at(-1)!;
  if (last.role === "tool") return { text: `It is ${last.text}.` };
  if (tools.includes("calculator") && last.text.includes("*")) {
    return { toolCalls: [{ name: "calculator", arguments: { expression: "6 * 7" } }] };
  }
  return { text: `${messages.filter(({ role }) => role !== "system").length}: ${last.text}` };
}

const echo = createAgent({
  name: "echo",
  description: "",
  run: ({ prompt, context, state }) => {
    if (prompt === "fail") throw new Error("as it was asked");
    return JSON.stringify([prompt, context, state.messages.length]);
  },
});

Deno.test("a program gives one message a line, and gets the answers plainly, or each event", async () => {
  await withTempDir(async (dataDirectory) => {
    await using engine = await new OpenAiEngine({ models: [testModel("llama3.2")], reply }).start();
    await using node = await LocalNode.start({
      nodeId: "a",
      dataDirectory,
      engines: [engine.url],
      agents: [echo],
    });
    await eventually(() => node.network.models().length === 1, { what: "its model" });
    const chat = (stdin: string, ...args: string[]) =>
      commandLine(["chat", ...args, `--data-dir=${dataDirectory}`], stdin);

    assertEquals(await chat("\n6 * 7?\n\n"), { code: 0, stdout: "It is 42.\n", stderr: "" });
    const model = await chat("one\r\n/exit\ntwo", "--model=llama3.2", "--system=Be brief.");
    assertEquals([model.code, model.stdout], [0, "1: one\n3: /exit\n5: two\n"]);
    const [system] = engine.asked("/v1/chat/completions").at(-1)!.body.messages;
    assertEquals(system, { role: "system", content: "Be brief." });

    const spoken = await chat("one\ntwo\n", "--agent=echo", "--node=a");
    assertEquals(
      spoken.stdout.split("\n").slice(0, 2).map((line) => JSON.parse(line).slice(0, 2)),
      [
        ["one", ""],
        ["two", `user: one\n\nassistant: ["one","",1]`],
      ],
    );
    for (const count of [1, 3]) {
      const kept = await chat("kept\n", "--agent=echo", "--thread=talk");
      assertEquals(JSON.parse(kept.stdout), ["kept", "", count]);
    }
    assertEquals(node.network.thread("talk").messages.length, 4);

    const events = await chat("6 * 7?\n", "--json");
    const types = events.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
    assertEquals([types[0], types.at(-1)], ["routed", "answer"]);
    assertEquals(types.includes("tool-call") && types.includes("token"), true);

    const failed = await chat("fail\nwell\n", "--agent=echo", "--json");
    assertEquals(failed.code, 1);
    assertMatch(failed.stdout, /^\{"error":\{"code":"AGENT_FAILED","message":.*as it was asked/m);
    assertStringIncludes(failed.stdout, "well");
  });
});

Deno.test("without a model it is said what to start, and what cannot be meant is wrong usage", async () => {
  await withTempDir(async (dataDirectory) => {
    await using _ = await LocalNode.start({ nodeId: "a", dataDirectory });
    const chat = (...args: string[]) =>
      commandLine(["chat", ...args, `--data-dir=${dataDirectory}`]);
    const none = await chat();
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, 'Cannot talk to agent "assistant": no device of the network');
    assertStringIncludes(none.stderr, "Ollama");
    const nobody = await chat("--agent=nobody");
    assertStringIncludes(nobody.stderr, "There are: assistant, calculator, monitor.");
    for (
      const args of [
        ["hello"],
        ["--agent=a", "--model=b"],
        ["--model=b", "--thread=c"],
        ["--system=x"],
      ]
    ) assertEquals((await chat(...args)).code, 2);
  });
});
