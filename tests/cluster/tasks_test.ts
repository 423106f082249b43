/** Tasks in whole networks in memory: where they run, and what becomes of them in trouble. */

import { Deadlines } from "../../src/base/deadlines.ts";
import { AT_EASE } from "../../src/device/condition.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { createAgent, describeAgent, type FunctionAgentOptions } from "../../src/agents/agent.ts";
import { createTool } from "../../src/agents/tool.ts";
import type { Requirements, Workload } from "../../src/agents/requirements.ts";
import type { RunEvent, RunResult } from "../../src/agents/run_event.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import type { CapabilityOverrides } from "../../src/device/capabilities.ts";
import { PeerLink } from "../../src/link/peer_link.ts";
import { type NodeDescription, PROTOCOL_VERSION } from "../../src/membership/node_description.ts";
import { programAgent } from "../../src/network/program_agent.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import type { Candidate } from "../../src/routing/candidate.ts";
import type { CustomRouter, RouterState } from "../../src/routing/strategy.ts";
import { RemoteBounds, runRemotely } from "../../src/tasks/remote.ts";
import { MemoryFleet, type MemoryNode } from "../support/memory_fleet.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { type HeldAgent, heldAgent, task } from "../support/task_rig.ts";

const fp16 = (tflops: number): CapabilityOverrides => ({
  flops: { fp16: tflops, fp32: tflops / 2, int8: tflops * 2 },
});

/** Nodes that all know each other. */
async function startAll(
  fleet: MemoryFleet,
  nodes: Record<string, NetworkOptions>,
): Promise<Record<string, MemoryNode>> {
  const started: Record<string, MemoryNode> = {};
  for (const [nodeId, options] of Object.entries(nodes)) {
    started[nodeId] = await fleet.start({ nodeId, ...options });
  }
  await fleet.advance(500);
  return started;
}

/**
 * `a`, which asks, and `b` and `c`, which have the agent; heavy work goes to `b` first.
 * A held agent says in its context where it runs.
 */
async function startThree(
  fleet: MemoryFleet,
  agent: Partial<FunctionAgentOptions> = {},
  slots?: number,
): Promise<{ a: MemoryNode; b: MemoryNode; c: MemoryNode; held: HeldAgent }> {
  const held = heldAgent({ workload: "heavy", ...agent });
  const { a, b, c } = await startAll(fleet, {
    a: {},
    b: { agents: [held.agent], deviceCapabilities: fp16(100), slots },
    c: { agents: [held.agent], deviceCapabilities: fp16(10), slots },
  });
  return { a, b, c, held };
}

/** What a node says of itself that no fleet has started. */
function strangersDescription(): NodeDescription {
  return {
    protocol: PROTOCOL_VERSION,
    network: "hanzo",
    nodeId: "stranger",
    bootId: "01JDAAAAAAAAAAAAAAAAAAAAAA",
    version: "0.0.0",
    listenPort: 1,
    capabilities: UNKNOWN_DEVICE,
    models: [],
    labels: [],
    condition: AT_EASE,
    agents: [],
  };
}

/** Where an agent ran. */
function placesOf({ runs }: HeldAgent): string[] {
  return runs.map(({ context }) => context.nodeId);
}

function activeOn({ network }: MemoryNode): number {
  return network.getNetworkStatus().activeTasks;
}

/** A promise that is awaited later: that it rejects before is no error of the test's. */
function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** What a promise came to, without ever rejecting. */
function outcomeOf<T>(promise: Promise<T>): Promise<T | NetworkError> {
  return promise.catch((thrown) => thrown);
}

Deno.test("heavy work runs on the server, light on the laptop, background on the Pi, wherever it is asked", async () => {
  await using fleet = new MemoryFleet(101);
  const agents = (["heavy", "light", "background"] satisfies Workload[]).map((workload) =>
    createAgent({
      name: workload,
      description: "",
      workload,
      run: ({ prompt, nodeId }) => `${prompt} on ${nodeId}`,
    })
  );
  const nodes = await startAll(fleet, {
    laptop: { agents, deviceCapabilities: { ...fp16(7), memory: 16_384 } },
    server: { agents, deviceCapabilities: { ...fp16(165), memory: 131_072 } },
    pi: { agents, deviceCapabilities: { flops: { fp32: 0.1 }, memory: 8_192 } },
  });
  for (const asker of Object.values(nodes)) {
    for (
      const [workload, place] of [["heavy", "server"], ["light", "laptop"], ["background", "pi"]]
    ) {
      const { output, nodeId, attempts } = await fleet.wait(
        asker.network.run("work", { initialAgent: workload }),
      );
      assertEquals([output, nodeId, attempts], [`work on ${place}`, place, 1]);
    }
  }
});

