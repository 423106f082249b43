/** Runs in threads on one node: what is kept, what is given back, and what is refused. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type AgentRun, createAgent } from "../../../src/agents/agent.ts";
import { createNetwork } from "../../../src/agents/networks/agent_network.ts";
import type { RunEvent } from "../../../src/agents/run_event.ts";
import type { JsonValue } from "../../../src/base/bounded_json.ts";
import { type ErrorCode, NetworkError } from "../../../src/base/errors.ts";
import type { RoutedRunOptions, RunOptions } from "../../../src/network/run_options.ts";
import { MemoryFleet, type MemoryNode } from "../../support/memory_fleet.ts";
import { heldAgent } from "../../support/task_rig.ts";

type AnyRun = RunOptions | RoutedRunOptions;

const agentOf = (name: string, run: AgentRun, idempotent = true) =>
  createAgent({ name, description: "", run, idempotent });

/** Fails as long as the test wants it to. */
function moody() {
  const mood = { fails: true, runs: 0 };
  const agent = agentOf("moody", ({ state }) => {
    mood.runs++;
    state.data.set("mood", "lost, when it fails");
    if (mood.fails) throw new Error("not today");
    return "fine";
  });
  return { agent, mood };
}

async function pass(fleet: MemoryFleet, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) await fleet.advance(10);
}

/** One node, and the two ways in which a run on it ends. */
async function nodeOf(
  fleet: MemoryFleet,
  ...agents: Parameters<typeof createNetwork>[0]["agents"]
) {
  const node: MemoryNode = await fleet.start({ nodeId: "a", agents: agents as never });
  const { network } = node;
  const run = (prompt: string | undefined, options: AnyRun) =>
    fleet.wait(network.run(prompt, options));
  const fails = async (
    code: ErrorCode,
    says: string,
    prompt: string | undefined,
    options: AnyRun,
  ) => {
    const error = await run(prompt, options).then(
      () => Promise.reject(new Error("It should have failed.")),
      (thrown) => thrown,
    );
    assert(error instanceof NetworkError, String(error));
    assertStringIncludes(error.message, says);
    assertEquals(error.code, code);
  };
  return { network, run, fails };
}

const contents = (messages: readonly { content: string }[]) =>
  messages.map(({ content }) => content);

Deno.test("what routers, hooks and agents say and set is kept, each where it was said", async () => {
  await using fleet = new MemoryFleet(1801);
  const { agent, mood } = moody();
  const speaker = agentOf("speaker", ({ state }) => {
    state.addMessage({ role: "system", content: "speaker notes" });
    state.data.set("spoken", true);
    state.data.delete("given");
    return { output: "spoken", data: { of: "speaker" } };
  });
  const { network, run, fails } = await nodeOf(fleet, speaker, agent);
  const started: string[] = [];
  const options: RoutedRunOptions & { thread: string } = {
    thread: "t",
    data: { given: 1, kept: 2 },
    hooks: {
      onStart: ({ prompt, state }) => {
        started.push(prompt);
        state.addMessage({ role: "system", content: "hook begins" });
        return `${prompt}!`;
      },
      onResponse: ({ state, step }) => state.data.set(`step ${step}`, true),
      onFinish: ({ state }) => state.addMessage({ role: "system", content: "hook ends" }),
    },
    router: ({ callCount, state }) => {
      if (callCount === 1) state.addMessage({ role: "system", content: "router chooses" });
      return ["speaker", "moody"][callCount];
    },
  };
  await fails("AGENT_FAILED", "not today", "Go", options);
  const thread = network.thread("t");
  assertEquals(contents(thread.messages), [
    "hook begins",
    "Go!",
    "speaker notes",
    "spoken",
    "router chooses",
  ]);
  assertEquals([...thread.data], [["kept", 2], ["spoken", true], ["step 1", true]]);
  assertEquals(thread.agentResults[0].data, { of: "speaker" });
  assertEquals(thread.unfinished?.prompt, "Go");

  mood.fails = false;
  const result = await run("Go", options);
  assertEquals([result.output, result.attempts, mood.runs], ["fine", 1, 2]);
  // The hook began it once; what the router says it says again.
  assertEquals(started, ["Go"]);
  assertEquals(contents(thread.messages).slice(4), [
    "router chooses",
    "router chooses",
    "fine",
    "hook ends",
  ]);
  assertEquals(thread.data.get("mood"), "lost, when it fails");
  assertEquals(thread.data.has("given"), false);
  assertEquals(thread.unfinished, undefined);
});

