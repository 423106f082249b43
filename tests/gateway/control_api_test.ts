/** The routes of the control API, over HTTP: what they answer, and what they make of bad clients. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { createAgent } from "../../src/agents/agent.ts";
import type { RunEvent, RunResult } from "../../src/agents/run_event.ts";
import type { ErrorBody } from "../../src/gateway/control_api.ts";
import type {
  EndedTask,
  NetworkEvent,
  NetworkStatus,
  PeerStatus,
  TaskStatus,
} from "../../src/network/status.ts";
import type { RunningTask } from "../../src/tasks/held_attempt.ts";
import { eventually } from "../support/eventually.ts";
import { heldAgent } from "../support/task_rig.ts";
import { soon } from "../support/soon.ts";
import { jsonLines, TestApi, TOKEN } from "./test_api.ts";

const shout = createAgent({
  name: "shout",
  description: "Says it louder",
  run: async function* ({ prompt, context }) {
    for (const word of prompt.split(" ")) yield `${word.toUpperCase()} `;
    return { output: `${prompt.toUpperCase()}${context}`, data: { length: prompt.length } };
  },
});

async function errorOf(response: Response): Promise<[number, string, string]> {
  const { error }: ErrorBody = await response.json();
  return [response.status, error.code, error.message];
}

Deno.test("status, peers, agents and tasks are what the network says of itself", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  await api.fleet.start({ nodeId: "b" });
  await api.fleet.advance(500);
  const { network } = api.node;
  const running = network.run("x");
  await held.run(0);
  const get = async <T>(path: string): Promise<T> => {
    const response = await api.fetch(`/control/v1/${path}`);
    assertEquals(response.status, 200);
    assertStringIncludes(response.headers.get("content-type")!, "application/json");
    return await response.json();
  };
  assertEquals(await get<NetworkStatus>("status"), network.getNetworkStatus());
  assertEquals(await get<NetworkStatus>("status?at=once"), network.getNetworkStatus());
  const peers = await get<PeerStatus[]>("peers");
  assertEquals(peers, Object.values(network.getNetworkStatus().peers));
  assertEquals(peers.map(({ nodeId, state }) => [nodeId, state]), [["b", "alive"]]);
  assertEquals(await get<unknown>("agents"), network.agents());
  const tasks = await get<RunningTask[]>("tasks");
  assertEquals(tasks.map(({ agent, attempt }) => [agent, attempt]), [["held", 1]]);
  held.runs[0].answer("done");
  await running;
});

Deno.test("cancel stops a task, which then stands among those that have ended; drain ends the node", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const { network } = api.node;
  const post = (route: string, body: unknown) =>
    api.fetch(`/control/v1/${route}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const outcome = network.run("x").catch(({ code }) => code);
  await held.run(0);
  const [{ taskId }] = network.getNetworkStatus().tasks;
  const answer = await post("cancel", { taskId });
  const task: TaskStatus = await answer.json();
  assertEquals([answer.status, task.taskId, task.state], [200, taskId, "running"]);
  assertEquals(await outcome, "CANCELLED");
  const tasks: EndedTask[] = await (await api.fetch("/control/v1/tasks")).json();
  assertEquals(tasks.map(({ state, outcome }) => [state, outcome]), [["ended", "CANCELLED"]]);
  const [status, code, message] = await errorOf(await post("cancel", { taskId }));
  assertEquals([status, code], [404, "NOT_FOUND"]);
  assertStringIncludes(message, taskId);
  assertEquals((await errorOf(await post("cancel", { task: taskId }))).slice(0, 2), [
    400,
    "INVALID_ARGUMENT",
  ]);

  const last = network.run("y");
  await held.run(1);
  const draining: NetworkStatus = await (await post("drain", {})).json();
  assertEquals([draining.state, draining.tasks.length], ["stopping", 1]);
  assertEquals((await errorOf(await api.run({ prompt: "z" }))).slice(0, 2), [
    409,
    "FAILED_PRECONDITION",
  ]);
  held.runs[1].answer("done");
  assertEquals((await last).output, "done");
  await api.fleet.wait(network.drain(), 1_000);
  assertEquals(network.getNetworkStatus().state, "stopped");
});

Deno.test("a run is told event by event, one JSON value a line, the result last", async () => {
  await using api = await TestApi.start([shout]);
  const response = await api.run({ prompt: "so what", agent: "shout", context: "!" });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  const events = await Array.fromAsync(jsonLines<RunEvent>(response));
  assertEquals(
    events.map((event) => event.type === "token" ? event.text : event.type),
    ["routed", "started", "SO ", "WHAT ", "result"],
  );
  const last = events.at(-1);
  assert(last?.type === "result");
  assertEquals(
    [last.result.output, last.result.data, last.result.nodeId],
    ["SO WHAT!", { length: 7 }, "a"],
  );
});

Deno.test("what a run is told comes while it is made, not when it is done", async () => {
  const next: (() => void)[] = [];
  const counter = createAgent({
    name: "counter",
    description: "Counts when it is told to",
    run: async function* () {
      for (let i = 1; i <= 2; i++) {
        await new Promise<void>((resolve) => next.push(resolve));
        yield `${i}`;
      }
    },
  });
  await using api = await TestApi.start([counter]);
  const events = jsonLines<RunEvent>(await api.run({ prompt: "" }));
  const read = async () => {
    const { value } = await events.next();
    return value?.type === "token" ? value.text : value?.type;
  };
  assertEquals([await read(), await read()], ["routed", "started"]);
  next[0]();
  assertEquals(await read(), "1");
  await eventually(() => next[1], { what: "the second step" });
  next[1]();
  assertEquals([await read(), await read(), await read()], ["2", "result", undefined]);
});

Deno.test("node, strategy and timeoutMs of a body are obeyed", async () => {
  const where = createAgent({
    name: "where",
    description: "",
    workload: "heavy",
    run: ({ nodeId }) => nodeId,
  });
  const fp16 = (fp16: number) => ({ flops: { fp16 } });
  await using api = await TestApi.start([where], { deviceCapabilities: fp16(1) });
  await api.fleet.start({ nodeId: "b", agents: [where], deviceCapabilities: fp16(100) });
  await api.fleet.advance(500);
  const resultOf = async (body: Record<string, unknown>): Promise<RunResult> => {
    const response = await api.run({ prompt: "", agent: "where", ...body });
    const reading = Array.fromAsync(jsonLines<RunEvent>(response));
    const last = (await api.fleet.wait(reading)).at(-1);
    assert(last?.type === "result", JSON.stringify(last));
    return last.result;
  };
  assertEquals((await resultOf({})).nodeId, "b");
  assertEquals((await resultOf({ node: "a" })).reason, "it was asked for");
  assertStringIncludes((await resultOf({ strategy: "least-loaded" })).reason, "least loaded");
  const late = await errorOf(await api.run({ prompt: "", agent: "where", timeoutMs: 0 }));
  assertEquals(late.slice(0, 2), [400, "INVALID_ARGUMENT"]);
});

Deno.test("what is wrong with the request itself is told by the status", async () => {
  await using api = await TestApi.start([shout]);
  const cases: [body: unknown, status: number, code: string, message: string][] = [
    [{ prompt: "x", agent: "poet" }, 404, "NOT_FOUND", "no node of the network has it"],
    [{ prompt: "x", node: "z" }, 404, "NOT_FOUND", "no such node is here now"],
    [{ prompt: "x", agent: "poet", all: true }, 404, "NOT_FOUND", "no node of the network"],
    [{ prompt: "x", timeoutMs: -1 }, 400, "INVALID_ARGUMENT", "timeoutMs is -1, expected 1 to"],
    [{ prompt: "x", timeoutMs: 0, all: true }, 400, "INVALID_ARGUMENT", "timeoutMs is 0"],
    ["{", 400, "PROTOCOL", "Cannot read JSON"],
    ["", 400, "PROTOCOL", "Cannot read JSON"],
    ["null", 400, "INVALID_ARGUMENT", "the body"],
    ["[]", 400, "INVALID_ARGUMENT", "the body"],
    [{}, 400, "INVALID_ARGUMENT", "Cannot read the body: prompt:"],
    [{ prompt: 7 }, 400, "INVALID_ARGUMENT", "Cannot read the body: prompt:"],
    [{ prompt: "x", strategy: "best" }, 400, "INVALID_ARGUMENT", "Cannot read the body: strategy:"],
    [{ prompt: "x", promt: "y" }, 400, "INVALID_ARGUMENT", 'Unrecognized key: "promt"'],
    [
      `{"prompt":"x","context":${"[".repeat(1_000)}${"]".repeat(1_000)}}`,
      400,
      "PROTOCOL",
      "nested deeper than 32 levels",
    ],
    [`{"prompt":"x","__proto__":{"all":true}}`, 400, "INVALID_ARGUMENT", "__proto__"],
  ];
  for (const [body, status, code, message] of cases) {
    const what = JSON.stringify(body).slice(0, 80);
    const [gotStatus, gotCode, gotMessage] = await errorOf(await api.run(body));
    assertEquals([gotStatus, gotCode], [status, code], what);
    assertStringIncludes(gotMessage, message, what);
  }
});

Deno.test("bytes that are no UTF-8 are refused, not guessed at", async () => {
  await using api = await TestApi.start([shout]);
  const body = new Uint8Array([...new TextEncoder().encode('{"prompt":"'), 0xff, 0x22, 0x7d]);
  const response = await api.fetch("/control/v1/run", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  assertEquals((await errorOf(response)).slice(0, 2), [400, "PROTOCOL"]);
});

Deno.test("whatever the body is, the answer is a status of the list and JSON", async () => {
  await using api = await TestApi.start();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.record({
          prompt: fc.oneof(fc.string(), fc.jsonValue()),
          agent: fc.oneof(fc.string(), fc.constant("calculator")),
          all: fc.oneof(fc.boolean(), fc.jsonValue()),
        }, { requiredKeys: [] }).map((body) => JSON.stringify(body)),
      ),
      async (body) => {
        const response = await api.run(body);
        assert([200, 400, 404].includes(response.status), `${response.status} for ${body}`);
        for (const line of (await response.text()).split("\n")) if (line !== "") JSON.parse(line);
      },
    ),
    { numRuns: 60 },
  );
  assertEquals(api.log.lines("error"), []);
});

Deno.test("a route that there is not is a 404 that names it, whatever the method", async () => {
  await using api = await TestApi.start();
  for (
    const [method, path] of [
      ["GET", "/control/v1/none"],
      ["GET", "/control/v1/run"],
      ["GET", "/"],
      ["GET", "/control/v1/status/"],
      ["POST", "/control/v1/status"],
      ["DELETE", "/control/v1/tasks"],
      ["GET", "/__proto__"],
      ["GET", "/constructor"],
    ]
  ) {
    const response = await api.fetch(path, {
      method,
      headers: { "content-type": "application/json" },
    });
    assertEquals(await errorOf(response), [404, "NOT_FOUND", `There is no ${method} ${path}.`]);
  }
});

Deno.test("a body that is too long is refused although it says that it is short, or says nothing", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const head = [
    "POST /control/v1/run HTTP/1.1",
    `Host: 127.0.0.1:${api.port}`,
    `Authorization: Bearer ${TOKEN}`,
    "Content-Type: application/json",
    "Connection: close",
  ].join("\n");
  const json = new TextEncoder().encode(`{"prompt":"${"x".repeat(17 * 1024 * 1024)}"}`);

  const declared = await api.raw(`${head}\nContent-Length: ${json.length}\n\n`, json);
  assertEquals(declared.status, 400);
  assertStringIncludes(declared.body, "longer than 16777216 bytes");

  // One chunk that is never ended: the answer does not wait for that.
  const size = `${json.length.toString(16)}\n`;
  const chunked = await api.raw(`${head}\nTransfer-Encoding: chunked\n\n${size}`, json);
  assertEquals(chunked.status, 400);
  assertStringIncludes(chunked.body, "longer than 16777216 bytes");

  const short = await api.raw(`${head}\nContent-Length: 10\n\n`, json.subarray(0, 1_000));
  assertEquals(short.status, 400, "ten bytes are no JSON; the rest is no request");
  assertEquals(held.runs.length, 0);
});

Deno.test("what an agent fails with is the last line, in the place of the result", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const response = await api.run({ prompt: "x" });
  assertEquals(response.status, 200);
  (await held.run(0)).fail(new Error("no disk"));
  const lines = await Array.fromAsync(jsonLines<RunEvent | ErrorBody>(response));
  assertEquals(lines.map((line) => "error" in line ? "error" : line.type), [
    "routed",
    "started",
    "error",
  ]);
  assertEquals(lines.at(-1), {
    error: { code: "AGENT_FAILED", message: 'Agent "held" failed: no disk' },
  });
});

Deno.test("a client that comes when all are busy learns when to try again", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent], { slots: 1 });
  const running = [1, 2, 3, 4, 5].map(() => api.node.network.run("x"));
  await held.run(0);
  const lines = await Array.fromAsync(
    jsonLines<RunEvent | ErrorBody>(await api.run({ prompt: "x" })),
  );
  assertEquals(lines.at(-1), {
    error: {
      code: "RESOURCE_EXHAUSTED",
      message: 'Node "a" is busy: 1 running, 4 waiting.',
      retryAfterMs: 1_000,
    },
  });
  for (let i = 0; i < 5; i++) (await held.run(i)).answer("done");
  await Promise.all(running);
});

Deno.test("a run on all nodes is one array with what each came to", async () => {
  const picky = createAgent({
    name: "picky",
    description: "Works on a only",
    run: ({ nodeId }) => {
      if (nodeId !== "a") throw new Error("not here");
      return "done";
    },
  });
  await using api = await TestApi.start([picky]);
  await api.fleet.start({ nodeId: "b", agents: [picky] });
  await api.fleet.advance(500);
  const response = await api.fleet.wait(api.run({ prompt: "x", agent: "picky", all: true }));
  assertEquals(response.status, 200);
  const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(
    lines.slice(0, -1).map(({ type, done, failed, total }) => [type, done, failed, total]),
    [
      ["progress", 0, 0, 2],
      ["progress", 1, 0, 2],
      ["progress", 2, 1, 2],
    ],
  );
  const { type, outcomes: [here, there] } = lines.at(-1);
  assertEquals(type, "outcomes");
  assertEquals([here.nodeId, here.result.output], ["a", "done"]);
  assertEquals(there, {
    nodeId: "b",
    error: { code: "AGENT_FAILED", message: 'Agent "picky" failed: not here' },
  });
});

for (const all of [false, true]) {
  Deno.test(`a client that goes away cancels ${all ? "all its runs" : "its run"}, also while nothing is said`, async () => {
    const held = heldAgent();
    await using api = await TestApi.start([held.agent]);
    const body = JSON.stringify({ prompt: "x", all });
    const connection = await api.open(
      [
        "POST /control/v1/run HTTP/1.1",
        `Host: 127.0.0.1:${api.port}`,
        `Authorization: Bearer ${TOKEN}`,
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
        "",
        body,
      ].join("\n"),
    );
    const { context: { signal } } = await held.run(0);
    assertEquals(signal.aborted, false);
    connection.close();
    await eventually(() => signal.aborted, { what: "the abort of the run" });
    assertEquals(signal.reason.message, "Cancelled: the client went away.");
    assertEquals(api.node.network.getNetworkStatus().activeTasks, 0);
  });
}

Deno.test("a client that goes away in the middle of the stream cancels its run", async () => {
  const aborted = Promise.withResolvers<void>();
  const talker = createAgent({
    name: "talker",
    description: "Talks without end",
    run: async function* ({ signal }) {
      signal.addEventListener("abort", () => aborted.resolve());
      for (;;) yield "word ";
    },
  });
  await using api = await TestApi.start([talker]);
  const abort = new AbortController();
  const response = await api.run({ prompt: "" }, { signal: abort.signal });
  const events = jsonLines<RunEvent>(response);
  for (let i = 0; i < 100; i++) await events.next();
  abort.abort();
  await events.next().catch(() => {});
  await soon(aborted.promise, "the abort of the run");
});

Deno.test("events come as server-sent events from the moment of the first byte", async () => {
  await using api = await TestApi.start();
  const abort = new AbortController();
  const response = await api.fetch("/control/v1/events", { signal: abort.signal });
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => (await soon(reader.read(), "the next event")).value;
  assertEquals(await read(), ": connected\n\n");
  await api.fleet.start({ nodeId: "b" });
  await api.fleet.advance(500);
  let text = "";
  while (!text.includes("peer-joined")) text += await read();
  const [discovered, joined] = text.trimEnd().split("\n\n").map((event) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)$/.exec(event)!;
    return { type, data: JSON.parse(data) as NetworkEvent };
  });
  assertEquals([discovered.type, joined.type], ["peer-discovered", "peer-joined"]);
  assertEquals([joined.data.nodeId, joined.data.peer.state], ["b", "alive"]);
  abort.abort();
  await reader.read().catch(() => {});
});

Deno.test("events end when the node stops", async () => {
  await using api = await TestApi.start();
  const response = await api.fetch("/control/v1/events");
  const reading = response.text();
  await api.fleet.wait(api.node.network.stop());
  assertEquals(await soon(reading, "the end of the events"), ": connected\n\n");
});

Deno.test("what would send work elsewhere than was meant is refused, not left out", async () => {
  await using api = await TestApi.start([shout]);
  const run = async (body: object) => {
    const response = await api.fetch("/control/v1/run", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ agent: "shout", prompt: "a", ...body }),
    });
    return await errorOf(response);
  };
  const [status, code, message] = await run({ requirements: { label: ["gpu-room"] } });
  assertEquals([status, code], [400, "INVALID_ARGUMENT"]);
  assertStringIncludes(message, 'requirements: Unrecognized key: "label"');
  for (
    const extra of [{ node: "a" }, { hedgeAfterMs: 1 }, { hedgeAfterMs: 0 }, { explain: true }]
  ) {
    const [status, , message] = await run({ all: true, ...extra });
    assertEquals(status, 400, message);
    assertStringIncludes(message, `Leave out "${Object.keys(extra)[0]}"`);
  }
});
