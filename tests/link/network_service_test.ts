/** `Run`, `ListAgents` and `GetStatus` on real sockets, called by Google's own gRPC. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import http2 from "node:http2";
import { createAgent, describeAgent } from "../../src/agents/agent.ts";
import type { RunEvent } from "../../src/agents/run_event.ts";
import { systemClock } from "../../src/base/clock.ts";
import { ERROR_CODES, NetworkError } from "../../src/base/errors.ts";
import { UNKNOWN_DEVICE } from "../../src/device/capabilities.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { NetworkService, type NetworkServicePorts } from "../../src/link/network_service.ts";
import type { AskedRun } from "../../src/link/run_messages.ts";
import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import { RoutingStrategy } from "../../src/routing/strategy.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import type { PeerCredential } from "../../src/security/trust.ts";
import { memberCredentials } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { startProcess } from "../support/process.ts";
import { all, failureOf, Program } from "../support/program.ts";
import { findPythonWithGrpc } from "../support/python.ts";
import { skipUnless } from "../support/skip.ts";
import { endOf } from "./transport_suite.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const python = await findPythonWithGrpc();
const TASK_ID = "01JD3VPK000000000000000000";
const RESULT = {
  taskId: TASK_ID,
  agent: "echo",
  nodeId: "gpu",
  output: "hi",
  attempts: 1,
  durationMs: 2.5,
  serviceMs: 1.5,
  reason: "it is the fastest",
  usage: { inputTokens: 7, outputTokens: 3, modelCalls: 1 },
};

/** A node that serves the service; what its runs do, the test says. */
async function serve(
  ports: Partial<NetworkServicePorts> = {},
  security?: LinkSecurity,
) {
  const asked: AskedRun[] = [];
  const service = new NetworkService({
    clock: systemClock,
    refuse: () => undefined,
    admits: () => true,
    agents: () => [],
    status: () => {
      throw new Error("not asked");
    },
    ...ports,
    run: (request, signal) => {
      asked.push(request);
      return ports.run?.(request, signal) ?? answering([{ type: "result", result: RESULT }]);
    },
  });
  const transport = grpcTransport({ services: [service], security });
  const listener = await transport.listen(LOOPBACK, (stream) => endOf(stream).start());
  return {
    address: listener.address,
    asked,
    service,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

async function* answering(events: RunEvent[]): AsyncGenerator<RunEvent, void, void> {
  yield* events;
}

Deno.test("each event of a run arrives as its message, in order, with all that it says", async () => {
  const events: RunEvent[] = [
    {
      type: "routed",
      taskId: TASK_ID,
      attempt: 1,
      nodeId: "pi",
      reason: "it is the smallest",
      considered: [
        { nodeId: "pi", place: 1, finishMs: 12.5, reason: "free" },
        { nodeId: "mac", place: null, finishMs: null, reason: "is draining" },
      ],
    },
    { type: "fallback", taskId: TASK_ID, attempt: 1, nodeId: "pi", reason: "it is busy" },
    { type: "started", taskId: TASK_ID, attempt: 2, nodeId: "gpu" },
    { type: "token", text: "ünï" },
    { type: "tool-call", callId: "7", tool: "look", arguments: { at: [1, null] } },
    { type: "tool-result", callId: "7", tool: "look", result: "there" },
    { type: "tool-error", callId: "7", tool: "look", reason: "it is dark" },
    { type: "agent-call", callId: "7", agent: "other", prompt: "well?" },
    {
      type: "agent-result",
      callId: "7",
      agent: "other",
      nodeId: "pi",
      taskId: TASK_ID,
      output: "so",
    },
    { type: "agent-error", callId: "8", agent: "other", reason: "it is gone" },
    { type: "result", result: { ...RESULT, data: { n: 1 } } },
  ];
  await using node = await serve({ run: () => answering(events) });
  using program = new Program(node.address);
  const messages = await all(program.stream("Run", { prompt: "x", explain: true }));
  assertEquals(messages.map(({ event }) => event), [
    "routed",
    "fallback",
    "started",
    "token",
    "tool_call",
    "tool_result",
    "tool_error",
    "agent_call",
    "agent_result",
    "agent_error",
    "result",
  ]);
  const [routed, fallback, started, token, call, answer, failure, asked, told, gone, result] =
    messages;
  assertEquals(failure.tool_error, { tool: "look", reason: "it is dark", call_id: "7" });
  assertEquals(gone.agent_error, { agent: "other", reason: "it is gone", call_id: "8" });
  assertEquals(
    [call.tool_call, answer.tool_result, told.agent_result].map((one) => one.call_id),
    ["7", "7", "7"],
  );
  assertEquals(asked.agent_call, { agent: "other", prompt: "well?", call_id: "7" });
  assertEquals([told.agent_result.node_id, told.agent_result.output], ["pi", "so"]);
  assertEquals(routed.routed.considered[0].finish_ms, 12.5);
  assertEquals("place" in routed.routed.considered[1], false);
  assertEquals(fallback.fallback.reason, "it is busy");
  assertEquals(started.started, { task_id: TASK_ID, attempt: 2, node_id: "gpu" });
  assertEquals(token.token.text, "ünï");
  assertEquals(JSON.parse(call.tool_call.arguments_json), { at: [1, null] });
  assertEquals(JSON.parse(answer.tool_result.result_json), "there");
  assertEquals(JSON.parse(result.result.data_json), { n: 1 });
  assertEquals(result.result.usage, { input_tokens: 7, output_tokens: 3, model_calls: 1 });
  assertEquals(
    [result.result.output, result.result.attempts, result.result.duration_ms],
    ["hi", 1, 2.5],
  );
});

Deno.test("what a program asks for arrives as it was meant, and what it leaves out is left out", async () => {
  await using node = await serve();
  using program = new Program(node.address);
  await all(program.stream("Run", {
    prompt: "p",
    agent: "a",
    context: "c",
    node_id: "n",
    strategy: "STRATEGY_LEAST_LOADED",
    workload: "WORKLOAD_HEAVY",
    requirements: { memory: 0, flops: { fp16: 80 }, gpu: false, labels: ["room"] },
    near: ["x"],
    priority: "PRIORITY_LOW",
    timeout_ms: 1_500,
    hedge_after_ms: 0,
    explain: true,
    thread: "t",
    anew: true,
    rerun: true,
  }));
  await all(program.stream("Run"));
  const [full, empty] = node.asked;
  assertEquals(full, {
    prompt: "p",
    agent: "a",
    context: "c",
    nodeId: "n",
    strategy: "least-loaded",
    workload: "heavy",
    requirements: { memory: 0, flops: { fp16: 80 }, gpu: false, labels: ["room"] },
    near: ["x"],
    priority: "low",
    timeoutMs: 1_500,
    hedgeAfterMs: 0,
    explain: true,
    thread: "t",
    resume: false,
    rerun: true,
  });
  assertEquals(empty, {
    prompt: "",
    agent: undefined,
    context: "",
    nodeId: undefined,
    strategy: undefined,
    workload: undefined,
    requirements: undefined,
    near: [],
    priority: undefined,
    timeoutMs: undefined,
    hedgeAfterMs: undefined,
    explain: false,
    thread: undefined,
    resume: true,
    rerun: false,
  });
});

Deno.test("every strategy has its value in proto/, and no other one", async () => {
  await using node = await serve();
  using program = new Program(node.address);
  for (const strategy of Object.values(RoutingStrategy)) {
    const name = `STRATEGY_${strategy.toUpperCase().replaceAll("-", "_")}`;
    await all(program.stream("Run", { strategy: name }));
  }
  const arrived = node.asked.map(({ strategy }) => strategy);
  assertEquals(arrived, Object.values(RoutingStrategy) as string[]);
  const none = await failureOf(all(program.stream("Run", { strategy: 99 })));
  assertEquals([none.code, none.trailers["hanzo-code"]], ["INVALID_ARGUMENT", "INVALID_ARGUMENT"]);
});

Deno.test("what is no label, too many or no message is refused before anything runs", async () => {
  await using node = await serve();
  using program = new Program(node.address);
  for (
    const request of [
      { agent: "../etc" },
      { node_id: "a b" },
      { near: ["\u001b[31m"] },
      { near: Array.from({ length: 300 }, () => "n") },
      { requirements: { memory: -1 } },
    ]
  ) {
    assertEquals((await failureOf(all(program.stream("Run", request)))).code, "INVALID_ARGUMENT");
  }
  assertEquals(await rawRun(node.address.port, new Uint8Array([0x0a, 0x7f, 1])), "3");
  // Groups within groups, as deep as a message is long.
  assertEquals(await rawRun(node.address.port, new Uint8Array(900_000).fill(0x0b)), "3");
  assertEquals(node.asked, []);
});

Deno.test("a prompt of 16 MiB is taken, and a longer one refused", async () => {
  await using node = await serve();
  using program = new Program(node.address);
  await all(program.stream("Run", { prompt: "x".repeat(16 * 1024 * 1024) }));
  assertEquals(node.asked[0].prompt.length, 16 * 1024 * 1024);
  const failure = await failureOf(all(program.stream("Run", { prompt: "x".repeat(17 << 20) })));
  assertEquals(failure.code, "RESOURCE_EXHAUSTED");
});

Deno.test("an error has gRPC's code, its message, and ours in the trailers", async () => {
  const told: Record<string, string> = {};
  for (const code of ERROR_CODES) {
    const error = new NetworkError(code, `Cannot: grüße\n${"x".repeat(9_000)}`, {
      retryAfterMs: 120.5,
    });
    // deno-lint-ignore require-yield
    const failing = async function* (): AsyncGenerator<RunEvent, void, void> {
      await Promise.resolve();
      throw error;
    };
    await using node = await serve({ run: failing });
    using program = new Program(node.address);
    const failure = await failureOf(all(program.stream("Run")));
    assertMatch(failure.details, /^Cannot: grüße x+…$/);
    assertEquals(failure.trailers["hanzo-code"], code);
    assertEquals(failure.trailers["hanzo-retry-after-ms"], "121");
    told[code] = failure.code;
  }
  assertEquals(told, {
    INVALID_ARGUMENT: "INVALID_ARGUMENT",
    NOT_FOUND: "NOT_FOUND",
    UNAVAILABLE: "UNAVAILABLE",
    RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    CANCELLED: "CANCELLED",
    UNKNOWN_OUTCOME: "UNKNOWN",
    NAME_CONFLICT: "ALREADY_EXISTS",
    PERMISSION_DENIED: "PERMISSION_DENIED",
    PORT_IN_USE: "INTERNAL",
    FAILED_PRECONDITION: "FAILED_PRECONDITION",
    AGENT_FAILED: "UNKNOWN",
    PROTOCOL: "INTERNAL",
    INTERNAL: "INTERNAL",
  });
});

/** A run without an end, and what it sees of its caller. */
function endless() {
  const seen = { tokens: 0, aborted: undefined as unknown, isOver: false };
  const run = async function* (_: AskedRun, signal: AbortSignal) {
    signal.addEventListener("abort", () => seen.aborted = signal.reason);
    try {
      for (;; seen.tokens++) {
        yield { type: "token", text: "x".repeat(16_384) } as RunEvent;
        // An agent that waits for nothing: others have their turn all the same.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      seen.isOver = true;
    }
  };
  return { seen, run };
}

Deno.test("a program that cancels, or is gone, stops the run", async () => {
  for (const end of ["cancel", "close"] as const) {
    const { seen, run } = endless();
    await using node = await serve({ run });
    const program = new Program(node.address);
    const call = program.stream("Run");
    call.on("error", () => {});
    await new Promise((resolve) => call.once("data", resolve));
    if (end === "cancel") call.cancel();
    else program[Symbol.dispose]();
    // A channel that is closed lets its calls end.
    if (end === "close") call.cancel();
    await eventually(() => seen.isOver, { what: "the end of the run" });
    assertEquals((seen.aborted as NetworkError).code, "CANCELLED");
    program[Symbol.dispose]();
  }
});

Deno.test("the earlier of deadline and timeout bounds the run", async () => {
  await using node = await serve();
  using program = new Program(node.address);
  await all(program.stream("Run", {}, { deadline: Date.now() + 2_000 }));
  await all(program.stream("Run", { timeout_ms: 500 }, { deadline: Date.now() + 2_000 }));
  await all(program.stream("Run", { timeout_ms: 5_000 }, { deadline: Date.now() + 2_000 }));
  const [alone, early, late] = node.asked.map(({ timeoutMs }) => timeoutMs!);
  assert(alone > 500 && alone <= 2_000, `${alone}`);
  assertEquals(early, 500);
  assert(late > 500 && late <= 2_000, `${late}`);
});

Deno.test("a program that does not read stops its run from filling memory, and no other's", async () => {
  const { seen, run } = endless();
  await using node = await serve({
    run: (asked, signal) =>
      asked.prompt === "endless"
        ? run(asked, signal)
        : answering([{ type: "result", result: RESULT }]),
  });
  using program = new Program(node.address);
  const call = program.stream("Run", { prompt: "endless" });
  call.on("error", () => {});
  await new Promise((resolve) => call.once("data", resolve));
  program.socket!.pause();
  let before = -1;
  await eventually(() => {
    const isStill = seen.tokens === before;
    before = seen.tokens;
    return Promise.resolve(isStill);
  }, { what: "that the run waits for its reader", intervalMs: 50 });
  // A window of HTTP/2, what the system keeps for both sides, and what is paced here.
  assert(seen.tokens * 16_384 < 12 * 1024 * 1024, `${seen.tokens} tokens`);
  {
    using other = new Program(node.address);
    const [{ result }] = await all(other.stream("Run"));
    assertEquals(result.output, "hi");
  }
  // It goes on where it is read.
  const stood = seen.tokens;
  program.socket!.resume();
  await eventually(() => seen.tokens > stood + 100, { what: "more tokens" });
  call.cancel();
  await eventually(() => seen.isOver, { what: "the end of the run" });
});

Deno.test("long tokens come in pieces, and no character is cut", async () => {
  const text = `${"😀".repeat(40_000)}!`;
  const halves = [text.slice(0, 1), text.slice(1, 70_000), text.slice(70_000)];
  await using node = await serve({
    run: () =>
      answering([
        ...halves.map((text): RunEvent => ({ type: "token", text })),
        { type: "result", result: { ...RESULT, output: "a \ud83d half" } },
      ]),
  });
  using program = new Program(node.address);
  const messages = await all(program.stream("Run"));
  const tokens = messages.flatMap(({ token }) => token === undefined ? [] : [token.text]);
  assertEquals(tokens.join(""), text);
  assert(tokens.every((one) => one.length <= 65_536 && one.isWellFormed()));
  assertEquals(messages.at(-1).result.output, "a \ufffd half");
});

Deno.test("agents and status are told field by field, and nothing of keys", async () => {
  const agent = createAgent({
    name: "echo",
    description: "Says it again",
    run: ({ prompt }) => prompt,
    requirements: { memory: 512, labels: ["room"] },
  });
  const secret = "s3cr3t";
  const status = {
    name: "home",
    nodeId: "pi",
    state: "running",
    version: "1.2.3",
    capabilities: { ...UNKNOWN_DEVICE, chip: "BCM2712" },
    slots: 2,
    activeTasks: 1,
    queuedTasks: 0,
    peers: {
      mac: {
        nodeId: "mac",
        state: "suspect",
        address: "10.0.0.2:5681",
        healthy: false,
        capabilities: null,
        agents: ["echo"],
        currentLoad: 0.5,
        latencyMs: null,
        problem: "it owes an answer",
        identity: secret,
      },
    },
    tasks: [{
      taskId: TASK_ID,
      agent: "echo",
      state: "running",
      nodeId: "pi",
      caller: "mac",
      attempt: 1,
      priority: "high",
      runningMs: 5,
      prompt: secret,
    }],
    security: { keyTag: secret },
  };
  await using node = await serve({
    agents: () => [{ agent: describeAgent(agent), nodes: ["pi", "mac"] }],
    status: () => status,
  });
  using program = new Program(node.address);
  const { agents } = await program.ask("ListAgents");
  assertEquals(agents.length, 1);
  assertEquals([agents[0].name, agents[0].workload, agents[0].nodes], [
    "echo",
    "WORKLOAD_LIGHT",
    ["pi", "mac"],
  ]);
  assertEquals([agents[0].idempotent, agents[0].requirements.memory], [true, 512]);
  const told = await program.ask("GetStatus");
  assertEquals([told.node_id, told.network, told.slots], ["pi", "home", 2]);
  assertEquals([told.device.chip, "memory" in told.device], ["BCM2712", false]);
  assertEquals([told.peers[0].problem, "latency_ms" in told.peers[0]], [
    "it owes an answer",
    false,
  ]);
  assertEquals([told.tasks[0].priority, told.tasks[0].running_ms], ["PRIORITY_HIGH", 5]);
  assert(!JSON.stringify(told).includes(secret));
});

Deno.test("a client's certificate calls, links nowhere, and a run ends with it", async () => {
  const key = NetworkKey.generate();
  const own = await NodeIdentity.create().credentials(key, "node");
  const shown = await memberCredentials(key, { label: "script", usages: ["client"] });
  let counts = true;
  const callers: (PeerCredential | undefined)[] = [];
  const { seen, run } = endless();
  const admits = (peer: PeerCredential) => counts && peer.tag === key.tag;
  await using node = await serve({
    run,
    admits,
    agents: () => [],
    refuse: ({ credential }) => {
      callers.push(credential);
      return undefined;
    },
  }, { credentials: () => [own], verifiesPeers: true, admits });
  using program = new Program(node.address, shown);
  await program.ask("ListAgents");
  assertEquals([callers[0]?.names, callers[0]?.isClient], [["script"], true]);
  const link = program.talk("Link");
  link.write({});
  assertEquals((await failureOf(all(link))).code, "PERMISSION_DENIED");

  const call = program.stream("Run");
  const failure = failureOf(all(call));
  await eventually(() => seen.tokens > 0, { what: "a token" });
  counts = false;
  node.service.reconsider();
  assertEquals((await failure).code, "PERMISSION_DENIED");
  await eventually(() => seen.isOver, { what: "the end of the run" });
  // The connection is still there.
  assertEquals((await failureOf(program.ask("ListAgents"))).code, "PERMISSION_DENIED");
});

const READ_SIXTEEN = `
import sys, threading, grpc
channel = grpc.insecure_channel(sys.argv[1])
run = channel.unary_stream("/hanzo.network.v1.Network/Run")
ends = []
def read():
    try:
        ends.append(sum(1 for _ in run(b"")))
    except grpc.RpcError as error:
        ends.append(error.details())
threads = [threading.Thread(target=read) for _ in range(16)]
for one in threads: one.start()
for one in threads: one.join()
print(ends)
`;

Deno.test({
  name: "gRPC's client in C reads many streams of short tokens, and is not taken for a flood",
  ignore: skipUnless(python !== undefined, "python3-grpcio is missing: apt-get install it"),
  async fn() {
    const tokens = 400;
    const run = async function* (): AsyncGenerator<RunEvent, void, void> {
      for (let i = 0; i < tokens; i++) {
        yield { type: "token", text: "x " };
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    await using node = await serve({ run });
    const { host, port } = node.address;
    await using reader = startProcess(python!, ["-c", READ_SIXTEEN, `${host}:${port}`]);
    const [line] = await Array.fromAsync(reader.lines());
    assertEquals(line, `[${Array(16).fill(tokens).join(", ")}]`);
  },
});

/** The status with which the bytes of a request are answered. */
async function rawRun(port: number, message: Uint8Array): Promise<string> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/hanzo.network.v1.Network/Run",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  stream.end(frame);
  const status = await new Promise<string>((resolve) => {
    const tell = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
    };
    stream.on("response", tell);
    stream.on("trailers", tell);
    stream.resume();
  });
  const closed = new Promise((resolve) => session.once("close", resolve));
  session.close();
  await closed;
  return status;
}