Deno.test("a node killed in the middle of a run: an idempotent agent that had said nothing runs elsewhere", async () => {
  await using fleet = new MemoryFleet(102);
  const { a, b, held } = await startThree(fleet);
  const running = later(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(50);
  assertEquals(placesOf(held), ["b"]);
  fleet.links.kill(b.host);
  await fleet.advance(50);
  assertEquals(placesOf(held), ["b", "c"]);
  held.runs[0].answer("from a node that everybody believes dead");
  await fleet.advance(50);
  held.runs[1].answer("done");
  const { output, nodeId, attempts } = await fleet.wait(running);
  assertEquals([output, nodeId, attempts], ["done", "c", 2]);
});

Deno.test("a program that is lost is like a device that is lost: its agent runs elsewhere, or its end is unknown", async () => {
  await using fleet = new MemoryFleet(118);
  const served = (code: ErrorCode, idempotent: boolean) =>
    programAgent(
      {
        ...describeAgent(heldAgent({ name: "far", workload: "heavy" }).agent),
        idempotent,
      },
      // deno-lint-ignore require-yield
      async function* () {
        throw new NetworkError(code, "the program was lost");
      },
    );
  const here = createAgent({ name: "far", description: "", workload: "heavy", run: () => "here" });
  const { a, d } = await startAll(fleet, {
    a: { agents: [here], deviceCapabilities: fp16(1) },
    b: { agents: [served("UNAVAILABLE", true)], deviceCapabilities: fp16(100) },
    d: { agents: [served("UNKNOWN_OUTCOME", false)] },
  });
  const { output, attempts } = await fleet.wait(a.network.run("x", { initialAgent: "far" }));
  assertEquals([output, attempts], ["here", 2]);
  for (const { network } of [a, d]) {
    const running = outcomeOf(network.run("x", { initialAgent: "far", nodeId: "d" }));
    const unknown = await fleet.wait(running);
    assert(unknown instanceof NetworkError);
    assertEquals(unknown.code, "UNKNOWN_OUTCOME");
    assertStringIncludes(unknown.message, '"far" broke off on node "d" (the program was lost)');
  }
});

Deno.test("a node killed in the middle of a run: an agent with tools leaves the outcome unknown", async () => {
  await using fleet = new MemoryFleet(103);
  const pay = createTool({ name: "pay", description: "Pays", handler: () => "paid" });
  const { a, b, held } = await startThree(fleet, { tools: [pay] });
  const running = outcomeOf(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(50);
  fleet.links.kill(b.host);
  const error = await fleet.wait(running);
  assert(error instanceof NetworkError);
  assertEquals(error.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(error.message, "not idempotent");
  await fleet.advance(20_000);
  assertEquals(placesOf(held), ["b"]);
});

Deno.test("a node killed after the first word: the caller keeps the word and learns that the rest is lost", async () => {
  await using fleet = new MemoryFleet(104);
  const poet = createAgent({
    name: "poet",
    description: "Says one word and thinks",
    run: async function* ({ signal }) {
      yield "Once";
      await new Promise((_, reject) => signal.addEventListener("abort", reject));
    },
  });
  const { a, b } = await startAll(fleet, { a: {}, b: { agents: [poet] }, c: { agents: [poet] } });
  const events: RunEvent[] = [];
  const reading = outcomeOf((async () => {
    for await (const event of a.network.stream("x")) events.push(event);
  })());
  await fleet.advance(50);
  const [routed] = events;
  assert(routed.type === "routed");
  fleet.links.kill(routed.nodeId === "b" ? b.host : "10.0.0.3");
  const error = await fleet.wait(reading);
  assert(error instanceof NetworkError);
  assertEquals(error.code, "UNKNOWN_OUTCOME");
  assertStringIncludes(error.message, "part of its answer had come already");
  assertEquals(events.map(({ type }) => type), ["routed", "started", "token"]);
});

Deno.test("an answer streams over a link piece by piece while it is made", async () => {
  await using fleet = new MemoryFleet(105);
  const next: (() => void)[] = [];
  const counter = createAgent({
    name: "counter",
    description: "Counts when it is told to",
    run: async function* () {
      for (let i = 1; i <= 3; i++) {
        await new Promise<void>((resolve) => next.push(resolve));
        yield `${i} `;
      }
    },
  });
  const { a } = await startAll(fleet, { a: {}, b: { agents: [counter] } });
  const events: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of a.network.stream("")) events.push(event);
  })();
  const words: string[][] = [];
  for (let i = 0; i < 3; i++) {
    await fleet.advance(5);
    next[i]();
    await fleet.advance(5);
    words.push(events.flatMap((event) => event.type === "token" ? [event.text] : []));
  }
  await reading;
  assertEquals(words, [["1 "], ["1 ", "2 "], ["1 ", "2 ", "3 "]]);
  assertEquals(events.map(({ type }) => type), [
    "routed",
    "started",
    "token",
    "token",
    "token",
    "result",
  ]);
  const last = events.at(-1);
  assert(last?.type === "result");
  assertEquals([last.result.output, last.result.nodeId], ["1 2 3 ", "b"]);
});