Deno.test("a resumed run counts the steps that it had, and tells only those that it makes", async () => {
  await using fleet = new MemoryFleet(1802);
  const { agent, mood } = moody();
  const tick = agentOf("tick", () => "tick");
  const { network, fails } = await nodeOf(fleet, tick, agent);
  const options = {
    thread: "t",
    maxIterations: 3,
    router: ({ callCount }: { callCount: number }) => callCount === 1 ? "moody" : "tick",
  };
  await fails("AGENT_FAILED", "Step 2", "Go", options);
  mood.fails = false;
  const events: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of network.stream(undefined, options)) events.push(event);
  })();
  await fleet.wait(reading);
  const steps = events.flatMap((event) => event.type === "step" ? [event.step] : []);
  assertEquals(steps, [2, 3]);
  const last = events.at(-1)!;
  assert(last.type === "result" && "stoppedBy" in last.result);
  assertEquals(last.result.stoppedBy, "limit");
  // Another prompt is another run, even where the last one broke off.
  mood.fails = true;
  await fails("AGENT_FAILED", "Step 2", "Again", options);
  await fails("AGENT_FAILED", "Step 2", "Something else", options);
  assertEquals(network.thread("t").unfinished?.prompt, "Something else");
});

Deno.test("an agent that has answered is not asked again, even where what comes after it fails", async () => {
  await using fleet = new MemoryFleet(1810);
  let runs = 0;
  const once = agentOf("once", () => String(++runs), false);
  const { run, fails } = await nodeOf(fleet, once);
  let isBroken = true;
  const options = {
    thread: "t",
    router: ({ callCount }: { callCount: number }) => {
      if (callCount === 1 && isBroken) throw new Error("lost the way");
      return callCount === 0 ? "once" : undefined;
    },
  };
  await fails("AGENT_FAILED", "lost the way", "Go", options);
  isBroken = false;
  const result = await run("Go", options);
  assertEquals([result.output, runs], ["1", 1]);
});

Deno.test("the text beside the prompt comes back, and one that was too long has to be given again", async () => {
  await using fleet = new MemoryFleet(1803);
  const { agent, mood } = moody();
  const reader = agentOf("reader", (context) => {
    if (mood.fails) throw new Error("not today");
    return `read ${context.context.length}`;
  });
  const { network, run, fails } = await nodeOf(fleet, reader, agent);
  const asked = { thread: "t", initialAgent: "reader" };
  for (const length of [1_000, 2_000_000]) {
    mood.fails = true;
    const context = "x".repeat(length);
    await fails("AGENT_FAILED", "not today", `Read ${length}`, { ...asked, context });
    mood.fails = false;
    if (length > 1_000) {
      await fails("INVALID_ARGUMENT", "Give it again as the context", undefined, asked);
      assertEquals((await run(undefined, { ...asked, context })).output, `read ${length}`);
    } else assertEquals((await run(undefined, asked)).output, `read ${length}`);
  }
  assertEquals(network.state.keys("threads/t/context/"), []);
});

Deno.test("an answer longer than a value may be is kept, and found by the next run", async () => {
  await using fleet = new MemoryFleet(1804);
  const long = agentOf("long", ({ state }) => {
    const before = state.agentResults.at(-1)?.output.length ?? 0;
    return before > 0 ? `${before} before` : "ü".repeat(900_000);
  });
  const { network, run } = await nodeOf(fleet, long);
  await run("Go", { thread: "t", initialAgent: "long" });
  assertEquals(network.thread("t").messages[1].content.length, 900_000);
  // More than is handed on: the newest that fits, which is nothing.
  const { output } = await run("Go", { thread: "t", initialAgent: "long" });
  assertEquals(output.length, 900_000);
  await network.thread("t").delete();
  await run("x".repeat(1_500_000), { thread: "t", initialAgent: "long" });
  assertEquals(network.thread("t").messages[0].content.length, 1_500_000);
});

