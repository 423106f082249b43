/** Agents of programs in other languages: there as long as their program is, and run there. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Agent, type AgentDescription, createAgent } from "../../src/agents/agent.ts";
import type { AgentEvent } from "../../src/agents/run_event.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import type { ProgramEvent } from "../../src/link/run_messages.ts";
import { AgentPrograms } from "../../src/network/agent_programs.ts";
import { resolveOptions } from "../../src/network/options.ts";
import { seededRandom } from "../../src/base/random.ts";
import { programAgent } from "../../src/network/program_agent.ts";
import { answerOf, callOf } from "../agents/calls.ts";
import { recordingLogger } from "../support/recording_logger.ts";

const ADDRESS = { host: "127.0.0.1", port: 50_051 };

function description(name: string, change: Partial<AgentDescription> = {}): AgentDescription {
  return {
    name,
    description: "",
    workload: "light",
    requirements: {},
    idempotent: true,
    tools: [],
    ...change,
  };
}

/** A program that the test starts, changes and ends. */
function rig({ most = Infinity } = {}) {
  const clock = new ManualClock();
  const log = recordingLogger();
  const own = createAgent({ name: "own", description: "", run: () => "" });
  const agents = new Map<string, Agent>([[own.name, own]]);
  const offers: string[] = [];
  const program = {
    list: undefined as AgentDescription[] | undefined,
    broken: () => {},
    looks: 0,
  };
  const programs = new AgentPrograms({
    addresses: [ADDRESS],
    clock,
    logger: log.logger,
    agents,
    offer: () => {
      if (agents.size > most) throw new NetworkError("PROTOCOL", "too many");
      offers.push([...agents.keys()].join());
    },
    connect: () =>
      Promise.resolve({
        list: () => {
          program.looks++;
          if (program.list !== undefined) return Promise.resolve(program.list);
          return Promise.reject(new NetworkError("UNAVAILABLE", "it does not answer"));
        },
        onceBroken: (callback) => program.broken = callback,
        run: async function* () {},
        close: () => {},
      }),
  });
  const pass = (ms: number) => clock.advance(ms);
  return { program, programs, agents, own, offers, log, pass };
}

Deno.test("a program that comes later, goes and comes back has its agents offered meanwhile", async () => {
  const { program, programs, offers, pass, log } = rig();
  await programs.start();
  assertEquals([offers.length, program.looks], [0, 1]);
  program.list = [description("a"), description("b")];
  await pass(1_000);
  assertEquals(offers, ["own,a,b"]);
  program.list = undefined;
  program.broken();
  await pass(0);
  assertEquals(offers.at(-1), "own");
  program.list = [description("b", { workload: "heavy" })];
  await pass(1_000);
  assertEquals(offers.at(-1), "own,b");
  // What is the same is not told again.
  await pass(5_000);
  await pass(5_000);
  assertEquals(offers.length, 3);
  program.list = [];
  await pass(5_000);
  assertEquals(offers.at(-1), "own");
  programs.stop();
  const { looks } = program;
  await pass(60_000);
  assertEquals(program.looks, looks);
  assertEquals(log.lines("warn").length, 2);
});

Deno.test("a name that is taken stays whose it is, and its owner is told once", async () => {
  const { program, programs, agents, own, offers, pass, log } = rig();
  program.list = [description("own"), description("other")];
  await programs.start();
  assertEquals(agents.get("own"), own);
  assertEquals(offers, ["own,other"]);
  await pass(5_000);
  const [warning, ...others] = log.lines("warn");
  assertMatch(warning, /127\.0\.0\.1:50051: "own" not offered/);
  assertEquals(others, []);
  programs.stop();
});

Deno.test("what is more than peers take is not offered, and what was there stays", async () => {
  const { program, programs, offers, pass } = rig({ most: 2 });
  program.list = [description("a"), description("b")];
  await programs.start();
  assertEquals(offers, ["own"]);
  program.list = [description("a")];
  await pass(1_000);
  assertEquals(offers.at(-1), "own,a");
  programs.stop();
});

/** Runs an agent whose program says these events. */
async function run(events: ProgramEvent[], tools: string[] = []) {
  const seen: AgentEvent[] = [];
  const agent = programAgent(description("a", { tools }), async function* () {
    yield* events;
  });
  const answer = await answerOf(agent, callOf({ emit: (event) => void seen.push(event) }));
  return { seen, answer };
}