Deno.test("an agent waits while nobody reads its stream, also on another node", async () => {
  await using fleet = new MemoryFleet(106);
  let yielded = 0;
  const talker = createAgent({
    name: "talker",
    description: "Talks without end",
    run: async function* () {
      for (;; yielded++) yield "x".repeat(1_024);
    },
  });
  const { a, b } = await startAll(fleet, { a: {}, b: { agents: [talker] } });
  const stream = a.network.stream("");
  await fleet.wait(stream.next());
  await fleet.advance(1_000);
  const before = yielded;
  assert(before < 1_024, `${before} KiB were made for nobody`);
  await fleet.advance(1_000);
  assertEquals(yielded, before);
  for (let i = 0; i < 500; i++) await fleet.wait(stream.next());
  assert(yielded > before);
  await stream.return();
  await fleet.advance(5);
  assertEquals(activeOn(b), 0);
});

Deno.test("the caller's abort reaches the agent on another node within a round trip", async () => {
  await using fleet = new MemoryFleet(107);
  const { a, b, held } = await startThree(fleet);
  const abort = new AbortController();
  const running = outcomeOf(
    a.network.run("x", { initialAgent: "held", signal: abort.signal }),
  );
  await fleet.advance(10);
  assertEquals(activeOn(b), 1);
  abort.abort();
  const error = await running;
  assert(error instanceof NetworkError);
  assertEquals(error.code, "CANCELLED");
  await fleet.advance(1);
  assertEquals(held.runs[0].context.signal.aborted, true);
  assertEquals(activeOn(b), 0);
  await fleet.advance(1_000);
  assertEquals(placesOf(held), ["b"], "nobody else takes it up");
});

Deno.test("leaving the loop over a stream stops the agent on the other node", async () => {
  await using fleet = new MemoryFleet(108);
  const { a, b, held } = await startThree(fleet);
  for await (const { type } of a.network.stream("x", { initialAgent: "held" })) {
    // Only the clock lets the word "started" come.
    void fleet.advance(10);
    if (type === "started") break;
  }
  await fleet.advance(10);
  assertEquals([held.runs[0].context.signal.aborted, activeOn(b)], [true, 0]);
});

