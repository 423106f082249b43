/** A program that serves agents, on a real socket: what it says, how it is paced, how it is lost. */

import type { ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import * as grpc from "@grpc/grpc-js";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { AgentProgram } from "../../src/link/agent_program.ts";
import { installGoawayGuard } from "../../src/link/goaway_guard.ts";
import { networkDescriptor } from "../../src/link/network_descriptor.gen.ts";
import { loadProtoCodec } from "../../src/link/proto_codec.ts";
import { type AskedOfProgram, readProgramEvent } from "../../src/link/run_messages.ts";
import { eventually } from "../support/eventually.ts";
import { type Message, serveAgents } from "../support/program.ts";

type RunCall = ServerWritableStream<Message, Message>;
type ListCall = ServerUnaryCall<Message, Message>;

const ASKED: AskedOfProgram = { agent: "a", prompt: "p", context: "c", taskId: "T" };

// As a node does before it loads gRPC.
installGoawayGuard();

async function withProgram(
  run: (call: RunCall) => void,
  use: (program: AgentProgram, served: Awaited<ReturnType<typeof serveAgents>>) => Promise<void>,
  agents: Message[] = [],
): Promise<void> {
  const served = await serveAgents({
    Run: run,
    ListAgents: (_: ListCall, reply: grpc.sendUnaryData<Message>) => reply(null, { agents }),
  });
  const program = new AgentProgram(served.address);
  try {
    await use(program, served);
  } finally {
    program.close();
    served.close();
  }
}

function never(): AbortSignal {
  return new AbortController().signal;
}

async function failure(running: Promise<unknown>): Promise<NetworkError> {
  return await assertRejects(() => running, NetworkError);
}

Deno.test("what it offers is read, with what is usual where it says nothing", async () => {
  const agents = [
    { name: "plain", description: "Does \u001b[31mthings" },
    {
      name: "full",
      workload: "WORKLOAD_HEAVY",
      requirements: { vram: 8_000, tools: ["x"] },
      idempotent: true,
      tools: ["look"],
    },
    { name: "tooled", tools: ["look"] },
  ];
  await withProgram(() => {}, async (program) => {
    const [plain, full, tooled] = await program.list();
    assertEquals(plain, {
      name: "plain",
      description: "Does [31mthings",
      workload: "light",
      requirements: {},
      idempotent: true,
      tools: [],
    });
    assertEquals(full.requirements, { vram: 8_000, tools: ["x"] });
    assertEquals([full.workload, full.idempotent, full.tools], ["heavy", true, ["look"]]);
    assertEquals(tooled.idempotent, false);
  }, agents);
});

Deno.test("offers that no node can take are refused by name", async () => {
  const wrong: [Message[], RegExp][] = [
    [[{ name: "a b" }], /"a b", which is no label/],
    [[{ name: "a" }, { name: "a" }], /two agents called "a"/],
    [[{ name: "a", tools: ["\n"] }], /tools of "a"/],
    [[{ name: "a", description: "x".repeat(5_000) }], /description of "a"/],
    [[{ name: "a", requirements: { memory: -1 } }], /"a".*memory/],
    [Array.from({ length: 65 }, (_, i) => ({ name: `a${i}` })), /65 agents/],
  ];
  for (const [agents, message] of wrong) {
    await withProgram(() => {}, async (program) => {
      const error = await failure(program.list());
      assertEquals(error.code, "INVALID_ARGUMENT");
      assertMatch(error.message, message);
    }, agents);
  }
});

Deno.test("what only newer programs say is passed over", async () => {
  const protobuf = await loadProtoCodec(networkDescriptor);
  // Field 200, a message with a text; then a token with a field 9 of its own.
  for (
    const [bytes, event] of [
      [[0xc2, 0x0c, 0x03, 0x0a, 0x01, 0x41], undefined],
      [[0x22, 0x05, 0x0a, 0x01, 0x41, 0x48, 0x07], { type: "token", text: "A" }],
    ] as const
  ) {
    const message = protobuf.decode("hanzo.network.v1.RunEvent", new Uint8Array(bytes));
    assertEquals(readProgramEvent(message), event);
  }
});

Deno.test("a run is asked for as it was, and what it says comes in order", async () => {
  let asked: Message;
  await withProgram((call) => {
    asked = call.request;
    call.write({ started: {} });
    call.write({ token: { text: "ü" } });
    call.write({ tool_call: { tool: "x", call_id: "1", arguments_json: '{"a":1}' } });
    call.write({ tool_result: { tool: "x" } });
    call.write({ tool_error: { tool: "y", reason: "it is dark" } });
    call.write({ result: { output: "", data_json: "[1]", usage: { model_calls: 2 } } });
    call.end();
  }, async (program) => {
    assertEquals(await Array.fromAsync(program.run(ASKED, never())), [
      { type: "token", text: "ü" },
      { type: "tool-call", callId: "1", tool: "x", arguments: { a: 1 } },
      { type: "tool-result", callId: "", tool: "x", result: null },
      { type: "tool-error", callId: "", tool: "y", reason: "it is dark" },
      {
        type: "answer",
        answer: {
          output: "",
          data: [1],
          usage: { inputTokens: 0, outputTokens: 0, modelCalls: 2 },
        },
      },
    ]);
    assertEquals(
      [asked.agent, asked.prompt, asked.context, asked.task_id],
      ["a", "p", "c", "T"],
    );
  });
});

Deno.test("a program that says more than is taken waits, and ends when its reader leaves", async () => {
  let written = 0;
  let isCancelled = false;
  let isOver = false;
  await withProgram((call) => {
    call.on("cancelled", () => isCancelled = true);
    const more = () => {
      if (isCancelled) return void (isOver = true);
      written++;
      call.write({ token: { text: "x".repeat(16_384) } }, () => setTimeout(more, 0));
    };
    more();
  }, async (program) => {
    const events = program.run(ASKED, never());
    await events.next();
    let before = -1;
    await eventually(() => {
      const isStill = written === before;
      before = written;
      return isStill;
    }, { what: "that the program waits", intervalMs: 60 });
    assert(written * 16_384 < 16 * 1024 * 1024, `${written} tokens`);
    const stood = written;
    for (let i = 0; i < stood + 50; i++) await events.next();
    await events.return();
    await eventually(() => isOver, { what: "that the program is told" });
  });
});

Deno.test("an abort ends the run there, with the reason here", async () => {
  let isCancelled = false;
  await withProgram((call) => {
    call.on("cancelled", () => isCancelled = true);
    call.write({ token: { text: "x" } });
  }, async (program) => {
    const abort = new AbortController();
    const events = program.run(ASKED, abort.signal);
    await events.next();
    const next = events.next();
    const reason = new NetworkError("DEADLINE_EXCEEDED", "time is up");
    abort.abort(reason);
    assertEquals(await failure(next), reason);
    await eventually(() => isCancelled, { what: "that the program is told" });
    const late = program.run(ASKED, abort.signal).next();
    assertEquals(await failure(late), reason);
  });
});

Deno.test({
  name: "what fails there says whether it had begun",
  // A channel that was refused tries once more when it is closed, a moment later.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const fail = (code: grpc.status, details: string) => (call: RunCall) => {
      call.emit("error", { code, details });
    };
    const outcome = async (run: (call: RunCall) => void) => {
      let error: NetworkError | undefined;
      await withProgram(run, async (program) => {
        error = await failure(Array.fromAsync(program.run(ASKED, never())));
      });
      return [error!.code, error!.message];
    };
    assertEquals(await outcome(fail(grpc.status.INVALID_ARGUMENT, "Say more.\u001b[2J")), [
      "INVALID_ARGUMENT",
      "Say more.[2J",
    ]);
    assertEquals(await outcome(fail(grpc.status.NOT_FOUND, "no")), [
      "AGENT_FAILED",
      'Agent "a" failed: no',
    ]);
    const [code] = await outcome((call) => {
      call.write({ tool_call: { tool: "x", arguments_json: "{" } });
      call.end();
    });
    assertEquals(code, "PROTOCOL");

    await withProgram((call) => call.write({ token: { text: "x" } }), async (program, served) => {
      const events = program.run(ASKED, never());
      await events.next();
      let isBroken = false;
      await program.list();
      program.onceBroken(() => isBroken = true);
      const next = failure(events.next());
      served.close();
      assertEquals((await next).code, "UNKNOWN_OUTCOME");
      await eventually(() => isBroken, { what: "that it is known to be gone" });
      const refused = await failure(program.run(ASKED, never()).next());
      assertEquals(refused.code, "UNAVAILABLE");
      assertMatch(refused.message, /has not begun/);
      const unlisted = await failure(program.list());
      assertMatch(unlisted.message, /ECONNREFUSED|does not answer/);
    });
  },
});