Deno.test("an answer that cannot be kept fails the run, and its agent is not simply asked again", async () => {
  await using fleet = new MemoryFleet(1805);
  let runs = 0;
  const wordy = agentOf("wordy", ({ state }) => {
    runs++;
    state.data.set("k".repeat(500), 1);
    return "done";
  }, false);
  const { network, fails } = await nodeOf(fleet, wordy);
  const asked = { thread: "t", initialAgent: "wordy" };
  const says = 'Agent "wordy" has answered, and its answer cannot be kept in thread "t"';
  await fails("RESOURCE_EXHAUSTED", says, "Go", asked);
  assertEquals(contents(network.thread("t").messages), ["Go"]);
  await fails("UNKNOWN_OUTCOME", 'agent "wordy" was under way', "Go", asked);
  assertEquals(runs, 1);
});

Deno.test("a thread that is deleted stops the run in it before the next agent", async () => {
  await using fleet = new MemoryFleet(1806);
  const held = heldAgent();
  const { network } = await nodeOf(
    fleet,
    createNetwork({
      name: "press",
      agents: [held.agent, agentOf("next", () => "too far")],
    }),
  );
  const running = network.run("Go", { thread: "t", initialAgent: "press" });
  running.catch(() => {});
  await pass(fleet, 50);
  assertEquals(network.thread("t").unfinished?.isUnderWay, true);
  assertEquals(await fleet.wait(network.thread("t").delete()), true);
  held.runs[0].answer("done");
  const error = await fleet.wait(running.catch((thrown) => thrown));
  assert(error.message.startsWith('The run in thread "t" was stopped here:'), error.message);
  assertStringIncludes(error.message, "or the thread was deleted");
  assertEquals([network.listThreads(), network.state.keys()], [[], []]);
  assertEquals(await network.thread("t").delete(), false);
});

Deno.test("a run whose end could not be noted is not under way for ever", async () => {
  await using fleet = new MemoryFleet(1809);
  const { agent, mood } = moody();
  const { network, run, fails } = await nodeOf(fleet, agent);
  await fails("AGENT_FAILED", "not today", "Go", { thread: "t", initialAgent: "moody" });
  const [[key, value]] = network.state.entries("threads/t/run/");
  const { failure, ...record } = value as { [name: string]: JsonValue };
  assertStringIncludes(String(failure), "not today");
  await fleet.wait(network.state.set(key, record));
  assertEquals(network.thread("t").unfinished?.isUnderWay, false);
  mood.fails = false;
  assertEquals((await run("Go", { thread: "t", initialAgent: "moody" })).output, "fine");
});

Deno.test("people write in a thread, and other members may write nonsense there", async () => {
  await using fleet = new MemoryFleet(1807);
  const echo = agentOf("echo", ({ state }) => contents(state.messages).join("|"));
  const { network, run } = await nodeOf(fleet, echo);
  const thread = network.thread("a/b");
  await fleet.wait(thread.addMessage({ role: "system", content: "be brief" }));
  await fleet.wait(thread.data.set("__proto__", { x: 1 }));
  await fleet.wait(network.state.append("threads/a%2fb/log", "nonsense", { run: 1 }));
  await fleet.wait(network.state.set("threads/a%2fb/run/x", { nodeId: "../" }));
  await fleet.wait(network.state.set("threads/broken/log", 7));
  const asked = { thread: "a/b", initialAgent: "echo" };
  assertEquals((await run("Go", asked)).output, "be brief|Go");
  assertEquals([...thread.data], [["__proto__", { x: 1 }]]);
  assertEquals(network.listThreads().map(({ name, messages }) => [name, messages]), [
    ["a/b", 3],
    ["broken", 0],
  ]);
  const wrong = { role: "king", content: "" } as never;
  const error = await thread.addMessage(wrong).catch((thrown) => thrown);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertThrows(() => network.thread(""), NetworkError, "its name is empty");
});

Deno.test("what cannot be is told before anything is kept", async () => {
  await using fleet = new MemoryFleet(1808);
  const { network, fails } = await nodeOf(fleet, agentOf("one", () => "1"));
  await fails("INVALID_ARGUMENT", "its name is empty", "Go", { thread: "", initialAgent: "one" });
  await fails("NOT_FOUND", 'agent "two"', "Go", { thread: "t", initialAgent: "two" });
  await fails("INVALID_ARGUMENT", "timeoutMs is 0", "Go", { thread: "t", timeoutMs: 0 });
  await fails("INVALID_ARGUMENT", "prompt is of the type number", 7 as never, { thread: "t" });
  await fails("INVALID_ARGUMENT", "prompt is of the type undefined", undefined, {});
  await fails("NOT_FOUND", "no run in it", undefined, { thread: "t" });
  assertEquals(network.state.keys(), []);
});