Deno.test("when the caller's process dies, what ran for it is stopped and its slot is free", async () => {
  await using fleet = new MemoryFleet(109);
  const { a, b, held } = await startThree(fleet);
  void outcomeOf(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(10);
  assertEquals(activeOn(b), 1);
  fleet.links.kill(a.host);
  await fleet.advance(10);
  assertEquals([held.runs[0].context.signal.aborted, activeOn(b)], [true, 0]);
});

Deno.test("behind a cut cable the caller is told at its deadline, not when the peer is called dead", async () => {
  await using fleet = new MemoryFleet(110);
  const { a, b, held } = await startThree(fleet, { idempotent: false });
  const started = fleet.clock.now();
  const running = outcomeOf(
    a.network.run("x", { initialAgent: "held", timeoutMs: 2_000 }),
  );
  await fleet.advance(10);
  fleet.lan.setDown(b.host, true);
  const error = await fleet.wait(running);
  assert(error instanceof NetworkError);
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  const waited = fleet.clock.now() - started;
  assert(waited >= 2_000 && waited <= 2_020, `told after ${waited} ms`);
  await fleet.advance(1_000);
  assertEquals(activeOn(b), 0, "the executor keeps the deadline, too");
  assertEquals(placesOf(held), ["b"]);
});

Deno.test("what a silent device has goes elsewhere after a heartbeat, where it may be done twice", async () => {
  await using fleet = new MemoryFleet(111);
  const { a, b, held } = await startThree(fleet);
  const started = fleet.clock.now();
  const running = a.network.run("x", { initialAgent: "held" });
  await fleet.advance(10);
  fleet.lan.setDown(b.host, true);
  while (held.runs.length < 2 && fleet.clock.now() - started < 3_000) await fleet.advance(10);
  assertEquals(placesOf(held), ["b", "c"]);
  const waited = fleet.clock.now() - started;
  assert(waited > 800 && waited <= 1_300, `begun elsewhere after ${waited} ms`);
  // It is back, and has heard nothing of it yet.
  fleet.lan.setDown(b.host, false);
  held.runs[0].answer("late");
  await fleet.advance(100);
  held.runs[1].answer("in time");
  const { output, nodeId, attempts } = await fleet.wait(running);
  assertEquals([output, nodeId, attempts], ["in time", "c", 2]);
});

Deno.test("a pause of half a heartbeat moves nothing", async () => {
  await using fleet = new MemoryFleet(112);
  const { a, b, held } = await startThree(fleet);
  const running = a.network.run("x", { initialAgent: "held" });
  await fleet.advance(300);
  fleet.lan.setDown(b.host, true);
  await fleet.advance(500);
  fleet.lan.setDown(b.host, false);
  await fleet.advance(5_000);
  held.runs[0].answer("done");
  assertEquals((await fleet.wait(running)).attempts, 1);
  assertEquals(placesOf(held), ["b"]);
});

Deno.test("a peer that is suspect gets no new work, and what only it has is not there", async () => {
  await using fleet = new MemoryFleet(130);
  const own = createAgent({ name: "own", description: "", run: () => "" });
  const held = heldAgent({ workload: "heavy" });
  const { a, b } = await startAll(fleet, {
    a: {},
    b: { agents: [held.agent, own], deviceCapabilities: fp16(100) },
    c: { agents: [held.agent], deviceCapabilities: fp16(10) },
  });
  fleet.lan.setDown(b.host, true);
  await fleet.advance(4_000);
  const running = later(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(10);
  held.runs[0].answer("done");
  const { nodeId, attempts } = await fleet.wait(running);
  assertEquals([nodeId, attempts], ["c", 1]);
  await assertRejects(() => a.network.run("x", { initialAgent: "own" }), NetworkError, "no node");
  fleet.lan.setDown(b.host, false);
  await fleet.advance(2_000);
  assertEquals((await fleet.wait(a.network.run("x", { initialAgent: "own" }))).nodeId, "b");
});

Deno.test("a cut cable and a long deadline: when the peer is called dead, another node takes over", async () => {
  await using fleet = new MemoryFleet(111);
  const { a, b, held } = await startThree(fleet);
  const running = later(a.network.run("x", { initialAgent: "held", timeoutMs: 60_000 }));
  await fleet.advance(10);
  fleet.lan.setDown(b.host, true);
  await fleet.advance(12_000);
  assertEquals(placesOf(held), ["b", "c"]);
  held.runs[1].answer("done");
  const { nodeId, attempts } = await fleet.wait(running);
  assertEquals([nodeId, attempts], ["c", 2]);
});

Deno.test("runAll runs on every node that has the agent, and one that fails does not spoil the rest", async () => {
  await using fleet = new MemoryFleet(112);
  const probe = createAgent({
    name: "probe",
    description: "Fails on c",
    run: ({ prompt, nodeId }) => {
      if (nodeId === "c") throw new Error("no disk");
      return `${prompt} ${nodeId}`;
    },
  });
  const agents = [probe];
  const { b } = await startAll(fleet, {
    a: { agents },
    b: { agents },
    c: { agents },
    d: {},
  });
  const outcomes = await fleet.wait(b.network.runAll("hello", { initialAgent: "probe" }));
  assertEquals(outcomes[0].nodeId, "b", "this device first");
  const byNode = outcomes.toSorted((one, two) => one.nodeId < two.nodeId ? -1 : 1);
  assertEquals(byNode.map(({ nodeId }) => nodeId), ["a", "b", "c"]);
  const [onA, onB, onC] = byNode;
  assert("result" in onA && "result" in onB && "error" in onC);
  assertEquals([onA.result.output, onB.result.output], ["hello a", "hello b"]);
  assertEquals([onC.error.code, onC.error.message], [
    "AGENT_FAILED",
    'Agent "probe" failed: no disk',
  ]);
});

Deno.test("runAll with requirements asks every device that meets them, and nobody else", async () => {
  await using fleet = new MemoryFleet(115);
  const agents = [
    createAgent({ name: "probe", description: "", run: ({ nodeId }) => `ran on ${nodeId}` }),
  ];
  const labels = ["gpu-room"];
  const { a } = await startAll(fleet, {
    a: { agents },
    b: { agents, labels },
    c: { agents, labels },
  });
  const all = (requirements: Requirements) =>
    a.network.runAll("x", { initialAgent: "probe", requirements });
  const outcomes = await fleet.wait(all({ labels }));
  assertEquals(
    outcomes.map((one) => "result" in one ? one.result.output : one.error.message).toSorted(),
    ["ran on b", "ran on c"],
  );
  const error = await assertRejects(() => all({ labels: ["cellar"] }), NetworkError);
  assertEquals(error.code, "UNAVAILABLE");
  assertStringIncludes(error.message, "a: does not have the label cellar; b: does not");
});

Deno.test("runAll with a node that is killed meanwhile tells the others' answers and its loss", async () => {
  await using fleet = new MemoryFleet(113);
  const { a, b, held } = await startThree(fleet);
  const running = later(a.network.runAll("x", { initialAgent: "held" }));
  await fleet.advance(10);
  assertEquals(placesOf(held).toSorted(), ["b", "c"]);
  fleet.links.kill(b.host);
  held.runs[placesOf(held).indexOf("c")].answer("done");
  const outcomes = await fleet.wait(running);
  assertEquals(
    outcomes.map((one) => [one.nodeId, "result" in one ? one.result.output : one.error.code]),
    [["b", "UNKNOWN_OUTCOME"], ["c", "done"]],
  );
});

Deno.test("runAll rejects when the request itself is wrong", async () => {
  await using fleet = new MemoryFleet(114);
  const { a } = await startAll(fleet, { a: {}, b: {} });
  await assertRejects(
    () => a.network.runAll("x", { initialAgent: "poet" }),
    NetworkError,
    'Cannot run agent "poet": no node of the network has it. There are: assistant, calculator, monitor.',
  );
  await assertRejects(
    () => a.network.runAll("x", { initialAgent: "monitor", timeoutMs: 0 }),
    NetworkError,
    "timeoutMs is 0, expected 1 to 604800000",
  );
  await assertRejects(
    // deno-lint-ignore no-explicit-any
    () => a.network.run(7 as any, { initialAgent: "monitor" }),
    NetworkError,
    "the prompt is of the type number, expected a string",
  );
});

Deno.test("an option of the wrong kind is refused by its name, and costs no link", async () => {
  await using fleet = new MemoryFleet(115);
  const echo = createAgent({ name: "echo", description: "", run: ({ prompt }) => prompt });
  const { a } = await startAll(fleet, { a: {}, b: { agents: [echo] } });
  const wrong: [Record<string, unknown>, string][] = [
    [{ signal: new AbortController() }, "signal is of the type object, expected an AbortSignal"],
    [{ context: 5 }, "context is of the type number, expected a string"],
    [{ context: null }, "context is null, expected a string"],
    [{ priority: "urgent" }, 'priority is "urgent", expected high, normal, low'],
    [{ workload: "constructor" }, 'workload is "constructor", expected heavy, light, background'],
    [{ strategy: "toString" }, 'strategy is "toString", expected capability-based, '],
    [{ nodeId: 5 }, "nodeId is of the type number, expected a string"],
    [{ near: "b" }, 'near is "b", expected a list of node ids'],
    [{ timeoutMs: "5" }, "timeoutMs is 5, expected 1 to 604800000"],
  ];
  for (const [options, message] of wrong) {
    const { code } = await assertRejects(
      () => a.network.run("p", { initialAgent: "echo", ...options }),
      NetworkError,
      message,
    );
    assertEquals(code, "INVALID_ARGUMENT");
  }
  assertThrows(
    // deno-lint-ignore no-explicit-any
    () => a.network.map("echo", ["1"], { order: "random" as any }),
    NetworkError,
    'order is "random", expected input or completion',
  );
  const run = a.network.run("p", { initialAgent: "echo" });
  assertEquals((await fleet.wait(run)).output, "p");
});

const ROUTERS: Record<string, [CustomRouter, chosen: string, report?: string]> = {
  "returns a peer": [(_agents, _state, peers) => peers.find(({ nodeId }) => nodeId === "c"), "c"],
  "returns a node id": [() => "c", "c"],
  "answers later": [() => Promise.resolve("c"), "c"],
  "returns nothing": [() => {}, "b"],
  "returns null": [() => Promise.resolve(null), "b"],
  "throws": [
    () => {
      throw new Error("no idea");
    },
    "b",
    "no idea",
  ],
  "rejects": [() => Promise.reject(new Error("no idea")), "b", "no idea"],
  "hangs": [() => new Promise(() => {}), "b", "no choice within 1000 ms"],
  "returns a number": [() => 7 as unknown as string, "b", "neither one of the peers nor a node id"],
  "names a stranger": [() => "z", "b", "neither one of the peers nor a node id"],
  "names a node without the agent": [() => "a", "b", "neither one of the peers nor a node id"],
  "returns an object that bites": [
    () => ({
      get nodeId(): string {
        throw new Error("ouch");
      },
    } as Candidate),
    "b",
    "ouch",
  ],
};

for (const [what, [customRouter, chosen, report]] of Object.entries(ROUTERS)) {
  const then = report === undefined
    ? `its task runs on ${chosen}`
    : "that is told in the log and as the reason";
  Deno.test(`a custom router that ${what}: ${then}`, async () => {
    await using fleet = new MemoryFleet(115);
    const log = recordingLogger();
    const agent = createAgent({
      name: "where",
      description: "Says where it runs",
      workload: "heavy",
      run: ({ nodeId }) => nodeId,
    });
    const { a } = await startAll(fleet, {
      a: { customRouter, logger: log.logger },
      b: { agents: [agent], deviceCapabilities: fp16(100) },
      c: { agents: [agent], deviceCapabilities: fp16(10) },
    });
    const { output, reason } = await fleet.wait(a.network.run("", { initialAgent: "where" }));
    assertEquals(output, chosen);
    const isItsChoice = report === undefined && chosen === "c";
    assertEquals(reason === "the custom router chose it", isItsChoice, reason);
    const warnings = log.lines("warn").filter((line) => line.includes("custom router"));
    assertEquals(warnings.length, report === undefined ? 0 : 1);
    assertEquals(reason.startsWith("the custom router failed ("), report !== undefined, reason);
    if (report !== undefined) {
      assertStringIncludes(warnings[0], report);
      assertStringIncludes(reason, report);
    }
  });
}

Deno.test("a custom router is told the agents, the task, and only the devices that can do it", async () => {
  await using fleet = new MemoryFleet(116);
  const asked: { agents: readonly string[]; state: RouterState; peers: string[] }[] = [];
  const here = createAgent({
    name: "here",
    description: "",
    workload: "background",
    requirements: { memory: 1_000 },
    run: ({ nodeId }) => nodeId,
  });
  const { a } = await startAll(fleet, {
    a: {
      agents: [here],
      deviceCapabilities: { memory: 2_000 },
      customRouter: (agents, state, peers) => {
        // Plain data: a copy has all of it.
        const shown = peers.map((peer) => ({ ...peer }))
          .map(({ nodeId, isLocal, currentLoad }) => `${nodeId} ${isLocal} ${currentLoad}`);
        asked.push({ agents, state, peers: shown });
        return "b";
      },
    },
    b: { agents: [here], deviceCapabilities: { memory: 2_000 } },
    small: { agents: [here], deviceCapabilities: { memory: 500 } },
    without: {},
  });
  const { nodeId } = await fleet.wait(
    a.network.run("question", { initialAgent: here, context: "document" }),
  );
  assertEquals(nodeId, "b");
  assertEquals(asked, [{
    agents: ["assistant", "calculator", "here", "monitor"],
    state: { query: "question", context: "document", agent: "here", workload: "background" },
    peers: ["a true 0", "b false 0"],
  }]);
});

Deno.test("a custom router's choice that cannot take the task is replaced like any other", async () => {
  await using fleet = new MemoryFleet(117);
  const held = heldAgent({ workload: "heavy" });
  const { a } = await startAll(fleet, {
    a: { customRouter: (_agents, _state, peers) => peers.find(({ nodeId }) => nodeId === "c") },
    b: { agents: [held.agent], slots: 1 },
    c: { agents: [held.agent], slots: 1 },
  });
  const run = () => later(a.network.run("x", { initialAgent: "held" }));
  const first = [run(), run(), run(), run(), run()];
  await fleet.advance(10);
  const sixth = run();
  await fleet.advance(10);
  assertEquals(placesOf(held), ["c", "b"]);
  for (let done = 0; done < 6; done++) {
    held.runs[done].answer("done");
    await fleet.advance(10);
    if (done === 0) held.runs.splice(1, 0, held.runs.pop()!);
  }
  const { nodeId, attempts } = await fleet.wait(sixth);
  assertEquals([nodeId, attempts], ["b", 2]);
  for (const { nodeId } of await fleet.wait(Promise.all(first))) assertEquals(nodeId, "c");
});

Deno.test("a burst of tasks from one node spreads evenly over equal devices before any load is heard", async () => {
  for (const workload of ["heavy", "light", "background"] satisfies Workload[]) {
    await using fleet = new MemoryFleet(118);
    const held = heldAgent({ workload });
    const options = { agents: [held.agent], slots: 2, deviceCapabilities: fp16(10) };
    const { a } = await startAll(fleet, { a: options, b: options, c: options, d: options });
    const running = Array.from(
      { length: 8 },
      () => later(a.network.run("x", { initialAgent: "held" })),
    );
    await fleet.advance(5);
    assertEquals(placesOf(held).toSorted(), ["a", "a", "b", "b", "c", "c", "d", "d"], workload);
    for (const { answer } of held.runs) answer("done");
    const results = await fleet.wait(Promise.all(running));
    assertEquals(results.every(({ attempts }) => attempts === 1), true);
  }
});

Deno.test("a burst from each of several nodes overloads nobody while there is room", async () => {
  await using fleet = new MemoryFleet(119);
  const held = heldAgent({ workload: "light" });
  const options = { agents: [held.agent], slots: 4, deviceCapabilities: fp16(10) };
  const { a, b, c } = await startAll(fleet, { a: options, b: options, c: options });
  const running = [a, b, c, a, b, c].map(({ network }) =>
    later(network.run("x", { initialAgent: "held" }))
  );
  await fleet.advance(20);
  assertEquals(held.runs.length, 6, "nobody has to wait");
  for (const { answer } of held.runs) answer("done");
  await fleet.wait(Promise.all(running));
});

Deno.test("ten times more than the network can take: each run ends, with an answer or with a time to try again", async () => {
  await using fleet = new MemoryFleet(120);
  const worker = createAgent({
    name: "worker",
    description: "Takes 100 ms",
    workload: "heavy",
    run: () => new Promise((resolve) => fleet.clock.after(100, () => resolve("done"))),
  });
  const options = { agents: [worker], slots: 2, deviceCapabilities: fp16(10) };
  const { a, b, c } = await startAll(fleet, { a: {}, b: options, c: options });
  const ran: RunResult[] = [];
  const refused: NetworkError[] = [];
  const refusedAfter: number[] = [];
  for (let i = 0; i < 200; i++) {
    const started = fleet.clock.now();
    a.network.run("x", { initialAgent: "worker" }).then(
      (result) => ran.push(result),
      (error) => {
        refused.push(error);
        refusedAfter.push(fleet.clock.now() - started);
      },
    );
  }
  await fleet.advance(10_000);
  assertEquals(ran.length + refused.length, 200);
  assertEquals(ran.length, 20, "two slots and eight places to wait on each of two nodes");
  assertEquals(new Set(ran.map(({ nodeId }) => nodeId)), new Set(["b", "c"]));
  for (const { code, retryAfterMs } of refused) {
    assertEquals(code, "RESOURCE_EXHAUSTED");
    assert(retryAfterMs !== undefined && retryAfterMs > 0);
  }
  assert(Math.max(...refusedAfter) <= 50, "a refusal comes at once");
  assertEquals([activeOn(b), activeOn(c)], [0, 0]);
});

Deno.test("a node that is open and accepts no tasks offers no agents and runs nothing for others", async () => {
  await using fleet = new MemoryFleet(121);
  const held = heldAgent();
  const { a, closed } = await startAll(fleet, {
    a: {},
    closed: { agents: [held.agent], openAcceptTasks: false },
  });
  assertEquals(a.network.getNetworkStatus().peers.closed.agents, []);
  assertEquals(a.network.agents().map(({ agent, nodes }) => [agent.name, nodes]), [
    ["assistant", ["a"]],
    ["calculator", ["a"]],
    ["monitor", ["a"]],
  ]);
  await assertRejects(
    () => a.network.run("x", { initialAgent: "held" }),
    NetworkError,
    "no node of the network has it",
  );
  await assertRejects(
    () => a.network.run("1 + 1", { initialAgent: "calculator", nodeId: "closed" }),
    NetworkError,
    'on "closed": that node does not have it, and these do: a.',
  );
  assertEquals(held.runs.length, 0);

  // For its own programs it runs its agents, and others' devices still serve it.
  const own = later(closed.network.run("x", { initialAgent: "held" }));
  await fleet.advance(5);
  held.runs[0].answer("done");
  assertEquals((await fleet.wait(own)).nodeId, "closed");
  assertEquals(closed.network.agents().find(({ agent }) => agent.name === "held")?.nodes, [
    "closed",
  ]);
  assertEquals(a.network.getNetworkStatus().peers.closed.agents, [], "nothing leaks later");
});

Deno.test("a node that accepts no tasks refuses also who asks without having been offered anything", async () => {
  await using fleet = new MemoryFleet(122);
  const held = heldAgent();
  const { closed } = await startAll(fleet, {
    closed: { agents: [held.agent], openAcceptTasks: false },
  });
  const stream = await fleet.wait(
    fleet.links.transport("10.0.9.9").dial(
      { host: closed.host, port: 5681 },
      new AbortController().signal,
    ),
  );
  const stranger = new PeerLink({
    stream,
    dialled: true,
    clock: fleet.clock,
    introduction: () => JSON.stringify(strangersDescription()),
    load: () => ({ running: 0, queued: 0, slots: 1, modelCalls: 0 }),
    admit: () => strangersDescription(),
    onOpen() {},
    onCall() {},
    onNotice() {},
    onClose() {},
  });
  await fleet.advance(5);
  const running = outcomeOf(
    runRemotely(
      stranger,
      task({ agent: "held" }),
      () => {},
      new RemoteBounds(new Deadlines(fleet.clock), fleet.clock.now()),
    ),
  );
  await fleet.advance(5);
  const error = await running;
  assert(error instanceof NetworkError);
  assertEquals(error.code, "PERMISSION_DENIED");
  assertStringIncludes(error.message, "--open-accept-tasks");
  assertEquals(held.runs.length, 0);
  stranger.leave();
  await fleet.advance(5);
});

Deno.test("a node that stops finishes what runs there, and the caller gets the answer", async () => {
  await using fleet = new MemoryFleet(123);
  const { a, b, held } = await startThree(fleet);
  const running = later(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(10);
  const stopping = b.network.stop();
  await fleet.advance(100);
  const next = later(a.network.run("y", { initialAgent: "held" }));
  await fleet.advance(10);
  assertEquals(placesOf(held), ["b", "c"], "it takes nothing new; the next best does");
  held.runs[0].answer("finished");
  held.runs[1].answer("done");
  assertEquals((await fleet.wait(running)).output, "finished");
  assertEquals((await fleet.wait(next)).attempts, 1, "it is not even asked");
  await fleet.wait(stopping);
});

Deno.test("a node that stops without patience: what it ran, and what waited there, runs elsewhere", async () => {
  await using fleet = new MemoryFleet(124);
  const { a, b, held } = await startThree(fleet, {}, 1);
  const events: RunEvent[] = [];
  const reading = (async () => {
    const stream = a.network.stream("running", { initialAgent: "held" });
    for await (const event of stream) events.push(event);
  })();
  await fleet.advance(10);
  const refused = outcomeOf(
    a.network.run("waiting", { initialAgent: "held", nodeId: "b" }),
  );
  await fleet.advance(10);
  await fleet.wait(b.network.stop({ drainMs: 0 }));
  await fleet.advance(10);
  assertEquals(held.runs[0].context.signal.aborted, true);
  assertEquals(held.prompts, ["running", "running"], "what waited has begun nowhere");
  assertEquals(placesOf(held), ["b", "c"]);
  held.runs[1].answer("done");
  await fleet.wait(reading);
  assertEquals(events.map((event) => "nodeId" in event ? `${event.type} ${event.nodeId}` : ""), [
    "routed b",
    "started b",
    "fallback b",
    "routed c",
    "started c",
    "",
  ]);
  const error = await fleet.wait(refused);
  assert(error instanceof NetworkError);
  assertEquals([error.code, error.message], [
    "CANCELLED",
    'Node "b" was stopped before the task was done.',
  ]);
});

Deno.test("a node that stops without patience: an agent with tools is not run a second time", async () => {
  await using fleet = new MemoryFleet(129);
  const pay = createTool({ name: "pay", description: "Pays", handler: () => "paid" });
  const { a, b, held } = await startThree(fleet, { tools: [pay] }, 1);
  const begun = outcomeOf(a.network.run("begun", { initialAgent: "held" }));
  await fleet.advance(10);
  await fleet.wait(b.network.stop({ drainMs: 0 }));
  const error = await fleet.wait(begun);
  assert(error instanceof NetworkError);
  assertEquals(error.code, "CANCELLED");
  await fleet.advance(10);
  assertEquals(placesOf(held), ["b"]);
});

Deno.test("a caller that stops learns of its runs elsewhere that their outcome is unknown", async () => {
  await using fleet = new MemoryFleet(125);
  const { a, b, c, held } = await startThree(fleet);
  const running = outcomeOf(a.network.run("x", { initialAgent: "held" }));
  await fleet.advance(10);
  await fleet.wait(a.network.stop());
  const error = await fleet.wait(running);
  assert(error instanceof NetworkError);
  assertEquals(error.code, "UNKNOWN_OUTCOME");
  await fleet.advance(100);
  assertEquals(placesOf(held), ["b"]);
  assertEquals([activeOn(b), activeOn(c)], [0, 0]);
});

Deno.test("how busy a peer is can be seen: per slot, while it runs and when it is done", async () => {
  await using fleet = new MemoryFleet(126);
  const held = heldAgent();
  const { a, c } = await startAll(fleet, { a: {}, b: { agents: [held.agent], slots: 4 }, c: {} });
  const running = later(
    Promise.all([1, 2, 3].map(() => a.network.run("x", { initialAgent: "held" }))),
  );
  await fleet.advance(2_000);
  for (const node of [a, c]) {
    assertEquals(node.network.getNetworkStatus().peers.b.currentLoad, 0.75, node.network.nodeId);
  }
  for (const { answer } of held.runs) answer("done");
  await fleet.wait(running);
  await fleet.advance(2_000);
  for (const node of [a, c]) assertEquals(node.network.getNetworkStatus().peers.b.currentLoad, 0);
});

Deno.test("a strategy given with a run holds for that run only", async () => {
  await using fleet = new MemoryFleet(127);
  const { a, held } = await startThree(fleet);
  const run = (strategy?: "least-loaded") => a.network.run("x", { initialAgent: "held", strategy });
  const running = [run()];
  await fleet.advance(10);
  running.push(run("least-loaded"), run());
  await fleet.advance(10);
  assertEquals(placesOf(held), ["b", "c", "b"]);
  for (const { answer } of held.runs) answer("done");
  await fleet.wait(Promise.all(running));
});

Deno.test("without a name the only agent that is not built in is meant, wherever it is", async () => {
  await using fleet = new MemoryFleet(128);
  const shout = createAgent({
    name: "shout",
    description: "",
    run: ({ prompt }) => prompt.toUpperCase(),
  });
  const { a } = await startAll(fleet, { a: {}, b: { agents: [shout] } });
  assertEquals((await fleet.wait(a.network.run("hello"))).output, "HELLO");
  await startAll(fleet, { c: { agents: [createAgent({ ...shout, name: "second", tools: [] })] } });
  await assertRejects(
    () => a.network.run("hello"),
    NetworkError,
    "Cannot choose an agent: name one of assistant, calculator, monitor, second, shout.",
  );
});