Deno.test("what a program says is what the agent says: tokens, tools, answer and data", async () => {
  const { seen, answer } = await run([
    { type: "token", text: "a" },
    { type: "tool-call", callId: "", tool: "x", arguments: { n: 1 } },
    { type: "tool-call", callId: "", tool: "x", arguments: { n: 2 } },
    { type: "tool-result", callId: "", tool: "x", result: 1 },
    { type: "token", text: "b" },
    { type: "tool-result", callId: "", tool: "x", result: 2 },
    { type: "answer", answer: { data: [1] } },
  ], ["x"]);
  assertEquals(seen, [
    { type: "token", text: "a" },
    { type: "tool-call", callId: "call_1", tool: "x", arguments: { n: 1 } },
    { type: "tool-call", callId: "call_2", tool: "x", arguments: { n: 2 } },
    { type: "tool-result", callId: "call_1", tool: "x", result: 1 },
    { type: "token", text: "b" },
    { type: "tool-result", callId: "call_2", tool: "x", result: 2 },
  ]);
  assertEquals(answer, { output: "ab", data: [1] });
  assertEquals((await run([{ type: "token", text: "all" }])).answer, { output: "all" });
  const short = [{ type: "token", text: "long" }, { type: "answer", answer: { output: "s" } }];
  assertEquals((await run(short as ProgramEvent[])).answer, { output: "s" });
});

Deno.test("calls that a program gives ids end in any order, and what is no id gives way to one", async () => {
  const long = "x".repeat(65);
  const { seen } = await run([
    { type: "tool-call", callId: "a", tool: "x", arguments: 1 },
    { type: "tool-call", callId: long, tool: "x", arguments: 2 },
    { type: "tool-call", callId: "c", tool: "x", arguments: 3 },
    { type: "tool-result", callId: "c", tool: "x", result: 3 },
    { type: "tool-error", callId: long, tool: "x", reason: "it is dark" },
    { type: "tool-result", callId: "a", tool: "x", result: 1 },
  ], ["x"]);
  assertEquals(seen, [
    { type: "tool-call", callId: "a", tool: "x", arguments: 1 },
    { type: "tool-call", callId: "call_1", tool: "x", arguments: 2 },
    { type: "tool-call", callId: "c", tool: "x", arguments: 3 },
    { type: "tool-result", callId: "c", tool: "x", result: 3 },
    { type: "tool-error", callId: "call_1", tool: "x", reason: "it is dark" },
    { type: "tool-result", callId: "a", tool: "x", result: 1 },
  ]);
  const unknown = run([
    { type: "tool-call", callId: "a", tool: "x", arguments: 1 },
    { type: "tool-result", callId: "b", tool: "x", result: 1 },
  ], ["x"]);
  assertMatch((await assertRejects(() => unknown, NetworkError)).message, /not called/);
});

Deno.test("a tool that fails in a program is seen to fail, and the program goes on", async () => {
  const { seen, answer } = await run([
    { type: "tool-call", callId: "", tool: "x", arguments: null },
    { type: "tool-error", callId: "", tool: "x", reason: "it is dark" },
    { type: "token", text: "Nothing seen." },
  ], ["x"]);
  assertEquals(seen, [
    { type: "tool-call", callId: "call_1", tool: "x", arguments: null },
    { type: "tool-error", callId: "call_1", tool: "x", reason: "it is dark" },
    { type: "token", text: "Nothing seen." },
  ]);
  assertEquals(answer.output, "Nothing seen.");
});

Deno.test("tools that a program has not named, or not called, fail its run in words", async () => {
  const unnamed = run([{ type: "tool-call", callId: "", tool: "x", arguments: null }]);
  assertMatch((await assertRejects(() => unnamed, NetworkError)).message, /"x".*no tools/);
  const uncalled = run([{ type: "tool-result", callId: "", tool: "x", result: null }], ["x"]);
  assertMatch((await assertRejects(() => uncalled, NetworkError)).message, /not called/);
  // One that is never answered keeps nobody.
  await run([{ type: "tool-call", callId: "", tool: "x", arguments: null }], ["x"]);
});

Deno.test("a program is only ever looked for on this machine", () => {
  const host = { name: "h", cores: 2, random: seededRandom(1) };
  const parsed = (...agentUrls: string[]) =>
    resolveOptions({ agentUrls }, host).agentPrograms.map(({ host, port }) => `${host} ${port}`);
  assertEquals(
    parsed(
      "127.0.0.1:1",
      "http://localhost:65535/",
      "grpc://[::1]:2",
      "127.1.2.3:4",
      "localhost:65535",
    ),
    ["127.0.0.1 1", "127.0.0.1 65535", "::1 2", "127.1.2.3 4"],
  );
  for (
    const url of [
      "10.0.0.1:50051",
      "example.com:80",
      "localhost.example.com:80",
      "127.0.0.1",
      "127.0.0.1:0",
      "127.0.0.1:65536",
      "127.0.0.1.example.com:1",
      "http://127.0.0.1@evil:1",
      "unix:/tmp/x",
      "[::]:1",
      "0.0.0.0:1",
      "",
    ]
  ) {
    let code: string | undefined;
    try {
      parsed(url);
    } catch (thrown) {
      code = (thrown as NetworkError).code;
    }
    assertEquals([url, code], [url, "INVALID_ARGUMENT"]);
  }
});
